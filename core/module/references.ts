/** Where the kernel and its modules keep the numbers of their allocations: a conservative look through all that they hold. */
import type { Kernel } from "../kernel.ts";

/** Parts of memory management that name every allocation, or hold nothing but bytes. */
const SKIPPED_OF_MM = new Set(["objects", "vmalloc", "caches", "frames", "freeFrames"]);

/** Those of `wanted` that stand anywhere in the state but in the allocators' own lists. */
export function referencedNumbers(k: Kernel, wanted: ReadonlySet<number>): Set<number> {
  const found = new Set<number>();
  const left: unknown[] = [];
  for (const [room, value] of Object.entries(k.state)) if (room !== "mm" && room !== "log") left.push(value);
  for (const [part, value] of Object.entries(k.state.mm)) if (!SKIPPED_OF_MM.has(part) && !part.startsWith("next")) left.push(value);
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value === "number") {
      if (wanted.has(value)) found.add(value);
    } else if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value)) {
      if (value instanceof Map) for (const [key, one] of value) left.push(key, one);
      else for (const one of Array.isArray(value) ? value as unknown[] : Object.values(value)) left.push(one);
    }
  }
  return found;
}
