/** Futexes that know their owner (FUTEX_LOCK_PI): the word holds the owner's tid, and who unlocks hands over. */
import { EDEADLK, EAGAIN, EFAULT, EPERM, ERESTARTNOINTR, ESRCH, ETIMEDOUT } from "../abi/errno.ts";
import { FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS } from "../abi/futex.ts";
import type { Kernel } from "../kernel.ts";
import { getUser32, putUser32, type Addr } from "../mm/usercopy.ts";
import { enter, NEXT, steps, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { newWaitQueue, signalPending, sleepOn, wake } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { addWaiter, anyWaits, removeWaiter, waiterOf, type FutexWaiter } from "./futex_waiters.ts";
import { futexKey, isOwnersKey, ownersKey } from "./futex_key.ts";

/** Name of the table of those who wait. */
const LOCK_PI = "futex.lock_pi";
/** So many owners who wait for one another are looked at; a longer chain counts as a circle (max_lock_depth). */
const CHAIN_MAX = 1024;

interface LockLocals {
  addr: Addr;
  shared: boolean;
  /** Absolute kernel time, -1 for none. */
  untilNs: number;
}

/** The word that a task waits to own, and what it holds now; null when it waits for none. */
function wantedWord(k: Kernel, tid: number): { task: Task; addr: Addr; word: number } | null {
  const task = k.state.sched.tasks.get(tid);
  const frame = task?.frames.findLast(({ code }) => code === LOCK_PI);
  if (task === undefined || frame === undefined) return null;
  const { addr } = frame.locals as LockLocals;
  const word = getUser32(k, task, addr);
  return word === null ? null : { task, addr, word };
}

/** Whether `holder` waits, be it through others, for a word of the task's own. */
function wouldDeadlock(k: Kernel, task: Task, holder: number): boolean {
  let owner = holder;
  for (let length = 0; length < CHAIN_MAX; length++) {
    const wanted = wantedWord(k, owner);
    if (wanted === null) return false;
    owner = wanted.word & FUTEX_TID_MASK;
    if (owner === task.tid) return true;
  }
  return true;
}

/** Takes the word if nobody owns it: 0, -EAGAIN when somebody does, -EDEADLK when the caller does, -ESRCH, -EPERM, -EFAULT. */
function tryLock(k: Kernel, task: Task, addr: Addr, key: string): number {
  const word = getUser32(k, task, addr);
  if (word === null) return -EFAULT;
  const owner = word & FUTEX_TID_MASK;
  if (owner === task.tid) return -EDEADLK;
  if (owner === 0) {
    const waited = anyWaits(k, ownersKey(key));
    const taken = ((word & FUTEX_OWNER_DIED) | task.tid | (waited ? FUTEX_WAITERS : 0)) >>> 0;
    return putUser32(k, task, addr, taken) ? 0 : -EFAULT;
  }
  // As Linux: the owner is told that somebody waits before it is known whether there is one.
  if (!putUser32(k, task, addr, (word | FUTEX_WAITERS) >>> 0)) return -EFAULT;
  const holder = k.state.sched.tasks.get(owner);
  if (holder === undefined || holder.exiting) return -ESRCH;
  return holder.kind === "kthread" ? -EPERM : -EAGAIN;
}

const lockSteps = steps<LockLocals>(LOCK_PI, {
  take: (k, task, { locals }) => {
    const key = futexKey(k, task, locals.addr, locals.shared);
    if (typeof key === "number") return key;
    const result = tryLock(k, task, locals.addr, key);
    if (result !== -EAGAIN) return result;
    const word = getUser32(k, task, locals.addr);
    if (word !== null && wouldDeadlock(k, task, word & FUTEX_TID_MASK)) return -EDEADLK;
    addWaiter(k, { tid: task.tid, key: ownersKey(key), bitset: 0, queue: newWaitQueue(k) });
    return NEXT;
  },
  wait: (k, task, { locals }) => {
    const waiter = waiterOf(k, task.tid);
    // The one that unlocked has written this task's tid into the word.
    if (waiter === undefined) return 0;
    if (locals.untilNs >= 0 && now(k) >= locals.untilNs) return -ETIMEDOUT;
    if (signalPending(task)) return -ERESTARTNOINTR;
    return sleepOn(waiter.queue, { untilNs: locals.untilNs, wchan: "futex_lock_pi" });
  },
}, {
  undo: {
    wait: (k, task) => { removeWaiter(k, waiterOf(k, task.tid)); },
  },
});

/** Waits until the word is the caller's; `try` answers -EAGAIN instead of waiting. Differs from Linux: nobody's priority changes. */
export function futexLockPi(k: Kernel, task: Task, addr: Addr, shared: boolean, { untilNs = -1, tryOnly = false } = {}): SyscallResult {
  if (!tryOnly) return enter(lockSteps, { addr, shared, untilNs });
  const key = futexKey(k, task, addr, shared);
  return typeof key === "number" ? key : tryLock(k, task, addr, key);
}

/** Gives the word to the one that has waited longest, or to nobody: 0, -EPERM when it is not the caller's, -EFAULT. */
export function futexUnlockPi(k: Kernel, task: Task, addr: Addr, shared: boolean): number {
  const word = getUser32(k, task, addr);
  if (word === null) return -EFAULT;
  if ((word & FUTEX_TID_MASK) !== task.tid) return -EPERM;
  const key = futexKey(k, task, addr, shared);
  if (typeof key === "number") return key;
  const next = k.state.process.futexWaiters.find((waiter) => waiter.key === ownersKey(key));
  if (next === undefined) return putUser32(k, task, addr, 0) ? 0 : -EFAULT;
  return handOver(k, task, addr, next, 0) ? 0 : -EFAULT;
}

/** Makes a waiter the owner of the word at `addr` of `task`; as Linux, marked as waited for whether or not others are left. */
function handOver(k: Kernel, task: Task, addr: Addr, next: FutexWaiter, mark: number): boolean {
  if (!putUser32(k, task, addr, (next.tid | FUTEX_WAITERS | mark) >>> 0)) return false;
  removeWaiter(k, next);
  wake(k, next.queue);
  return true;
}

/** A task dies: each word of its own that others wait for goes to the first of them, marked (exit_pi_state_list). */
export function leaveOwnedFutexes(k: Kernel, { tid }: Task): void {
  const { futexWaiters } = k.state.process;
  if (!futexWaiters.some(({ key }) => isOwnersKey(key))) return;
  const firsts = new Map<string, FutexWaiter>();
  for (const waiter of futexWaiters) if (isOwnersKey(waiter.key) && !firsts.has(waiter.key)) firsts.set(waiter.key, waiter);
  for (const waiter of firsts.values()) {
    const wanted = wantedWord(k, waiter.tid);
    if (wanted !== null && (wanted.word & FUTEX_TID_MASK) === tid) handOver(k, wanted.task, wanted.addr, waiter, FUTEX_OWNER_DIED);
  }
}
