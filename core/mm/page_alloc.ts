/** Page frames: 4 KiB of memory with a reference count, allocated when touched and freed with the last reference. */
import { fail } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "../sched/cost.ts";
import { lruDel, type LruPage } from "./lru.ts";
import { copyContent, readContent, viewBytes, wholeBytes, writeContent, zeroPage, type PageContent } from "./page_content.ts";
import { ensureFree } from "./reclaim.ts";
import type { MmState } from "./state.ts";

/** What a frame is for, as /proc/meminfo tells them apart. */
export type FrameUse = "anon" | "file" | "shmem" | "table" | "slab" | "kernel";

export interface PageFrame extends PageContent {
  /** Page-table entries, page cache, kernel objects: whoever holds it. */
  refs: number;
  /** Page-table entries that map it. */
  mapped: number;
  use: FrameUse;
  /** Where it stands among the pages that may be reclaimed; null for one that never is. */
  lru: LruPage | null;
  /** Of a page table: 512 entries, each a low and a high word. Null for all others. */
  table: Uint32Array | null;
}

/** The frame that read faults of fresh anonymous memory map; it lies in the kernel's image and is never counted or written. */
export const ZERO_PFN = 0x35f;

export function frameOf(mm: MmState, pfn: number): PageFrame {
  const frame = mm.frames[pfn - mm.reservedPages];
  if (frame === null || frame === undefined) fail(`no page frame ${pfn}`);
  return frame;
}

/** Whether `pfn` is memory that an allocation gave out and nobody freed. */
export function frameExists(mm: MmState, pfn: number): boolean {
  const frame = mm.frames[pfn - mm.reservedPages];
  return frame !== null && frame !== undefined;
}

/** Frames that an allocation may still take. */
export function freePages(mm: MmState): number {
  return mm.freeFrames.length + (mm.ramPages - mm.reservedPages - mm.frames.length);
}

/** Frames that the machine has for use: RAM without the kernel's own. */
export function totalPages(mm: MmState): number {
  return mm.ramPages - mm.reservedPages;
}

/**
 * A frame with one reference, all zero; 0 when memory is out.
 * `use` says what for: the page cache passes "file" or "shmem".
 */
export function allocFrame(k: Kernel, { use = "kernel" }: { zero?: boolean; use?: FrameUse } = {}): number {
  const { mm } = k.state;
  if (freePages(mm) <= mm.watermarks.low && !ensureFree(k, 1)) return 0;
  charge(k, costs(k).pageZeroNs);
  return takeFrame(mm, mm.freeFrames.length > 0 ? mm.freeFrames.pop()! : mm.reservedPages + mm.frames.length, use);
}

/**
 * `count` frames in a row with one reference each; the first pfn, or 0 when no such run is free.
 * Never-used memory first: it is always in one piece.
 */
export function allocFrames(k: Kernel, count: number, use: FrameUse = "kernel"): number {
  const { mm } = k.state;
  if (count === 1) return allocFrame(k, { use });
  if (freePages(mm) - count < mm.watermarks.low && !ensureFree(k, count)) return 0;
  charge(k, costs(k).pageZeroNs * count);
  // As the buddy allocator: 2^n pages begin at a multiple of 2^n.
  const align = (count & (count - 1)) === 0 ? count : 1;
  let first = Math.ceil((mm.reservedPages + mm.frames.length) / align) * align;
  if (first + count > mm.ramPages) {
    first = freeRun(mm, count, align);
    if (first === 0) return 0;
    const taken = new Set<number>();
    for (let i = 0; i < count; i++) taken.add(first + i);
    mm.freeFrames = mm.freeFrames.filter((pfn) => !taken.has(pfn));
  }
  for (let i = 0; i < count; i++) takeFrame(mm, first + i, use);
  return first;
}

