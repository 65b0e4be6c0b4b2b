/** Pages of tmpfs files and shared memory objects, in memory or in swap: page offset → frame, or less than 0 for a slot (mm/shmem.c). */
import { must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { readDiskPage } from "./disk.ts";
import { lruAdd, lruDel } from "./lru.ts";
import { allocFrame, frameOf, putFrame, readFrame, ZERO_PFN } from "./page_alloc.ts";
import { viewBytes } from "./page_content.ts";
import { putSlot, slotOf } from "./swap.ts";
import { readIn } from "./vmscan.ts";

export type ShmemPages = Map<number, number>;

/** Whose pages these are: see LruPage.mapping. */
export function shmemPages(k: Kernel, mapping: number): ShmemPages {
  return mapping < 0 ? must(k.state.mm.shmem, -mapping).frames : (must(k.state.fs.inodes, mapping).pages as ShmemPages);
}

/** A fresh frame of shared memory at `pgoff`, which may be reclaimed; 0 when memory is out. */
export function addShmemPage(k: Kernel, pages: ShmemPages, mapping: number, pgoff: number): number {
  const pfn = allocFrame(k, { use: "shmem" });
  if (pfn === 0) return 0;
  lruAdd(k.state.mm, pfn, frameOf(k.state.mm, pfn), mapping, pgoff);
  pages.set(pgoff, pfn);
  return pfn;
}

/** The frame at `pgoff`, from swap if it is there (shmem_swapin_folio): 0 for a hole, -1 when memory is out. */
export function shmemFrame(k: Kernel, pages: ShmemPages, mapping: number, pgoff: number): number {
  const held = pages.get(pgoff) ?? 0;
  if (held >= 0) return held;
  const pfn = addShmemPage(k, pages, mapping, pgoff);
  if (pfn === 0) return -1;
  readIn(k, slotOf(k.state.mm, -held), frameOf(k.state.mm, pfn));
  readDiskPage(k);
  putSlot(k, -held);
  return pfn;
}

/** What a page holds, without bringing it anywhere. */
export function peekShmem(k: Kernel, held: number): Uint8Array {
  return held < 0 ? viewBytes(slotOf(k.state.mm, -held)) : readFrame(k, held === 0 ? ZERO_PFN : held);
}

/** Gives up a page that was taken off its map. Who holds it still has it for himself from now on: it has no place to come back to. */
export function putShmemPage(k: Kernel, held: number): void {
  if (held < 0) return putSlot(k, -held);
  const { mm } = k.state;
  const frame = frameOf(mm, held);
  if (frame.refs > 1 && frame.lru !== null) {
    lruDel(mm, held, frame.lru);
    frame.lru = null;
  }
  putFrame(k, held);
}
