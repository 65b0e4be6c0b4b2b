/** Work that never ends, and work in slices: the server stays in charge, and a budget leaves no trace. */
import { hog, machine, MS, newSleeper, note, once, program, seen, sleeper, thread, used } from "./actors.ts";
import { describe, expect, test } from "vitest";
import { SCHED_FIFO, SCHED_RR } from "../../../core/abi/clone.ts";
import { nextTimerNs } from "../../../core/handle.ts";
import { handle, snapshot } from "../../../core/index.ts";
import { charge } from "../../../core/sched/cost.ts";
import { preemptDisable, preemptEnable } from "../../../core/sched/preempt.ts";
import { run, steps, to } from "../../../core/sched/steps.ts";
import { sleepOn, wake } from "../../../core/sched/wait_queue.ts";
import { now } from "../../../core/time/clock.ts";
import { jiffies } from "../../../core/time/jiffies.ts";
import { modTimer, timerFunction, timerSetup } from "../../../core/time/timer_list.ts";
import { armTimer, timerCallback } from "../../../core/time/timer.ts";
import type { CoreMachine } from "../../helpers/core.ts";
import { copy, expectSame, replay } from "../../helpers/replay.ts";

timerCallback("test.budget.again", (k, arg) => {
  armTimer(k, { expiresNs: now(k), callback: "test.budget.again", arg });
});
timerFunction("test.budget.jiffy", (k, _arg, timer) => {
  modTimer(k, timer, jiffies(k));
});

/** Two that wake each other for ever; the queues are numbers that nobody else uses. */
const pingPong = steps<{ mine: number; other: number }>("test.budget.pingpong", {
  hit: (k, _task, { locals }) => {
    charge(k, 10_000);
    wake(k, locals.other);
    return sleepOn(locals.mine);
  },
});

/** Works in the kernel for ever, a little each step. */
const spin = steps<object>("test.budget.spin", {
  work: (k) => {
    charge(k, 20_000);
    return to("work");
  },
});

function everything(m: CoreMachine): void {
  thread(m, "hog", hog, { ns: 3_777_777 });
  thread(m, "nice", hog, { ns: 400_000 }, { nice: 7 });
  thread(m, "spin", spin, {});
  program(m, "prog", hog, { ns: 12_345_678 });
  thread(m, "rr1", sleeper, newSleeper(5 * MS, 700_000), { policy: SCHED_RR, rtPriority: 2 });
  thread(m, "rr2", sleeper, newSleeper(3 * MS, 900_000), { policy: SCHED_FIFO, rtPriority: 2 });
  for (const n of [1, 2, 3]) thread(m, `sleeper${n}`, sleeper, newSleeper(n * 2 * MS, 300_000));
  thread(m, "ping", pingPong, { mine: 900_001, other: 900_002 });
  thread(m, "pong", pingPong, { mine: 900_002, other: 900_001 });
  thread(m, "bound", hog, { ns: 5 * MS }, { cpus: 1 });
  modTimer(m.kernel, timerSetup(m.kernel, "test.budget.jiffy"), jiffies(m.kernel) + 2);
  for (const n of [1, 2, 3]) thread(m, `once${n}`, once, { ns: n * 4 * MS, what: `once${n}` });
}

describe("the same inputs", () => {
  test.each([1, 2, 4])("with budgets of 1, 100 and 10^6 give the same bytes, on %i CPUs", async (cpus) => {
    const machines = [1, 100, 1_000_000].map((budget) => {
      const m = machine({ cpus });
      m.budget = budget;
      return m;
    });
    for (const m of machines) {
      const pid = await m.createProcess();
      everything(m);
      for (const ms of [3, 0, 7.5, 12]) {
        m.advance(ms);
        m.callNow(pid, "getppid");
        m.callNow(pid, "sched_yield");
      }
      m.callNow(pid, "nanosleep", { req: { tv_sec: 0, tv_nsec: 2_000_000 } });
      m.advance(20);
    }
    expect(machines[0].journal.length).toBeGreaterThan(1000);
    expect(machines[0].journal.length).toBeGreaterThan(20 * machines[1].journal.length);
    for (const m of machines) expect(m.broken()).toEqual([]);
    expectSame(machines[0].kernel, machines[2].kernel);
    expectSame(machines[1].kernel, machines[2].kernel);
  });

  test("give the same bytes from a snapshot between any two slices", () => {
    const m = machine({ cpus: 2 });
    everything(m);
    const begun = copy(m.kernel);
    m.budget = 9;
    m.advance(8);
    m.advance(4);
    expectSame(replay(begun, m.journal, copy), m.kernel);
  });
});

