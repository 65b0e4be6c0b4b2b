/** Address spaces across fork and exit (dup_mmap, exit_mmap). */
import { EINTR, ENOMEM } from "../abi/errno.ts";
import { TASK_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { charge, costs } from "../sched/cost.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { fatalSignalPending } from "../sched/wait_queue.ts";
import { accountVm, promisePages } from "./accounting.ts";
import { frameOf } from "./page_alloc.ts";
import {
  forEachPte, freeTables, freeTop, isSwapEntry, makeTable, PTE_ACCESSED, PTE_DIRTY, PTE_NX, PTE_RW, PTE_SPECIAL, pteIndex, ptePfn, setPte,
} from "./page_table.ts";
import { mapFrame } from "./pte_map.ts";
import { newSpace, spaceOf, type AddressSpace } from "./space.ts";
import { getSlot } from "./swap.ts";
import { removeVma, zapRange } from "./unmap.ts";
import {
  getVma, kernelVmasLeft, linkVma, unlinkVmas, vmaPages, vmOpsOf, VM_ACCOUNT, VM_DONTCOPY, VM_LOCKED, VM_LOCKONFAULT, VM_MAYWRITE, VM_MIXEDMAP, VM_PFNMAP, VM_SHARED,
  VM_WIPEONFORK, type Vma,
} from "./vma.ts";
import { allVmas } from "./vma_list.ts";

/** Gives the child a copy of the parent's address space, pages shared until written: 0, or -ENOMEM or -EINTR with nothing left behind. */
export function forkSpace(k: Kernel, parent: Task, child: Task): number {
  const from = spaceOf(k, parent);
  child.mm = newSpace(k);
  const to = spaceOf(k, child);
  to.mmapBase = from.mmapBase;
  to.fullAbove = from.mmapBase;
  to.startBrk = from.startBrk;
  to.brk = from.brk;
  to.startStack = from.startStack;
  if (!kernelVmasLeft(k, from.mapCount)) {
    dropSpace(k, child);
    return -ENOMEM;
  }
  for (const vma of allVmas(from)) {
    if ((vma.flags & VM_DONTCOPY) !== 0) continue;
    // Who is killed for want of memory meanwhile has no child: its pages are being taken.
    const error = !forkVma(k, parent, from, to, vma) ? -ENOMEM : fatalSignalPending(parent) ? -EINTR : 0;
    if (error < 0) {
      dropSpace(k, child);
      return error;
    }
  }
  return 0;
}

/** The child runs in the parent's own space (CLONE_VM). */
export function shareSpace(k: Kernel, parent: Task, child: Task): void {
  child.mm = parent.mm;
  if (parent.mm !== 0) spaceOf(k, parent).users++;
}

function forkVma(k: Kernel, parent: Task, from: AddressSpace, to: AddressSpace, vma: Vma): boolean {
  charge(k, costs(k).vmaNs);
  if ((vma.flags & VM_ACCOUNT) !== 0 && !promisePages(k, vmaPages(vma))) return false;
  const made: Vma = { ...vma, mm: to.id, flags: vma.flags & ~(VM_LOCKED | VM_LOCKONFAULT) };
  const wipe = (vma.flags & VM_WIPEONFORK) !== 0;
  if (wipe || vma.anonVma === 0) {
    made.anonVma = 0;
    made.anonChain = 0;
  } else {
    // The child's pages are of its own family from now on, and remember that of the parent (anon_vma_fork).
    made.anonVma = k.state.mm.nextAnonVma++;
    made.anonChain = vma.anonChain + 1;
  }
  linkVma(k, to, made);
  getVma(k, made);
  accountVm(to, made.flags, vmaPages(made));
  // Pages that a fault can bring again are left to it (vma_needs_copy).
  const copy = !wipe && (vma.anonVma !== 0 || (vma.flags & (VM_PFNMAP | VM_MIXEDMAP)) !== 0);
  const copied = !copy || copyPages(k, from, to, vma);
  vmOpsOf(k, made)?.open?.(k, made, parent);
  return copied;
}

/** Gives the child the parent's entries; private writable pages become read-only in both, and are copied by whoever writes first. */
function copyPages(k: Kernel, from: AddressSpace, to: AddressSpace, vma: Vma): boolean {
  const { mm } = k.state;
  const cow = (vma.flags & (VM_SHARED | VM_MAYWRITE)) === VM_MAYWRITE;
  const dropped = PTE_ACCESSED | ((vma.flags & VM_SHARED) !== 0 ? PTE_DIRTY : 0);
  let done = true;
  let count = 0;
  forEachPte(mm, from, vma.start, vma.end, (table, index, addr) => {
    const target = done ? makeTable(k, to, addr) : null;
    if (target === null) {
      done = false;
      return;
    }
    // The OOM killer may have taken the page while a table was made.
    if (table[index] === 0) return;
    if (cow) table[index] &= ~PTE_RW; // a swap entry has no such bit
    const low = table[index];
    const pfn = ptePfn(low, table[index + 1]);
    const nx = (table[index + 1] & PTE_NX) !== 0;
    const at = pteIndex(addr);
    if (isSwapEntry(low)) {
      getSlot(mm, pfn);
      to.swapEnts++;
      return setPte(target, at, pfn, low & 0xfff, nx);
    }
    count++;
    if ((low & PTE_SPECIAL) !== 0) return setPte(target, at, pfn, low & 0xfff, nx);
    frameOf(mm, pfn).refs++;
    mapFrame(k, to, target, at, pfn, low & 0xfff & ~dropped, nx);
  });
  charge(k, count * costs(k).pteNs);
  return done;
}

/** The task leaves its address space, at exit or exec; the last user takes everything down, drivers are told. */
export function dropSpace(k: Kernel, task: Task): void {
  if (task.mm === 0) return;
  const { mm } = k.state;
  const space = must(mm.spaces, task.mm);
  const group = groupOf(k, task);
  group.maxRssPages = Math.max(group.maxRssPages, space.peakRss);
  task.mm = 0;
  if (--space.users > 0) return;
  zapRange(k, space, 0, TASK_SIZE);
  freeTables(k, space, 0, TASK_SIZE, 0, Infinity);
  freeTop(k, space);
  const doomed = unlinkVmas(k, space, 0, Infinity);
  for (const vma of doomed) removeVma(k, task, space, vma);
  mm.spaces.delete(space.id);
}
