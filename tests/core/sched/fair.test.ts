/** The shares of a CPU: equal ones, by nice, by policy, by affinity; and who is on first. */
import { describe, expect, test } from "vitest";
import { hog, machine, MS, newSleeper, once, placed, program, seen, sleeper, thread, used, yielding } from "./actors.ts";
import { SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_RR } from "../../../core/abi/clone.ts";
import type { Task } from "../../../core/sched/task.ts";

/** Shares of the CPU time that these tasks have had together. */
function shares(...tasks: Task[]): number[] {
  const all = tasks.reduce((sum, task) => sum + used(task), 0);
  return tasks.map((task) => used(task) / all);
}

describe("tasks of equal nice", () => {
  test.each([100, 250, 300, 1000])("two on one CPU share it to the hundredth, at HZ %i", (hz) => {
    const m = machine({ cpus: 1, hz });
    const [a, b] = ["a", "b"].map((name) => thread(m, name, hog, { ns: 100 * MS }));
    m.advance(2000);
    for (const share of shares(a, b)) expect(Math.abs(share - 0.5)).toBeLessThan(0.01);
    expect(used(a) + used(b)).toBeGreaterThan(1990 * MS);
    expect(a.involuntarySwitches).toBeGreaterThanOrEqual(99);
    expect(m.broken()).toEqual([]);
  });

  test("share it however long their bursts are", () => {
    const m = machine({ cpus: 1 });
    const tasks = [10_000, 300_000, 7 * MS, 1000 * MS].map((ns, at) => thread(m, `t${at}`, hog, { ns }));
    m.advance(4000);
    for (const share of shares(...tasks)) expect(Math.abs(share - 0.25)).toBeLessThan(0.01);
  });

  test("programs too, in the time that a command has", () => {
    const m = machine({ cpus: 1 });
    const [a, b] = ["a", "b"].map((name) => program(m, name, hog, { ns: 100 * MS }));
    m.advance(2000);
    for (const share of shares(a, b)) expect(Math.abs(share - 0.5)).toBeLessThan(0.01);
    expect(a.stimeNs, "computing is user time").toBeLessThan(a.utimeNs / 100);
  });

  test("twelve stretch the round, so that each still has its least slice", () => {
    const m = machine({ cpus: 1, hz: 1000 });
    const tasks = Array.from({ length: 12 }, (_, at) => thread(m, `t${at}`, hog, { ns: 100 * MS }));
    m.advance(6000);
    for (const share of shares(...tasks)) expect(Math.abs(share * 12 - 1)).toBeLessThan(0.03);
    const switches = tasks.reduce((sum, task) => sum + task.involuntarySwitches, 0);
    // At least 0.75 ms a turn, looked at each ms.
    expect(switches).toBeLessThanOrEqual(6011);
    expect(switches).toBeGreaterThan(2500);
  });

  test("more tasks than CPUs run on all of them", () => {
    const m = machine({ cpus: 4 });
    const tasks = Array.from({ length: 8 }, (_, at) => thread(m, `t${at}`, hog, { ns: 3 * MS }));
    m.advance(3000);
    for (const share of shares(...tasks)) expect(Math.abs(share - 1 / 8)).toBeLessThan(0.01);
    expect(tasks.reduce((sum, task) => sum + used(task), 0)).toBeGreaterThan(11_960 * MS);
  });
});

describe("nice", () => {
  test.each([[1, 820], [5, 335], [10, 110], [19, 15], [-5, 3121], [-20, 88761]])("%i beside 0 has the share of its weight, %i to 1024", (nice, weight) => {
    const m = machine({ cpus: 1 });
    const [plain, other] = [0, nice].map((value) => thread(m, `nice${value}`, hog, { ns: 50 * MS }, { nice: value }));
    m.advance(20_000);
    expect(used(other) / used(plain)).toBeGreaterThan((weight / 1024) * 0.95);
    expect(used(other) / used(plain)).toBeLessThan((weight / 1024) * 1.05);
  });

  test("changed while they run, changes their shares from then on", () => {
    const m = machine({ cpus: 1 });
    const [a, b] = ["a", "b"].map((name) => thread(m, name, hog, { ns: 5 * MS }));
    m.advance(1000);
    const before = [used(a), used(b)];
    placed(m.kernel, b, { nice: 10 });
    m.advance(4000);
    expect((used(a) - before[0]) / (used(b) - before[1])).toBeGreaterThan(8.5);
    expect((used(a) - before[0]) / (used(b) - before[1])).toBeLessThan(10.1);
    expect(m.broken()).toEqual([]);
  });

  test("above 0 is counted as such in /proc/stat", () => {
    const m = machine({ cpus: 1 });
    program(m, "nice", hog, { ns: MS }, { nice: 5 });
    m.advance(500);
    const [, user, nice] = m.text("/proc/stat").split("\n")[1].split(/ +/).map(Number);
    expect(user).toBe(0);
    expect(nice).toBeGreaterThanOrEqual(49);
  });
});

