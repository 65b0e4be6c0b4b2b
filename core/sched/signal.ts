/** Sending and queueing signals, masks, and what waits (signal(7)); signal_delivery.ts is how they are taken. */
import { EAGAIN } from "../abi/errno.ts";
import {
  defaultAction, SA_NOCLDSTOP, SIGALRM, SIGCHLD, SIGCONT, SIGKILL, SIGRTMIN, SIGSTOP, signalName, SI_KERNEL, SI_TIMER, SI_USER, sigSetOf,
  synchronousSignals, _NSIG,
} from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { emit } from "./events.ts";
import { rlimit } from "./rlimit.ts";
import { groupOf, handlersOf, taskOf, type Task, type ThreadGroup } from "./task.ts";
import { wake, wakeTask } from "./wait_queue.ts";

export interface PendingSignal {
  number: number;
  code: number;
  pid: number;
  uid: number;
  /** Fault address; 0 for signals that have none. */
  addr: number | bigint;
  /** sigqueue's value. */
  value: number | bigint;
  /** Child's wait status of a SIGCHLD (si_status); TIMER_SIGNAL or less of what one of the process's timers sent, 0 of all else. */
  status: number;
}

/** Mark of a timer's own signal: its si_code alone may be anybody's. */
export const TIMER_SIGNAL = 1;

/** What a process set with sigaction. `handler`: default and ignore are answered by the kernel, the others are counted. */
export interface SignalAction {
  handler: "default" | "ignore" | "count";
  /** The handler's address as the process gave it; 0 for `count`. */
  address: number | bigint;
  flags: number;
  mask: bigint;
}

export type SignalInfo = Partial<Omit<PendingSignal, "number">>;

const RLIMIT_SIGPENDING = 11;
const STOP_SIGNALS = [19, 20, 21, 22];
const DEFAULT: SignalAction = { handler: "default", address: 0, flags: 0, mask: 0n };

export function bit(signal: number): bigint {
  return 1n << BigInt(signal - 1);
}

/** Asks a mask about signals by number; where a queue is long, bigint arithmetic on each of it would be slow. */
function membersOf(mask: bigint): (signal: number) => boolean {
  const low = Number(BigInt.asIntN(32, mask));
  const high = Number(BigInt.asIntN(32, mask >> 32n));
  return (signal) => ((signal <= 32 ? low >>> (signal - 1) : high >>> (signal - 33)) & 1) === 1;
}

/** Signals that no mask holds back. */
export const UNBLOCKABLE = bit(SIGKILL) | bit(SIGSTOP);

export function actionOf(k: Kernel, group: ThreadGroup, signal: number): SignalAction {
  return handlersOf(k, group).actions.get(signal) ?? DEFAULT;
}

/**
 * Sends a signal to a thread group; whether the sender may is the caller's question.
 * Answers 0, or -EAGAIN when a real-time signal finds RLIMIT_SIGPENDING full.
 */
export function sendSignal(k: Kernel, tgid: number, number: number, info: SignalInfo = {}): number {
  const group = k.state.sched.groups.get(tgid);
  if (group === undefined || group.exitStatus >= 0) return 0;
  return post(k, group, taskOf(k, group.threads[0]), number, info, true);
}

/** Sends a signal to one thread (tgkill). */
export function sendSignalToTask(k: Kernel, task: Task, number: number, info: SignalInfo = {}): number {
  if (task.state === "zombie") return 0;
  return post(k, groupOf(k, task), task, number, info, false);
}

/** A fault's signal: blocked or ignored ones are reset to the default action first (force_sig_fault). */
export function forceSignal(k: Kernel, task: Task, number: number, info: SignalInfo = {}): void {
  const group = groupOf(k, task);
  const { actions } = handlersOf(k, group);
  if (actions.get(number)?.handler === "ignore" || (task.blocked & bit(number)) !== 0n) {
    actions.delete(number);
    task.blocked &= ~bit(number);
  }
  post(k, group, task, number, { code: SI_KERNEL, ...info }, false);
  // One of its number may have waited there, blocked.
  notify(k, task);
}

/** Signals that one user's processes may have queued, whatever RLIMIT_SIGPENDING says. */
const QUEUED_MAX = 65_536;

/** What a user may have queued: signals, and timers that will want to send one. */
export function queueLimit(k: Kernel, task: Task): number {
  return Math.min(rlimit(k, task, RLIMIT_SIGPENDING), QUEUED_MAX);
}

/** Signals that wait in all processes of a user, and their timers, each of which has a place of its own (SigQ). */
export function queuedSignals(k: Kernel, uid: number): number {
  const { tasks, groups } = k.state.sched;
  let count = 0;
  for (const { tid, tgid, cred, pending } of tasks.values()) {
    if (cred.uid !== uid) continue;
    count += pending.length;
    const group = tid === tgid ? groups.get(tgid) : undefined;
    if (group !== undefined) count += group.pending.length + group.posixTimers.length;
  }
  return count;
}

