/** Four-level x86-64 page tables with their true bits; tables are frames too, made when something is mapped. */
import { assert, fail } from "../lib/assert.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { allocFrame, frameOf, putFrame } from "./page_alloc.ts";
import type { AddressSpace } from "./space.ts";
import type { MmState } from "./state.ts";

// The low word of an entry (arch/x86/include/asm/pgtable_types.h); the only bit used in the high word is NX.
export const PTE_PRESENT = 0x001;
export const PTE_RW = 0x002;
export const PTE_USER = 0x004;
export const PTE_ACCESSED = 0x020;
export const PTE_DIRTY = 0x040;
/** Not present for the hardware, but the page is kept: PROT_NONE. The bit means "global" where PRESENT is set. */
export const PTE_PROTNONE = 0x100;
/** Not present: the place of the pfn holds a slot in swap. The bit means a huge page where PRESENT is set. */
export const PTE_SWAP = 0x080;
/** Maps a page that is not counted: the zero page, remap_pfn_range. */
export const PTE_SPECIAL = 0x200;
/** Bit 63, in the high word. */
export const PTE_NX = 0x8000_0000;
/** Present, writable, user, accessed, dirty: what the three upper levels hold. */
const TABLE_BITS = 0x067;

const PTE_SPAN = PAGE_SIZE;
/** Bytes that one table of the lowest level maps, and so up. */
const PMD_SPAN = PTE_SPAN * 512;
const PUD_SPAN = PMD_SPAN * 512;
const PGD_SPAN = PUD_SPAN * 512;
const TWO_20 = 0x10_0000;

/** Where the entry of `addr` stands in its table of the lowest level: its low word; the high word follows. */
export function pteIndex(addr: number): number {
  return ((addr / PTE_SPAN) & 511) * 2;
}

export function ptePfn(low: number, high: number): number {
  return (low >>> 12) + (high & 0xf_ffff) * TWO_20;
}

/** Whether the entry holds a page, be it one that PROT_NONE hides. */
export function ptePresent(low: number): boolean {
  return (low & (PTE_PRESENT | PTE_PROTNONE)) !== 0;
}

/** Whether the entry says where in swap its page is: `ptePfn` is the slot. */
export function isSwapEntry(low: number): boolean {
  return (low & (PTE_SWAP | PTE_PRESENT | PTE_PROTNONE)) === PTE_SWAP;
}

/** Writes an entry: `bits` are those of the low word below the pfn. */
export function setPte(table: Uint32Array, index: number, pfn: number, bits: number, nx: boolean): void {
  table[index] = (pfn << 12) | bits;
  table[index + 1] = (nx ? PTE_NX : 0) | (pfn / TWO_20);
}

export function clearPte(table: Uint32Array, index: number): void {
  table[index] = 0;
  table[index + 1] = 0;
}

function tableOf(mm: MmState, pfn: number): Uint32Array {
  const { table } = frameOf(mm, pfn);
  if (table === null) fail(`page frame ${pfn} is no page table`);
  return table;
}

/** The lowest-level table that maps `addr`, or null when there is none. */
export function findTable(mm: MmState, space: AddressSpace, addr: number): Uint32Array | null {
  if (space.pgd === 0) return null;
  let table = tableOf(mm, space.pgd);
  for (let span = PGD_SPAN; span > PTE_SPAN; span /= 512) {
    const index = ((addr / span) & 511) * 2;
    const low = table[index];
    if (low === 0) return null;
    table = tableOf(mm, ptePfn(low, table[index + 1]));
  }
  return table;
}

const ENTRIES = 512;

/** Arrays of tables that were freed, for the next ones: threads come and go, each with a table for its stack. Nothing of the state. */
const left: Uint32Array[] = [];
const LEFT_MAX = 1024;

/** Frees a table whose entries are all clear. */
function freeTable(k: Kernel, space: AddressSpace, pfn: number): void {
  const frame = frameOf(k.state.mm, pfn);
  if (frame.refs === 1 && frame.table !== null && left.length < LEFT_MAX) {
    left.push(frame.table);
    frame.table = null;
  }
  putFrame(k, pfn);
  space.tables--;
}

function newTable(k: Kernel, space: AddressSpace): number {
  const pfn = allocFrame(k, { use: "table" });
  if (pfn === 0) return 0;
  frameOf(k.state.mm, pfn).table = left.pop()?.fill(0) ?? new Uint32Array(ENTRIES * 2);
  space.tables++;
  return pfn;
}

