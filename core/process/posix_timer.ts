/** Timers of timer_create(2): on the clocks of the machine and on CPU time, told by a signal each. */
import { SI_TIMER } from "../abi/signal.ts";
import { CLOCK_BOOTTIME, CLOCK_MONOTONIC } from "../abi/time.ts";
import { INT_MAX } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { recalcSignalPending, sendSignal, sendSignalToTask, TIMER_SIGNAL, type PendingSignal } from "../sched/signal.ts";
import { taskOf, type Task, type ThreadGroup } from "../sched/task.ts";
import { now, tickNs } from "../time/clock.ts";
import { armTimer, cancelTimer, timerCallback } from "../time/timer.ts";
import { nextLook } from "./cpu_timer.ts";
import { cpuClockNs, isCpuClock } from "./clocks.ts";

export interface PosixTimer {
  id: number;
  /** CLOCK_ number; of CPU time the id that names its process or thread in full. */
  clock: number;
  /** The thread that gets the signal, 0 for the process. */
  tid: number;
  /** 0 tells nobody (SIGEV_NONE). */
  signal: number;
  value: number | bigint;
  periodNs: number;
  /** When it expires: kernel time, or CPU time for a CPU clock; -1 when disarmed. */
  untilNs: number;
  /** The kernel timer, 0 for none. */
  timer: number;
  lookNs: number;
  /** Periods that passed before the last signal was taken. */
  overrun: number;
}

/**
 * Differs from Linux: a timer's signals are so far apart at least, ns. A shorter period counts on as overruns, which a busy program would
 * see all the same; a nanosecond's would otherwise keep the machine at nothing but its signals.
 */
export const LEAST_NS = 100_000;

/** Mark of a timer's signal that stands for nothing any more: the timer was set again, or deleted. */
const PAST = -1;

/** tgid < 2^15 and id together: what the kernel timer carries. */
const PIDS = 32768;

/** The timer's own clock, ns; for a CPU clock what has been used, 0 when whose it is has gone. */
function clockNs(k: Kernel, timer: PosixTimer): number {
  return isCpuClock(timer.clock) ? (cpuClockNs(k, timer.clock) ?? 0) : now(k);
}

/** An absolute time of the timer's clock as `untilNs` counts: kernel time for the clocks of the machine. */
function toKernelTime(k: Kernel, clock: number, atNs: bigint): number {
  const { realtimeOffsetNs, suspendedNs } = k.state.time;
  if (clock === CLOCK_MONOTONIC || isCpuClock(clock)) return Number(atNs);
  return Number(atNs - (clock === CLOCK_BOOTTIME ? BigInt(suspendedNs) : realtimeOffsetNs));
}

/** Arms a timer at `valueNs` from now or, if `absolute`, at that time of its clock; 0 disarms it. */
export function setPosixTimer(k: Kernel, group: ThreadGroup, timer: PosixTimer, valueNs: bigint, periodNs: number, absolute: boolean): void {
  if (timer.timer !== 0) cancelTimer(k, timer.timer);
  timer.timer = 0;
  timer.overrun = 0;
  // A signal that already waits for this timer belongs to its past.
  for (const queue of queuesOf(k, group, timer)) {
    const at = queue.findIndex((signal) => isOf(signal, timer));
    if (at >= 0) queue[at].status = PAST;
  }
  timer.periodNs = valueNs === 0n ? 0 : periodNs;
  if (valueNs === 0n) timer.untilNs = -1;
  else {
    timer.untilNs = absolute ? Math.max(0, toKernelTime(k, timer.clock, valueNs)) : clockNs(k, timer) + Number(valueNs);
    arm(k, group, timer, false);
  }
}

/** Time to go and period, ns. */
export function getPosixTimer(k: Kernel, timer: PosixTimer): { valueNs: number; intervalNs: number } {
  if (timer.untilNs < 0) return { valueNs: 0, intervalNs: timer.periodNs };
  const at = clockNs(k, timer);
  let until = timer.untilNs;
  if (until <= at && timer.periodNs > 0) until += (Math.floor((at - until) / timer.periodNs) + 1) * timer.periodNs;
  if (until > at) return { valueNs: until - at, intervalNs: timer.periodNs };
  // As Linux: expired but not yet told shows 1 ns, told or silent shows 0.
  return { valueNs: timer.signal === 0 || timer.timer === 0 ? 0 : 1, intervalNs: timer.periodNs };
}

