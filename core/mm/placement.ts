/** Where a mapping goes when the program does not say: below mmap_base, downwards (arch_get_unmapped_area_topdown). */
import { ENOMEM } from "../abi/errno.ts";
import { PAGE_SIZE, TASK_SIZE } from "../abi/limits.ts";
import { MAP_32BIT } from "../abi/mman.ts";
import { SCRATCH_BASE, SCRATCH_SIZE, type AddressSpace } from "./space.ts";
import { findVma, MMAP_MIN_ADDR, startGap, vmaIndex } from "./vma.ts";

/** TASK_UNMAPPED_BASE: where the search upwards begins. */
const BOTTOM_UP_BASE = Math.ceil(TASK_SIZE / 3 / PAGE_SIZE) * PAGE_SIZE;
const SCRATCH_END = SCRATCH_BASE + SCRATCH_SIZE;

function overScratch(start: number, end: number): boolean {
  return start < SCRATCH_END && end > SCRATCH_BASE;
}

/** A free address for `length` bytes, at the wished one if it is free; -ENOMEM when there is no room. */
export function unmappedArea(space: AddressSpace, wished: number | bigint, length: number, flags: number): number {
  if (typeof wished === "number" && wished !== 0 && wished <= TASK_SIZE - length && !overScratch(wished, wished + length)) {
    const next = findVma(space, wished);
    if (next === null || wished + length <= startGap(next)) return wished;
  }
  if ((flags & MAP_32BIT) !== 0) return bottomUp(space, length, 0x4000_0000, 0x8000_0000);
  const found = topDown(space, length);
  return found < 0 ? bottomUp(space, length, BOTTOM_UP_BASE, TASK_SIZE) : found;
}

/** The highest gap below mmap_base that is large enough. */
function topDown(space: AddressSpace, length: number): number {
  const { vmas } = space;
  let high = space.fullAbove;
  let at = vmaIndex(space, high);
  if (at < vmas.length) high = Math.min(high, startGap(vmas[at]));
  for (;;) {
    const low = at === 0 ? MMAP_MIN_ADDR : vmas[at - 1].end;
    if (high - length >= Math.max(low, MMAP_MIN_ADDR)) return high - length;
    if (at === 0) return -ENOMEM;
    at--;
    if (low === high && high === space.fullAbove) space.fullAbove = vmas[at].start;
    high = Math.min(high, startGap(vmas[at]));
  }
}

/** The lowest gap in [from, limit) that is large enough. */
function bottomUp(space: AddressSpace, length: number, from: number, limit: number): number {
  const { vmas } = space;
  let start = from;
  for (let at = vmaIndex(space, start); ; at++) {
    if (overScratch(start, start + length)) start = SCRATCH_END;
    if (start + length > limit) return -ENOMEM;
    if (at >= vmas.length || start + length <= startGap(vmas[at])) return start;
    start = Math.max(start, vmas[at].end);
  }
}
