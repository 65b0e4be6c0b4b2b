/** The wait_event family: sleeping until a condition holds, a signal comes or jiffies have passed (include/linux/wait.h). */
import { ERESTARTSYS } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { ticks } from "../time/clock.ts";
import { MAX_SCHEDULE_TIMEOUT } from "../time/jiffies.ts";
import { timeoutNs } from "../time/timeout.ts";
import type { SleepMode, Task } from "./task.ts";
import { sleepOn, timedOut, signalPending, fatalSignalPending, wake, type SleepAction, type WaitQueue } from "./wait_queue.ts";

export { MAX_SCHEDULE_TIMEOUT, timeoutNs };

/** A wait with an end: lives in a frame's locals, with `left` as the timeout in jiffies before it begins. */
export interface Timeout {
  left: number;
  /** The tick at which it is over; -1 before it has begun. */
  endTick: number;
  untilNs: number;
}

export const newTimeout = (jiffies: number): Timeout => ({ left: jiffies, endTick: -1, untilNs: -1 });

/** Jiffies that are left of it; 0 when it is over. */
export function timeoutLeft(k: Kernel, task: Task, timeout: Timeout): number {
  if (timeout.left >= MAX_SCHEDULE_TIMEOUT) return timeout.left;
  if (timeout.endTick < 0) {
    timeout.endTick = ticks(k) + timeout.left;
    timeout.untilNs = timeoutNs(k, timeout.left);
    return timeout.left;
  }
  return timedOut(task) ? 0 : Math.max(0, timeout.endTick - ticks(k));
}

/**
 * The wait_event family, from a step: sleeps on the queue until `condition` holds. Answers a sleep for the step to answer,
 * or what Linux's macro gives: the jiffies left, at least 1, when the condition holds (without a timeout: 0); 0 when time
 * was up first; -ERESTARTSYS when a signal came first. `timeout` lives in the frame's locals; null for none.
 */
function waitEventCommon(k: Kernel, task: Task, queue: WaitQueue, condition: boolean, timeout: Timeout | null, mode: SleepMode, exclusive: boolean): number | SleepAction {
  const left = timeout === null ? 0 : timeoutLeft(k, task, timeout);
  if (condition) return timeout === null ? 0 : Math.max(1, left);
  if ((mode === "interruptible" && signalPending(task)) || (mode === "killable" && fatalSignalPending(task))) return -ERESTARTSYS;
  if (timeout !== null && left === 0) return 0;
  return sleepOn(queue, { mode, exclusive, untilNs: timeout?.untilNs ?? -1, wchan: task.frames[task.frames.length - 1].code.replaceAll(/[^A-Za-z0-9_]/g, "_") });
}

/** wait_event: 0 once the condition holds. */
export const waitEvent = (k: Kernel, task: Task, queue: WaitQueue, condition: boolean): number | SleepAction =>
  waitEventCommon(k, task, queue, condition, null, "uninterruptible", false);
/** wait_event_interruptible: 0, or -ERESTARTSYS. */
export const waitEventInterruptible = (k: Kernel, task: Task, queue: WaitQueue, condition: boolean): number | SleepAction =>
  waitEventCommon(k, task, queue, condition, null, "interruptible", false);
/** wait_event_interruptible_exclusive: as one of those that are woken one at a time. */
export const waitEventInterruptibleExclusive = (k: Kernel, task: Task, queue: WaitQueue, condition: boolean): number | SleepAction =>
  waitEventCommon(k, task, queue, condition, null, "interruptible", true);
/** wait_event_killable: 0, or -ERESTARTSYS by a fatal signal. */
export const waitEventKillable = (k: Kernel, task: Task, queue: WaitQueue, condition: boolean): number | SleepAction =>
  waitEventCommon(k, task, queue, condition, null, "killable", false);
/** wait_event_timeout: jiffies left, at least 1, or 0. */
export const waitEventTimeout = (k: Kernel, task: Task, queue: WaitQueue, condition: boolean, timeout: Timeout): number | SleepAction =>
  waitEventCommon(k, task, queue, condition, timeout, "uninterruptible", false);
/** wait_event_interruptible_timeout: jiffies left, at least 1, 0, or -ERESTARTSYS. */
export const waitEventInterruptibleTimeout = (k: Kernel, task: Task, queue: WaitQueue, condition: boolean, timeout: Timeout): number | SleepAction =>
  waitEventCommon(k, task, queue, condition, timeout, "interruptible", false);
export const waitEventKillableTimeout = (k: Kernel, task: Task, queue: WaitQueue, condition: boolean, timeout: Timeout): number | SleepAction =>
  waitEventCommon(k, task, queue, condition, timeout, "killable", false);

/** wake_up and its fellows: all ordinary sleepers, and one, `nr` or all of the exclusive ones. How many woke. */
export const wakeUp = (k: Kernel, queue: WaitQueue): number => wake(k, queue);
export const wakeUpNr = (k: Kernel, queue: WaitQueue, nr: number): number => wake(k, queue, { nr });
export const wakeUpAll = (k: Kernel, queue: WaitQueue): number => wake(k, queue, { nr: Infinity });
/** Of those only that a signal could wake too; killable and uninterruptible sleeps go on. */
export const wakeUpInterruptible = (k: Kernel, queue: WaitQueue): number => wake(k, queue, { interruptible: true });
export const wakeUpInterruptibleNr = (k: Kernel, queue: WaitQueue, nr: number): number => wake(k, queue, { nr, interruptible: true });
export const wakeUpInterruptibleAll = (k: Kernel, queue: WaitQueue): number => wake(k, queue, { nr: Infinity, interruptible: true });