function arm(k: Kernel, group: ThreadGroup, timer: PosixTimer, idle: boolean): void {
  if (timer.signal === 0) return;
  let expiresNs = timer.untilNs;
  if (isCpuClock(timer.clock)) {
    const look = nextLook(k, timer.untilNs - clockNs(k, timer), group.threads.length, idle, timer.lookNs);
    timer.lookNs = look.lookNs;
    expiresNs = look.atNs;
  }
  timer.timer = armTimer(k, { expiresNs, callback: "posix.timer", arg: timer.id * PIDS + group.tgid });
}

/** A timer's own signal, and no look-alike that a process has made up. */
function isOf(signal: PendingSignal, timer: PosixTimer): boolean {
  return signal.code === SI_TIMER && signal.status !== 0 && signal.pid === timer.id;
}

/** The thread that alone gets the signal; null when it has ended, and its number may be another's. */
function threadOf(k: Kernel, group: ThreadGroup, { tid }: PosixTimer): Task | null {
  return group.threads.includes(tid) ? taskOf(k, tid) : null;
}

function queuesOf(k: Kernel, group: ThreadGroup, timer: PosixTimer): PendingSignal[][] {
  const task = threadOf(k, group, timer);
  return task === null ? [group.pending] : [task.pending, group.pending];
}

timerCallback("posix.timer", (k, arg) => {
  const group = k.state.sched.groups.get(arg % PIDS);
  const timer = group?.posixTimers.find(({ id }) => id === Math.floor(arg / PIDS));
  if (group === undefined || timer === undefined) return;
  timer.timer = 0;
  if (isCpuClock(timer.clock) && clockNs(k, timer) < timer.untilNs) {
    arm(k, group, timer, group.threads.every((tid) => k.state.sched.tasks.get(tid)?.state !== "runnable"));
    return;
  }
  if (queuesOf(k, group, timer).some((queue) => queue.some((signal) => isOf(signal, timer)))) return;
  const info = { code: SI_TIMER, pid: timer.id, value: timer.value, status: TIMER_SIGNAL };
  const task = threadOf(k, group, timer);
  // As Linux: a timer stops whose thread is gone.
  if (timer.tid !== 0 && task === null) return;
  if (task === null) sendSignal(k, group.tgid, timer.signal, info);
  else sendSignalToTask(k, task, timer.signal, info);
  const queued = queuesOf(k, group, timer).some((queue) => queue.some((signal) => isOf(signal, timer)));
  // An ignored signal is never taken: the timer goes on by itself, a tick at a time at most.
  if (!queued && timer.timer === 0 && timer.periodNs > 0) forward(k, group, timer, tickNs(k));
});

/** Moves a periodic timer to its next expiry, at least `leastNs` away, and arms it; how many expiries were skipped. */
function forward(k: Kernel, group: ThreadGroup, timer: PosixTimer, leastNs = 0): number {
  const at = clockNs(k, timer);
  if (timer.untilNs > at) return 0;
  const periods = Math.max(Math.floor((at - timer.untilNs) / timer.periodNs) + 1, Math.ceil(leastNs / timer.periodNs));
  timer.untilNs += periods * timer.periodNs;
  arm(k, group, timer, false);
  return periods - 1;
}

/** A timer's signal was taken from its queue: says how many expiries it stands for, and arms a periodic timer again. */
export function posixSignalTaken(k: Kernel, group: ThreadGroup, signal: PendingSignal): boolean {
  if (signal.code !== SI_TIMER || signal.status === 0) return false;
  const timer = group.posixTimers.find(({ id }) => id === signal.pid);
  if (timer === undefined || signal.status === PAST) {
    signal.status = 0;
    return true;
  }
  timer.overrun = timer.periodNs === 0 ? 0 : Math.min(forward(k, group, timer, LEAST_NS), INT_MAX);
  if (timer.periodNs === 0) timer.untilNs = -1;
  signal.uid = timer.overrun;
  return true;
}

export function dropPosixTimer(k: Kernel, group: ThreadGroup, timer: PosixTimer): void {
  if (timer.timer !== 0) cancelTimer(k, timer.timer);
  group.posixTimers.splice(group.posixTimers.indexOf(timer), 1);
  for (const queue of queuesOf(k, group, timer)) for (const signal of queue) if (isOf(signal, timer)) signal.status = PAST;
}

export function dropPosixTimers(k: Kernel, group: ThreadGroup): void {
  for (const timer of [...group.posixTimers]) dropPosixTimer(k, group, timer);
}

/** Another program begins: no timer's signal of the old one reaches it (flush_itimer_signals). */
export function flushTimerSignals(k: Kernel, task: Task, group: ThreadGroup): void {
  task.pending = task.pending.filter(({ code }) => code !== SI_TIMER);
  group.pending = group.pending.filter(({ code }) => code !== SI_TIMER);
  recalcSignalPending(k, task);
}
