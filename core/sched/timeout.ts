/** Sleeping for a time: schedule_timeout, msleep and their like (kernel/time/timer.c). */
import type { Kernel } from "../kernel.ts";
import { now } from "../time/clock.ts";
import { jiffies, jiffiesToMsecs, MAX_SCHEDULE_TIMEOUT, msecsToJiffies } from "../time/jiffies.ts";
import { remainingJiffies, timeoutNs } from "../time/timeout.ts";
import { printk } from "./printk.ts";
import { enter, steps, to, type EnterAction } from "./steps.ts";
import type { SleepMode } from "./task.ts";
import { signalPending, sleepOn, sleepUntil } from "./wait_queue.ts";

const ERR = 3;
const NS_PER_US = 1000;
const MS_PER_SEC = 1000;

export interface TimeoutLocals {
  jiffies: number;
  mode: SleepMode;
  /** Of a sleep that has begun: when it is over, in jiffies and ns. */
  endJiffies?: number;
  untilNs?: number;
}

/** Sleeps until somebody wakes the task, a signal does, or time is up; the frame's answer is the jiffies that are left then (schedule_timeout). */
export const scheduleTimeout = steps<TimeoutLocals>("schedule_timeout", {
  begin: (k, _task, { locals }) => {
    const { jiffies: count, mode } = locals;
    if (count < 0) {
      printk(k, ERR, `schedule_timeout: wrong timeout value ${BigInt.asUintN(64, BigInt(count)).toString(16)}`);
      return 0;
    }
    if (locals.untilNs !== undefined) return left(k, locals);
    locals.endJiffies = jiffies(k) + count;
    locals.untilNs = timeoutNs(k, count);
    const options = { mode, wchan: "schedule_timeout", interrupted: count };
    return locals.untilNs < 0 ? sleepOn([], options) : sleepUntil(locals.untilNs, options);
  },
});

function left(k: Kernel, { untilNs, endJiffies = 0 }: TimeoutLocals): number {
  return untilNs === -1 ? MAX_SCHEDULE_TIMEOUT : remainingJiffies(k, endJiffies);
}

type Mode = TimeoutLocals["mode"];
const sleepFor = (count: number, mode: Mode): EnterAction => enter<TimeoutLocals>(scheduleTimeout, { jiffies: count, mode });

export const scheduleTimeoutInterruptible = (count: number): EnterAction => sleepFor(count, "interruptible");
export const scheduleTimeoutKillable = (count: number): EnterAction => sleepFor(count, "killable");
export const scheduleTimeoutUninterruptible = (count: number): EnterAction => sleepFor(count, "uninterruptible");

/** Sleeps for `ms` at least, whoever wakes it (msleep). */
export const msleep = steps<{ ms: number }>("msleep", {
  // As Linux: one more, for the jiffy that has begun.
  begin: (k, _task, { locals }) => scheduleTimeoutUninterruptible(msecsToJiffies(k, locals.ms) + 1),
  again: (_k, _task, { ret }) => (ret === 0 ? 0 : scheduleTimeoutUninterruptible(Number(ret))),
  more: () => to("again"),
});

/** The same unless a signal comes; the frame's answer is the ms that were left (msleep_interruptible). */
export const msleepInterruptible = steps<{ ms: number }>("msleep_interruptible", {
  begin: (k, _task, { locals }) => scheduleTimeoutInterruptible(msecsToJiffies(k, locals.ms) + 1),
  again: (k, task, { ret }) => {
    const count = Number(ret);
    return count === 0 || signalPending(task) ? jiffiesToMsecs(k, count) : scheduleTimeoutInterruptible(count);
  },
  more: () => to("again"),
});

/** msleep in seconds. */
export const ssleep = steps<{ seconds: number }>("ssleep", {
  sleep: (_k, _task, { locals }) => enter(msleep, { ms: locals.seconds * MS_PER_SEC }),
});

/** Sleeps for `min` µs at least and `max` at most: the clock is set to the last moment, so that one interrupt may serve several (usleep_range). */
export const usleepRange = steps<{ min: number; max: number; untilNs?: number }>("usleep_range", {
  sleep: (k, _task, { locals }) => {
    locals.untilNs ??= now(k) + Math.max(locals.min, locals.max) * NS_PER_US;
    return now(k) >= locals.untilNs ? 0 : sleepUntil(locals.untilNs, { mode: "uninterruptible", wchan: "usleep_range_state" });
  },
});