function post(k: Kernel, group: ThreadGroup, target: Task, number: number, info: SignalInfo, shared: boolean): number {
  if (STOP_SIGNALS.includes(number)) discard(k, group, [SIGCONT]);
  if (number === SIGCONT) {
    discard(k, group, STOP_SIGNALS);
    continueGroup(k, group);
  }
  if (ignored(k, group, target, number)) return 0;
  const queue = shared ? group.pending : target.pending;
  // A timer's signal has its own place in the queue, so that every timer's is taken once.
  const ofTimer = info.code === SI_TIMER && info.status === TIMER_SIGNAL;
  if (number < SIGRTMIN && !ofTimer && queue.some((pending) => pending.number === number)) return 0;
  const full = number >= SIGRTMIN && !ofTimer && queuedSignals(k, target.cred.uid) >= queueLimit(k, target);
  if (full && (info.code ?? SI_USER) !== SI_USER) return -EAGAIN;
  // As Linux: what kill sends arrives all the same, once, and who sent it is lost.
  if (full && queue.some((pending) => pending.number === number)) return 0;
  queue.push({ number, code: SI_USER, pid: 0, uid: 0, addr: 0, value: 0, status: 0, ...(full ? {} : info) });
  emit(k, { event: "signal", data: { pid: group.tgid, signal: signalName(number) } });
  wake(k, group.signalWait, { nr: Infinity });
  if (number === SIGKILL && target.kind !== "kthread") {
    // From now on the group dies of this and of nothing else.
    if (group.exiting < 0 && group.threads.some((tid) => !taskOf(k, tid).exiting)) group.exiting = SIGKILL;
    killThreads(k, group);
  } else {
    const takers = shared ? group.threads.map((tid) => taskOf(k, tid)) : [target];
    const open = takers.filter((task) => (task.blocked & bit(number)) === 0n && !task.exiting);
    // One that has not looked at an earlier signal yet may be long: another one takes this (wants_signal).
    const taker = open.find((task) => !task.signalPending) ?? open[0];
    // What is stopped takes nothing but SIGKILL before it goes on.
    if (taker === undefined || group.stopSignal !== 0) return 0;
    // As Linux: what kills is a group exit from the moment it is sent, so it ends killable sleeps too (complete_signal).
    if ((taker.realBlocked & bit(number)) === 0n && isFatal(k, group, number)) {
      if (group.exiting < 0) group.exiting = number;
      killThreads(k, group);
    } else notify(k, taker);
  }
  return 0;
}

/** The signal ends the group and leaves no core (sig_fatal); those that leave one die as they are delivered. */
function isFatal(k: Kernel, group: ThreadGroup, number: number): boolean {
  return actionOf(k, group, number).handler === "default" && defaultAction(number) === "term";
}

/** Every thread of the group, but for the one that asks, is to die: SIGKILL reaches each. */
export function killThreads(k: Kernel, group: ThreadGroup, except?: Task): void {
  group.stopSignal = 0;
  group.waitNotice = 0;
  for (const tid of group.threads) {
    const task = taskOf(k, tid);
    if (task.exiting || task === except) continue;
    if (!task.pending.some(({ number }) => number === SIGKILL)) {
      task.pending.push({ number: SIGKILL, code: 0, pid: 0, uid: 0, addr: 0, value: 0, status: 0 });
    }
    notify(k, task);
  }
}

/** Makes a thread look at its signals: ends a sleep that may be ended, or tells a parked one. */
export function notify(k: Kernel, task: Task): void {
  recalcSignalPending(k, task);
  if (!task.signalPending) return;
  if (task.state === "parked") return k.tables.hooks.signalParked(k, task);
  const mode = task.sleep?.mode;
  const killed = task.pending.some(({ number }) => number === SIGKILL);
  if (mode === "interruptible" || (mode === "killable" && killed)) wakeTask(k, task);
}

/** A thread leaves the group: signals to all that it might have taken are pointed out to the others. */
export function retargetSignals(k: Kernel, group: ThreadGroup): void {
  if (group.pending.length === 0 && group.stopSignal === 0) return;
  for (const tid of group.threads) notify(k, taskOf(k, tid));
}

/** Takes pending signals of these numbers off the group and its threads. */
function discard(k: Kernel, group: ThreadGroup, numbers: number[]): void {
  group.pending = group.pending.filter(({ number }) => !numbers.includes(number));
  for (const tid of group.threads) {
    const task = taskOf(k, tid);
    task.pending = task.pending.filter(({ number }) => !numbers.includes(number));
    recalcSignalPending(k, task);
  }
}

/** A signal is ignored from now on: what waits of it goes. */
export function discardSignal(k: Kernel, group: ThreadGroup, number: number): void {
  discard(k, group, [number]);
}

