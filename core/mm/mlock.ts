/** Keeping memory in RAM: mlock(2) and its relatives (mm/mlock.c). */
import { EAGAIN, EINVAL, ENOMEM, EPERM } from "../abi/errno.ts";
import { CAP_IPC_LOCK } from "../abi/capability.ts";
import { PAGE_SIZE, RLIMIT_MEMLOCK, TASK_SIZE } from "../abi/limits.ts";
import { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, MLOCK_ONFAULT } from "../abi/mman.ts";
import type { Kernel } from "../kernel.ts";
import { capable } from "../sched/cred.ts";
import { rlimit } from "../sched/rlimit.ts";
import type { Task } from "../sched/task.ts";
import { lockPage, populate } from "./fault.ts";
import { mayLock, pageAlign } from "./mmap.ts";
import { changeFlags } from "./mprotect.ts";
import { forEachPte, PTE_SPECIAL, ptePfn, ptePresent } from "./page_table.ts";
import { rescue } from "./vmscan.ts";
import { spaceOf, type AddressSpace } from "./space.ts";
import { VM_LOCKED, VM_LOCKONFAULT, VM_SPECIAL, type Vma } from "./vma.ts";
import { findVma, vmaAfter, vmaBefore } from "./vma_list.ts";

const LOCK_FLAGS = VM_LOCKED | VM_LOCKONFAULT;

/** The pages that [addr, addr + length) touches, as [start, end); null when it wraps around or is no user range. */
function pagesOf(addr: number | bigint, length: number | bigint): { start: number; bytes: number } {
  const offset = typeof addr === "bigint" ? Number(addr % 4096n) : addr % PAGE_SIZE;
  const start = typeof addr === "bigint" ? Infinity : addr - offset;
  const whole = typeof length === "bigint" ? pageAlign(length + BigInt(offset)) : pageAlign(length + offset);
  return { start, bytes: whole };
}

/** mlock(2) and mlock2(2). */
export function mlock(k: Kernel, task: Task, addr: number | bigint, length: number | bigint, flags: number): number {
  if ((flags & ~MLOCK_ONFAULT) !== 0) return -EINVAL;
  if (!mayLock(k, task)) return -EPERM;
  const space = spaceOf(k, task);
  const { start, bytes } = pagesOf(addr, length);
  if (!capable(task, CAP_IPC_LOCK)) {
    const more = bytes / PAGE_SIZE + space.lockedVm;
    const limit = Math.floor(rlimit(k, task, RLIMIT_MEMLOCK) / PAGE_SIZE);
    if (more > limit && more - lockedPages(space, start, start + bytes) > limit) return -ENOMEM;
  }
  const error = lockRange(k, task, space, start, bytes, (flags & MLOCK_ONFAULT) !== 0 ? LOCK_FLAGS : VM_LOCKED);
  if (error < 0 || (flags & MLOCK_ONFAULT) !== 0) return error;
  const result = populate(k, task, space, start, start + bytes);
  // As __mlock_posix_error_return: a page that cannot be had is ENOMEM, missing memory is EAGAIN.
  return result === "done" ? 0 : result === "oom" ? -EAGAIN : -ENOMEM;
}

/** munlock(2) */
export function munlock(k: Kernel, task: Task, addr: number | bigint, length: number | bigint): number {
  const { start, bytes } = pagesOf(addr, length);
  return lockRange(k, task, spaceOf(k, task), start, bytes, 0);
}

/** Pages of [start, end) that are locked already (count_mm_mlocked_page_nr). */
function lockedPages(space: AddressSpace, start: number, end: number): number {
  let bytes = 0;
  for (let vma = findVma(space, start); vma !== null && vma.start < end; vma = vmaAfter(space, vma)) {
    if ((vma.flags & VM_LOCKED) !== 0) bytes += Math.min(end, vma.end) - Math.max(start, vma.start);
  }
  return bytes / PAGE_SIZE;
}

