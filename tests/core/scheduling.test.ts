/** The law of time, sleeps and signals of the spine, with step tables that this file registers. */
import { describe, expect, test } from "vitest";
import type { Kernel } from "../../core/kernel.ts";
import { kthread } from "../../core/process/create.ts";
import { charge } from "../../core/sched/cost.ts";
import { NEXT, run, steps, to, type StepTable } from "../../core/sched/steps.ts";
import { taskOf, type Task } from "../../core/sched/task.ts";
import { newWaitQueue, signalPending, sleepOn, sleepUntil, timedOut, wake } from "../../core/sched/wait_queue.ts";
import { now } from "../../core/time/clock.ts";
import { LEAD_NS } from "../../core/time/state.ts";
import { armTimer, cancelTimer, timerCallback } from "../../core/time/timer.ts";
import { CoreMachine } from "../helpers/core.ts";
import { copy, expectSame, replay } from "../helpers/replay.ts";

const MS = 1_000_000;

/** What the tables of this file note, in the state like everything else. */
interface Notes {
  seen: [string, number][];
  queues: number[];
  ball: number;
  left: number;
}

function notes(k: Kernel): Notes {
  return k.state.labs.get("test") as Notes;
}

function machine(options = {}): CoreMachine {
  const made = new CoreMachine({ ramMiB: 16, swapMiB: 8, ...options });
  const k = made.kernel;
  k.state.labs.set("test", { seen: [], queues: [newWaitQueue(k), newWaitQueue(k)], ball: 0, left: 100 } satisfies Notes);
  return made;
}

function note(k: Kernel, what: string): void {
  notes(k).seen.push([what, now(k)]);
}

function start<L>(m: CoreMachine, name: string, table: StepTable<L>, locals: L): Task {
  const task = kthread(m.kernel, name, table, locals);
  if (typeof task === "number") throw new Error(`no thread: ${task}`);
  return task;
}

const endless = steps<{ ns: number }>("test.endless", {
  work: (_k, _task, { locals }) => run(locals.ns),
  again: () => to("work"),
});

/** Returns the ball to the other side until none are left. */
const player = steps<{ me: number }>("test.player", {
  wait: (k, _task, { locals }) => {
    const { ball, left, queues } = notes(k);
    if (left === 0) return 0;
    return ball === locals.me ? NEXT : sleepOn(queues[locals.me], { wchan: "test_player" });
  },
  hit: (k, _task, { locals }) => {
    const table = notes(k);
    table.ball = 1 - locals.me;
    table.left--;
    wake(k, table.queues[table.ball]);
    return to("wait");
  },
});

const sleeper = steps<{ untilNs: number; what: string }>("test.sleeper", {
  sleep: (k, task, { locals }) => (timedOut(task) || now(k) >= locals.untilNs ? NEXT : sleepUntil(locals.untilNs, { mode: "uninterruptible" })),
  tell: (k, _task, { locals }) => {
    note(k, locals.what);
    return 0;
  },
});

timerCallback("test.note", (k, arg) => note(k, `timer ${arg}`));

const noted = (m: CoreMachine): [string, number][] => notes(m.kernel).seen;