describe("policies", () => {
  test("SCHED_IDLE gets next to nothing beside others, and all when alone", () => {
    const m = machine({ cpus: 1 });
    const idle = thread(m, "idle", hog, { ns: MS }, { policy: SCHED_IDLE });
    m.advance(100);
    expect(used(idle)).toBeGreaterThan(95 * MS);
    const before = used(idle);
    const plain = thread(m, "plain", hog, { ns: MS });
    m.advance(5000);
    expect((used(idle) - before) / used(plain)).toBeLessThan(0.01);
    expect(used(idle), "and does not starve").toBeGreaterThan(before);
  });

  test("SCHED_BATCH shares like others, but preempts nobody as it wakes", () => {
    const m = machine({ cpus: 1 });
    const locals = newSleeper(20 * MS, 100_000);
    const plain = thread(m, "plain", hog, { ns: 50 * MS });
    thread(m, "batch", sleeper, locals, { policy: SCHED_BATCH });
    m.advance(1000);
    expect(locals.worstNs, "it waits for a tick").toBeGreaterThan(MS);
    expect(used(plain)).toBeGreaterThan(900 * MS);
  });

  test("a real-time task has the CPU as long as it likes", () => {
    const m = machine({ cpus: 1 });
    const plain = thread(m, "plain", hog, { ns: MS });
    m.advance(100);
    const before = used(plain);
    const fifo = thread(m, "fifo", hog, { ns: MS }, { policy: SCHED_FIFO, rtPriority: 1 });
    m.advance(100);
    expect(used(fifo)).toBeGreaterThan(98 * MS);
    expect(used(plain)).toBeLessThan(before + MS);
  });

  test("SCHED_FIFO tasks go one after the other, the higher priority first", () => {
    const m = machine({ cpus: 1 });
    for (const [what, rtPriority] of [["a1", 1], ["b1", 1], ["c5", 5], ["d1", 1]] as const) {
      thread(m, what, once, { ns: 8 * MS, what }, { policy: SCHED_FIFO, rtPriority });
    }
    m.advance(100);
    expect(seen(m.kernel).map(([what]) => what)).toEqual(["c5", "a1", "b1", "d1"]);
  });

  test("SCHED_RR tasks of one priority take turns of 100 ms", () => {
    const m = machine({ cpus: 1 });
    const tasks = ["a", "b"].map((name) => thread(m, name, hog, { ns: 5000 * MS }, { policy: SCHED_RR, rtPriority: 7 }));
    m.advance(2000);
    for (const share of shares(...tasks)) expect(Math.abs(share - 0.5)).toBeLessThan(0.03);
    expect(tasks[0].involuntarySwitches + tasks[1].involuntarySwitches).toBeGreaterThanOrEqual(19);
    expect(tasks[0].involuntarySwitches + tasks[1].involuntarySwitches).toBeLessThanOrEqual(21);
  });
});

describe("a task that wakes", () => {
  test("is on before a hog's slice is over", () => {
    const m = machine({ cpus: 1 });
    const locals = newSleeper(10 * MS, 200_000);
    thread(m, "hog", hog, { ns: 1000 * MS });
    thread(m, "sleeper", sleeper, locals);
    m.advance(1000);
    expect(locals.turns).toBeGreaterThanOrEqual(95);
    expect(locals.worstNs, "an interrupt, a wake-up and a switch").toBeLessThan(20_000);
  });

  test("does not live on its sleep: it gets no more than its share when it stays", () => {
    const m = machine({ cpus: 1 });
    const [a, b] = ["a", "b"].map((name) => thread(m, name, hog, { ns: 20 * MS }));
    m.advance(1000);
    const late = thread(m, "late", hog, { ns: 20 * MS });
    m.advance(900);
    expect(Math.abs(used(late) - 300 * MS)).toBeLessThan(12 * MS);
    expect(used(a) - used(b)).toBeLessThan(10 * MS);
  });

  test("takes an idle CPU rather than wait behind others", () => {
    const m = machine({ cpus: 2 });
    const locals = newSleeper(7 * MS, 500_000);
    thread(m, "hog", hog, { ns: 1000 * MS }, { cpus: 1 });
    const task = thread(m, "sleeper", sleeper, locals);
    m.advance(500);
    expect(locals.worstNs).toBeLessThan(20_000);
    expect(task.cpu).toBe(1);
  });
});

