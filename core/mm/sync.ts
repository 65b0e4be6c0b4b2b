/** msync(2) and mincore(2). */
import { EBUSY, EFAULT, EINVAL, ENOMEM } from "../abi/errno.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import { MS_ASYNC, MS_INVALIDATE, MS_SYNC } from "../abi/mman.ts";
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import type { Task } from "../sched/task.ts";
import { pageAlign } from "./mmap.ts";
import { findTable, isSwapEntry, pteIndex, ptePfn, ptePresent } from "./page_table.ts";
import { shmemOf } from "./shmem.ts";
import { cachedPage } from "./shmem_ops.ts";
import { slotOf } from "./swap.ts";
import { spaceOf, type AddressSpace } from "./space.ts";
import { accessOk, copyToUser, type Addr } from "./usercopy.ts";
import { pgoffAt, vmaAt, VM_LOCKED, VM_SHARED, type Vma } from "./vma.ts";
import { findVma } from "./vma_list.ts";

/**
 * msync(2): 0; -EINVAL for unknown or contrary flags or an unaligned address, -ENOMEM where nothing is mapped (the rest is
 * synchronised), -EBUSY for MS_INVALIDATE of locked memory, or what the file's fsync answers.
 */
export function msync(k: Kernel, task: Task, addr: Addr, length: number | bigint, flags: number): number {
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0) return -EINVAL;
  if (typeof addr === "bigint" ? addr % 4096n !== 0n : addr % PAGE_SIZE !== 0) return -EINVAL;
  if ((flags & MS_ASYNC) !== 0 && (flags & MS_SYNC) !== 0) return -EINVAL;
  const bytes = pageAlign(length);
  if (length !== 0 && bytes === 0) return -ENOMEM;
  if (bytes === 0) return 0;
  if (typeof addr === "bigint") return -ENOMEM;
  const space = spaceOf(k, task);
  const end = addr + bytes;
  let start = addr;
  let hole = 0;
  for (;;) {
    const vma = findVma(space, start);
    if (vma === null) return -ENOMEM;
    if (start < vma.start) {
      if (flags === MS_ASYNC) return -ENOMEM;
      start = vma.start;
      if (start >= end) return -ENOMEM;
      hole = -ENOMEM;
    }
    if ((flags & MS_INVALIDATE) !== 0 && (vma.flags & VM_LOCKED) !== 0) return -EBUSY;
    start = vma.end;
    if ((flags & MS_SYNC) !== 0 && vma.file !== 0 && (vma.flags & VM_SHARED) !== 0) {
      const error = syncFile(k, task, vma.file);
      if (error < 0) return error;
    }
    if (start >= end) return hole;
  }
}

function syncFile(k: Kernel, task: Task, fileId: number): number {
  const file = k.tables.hooks.file(k, fileId);
  const result = must(k.tables.fileOperations, file.ops).fsync?.(k, task, file, true) ?? -EINVAL;
  assert(typeof result === "number", `fsync of ${file.ops} sleeps`);
  return result;
}

/** Pages that one step of mincore looks at. */
const MINCORE_STEP = PAGE_SIZE;

/** mincore(2): writes a byte a page, 1 when it is in memory. -EINVAL, -ENOMEM where nothing is mapped, -EFAULT for a bad `vec`. */
export function mincore(k: Kernel, task: Task, addr: Addr, length: number | bigint, vec: Addr): number {
  if (typeof addr === "bigint" ? addr % 4096n !== 0n : addr % PAGE_SIZE !== 0) return -EINVAL;
  if (!accessOk(addr, length)) return -ENOMEM;
  const pages = Math.ceil((length as number) / PAGE_SIZE);
  if (!accessOk(vec, pages)) return -EFAULT;
  const space = spaceOf(k, task);
  for (let done = 0; done < pages;) {
    const start = (addr as number) + done * PAGE_SIZE;
    const vma = vmaAt(space, start);
    if (vma === null) return -ENOMEM;
    const count = Math.min(pages - done, (vma.end - start) / PAGE_SIZE, MINCORE_STEP);
    const resident = new Uint8Array(count);
    for (let page = 0; page < count; page++) resident[page] = isResident(k, task, space, vma, start + page * PAGE_SIZE) ? 1 : 0;
    if (copyToUser(k, task, (vec as number) + done, resident) !== count) return -EFAULT;
    done += count;
  }
  return 0;
}

function isResident(k: Kernel, task: Task, space: AddressSpace, vma: Vma, addr: number): boolean {
  if (vma.ops !== "" && !mayTell(k, task, vma)) return true;
  const table = findTable(k.state.mm, space, addr);
  if (table !== null) {
    const index = pteIndex(addr);
    if (ptePresent(table[index])) return true;
    if (isSwapEntry(table[index])) return slotOf(k.state.mm, ptePfn(table[index], table[index + 1])).pfn !== 0;
  }
  const pgoff = pgoffAt(vma, addr);
  if (vma.shmem !== 0) return (shmemOf(k, vma.shmem).frames.get(pgoff) ?? 0) > 0;
  return vma.ops === "file" && (cachedPage(k, vma.inode, pgoff) ?? 0) > 0;
}

/** Who could not write a file is not told which of its pages are in memory (can_do_mincore): all are said to be. */
function mayTell(k: Kernel, task: Task, vma: Vma): boolean {
  if (vma.file === 0) return true;
  const inode = k.state.fs.inodes.get(vma.inode);
  if (inode === undefined) return false;
  const { fsuid, fsgid, groups } = task.cred;
  if (fsuid === 0 || fsuid === inode.uid) return true;
  if (fsgid === inode.gid || groups.includes(inode.gid)) return (inode.mode & 0o020) !== 0;
  return (inode.mode & 0o002) !== 0;
}
