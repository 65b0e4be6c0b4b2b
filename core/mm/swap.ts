/** Swap: slots on the disk that hold pages which memory had no room for, and the cache of those that are in both (mm/swapfile.c). */
import { must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import type { Machine } from "../machine.ts";
import { frameOf, putFrame } from "./page_alloc.ts";
import { viewBytes, type PageContent } from "./page_content.ts";
import type { MmState } from "./state.ts";

/** The first partition that was turned on without a priority. */
export const DEFAULT_PRIORITY = -2;

export interface SwapSlot extends PageContent {
  /** Page-table entries and shared memory that name the slot. */
  refs: number;
  /** The frame with the same content (swap cache), which it holds a reference to; 0 for none. */
  pfn: number;
  /** How many pages had gone to swap when this one did: what came back since then tells whether it was missed. */
  gone: number;
}

export interface SwapState {
  /** Whether pages may go there (SWP_WRITEOK). */
  on: boolean;
  /** Tid of who takes it off and brings all pages back meanwhile, 0 for nobody. */
  leaving: number;
  /** As /proc/swaps shows it: -2 where swapon was not told. */
  priority: number;
  /** The path that it was turned on by. */
  name: string;
  /** Slots in use, by number from 1; slot 0 is the header of the partition. */
  slots: Map<number, SwapSlot>;
  /** Freed slots, the last one first; and the first that was never used. */
  free: number[];
  next: number;
  /** Slots whose page is in memory too. */
  cached: number;
}

/** The one partition is on from boot, if the machine has it. */
export function swapInit({ swapMiB }: Machine): SwapState {
  return { on: swapMiB > 0, leaving: 0, priority: DEFAULT_PRIORITY, name: "/dev/vda", slots: new Map(), free: [], next: 1, cached: 0 };
}

/** Pages that the partition has room for: the first one is its header. */
export function partitionPages(k: Kernel): number {
  return Math.max(0, k.state.machine.swapMiB * 256 - 1);
}

/** Pages that swap has room for while it is on (total_swap_pages). */
export function swapPages(k: Kernel): number {
  return k.state.mm.swap.on ? partitionPages(k) : 0;
}

export function freeSwapPages(k: Kernel): number {
  return k.state.mm.swap.on ? partitionPages(k) - k.state.mm.swap.slots.size : 0;
}

/** What is told of swap: on its way off it is as large as what is still in it, all of which counts as free (si_swapinfo). */
export function swapInfo(k: Kernel): { total: number; free: number } {
  const { on, slots } = k.state.mm.swap;
  return on ? { total: swapPages(k), free: freeSwapPages(k) } : { total: slots.size, free: slots.size };
}

/** Whether more than half of the slots are in use: pages that come back then leave theirs at once (vm_swap_full). */
export function swapFull(k: Kernel): boolean {
  return freeSwapPages(k) * 2 < swapPages(k);
}

export function slotOf(mm: MmState, slot: number): SwapSlot {
  return must(mm.swap.slots, slot);
}

/** A slot with this content and nobody who names it yet; 0 when swap is full. */
export function allocSlot(k: Kernel, { bytes, few }: PageContent): number {
  const { swap } = k.state.mm;
  if (freeSwapPages(k) <= 0) return 0;
  const slot = swap.free.pop() ?? swap.next++;
  swap.slots.set(slot, { refs: 0, pfn: 0, gone: k.state.mm.events.pswpout, bytes, few });
  return slot;
}

/** What a slot's page holds now: the cache may be newer. */
export function peekSlot(mm: MmState, slot: number): Uint8Array {
  const record = slotOf(mm, slot);
  return viewBytes(record.pfn === 0 ? record : frameOf(mm, record.pfn));
}

/** One more entry names the slot (swap_duplicate). */
export function getSlot(mm: MmState, slot: number): void {
  slotOf(mm, slot).refs++;
}

/** One fewer does; with the last one goes the slot, unless its page is in use from the cache (swap_free). */
export function putSlot(k: Kernel, slot: number): void {
  const { mm } = k.state;
  const record = slotOf(mm, slot);
  if (--record.refs > 0) return;
  if (record.pfn === 0) freeSlot(mm, slot);
  else dropUnused(k, slot, record);
}

function freeSlot(mm: MmState, slot: number): void {
  mm.swap.slots.delete(slot);
  mm.swap.free.push(slot);
}

/** Makes a frame the slot's copy in memory; the cache takes a reference. */
export function addToCache(mm: MmState, slot: number, pfn: number): void {
  const frame = frameOf(mm, pfn);
  frame.refs++;
  frame.lru!.swap = slot;
  slotOf(mm, slot).pfn = pfn;
  mm.swap.cached++;
}

/** Parts a frame and its slot: the frame loses the cache's reference, the slot goes when nobody names it. */
export function leaveCache(k: Kernel, slot: number): void {
  const { mm } = k.state;
  const record = slotOf(mm, slot);
  const { pfn } = record;
  const page = frameOf(mm, pfn).lru!;
  page.swap = 0;
  page.dirty = true;
  record.pfn = 0;
  mm.swap.cached--;
  if (record.refs === 0) freeSlot(mm, slot);
  putFrame(k, pfn);
}

/** A page of the cache may be without users: then both it and a slot that nobody names go (free_swap_cache). */
export function dropUnused(k: Kernel, slot: number, record: SwapSlot): void {
  const frame = frameOf(k.state.mm, record.pfn);
  if (record.refs === 0 && frame.mapped === 0 && frame.refs === 1) leaveCache(k, slot);
}
