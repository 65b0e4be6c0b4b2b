/** What a program says about its use of memory (mm/madvise.c of Linux 6.1). */
import { EACCES, EAGAIN, EFAULT, EINVAL, ENOMEM, EPERM } from "../abi/errno.ts";
import { CAP_SYS_ADMIN } from "../abi/capability.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from "../abi/fcntl.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import {
  MADV_COLD, MADV_COLLAPSE, MADV_DODUMP, MADV_DOFORK, MADV_DONTDUMP, MADV_DONTFORK, MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE,
  MADV_HUGEPAGE, MADV_HWPOISON, MADV_KEEPONFORK, MADV_MERGEABLE, MADV_NOHUGEPAGE, MADV_NORMAL, MADV_PAGEOUT, MADV_POPULATE_READ,
  MADV_POPULATE_WRITE, MADV_RANDOM, MADV_REMOVE, MADV_SEQUENTIAL, MADV_SOFT_OFFLINE, MADV_UNMERGEABLE, MADV_WILLNEED, MADV_WIPEONFORK,
} from "../abi/mman.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { waitForDisk } from "./disk.ts";
import { faultPage } from "./fault.ts";
import { pageAlign } from "./mmap.ts";
import { changeFlags } from "./mprotect.ts";
import { forEachPte, PTE_ACCESSED, PTE_SPECIAL, ptePfn, ptePresent } from "./page_table.ts";
import { deactivatePage, markLazy, reclaimPage } from "./vmscan.ts";
import { punchShmem } from "./shmem.ts";
import { unmapShmemRange } from "./unmap_mapping.ts";
import { spaceOf, type AddressSpace } from "./space.ts";
import { zapRange } from "./unmap.ts";
import {
  pgoffAt, VM_ACCESS, VM_DONTCOPY, VM_DONTDUMP, VM_HUGEPAGE, VM_IO, VM_LOCKED, VM_MAYWRITE, VM_NOHUGEPAGE, VM_PFNMAP, VM_RAND_READ,
  VM_SEQ_READ, VM_SHARED, VM_SPECIAL, VM_WIPEONFORK, VM_WRITE, type Vma,
} from "./vma.ts";
import { findVma, vmaBefore } from "./vma_list.ts";

/** Advice that changes the flags of a mapping: which it takes away and which it gives. */
const flagAdvice: { readonly [advice: number]: readonly [clear: number, set: number] | undefined } = {
  [MADV_NORMAL]: [VM_RAND_READ | VM_SEQ_READ, 0],
  [MADV_SEQUENTIAL]: [VM_RAND_READ, VM_SEQ_READ],
  [MADV_RANDOM]: [VM_SEQ_READ, VM_RAND_READ],
  [MADV_DONTFORK]: [0, VM_DONTCOPY],
  [MADV_DOFORK]: [VM_DONTCOPY, 0],
  [MADV_WIPEONFORK]: [0, VM_WIPEONFORK],
  [MADV_KEEPONFORK]: [VM_WIPEONFORK, 0],
  [MADV_DONTDUMP]: [0, VM_DONTDUMP],
  [MADV_DODUMP]: [VM_DONTDUMP, 0],
  [MADV_HUGEPAGE]: [VM_NOHUGEPAGE, VM_HUGEPAGE],
  [MADV_NOHUGEPAGE]: [VM_HUGEPAGE, VM_NOHUGEPAGE],
};

const otherAdvice = [
  MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_COLD, MADV_PAGEOUT,
  MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED, MADV_COLLAPSE, MADV_HWPOISON, MADV_SOFT_OFFLINE,
];

/**
 * madvise(2): 0; -EINVAL for unknown advice, an unaligned address, or advice that the mapping does not take; -ENOMEM when a
 * part is not mapped, the rest being done.
 */