describe("autonomous work", () => {
  test("runs a little ahead of the clock and then waits for it", () => {
    const m = machine();
    const thread = start(m, "endless", endless, { ns: MS });
    m.feed({ type: "makeHome", path: "/root", uid: 0 });
    expect(thread.stimeNs).toBeGreaterThanOrEqual(LEAD_NS - MS);
    expect(thread.stimeNs).toBeLessThanOrEqual(LEAD_NS + 2 * MS);
    const before = thread.stimeNs;
    m.feed({ type: "makeHome", path: "/root", uid: 0 });
    expect(thread.stimeNs, "another input brings it no time").toBeLessThan(before + MS);
  });

  test("goes on exactly as far as the clock is moved", () => {
    const m = machine();
    const thread = start(m, "endless", endless, { ns: 100_000 });
    m.advance(0);
    const before = thread.stimeNs;
    m.advance(250);
    expect(Math.abs(thread.stimeNs - before - 250 * MS)).toBeLessThan(2 * MS);
  });

  test("gets the time that driven calls cost", async () => {
    const m = machine({ cpus: 1 });
    const pid = await m.createProcess();
    const thread = start(m, "endless", endless, { ns: 10_000 });
    m.advance(0);
    const { limitNs } = m.kernel.state.time;
    const ran = thread.stimeNs;
    for (let at = 0; at < 1000; at++) m.callNow(pid, "getppid");
    const spent = m.kernel.state.time.limitNs - limitNs;
    expect(spent).toBeGreaterThan(100_000);
    expect(thread.stimeNs - ran).toBeLessThanOrEqual(spent + 2 * 10_000);
  });

  test("does not keep a call waiting, on one CPU too", async () => {
    const m = machine({ cpus: 1 });
    start(m, "endless", endless, { ns: MS });
    const pid = await m.createProcess();
    expect(m.callNow(pid, "getpid")).toMatchObject({ state: "returned", ret: pid });
  });

  test("plays ping-pong between two threads to the end, a switch a stroke", () => {
    const m = machine({ cpus: 1 });
    const [one, other] = [0, 1].map((me) => start(m, `player${me}`, player, { me }));
    m.advance(10);
    expect(notes(m.kernel).left).toBe(0);
    const switches = [one, other].map(({ voluntarySwitches, involuntarySwitches }) => voluntarySwitches + involuntarySwitches);
    expect(switches[0] + switches[1]).toBeGreaterThanOrEqual(99);
    wake(m.kernel, notes(m.kernel).queues[0], { nr: Infinity });
    wake(m.kernel, notes(m.kernel).queues[1], { nr: Infinity });
    m.advance(10);
    expect(m.kernel.state.sched.tasks.has(one.tid)).toBe(false);
    expect(m.kernel.state.sched.tasks.has(other.tid)).toBe(false);
    expect(m.broken()).toEqual([]);
  });

  test("shares a CPU with others of its kind", () => {
    const m = machine({ cpus: 1 });
    const threads = [1, 2, 3].map((n) => start(m, `endless${n}`, endless, { ns: MS }));
    m.advance(300);
    for (const thread of threads) expect(Math.abs(thread.stimeNs - 100 * MS)).toBeLessThan(15 * MS);
  });

  test("uses all CPUs at once", () => {
    const m = machine({ cpus: 4 });
    const threads = [1, 2, 3, 4].map((n) => start(m, `endless${n}`, endless, { ns: MS }));
    m.advance(100);
    for (const thread of threads) expect(Math.abs(thread.stimeNs - 100 * MS)).toBeLessThan(15 * MS);
    expect(new Set(threads.map(({ cpu }) => cpu)).size).toBe(4);
  });

  test("is cut off by a budget and goes on, to the same bytes", () => {
    const whole = machine();
    const sliced = machine();
    sliced.budget = 3;
    for (const m of [whole, sliced]) {
      start(m, "endless", endless, { ns: 50_000 });
      start(m, "player0", player, { me: 0 });
      start(m, "player1", player, { me: 1 });
      m.advance(40);
    }
    expect(sliced.journal.length).toBeGreaterThan(100);
    expectSame(sliced.kernel, whole.kernel);
  });
});