describe("affinity", () => {
  test("keeps tasks on their CPUs, however unjust", () => {
    const m = machine({ cpus: 2 });
    const bound = [1, 2, 3].map((n) => thread(m, `bound${n}`, hog, { ns: MS }, { cpus: 1 }));
    const free = thread(m, "free", hog, { ns: MS }, { cpus: 2 });
    m.advance(900);
    for (const task of bound) expect(Math.abs(used(task) - 300 * MS)).toBeLessThan(10 * MS);
    expect(used(free)).toBeGreaterThan(895 * MS);
    expect(bound.every(({ cpu, se }) => cpu === 0 && se.migrations === 0)).toBe(true);
  });

  test("taken away from under a running task moves it at once, in the middle of a burst", () => {
    const m = machine({ cpus: 2 });
    const task = thread(m, "moved", hog, { ns: 10_000 * MS }, { cpus: 1 });
    m.advance(100);
    placed(m.kernel, task, { cpus: 2 });
    m.advance(100);
    const [first, second] = m.kernel.state.sched.cpus;
    expect(first.curr).toBe(0);
    expect(second.curr).toBe(task.tid);
    expect(task.se.migrations).toBe(1);
    expect(first.systemNs).toBeLessThan(115 * MS);
    expect(second.systemNs).toBeGreaterThan(85 * MS);
    expect(m.broken()).toEqual([]);
  });

  test("lost and given back, work spreads again", () => {
    const m = machine({ cpus: 2 });
    const tasks = [1, 2].map((n) => thread(m, `t${n}`, hog, { ns: MS }, { cpus: 1 }));
    m.advance(100);
    for (const task of tasks) placed(m.kernel, task, { cpus: 3 });
    m.advance(1000);
    for (const task of tasks) expect(used(task)).toBeGreaterThan(1000 * MS);
  });
});

describe("the load", () => {
  test("of three on two CPUs is shared among them by and by", () => {
    const m = machine({ cpus: 2 });
    const tasks = [1, 2, 3].map((n) => thread(m, `t${n}`, hog, { ns: 20 * MS }));
    m.advance(10_000);
    for (const share of shares(...tasks)) expect(Math.abs(share - 1 / 3)).toBeLessThan(0.02);
    expect(tasks.reduce((sum, task) => sum + used(task), 0)).toBeGreaterThan(19_900 * MS);
    for (const task of tasks) expect(task.se.migrations).toBeLessThan(200);
  });

  test("of two on two CPUs stays where it is", () => {
    const m = machine({ cpus: 2 });
    const tasks = [1, 2].map((n) => thread(m, `t${n}`, hog, { ns: 20 * MS }));
    m.advance(5000);
    expect(tasks.map(({ se }) => se.migrations)).toEqual([0, 0]);
  });

  test("of a heavy task is its own CPU's, and the light ones share the other", () => {
    const m = machine({ cpus: 2 });
    const heavy = thread(m, "heavy", hog, { ns: 20 * MS }, { nice: -15 });
    const light = [1, 2, 3].map((n) => thread(m, `light${n}`, hog, { ns: 20 * MS }));
    m.advance(10_000);
    expect(used(heavy)).toBeGreaterThan(9_500 * MS);
    for (const task of light) expect(Math.abs(used(task) - 3_340 * MS)).toBeLessThan(200 * MS);
  });

  test("of real-time tasks spreads over the CPUs before one waits for another", () => {
    const m = machine({ cpus: 3 });
    for (const n of [1, 2, 3]) thread(m, `plain${n}`, hog, { ns: 20 * MS });
    m.advance(10);
    const locals = [1, 2, 3].map(() => newSleeper(10 * MS, 6 * MS));
    locals.forEach((own, n) => thread(m, `rt${n}`, sleeper, own, { policy: SCHED_FIFO, rtPriority: 5 }));
    m.advance(1000);
    for (const { worstNs, turns } of locals.slice(1)) {
      expect(turns).toBeGreaterThan(55);
      expect(worstNs).toBeLessThan(6 * MS);
    }
  });
});

describe("sched_yield", () => {
  test("lets others run, and gives the CPU away for good to nobody", () => {
    const m = machine({ cpus: 1 });
    const [nice, greedy] = [thread(m, "yielding", yielding, { ns: 100_000 }), thread(m, "hog", hog, { ns: 100_000 })];
    m.advance(1000);
    expect(used(nice)).toBeGreaterThan(300 * MS);
    expect(used(greedy)).toBeGreaterThan(490 * MS);
    expect(nice.involuntarySwitches).toBeGreaterThan(100);
  });

  test("alone costs nothing but the call", () => {
    const m = machine({ cpus: 1 });
    const task = thread(m, "yielding", yielding, { ns: 100_000 });
    m.advance(100);
    expect(task.involuntarySwitches).toBe(0);
    expect(used(task)).toBeGreaterThan(99 * MS);
  });

  test("of a real-time task goes behind those of its priority", () => {
    const m = machine({ cpus: 1 });
    const tasks = [1, 2].map((n) => thread(m, `rt${n}`, yielding, { ns: 100_000 }, { policy: SCHED_FIFO, rtPriority: 3 }));
    m.advance(1000);
    for (const share of shares(...tasks)) expect(Math.abs(share - 0.5)).toBeLessThan(0.01);
  });
});
