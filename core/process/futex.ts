/** Sleeping on a word of user memory, and waking those that do (futex(2)). */
import { EAGAIN, EFAULT, EINVAL, ENOSYS, ERESTARTSYS, ERESTART_RESTARTBLOCK, ETIMEDOUT } from "../abi/errno.ts";
import { FUTEX_BITSET_MATCH_ANY } from "../abi/futex.ts";
import type { Kernel } from "../kernel.ts";
import { getUser32, putUser32, type Addr } from "../mm/usercopy.ts";
import { enter, NEXT, steps, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { newWaitQueue, signalPending, sleepOn, wake } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { addWaiter, anyWaits, removeWaiter, waiterOf, type FutexWaiter } from "./futex_waiters.ts";
import { futexKey, ownersKey } from "./futex_key.ts";

interface WaitLocals {
  addr: Addr;
  shared: boolean;
  /** The word must still hold this. */
  value: number;
  bitset: number;
  /** Absolute kernel time, -1 for none. */
  untilNs: number;
}

const futexWaitSteps = steps<WaitLocals>("futex.wait", {
  queue: (k, task, { locals }) => {
    const { addr, shared, value, bitset } = locals;
    const key = futexKey(k, task, addr, shared);
    if (typeof key === "number") return key;
    const found = getUser32(k, task, addr);
    if (found === null) return -EFAULT;
    if (found !== value) return -EAGAIN;
    addWaiter(k, { tid: task.tid, key, bitset, queue: newWaitQueue(k) });
    return NEXT;
  },
  wait: (k, task, { locals }) => {
    const waiter = waiterOf(k, task.tid);
    // Whoever wakes a waiter takes it off the list.
    if (waiter === undefined) return 0;
    const { untilNs } = locals;
    if (untilNs >= 0 && now(k) >= untilNs) return -ETIMEDOUT;
    if (signalPending(task)) {
      if (untilNs < 0) return -ERESTARTSYS;
      task.restartNs = untilNs;
      return -ERESTART_RESTARTBLOCK;
    }
    return sleepOn(waiter.queue, { untilNs, wchan: "futex_wait_queue" });
  },
}, { undo: { wait: (k, task) => removeWaiter(k, waiterOf(k, task.tid)) } });

/** Waits while the word at `addr` is `value`; 0 when woken, -EAGAIN when it is not, -ETIMEDOUT, -EFAULT, -EINVAL. */
export function futexWait(
  _k: Kernel, _task: Task, addr: Addr, shared: boolean, value: number, { untilNs = -1, bitset = FUTEX_BITSET_MATCH_ANY } = {},
): SyscallResult {
  return bitset === 0 ? -EINVAL : enter(futexWaitSteps, { addr, shared, value, bitset, untilNs });
}

/** Those that wait for the word, those that want to own it too, in the order in which they came. */
function waitersOf(k: Kernel, key: string): FutexWaiter[] {
  const owners = ownersKey(key);
  return k.state.process.futexWaiters.filter((one) => one.key === key || one.key === owners);
}

/** Wakes up to `count` of those that wait for `key`, one at least as Linux does; how many, or -EINVAL at one that wants to own the word. */
function wakeKey(k: Kernel, key: string, count: number, bitset: number): number {
  const owners = ownersKey(key);
  if (!anyWaits(k, key) && !anyWaits(k, owners)) return 0;
  const { futexWaiters } = k.state.process;
  let woken = 0;
  for (let at = 0; at < futexWaiters.length;) {
    const waiter = futexWaiters[at];
    if (waiter.key === owners) return -EINVAL;
    if (waiter.key !== key || (waiter.bitset & bitset) === 0) {
      at++;
      continue;
    }
    removeWaiter(k, waiter, at);
    wake(k, waiter.queue);
    if (++woken >= count) break;
  }
  return woken;
}

export function futexWake(k: Kernel, task: Task, addr: Addr, shared: boolean, count: number, bitset = FUTEX_BITSET_MATCH_ANY): number {
  if (bitset === 0) return -EINVAL;
  const key = futexKey(k, task, addr, shared);
  return typeof key === "number" ? key : wakeKey(k, key, count, bitset);
}

/**
 * Wakes up to `wakes` waiters of one word and lets up to `moves` others wait for a second one; how many both together.
 * `expected`: the first word must hold this (-EAGAIN); null does not look.
 */
export function futexRequeue(
  k: Kernel, task: Task, addr: Addr, addr2: Addr, shared: boolean, wakes: number, moves: number, expected: number | null,
): number {
  if (wakes < 0 || moves < 0) return -EINVAL;
  const key = futexKey(k, task, addr, shared);
  if (typeof key === "number") return key;
  const key2 = futexKey(k, task, addr2, shared);
  if (typeof key2 === "number") return key2;
  if (expected !== null) {
    const found = getUser32(k, task, addr);
    if (found === null) return -EFAULT;
    if (found !== expected) return -EAGAIN;
  }
  let done = 0;
  for (const waiter of waitersOf(k, key)) {
    if (done - wakes >= moves) break;
    if (waiter.key !== key) return -EINVAL;
    done++;
    removeWaiter(k, waiter);
    if (done <= wakes) wake(k, waiter.queue);
    else addWaiter(k, { ...waiter, key: key2 });
  }
  return done;
}

const OPERATIONS: ((old: number, by: number) => number)[] = [
  (_old, by) => by, (old, by) => old + by, (old, by) => old | by, (old, by) => old & ~by, (old, by) => old ^ by,
];
const COMPARISONS: ((old: number, by: number) => boolean)[] = [
  (old, by) => old === by, (old, by) => old !== by, (old, by) => old < by,
  (old, by) => old <= by, (old, by) => old > by, (old, by) => old >= by,
];

/** FUTEX_WAKE_OP: changes the second word as `encoded` says, wakes waiters of the first, and of the second if its old value compares. */
export function futexWakeOp(
  k: Kernel, task: Task, addr: Addr, addr2: Addr, shared: boolean, wakes: number, wakes2: number, encoded: number,
): number {
  const key = futexKey(k, task, addr, shared);
  if (typeof key === "number") return key;
  const key2 = futexKey(k, task, addr2, shared);
  if (typeof key2 === "number") return key2;
  const operation = OPERATIONS[(encoded >>> 28) & 7];
  const compare = COMPARISONS[(encoded >>> 24) & 15];
  let by = (encoded << 8) >> 20;
  if (encoded >>> 31 === 1) by = 1 << (by & 31);
  if (operation === undefined) return -ENOSYS;
  const old = getUser32(k, task, addr2);
  if (old === null || !putUser32(k, task, addr2, operation(old | 0, by) >>> 0)) return -EFAULT;
  if (compare === undefined) return -ENOSYS;
  const woken = wakeKey(k, key, wakes, FUTEX_BITSET_MATCH_ANY);
  if (woken < 0 || !compare(old | 0, (encoded << 20) >> 20)) return woken;
  const others = wakeKey(k, key2, wakes2, FUTEX_BITSET_MATCH_ANY);
  return others < 0 ? others : woken + others;
}
