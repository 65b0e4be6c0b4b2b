/** The heap: brk(2) moves its end (mm/mmap.c). */
import { PAGE_SIZE, RLIMIT_DATA, TASK_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { rlimit } from "../sched/rlimit.ts";
import type { Task } from "../sched/task.ts";
import { accountVm, mayExpand, promisePages } from "./accounting.ts";
import { populate } from "./fault.ts";
import { withinLockLimit } from "./mmap.ts";
import { spaceOf, type AddressSpace } from "./space.ts";
import { unmap } from "./unmap.ts";
import {
  kernelVmasLeft, linkVma, STACK_GUARD_GAP, startGap, vmaOverlaps,
  VM_ACCESS, VM_ACCOUNT, VM_EXEC, VM_LOCKED, VM_MAYEXEC, VM_MAYREAD, VM_MAYWRITE, type Vma,
} from "./vma.ts";
import { findVma, vmaBefore } from "./vma_list.ts";
import { canMergeAfter } from "./vma_merge.ts";

function align(addr: number): number {
  return Math.ceil(addr / PAGE_SIZE) * PAGE_SIZE;
}

/** The new end of the heap, or the old one when it cannot be moved there: brk never answers an errno. */
export function brk(k: Kernel, task: Task, wanted: number | bigint): number {
  const space = spaceOf(k, task);
  const { brk: old, startBrk } = space;
  if (typeof wanted === "bigint" || wanted < startBrk) return old;
  if (wanted - startBrk > rlimit(k, task, RLIMIT_DATA)) return old;
  const newEnd = align(wanted);
  const oldEnd = align(old);
  if (newEnd === oldEnd) return (space.brk = wanted);
  if (wanted <= old) {
    const heap = findVma(space, newEnd);
    if (heap === null || heap.start >= oldEnd) return old;
    return unmap(k, task, space, newEnd, oldEnd) < 0 ? old : (space.brk = wanted);
  }
  if (newEnd > TASK_SIZE || !withinLockLimit(k, task, space, space.defFlags, newEnd - oldEnd)) return old;
  const next = findVma(space, oldEnd);
  if (next !== null && next.start < newEnd + PAGE_SIZE + STACK_GUARD_GAP && newEnd + PAGE_SIZE > startGap(next)) return old;
  if (!growHeap(k, task, space, oldEnd, newEnd)) return old;
  if ((space.defFlags & VM_LOCKED) !== 0) populate(k, task, space, oldEnd, newEnd, { goOn: true });
  return (space.brk = wanted);
}

/** Anonymous writable memory at [start, end), appended to the heap or as its first VMA (do_brk_flags). */
function growHeap(k: Kernel, task: Task, space: AddressSpace, start: number, end: number): boolean {
  const pages = (end - start) / PAGE_SIZE;
  const flags = (VM_ACCESS & ~VM_EXEC) | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_ACCOUNT | space.defFlags;
  if (vmaOverlaps(space, start, end)) return false;
  if (!mayExpand(k, task, space, flags, pages) || space.mapCount > k.state.mm.vm.maxMapCount || !kernelVmasLeft(k, 1)) return false;
  if (!promisePages(k, pages)) return false;
  const prev = vmaBefore(space, start);
  const stretch = { flags, pgoff: start / PAGE_SIZE, file: 0, shmem: 0, anonVma: 0 };
  if (prev !== null && prev.end === start && canMergeAfter(k, prev, stretch)) prev.end = end;
  else {
    const made: Vma = {
      mm: space.id, start, end, flags, prot: flags & VM_ACCESS, pgoff: start / PAGE_SIZE,
      file: 0, inode: 0, shmem: 0, ops: "", private: 0, anonVma: 0, anonChain: 0,
    };
    linkVma(k, space, made);
  }
  accountVm(space, flags, pages);
  if ((flags & VM_LOCKED) !== 0) space.lockedVm += pages;
  return true;
}

