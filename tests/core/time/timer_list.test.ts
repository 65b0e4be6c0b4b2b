/** Kernel timers on their wheel: what the calls answer, when timers fire, and in which order. */
import { CoreMachine } from "../../helpers/core.ts";
import { describe, expect, test } from "vitest";
import type { Kernel } from "../../../core/kernel.ts";
import { inServingSoftirq } from "../../../core/sched/preempt.ts";
import { jiffies, msecsToJiffies } from "../../../core/time/jiffies.ts";
import {
  addTimer, addTimerOn, delTimer, delTimerSync, freeTimer, modTimer, modTimerPending, timerExpires, timerFunction, timerPending, timerReduce, timersOf,
  timerSetup, timerShutdown,
} from "../../../core/time/timer_list.ts";
import { timeoutNs } from "../../../core/time/timeout.ts";
import { calcWheelIndex } from "../../../core/time/wheel.ts";
import { copy, expectSame } from "../../helpers/replay.ts";

interface Notes {
  fired: { arg: number; jiffy: number; ns: number; cpu: number; softirq: boolean }[];
  again: number;
}

const notes = (k: Kernel): Notes => k.state.labs.get("test") as Notes;

timerFunction("test.fire", (k, arg) => {
  notes(k).fired.push({ arg, jiffy: jiffies(k), ns: k.state.time.nowNs, cpu: k.turn.cpu, softirq: inServingSoftirq(k) });
});
timerFunction("test.again", (k, arg, timer) => {
  notes(k).fired.push({ arg, jiffy: jiffies(k), ns: k.state.time.nowNs, cpu: k.turn.cpu, softirq: inServingSoftirq(k) });
  if (notes(k).again-- > 0) modTimer(k, timer, jiffies(k) + arg);
});
timerFunction("test.drop", (k, arg) => {
  if (timerPending(k, arg)) delTimer(k, arg);
});

function machine(options = {}): CoreMachine {
  const m = new CoreMachine({ ramMiB: 16, swapMiB: 0, cpus: 1, ...options });
  m.kernel.state.labs.set("test", { fired: [], again: 0 } satisfies Notes);
  return m;
}

const fired = (m: CoreMachine): number[] => notes(m.kernel).fired.map(({ arg }) => arg);

describe("the calls", () => {
  test("answer as recorded", () => {
    const { kernel: k } = machine();
    const timer = timerSetup(k, "test.fire", { arg: 1 });
    expect(timerPending(k, timer)).toBe(false);
    expect(modTimer(k, timer, jiffies(k) + 250)).toBe(0);
    expect(modTimer(k, timer, jiffies(k) + 500)).toBe(1);
    expect(timerPending(k, timer)).toBe(true);
    expect(delTimer(k, timer)).toBe(1);
    expect(delTimer(k, timer)).toBe(0);
    expect(delTimerSync(k, timer)).toBe(0);
  });

  test("mod_timer_pending and timer_reduce touch only what is pending, or later", () => {
    const { kernel: k } = machine();
    const timer = timerSetup(k, "test.fire");
    const from = jiffies(k);
    expect(modTimerPending(k, timer, from + 10)).toBe(0);
    expect(timerPending(k, timer)).toBe(false);
    expect(timerReduce(k, timer, from + 50)).toBe(0);
    expect(timerReduce(k, timer, from + 90)).toBe(1);
    expect(timerExpires(k, timer)).toBe(from + 50);
    expect(timerReduce(k, timer, from + 20)).toBe(1);
    expect(timerExpires(k, timer)).toBe(from + 20);
    expect(modTimerPending(k, timer, from + 70)).toBe(1);
    expect(timerExpires(k, timer)).toBe(from + 70);
  });

  test("a timer that is shut down is never armed again", () => {
    const m = machine();
    const { kernel: k } = m;
    const timer = timerSetup(k, "test.fire");
    modTimer(k, timer, jiffies(k) + 2);
    expect(timerShutdown(k, timer)).toBe(1);
    expect(modTimer(k, timer, jiffies(k) + 2)).toBe(0);
    addTimer(k, timer, jiffies(k) + 2);
    expect(timerPending(k, timer)).toBe(false);
    m.advance(100);
    expect(fired(m)).toEqual([]);
  });

  test("add_timer of a pending timer is a bug", () => {
    const { kernel: k } = machine();
    const timer = timerSetup(k, "test.fire");
    addTimer(k, timer, jiffies(k) + 2);
    expect(() => { addTimer(k, timer, jiffies(k) + 3); }).toThrow(/pending/);
  });

  test("tell what a module left behind, and free it", () => {
    const { kernel: k } = machine();
    const [mine, other] = ["simrupt", "kxo"].map((owner) => timerSetup(k, "test.fire", { owner }));
    modTimer(k, mine, jiffies(k) + 9);
    expect(timersOf(k, "simrupt")).toEqual([{ id: mine, func: "test.fire", pending: true, expires: jiffies(k) + 9 }]);
    freeTimer(k, mine);
    expect(timersOf(k, "simrupt")).toEqual([]);
    expect(timersOf(k, "kxo").map(({ id }) => id)).toEqual([other]);
  });
});

