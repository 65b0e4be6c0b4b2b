/** Shared memory without a file: what MAP_SHARED|MAP_ANONYMOUS, /dev/zero and System V segments map (mm/shmem.c). */
import { must } from "../lib/assert.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { promisePages, unpromisePages } from "./accounting.ts";
import { addShmemPage, putShmemPage, shmemFrame, type ShmemPages } from "./shmem_swap.ts";

export interface ShmemObject {
  id: number;
  /** Mappings and segments that hold it. */
  refs: number;
  /** As /proc/PID/maps shows it: "/dev/zero (deleted)". */
  name: string;
  /** Pages; what lies behind is SIGBUS. */
  pages: number;
  /** Page offset → frame, or less than 0 for a slot in swap; an absent page is zero and not allocated. */
  frames: ShmemPages;
  /** SHM_LOCK: its pages stay in memory. */
  locked: boolean;
  /** Pages of it that count as promised memory. */
  promised: number;
  /** Inode number in the kernel's own tmpfs mount. */
  ino: number;
}

/**
 * A new object with one reference; its id, or 0 when that much memory cannot be promised. `bytes` is rounded up to pages;
 * `reserve` is false for MAP_NORESERVE and SHM_NORESERVE.
 */
export function newShmem(k: Kernel, bytes: number, name: string, reserve = true): number {
  const { mm } = k.state;
  const pages = Math.ceil(bytes / PAGE_SIZE);
  if (reserve && !promisePages(k, pages)) return 0;
  const id = mm.nextShmem++;
  mm.shmem.set(id, { id, refs: 1, name, pages, frames: new Map(), locked: false, promised: reserve ? pages : 0, ino: 1023 + id });
  return id;
}

export function shmemOf(k: Kernel, id: number): ShmemObject {
  return must(k.state.mm.shmem, id);
}

/** A holder is gone; the last one frees the pages. */
export function putShmem(k: Kernel, id: number): void {
  const object = shmemOf(k, id);
  if (--object.refs > 0) return;
  for (const held of object.frames.values()) putShmemPage(k, held);
  unpromisePages(k, object.promised);
  k.state.mm.shmem.delete(id);
}

/** The frame at a page offset, allocated when absent. */
export function shmemPage(k: Kernel, id: number, pgoff: number): { pfn: number } | "sigbus" | "oom" {
  const object = shmemOf(k, id);
  if (pgoff >= object.pages) return "sigbus";
  const pfn = shmemFrame(k, object.frames, -id, pgoff) || addShmemPage(k, object.frames, -id, pgoff);
  return pfn > 0 ? { pfn } : "oom";
}

/** Frees the pages from `first` up to, not including, `end`; whoever mapped them has been made to let go before. */
export function punchShmem(k: Kernel, id: number, first: number, end: number): void {
  const { frames } = shmemOf(k, id);
  for (const [pgoff, held] of [...frames]) {
    if (pgoff < first || pgoff >= end) continue;
    frames.delete(pgoff);
    putShmemPage(k, held);
  }
}
