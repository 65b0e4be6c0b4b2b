/** Where a mapping goes when the program does not say: below mmap_base, downwards (arch_get_unmapped_area_topdown). */
import { ENOMEM } from "../abi/errno.ts";
import { PAGE_SIZE, TASK_SIZE } from "../abi/limits.ts";
import { MAP_32BIT } from "../abi/mman.ts";
import type { Kernel } from "../kernel.ts";
import { SCRATCH_BASE, SCRATCH_SIZE, type AddressSpace } from "./space.ts";
import { startGap } from "./vma.ts";
import { mmapMinAddr } from "./vm_sysctl.ts";
import { findVma, vmaAfter, vmaBefore } from "./vma_list.ts";

/** TASK_UNMAPPED_BASE: where the search upwards begins. */
const BOTTOM_UP_BASE = Math.ceil(TASK_SIZE / 3 / PAGE_SIZE) * PAGE_SIZE;
const SCRATCH_END = SCRATCH_BASE + SCRATCH_SIZE;

function overScratch(start: number, end: number): boolean {
  return start < SCRATCH_END && end > SCRATCH_BASE;
}

/** A free address for `length` bytes, at the wished one if it is free; -ENOMEM when there is no room. */
export function unmappedArea(k: Kernel, space: AddressSpace, wished: number | bigint, length: number, flags: number): number {
  if (typeof wished === "number" && wished !== 0 && wished <= TASK_SIZE - length && !overScratch(wished, wished + length)) {
    const next = findVma(space, wished);
    if (next === null || wished + length <= startGap(next)) return wished;
  }
  if ((flags & MAP_32BIT) !== 0) return bottomUp(space, length, 0x4000_0000, 0x8000_0000);
  const found = topDown(space, length, mmapMinAddr(k.state.mm.vm));
  return found < 0 ? bottomUp(space, length, BOTTOM_UP_BASE, TASK_SIZE) : found;
}

/** The highest gap below mmap_base that is large enough. */
function topDown(space: AddressSpace, length: number, least: number): number {
  let high = space.fullAbove;
  const above = findVma(space, high);
  let below = vmaBefore(space, high);
  if (above !== null) high = Math.min(high, startGap(above));
  for (;;) {
    const low = below === null ? least : below.end;
    if (high - length >= Math.max(low, least)) return high - length;
    if (below === null) return -ENOMEM;
    if (low === high && high === space.fullAbove) space.fullAbove = below.start;
    high = Math.min(high, startGap(below));
    below = vmaBefore(space, below.start);
  }
}

/** The lowest gap in [from, limit) that is large enough. */
function bottomUp(space: AddressSpace, length: number, from: number, limit: number): number {
  let start = from;
  for (let next = findVma(space, start); ; next = vmaAfter(space, next)) {
    if (overScratch(start, start + length)) start = SCRATCH_END;
    if (start + length > limit) return -ENOMEM;
    if (next === null || start + length <= startGap(next)) return start;
    start = Math.max(start, next.end);
  }
}
