/** What a dying thread does for those that wait for it: robust futexes and the word of set_tid_address (mm_release). */
import { FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS } from "../abi/futex.ts";
import type { Kernel } from "../kernel.ts";
import { getUser32, getUser64, putUser32, type Addr } from "../mm/usercopy.ts";
import type { Task } from "../sched/task.ts";
import { futexWake } from "./futex.ts";
import { leaveOwnedFutexes } from "./futex_pi.ts";

/** Entries of a robust list that are walked: a list in a circle must end. */
const ROBUST_LIST_LIMIT = 2048;

function plus(addr: Addr, by: number | bigint): Addr {
  if (typeof addr === "number" && typeof by === "number" && addr + by >= 0 && addr + by <= Number.MAX_SAFE_INTEGER) return addr + by;
  const sum = BigInt.asUintN(64, BigInt(addr) + BigInt(by));
  return sum <= 0x1fffffffffffffn ? Number(sum) : sum;
}

/** Marks a robust futex that the task holds as left behind and wakes one waiter; false when its word cannot be reached. */
function leaveFutex(k: Kernel, task: Task, addr: Addr, pending: boolean): boolean {
  if (Number(addr) % 4 !== 0) return false;
  const value = getUser32(k, task, addr);
  if (value === null) return false;
  const owner = value & FUTEX_TID_MASK;
  if (pending && owner === 0) {
    futexWake(k, task, addr, true, 1);
    return true;
  }
  if (owner !== task.tid) return true;
  if (!putUser32(k, task, addr, ((value & FUTEX_WAITERS) | FUTEX_OWNER_DIED) >>> 0)) return false;
  if ((value & FUTEX_WAITERS) !== 0) futexWake(k, task, addr, true, 1);
  return true;
}

/** The lowest bit of an entry marks a futex with priority inheritance. */
function entryAt(k: Kernel, task: Task, addr: Addr): Addr | null {
  const entry = getUser64(k, task, addr);
  return entry === null ? null : plus(entry, typeof entry === "number" ? -(entry % 2) : -Number(entry & 1n));
}

function exitRobustList(k: Kernel, task: Task): void {
  const head = task.robustList;
  task.robustList = 0;
  let entry = entryAt(k, task, head);
  const offset = getUser64(k, task, plus(head, 8));
  const pending = entryAt(k, task, plus(head, 16));
  if (entry === null || offset === null || pending === null) return;
  for (let walked = 0; entry !== head && walked < ROBUST_LIST_LIMIT; walked++) {
    const next: Addr | null = entryAt(k, task, entry);
    if (entry !== pending && !leaveFutex(k, task, plus(entry, offset), false)) return;
    if (next === null) return;
    entry = next;
  }
  if (pending !== 0) leaveFutex(k, task, plus(pending, offset), true);
}

/** Runs while the task still has its memory. */
export function exitFutexes(k: Kernel, task: Task): void {
  const space = k.state.mm.spaces.get(task.mm);
  if (k.state.process.futexWaiters.length > 0) leaveOwnedFutexes(k, task);
  if (task.robustList !== 0 && space !== undefined) exitRobustList(k, task);
  if (task.clearTid !== 0 && space !== undefined && space.users > 1) {
    putUser32(k, task, task.clearTid, 0);
    futexWake(k, task, task.clearTid, true, 1);
  }
  task.robustList = 0;
  task.clearTid = 0;
}
