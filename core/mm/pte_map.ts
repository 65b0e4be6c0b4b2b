/** Page-table entries as mappings of frames: what an entry holds is counted in the frame and in the address space. */
import type { Kernel } from "../kernel.ts";
import { frameOf, putFrame, type FrameUse } from "./page_alloc.ts";
import {
  clearPte, isSwapEntry, PTE_ACCESSED, PTE_DIRTY, PTE_PRESENT, PTE_PROTNONE, PTE_RW, PTE_SPECIAL, PTE_USER, ptePfn, setPte,
} from "./page_table.ts";
import { UNEVICTABLE } from "./lru.ts";
import { dropUnused, putSlot, slotOf } from "./swap.ts";
import { rescue } from "./vmscan.ts";
import { rssPages, type AddressSpace } from "./space.ts";
import { VM_ACCESS, VM_EXEC, VM_SHARED, VM_WRITE } from "./vma.ts";

/** The bits that a mapping with these VM_ flags gives its pages; private ones are not writable before they are copied. */
export function pteBits(flags: number): number {
  if ((flags & VM_ACCESS) === 0) return PTE_PROTNONE | PTE_ACCESSED;
  const writable = (flags & VM_SHARED) !== 0 && (flags & VM_WRITE) !== 0;
  return PTE_PRESENT | PTE_USER | PTE_ACCESSED | (writable ? PTE_RW : 0);
}

export function pteNx(flags: number): boolean {
  return (flags & VM_EXEC) === 0;
}

function countRss(space: AddressSpace, use: FrameUse, by: number): void {
  if (use === "anon") space.rssAnon += by;
  else if (use === "shmem") space.rssShmem += by;
  else space.rssFile += by;
}

/** Sets an empty entry to a frame whose reference the caller took for it. */
export function mapFrame(
  k: Kernel, space: AddressSpace, table: Uint32Array, index: number, pfn: number, bits: number, nx: boolean,
): void {
  setPte(table, index, pfn, bits, nx);
  const frame = frameOf(k.state.mm, pfn);
  frame.mapped++;
  countRss(space, frame.use, 1);
  const rss = rssPages(space);
  if (rss > space.peakRss) space.peakRss = rss;
}

/** Clears an entry and drops the frame that it holds, if it counts one, or its place in swap. */
export function unmapEntry(k: Kernel, space: AddressSpace, table: Uint32Array, index: number): void {
  const low = table[index];
  const pfn = ptePfn(low, table[index + 1]);
  clearPte(table, index);
  if (isSwapEntry(low)) {
    space.swapEnts--;
    return putSlot(k, pfn);
  }
  if ((low & PTE_SPECIAL) !== 0) return;
  const frame = frameOf(k.state.mm, pfn);
  const page = frame.lru;
  frame.mapped--;
  countRss(space, frame.use, -1);
  putFrame(k, pfn);
  if (page === null || frame.refs === 0) return;
  if ((low & PTE_DIRTY) !== 0) page.dirty = true;
  if (page.swap !== 0) dropUnused(k, page.swap, slotOf(k.state.mm, page.swap));
  else if (page.list === UNEVICTABLE) rescue(k, pfn);
}
