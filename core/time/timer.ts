/** Timers on kernel time (hrtimer): armed with an absolute expiry, fired in order of (time, sequence). */
import { assert, must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";

export interface HrTimer {
  id: number;
  expiresNs: number;
  sequence: number;
  /** Name of a registered callback. */
  callback: string;
  arg: number;
}

export type TimerCallback = (k: Kernel, arg: number) => void;

export const timerCallbacks = new Map<string, TimerCallback>();

/** Registers what a timer runs; it may not sleep. */
export function timerCallback(name: string, callback: TimerCallback): void {
  assert(!timerCallbacks.has(name), `two timer callbacks named ${name}`);
  timerCallbacks.set(name, callback);
}

/** Arms a timer; answers its id. */
export function armTimer(k: Kernel, { expiresNs, callback, arg }: { expiresNs: number; callback: string; arg: number }): number {
  const { time } = k.state;
  const id = time.nextTimer++;
  const sequence = time.nextSequence++;
  time.timers.set(id, { id, expiresNs, sequence, callback, arg });
  push(time.heap, [expiresNs, sequence, id]);
  return id;
}

/** Disarms a timer; false when it has fired or was never armed. */
export function cancelTimer(k: Kernel, id: number): boolean {
  const cancelled = k.state.time.timers.delete(id);
  if (k.state.time.timers.size === 0) k.state.time.heap.length = 0;
  return cancelled;
}

/** When the next timer is due, ns; Infinity for none. */
export function nextExpiryNs(k: Kernel): number {
  const { heap, timers } = k.state.time;
  while (heap.length > 0 && timers.get(heap[0][2])?.sequence !== heap[0][1]) pop(heap);
  return heap.length === 0 ? Infinity : heap[0][0];
}

/** The same, as a look: the heap stays as it is. */
export function peekExpiryNs(k: Kernel): number {
  const { heap, timers } = k.state.time;
  if (heap.length === 0 || timers.get(heap[0][2])?.sequence === heap[0][1]) return heap.length === 0 ? Infinity : heap[0][0];
  let first = Infinity; // a cancelled timer lies on top
  for (const { expiresNs } of timers.values()) if (expiresNs < first) first = expiresNs;
  return first;
}

/** Fires the first timer. */
export function fireNext(k: Kernel): void {
  const [, , id] = pop(k.state.time.heap);
  const timer = must(k.state.time.timers, id);
  k.state.time.timers.delete(id);
  must(timerCallbacks, timer.callback)(k, timer.arg);
}

type Entry = [number, number, number];

function before(a: Entry, b: Entry): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}

function push(heap: Entry[], entry: Entry): void {
  let at = heap.length;
  heap.push(entry);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(entry, heap[parent])) break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = entry;
}

function pop(heap: Entry[]): Entry {
  const first = heap[0];
  const last = heap.pop() as Entry;
  if (heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
    if (!before(heap[child], last)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = last;
  return first;
}
