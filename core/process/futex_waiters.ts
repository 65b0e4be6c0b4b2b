/** Who waits for futexes: one list in the state, in the order in which they came, and how many wait for each key, which is none of it. */
import type { Kernel } from "../kernel.ts";

export interface FutexWaiter {
  tid: number;
  key: string;
  /** Which wakers it listens to. */
  bitset: number;
  /** Its own wait queue. */
  queue: number;
}

interface Index {
  keys: Map<string, number>;
  tids: Set<number>;
}

/**
 * A thousand threads may wait, and most looks find nobody: those need not walk the list. By the list itself, so that every kernel has its
 * own; that of a restored one is counted when it is first asked for.
 */
const indexes = new WeakMap<FutexWaiter[], Index>();

function indexOf(waiters: FutexWaiter[]): Index {
  let index = indexes.get(waiters);
  if (index === undefined) {
    index = { keys: new Map(), tids: new Set() };
    indexes.set(waiters, index);
    for (const waiter of waiters) enter(index, waiter);
  }
  return index;
}

function enter({ keys, tids }: Index, { key, tid }: FutexWaiter): void {
  keys.set(key, (keys.get(key) ?? 0) + 1);
  tids.add(tid);
}

/** Puts a waiter behind all others; a task is on the list once at most. */
export function addWaiter(k: Kernel, waiter: FutexWaiter): void {
  const { futexWaiters } = k.state.process;
  enter(indexOf(futexWaiters), waiter);
  futexWaiters.push(waiter);
}

/** Takes a waiter off, at a place on the list where that is known. */
export function removeWaiter(k: Kernel, waiter: FutexWaiter | undefined, at?: number): void {
  if (waiter === undefined) return;
  const { futexWaiters } = k.state.process;
  const { keys, tids } = indexOf(futexWaiters);
  const left = (keys.get(waiter.key) ?? 0) - 1;
  if (left > 0) keys.set(waiter.key, left);
  else keys.delete(waiter.key);
  tids.delete(waiter.tid);
  futexWaiters.splice(at ?? futexWaiters.indexOf(waiter), 1);
}

/** The task's own entry, from the end on: one that has just come is the last. */
export function waiterOf(k: Kernel, tid: number): FutexWaiter | undefined {
  const { futexWaiters } = k.state.process;
  if (!indexOf(futexWaiters).tids.has(tid)) return undefined;
  for (let at = futexWaiters.length - 1; at >= 0; at--) if (futexWaiters[at].tid === tid) return futexWaiters[at];
  return undefined;
}

/** Whether anybody waits for the key. */
export function anyWaits(k: Kernel, key: string): boolean {
  const { futexWaiters } = k.state.process;
  return futexWaiters.length > 0 && indexOf(futexWaiters).keys.has(key);
}
