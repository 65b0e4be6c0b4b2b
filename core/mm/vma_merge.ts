/** Splitting and merging VMAs by the rules of Linux 6.1 (mm/mmap.c: __split_vma, vma_merge, __vma_adjust). */
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { charge, costs } from "../sched/cost.ts";
import type { AddressSpace } from "./space.ts";
import { getVma, linkVma, putVma, unlinkVmas, vmaPages, vmOpsOf, VM_SPECIAL, type Vma } from "./vma.ts";
import { findVma, vmaAfter } from "./vma_list.ts";

/** What a stretch of addresses is to become; it merges with neighbours that are the same. */
export interface Stretch {
  flags: number;
  pgoff: number;
  file: number;
  shmem: number;
  anonVma: number;
}

/** Cuts `vma` at `addr`: the new record is the lower part if `below`, else the upper. Answers the new one. */
export function splitVma(k: Kernel, task: Task, space: AddressSpace, vma: Vma, addr: number, below: boolean): Vma {
  charge(k, costs(k).vmaNs);
  const made: Vma = { ...vma };
  const pgoff = vma.pgoff + (addr - vma.start) / PAGE_SIZE;
  if (below) made.end = addr;
  else {
    made.start = addr;
    made.pgoff = pgoff;
  }
  getVma(k, made);
  vmOpsOf(k, made)?.open?.(k, made, task);
  if (below) {
    vma.start = addr;
    vma.pgoff = pgoff;
  } else vma.end = addr;
  linkVma(k, space, made);
  return made;
}

/**
 * Whether anonymous pages of both may live in one VMA. `vma` is the one that would grow: not if it is shared with relatives by
 * fork. As Linux 6.1, whose list_is_singular() is false for an empty list: one without pages does not take in one with.
 */
export function anonMergeable(a: number, b: number, vma: Vma | null): boolean {
  if ((a === 0 || b === 0) && (vma === null || vma.anonChain === 1)) return true;
  return a === b;
}

function sameKind(k: Kernel, vma: Vma, wanted: Stretch): boolean {
  return vma.flags === wanted.flags && vma.file === wanted.file && vma.shmem === wanted.shmem &&
    vmOpsOf(k, vma)?.close === undefined;
}

/** Whether [addr, …) of this kind may be appended to `vma`, which ends there. */
export function canMergeAfter(k: Kernel, vma: Vma, wanted: Stretch): boolean {
  return sameKind(k, vma, wanted) && anonMergeable(wanted.anonVma, vma.anonVma, vma) &&
    vma.pgoff + vmaPages(vma) === wanted.pgoff;
}

/** Whether `pages` pages of this kind may be put before `vma`, which begins where they end. */
export function canMergeBefore(k: Kernel, vma: Vma, wanted: Stretch, pages: number): boolean {
  return sameKind(k, vma, wanted) && anonMergeable(wanted.anonVma, vma.anonVma, vma) &&
    vma.pgoff === wanted.pgoff + pages;
}

/** A VMA that takes over pages of another joins its family (anon_vma_clone). */
export function importAnon(into: Vma, from: Vma): void {
  if (from.anonVma === 0 || into.anonVma !== 0) return;
  into.anonVma = from.anonVma;
  into.anonChain = from.anonChain;
}

function remove(k: Kernel, space: AddressSpace, vma: Vma): void {
  unlinkVmas(k, space, vma.start, vma.end);
  putVma(k, vma);
}

/**
 * Merges [addr, end), which is free or lies in one VMA, with the VMA before or after it, or both; null if neither fits.
 * `prev` is the VMA before, or the one that `addr` lies in, but not at its start. The answer is the VMA that now holds the stretch.
 */
export function mergeVma(
  k: Kernel, space: AddressSpace, prev: Vma | null, addr: number, end: number, wanted: Stretch,
): Vma | null {
  if ((wanted.flags & VM_SPECIAL) !== 0) return null;
  const mid = findVma(space, prev === null ? 0 : prev.end);
  const next = mid !== null && mid.end === end ? vmaAfter(space, mid) : mid;
  const pages = (end - addr) / PAGE_SIZE;
  const withPrev = prev !== null && prev.end === addr && canMergeAfter(k, prev, wanted);
  const withNext = next !== null && next.start === end && canMergeBefore(k, next, wanted, pages);

  if (withPrev && withNext && anonMergeable(prev.anonVma, next.anonVma, null)) {
    const replaced = mid !== null && mid !== next;
    importAnon(prev, replaced && mid.anonVma !== 0 ? mid : next);
    if (replaced) remove(k, space, mid);
    remove(k, space, next);
    prev.end = next.end;
    return prev;
  }
  if (withPrev) {
    if (mid !== null && mid.start < end) {
      importAnon(prev, mid);
      if (mid.end <= end) remove(k, space, mid);
      else {
        mid.pgoff += (end - mid.start) / PAGE_SIZE;
        mid.start = end;
      }
    }
    prev.end = end;
    return prev;
  }
  if (withNext) {
    if (prev !== null && addr < prev.end) {
      importAnon(next, prev);
      prev.end = addr;
    } else if (mid !== null && mid !== next) {
      importAnon(next, mid);
      remove(k, space, mid);
    }
    next.start = addr;
    next.pgoff -= pages;
    return next;
  }
  return null;
}
