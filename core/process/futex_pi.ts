/** Futexes that know their owner (FUTEX_LOCK_PI): the word holds the owner's tid, and who unlocks hands over. */
import { EDEADLK, EAGAIN, EFAULT, EPERM, ERESTARTNOINTR, ESRCH, ETIMEDOUT } from "../abi/errno.ts";
import { FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS } from "../abi/futex.ts";
import type { Kernel } from "../kernel.ts";
import { getUser32, putUser32, type Addr } from "../mm/usercopy.ts";
import { enter, NEXT, steps, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { newWaitQueue, signalPending, sleepOn, wake } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { futexKey, ownersKey } from "./futex_key.ts";

interface LockLocals {
  addr: Addr;
  shared: boolean;
  /** Absolute kernel time, -1 for none. */
  untilNs: number;
}

/** Takes the word if nobody owns it: 0, -EAGAIN when somebody does, -EDEADLK when the caller does, -ESRCH, -EPERM, -EFAULT. */
function tryLock(k: Kernel, task: Task, addr: Addr, key: string): number {
  const word = getUser32(k, task, addr);
  if (word === null) return -EFAULT;
  const owner = word & FUTEX_TID_MASK;
  if (owner === task.tid) return -EDEADLK;
  if (owner === 0) {
    const waited = k.state.process.futexWaiters.some((waiter) => waiter.key === ownersKey(key));
    const taken = ((word & FUTEX_OWNER_DIED) | task.tid | (waited ? FUTEX_WAITERS : 0)) >>> 0;
    return putUser32(k, task, addr, taken) ? 0 : -EFAULT;
  }
  // As Linux: the owner is told that somebody waits before it is known whether there is one.
  if (!putUser32(k, task, addr, (word | FUTEX_WAITERS) >>> 0)) return -EFAULT;
  const holder = k.state.sched.tasks.get(owner);
  if (holder === undefined || holder.exiting) return -ESRCH;
  return holder.kind === "kthread" ? -EPERM : -EAGAIN;
}

const lockSteps = steps<LockLocals>("futex.lock_pi", {
  take: (k, task, { locals }) => {
    const key = futexKey(k, task, locals.addr, locals.shared);
    if (typeof key === "number") return key;
    const result = tryLock(k, task, locals.addr, key);
    if (result !== -EAGAIN) return result;
    k.state.process.futexWaiters.push({ tid: task.tid, key: ownersKey(key), bitset: 0, queue: newWaitQueue(k) });
    return NEXT;
  },
  wait: (k, task, { locals }) => {
    const waiter = k.state.process.futexWaiters.find(({ tid }) => tid === task.tid);
    // The one that unlocked has written this task's tid into the word.
    if (waiter === undefined) return 0;
    if (locals.untilNs >= 0 && now(k) >= locals.untilNs) return -ETIMEDOUT;
    if (signalPending(task)) return -ERESTARTNOINTR;
    return sleepOn(waiter.queue, { ...(locals.untilNs < 0 ? {} : { untilNs: locals.untilNs }), wchan: "futex_lock_pi" });
  },
}, {
  undo: {
    wait: (k, task) => {
      const { futexWaiters } = k.state.process;
      const at = futexWaiters.findIndex(({ tid }) => tid === task.tid);
      if (at >= 0) futexWaiters.splice(at, 1);
    },
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
  const waiting = k.state.process.futexWaiters.filter((waiter) => waiter.key === ownersKey(key));
  const next = waiting[0];
  const left = next === undefined ? 0 : (next.tid | (waiting.length > 1 ? FUTEX_WAITERS : 0)) >>> 0;
  if (!putUser32(k, task, addr, left)) return -EFAULT;
  if (next === undefined) return 0;
  const { futexWaiters } = k.state.process;
  futexWaiters.splice(futexWaiters.indexOf(next), 1);
  wake(k, next.queue);
  return 0;
}
