/** What a mapping may cost: limits of address space and data, and the memory that processes are promised (overcommit). */
import { CAP_SYS_ADMIN } from "../abi/capability.ts";
import { PAGE_SIZE, RLIMIT_AS, RLIMIT_DATA } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { capable } from "../sched/cred.ts";
import { printk } from "../sched/printk.ts";
import { rlimit } from "../sched/rlimit.ts";
import { current, type Task } from "../sched/task.ts";
import { totalPages } from "./page_alloc.ts";
import type { AddressSpace } from "./space.ts";
import { swapPages } from "./swap.ts";
import { VM_EXEC, VM_GROWSDOWN, VM_NORESERVE, VM_SHARED, VM_WRITE } from "./vma.ts";

function isData(flags: number): boolean {
  return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) === VM_WRITE;
}

function isExec(flags: number): boolean {
  return (flags & (VM_EXEC | VM_WRITE | VM_GROWSDOWN)) === VM_EXEC;
}

/** Counts `pages` more (or, negative, fewer) pages of VMAs with these flags (vm_stat_account). */
export function accountVm(space: AddressSpace, flags: number, pages: number): void {
  space.totalVm += pages;
  if (isExec(flags)) space.execVm += pages;
  else if ((flags & VM_GROWSDOWN) !== 0) space.stackVm += pages;
  else if (isData(flags)) space.dataVm += pages;
  if (space.totalVm > space.peakVm) space.peakVm = space.totalVm;
}

/** Whether RLIMIT_AS and RLIMIT_DATA let the space grow by `pages` (may_expand_vm). */
export function mayExpand(k: Kernel, task: Task, space: AddressSpace, flags: number, pages: number): boolean {
  if ((space.totalVm + pages) * PAGE_SIZE > rlimit(k, task, RLIMIT_AS)) return false;
  const limit = rlimit(k, task, RLIMIT_DATA);
  if (!isData(flags) || (space.dataVm + pages) * PAGE_SIZE <= limit) return true;
  warnOnce(k, "mmap.data", `mmap: ${task.comm} (${task.tgid}): VmData ${(space.dataVm + pages) * PAGE_SIZE} exceed data ulimit ` +
    `${limit}. Update limits or use boot option ignore_rlimit_data.`);
  return false;
}

/** Prints a warning the first time since boot (pr_warn_once). */
export function warnOnce(k: Kernel, key: string, text: string): void {
  if (k.state.mm.warned[key] === true) return;
  k.state.mm.warned[key] = true;
  printk(k, 4, text);
}

/** Whether pages of a mapping with these flags are promised to it: private, writable, not MAP_NORESERVE. */
export function isAccountable(flags: number): boolean {
  return (flags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) === VM_WRITE;
}

/** Pages that all processes together may be promised when overcommit is off. */
export function commitLimitPages(k: Kernel): number {
  const { mm } = k.state;
  const { overcommitKbytes } = mm.vm;
  const ram = overcommitKbytes > 0 ? Math.floor(overcommitKbytes / 4) : Math.floor((totalPages(mm) * mm.overcommitRatio) / 100);
  return ram + swapPages(k);
}

/** Of the commit limit, what the running task leaves: for administrators if it is none, and a 32nd of what it has for a way out. */
function reservedPages(k: Kernel): number {
  const task = current(k);
  if (task === null) return 0;
  const { vm, spaces } = k.state.mm;
  const admin = capable(task, CAP_SYS_ADMIN) ? 0 : Math.floor(vm.adminReserveKbytes / 4);
  return admin + Math.min(Math.floor((spaces.get(task.mm)?.totalVm ?? 0) / 32), Math.floor(vm.userReserveKbytes / 4));
}

/** Promises `pages`; false when the overcommit mode forbids it (__vm_enough_memory): by default only what could never be had. */
export function promisePages(k: Kernel, pages: number): boolean {
  const { mm } = k.state;
  if (mm.overcommitMemory === 0 && pages > totalPages(mm) + swapPages(k)) return false;
  if (mm.overcommitMemory === 2 && mm.committedPages + pages >= commitLimitPages(k) - reservedPages(k)) return false;
  mm.committedPages += pages;
  return true;
}

/** Takes a promise back (vm_unacct_memory). */
export function unpromisePages(k: Kernel, pages: number): void {
  k.state.mm.committedPages -= pages;
}
