/** How full this process's memory is: above one mark idle kernels are put away, above another nothing that grows is begun. */
import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";

/** A measurement counts for so long, in milliseconds. */
const FRESH_MS = 250;
/** Of the machine's memory, what this process may use. */
const SHARE = 0.8;

export const PRESSURE = { putAway: 0.7, refuse: 0.9 };

let measuredAt = -Infinity;
let pressure = 0;

/** 0 when empty, 1 when full: the fuller one of JavaScript's heap and of this process's share of the memory. */
export function memoryPressure(): number {
  const now = performance.now();
  if (now - measuredAt < FRESH_MS) return pressure;
  measuredAt = now;
  const { used_heap_size: heap, heap_size_limit: heapLimit, external_memory: external } = getHeapStatistics();
  const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  pressure = Math.max(heap / heapLimit, (heap + external) / (memory * SHARE));
  return pressure;
}