describe("timers", () => {
  test("fire in the order of their times, at their times", () => {
    const m = machine();
    const k = m.kernel;
    for (const ms of [30, 10, 20, 10, 5, 40]) armTimer(k, { expiresNs: ms * MS, callback: "test.note", arg: ms });
    m.advance(4);
    expect(noted(m)).toEqual([]);
    m.advance(96);
    expect(noted(m)).toEqual([["timer 5", 5 * MS], ["timer 10", 10 * MS], ["timer 10", 10 * MS], ["timer 20", 20 * MS], ["timer 30", 30 * MS], ["timer 40", 40 * MS]]);
  });

  test("of one time fire in the order in which they were armed", () => {
    const m = machine();
    for (let arg = 0; arg < 50; arg++) armTimer(m.kernel, { expiresNs: MS, callback: "test.note", arg });
    m.advance(1);
    expect(noted(m).map(([what]) => what)).toEqual(Array.from({ length: 50 }, (_, arg) => `timer ${arg}`));
  });

  test("that were cancelled do not fire", () => {
    const m = machine();
    const ids = [1, 2, 3].map((arg) => armTimer(m.kernel, { expiresNs: arg * MS, callback: "test.note", arg }));
    expect(cancelTimer(m.kernel, ids[0])).toBe(true);
    expect(cancelTimer(m.kernel, ids[0])).toBe(false);
    m.advance(10);
    expect(noted(m).map(([what]) => what)).toEqual(["timer 2", "timer 3"]);
    expect(cancelTimer(m.kernel, ids[1])).toBe(false);
    expect(m.broken()).toEqual([]);
  });

  test("interrupt a burst at their own time, before later steps", () => {
    const m = machine({ cpus: 1 });
    start(m, "endless", endless, { ns: 4 * MS });
    armTimer(m.kernel, { expiresNs: 6 * MS, callback: "test.note", arg: 6 });
    m.advance(20);
    expect(noted(m)).toHaveLength(1);
    expect(noted(m)[0][1]).toBeGreaterThanOrEqual(6 * MS);
    expect(noted(m)[0][1]).toBeLessThanOrEqual(8 * MS + 100_000);
  });

  test("of sleeping threads wake them when their time is up, never early", () => {
    const m = machine();
    for (const ms of [7, 3, 5]) start(m, `sleeper${ms}`, sleeper, { untilNs: ms * MS, what: `woke ${ms}` });
    m.advance(2.9);
    expect(noted(m)).toEqual([]);
    m.advance(10);
    expect(noted(m).map(([what]) => what)).toEqual(["woke 3", "woke 5", "woke 7"]);
    for (const [what, ns] of noted(m)) {
      const due = Number(what.split(" ")[1]) * MS;
      expect(ns).toBeGreaterThanOrEqual(due);
      expect(ns).toBeLessThan(due + 50_000);
    }
  });

  test("wait for the clock when nothing else moves it", async () => {
    const m = machine();
    armTimer(m.kernel, { expiresNs: 50 * MS, callback: "test.note", arg: 1 });
    const pid = await m.createProcess();
    for (let at = 0; at < 20; at++) m.callNow(pid, "getpid");
    expect(noted(m)).toEqual([]);
  });
});

describe("a move of the clock", () => {
  /** A kernel with work of every kind; `busy` has a thread that never rests. */
  function working(busy: boolean): CoreMachine {
    const m = machine();
    start(m, "player0", player, { me: 0 });
    start(m, "player1", player, { me: 1 });
    for (const ms of [5, 9, 17]) start(m, `sleeper${ms}`, sleeper, { untilNs: ms * MS, what: `woke ${ms}` });
    if (busy) start(m, "endless", endless, { ns: 70_000 });
    for (const ms of [3, 11, 20]) armTimer(m.kernel, { expiresNs: ms * MS, callback: "test.note", arg: ms });
    m.advance(0);
    return m;
  }

  const PARTS = [[1, 19], [10, 10], [3.3, 6.7], [9.999999, 0.000001], [0, 10], [3, 0.5, 4.5, 12]];

  test("by a and then by b leaves the bytes of one by a + b", () => {
    for (const parts of PARTS) {
      const [cut, whole] = [working(false), working(false)];
      for (const part of parts) {
        const target = cut.kernel.state.time.nowNs + part * MS;
        expect(cut.advance(part).nowNs).toBe(target);
      }
      whole.advance(parts.reduce((sum, part) => sum + part, 0));
      expectSame(cut.kernel, whole.kernel);
    }
  });

  test("in parts gives endless work as much time as one in whole, to a burst", () => {
    for (const parts of PARTS) {
      const [cut, whole] = [working(true), working(true)];
      for (const part of parts) cut.advance(part);
      whole.advance(parts.reduce((sum, part) => sum + part, 0));
      expect(cut.kernel.state.time.limitNs).toBe(whole.kernel.state.time.limitNs);
      expect(Math.abs(cut.kernel.state.time.nowNs - whole.kernel.state.time.nowNs)).toBeLessThan(parts.length * 75_000);
    }
  });

  test("reaches its time, however idle the kernel", () => {
    const m = machine();
    m.advance(1234);
    expect(m.kernel.state.time.nowNs).toBe(1234 * MS);
  });

  test("is finished before an input of a later time acts, in slices too", async () => {
    const m = machine();
    const pid = await m.createProcess();
    for (const ms of [10, 20, 30]) armTimer(m.kernel, { expiresNs: ms * MS, callback: "test.note", arg: ms });
    m.budget = 1;
    const output = m.feed({ type: "syscall", atNs: 25 * MS, pid, callId: "late", call: "getpid" });
    expect(output.ended).toMatchObject([{ callId: "late", answer: { ret: pid } }]);
    expect(noted(m).map(([what]) => what)).toEqual(["timer 10", "timer 20"]);
    expect(output.nowNs).toBeGreaterThanOrEqual(25 * MS);
    expect(output.nowNs).toBeLessThan(26 * MS);
  });

  test("is the same from a snapshot in its middle", () => {
    const m = machine();
    start(m, "endless", endless, { ns: 30_000 });
    start(m, "player0", player, { me: 0 });
    start(m, "player1", player, { me: 1 });
    const begun = copy(m.kernel);
    m.budget = 7;
    m.advance(30);
    expectSame(replay(begun, m.journal, copy), m.kernel);
  });
});

