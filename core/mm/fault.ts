/** Page faults: the one way in which a page comes into an address space (do_user_addr_fault, handle_mm_fault). */
import { RLIMIT_AS, RLIMIT_STACK, PAGE_SIZE, TASK_SIZE } from "../abi/limits.ts";
import { BUS_ADRERR, SEGV_ACCERR, SEGV_MAPERR, SI_KERNEL } from "../abi/siginfo.ts";
import { SIGBUS, SIGKILL, SIGSEGV } from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "../sched/cost.ts";
import { rlimit } from "../sched/rlimit.ts";
import type { Task } from "../sched/task.ts";
import { accountVm, promisePages } from "./accounting.ts";
import { lruAdd, lruMove, UNEVICTABLE } from "./lru.ts";
import { allocFrame, copyFrame, frameExists, frameOf, getFrame, putFrame, ZERO_PFN, type PageFrame } from "./page_alloc.ts";
import {
  findTable, isSwapEntry, makeTable, PTE_ACCESSED, PTE_DIRTY, PTE_NX, PTE_RW, PTE_SPECIAL, pteIndex, ptePfn, ptePresent, setPte,
} from "./page_table.ts";
import { mapFrame, pteBits, pteNx, unmapEntry } from "./pte_map.ts";
import { spaceOf, type AddressSpace } from "./space.ts";
import { leaveCache, slotOf, swapFull } from "./swap.ts";
import { swapPage } from "./swap_in.ts";
import {
  pgoffAt, STACK_GUARD_GAP, vmaPages, vmOpsOf,
  VM_ACCESS, VM_ACCOUNT, VM_EXEC, VM_GROWSDOWN, VM_IO, VM_LOCKED, VM_PFNMAP, VM_SHARED, VM_WRITE, type Vma,
} from "./vma.ts";
import type { MmState } from "./state.ts";
import { findVma, vmaAfter, vmaBefore } from "./vma_list.ts";

export type Access = "read" | "write" | "exec";

/** A forbidden access: the signal it raises. */
export interface BadAccess {
  signal: number;
  siCode: number;
  /** si_addr: the byte that was touched; 0 where the processor does not tell. */
  addr: number | bigint;
}

export type FaultOutcome = "minor" | "major" | BadAccess;

/** Reading and executing need any right at all: x86 has no page that may only be written (access_error). */
function allowed(flags: number, access: Access): boolean {
  if (access === "write") return (flags & VM_WRITE) !== 0;
  if (access === "exec") return (flags & VM_EXEC) !== 0;
  return (flags & VM_ACCESS) !== 0;
}

function segv(siCode: number, addr: number | bigint): BadAccess {
  return { signal: SIGSEGV, siCode, addr };
}

/** An access outside user addresses: a kernel address is not mapped for users, one that is not canonical never gets that far. */
export function outsideAccess(addr: number | bigint): BadAccess {
  const bits = BigInt.asUintN(64, BigInt(addr));
  const canonical = bits < 1n << 47n || bits >= 0xffff_8000_0000_0000n;
  return canonical ? segv(SEGV_MAPERR, bits) : segv(SI_KERNEL, 0);
}

/**
 * The task touches the byte at `addr`: brings the page in, or says which signal it earns (none is sent here).
 * Counts the fault with the task. A page that is there already is brought in again at no harm.
 */
export function handleFault(k: Kernel, task: Task, addr: number | bigint, access: Access): FaultOutcome {
  charge(k, costs(k).faultNs);
  if (typeof addr === "bigint" || addr >= TASK_SIZE || addr < 0) return outsideAccess(addr);
  if (task.mm === 0) return segv(SEGV_MAPERR, addr);
  const space = spaceOf(k, task);
  const vma = findVma(space, addr);
  if (vma === null) return segv(SEGV_MAPERR, addr);
  if (vma.start > addr && !expandStack(k, task, space, vma, addr)) return segv(SEGV_MAPERR, addr);
  if (!allowed(vma.flags, access)) return segv(SEGV_ACCERR, addr);
  const result = faultPage(k, task, space, vma, addr - (addr % PAGE_SIZE), access === "write");
  if (result === "sigbus") return { signal: SIGBUS, siCode: BUS_ADRERR, addr };
  if (result === "oom") return { signal: SIGKILL, siCode: SI_KERNEL, addr };
  return result;
}

