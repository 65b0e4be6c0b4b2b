/** Wait queues: who sleeps on what, and waking them (wait.h). A queue is an id; its record exists only while somebody sleeps. */
import { ERESTARTSYS } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { taskOf, type SleepMode, type Task } from "./task.ts";
import { armTimer, cancelTimer, timerCallback } from "../time/timer.ts";
import { charge, costs } from "./cost.ts";
import { watchSleep } from "./hung_task.ts";
import { sampleLoad } from "./loadavg.ts";
import { enqueue } from "./run_queue.ts";
import { now } from "../time/clock.ts";

export type WaitQueue = number;

export interface Waiter {
  /** The sleeper; 0 for a callback. */
  tid: number;
  exclusive: boolean;
  /** Name of what a wake-up calls instead (epoll), "" for a sleeper; and its argument. */
  callback: string;
  arg: number;
}

/** Runs in whatever context wakes the queue; `key`: see wake. Answers whether it counts as woken. */
export type WakeCallback = (k: Kernel, arg: number, key: number) => boolean;

const wakeCallbacks = new Map<string, WakeCallback>();

/** Registers what a wake-up may call; it never sleeps. */
export function wakeCallback(name: string, callback: WakeCallback): void {
  assert(!wakeCallbacks.has(name), `two wake callbacks named ${name}`);
  wakeCallbacks.set(name, callback);
}

/** Puts a callback on a queue, ahead of all that stand there unless it is exclusive; it stays until it is taken off (add_wait_queue). */
export function addWaitCallback(k: Kernel, queue: WaitQueue, callback: string, arg: number, exclusive = false): void {
  const waiter: Waiter = { tid: 0, exclusive, callback, arg };
  const waiters = k.state.sched.waitQueues.get(queue);
  if (waiters === undefined || exclusive) addWaiter(k, queue, waiter);
  else waiters.unshift(waiter);
}

export function removeWaitCallback(k: Kernel, queue: WaitQueue, callback: string, arg: number): void {
  keepWaiters(k, queue, (waiter) => waiter.tid !== 0 || waiter.callback !== callback || waiter.arg !== arg);
}

function addWaiter(k: Kernel, queue: WaitQueue, waiter: Waiter): void {
  const waiters = k.state.sched.waitQueues.get(queue);
  if (waiters === undefined) k.state.sched.waitQueues.set(queue, [waiter]);
  else waiters.push(waiter);
}

export interface SleepOptions {
  /** Absolute kernel time in ns, -1 for no limit; the woken step asks `timedOut(task)`. */
  untilNs?: number;
  /** interruptible when absent. */
  mode?: SleepMode;
  /** Woken one at a time, after all others. */
  exclusive?: boolean;
  /** The kernel function that sleeps, for /proc/PID/wchan. */
  wchan?: string;
  /** It waits for a disk: its CPU counts as waiting for it too, and no step hears that time was up. */
  io?: boolean;
  /** What the frame answers when a signal ends or forbids the sleep; -ERESTARTSYS when absent. */
  interrupted?: number;
}

/** The answer of a step: sleep on these queues, then run the step again from its first line. */
export interface SleepAction extends Required<SleepOptions> {
  act: "sleep";
  queues: WaitQueue[];
}

/** A fresh queue; it needs no freeing. */
export function newWaitQueue(k: Kernel): WaitQueue {
  return k.state.sched.nextWaitQueue++;
}

/** Answers a step with a sleep; an interruptible one that finds a signal pending ends the frame with `interrupted`. */
export function sleepOn(queue: WaitQueue | WaitQueue[], {
  untilNs = -1, mode = "interruptible", exclusive = false, wchan = "0", io = false, interrupted = -ERESTARTSYS,
}: SleepOptions = {}): SleepAction {
  // All of one shape: what looks at actions is quick with few shapes alone.
  return { act: "sleep", queues: typeof queue === "number" ? [queue] : queue, untilNs, mode, exclusive, wchan, io, interrupted };
}

/** Sleeps until `untilNs`, or for ever, with nobody to wake it but a signal and the clock. */
export function sleepUntil(untilNs: number, options?: SleepOptions): SleepAction {
  return sleepOn([], { ...options, untilNs });
}

/** The number that an interrupted sleep gives its frame. */
export function interruptedBy({ interrupted }: SleepAction): number {
  return interrupted;
}

/** Whether this sleep must not begin because a signal waits. */
export function sleepForbidden(task: Task, { mode }: SleepAction): boolean {
  if (!task.signalPending) return false;
  return mode === "interruptible" || (mode === "killable" && fatalSignalPending(task));
}

/** khungtaskd's shortest timeout is a second: what ends by itself before cannot hang. */
const BRIEF_NS = 1_000_000_000;

