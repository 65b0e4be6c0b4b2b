/** Changing the rights of mapped memory (mm/mprotect.c). */
import { EACCES, EINVAL, ENOMEM } from "../abi/errno.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import { PROT_EXEC, PROT_GROWSDOWN, PROT_GROWSUP, PROT_READ, PROT_SEM, PROT_WRITE } from "../abi/mman.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { accountVm, mayExpand, promisePages } from "./accounting.ts";
import { populate } from "./fault.ts";
import { pageAlign, protBits } from "./mmap.ts";
import { frameOf, type PageFrame } from "./page_alloc.ts";
import { forEachPte, isSwapEntry, PTE_ACCESSED, PTE_DIRTY, PTE_RW, PTE_SPECIAL, ptePfn, setPte } from "./page_table.ts";
import { pteBits, pteNx } from "./pte_map.ts";
import { spaceOf, type AddressSpace } from "./space.ts";
import {
  pgoffAt, setVmaFlags, vmasLeft,
  VM_ACCESS, VM_ACCOUNT, VM_GROWSDOWN, VM_LOCKED, VM_NORESERVE, VM_SHARED, VM_WRITE, type Vma,
} from "./vma.ts";
import { findVma, vmaBefore } from "./vma_list.ts";
import { mergeVma, splitVma } from "./vma_merge.ts";

/**
 * mprotect(2): 0, -EINVAL for an unaligned address or unknown rights, -ENOMEM where nothing is mapped (what lies before
 * has changed by then), -EACCES for rights that the mapping may never have.
 */
export function mprotect(k: Kernel, task: Task, addr: number | bigint, length: number | bigint, prot: number): number {
  const grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP)) return -EINVAL;
  if (typeof addr === "bigint" ? addr % 4096n !== 0n : addr % PAGE_SIZE !== 0) return -EINVAL;
  if (length === 0) return 0;
  const bytes = pageAlign(length);
  if (bytes === 0) return -ENOMEM;
  if ((prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP)) !== 0) return -EINVAL;
  if (typeof addr === "bigint" || addr + bytes > 2 ** 53) return -ENOMEM;
  const space = spaceOf(k, task);
  const end = addr + bytes;
  const first = findVma(space, addr);
  if (first === null) return -ENOMEM;
  let start = addr;
  if (grows === PROT_GROWSDOWN) {
    if (first.start >= end) return -ENOMEM;
    if ((first.flags & VM_GROWSDOWN) === 0) return -EINVAL;
    start = first.start;
  } else if (first.start > start) return -ENOMEM;
  else if (grows === PROT_GROWSUP) return -EINVAL;

  let vma: Vma = first;
  let prev: Vma | null = start > vma.start ? vma : vmaBefore(space, vma.start);
  for (;;) {
    const flags = (vma.flags & ~VM_ACCESS) | protBits(prot);
    if ((flags & ~(flags >> 4) & VM_ACCESS) !== 0) return -EACCES;
    const stop = Math.min(vma.end, end);
    const changed = protectVma(k, task, space, vma, prev, start, stop, flags);
    if (typeof changed === "number") return changed;
    prev = changed;
    start = Math.max(stop, prev.end);
    if (start >= end) return 0;
    const next = findVma(space, start);
    if (next === null || next.start !== start) return -ENOMEM;
    vma = next;
  }
}

/** Gives the part [start, end) of `vma` new flags, merging or splitting; answers the VMA that holds it, or an errno (mprotect_fixup). */
function protectVma(
  k: Kernel, task: Task, space: AddressSpace, vma: Vma, prev: Vma | null, start: number, end: number, wanted: number,
): Vma | number {
  const old = vma.flags;
  let flags = wanted;
  if (flags === old) return vma;
  const pages = (end - start) / PAGE_SIZE;
  if ((flags & VM_WRITE) !== 0) {
    if (!mayExpand(k, task, space, flags, pages) && mayExpand(k, task, space, old, pages)) return -ENOMEM;
    if ((old & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE)) === 0) {
      if (!promisePages(k, pages)) return -ENOMEM;
      flags |= VM_ACCOUNT;
    }
  }
  const changed = changeFlags(k, task, space, vma, prev, start, end, flags);
  if (typeof changed === "number") return changed;
  changeRights(k, space, changed, start, end);
  accountVm(space, old, -pages);
  accountVm(space, flags, pages);
  if ((old & VM_LOCKED) !== 0 && (flags & (VM_WRITE | VM_SHARED)) === VM_WRITE && (old & VM_WRITE) === 0) {
    populate(k, task, space, start, end);
  }
  return changed;
}

/**
 * Gives [start, end) of `vma` other flags: merged with a neighbour that has them, or split off. Answers the VMA that holds the
 * range, or -ENOMEM when there would be too many. `prev` is the VMA before, or `vma` itself when `start` lies inside it.
 */
export function changeFlags(
  k: Kernel, task: Task, space: AddressSpace, vma: Vma, prev: Vma | null, start: number, end: number, flags: number,
): Vma | number {
  const merged = mergeVma(k, space, prev, start, end, {
    flags, pgoff: pgoffAt(vma, start), file: vma.file, shmem: vma.shmem, anonVma: vma.anonVma,
  });
  if (merged !== null) return merged;
  if (start !== vma.start) {
    if (!vmasLeft(k, space)) return -ENOMEM;
    splitVma(k, task, space, vma, start, true);
  }
  if (end !== vma.end) {
    if (!vmasLeft(k, space)) return -ENOMEM;
    splitVma(k, task, space, vma, end, false);
  }
  setVmaFlags(vma, flags);
  return vma;
}

/**
 * Makes the entries of [start, end) agree with the rights of `vma`. Private memory becomes writable by a fault, but for pages
 * that were written before and that nobody shares (can_change_pte_writable).
 */
function changeRights(k: Kernel, space: AddressSpace, vma: Vma, start: number, end: number): void {
  const { mm } = k.state;
  const bits = pteBits(vma.flags);
  const nx = pteNx(vma.flags);
  const upgrade = (vma.flags & (VM_WRITE | VM_SHARED)) === VM_WRITE;
  forEachPte(mm, space, start, end, (table, index) => {
    const low = table[index];
    if (isSwapEntry(low)) return; // the fault that brings it back looks at the rights
    const pfn = ptePfn(low, table[index + 1]);
    const own = upgrade && (low & (PTE_DIRTY | PTE_SPECIAL)) === PTE_DIRTY && isOwn(frameOf(mm, pfn));
    setPte(table, index, pfn, bits | (low & (PTE_ACCESSED | PTE_DIRTY | PTE_SPECIAL)) | (own ? PTE_RW : 0), nx);
  });
}

function isOwn(frame: PageFrame): boolean {
  return frame.use === "anon" && frame.refs === 1;
}