/** Brings the page at `addr` of `vma` in for reading or writing; rights were checked (handle_mm_fault). */
export function faultPage(
  k: Kernel, task: Task, space: AddressSpace, vma: Vma, addr: number, write: boolean,
): "minor" | "major" | "sigbus" | "oom" {
  const { mm } = k.state;
  mm.events.pgfault++;
  const { pswpin } = mm.events;
  const table = makeTable(k, space, addr);
  if (table === null) return "oom";
  const index = pteIndex(addr);
  const low = table[index];
  const result = isSwapEntry(low) ? faultSwapped(k, space, vma, table, index, addr, write)
    : !ptePresent(low) ? vma.ops === "" ? faultAnonymous(k, space, vma, table, index, addr, write) : faultMapped(k, task, space, vma, table, index, addr, write)
    : write && (low & PTE_RW) === 0 ? writeProtected(k, space, vma, table, index, addr)
    : touch(table, index, write);
  if (result !== "minor") return result;
  if ((vma.flags & VM_LOCKED) !== 0) lockPage(mm, table, index);
  if (mm.events.pswpin === pswpin) {
    task.minFlt++;
    return "minor";
  }
  mm.events.pgmajfault++;
  task.majFlt++;
  return "major";
}

type Filled = "minor" | "sigbus" | "oom";

function touch(table: Uint32Array, index: number, write: boolean): Filled {
  table[index] |= write ? PTE_ACCESSED | PTE_DIRTY : PTE_ACCESSED;
  return "minor";
}

/** A fresh anonymous page: the shared zero page until somebody writes. */
function faultAnonymous(k: Kernel, space: AddressSpace, vma: Vma, table: Uint32Array, index: number, addr: number, write: boolean): Filled {
  if (!write) {
    setPte(table, index, ZERO_PFN, pteBits(vma.flags) | PTE_SPECIAL, pteNx(vma.flags));
    return "minor";
  }
  const pfn = allocFrame(k, { use: "anon" });
  if (pfn === 0) return "oom";
  mapAnon(k, space, vma, table, index, addr, pfn, pteNx(vma.flags));
  return "minor";
}

/** Maps a fresh anonymous page that is written (folio_add_new_anon_rmap). */
function mapAnon(k: Kernel, space: AddressSpace, vma: Vma, table: Uint32Array, index: number, addr: number, pfn: number, nx: boolean): void {
  const { mm } = k.state;
  prepareAnon(k, space, vma);
  lruAdd(mm, pfn, frameOf(mm, pfn), 0, pgoffAt(vma, addr));
  mapFrame(k, space, table, index, pfn, pteBits(vma.flags) | PTE_RW | PTE_DIRTY, nx);
}

/** A page that went to swap comes back, perhaps from the cache; who writes to one that is nobody else's gets it at once (do_swap_page). */
function faultSwapped(k: Kernel, space: AddressSpace, vma: Vma, table: Uint32Array, index: number, addr: number, write: boolean): Filled {
  const { mm } = k.state;
  const low = table[index];
  const slot = ptePfn(low, table[index + 1]);
  const pfn = swapPage(k, slot, pgoffAt(vma, addr));
  // The OOM killer may have taken the entry meanwhile, and this process with it.
  if (pfn === 0 || table[index] !== low) return "oom";
  getFrame(k, pfn);
  mapFrame(k, space, table, index, pfn, pteBits(vma.flags), pteNx(vma.flags));
  space.swapEnts--;
  slotOf(mm, slot).refs--;
  if (slotOf(mm, slot).refs === 0 && (write || swapFull(k))) leaveCache(k, slot);
  return write ? writeProtected(k, space, vma, table, index, addr) : "minor";
}