describe("a timer", () => {
  test("of 100 ms that arms itself again fires every 26 jiffies at HZ 250, in softirq context", () => {
    const m = machine();
    const { kernel: k } = m;
    notes(k).again = 5;
    const from = jiffies(k);
    const timer = timerSetup(k, "test.again", { arg: msecsToJiffies(k, 100) });
    modTimer(k, timer, from + 25);
    m.advance(900);
    expect(notes(k).fired.map(({ jiffy }) => jiffy - from)).toEqual([26, 52, 78, 104, 130, 156]);
    expect(notes(k).fired.every(({ softirq }) => softirq)).toBe(true);
    expect(notes(k).fired.map(({ ns }) => ns / 4_000_000)).toEqual([26, 52, 78, 104, 130, 156]);
    expect(delTimerSync(k, timer)).toBe(0);
  });

  test("of 50 ms comes every 14 jiffies, and HZ/20 nineteen times a second", () => {
    for (const [count, period] of [[13, 14], [12, 13]]) {
      const m = machine();
      const { kernel: k } = m;
      notes(k).again = 1000;
      modTimer(k, timerSetup(k, "test.again", { arg: count }), jiffies(k) + count);
      m.advance(1000);
      expect(fired(m)).toHaveLength(Math.floor(250 / period));
    }
  });

  test("armed for what is past fires at the next tick", () => {
    const m = machine();
    const { kernel: k } = m;
    m.advance(10);
    const from = jiffies(k);
    modTimer(k, timerSetup(k, "test.fire"), from - 5);
    m.advance(1);
    expect(fired(m)).toEqual([]);
    m.advance(3);
    expect(notes(k).fired.map(({ jiffy }) => jiffy - from)).toEqual([1]);
  });

  test.each([100, 250, 300, 1000])("is never early, and late by an eighth of its time at most, at HZ %i", (hz) => {
    const m = machine({ hz });
    const { kernel: k } = m;
    m.advance(123);
    const from = jiffies(k);
    const spans = [0, 1, 2, 61, 62, 63, 64, 100, 503, 504, 505, 1000, 4031, 4032, 5000, 9999];
    for (const span of spans) modTimer(k, timerSetup(k, "test.fire", { arg: span }), from + span);
    m.advance(130_000);
    expect(fired(m).sort((a, b) => a - b)).toEqual(spans);
    for (const { arg, jiffy } of notes(k).fired) {
      expect(jiffy - from, `of ${arg}`).toBeGreaterThan(arg);
      expect(jiffy - from, `of ${arg}`).toBeLessThanOrEqual(arg + 1 + Math.floor(arg / 7.8));
      expect(jiffy, `of ${arg}`).toBe(calcWheelIndex(from + arg, from, hz).expiry);
    }
  });

  test("crosses the wrap of 32 bits without noticing", () => {
    const m = machine();
    const { kernel: k } = m;
    notes(k).again = 1_000_000;
    modTimer(k, timerSetup(k, "test.again", { arg: 25 }), jiffies(k) + 25);
    m.advance(299_000);
    const before = fired(m).length;
    m.advance(2000);
    const around = notes(k).fired.slice(before - 2).map(({ jiffy }) => jiffy);
    for (let at = 1; at < around.length; at++) expect(around[at] - around[at - 1]).toBe(26);
    expect(around.at(-1)).toBeGreaterThan(2 ** 32);
  });

  test("of a CPU fires there", () => {
    const m = machine({ cpus: 4 });
    for (const cpu of [3, 1, 2]) addTimerOn(m.kernel, timerSetup(m.kernel, "test.fire", { arg: cpu }), jiffies(m.kernel) + 5, cpu);
    m.advance(30);
    expect(notes(m.kernel).fired.map(({ cpu }) => cpu)).toEqual([1, 2, 3]);
    expect(fired(m)).toEqual([1, 2, 3]);
  });

  test("that another one deletes as both are due does not fire", () => {
    const m = machine();
    const { kernel: k } = m;
    const victim = timerSetup(k, "test.fire", { arg: 7 });
    const killer = timerSetup(k, "test.drop", { arg: victim });
    modTimer(k, victim, jiffies(k) + 4);
    modTimer(k, killer, jiffies(k) + 4); // armed last, fired first
    m.advance(100);
    expect(fired(m)).toEqual([]);
    expect(m.broken()).toEqual([]);
  });
});

