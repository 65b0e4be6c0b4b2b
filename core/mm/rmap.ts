/** Taking the pages of a file or of shared memory out of everybody's mappings (unmap_mapping_range). */
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { zapRange } from "./unmap.ts";
import type { Vma } from "./vma.ts";

function unmapPages(k: Kernel, first: number, end: number, keepCopies: boolean, isMine: (vma: Vma) => boolean): void {
  for (const space of k.state.mm.spaces.values()) {
    for (const vma of space.vmas) {
      if (!isMine(vma)) continue;
      const from = Math.max(vma.start, vma.start + (first - vma.pgoff) * PAGE_SIZE);
      const to = Math.min(vma.end, vma.start + (end - vma.pgoff) * PAGE_SIZE);
      if (from < to) zapRange(k, space, from, to, { keepCopies });
    }
  }
}

/**
 * Takes a file's pages from `fromPgoff` to before `toPgoff` out of every mapping, before they are truncated: the next touch
 * faults again, and beyond the end that is SIGBUS. Private copies go too, unless `keepCopies` (a hole is punched).
 */
export function unmapFileRange(
  k: Kernel, inodeId: number, fromPgoff: number, toPgoff = Infinity, { keepCopies = false }: { keepCopies?: boolean } = {},
): void {
  if (k.state.mm.mappedInodes.has(inodeId)) unmapPages(k, fromPgoff, toPgoff, keepCopies, (vma) => vma.inode === inodeId);
}

/** The same for a shared memory object, in which holes are punched. */
export function unmapShmemRange(k: Kernel, shmem: number, fromPgoff: number, toPgoff: number): void {
  unmapPages(k, fromPgoff, toPgoff, true, (vma) => vma.shmem === shmem);
}
