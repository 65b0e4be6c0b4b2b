/** Lock records: making, finding and freeing them. */
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { reportFreed } from "./lockdep_report.ts";
import { dropHeld, once } from "./lockdep.ts";
import type { Lock } from "./lock_state.ts";
import { callerOf } from "./stack_trace.ts";
import { current, taskOf } from "./task.ts";
import { newWaitQueue, wakeTask } from "./wait_queue.ts";

/** Locks that one kernel holds at a time: modules are ours, and none needs this many. */
const LOCK_LIMIT = 65_536;

/** Enters a record with an id and a queue of its own; answers the id. */
export function addLock(k: Kernel, make: (base: { id: number; queue: number }) => Lock): number {
  const { locks } = k.state.sched;
  assert(locks.locks.size < LOCK_LIMIT, "too many locks");
  const id = locks.next++;
  locks.locks.set(id, make({ id, queue: newWaitQueue(k) }));
  return id;
}

/** The record of a lock of that kind. */
export function lockOf<K extends Lock["kind"]>(k: Kernel, id: number, kind: K): Extract<Lock, { kind: K }> {
  const lock = must(k.state.sched.locks.locks, id);
  assert(lock.kind === kind, `lock ${id} is a ${lock.kind}, not a ${kind}`);
  return lock as Extract<Lock, { kind: K }>;
}

/** Its memory goes: a lock that somebody still holds is told of, and is held no more. */
export function freeLock(k: Kernel, id: number): void {
  const { locks, lockdep } = k.state.sched;
  const lock = must(locks.locks, id);
  for (const [tid, held] of [...lockdep.held]) {
    const hold = held.find((one) => one.lock === id);
    if (hold === undefined) continue;
    once(k, `freed ${lock.name}`, () => reportHeldFreed(k, lock, hold));
    while (dropHeld(k, tid, id));
  }
  locks.locks.delete(id);
}

function reportHeldFreed(k: Kernel, lock: Lock, hold: Parameters<typeof reportFreed>[2]): void {
  const from = (k.state.modules.loaded.get(lock.module)?.loadAddr ?? 0xffff_8880_0000_0000n) + 0x2000n;
  reportFreed(k, current(k), hold, from, from + 0x3fffn);
}

/** A module's memory goes, and all locks in it. */
export function freeLocksOf(k: Kernel, module: string): void {
  for (const lock of [...k.state.sched.locks.locks.values()]) if (lock.module === module) freeLock(k, lock.id);
}

/** Wakes a waiter that a lock names; one that is gone cannot be. */
export function wakeWaiter(k: Kernel, tid: number): void {
  if (k.state.sched.tasks.has(tid)) wakeTask(k, taskOf(k, tid));
}

/** What /proc/PID/wchan shows of a sleep in a lock: the function that wanted it, as lock functions count as the scheduler's. */
export const wchanOfCaller = (k: Kernel): string => callerOf(k, current(k)).split("+")[0];
