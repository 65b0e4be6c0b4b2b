/** Taking the pages of a file or of shared memory out of everybody's mappings (unmap_mapping_range). */
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { zapRange } from "./unmap.ts";
import { VM_MAYWRITE, VM_SHARED, type Vma } from "./vma.ts";

function unmapPages(k: Kernel, first: number, end: number, keepCopies: boolean, isMine: (vma: Vma) => boolean): void {
  for (const space of k.state.mm.spaces.values()) {
    for (const run of space.vmas) for (const vma of run) {
      if (!isMine(vma)) continue;
      const from = Math.max(vma.start, vma.start + (first - vma.pgoff) * PAGE_SIZE);
      const to = Math.min(vma.end, vma.start + (end - vma.pgoff) * PAGE_SIZE);
      if (from < to) zapRange(k, space, from, to, { keepCopies });
    }
  }
}

/**
 * Takes a file's pages from `fromPgoff` on out of every mapping before they are truncated, private copies too: the next touch
 * faults again, and beyond the end that is SIGBUS. With `endPgoff` a hole is punched: private copies stay.
 */
export function unmapFileRange(k: Kernel, inodeId: number, fromPgoff: number, endPgoff = Infinity): void {
  if (!k.state.mm.mappedInodes.has(inodeId)) return;
  unmapPages(k, fromPgoff, endPgoff, endPgoff !== Infinity, (vma) => vma.inode === inodeId);
}

/** The same for a shared memory object, in which holes are punched. */
export function unmapShmemRange(k: Kernel, shmem: number, fromPgoff: number, endPgoff: number): void {
  unmapPages(k, fromPgoff, endPgoff, true, (vma) => vma.shmem === shmem);
}

const WRITABLE = VM_SHARED | VM_MAYWRITE;

/** Whether somebody maps the file shared and may write to it (mapping_deny_writable). */
export function isMappedWritable(k: Kernel, inodeId: number): boolean {
  if (!k.state.mm.mappedInodes.has(inodeId)) return false;
  for (const space of k.state.mm.spaces.values()) {
    for (const run of space.vmas) for (const vma of run) if (vma.inode === inodeId && (vma.flags & WRITABLE) === WRITABLE) return true;
  }
  return false;
}