/** Gives every mapping of the range these lock flags: 0, or -ENOMEM at the first hole, what lies before being done (apply_vma_lock_flags). */
function lockRange(k: Kernel, task: Task, space: AddressSpace, start: number, bytes: number, lock: number): number {
  if (bytes === 0) return 0;
  if (start + bytes > 2 ** 63) return -EINVAL;
  const end = start + bytes;
  let from = start;
  while (from < end) {
    const vma = findVma(space, from);
    if (vma === null || vma.start > from) return -ENOMEM;
    const stop = Math.min(end, vma.end);
    const prev = from > vma.start ? vma : vmaBefore(space, from);
    const changed = lockVma(k, task, space, vma, prev, from, stop, (vma.flags & ~LOCK_FLAGS) | lock);
    if (typeof changed === "number") return changed;
    from = Math.max(stop, changed.end);
  }
  return 0;
}

/** Locks or unlocks a part of one mapping (mlock_fixup); memory of devices stays as it is. */
function lockVma(
  k: Kernel, task: Task, space: AddressSpace, vma: Vma, prev: Vma | null, start: number, end: number, flags: number,
): Vma | number {
  const old = vma.flags;
  if (flags === old || (old & VM_SPECIAL) !== 0) return vma;
  const changed = changeFlags(k, task, space, vma, prev, start, end, flags);
  if (typeof changed === "number") return changed;
  const pages = (end - start) / PAGE_SIZE;
  if ((flags & VM_LOCKED) === 0) space.lockedVm -= pages;
  else if ((old & VM_LOCKED) === 0) space.lockedVm += pages;
  moveLocked(k, space, start, end, (flags & VM_LOCKED) !== 0);
  return changed;
}

/** Pages that are there already go to the list of those that stay, or come back from it (mlock_vma_pages_range). */
function moveLocked(k: Kernel, space: AddressSpace, start: number, end: number, locked: boolean): void {
  const { mm } = k.state;
  forEachPte(mm, space, start, end, (table, index) => {
    const low = table[index];
    if (locked) lockPage(mm, table, index);
    else if (ptePresent(low) && (low & PTE_SPECIAL) === 0) rescue(k, ptePfn(low, table[index + 1]));
  });
}

/** mlockall(2) */
export function mlockall(k: Kernel, task: Task, flags: number): number {
  if (flags === 0 || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0 || flags === MCL_ONFAULT) return -EINVAL;
  if (!mayLock(k, task)) return -EPERM;
  const space = spaceOf(k, task);
  const limit = Math.floor(rlimit(k, task, RLIMIT_MEMLOCK) / PAGE_SIZE);
  if ((flags & MCL_CURRENT) !== 0 && space.totalVm > limit && !capable(task, CAP_IPC_LOCK)) return -ENOMEM;
  const lock = (flags & MCL_ONFAULT) !== 0 ? LOCK_FLAGS : VM_LOCKED;
  space.defFlags = (space.defFlags & ~LOCK_FLAGS) | ((flags & MCL_FUTURE) !== 0 ? lock : 0);
  if ((flags & MCL_CURRENT) === 0) return 0;
  lockAll(k, task, space, lock);
  populate(k, task, space, 0, TASK_SIZE, { goOn: true });
  return 0;
}

/** munlockall(2) */
export function munlockall(k: Kernel, task: Task): number {
  const space = spaceOf(k, task);
  space.defFlags &= ~LOCK_FLAGS;
  lockAll(k, task, space, 0);
  return 0;
}

/** Errors of single mappings are not told, as in Linux (apply_mlockall_flags). */
function lockAll(k: Kernel, task: Task, space: AddressSpace, lock: number): void {
  let from = 0;
  for (;;) {
    const vma = findVma(space, from);
    if (vma === null) return;
    const changed = lockVma(k, task, space, vma, vmaBefore(space, from), vma.start, vma.end, (vma.flags & ~LOCK_FLAGS) | lock);
    from = typeof changed === "number" ? vma.end : changed.end;
  }
}
