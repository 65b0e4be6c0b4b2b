/** Taking pages back: the lists are walked from their ends, and what was not used for a while goes to swap (mm/vmscan.c). */
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "../sched/cost.ts";
import { waitForDisk, writeDiskPage } from "./disk.ts";
import { ACTIVE_ANON, INACTIVE_ANON, INACTIVE_FILE, lruMove, UNEVICTABLE, type LruPage } from "./lru.ts";
import { frameOf, putFrame, type PageFrame } from "./page_alloc.ts";
import { copyContent, takeContent, wholeBytes, type PageContent } from "./page_content.ts";
import { isSwapEntry, PTE_ACCESSED, PTE_DIRTY, PTE_SPECIAL, PTE_SWAP, ptePfn, ptePresent, setPte } from "./page_table.ts";
import { unmapEntry } from "./pte_map.ts";
import { countReferences, isLocked, mappingsOf, type Mapping } from "./rmap.ts";
import { shmemPages } from "./shmem_swap.ts";
import type { AddressSpace } from "./space.ts";
import { allocSlot, freeSwapPages, leaveCache, slotOf } from "./swap.ts";

/** Pages that one round takes from the end of a list (SWAP_CLUSTER_MAX). */
const CLUSTER = 32;
/** Rounds look at a 4096th of a list at first, and at all of it in the end. */
const DEF_PRIORITY = 12;

export type Reclaimer = "kswapd" | "direct";

/** Takes about `wanted` pages back; how many it were. 0 when nothing can be had. Who asked waits for what was written meanwhile. */
export function shrinkLists(k: Kernel, wanted: number, by: Reclaimer): number {
  let freed = shrinkInactive(k, INACTIVE_FILE, wanted, by);
  for (let priority = DEF_PRIORITY; priority >= 0 && freed < wanted; priority--) freed += shrinkAnon(k, priority, wanted - freed, by);
  waitForDisk(k);
  return freed;
}

/** One round over the anonymous pages, which shared memory counts with; without room in swap nothing of them can go. */
function shrinkAnon(k: Kernel, priority: number, wanted: number, by: Reclaimer): number {
  const { mm } = k.state;
  const [inactive, active] = [mm.lru[INACTIVE_ANON], mm.lru[ACTIVE_ANON]];
  if (!mm.swap.on || inactive.count + active.count === 0 || (freeSwapPages(k) === 0 && mm.swap.cached === 0)) return 0;
  let freed = 0;
  let scan = Math.max(CLUSTER, inactive.count >> priority);
  while (scan > 0 && freed < wanted) {
    const batch = Math.min(scan, CLUSTER);
    // As many are kept inactive as active, so that each has a second chance (inactive_is_low).
    if (inactive.count < active.count) deactivate(k, batch);
    freed += shrinkInactive(k, INACTIVE_ANON, batch, by);
    scan -= batch;
  }
  return freed;
}

/** Moves pages from the end of the active list to the inactive one (shrink_active_list). */
function deactivate(k: Kernel, count: number): void {
  const { mm } = k.state;
  for (let at = 0; at < count && mm.lru[ACTIVE_ANON].count > 0; at++) {
    const pfn = mm.lru[ACTIVE_ANON].last;
    const page = frameOf(mm, pfn).lru!;
    const mappings = mappingsOf(k, pfn, page);
    charge(k, costs(k).scanPageNs);
    mm.events.pgrefill++;
    if (isUnevictable(k, page, mappings)) {
      lruMove(mm, pfn, page, UNEVICTABLE);
      continue;
    }
    countReferences(mappings);
    page.referenced = false;
    mm.events.pgdeactivate++;
    lruMove(mm, pfn, page, INACTIVE_ANON);
  }
}