function continueGroup(k: Kernel, group: ThreadGroup): void {
  if (group.stopSignal === 0) return;
  group.stopSignal = 0;
  group.waitNotice = 0xffff;
  for (const tid of group.threads) recalcSignalPending(k, taskOf(k, tid));
  wake(k, group.stopWait, { nr: Infinity });
  notifyParent(k, group, 6 /* CLD_CONTINUED */, SIGCONT);
}

/** Whether a signal vanishes as it is sent (sig_ignored): not when it is blocked, for a handler may be set before it is unblocked. */
function ignored(k: Kernel, group: ThreadGroup, target: Task, number: number): boolean {
  // A kernel thread takes what it allowed (allow_signal), SIGKILL too.
  if (number === SIGKILL && group.tgid !== 1) return target.kind === "kthread" && actionOf(k, group, number).handler !== "count";
  if (((target.blocked | target.realBlocked) & bit(number)) !== 0n) return false;
  const { handler } = actionOf(k, group, number);
  if (handler === "ignore") return true;
  if (handler === "default" && (group.tgid === 1 || target.kind === "kthread")) return true;
  return handler === "default" && (defaultAction(number) === "ign" || number === SIGCONT);
}

function anyOpen({ blocked }: Task, queue: PendingSignal[]): boolean {
  if (queue.length === 0) return false;
  const open = membersOf(~blocked | UNBLOCKABLE);
  return queue.some(({ number }) => open(number));
}

/** Computes whether an unblocked signal waits for the task. */
export function recalcSignalPending(k: Kernel, task: Task): void {
  const { pending, stopSignal } = groupOf(k, task);
  task.signalPending = !task.exiting && (task.interrupted || stopSignal !== 0 || anyOpen(task, task.pending) || anyOpen(task, pending));
}

/** A signal that a thread was told of may be gone. */
function forgetPending(k: Kernel, task: Task): void {
  if (task.signalPending) recalcSignalPending(k, task);
}

/** Sets the blocked mask; SIGKILL and SIGSTOP stay open. */
export function setBlocked(k: Kernel, task: Task, mask: bigint): void {
  task.blocked = mask & ~UNBLOCKABLE;
  recalcSignalPending(k, task);
}

/** Signals that wait, blocked ones too, of the thread and its group (sigpending). */
export function pendingSet(k: Kernel, task: Task): bigint {
  const numbers = new Set<number>();
  for (const { number } of task.pending) numbers.add(number);
  for (const { number } of groupOf(k, task).pending) numbers.add(number);
  return sigSetOf([...numbers]);
}

const isSynchronous = membersOf(synchronousSignals);

/** Signals are taken in this order (next_signal). */
const turnOf = (number: number): number => (isSynchronous(number) ? number : number + _NSIG);

/** Takes the next signal of `wanted` (a mask): the thread's before the group's, those of faults first, then the lowest number. */
export function dequeueSignal(k: Kernel, task: Task, wanted: bigint): PendingSignal | null {
  const isWanted = membersOf(wanted);
  for (const queue of [task.pending, groupOf(k, task).pending]) {
    let best = -1;
    for (let at = 0; at < queue.length; at++) {
      const { number } = queue[at];
      if (isWanted(number) && (best < 0 || turnOf(number) < turnOf(queue[best].number))) best = at;
    }
    if (best >= 0) {
      const [signal] = queue.splice(best, 1);
      recalcSignalPending(k, task);
      // Others of the group may have been told of it.
      if (queue !== task.pending) for (const tid of groupOf(k, task).threads) if (tid !== task.tid) forgetPending(k, taskOf(k, tid));
      if (signal.number === SIGALRM || signal.code === SI_TIMER) k.tables.hooks.timerSignalTaken(k, groupOf(k, task), signal);
      return signal;
    }
  }
  return null;
}

/** Puts back the mask that sigsuspend, ppoll or pselect had set aside. */
export function restoreMask(k: Kernel, task: Task): void {
  if (task.savedMask === null) return;
  task.blocked = task.savedMask;
  task.savedMask = null;
  recalcSignalPending(k, task);
}

/** SIGCHLD and a wake-up for the parent of a child that stopped or went on. */
export function notifyParent(k: Kernel, group: ThreadGroup, code: number, status: number): void {
  const parent = k.state.sched.groups.get(group.parent);
  if (parent === undefined) return;
  wake(k, parent.childWait, { nr: Infinity });
  const { handler, flags } = actionOf(k, parent, SIGCHLD);
  // As Linux: to a parent that ignores SIGCHLD none is sent, not even while it blocks it.
  if (handler === "ignore" || (flags & SA_NOCLDSTOP) !== 0) return;
  sendSignal(k, parent.tgid, SIGCHLD, { code, pid: group.tgid, uid: taskOf(k, group.threads[0]).cred.uid, status });
}