describe("wake-ups", () => {
  const exclusive = steps<{ me: number; exclusive: boolean }>("test.exclusive", {
    wait: (k, _task, { locals }) => (notes(k).left < 100 ? NEXT : sleepOn(notes(k).queues[0], { exclusive: locals.exclusive })),
    tell: (k, _task, { locals }) => {
      note(k, `woke ${locals.me}`);
      return 0;
    },
  });

  test("reach all ordinary sleepers and one exclusive one, in their order", () => {
    const m = machine({ cpus: 1 });
    for (const me of [0, 1, 2, 3]) {
      start(m, `waiter${me}`, exclusive, { me, exclusive: me === 1 || me === 2 });
      m.advance(1);
    }
    notes(m.kernel).left = 1;
    expect(wake(m.kernel, notes(m.kernel).queues[0])).toBe(3);
    m.advance(1);
    expect(noted(m).map(([what]) => what).sort()).toEqual(["woke 0", "woke 1", "woke 3"]);
    expect(wake(m.kernel, notes(m.kernel).queues[0], { nr: Infinity })).toBe(1);
    m.advance(1);
    expect(noted(m)).toHaveLength(4);
    expect(wake(m.kernel, notes(m.kernel).queues[0])).toBe(0);
  });

  test("sleeping while atomic is told, and the task sleeps all the same", () => {
    const m = machine();
    const thread = start(m, "atomic", steps<object>("test.atomic", { sleep: (k) => sleepOn(notes(k).queues[0]) }), {});
    thread.preemptCount = 1;
    m.advance(1);
    const { records } = m.kernel.state.log;
    expect(records.map(({ text }) => text)).toContain(`BUG: scheduling while atomic: atomic/${thread.tid}/0x00000002`);
    expect([thread.state, thread.preemptCount]).toEqual(["sleeping", 0]);
  });
});

describe("steps", () => {
  const leaf = steps<{ ret: number }>("test.leaf", {
    enter: (k, task, { locals }) => {
      note(k, "leaf");
      return signalPending(task) ? -4 : locals.ret;
    },
  });
  const outer = steps<{ ret: number }>("test.outer", {
    hold: (k) => {
      note(k, "hold");
      return NEXT;
    },
    nested: (_k, _task, { locals }) => ({ act: "enter", code: leaf.name, locals: { ret: locals.ret } }),
    check: (k, _task, frame) => {
      note(k, `got ${String(frame.ret)}`);
      return frame.ret === 0 ? NEXT : frame.ret;
    },
    last: () => NEXT,
  }, { undo: { check: (k) => note(k, "undone in check"), last: (k) => note(k, "undone in last") } });

  test("find what nested code answered, and undo the step that they stand in, once", () => {
    const m = machine({ cpus: 1 });
    start(m, "good", outer, { ret: 0 });
    m.advance(1);
    expect(noted(m).map(([what]) => what)).toEqual(["hold", "leaf", "got 0", "undone in last"]);
    notes(m.kernel).seen = [];
    start(m, "bad", outer, { ret: -5 });
    m.advance(1);
    expect(noted(m).map(([what]) => what)).toEqual(["hold", "leaf", "got -5", "undone in check"]);
  });

  test("charge their time to the task and its CPU", () => {
    const m = machine({ cpus: 1 });
    const busy = start(m, "busy", steps<object>("test.busy", {
      work: (k) => {
        charge(k, 12_345.9);
        return NEXT;
      },
      burst: () => run(5_000),
      rest: (k) => sleepOn(notes(k).queues[0]),
    }), {});
    m.advance(1);
    expect(taskOf(m.kernel, busy.tid).utimeNs, "the kernel's own threads have no user time").toBe(0);
    expect(busy.stimeNs).toBeGreaterThanOrEqual(17_345);
    expect(busy.stimeNs).toBeLessThan(20_000);
    expect(m.kernel.state.sched.cpus[0].systemNs).toBe(busy.stimeNs);
  });
});
