/** Growing, shrinking and moving mappings (mm/mremap.c of Linux 6.1). */
import { EAGAIN, EFAULT, EINVAL, ENOMEM } from "../abi/errno.ts";
import { PAGE_SIZE, TASK_SIZE } from "../abi/limits.ts";
import { MAP_FIXED, MAP_SHARED, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE } from "../abi/mman.ts";
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "../sched/cost.ts";
import type { Task } from "../sched/task.ts";
import { accountVm, mayExpand, promisePages, unpromisePages, warnOnce } from "./accounting.ts";
import { populate } from "./fault.ts";
import { getUnmappedArea, pageAlign, withinLockLimit } from "./mmap.ts";
import { clearPte, forEachPte, makeTable, pteIndex } from "./page_table.ts";
import { spaceOf, type AddressSpace } from "./space.ts";
import { unmap } from "./unmap.ts";
import {
  getVma, kernelVmasLeft, linkVma, pgoffAt, setVmaFlags, vmaAt, vmaOverlaps, vmOpsOf,
  VM_ACCOUNT, VM_DONTEXPAND, VM_LOCKED, VM_LOCKONFAULT, VM_MAYSHARE, VM_PFNMAP, VM_SHARED, type Vma,
} from "./vma.ts";
import { vmaBefore } from "./vma_list.ts";
import { mergeVma, type Stretch } from "./vma_merge.ts";

/** mremap(2): the address of the mapping as it is now, or a negative errno in Linux's order of checks. */
export function mremap(
  k: Kernel, task: Task, addr: number | bigint, oldSize: number | bigint, newSize: number | bigint, flags: number,
  newAddr: number | bigint,
): number {
  if ((flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP)) !== 0) return -EINVAL;
  if ((flags & MREMAP_FIXED) !== 0 && (flags & MREMAP_MAYMOVE) === 0) return -EINVAL;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && ((flags & MREMAP_MAYMOVE) === 0 || oldSize !== newSize)) return -EINVAL;
  if (typeof addr === "bigint" ? addr % 4096n !== 0n : addr % PAGE_SIZE !== 0) return -EINVAL;
  const oldLength = pageAlign(oldSize);
  const newLength = pageAlign(newSize);
  if (newLength === 0) return -EINVAL;
  const space = spaceOf(k, task);
  const vma = typeof addr === "bigint" ? null : vmaAt(space, addr);
  if (vma === null) return -EFAULT;
  const from = addr as number;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return mremapTo(k, task, space, from, oldLength, newLength, flags, newAddr);
  if (oldLength >= newLength) return shrink(k, task, space, from, oldLength, newLength);
  const error = checkResize(k, task, space, vma, from, oldLength, newLength, flags);
  if (error < 0) return error;
  if (oldLength === vma.end - from && growInPlace(k, space, vma, newLength - oldLength)) {
    if ((vma.flags & VM_LOCKED) !== 0) populate(k, task, space, from + oldLength, from + newLength, { goOn: true });
    return from;
  }
  if ((flags & MREMAP_MAYMOVE) === 0 || growthRefused(space, vma, from, oldLength, newLength)) return -ENOMEM;
  const shared = (vma.flags & VM_MAYSHARE) !== 0 ? MAP_SHARED : 0;
  const to = getUnmappedArea(k, task, space, 0, newLength, shared);
  return to < 0 ? to : moveVma(k, task, space, vma, from, oldLength, newLength, to, flags);
}

function shrink(k: Kernel, task: Task, space: AddressSpace, addr: number, oldLength: number, newLength: number): number {
  if (oldLength === newLength) return addr;
  const start = addr + newLength;
  if (start > TASK_SIZE || oldLength - newLength > TASK_SIZE - start) return -EINVAL;
  const result = unmap(k, task, space, start, addr + oldLength);
  return result < 0 ? result : addr;
}