/** Looks at up to `most` pages from the end of an inactive list; how many were freed (shrink_inactive_list). */
function shrinkInactive(k: Kernel, list: number, most: number, by: Reclaimer): number {
  const { mm } = k.state;
  const count = Math.min(most, mm.lru[list].count);
  let freed = 0;
  for (let at = 0; at < count; at++) {
    const pfn = mm.lru[list].last;
    charge(k, costs(k).scanPageNs);
    if (by === "kswapd") mm.events.pgscanKswapd++;
    else mm.events.pgscanDirect++;
    if (!shrinkPage(k, pfn)) continue;
    if (by === "kswapd") mm.events.pgstealKswapd++;
    else mm.events.pgstealDirect++;
    freed++;
  }
  return freed;
}

/** Frees a page, or moves it to where it belongs (shrink_folio_list). */
function shrinkPage(k: Kernel, pfn: number): boolean {
  const { mm } = k.state;
  const frame = frameOf(mm, pfn);
  const page = frame.lru!;
  const mappings = mappingsOf(k, pfn, page);
  if (isUnevictable(k, page, mappings)) {
    lruMove(mm, pfn, page, UNEVICTABLE);
    return false;
  }
  if (page.lazy) return dropLazy(k, pfn, frame, page, mappings);
  const references = countReferences(mappings);
  if (references > 0) {
    const active = page.referenced || references > 1;
    page.referenced = true;
    if (active) mm.events.pgactivate++;
    lruMove(mm, pfn, page, active ? ACTIVE_ANON : INACTIVE_ANON);
    return false;
  }
  if (evict(k, pfn, frame, page, mappings)) return true;
  lruMove(mm, pfn, page, ACTIVE_ANON);
  return false;
}

/** A page that was given away goes for good, unless it was written since: then it is as any other (lazyfree in shrink_folio_list). */
function dropLazy(k: Kernel, pfn: number, frame: PageFrame, page: LruPage, mappings: Mapping[]): boolean {
  const { mm } = k.state;
  if (isWritten(page, mappings) || frame.refs !== frame.mapped || mappings.length !== frame.mapped) {
    page.lazy = false;
    lruMove(mm, pfn, page, ACTIVE_ANON);
    return false;
  }
  mm.events.pglazyfreed++;
  for (const { space, table, index } of mappings) unmapEntry(k, space, table, index);
  return true;
}

function isWritten({ dirty }: LruPage, mappings: Mapping[]): boolean {
  return dirty || mappings.some(({ table, index }) => (table[index] & PTE_DIRTY) !== 0);
}

/** MADV_FREE: gives away the page of an entry that one process alone has; what is in swap goes at once (madvise_free_pte_range). */
export function markLazy(k: Kernel, space: AddressSpace, table: Uint32Array, index: number): void {
  const { mm } = k.state;
  const low = table[index];
  if (isSwapEntry(low)) return unmapEntry(k, space, table, index);
  if (!ptePresent(low) || (low & PTE_SPECIAL) !== 0) return;
  const pfn = ptePfn(low, table[index + 1]);
  const frame = frameOf(mm, pfn);
  const page = frame.lru;
  if (frame.use !== "anon" || page === null || frame.mapped !== 1) return;
  if (page.swap !== 0 && slotOf(mm, page.swap).refs === 0) leaveCache(k, page.swap);
  if (page.swap !== 0 || page.list === UNEVICTABLE) return;
  table[index] = low & ~(PTE_DIRTY | PTE_ACCESSED);
  page.dirty = false;
  page.referenced = false;
  if (!page.lazy) mm.events.pglazyfree++;
  page.lazy = true;
  lruMove(mm, pfn, page, INACTIVE_FILE);
}

/** MADV_PAGEOUT and its like: frees a page that one process alone has, whether or not it was used lately; whether it did. */
export function reclaimPage(k: Kernel, pfn: number): boolean {
  const frame = frameOf(k.state.mm, pfn);
  if (frame.lru === null || frame.mapped !== 1) return false;
  const mappings = mappingsOf(k, pfn, frame.lru);
  if (isUnevictable(k, frame.lru, mappings)) return false;
  return frame.lru.lazy ? dropLazy(k, pfn, frame, frame.lru, mappings) : evict(k, pfn, frame, frame.lru, mappings);
}