/** A page of locked memory is nobody's to reclaim (mlock_folio). */
export function lockPage(mm: MmState, table: Uint32Array, index: number): void {
  const low = table[index];
  if (!ptePresent(low) || (low & PTE_SPECIAL) !== 0) return;
  const pfn = ptePfn(low, table[index + 1]);
  const page = frameOf(mm, pfn).lru;
  if (page !== null && page.list !== UNEVICTABLE) lruMove(mm, pfn, page, UNEVICTABLE);
}

/**
 * A page of a file, of shared memory or of a driver; a private one that is written is copied at once.
 * Differs from Linux: neighbouring pages of a file are not mapped along (fault-around), so each counts its own fault.
 */
function faultMapped(
  k: Kernel, task: Task, space: AddressSpace, vma: Vma, table: Uint32Array, index: number, addr: number, write: boolean,
): Filled {
  const operations = vmOpsOf(k, vma)!;
  const own = operations.ownsPages === true;
  const copy = write && !own && (vma.flags & VM_SHARED) === 0;
  const found = operations.fault?.(k, vma, { task, addr, pgoff: pgoffAt(vma, addr), write }) ?? "sigbus";
  if (typeof found === "string") return found;
  const nx = pteNx(vma.flags);
  getFrame(k, found.pfn);
  if (!copy) {
    const writable = own && (vma.flags & VM_WRITE) !== 0 ? PTE_RW : 0;
    mapFrame(k, space, table, index, found.pfn, pteBits(vma.flags) | writable | (write ? PTE_DIRTY : 0), nx);
    return "minor";
  }
  const pfn = copyOf(k, found.pfn);
  putFrame(k, found.pfn);
  if (pfn === 0) return "oom";
  mapAnon(k, space, vma, table, index, addr, pfn, nx);
  return "minor";
}

/** A write to a page that is present and not writable (do_wp_page): the last user of an anonymous page keeps it, others get a copy. */
function writeProtected(k: Kernel, space: AddressSpace, vma: Vma, table: Uint32Array, index: number, addr: number): Filled {
  const { mm } = k.state;
  const low = table[index];
  const pfn = ptePfn(low, table[index + 1]);
  const counted = (low & PTE_SPECIAL) === 0;
  if ((vma.flags & VM_SHARED) !== 0 || vmOpsOf(k, vma)?.ownsPages === true) {
    table[index] = low | PTE_RW | PTE_DIRTY | PTE_ACCESSED;
    return "minor";
  }
  if (counted) {
    const frame = frameOf(mm, pfn);
    if (frame.use === "anon" && isAlone(k, frame)) {
      mm.events.pgreuse++;
      table[index] = low | PTE_RW | PTE_DIRTY | PTE_ACCESSED;
      return "minor";
    }
  }
  getPage(k, pfn, counted);
  const copied = copyOf(k, pfn);
  putPage(k, pfn, counted);
  if (copied === 0) return "oom";
  if (((table[index] ^ low) & ~PTE_ACCESSED) !== 0) {
    // The OOM killer took the page meanwhile, and this process with it; reclaim only asks whether it was used.
    putFrame(k, copied);
    return "oom";
  }
  const nx = (table[index + 1] & PTE_NX) !== 0;
  unmapEntry(k, space, table, index);
  mapAnon(k, space, vma, table, index, addr, copied, nx);
  return "minor";
}

/** Whether one entry alone holds an anonymous page; a place in swap that nobody else needs is given up for it. */
function isAlone(k: Kernel, frame: PageFrame): boolean {
  const slot = frame.lru?.swap ?? 0;
  if (slot !== 0 && frame.refs === 2 && slotOf(k.state.mm, slot).refs === 0) leaveCache(k, slot);
  return frame.refs === 1;
}

/** Holds a page while memory is sought for its copy. */
function getPage(k: Kernel, pfn: number, counted: boolean): void {
  if (counted) getFrame(k, pfn);
}

function putPage(k: Kernel, pfn: number, counted: boolean): void {
  if (counted) putFrame(k, pfn);
}

/** A fresh anonymous frame with the content of another; 0 when memory is out. */
function copyOf(k: Kernel, from: number): number {
  const pfn = allocFrame(k, { use: "anon" });
  if (pfn === 0) return 0;
  charge(k, costs(k).pageCopyNs);
  if (from === ZERO_PFN || frameExists(k.state.mm, from)) copyFrame(k, pfn, from);
  return pfn;
}