describe("work without end", () => {
  const ENDLESS: [string, (m: CoreMachine) => void][] = [
    ["a thread that computes", (m) => { thread(m, "hog", hog, { ns: 1000 * MS }); }],
    ["a thread that works in the kernel", (m) => { thread(m, "spin", spin, {}); }],
    ["a real-time thread", (m) => { thread(m, "fifo", spin, {}, { policy: SCHED_FIFO, rtPriority: 99 }); }],
    ["a thread that works with preemption disabled", (m) => { thread(m, "atomic", spin, {}).preemptCount = 1; }],
    ["a pair that plays ping-pong", (m) => {
      thread(m, "ping", pingPong, { mine: 900_001, other: 900_002 });
      thread(m, "pong", pingPong, { mine: 900_002, other: 900_001 });
    }],
    ["a timer that arms itself at once", (m) => { armTimer(m.kernel, { expiresNs: 0, callback: "test.budget.again", arg: 0 }); }],
    ["a kernel timer for the present jiffy", (m) => { modTimer(m.kernel, timerSetup(m.kernel, "test.budget.jiffy"), 0); }],
    ["all of them", (m) => { for (const [what, begin] of ENDLESS) if (what !== "all of them") begin(m); }],
  ];

  test.each(ENDLESS)("%s: inputs are answered in few events, the clock moves, the session can be read and kept", async (_what, begin) => {
    const m = machine({ cpus: 1 });
    const pid = await m.createProcess();
    begin(m);
    m.advance(0);
    for (let at = 0; at < 50; at++) {
      const callId = `call${at}`;
      const { more } = handle(m.kernel, { type: "syscall", atNs: m.kernel.state.time.nowNs, pid, callId, call: "getppid" }, 2000);
      expect(more, "an input is over within one slice").toBe(false);
    }
    const before = m.kernel.state.time.nowNs;
    m.budget = 2000;
    const { length } = m.journal;
    m.advance(50);
    expect(m.kernel.state.time.nowNs).toBeGreaterThanOrEqual(before + 50 * MS);
    expect(m.journal.length - length, "slices of 2,000 events").toBeLessThan(200);
    expect(m.text("/proc/uptime")).toMatch(/^[01]\.\d\d /);
    expect(m.callNow(pid, "getpid")).toMatchObject({ ret: pid });
    const bytes = snapshot(m.kernel);
    expect(nextTimerNs(m.kernel)).not.toBeNull();
    expect(Buffer.from(snapshot(m.kernel)).equals(bytes), "a look changes nothing").toBe(true);
    expect(m.broken()).toEqual([]);
  });

  test("stands still with the clock: a hundred inputs without time bring it none", async () => {
    const m = machine({ cpus: 2 });
    const pid = await m.createProcess();
    const busy = [1, 2, 3].map((n) => thread(m, `hog${n}`, hog, { ns: MS }));
    m.advance(10);
    const before = busy.map(used);
    for (let at = 0; at < 100; at++) m.feed({ type: "makeHome", path: "/root", uid: 0 });
    expect(busy.map(used)).toEqual(before);
    m.callNow(pid, "getpid");
  });

  test("is stopped in the middle of a burst by SIGKILL, and the rest of the burst is not owed", () => {
    const m = machine({ cpus: 1 });
    const victim = program(m, "victim", hog, { ns: 1e12 });
    m.advance(20);
    const { tgid } = victim;
    m.feed({ type: "signal", pid: tgid, signal: 9, uid: 0 });
    expect(m.kernel.state.sched.groups.get(tgid)?.exitStatus ?? 9).toBe(9);
    expect(used(victim)).toBeLessThan(1120 * MS);
    expect(m.broken()).toEqual([]);
  });

  test("is interrupted by SIGSTOP and goes on where it was after SIGCONT", () => {
    const m = machine({ cpus: 1 });
    const task = program(m, "stopped", once, { ns: 3000 * MS, what: "done" });
    m.advance(100);
    m.feed({ type: "signal", pid: task.tgid, signal: 19, uid: 0 });
    const atStop = used(task);
    expect(atStop).toBeLessThan(1120 * MS);
    m.advance(5000);
    expect(used(task)).toBe(atStop);
    m.feed({ type: "signal", pid: task.tgid, signal: 18, uid: 0 });
    m.advance(1800);
    expect(seen(m.kernel)).toEqual([]);
    m.advance(300);
    expect(seen(m.kernel)).toHaveLength(1);
    note(m.kernel, "over");
  });
});

/** Computes with preemption off. */
const deaf = steps<object>("test.budget.deaf", {
  off: (k) => {
    preemptDisable(k);
    return run(10 * MS);
  },
  on: (k) => {
    preemptEnable(k);
    return 0;
  },
});

test("a task that may not be preempted goes on when the one that it was to make way for has gone to another CPU", () => {
  const m = machine({ cpus: 2 });
  thread(m, "deaf", deaf, {}, { cpus: 1 });
  thread(m, "brief", once, { ns: MS, what: "brief" }, { cpus: 2 });
  // It wakes on the first CPU, whose task it should push aside; the second, once idle, takes it over.
  const urgent = thread(m, "urgent", sleeper, newSleeper(MS / 5, 100 * MS), { policy: SCHED_FIFO, rtPriority: 50 });
  urgent.cpu = 0;
  const { kernel } = m;
  const output = handle(kernel, { type: "advance", atNs: 0, byNs: 30 * MS }, 2000);
  expect(output.more).toBe(false);
  expect(kernel.state.time.nowNs).toBeGreaterThanOrEqual(30 * MS);
  expect([urgent.cpu, used(urgent) > 20 * MS]).toEqual([1, true]);
  expect(m.broken()).toEqual([]);
});

test("a batch of calls that cost much takes steps of a few calls each, and others run in between", async () => {
  const m = machine({ cpus: 2 });
  const pid = await m.createProcess();
  const k = m.kernel;
  const batch = (callId: string, call: string, args = {}): number => {
    let steps = 1;
    const calls = Array.from({ length: 64 }, () => ({ call, args }));
    let output = handle(k, { type: "batch", pid, callId, atNs: k.state.time.nowNs, calls, onError: "continue" }, 1);
    for (; output.more; steps++) output = handle(k, { type: "run", atNs: k.state.time.nowNs }, 1);
    expect(output.ended.map((ended) => ended.callId)).toEqual([callId]);
    return steps;
  };
  expect(batch("cheap", "getpid")).toBeLessThan(6);
  expect(batch("forks", "fork")).toBeGreaterThan(10);
  // Each looks at all processes that there are.
  for (let round = 0; round < 31; round++) batch(`forks${round}`, "fork");
  expect(batch("kills", "kill", { pid: -1, sig: 0 })).toBeGreaterThan(30);
  expect(m.broken()).toEqual([]);
});