/** Whether the mapping at `addr` may become `newLength` bytes: 0 or a negative errno (vma_to_resize). */
function checkResize(
  k: Kernel, task: Task, space: AddressSpace, vma: Vma, addr: number, oldLength: number, newLength: number, flags: number,
): number {
  if (oldLength === 0 && (vma.flags & (VM_SHARED | VM_MAYSHARE)) === 0) {
    warnOnce(k, "mremap.private", `${task.comm} (${task.tgid}): attempted to duplicate a private mapping with mremap.  This is not supported.`);
    return -EINVAL;
  }
  if ((flags & MREMAP_DONTUNMAP) !== 0 && (vma.flags & (VM_DONTEXPAND | VM_PFNMAP)) !== 0) return -EINVAL;
  if (oldLength > vma.end - addr) return -EFAULT;
  if (newLength === oldLength) return 0;
  if (newLength === Infinity) return -ENOMEM;
  if ((vma.flags & (VM_DONTEXPAND | VM_PFNMAP)) !== 0) return -EFAULT;
  if (!withinLockLimit(k, task, space, vma.flags, newLength - oldLength)) return -EAGAIN;
  return mayExpand(k, task, space, vma.flags, (newLength - oldLength) / PAGE_SIZE) ? 0 : -ENOMEM;
}

/**
 * Whether the free addresses behind `vma` take `bytes` more. What lies below mmap_base does not grow beyond it: a program of
 * Linux has its loader there, and the gap for the stack.
 */
function isExpandable(space: AddressSpace, vma: Vma, bytes: number): boolean {
  const end = vma.end + bytes;
  if (end > TASK_SIZE || (vma.end <= space.mmapBase && end > space.mmapBase)) return false;
  return !vmaOverlaps(space, vma.end, end);
}

/** Lets `vma` grow by `bytes` where it stands; false when something is in the way, or its memory cannot be promised. */
function growInPlace(k: Kernel, space: AddressSpace, vma: Vma, bytes: number): boolean {
  if (!isExpandable(space, vma, bytes)) return false;
  const pages = bytes / PAGE_SIZE;
  if ((vma.flags & VM_ACCOUNT) !== 0 && !promisePages(k, pages)) return false;
  const { flags, end } = vma;
  if (vmOpsOf(k, vma)?.close === undefined) {
    const merged = mergeVma(k, space, vma, end, end + bytes, {
      flags, pgoff: pgoffAt(vma, end), file: vma.file, shmem: vma.shmem, anonVma: vma.anonVma,
    });
    if (merged === null) {
      if ((flags & VM_ACCOUNT) !== 0) unpromisePages(k, pages);
      return false;
    }
  } else vma.end += bytes;
  accountVm(space, flags, pages);
  if ((flags & VM_LOCKED) !== 0) space.lockedVm += pages;
  return true;
}

/** As Linux: where growing in place was possible but failed, the call fails; it does not move instead. */
function growthRefused(space: AddressSpace, vma: Vma, addr: number, oldLength: number, newLength: number): boolean {
  return oldLength === vma.end - addr && isExpandable(space, vma, newLength - oldLength);
}

/** MREMAP_FIXED and MREMAP_DONTUNMAP (mremap_to). */
function mremapTo(
  k: Kernel, task: Task, space: AddressSpace, addr: number, oldLength: number, newLength: number, flags: number,
  newAddr: number | bigint,
): number {
  if (typeof newAddr === "bigint" || newAddr % PAGE_SIZE !== 0) return -EINVAL;
  if (newLength > TASK_SIZE || newAddr > TASK_SIZE - newLength) return -EINVAL;
  if (addr + oldLength > newAddr && newAddr + newLength > addr) return -EINVAL;
  if (space.mapCount + 2 >= k.state.mm.vm.maxMapCount - 3) return -ENOMEM;
  if ((flags & MREMAP_FIXED) !== 0) {
    const result = unmap(k, task, space, newAddr, newAddr + newLength);
    if (result < 0) return result;
  }
  let length = oldLength;
  if (oldLength > newLength) {
    const result = shrink(k, task, space, addr, oldLength, newLength);
    if (result < 0) return result;
    length = newLength;
  }
  const vma = vmaAt(space, addr);
  if (vma === null) return -EFAULT;
  const error = checkResize(k, task, space, vma, addr, length, newLength, flags);
  if (error < 0) return error;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && !mayExpand(k, task, space, vma.flags, length / PAGE_SIZE)) return -ENOMEM;
  const fixed = (flags & MREMAP_FIXED) !== 0 ? MAP_FIXED : 0;
  const shared = (vma.flags & VM_MAYSHARE) !== 0 ? MAP_SHARED : 0;
  const to = getUnmappedArea(k, task, space, newAddr, newLength, fixed | shared);
  return to < 0 ? to : moveVma(k, task, space, vma, addr, length, newLength, to, flags);
}

