/** Sleeping for a time, and waiting without sleeping: what is left, and when they end. */
import { machine, MS, note, seen, thread, used } from "./actors.ts";
import { describe, expect, test } from "vitest";
import type { Kernel } from "../../../core/kernel.ts";
import { mdelay, ndelay, udelay } from "../../../core/sched/delay.ts";
import { enter, NEXT, steps } from "../../../core/sched/steps.ts";
import { msleep, msleepInterruptible, scheduleTimeout, ssleep, usleepRange, type TimeoutLocals } from "../../../core/sched/timeout.ts";
import { wakeTask } from "../../../core/sched/wait_queue.ts";
import { now } from "../../../core/time/clock.ts";
import { MAX_SCHEDULE_TIMEOUT } from "../../../core/time/jiffies.ts";

const JIFFY = 4 * MS;

const sleeping = steps<TimeoutLocals>("test.timeout.jiffies", {
  sleep: (_k, _task, { locals }) => enter(scheduleTimeout, { jiffies: locals.jiffies, mode: locals.mode }),
  tell: (k, _task, { ret }) => {
    note(k, `left ${String(ret)}`);
    return 0;
  },
});
const milliseconds = steps<{ ms: number; interruptible: boolean }>("test.timeout.ms", {
  sleep: (_k, _task, { locals }) => enter(locals.interruptible ? msleepInterruptible : msleep, { ms: locals.ms }),
  tell: (k, _task, { ret }) => {
    note(k, `left ${String(ret)}`);
    return 0;
  },
});
const others = steps<object>("test.timeout.others", {
  begin: () => enter(usleepRange, { min: 100, max: 250 }),
  slept: (k) => {
    note(k, "usleep");
    return enter(ssleep, { seconds: 1 });
  },
  again: (k) => {
    note(k, "ssleep");
    return 0;
  },
});

const jiffiesOf = (k: Kernel): [string, number][] => seen(k).map(([what, ns]) => [what, Math.floor(ns / JIFFY)]);

describe("schedule_timeout", () => {
  test.each([[0, 1], [1, 2], [25, 26], [63, 64], [64, 72], [1000, 1024]])("of %i jiffies ends at tick %i", (count, tick) => {
    const m = machine({ cpus: 1 });
    thread(m, "sleeper", sleeping, { jiffies: count, mode: "uninterruptible" });
    m.advance(6000);
    expect(seen(m.kernel)).toHaveLength(1);
    expect(seen(m.kernel)[0][0]).toBe("left 0");
    // The wheel's rounding depends on where its jiffies began.
    expect(jiffiesOf(m.kernel)[0][1]).toBeGreaterThan(count);
    expect(jiffiesOf(m.kernel)[0][1]).toBeLessThanOrEqual(tick);
  });

  test("tells what is left when somebody wakes it", () => {
    const m = machine({ cpus: 1 });
    const task = thread(m, "sleeper", sleeping, { jiffies: 100, mode: "uninterruptible" });
    m.advance(99);
    wakeTask(m.kernel, task);
    m.advance(1);
    expect(seen(m.kernel)[0][0]).toBe("left 76");
  });

  test("without end lasts until then, and tells so", () => {
    const m = machine({ cpus: 1 });
    const task = thread(m, "sleeper", sleeping, { jiffies: MAX_SCHEDULE_TIMEOUT, mode: "uninterruptible" });
    m.advance(1_000_000);
    expect(seen(m.kernel)).toEqual([]);
    wakeTask(m.kernel, task);
    m.advance(1);
    expect(seen(m.kernel)[0][0]).toBe(`left ${MAX_SCHEDULE_TIMEOUT}`);
  });

  test("of less than nothing is a mistake that the log tells of", () => {
    const m = machine({ cpus: 1 });
    thread(m, "sleeper", sleeping, { jiffies: -1, mode: "interruptible" });
    m.advance(1);
    expect(seen(m.kernel)[0][0]).toBe("left 0");
    expect(m.kernel.state.log.records.at(-1)?.text).toContain("schedule_timeout: wrong timeout value ffffffffffffffff");
  });
});

describe("msleep", () => {
  test("lasts a jiffy more than its time, and the wheel's one", () => {
    const m = machine({ cpus: 1 });
    m.advance(0);
    thread(m, "sleeper", milliseconds, { ms: 20, interruptible: false });
    m.advance(100);
    expect(jiffiesOf(m.kernel)).toEqual([["left 0", 5 + 1 + 1]]);
  });

  test("sleeps on when it is woken, and only the interruptible one ends with a signal", () => {
    const m = machine({ cpus: 1 });
    const [deaf, light] = [false, true].map((interruptible) => thread(m, interruptible ? "light" : "deaf", milliseconds, { ms: 100, interruptible }));
    m.advance(41);
    for (const task of [deaf, light]) wakeTask(m.kernel, task);
    m.advance(1);
    expect(seen(m.kernel)).toEqual([]);
    for (const task of [deaf, light]) {
      task.signalPending = true;
      if (task.sleep?.mode === "interruptible") wakeTask(m.kernel, task);
    }
    m.advance(1);
    expect(seen(m.kernel).map(([what]) => what)).toEqual([`left ${(26 - 10) * 4}`]);
    m.advance(100);
    expect(jiffiesOf(m.kernel).at(-1)).toEqual(["left 0", 27]);
  });
});

test("usleep_range ends at its last moment to the nanosecond, ssleep after whole seconds", () => {
  const m = machine({ cpus: 1 });
  thread(m, "sleeper", others, {});
  m.advance(2000);
  const [[, first], [, second]] = seen(m.kernel);
  expect(first).toBeGreaterThanOrEqual(250_000);
  expect(first).toBeLessThan(260_000);
  expect(second - first).toBeGreaterThanOrEqual(1000 * MS);
  expect(second - first).toBeLessThan(1040 * MS);
});

test("a delay keeps the CPU for its time, system time of whoever waits so", () => {
  const m = machine({ cpus: 1 });
  let took: number[] = [];
  const task = thread(m, "busy", steps<object>("test.timeout.delay", {
    wait: (k) => {
      const began = now(k);
      ndelay(k, 300);
      const between = now(k);
      udelay(k, 20);
      const after = now(k);
      mdelay(k, 3);
      took = [between - began, after - between, now(k) - after];
      return NEXT;
    },
  }), {});
  m.advance(20);
  expect(took).toEqual([300, 20_000, 3 * MS]);
  expect(used(task)).toBeGreaterThanOrEqual(3_020_300);
  expect(task.utimeNs).toBe(0);
});
