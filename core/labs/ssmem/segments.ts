/** The segments of ssmem, by the ids that callers choose, and the page frames behind them (mm/ssmem.c of the report). */
import { PAGE_SIZE } from "../../abi/limits.ts";
import type { Kernel } from "../../kernel.ts";
import { must } from "../../lib/assert.ts";
import { allocFrame, putFrame } from "../../mm/page_alloc.ts";

/** Valid ids are 1 to 1024. */
export const SSMEM_ID_MAX = 1025;
/** Pages of one segment at most. */
export const SSMEM_PAGES_MAX = 10;

export interface Segment {
  id: number;
  /** Fixed by whoever creates it. */
  pages: number;
  /** Page index → pfn, of the pages that somebody touched; the segment holds a reference to each. */
  frames: Map<number, number>;
  /** Mappings of it, in all processes. */
  attached: number;
}

export interface Ssmem {
  segments: Map<number, Segment>;
}

const LAB = "ssmem";

/** The lab's part of the state; null as long as nobody attached anything. */
export function ssmemOf(k: Kernel): Ssmem | null {
  return (k.state.labs.get(LAB) as Ssmem | undefined) ?? null;
}

/** The same, made where it is missing. */
export function ssmem(k: Kernel): Ssmem {
  let lab = ssmemOf(k);
  if (lab === null) {
    lab = { segments: new Map() };
    k.state.labs.set(LAB, lab);
  }
  return lab;
}

export function segmentOf(k: Kernel, id: number): Segment {
  return must(ssmem(k).segments, id);
}

/** Whether a length in bytes makes a segment. */
export function lengthFits(length: number | bigint): length is number {
  return typeof length === "number" && length > 0 && length <= SSMEM_PAGES_MAX * PAGE_SIZE;
}

/** A segment of `length` bytes, rounded up to whole pages; none of them has a frame yet. */
export function createSegment(k: Kernel, id: number, length: number): Segment {
  const segment: Segment = { id, pages: Math.ceil(length / PAGE_SIZE), frames: new Map(), attached: 0 };
  ssmem(k).segments.set(id, segment);
  return segment;
}

/** The frame of a page, zeroed and allocated at its first touch; 0 when memory is out. */
export function segmentFrame(k: Kernel, { frames }: Segment, page: number): number {
  let pfn = frames.get(page) ?? 0;
  if (pfn === 0) {
    pfn = allocFrame(k, { use: "kernel" });
    if (pfn !== 0) frames.set(page, pfn);
  }
  return pfn;
}

/** One mapping less; with the last one the pages go, and the id is free. */
export function detachSegment(k: Kernel, segment: Segment): void {
  if (--segment.attached > 0) return;
  ssmem(k).segments.delete(segment.id);
  for (const pfn of segment.frames.values()) putFrame(k, pfn);
}