/** Moves [addr, addr + oldLength) of `vma` to the free range at `to`, pages and all (move_vma). */
function moveVma(
  k: Kernel, task: Task, space: AddressSpace, vma: Vma, addr: number, oldLength: number, newLength: number, to: number, flags: number,
): number {
  if (space.mapCount >= k.state.mm.vm.maxMapCount - 3 || !kernelVmasLeft(k, 3)) return -ENOMEM;
  charge(k, costs(k).vmaNs);
  const keep = (flags & MREMAP_DONTUNMAP) !== 0;
  const { flags: vmFlags } = vma;
  const more = (keep ? newLength : newLength - oldLength) / PAGE_SIZE;
  if ((vmFlags & VM_ACCOUNT) !== 0 && !promisePages(k, more)) return -ENOMEM;
  const { made, source } = copyVma(k, task, space, vma, addr, to, newLength);
  if (!movePages(k, space, addr, to, oldLength)) {
    // Memory for page tables is out: what was moved goes back, and the new mapping away.
    movePages(k, space, to, addr, oldLength);
    accountVm(space, vmFlags, newLength / PAGE_SIZE);
    if ((vmFlags & VM_ACCOUNT) !== 0) k.state.mm.committedPages += (newLength - more * PAGE_SIZE) / PAGE_SIZE;
    if ((vmFlags & VM_LOCKED) !== 0) space.lockedVm += newLength / PAGE_SIZE;
    unmap(k, task, space, to, to + newLength);
    return -ENOMEM;
  }
  accountVm(space, vmFlags, newLength / PAGE_SIZE);
  if (keep) {
    if ((source.flags & VM_LOCKED) !== 0) space.lockedVm += (newLength - (source.end - source.start)) / PAGE_SIZE;
    setVmaFlags(source, source.flags & ~(VM_LOCKED | VM_LOCKONFAULT));
    if (source !== made && source.start === addr && source.end === addr + oldLength) {
      source.anonVma = 0;
      source.anonChain = 0;
    }
    return to;
  }
  // The promise moves along: what unmap takes back for the old place is promised for the new one.
  if ((vmFlags & VM_ACCOUNT) !== 0) k.state.mm.committedPages += oldLength / PAGE_SIZE;
  if (oldLength > 0) unmap(k, task, space, addr, addr + oldLength);
  if ((vmFlags & VM_LOCKED) !== 0) {
    space.lockedVm += newLength / PAGE_SIZE;
    if (newLength > oldLength) populate(k, task, space, to + oldLength, to + newLength, { goOn: true });
  }
  return to;
}

/** A VMA at the new place, merged or fresh; and the VMA that now holds the old place (copy_vma). */
function copyVma(
  k: Kernel, task: Task, space: AddressSpace, vma: Vma, addr: number, to: number, length: number,
): { made: Vma; source: Vma } {
  // Anonymous memory that was never touched forgets where it was, so that it can merge.
  const pgoff = vma.ops === "" && vma.anonVma === 0 ? to / PAGE_SIZE : pgoffAt(vma, addr);
  const wanted: Stretch = { flags: vma.flags, pgoff, file: vma.file, shmem: vma.shmem, anonVma: vma.anonVma };
  const prev = vmaBefore(space, to);
  const merged = mergeVma(k, space, prev, to, to + length, wanted);
  if (merged !== null) return { made: merged, source: vmaAt(space, addr)! };
  const made: Vma = { ...vma, start: to, end: to + length, pgoff };
  getVma(k, made);
  vmOpsOf(k, made)?.open?.(k, made, task);
  linkVma(k, space, made);
  return { made, source: vma };
}

/** Moves the entries of [from, from + length) to `to`; false when memory for page tables is out. */
function movePages(k: Kernel, space: AddressSpace, from: number, to: number, length: number): boolean {
  let moved = true;
  let count = 0;
  forEachPte(k.state.mm, space, from, from + length, (table, index, addr) => {
    const target = moved ? makeTable(k, space, to + (addr - from)) : null;
    if (target === null) {
      moved = false;
      return;
    }
    const at = pteIndex(to + (addr - from));
    target[at] = table[index];
    target[at + 1] = table[index + 1];
    clearPte(table, index);
    count++;
  });
  charge(k, count * costs(k).pteNs);
  return moved;
}