/** The VMA is to hold an anonymous page: it joins the family of a neighbour that it could merge with, or begins one (anon_vma_prepare). */
export function prepareAnon(k: Kernel, space: AddressSpace, vma: Vma): void {
  if (vma.anonVma !== 0) return;
  const next = vmaAfter(space, vma);
  const prev = vmaBefore(space, vma.start);
  let family = 0;
  if (next !== null && compatible(vma, next) && next.anonChain === 1) family = next.anonVma;
  if (family === 0 && prev !== null && compatible(prev, vma) && prev.anonChain === 1) family = prev.anonVma;
  vma.anonVma = family !== 0 ? family : k.state.mm.nextAnonVma++;
  vma.anonChain = 1;
}

/** Two neighbours that differ in their rights at most (anon_vma_compatible). */
function compatible(low: Vma, high: Vma): boolean {
  return low.end === high.start && low.file === high.file && low.shmem === high.shmem &&
    ((low.flags ^ high.flags) & ~VM_ACCESS) === 0 && high.pgoff === low.pgoff + vmaPages(low);
}

/** Lets a mapping that grows down reach the page of `addr`, within RLIMIT_STACK and the guard gap (expand_stack). */
function expandStack(k: Kernel, task: Task, space: AddressSpace, vma: Vma, addr: number): boolean {
  if ((vma.flags & VM_GROWSDOWN) === 0) return false;
  const start = addr - (addr % PAGE_SIZE);
  const grow = (vma.start - start) / PAGE_SIZE;
  const prev = vmaBefore(space, vma.start);
  if (prev !== null && (prev.flags & VM_GROWSDOWN) === 0 && (prev.flags & VM_ACCESS) !== 0 &&
    start - prev.end < STACK_GUARD_GAP) return false;
  if (start < PAGE_SIZE * 16 || grow > vma.pgoff) return false;
  if (vma.end - start > rlimit(k, task, RLIMIT_STACK)) return false;
  if ((space.totalVm + grow) * PAGE_SIZE > rlimit(k, task, RLIMIT_AS)) return false;
  if ((vma.flags & VM_ACCOUNT) !== 0 && !promisePages(k, grow)) return false;
  if ((vma.flags & VM_LOCKED) !== 0) space.lockedVm += grow;
  accountVm(space, vma.flags, grow);
  vma.start = start;
  vma.pgoff -= grow;
  return true;
}

/**
 * Brings in every page of [start, end), as mlock, MAP_POPULATE and mremap of locked memory do. An error ends the VMA that
 * it is met in, and the whole unless `goOn`. Memory of devices is left alone.
 */
export function populate(
  k: Kernel, task: Task, space: AddressSpace, start: number, end: number, { goOn = false }: { goOn?: boolean } = {},
): "done" | "sigbus" | "oom" {
  for (let vma = findVma(space, start); vma !== null && vma.start < end; vma = vmaAfter(space, vma)) {
    if ((vma.flags & (VM_IO | VM_PFNMAP)) !== 0) continue;
    const result = populateVma(k, task, space, vma, Math.max(start, vma.start), Math.min(end, vma.end));
    if (result !== "done" && !goOn) return result;
  }
  return "done";
}

function populateVma(k: Kernel, task: Task, space: AddressSpace, vma: Vma, start: number, end: number): "done" | "sigbus" | "oom" {
  if ((vma.flags & VM_ACCESS) === 0) return "sigbus";
  // Private writable memory is written, so that it is not copied later (populate_vma_page_range).
  const write = (vma.flags & (VM_WRITE | VM_SHARED)) === VM_WRITE;
  for (let addr = start; addr < end; addr += PAGE_SIZE) {
    const table = findTable(k.state.mm, space, addr);
    const low = table === null ? 0 : table[pteIndex(addr)];
    if (ptePresent(low) && (!write || (low & PTE_RW) !== 0)) continue;
    const result = faultPage(k, task, space, vma, addr, write);
    if (result === "sigbus" || result === "oom") return result;
  }
  return "done";
}