/** MADV_COLD: an active page that one process alone has becomes inactive (deactivate_page). */
export function deactivatePage(k: Kernel, pfn: number): void {
  const { mm } = k.state;
  const { lru, mapped } = frameOf(mm, pfn);
  if (lru?.list !== ACTIVE_ANON || mapped !== 1) return;
  lru.referenced = false;
  lruMove(mm, pfn, lru, INACTIVE_ANON);
}

function isUnevictable(k: Kernel, page: LruPage, mappings: Mapping[]): boolean {
  if (isLocked(mappings)) return true;
  return page.mapping < 0 && k.state.mm.shmem.get(-page.mapping)?.locked === true;
}

/** Sends a page to swap and frees its frame; false when somebody else holds it, or swap is full or off. */
function evict(k: Kernel, pfn: number, frame: PageFrame, page: LruPage, mappings: Mapping[]): boolean {
  if (!k.state.mm.swap.on) return false;
  const held = page.mapping !== 0 || page.swap !== 0 ? 1 : 0;
  if (frame.refs !== frame.mapped + held || mappings.length !== frame.mapped) return false;
  return page.mapping === 0 ? evictAnon(k, pfn, frame, page, mappings) : evictShared(k, pfn, frame, page, mappings);
}

/** Every entry names the slot instead of the frame. A page that came from swap and was not written since need not be written again. */
function evictAnon(k: Kernel, pfn: number, frame: PageFrame, page: LruPage, mappings: Mapping[]): boolean {
  const { mm } = k.state;
  let slot = page.swap;
  const dirty = isWritten(page, mappings);
  if (slot === 0) {
    if (freeSwapPages(k) === 0) return false;
    slot = allocSlot(k, takeContent(frame));
    writeOut(k);
  } else if (dirty) {
    renew(slotOf(mm, slot), takeContent(frame));
    writeOut(k);
  }
  const record = slotOf(mm, slot);
  record.gone = mm.events.pswpout;
  record.refs += mappings.length;
  // The frame must outlive its entries here: a cached page's last entry would take the cache along.
  frame.refs++;
  for (const { space, table, index } of mappings) {
    unmapEntry(k, space, table, index);
    setPte(table, index, slot, PTE_SWAP, false);
    space.swapEnts++;
  }
  if (page.swap !== 0) leaveCache(k, slot);
  putFrame(k, pfn);
  return true;
}

function renew(slot: PageContent, { bytes, few }: PageContent): void {
  slot.bytes = bytes;
  slot.few = few;
}

/** The object remembers the slot; whoever had the page mapped faults again (shmem_writepage). */
function evictShared(k: Kernel, pfn: number, frame: PageFrame, page: LruPage, mappings: Mapping[]): boolean {
  const { mm } = k.state;
  if (freeSwapPages(k) === 0) return false;
  for (const { space, table, index } of mappings) unmapEntry(k, space, table, index);
  const slot = allocSlot(k, takeContent(frame));
  slotOf(mm, slot).refs = 1;
  writeOut(k);
  shmemPages(k, page.mapping).set(page.index, -slot);
  putFrame(k, pfn);
  return true;
}

function writeOut(k: Kernel): void {
  k.state.mm.events.pswpout++;
  writeDiskPage(k);
}

/** A page that was locked and is not any more may be reclaimed again (munlock_folio, shmem_unlock_mapping). */
export function rescue(k: Kernel, pfn: number): void {
  const { mm } = k.state;
  const page = frameOf(mm, pfn).lru;
  if (page?.list !== UNEVICTABLE || isUnevictable(k, page, mappingsOf(k, pfn, page))) return;
  lruMove(mm, pfn, page, INACTIVE_ANON);
}

/** A slot's content in a frame of its own, from the disk (swap_readpage). */
export function readIn(k: Kernel, slot: PageContent, frame: PageFrame): void {
  k.state.mm.events.pswpin++;
  if (slot.bytes !== null) wholeBytes(frame).set(slot.bytes);
  else copyContent(frame, slot);
}
