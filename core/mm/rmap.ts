/** From a page to the entries that map it: through the VMAs that show its place in its file, object or anonymous memory (mm/rmap.c). */
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import type { LruPage } from "./lru.ts";
import { frameOf } from "./page_alloc.ts";
import { findTable, PTE_ACCESSED, PTE_SPECIAL, pteIndex, ptePfn, ptePresent } from "./page_table.ts";
import type { AddressSpace } from "./space.ts";
import type { MmState } from "./state.ts";
import { vmaAt, VM_LOCKED, type Vma } from "./vma.ts";

export interface Mapping {
  space: AddressSpace;
  vma: Vma;
  table: Uint32Array;
  index: number;
}

/** The entry at `addr` when it maps `pfn`. */
function mappingAt(mm: MmState, space: AddressSpace, vma: Vma, addr: number, pfn: number): Mapping | null {
  const table = findTable(mm, space, addr);
  if (table === null) return null;
  const index = pteIndex(addr);
  const low = table[index];
  const maps = ptePresent(low) && (low & PTE_SPECIAL) === 0 && ptePfn(low, table[index + 1]) === pfn;
  return maps ? { space, vma, table, index } : null;
}

function shows({ inode, shmem, anonVma }: Vma, { mapping }: LruPage): boolean {
  if (mapping === 0) return anonVma !== 0;
  return mapping > 0 ? inode === mapping : shmem === -mapping;
}

/** All entries that map a page, as many as its frame counts. */
export function mappingsOf(k: Kernel, pfn: number, page: LruPage): Mapping[] {
  const { mm } = k.state;
  const { mapped } = frameOf(mm, pfn);
  const found: Mapping[] = [];
  if (mapped === 0) return found;
  // Anonymous memory that was never moved has its pages where their offsets say.
  const addr = page.index * PAGE_SIZE;
  for (const space of mm.spaces.values()) {
    const likely = page.mapping === 0 ? vmaAt(space, addr) : null;
    const there = likely === null ? null : mappingAt(mm, space, likely, addr, pfn);
    if (there !== null) found.push(there);
    if (found.length === mapped) return found;
  }
  for (const space of mm.spaces.values()) {
    for (const run of space.vmas) for (const vma of run) {
      if (!shows(vma, page)) continue;
      const at = vma.start + (page.index - vma.pgoff) * PAGE_SIZE;
      if (at < vma.start || at >= vma.end || (page.mapping === 0 && at === addr)) continue;
      const there = mappingAt(mm, space, vma, at, pfn);
      if (there !== null) found.push(there);
      if (found.length === mapped) return found;
    }
  }
  return found;
}

/** How many of these entries were used since they were asked last; asking makes them unused (folio_referenced). */
export function countReferences(mappings: Mapping[]): number {
  let references = 0;
  for (const { table, index } of mappings) {
    if ((table[index] & PTE_ACCESSED) === 0) continue;
    table[index] &= ~PTE_ACCESSED;
    references++;
  }
  return references;
}

/** Whether one of these entries lies in locked memory. */
export function isLocked(mappings: Mapping[]): boolean {
  return mappings.some(({ vma }) => (vma.flags & VM_LOCKED) !== 0);
}
