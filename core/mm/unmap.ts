/** Taking mappings and pages away (do_mas_align_munmap, zap_page_range). */
import { EINVAL, ENOMEM } from "../abi/errno.ts";
import { PAGE_SIZE, TASK_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "../sched/cost.ts";
import type { Task } from "../sched/task.ts";
import { accountVm, unpromisePages } from "./accounting.ts";
import { frameOf } from "./page_alloc.ts";
import { forEachPte, freeTables, isSwapEntry, PTE_SPECIAL, ptePfn } from "./page_table.ts";
import { unmapEntry } from "./pte_map.ts";
import { spaceOf, type AddressSpace } from "./space.ts";
import type { MmState } from "./state.ts";
import { putVma, unlinkVmas, vmaPages, vmasLeft, vmOpsOf, VM_ACCOUNT, VM_LOCKED, type Vma } from "./vma.ts";
import { findVma, vmaBefore } from "./vma_list.ts";
import { splitVma } from "./vma_merge.ts";

/** munmap(2): 0, -EINVAL for a bad range, -ENOMEM when a split would make too many mappings. What is not mapped is no error. */
export function munmap(k: Kernel, task: Task, addr: number | bigint, length: number | bigint): number {
  if (typeof addr === "bigint" || addr % PAGE_SIZE !== 0 || addr > TASK_SIZE) return -EINVAL;
  if (typeof length === "bigint" || length > TASK_SIZE - addr || length === 0) return -EINVAL;
  return unmap(k, task, spaceOf(k, task), addr, addr + Math.ceil(length / PAGE_SIZE) * PAGE_SIZE);
}

/** Clears the page-table entries of [start, end) and drops their frames; private copies of file pages stay if `keepCopies`. */
export function zapRange(
  k: Kernel, space: AddressSpace, start: number, end: number, { keepCopies = false }: { keepCopies?: boolean } = {},
): void {
  const { mm } = k.state;
  let count = 0;
  forEachPte(mm, space, start, end, (table, index) => {
    if (keepCopies && isCopy(mm, table[index], table[index + 1])) return;
    unmapEntry(k, space, table, index);
    count++;
  });
  if (count > 0) charge(k, count * costs(k).pteNs);
}

function isCopy(mm: MmState, low: number, high: number): boolean {
  return isSwapEntry(low) || (low & PTE_SPECIAL) === 0 && frameOf(mm, ptePfn(low, high)).use === "anon";
}

/** Unmaps [start, end), page-aligned, whatever lies there: 0 or -ENOMEM. */
export function unmap(k: Kernel, task: Task, space: AddressSpace, start: number, end: number): number {
  const first = findVma(space, start);
  if (first === null || first.start >= end) return 0;
  if (first.start < start) {
    if (end < first.end && !vmasLeft(k, space, 2)) return -ENOMEM;
    splitVma(k, task, space, first, start, false);
  }
  const last = findVma(space, end);
  if (last !== null && last.start < end) splitVma(k, task, space, last, end, true);
  const doomed = unlinkVmas(k, space, start, end);
  zapRange(k, space, start, end);
  freeTables(k, space, start, end, vmaBefore(space, start)?.end ?? 0, findVma(space, end)?.start ?? Infinity);
  space.fullAbove = Math.max(space.fullAbove, Math.min(end, space.mmapBase));
  for (const vma of doomed) removeVma(k, task, space, vma);
  return 0;
}

/** A VMA that is out of the list and maps nothing any more: tells its driver, counts it out, lets go of what it held. */
export function removeVma(k: Kernel, task: Task, space: AddressSpace, vma: Vma): void {
  const pages = vmaPages(vma);
  charge(k, costs(k).vmaNs);
  if ((vma.flags & VM_ACCOUNT) !== 0) unpromisePages(k, pages);
  if ((vma.flags & VM_LOCKED) !== 0) space.lockedVm -= pages;
  accountVm(space, vma.flags, -pages);
  vmOpsOf(k, vma)?.close?.(k, vma, task);
  putVma(k, vma);
}