describe("timers that are due together", () => {
  test("fire the last one armed first, and those of coarser levels before", () => {
    const m = machine();
    const { kernel: k } = m;
    m.advance(4);
    const from = jiffies(k);
    const far = calcWheelIndex(from + 100, from, 250).expiry;
    modTimer(k, timerSetup(k, "test.fire", { arg: 1 }), from + 100);
    m.advance((far - from - 20) * 4);
    for (const arg of [2, 3, 4]) modTimer(k, timerSetup(k, "test.fire", { arg }), far - 1);
    m.advance(200);
    expect(fired(m)).toEqual([1, 4, 3, 2]);
    expect(new Set(notes(k).fired.map(({ jiffy }) => jiffy)).size).toBe(1);
  });

  test("of one bucket keep their place when they are moved within it", () => {
    const m = machine();
    const { kernel: k } = m;
    const from = jiffies(k);
    const timers = [1, 2, 3].map((arg) => timerSetup(k, "test.fire", { arg }));
    for (const timer of timers) modTimer(k, timer, from + 104);
    expect(modTimer(k, timers[0], from + 105), "both are due at the jiffy that eight divides").toBe(1);
    m.advance(600);
    expect(fired(m)).toEqual([3, 2, 1]);
  });
});

describe("many timers", () => {
  test("all fire once, none early, whatever is armed, moved and deleted meanwhile; the same from a snapshot", () => {
    const m = machine({ cpus: 2 });
    const { kernel: k } = m;
    let random = 12345;
    const below = (limit: number): number => {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0;
      return (random >>> 8) % limit;
    };
    const due = new Map<number, number>();
    const timers = Array.from({ length: 300 }, (_, arg) => timerSetup(k, "test.fire", { arg }));
    for (let round = 0; round < 300; round++) {
      for (let at = 0; at < 20; at++) {
        const arg = below(300);
        if (below(4) === 0) {
          expect(delTimer(k, timers[arg]) === 1).toBe(due.delete(arg));
        } else {
          const expires = jiffies(k) + (below(3) === 0 ? below(3000) : below(80));
          expect(modTimer(k, timers[arg], expires) === 1).toBe(due.has(arg));
          due.set(arg, expires);
        }
      }
      const before = notes(k).fired.length;
      m.advance(below(40));
      for (const { arg, jiffy } of notes(k).fired.slice(before)) {
        expect(due.get(arg), `timer ${arg} was armed`).toBeDefined();
        expect(jiffy).toBeGreaterThan(due.get(arg) ?? Infinity);
        due.delete(arg);
      }
      expect(timers.filter((timer) => timerPending(k, timer))).toHaveLength(due.size);
    }
    expect(notes(k).fired.length).toBeGreaterThan(1000);
    const other = copy(k);
    m.advance(20_000);
    expect(due.size).toBeGreaterThan(0);
    const twin = machine({ cpus: 2 });
    twin.kernel = other;
    twin.advance(20_000);
    expectSame(twin.kernel, m.kernel);
    expect(timers.some((timer) => timerPending(k, timer))).toBe(false);
  });
});

describe("a timeout in jiffies", () => {
  test("ends when a timer for it would fire", () => {
    const m = machine();
    m.advance(10);
    expect(timeoutNs(m.kernel, 25)).toBe((2 + 26) * 4_000_000);
    expect(timeoutNs(m.kernel, 0)).toBe(3 * 4_000_000);
    expect(timeoutNs(m.kernel, Number.MAX_SAFE_INTEGER)).toBe(-1);
  });
});
