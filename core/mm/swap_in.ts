/** Anonymous pages on their way back from swap. */
import type { Kernel } from "../kernel.ts";
import { readDiskPage } from "./disk.ts";
import { ACTIVE_ANON, lruAdd, lruMove } from "./lru.ts";
import { allocFrame, frameOf, putFrame } from "./page_alloc.ts";
import type { MmState } from "./state.ts";
import { addToCache, dropUnused, slotOf, type SwapSlot } from "./swap.ts";
import { readIn } from "./vmscan.ts";

/** Whether fewer pages went since than are active now: with room for so many more it would have stayed (workingset_refault). */
function wasMissed(mm: MmState, { gone }: SwapSlot): boolean {
  return mm.events.pswpout - gone <= mm.lru[ACTIVE_ANON].count;
}

/**
 * The frame with what a slot holds: the one in the cache, or a fresh one that is read and joins it. 0 when memory is out.
 * `index`: where the page belongs, as LruPage.index. Differs from Linux: neighbours are not read along (page-cluster is 0).
 */
export function swapPage(k: Kernel, slot: number, index: number): number {
  const { mm } = k.state;
  const record = slotOf(mm, slot);
  if (record.pfn !== 0) return record.pfn;
  // While memory is sought the slot must stay, whoever gives it up.
  record.refs++;
  const pfn = allocFrame(k, { use: "anon" });
  record.refs--;
  if (pfn === 0) return 0;
  const frame = frameOf(mm, pfn);
  lruAdd(mm, pfn, frame, 0, index);
  addToCache(mm, slot, pfn);
  putFrame(k, pfn); // the cache's reference is the only one
  if (record.refs === 0) {
    // Nobody is left who wants it.
    dropUnused(k, slot, record);
    return 0;
  }
  readIn(k, record, frame);
  frame.lru!.dirty = false;
  if (wasMissed(mm, record)) {
    mm.events.workingsetActivate++;
    lruMove(mm, pfn, frame.lru!, ACTIVE_ANON);
  }
  readDiskPage(k);
  return pfn;
}
