/** The pages that may be reclaimed, in lists from the most to the least recently looked at (struct lruvec). */
import { fail } from "../lib/assert.ts";
import type { PageFrame } from "./page_alloc.ts";
import type { MmState } from "./state.ts";

export const INACTIVE_ANON = 0;
export const ACTIVE_ANON = 1;
/** Pages of files that are on a disk, and those that MADV_FREE gave away. */
export const INACTIVE_FILE = 2;
export const ACTIVE_FILE = 3;
/** Locked in memory: nobody looks at them (LRU_UNEVICTABLE). */
export const UNEVICTABLE = 4;

export interface LruList {
  /** Pfns at both ends, 0 when the list is empty; the last one is reclaimed first. */
  first: number;
  last: number;
  count: number;
}

/** What reclaim knows of a page. */
export interface LruPage {
  list: number;
  /** Pfns of its neighbours, 0 at an end. */
  prev: number;
  next: number;
  /** It was found accessed once since it came to the list (PG_referenced). */
  referenced: boolean;
  /** Its process gave it away until it writes to it again (MADV_FREE): reclaim drops it, and it never goes to swap. */
  lazy: boolean;
  /** Written since it was read from the disk, by an entry that is gone (PG_dirty). */
  dirty: boolean;
  /** Whose page it is: an inode's id, or less than 0 for a shared memory object; 0 for an anonymous page. */
  mapping: number;
  /** Its page offset there; of an anonymous page, the offset that its VMA gives its address. */
  index: number;
  /** Its slot in swap while it is in the swap cache, else 0. */
  swap: number;
}

export function lruInit(): LruList[] {
  return Array.from({ length: 5 }, () => ({ first: 0, last: 0, count: 0 }));
}

function pageOf(mm: MmState, pfn: number): LruPage {
  const page = mm.frames[pfn - mm.reservedPages]?.lru;
  if (page === null || page === undefined) fail(`page frame ${pfn} is on no list`);
  return page;
}

function link(mm: MmState, pfn: number, page: LruPage, list: number): void {
  const ends = mm.lru[list];
  page.list = list;
  page.prev = 0;
  page.next = ends.first;
  if (ends.first !== 0) pageOf(mm, ends.first).prev = pfn;
  else ends.last = pfn;
  ends.first = pfn;
  ends.count++;
}

/** Takes a page off its list. */
export function lruDel(mm: MmState, pfn: number, page: LruPage): void {
  const ends = mm.lru[page.list];
  if (ends.count <= 0) fail(`list ${page.list} is empty and has page frame ${pfn}`);
  if (page.prev !== 0) pageOf(mm, page.prev).next = page.next;
  else ends.first = page.next;
  if (page.next !== 0) pageOf(mm, page.next).prev = page.prev;
  else ends.last = page.prev;
  ends.count--;
}

/** A fresh page, the frame's, that may be reclaimed from now on: it begins as inactive (folio_add_lru). */
export function lruAdd(mm: MmState, pfn: number, frame: PageFrame, mapping: number, index: number): void {
  if (frame.lru !== null) fail(`page frame ${pfn} is on a list already`);
  const page: LruPage = { list: 0, prev: 0, next: 0, referenced: false, lazy: false, dirty: true, mapping, index, swap: 0 };
  frame.lru = page;
  link(mm, pfn, page, INACTIVE_ANON);
}

/** To the front of a list, perhaps of its own. */
export function lruMove(mm: MmState, pfn: number, page: LruPage, list: number): void {
  lruDel(mm, pfn, page);
  link(mm, pfn, page, list);
}