/** The lowest-level table that maps `addr`, made if it is absent; null when memory is out. */
export function makeTable(k: Kernel, space: AddressSpace, addr: number): Uint32Array | null {
  const { mm } = k.state;
  if (space.pgd === 0 && (space.pgd = newTable(k, space)) === 0) return null;
  let table = tableOf(mm, space.pgd);
  for (let span = PGD_SPAN; span > PTE_SPAN; span /= 512) {
    const index = ((addr / span) & 511) * 2;
    if (table[index] === 0) {
      const pfn = newTable(k, space);
      if (pfn === 0) return null;
      setPte(table, index, pfn, TABLE_BITS, false);
    }
    table = tableOf(mm, ptePfn(table[index], table[index + 1]));
  }
  return table;
}

/** Visits the entries in use between two page-aligned addresses, until a visit answers true; absent tables are stepped over whole. */
export function forEachPte(
  mm: MmState, space: AddressSpace, start: number, end: number, visit: (table: Uint32Array, index: number, addr: number) => unknown,
): void {
  if (space.pgd === 0) return;
  let addr = start;
  while (addr < end) {
    let table = tableOf(mm, space.pgd);
    let span = PGD_SPAN;
    for (; span > PTE_SPAN; span /= 512) {
      const index = ((addr / span) & 511) * 2;
      const low = table[index];
      if (low === 0) break;
      table = tableOf(mm, ptePfn(low, table[index + 1]));
    }
    if (span > PTE_SPAN) {
      addr = (Math.floor(addr / span) + 1) * span;
      continue;
    }
    const stop = Math.min(end, (Math.floor(addr / PMD_SPAN) + 1) * PMD_SPAN);
    // Small whole numbers only: a table has few entries in use, and an address is a number that takes memory.
    const first = pteIndex(addr);
    const last = first + Math.ceil((stop - addr) / PAGE_SIZE) * 2;
    for (let index = first; index < last; index += 2) {
      if (table[index] !== 0 && visit(table, index, addr + ((index - first) >> 1) * PAGE_SIZE) === true) return;
    }
    addr = stop;
  }
}

export interface SwapEntry {
  table: Uint32Array;
  index: number;
  addr: number;
}

/** The first entry at or behind `start` whose page is in swap; null when there is none before `end`. */
export function nextSwapEntry(mm: MmState, space: AddressSpace, start: number, end: number): SwapEntry | null {
  let found: SwapEntry | null = null;
  forEachPte(mm, space, start, end, (table, index, addr) => {
    if (isSwapEntry(table[index])) found = { table, index, addr };
    return found !== null;
  });
  return found;
}

/**
 * Frees the tables that map nothing but [start, end), whose entries are all clear. Tables that also map something
 * outside [floor, ceiling), where the neighbouring VMAs begin, stay (free_pgtables).
 */
export function freeTables(k: Kernel, space: AddressSpace, start: number, end: number, floor: number, ceiling: number): void {
  if (space.pgd === 0) return;
  const { mm } = k.state;
  const top = tableOf(mm, space.pgd);
  freeLevel(k, space, top, PGD_SPAN, start, end, floor, ceiling);
}

/** `table` has entries that each span `span` bytes; frees those tables below it that lie within [floor, ceiling). */
function freeLevel(
  k: Kernel, space: AddressSpace, table: Uint32Array, span: number, start: number, end: number, floor: number, ceiling: number,
): void {
  const { mm } = k.state;
  for (let block = Math.floor(start / span) * span; block < end; block += span) {
    const index = ((block / span) & 511) * 2;
    if (table[index] === 0) continue;
    const pfn = ptePfn(table[index], table[index + 1]);
    if (span > PMD_SPAN) {
      freeLevel(k, space, tableOf(mm, pfn), span / 512, Math.max(start, block), Math.min(end, block + span), floor, ceiling);
    }
    if (block < floor || block + span > ceiling) continue;
    clearPte(table, index);
    freeTable(k, space, pfn);
  }
}

/** Frees the top-level table of a space whose other tables are gone. */
export function freeTop(k: Kernel, space: AddressSpace): void {
  if (space.pgd === 0) return;
  freeTable(k, space, space.pgd);
  space.pgd = 0;
  assert(space.tables === 0, "page tables are left in a dead address space");
}

/** The raw 64-bit entry that maps `addr`; 0 when there is none. */
export function pteValue(mm: MmState, space: AddressSpace, addr: number): bigint {
  const table = findTable(mm, space, addr);
  if (table === null) return 0n;
  const index = pteIndex(addr);
  return (BigInt(table[index + 1]) << 32n) | BigInt(table[index]);
}