/** The first of `count` free frames in a row, among used and never-used ones, at a multiple of `align`; 0 when there is none. */
function freeRun(mm: MmState, count: number, align: number): number {
  let first = Math.ceil(mm.reservedPages / align) * align;
  for (let pfn = first; first + count <= mm.ramPages;) {
    if (!frameExists(mm, pfn)) {
      if (++pfn === first + count) return first;
    } else pfn = first = Math.floor(pfn / align) * align + align;
  }
  return 0;
}

function takeFrame(mm: MmState, pfn: number, use: FrameUse): number {
  const at = pfn - mm.reservedPages;
  if (frameExists(mm, pfn)) fail(`page frame ${pfn} is in use`);
  // A run that begins among freed frames may end in never-used ones: those between are free from now on.
  while (mm.frames.length < at) {
    mm.freeFrames.push(mm.reservedPages + mm.frames.length);
    mm.frames.push(null);
  }
  mm.frames[at] = { refs: 1, mapped: 0, use, bytes: null, few: null, lru: null, table: null };
  mm.used[use]++;
  mm.events.pgalloc++;
  return pfn;
}

/** One more reference. */
export function getFrame(k: Kernel, pfn: number): void {
  if (pfn !== ZERO_PFN) frameOf(k.state.mm, pfn).refs++;
}

/** One reference less; the last one frees the frame. */
export function putFrame(k: Kernel, pfn: number): void {
  if (pfn === ZERO_PFN) return;
  const { mm } = k.state;
  const frame = frameOf(mm, pfn);
  if (frame.refs <= 0) fail(`page frame ${pfn} has no reference left`);
  if (--frame.refs > 0) return;
  if (frame.mapped !== 0) fail(`page frame ${pfn} is freed while mapped`);
  if (frame.lru !== null) lruDel(mm, pfn, frame.lru);
  mm.used[frame.use]--;
  mm.events.pgfree++;
  mm.frames[pfn - mm.reservedPages] = null;
  mm.freeFrames.push(pfn);
}

/** The bytes of a frame, to be written. */
export function frameBytes(k: Kernel, pfn: number): Uint8Array {
  return wholeBytes(frameOf(k.state.mm, pfn));
}

/** The bytes of a frame, only to be read. */
export function readFrame(k: Kernel, pfn: number): Uint8Array {
  return pfn === ZERO_PFN ? zeroPage : viewBytes(frameOf(k.state.mm, pfn));
}

/** The bytes at a physical page that a device mapping may name: memory that nobody owns reads as zeros. Only to be read. */
export function readPhysical(mm: MmState, pfn: number): Uint8Array {
  const frame = mm.frames[pfn - mm.reservedPages] ?? null;
  return frame === null ? zeroPage : viewBytes(frame);
}

/** The bytes of a physical page where they are stored whole, only to be read; null for memory that nobody owns too. */
export function storedBytes(mm: MmState, pfn: number): Uint8Array | null {
  return mm.frames[pfn - mm.reservedPages]?.bytes ?? null;
}

/** Copies `count` bytes at `offset` of a physical page, as a load does. */
export function copyFromPhysical(mm: MmState, pfn: number, offset: number, into: Uint8Array, to: number, count: number): void {
  const frame = mm.frames[pfn - mm.reservedPages] ?? null;
  if (frame === null) into.fill(0, to, to + count);
  else readContent(frame, offset, into, to, count);
}

/** The same as a store does: what is written to memory that nobody owns is forgotten. */
export function copyToPhysical(mm: MmState, pfn: number, offset: number, bytes: Uint8Array, from: number, count: number): void {
  const frame = mm.frames[pfn - mm.reservedPages] ?? null;
  if (frame !== null) writeContent(frame, offset, bytes, from, count);
}

/** A fresh frame's content becomes that of another. */
export function copyFrame(k: Kernel, to: number, from: number): void {
  const { mm } = k.state;
  if (from !== ZERO_PFN) copyContent(frameOf(mm, to), frameOf(mm, from));
}
