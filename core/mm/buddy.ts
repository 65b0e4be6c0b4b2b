/** Free page frames as the buddy allocator holds them: in blocks of 1, 2, 4 … 1024 pages, each at a multiple of its size. */
import { frameExists, type FrameUse } from "./page_alloc.ts";
import type { MmState } from "./state.ts";

/** MAX_ORDER */
export const ORDERS = 11;
/** A pageblock, whose pages are of one migrate type: 2^9 pages. */
export const PAGEBLOCK_PAGES = 512;

/** Calls with each free block, from the lowest address on. */
function eachFreeBlock(mm: MmState, visit: (pfn: number, order: number) => void): void {
  for (let pfn = mm.reservedPages; pfn < mm.ramPages;) {
    if (frameExists(mm, pfn)) {
      pfn++;
      continue;
    }
    let end = pfn + 1;
    while (end < mm.ramPages && !frameExists(mm, end)) end++;
    while (pfn < end) {
      let order = ORDERS - 1;
      while (pfn % 2 ** order !== 0 || pfn + 2 ** order > end) order--;
      visit(pfn, order);
      pfn += 2 ** order;
    }
  }
}

/** Free blocks by order: their pages add up to all that are free. */
export function freeBlocks(mm: MmState): number[] {
  const counts = new Array<number>(ORDERS).fill(0);
  eachFreeBlock(mm, (_pfn, order) => counts[order]++);
  return counts;
}

const UNMOVABLE: readonly FrameUse[] = ["kernel", "slab", "table"];

/** What a pageblock is used for: unmovable as soon as the kernel has a page in it. */
function isUnmovable(mm: MmState, pageblock: number): boolean {
  const first = pageblock * PAGEBLOCK_PAGES;
  for (let pfn = first; pfn < first + PAGEBLOCK_PAGES; pfn++) {
    if (pfn < mm.reservedPages) return true;
    const frame = mm.frames[pfn - mm.reservedPages];
    if (frame !== null && frame !== undefined && UNMOVABLE.includes(frame.use)) return true;
  }
  return false;
}

/** Free blocks by order, and pageblocks, of the two kinds that there are here. */
export function freeBlocksByType(mm: MmState): { unmovable: number[]; movable: number[]; unmovableBlocks: number; movableBlocks: number } {
  const all = Math.ceil(mm.ramPages / PAGEBLOCK_PAGES);
  const unmovable = Array.from({ length: all }, (_, at) => isUnmovable(mm, at));
  const counts = { unmovable: new Array<number>(ORDERS).fill(0), movable: new Array<number>(ORDERS).fill(0) };
  eachFreeBlock(mm, (pfn, order) => counts[unmovable[Math.floor(pfn / PAGEBLOCK_PAGES)] ? "unmovable" : "movable"][order]++);
  const unmovableBlocks = unmovable.filter((is) => is).length;
  return { ...counts, unmovableBlocks, movableBlocks: all - unmovableBlocks };
}
