/** Address spaces (mm_struct): the mappings of a process, its page table and its counters. */
import { must } from "../lib/assert.ts";
import { PAGE_SIZE, TASK_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import type { Vma } from "./vma.ts";

export interface AddressSpace {
  id: number;
  /** Tasks that run in it. */
  users: number;
  /** Runs of VMAs in the order of their addresses, none of them empty (vma_list.ts); VMAs never overlap. */
  vmas: Vma[][];
  /** VMAs of all runs. */
  mapCount: number;
  /** Pfn of the top-level page table; 0 until a page is mapped. */
  pgd: number;
  /** Page tables of all levels. */
  tables: number;
  /** Mappings are placed below this address, downwards. */
  mmapBase: number;
  /** Every page from here to `mmapBase` is mapped: the search for room begins below. */
  fullAbove: number;
  startBrk: number;
  brk: number;
  /** Where execve left the stack pointer, 0 before. */
  startStack: number;
  /** Pages of all VMAs; of private writable ones, executable ones and stacks; of locked ones. */
  totalVm: number;
  dataVm: number;
  execVm: number;
  stackVm: number;
  lockedVm: number;
  /** Pages present, by what they are (VmRSS is their sum). */
  rssAnon: number;
  rssFile: number;
  rssShmem: number;
  /** Entries that name a slot in swap (VmSwap). */
  swapEnts: number;
  /** The most that totalVm and the pages present have been. */
  peakVm: number;
  peakRss: number;
  /** VM_LOCKED and VM_LOCKONFAULT of every new mapping (mlockall with MCL_FUTURE). */
  defFlags: number;
}

/** A driven call's buffers lie here, 4 GiB below the end of user addresses; no mapping is placed over it. */
export const SCRATCH_BASE = TASK_SIZE - 0x1_0000_0000;
export const SCRATCH_SIZE = 0x1000_0000;

/** Linux's address of the highest mapping when addresses are not randomised: 128 MiB of stack below the end. */
const MMAP_BASE = TASK_SIZE - 0x800_0000;
/** As for programs linked to be placed anywhere (ELF_ET_DYN_BASE): what follows the program is the heap. */
const HEAP_BASE = 0x5555_5555_9000;

/** A mixed 32-bit number from a seed: the same kernel places mappings at the same addresses. */
function mix(seed: number): number {
  let x = (seed ^ 0x9e37_79b9) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b) >>> 0;
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

/** An empty space with one user; its id. Nothing is allocated for its page table yet. */
export function newSpace(k: Kernel): number {
  const { mm } = k.state;
  const id = mm.nextSpace++;
  // 28 bits of pages, as vm.mmap_rnd_bits; below the scratch area even when they are all zero.
  const mmapBase = Math.min(MMAP_BASE, SCRATCH_BASE) - (mix(k.state.machine.seed) & 0xfff_ffff) * PAGE_SIZE;
  const startBrk = HEAP_BASE + (mix(k.state.machine.seed + 1) & 0x1fff) * PAGE_SIZE;
  mm.spaces.set(id, {
    id, users: 1, vmas: [], mapCount: 0, pgd: 0, tables: 0,
    mmapBase, fullAbove: mmapBase, startBrk, brk: startBrk, startStack: 0,
    totalVm: 0, dataVm: 0, execVm: 0, stackVm: 0, lockedVm: 0,
    rssAnon: 0, rssFile: 0, rssShmem: 0, swapEnts: 0, peakVm: 0, peakRss: 0,
    defFlags: 0,
  });
  return id;
}

/** The address space of a task that has one. */
export function spaceOf(k: Kernel, task: Task): AddressSpace {
  return must(k.state.mm.spaces, task.mm);
}

/** Pages present. */
export function rssPages(space: AddressSpace): number {
  return space.rssAnon + space.rssFile + space.rssShmem;
}
