/** What memory management keeps: page frames, address spaces, shared memory objects, kernel objects and counters. */
import type { Machine } from "../machine.ts";
import { newRatelimit, type Ratelimit } from "../lib/ratelimit.ts";
import type { KernelObject } from "./kmalloc.ts";
import type { PageFrame, FrameUse } from "./page_alloc.ts";
import type { ShmemObject } from "./shmem.ts";
import type { KmemCache } from "./slab.ts";
import type { AddressSpace } from "./space.ts";
import { vmSysctlInit, type VmSysctl } from "./vm_sysctl.ts";
import type { VmallocArea } from "./vmalloc.ts";

/** Counters of /proc/vmstat that only grow. */
export interface VmEvents {
  pgalloc: number;
  pgfree: number;
  pgfault: number;
  pgmajfault: number;
  pgreuse: number;
  pgactivate: number;
  oomKill: number;
  dropPagecache: number;
  dropSlab: number;
}

export interface MmState {
  /** Pages of the machine, and how many of them the kernel's own image and page structures take. */
  ramPages: number;
  reservedPages: number;
  /** Frame `i` is pfn `reservedPages + i`; null when free. Grows with the highest frame ever used. */
  frames: (PageFrame | null)[];
  /** Pfns that were used and given back, the last one first. */
  freeFrames: number[];
  /** Frames in use, by what for. */
  used: { [use in FrameUse]: number };
  spaces: Map<number, AddressSpace>;
  nextSpace: number;
  shmem: Map<number, ShmemObject>;
  nextShmem: number;
  objects: Map<number, KernelObject>;
  nextObject: number;
  /** Slab caches by name, the oldest first; those of kmalloc are there while they hold something. */
  caches: Map<string, KmemCache>;
  vmalloc: Map<number, VmallocArea>;
  nextVmalloc: number;
  /** Where areas end, bytes from VMALLOC_START, and the holes below it: where each begins and how long it is, in order. */
  vmallocEnd: number;
  vmallocHoles: [offset: number, size: number][];
  /** /sys/kernel/debug/kmemleak: off is for good. */
  kmemleak: { enabled: boolean; scanSecs: number };
  /** Warnings of allocations that failed. */
  allocWarnings: Ratelimit;
  /** Ids of anon_vma families: which VMAs may share anonymous pages, and so may merge. */
  nextAnonVma: number;
  /** VMAs of all address spaces. */
  vmaCount: number;
  /** VMAs that map an inode, by inode: truncation looks only where this is not empty. */
  mappedInodes: Map<number, number>;
  /** Pages that processes were promised (Committed_AS). */
  committedPages: number;
  /** /proc/sys/vm/overcommit_memory: 0 heuristic, 1 always, 2 never. */
  overcommitMemory: number;
  overcommitRatio: number;
  /** The other numbers of /proc/sys/vm. */
  vm: VmSysctl;
  /** Lines that the kernel prints once a boot. */
  warned: { [line: string]: boolean };
  events: VmEvents;
}

/** The kernel's text, data and tables, and 64 bytes of `struct page` for each page. */
export function reservedPagesOf(machine: Machine): number {
  return 1024 + machine.ramMiB * 4;
}

/** Numbers that nothing else is likely to be: kmemleak looks for them in what modules keep. */
export const FIRST_OBJECT = 0x0b1e_c000;
const FIRST_VMALLOC = 0x3a11_0000;

export function mmInit(machine: Machine): MmState {
  return {
    ramPages: machine.ramMiB * 256,
    reservedPages: reservedPagesOf(machine),
    frames: [], freeFrames: [],
    used: { anon: 0, file: 0, shmem: 0, table: 0, slab: 0, kernel: 0 },
    spaces: new Map(), nextSpace: 1,
    shmem: new Map(), nextShmem: 1,
    objects: new Map(), nextObject: FIRST_OBJECT, caches: new Map(),
    vmalloc: new Map(), nextVmalloc: FIRST_VMALLOC, vmallocEnd: 0, vmallocHoles: [],
    kmemleak: { enabled: true, scanSecs: 600 }, allocWarnings: newRatelimit(machine.hz, { seconds: 10, burst: 1 }),
    nextAnonVma: 1,
    vmaCount: 0, mappedInodes: new Map(),
    committedPages: 0, overcommitMemory: 0, overcommitRatio: 50,
    vm: vmSysctlInit(machine.ramMiB * 256 - reservedPagesOf(machine)),
    warned: {},
    events: { pgalloc: 0, pgfree: 0, pgfault: 0, pgmajfault: 0, pgreuse: 0, pgactivate: 0, oomKill: 0, dropPagecache: 0, dropSlab: 0 },
  };
}