export function madvise(k: Kernel, task: Task, addr: number | bigint, length: number | bigint, advice: number): number {
  if (flagAdvice[advice] === undefined && !otherAdvice.includes(advice)) return -EINVAL;
  if (typeof addr === "bigint" ? addr % 4096n !== 0n : addr % PAGE_SIZE !== 0) return -EINVAL;
  const bytes = pageAlign(length);
  if (length !== 0 && bytes === 0) return -EINVAL;
  if (bytes === 0) return 0;
  if (advice === MADV_HWPOISON || advice === MADV_SOFT_OFFLINE) return capable(task, CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
  if (typeof addr === "bigint" || bytes === Infinity) return -ENOMEM;
  const space = spaceOf(k, task);
  const end = addr + bytes;
  let start = addr;
  let hole = 0;
  while (start < end) {
    const vma = findVma(space, start);
    if (vma === null) return -ENOMEM;
    if (start < vma.start) {
      hole = -ENOMEM;
      start = vma.start;
      if (start >= end) break;
    }
    const stop = Math.min(end, vma.end);
    const error = adviseVma(k, task, space, vma, start, stop, advice);
    if (error < 0) return error;
    start = stop;
  }
  return hole;
}

function adviseVma(k: Kernel, task: Task, space: AddressSpace, vma: Vma, start: number, end: number, advice: number): number {
  switch (advice) {
    case MADV_REMOVE: return removePages(k, task, vma, start, end);
    case MADV_POPULATE_READ: case MADV_POPULATE_WRITE: return populatePages(k, task, space, vma, start, end, advice === MADV_POPULATE_WRITE);
    case MADV_DONTNEED: case MADV_DONTNEED_LOCKED: return dropPages(k, space, vma, start, end, advice);
    case MADV_FREE: return givePages(k, space, vma, start, end);
    case MADV_COLD: case MADV_PAGEOUT: return coolPages(k, space, vma, start, end, advice === MADV_PAGEOUT);
    case MADV_COLLAPSE: return vma.ops !== "" || (vma.flags & VM_NOHUGEPAGE) !== 0 ? -EINVAL : 0;
    // Differs from Linux: pages are not read ahead, and equal pages are not merged.
    case MADV_WILLNEED: case MADV_MERGEABLE: case MADV_UNMERGEABLE: return 0;
    default: return adviseFlags(k, task, space, vma, start, end, advice);
  }
}

/** MADV_FREE: pages stay as they are until memory is short, and go then unless they were written. */
function givePages(k: Kernel, space: AddressSpace, vma: Vma, start: number, end: number): number {
  if (vma.ops !== "" || (vma.flags & (VM_PFNMAP | VM_LOCKED)) !== 0) return -EINVAL;
  forEachPte(k.state.mm, space, start, end, (table, index) => markLazy(k, space, table, index));
  return 0;
}

/** MADV_COLD: pages are the first to be reclaimed; MADV_PAGEOUT: they are reclaimed now, where nobody else maps them (madvise_cold_or_pageout). */
function coolPages(k: Kernel, space: AddressSpace, vma: Vma, start: number, end: number, out: boolean): number {
  if ((vma.flags & (VM_LOCKED | VM_PFNMAP)) !== 0) return -EINVAL;
  const { mm } = k.state;
  const pfns: number[] = [];
  forEachPte(mm, space, start, end, (table, index) => {
    const low = table[index];
    if (!ptePresent(low) || (low & PTE_SPECIAL) !== 0) return;
    table[index] = low & ~PTE_ACCESSED;
    pfns.push(ptePfn(low, table[index + 1]));
  });
  for (const pfn of pfns) {
    if (out) reclaimPage(k, pfn);
    else deactivatePage(k, pfn);
  }
  if (out) waitForDisk(k);
  return 0;
}

function dropPages(k: Kernel, space: AddressSpace, vma: Vma, start: number, end: number, advice: number): number {
  const forbidden = advice === MADV_DONTNEED_LOCKED ? VM_PFNMAP : VM_PFNMAP | VM_LOCKED;
  if ((vma.flags & forbidden) !== 0) return -EINVAL;
  zapRange(k, space, start, end);
  return 0;
}

/** MADV_REMOVE: punches a hole into the file or the shared memory; it reads as zeros for everybody. */
function removePages(k: Kernel, task: Task, vma: Vma, start: number, end: number): number {
  if ((vma.flags & VM_LOCKED) !== 0 || (vma.file === 0 && vma.shmem === 0)) return -EINVAL;
  if ((vma.flags & (VM_SHARED | VM_MAYWRITE)) !== (VM_SHARED | VM_MAYWRITE)) return -EACCES;
  const first = pgoffAt(vma, start);
  const count = (end - start) / PAGE_SIZE;
  if (vma.shmem !== 0) {
    unmapShmemRange(k, vma.shmem, first, first + count);
    punchShmem(k, vma.shmem, first, first + count);
    return 0;
  }
  const file = k.tables.hooks.file(k, vma.file);
  const operations = must(k.tables.fileOperations, file.ops);
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  return operations.fallocate?.(k, task, file, mode, first * PAGE_SIZE, count * PAGE_SIZE) ?? -EINVAL;
}

function adviseFlags(k: Kernel, task: Task, space: AddressSpace, vma: Vma, start: number, end: number, advice: number): number {
  if (advice === MADV_DOFORK && (vma.flags & VM_IO) !== 0) return -EINVAL;
  if (advice === MADV_DODUMP && (vma.flags & VM_SPECIAL) !== 0) return -EINVAL;
  if (advice === MADV_WIPEONFORK && (vma.file !== 0 || vma.shmem !== 0 || (vma.flags & VM_SHARED) !== 0)) return -EINVAL;
  const [clear, set] = flagAdvice[advice]!;
  const flags = (vma.flags & ~clear) | set;
  if (flags === vma.flags) return 0;
  const prev = start > vma.start ? vma : vmaBefore(space, vma.start);
  // As Linux: resources that are short for the moment are EAGAIN.
  return typeof changeFlags(k, task, space, vma, prev, start, end, flags) === "number" ? -EAGAIN : 0;
}

/** MADV_POPULATE_READ and _WRITE: faults every page in; -EINVAL where the access is not allowed, -EFAULT beyond the end of a file. */
function populatePages(k: Kernel, task: Task, space: AddressSpace, vma: Vma, start: number, end: number, write: boolean): number {
  if ((vma.flags & (write ? VM_WRITE : VM_ACCESS)) === 0 || (vma.flags & (VM_IO | VM_PFNMAP)) !== 0) return -EINVAL;
  for (let addr = start; addr < end; addr += PAGE_SIZE) {
    const result = faultPage(k, task, space, vma, addr, write);
    if (result === "sigbus") return -EFAULT;
    if (result === "oom") return -ENOMEM;
  }
  return 0;
}
