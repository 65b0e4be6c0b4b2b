/** Timers on kernel time (hrtimer): armed with an absolute expiry, fired to the nanosecond in order of (time, sequence). */
import { assert, must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { now } from "./clock.ts";
import { jiffyNs } from "./jiffies.ts";
import { peekWheel, wheelNs } from "./timer_list.ts";
import { NEVER } from "./wheel.ts";

export interface HrTimer {
  id: number;
  expiresNs: number;
  sequence: number;
  /** The CPU that armed it, and that it interrupts. */
  cpu: number;
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
  time.timers.set(id, { id, expiresNs, sequence, cpu: k.turn.cpu, callback, arg });
  push(time.heap, [Math.max(expiresNs, earliestNs(k)), sequence, id]);
  return id;
}

/** An interrupt takes about so long, ns: a timer that arms itself at once comes back after it. */
const INTERRUPT_NS = 500;

/** A timer that is due already fires now, not in the past; and no interrupt comes in before the one under way has ended. */
function earliestNs(k: Kernel): number {
  return k.turn.current === 0 ? now(k) + INTERRUPT_NS : now(k);
}

/** Entries of cancelled timers in the heap, above as many as there are timers, that are borne before they are cleared away. */
const STALE = 64;

/** Disarms a timer; false when it has fired or was never armed. */
export function cancelTimer(k: Kernel, id: number): boolean {
  const { time } = k.state;
  const { timers, heap } = time;
  const cancelled = timers.delete(id);
  if (timers.size === 0) heap.length = 0;
  else if (heap.length > 2 * timers.size + STALE) {
    time.heap = [];
    for (const entry of heap) if (timers.get(entry[2])?.sequence === entry[1]) push(time.heap, entry);
  }
  return cancelled;
}

/** When the next timer of the heap is due, ns; NEVER for none. */
export function heapNs(k: Kernel): number {
  const { heap, timers } = k.state.time;
  while (heap.length > 0 && timers.get(heap[0][2])?.sequence !== heap[0][1]) pop(heap);
  return heap.length === 0 ? NEVER : heap[0][0];
}

/** When the next timer of any kind is due, ns; NEVER for none. */
export function nextExpiryNs(k: Kernel): number {
  return Math.min(heapNs(k), wheelNs(k));
}

/** The same as a look: Infinity for none. */
export function peekExpiryNs(k: Kernel): number {
  const { heap, timers } = k.state.time;
  let first = Infinity;
  if (heap.length > 0 && timers.get(heap[0][2])?.sequence === heap[0][1]) first = heap[0][0];
  else for (const { expiresNs } of timers.values()) if (expiresNs < first) first = expiresNs; // a cancelled timer lies on top
  const jiffy = peekWheel(k);
  return jiffy === NEVER ? first : Math.min(first, jiffyNs(k, jiffy));
}

/** The timer that is due first; the heap must not be empty. */
export function firstTimer(k: Kernel): HrTimer {
  const { heap, timers } = k.state.time;
  return must(timers, heap[0][2]);
}

/** Fires the first timer, on the CPU that runs. */
export function fireNext(k: Kernel): void {
  const [, , id] = pop(k.state.time.heap);
  const timer = must(k.state.time.timers, id);
  k.state.time.timers.delete(id);
  must(timerCallbacks, timer.callback)(k, timer.arg);
}

/** Moves an expiry by whole periods to after `nowNs`; `overruns` counts them, 0 when it is not due yet (hrtimer_forward). */
export function hrtimerForward(expiresNs: number, nowNs: number, intervalNs: number): { expiresNs: number; overruns: number } {
  if (nowNs < expiresNs) return { expiresNs, overruns: 0 };
  const overruns = Math.floor((nowNs - expiresNs) / intervalNs) + 1;
  return { expiresNs: expiresNs + overruns * intervalNs, overruns };
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