/** Puts the task to sleep; the caller has asked `sleepForbidden`. */
export function beginSleep(k: Kernel, task: Task, action: SleepAction): void {
  const { queues, mode, exclusive, untilNs, wchan, io } = action;
  for (const queue of queues) addWaiter(k, queue, { tid: task.tid, exclusive, callback: "", arg: 0 });
  sampleLoad(k); // up to here it ran
  if (mode === "uninterruptible" && (untilNs < 0 || untilNs > now(k) + BRIEF_NS)) watchSleep(k);
  const timer = untilNs < 0 ? 0 : armTimer(k, { expiresNs: untilNs, callback: io ? "sleep.io" : "sleep.timeout", arg: task.tid });
  const ioCpu = io ? task.cpu : -1;
  if (ioCpu >= 0) k.state.sched.cpus[ioCpu].ioWaiters++;
  task.sleep = { queues, mode, untilNs, timer, sinceNs: now(k), wchan, ioCpu };
  task.state = "sleeping";
  task.timedOut = false;
  task.voluntarySwitches++;
  if (task.worker) k.tables.hooks.workerSleeping(k, task);
}

/** Takes a sleeping task off its queues and lets it run from now on. */
export function wakeTask(k: Kernel, task: Task): void {
  const sleep = task.sleep;
  if (sleep === null) return;
  for (const queue of sleep.queues) leave(k, queue, task.tid);
  if (sleep.timer !== 0) cancelTimer(k, sleep.timer);
  if (sleep.ioCpu >= 0) k.state.sched.cpus[sleep.ioCpu].ioWaiters--;
  task.sleep = null;
  charge(k, costs(k).wakeNs);
  enqueue(k, task);
  if (task.worker) k.tables.hooks.workerRunning(k, task);
}

/**
 * Wakes all ordinary sleepers of a queue and up to `nr` exclusive ones (1 when absent, Infinity for all).
 * `key`: the POLL bits that became true, so that epoll wakes only for what it waits for; 0 for "anything".
 * `interruptible`: those that no signal could wake sleep on. Answers how many woke.
 */
export function wake(
  k: Kernel, queue: WaitQueue, { nr = 1, key = 0, interruptible = false }: { nr?: number; key?: number; interruptible?: boolean } = {},
): number {
  const waiters = k.state.sched.waitQueues.get(queue);
  if (waiters === undefined) return 0;
  let woken = 0;
  for (const { tid, exclusive, callback, arg } of [...waiters]) {
    if (exclusive && nr <= 0) continue;
    if (interruptible && tid !== 0 && taskOf(k, tid).sleep?.mode !== "interruptible") continue;
    if (tid !== 0) wakeTask(k, taskOf(k, tid));
    else if (!must(wakeCallbacks, callback)(k, arg, key)) continue;
    if (exclusive) nr--;
    woken++;
  }
  return woken;
}

/** Whether anybody sleeps on the queue (waitqueue_active). */
export function hasSleepers(k: Kernel, queue: WaitQueue): boolean {
  return k.state.sched.waitQueues.has(queue);
}

/** The last sleep of the running step ended because its time was up. */
export function timedOut(task: Task): boolean {
  return task.timedOut;
}

/** An unblocked signal waits for the task (signal_pending). */
export function signalPending(task: Task): boolean {
  return task.signalPending;
}

/** SIGKILL waits for the task (fatal_signal_pending). */
export function fatalSignalPending(task: Task): boolean {
  return task.signalPending && task.pending.some((signal) => signal.number === 9);
}

function leave(k: Kernel, queue: WaitQueue, tid: number): void {
  keepWaiters(k, queue, (waiter) => waiter.tid !== tid);
}

function keepWaiters(k: Kernel, queue: WaitQueue, keep: (waiter: Waiter) => boolean): void {
  const waiters = k.state.sched.waitQueues.get(queue);
  if (waiters === undefined) return;
  if (waiters.length === 1) {
    if (!keep(waiters[0])) k.state.sched.waitQueues.delete(queue);
    return;
  }
  const rest = waiters.filter(keep);
  if (rest.length === 0) k.state.sched.waitQueues.delete(queue);
  else k.state.sched.waitQueues.set(queue, rest);
}

function sleepEnds(k: Kernel, tid: number): Task | null {
  const task = taskOf(k, tid);
  if (task.sleep === null) return null;
  task.sleep.timer = 0;
  wakeTask(k, task);
  return task;
}

timerCallback("sleep.timeout", (k, tid) => {
  const task = sleepEnds(k, tid);
  if (task !== null) task.timedOut = true;
});

timerCallback("sleep.io", (k, tid) => {
  sleepEnds(k, tid);
});
