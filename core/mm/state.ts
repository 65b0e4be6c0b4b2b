/** What memory management keeps: page frames, address spaces, shared memory objects, kernel objects and counters. */
import type { Machine } from "../machine.ts";
import { newRatelimit, type Ratelimit } from "../lib/ratelimit.ts";
import { kmemleakInit, type Kmemleak } from "./alloc_trace.ts";
import type { KernelObject } from "./kmalloc.ts";
import { lruInit, type LruList } from "./lru.ts";
import type { PageFrame, FrameUse } from "./page_alloc.ts";
import type { ShmemObject } from "./shmem.ts";
import type { KmemCache } from "./slab.ts";
import type { AddressSpace } from "./space.ts";
import { vmSysctlInit, watermarks, type VmSysctl, type Watermarks } from "./vm_sysctl.ts";
import { swapInit, type SwapState } from "./swap.ts";
import type { VmallocArea } from "./vmalloc.ts";

/** Counters of /proc/vmstat that only grow. */
export interface VmEvents {
  pgalloc: number;
  pgfree: number;
  pgfault: number;
  pgmajfault: number;
  pgreuse: number;
  pgactivate: number;
  pgdeactivate: number;
  pgrefill: number;
  pgscanKswapd: number;
  pgscanDirect: number;
  pgstealKswapd: number;
  pgstealDirect: number;
  pageoutrun: number;
  allocstall: number;
  workingsetActivate: number;
  pglazyfree: number;
  pglazyfreed: number;
  pswpin: number;
  pswpout: number;
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
  /** Lists of the pages that may be reclaimed, by the numbers of lru.ts. */
  lru: LruList[];
  swap: SwapState;
  /** When the disk is done with what was asked of it, kernel time in ns. */
  diskFreeNs: number;
  /** Free pages below which kswapd is woken (low), up to which it works (high), and which others leave alone (min). */
  watermarks: Watermarks;
  /** Tid of kswapd, 0 before it is there; and its rounds without a page, one after another. */
  kswapd: number;
  kswapdFailures: number;
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
  kmemleak: Kmemleak;
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

/** The marks follow from what was written to /proc/sys/vm. */
export function setWatermarks(mm: MmState): void {
  mm.watermarks = watermarks(mm.vm, mm.ramPages - mm.reservedPages);
}

export function mmInit(machine: Machine): MmState {
  const pages = machine.ramMiB * 256 - reservedPagesOf(machine);
  const vm = vmSysctlInit(pages);
  return {
    ramPages: machine.ramMiB * 256,
    reservedPages: reservedPagesOf(machine),
    frames: [], freeFrames: [],
    used: { anon: 0, file: 0, shmem: 0, table: 0, slab: 0, kernel: 0 },
    lru: lruInit(), swap: swapInit(machine), diskFreeNs: 0,
    watermarks: watermarks(vm, pages), kswapd: 0, kswapdFailures: 0,
    spaces: new Map(), nextSpace: 1,
    shmem: new Map(), nextShmem: 1,
    objects: new Map(), nextObject: FIRST_OBJECT, caches: new Map(),
    vmalloc: new Map(), nextVmalloc: FIRST_VMALLOC, vmallocEnd: 0, vmallocHoles: [],
    kmemleak: kmemleakInit(), allocWarnings: newRatelimit(machine.hz, { seconds: 10, burst: 1 }),
    nextAnonVma: 1,
    vmaCount: 0, mappedInodes: new Map(),
    committedPages: 0, overcommitMemory: 0, overcommitRatio: 50,
    vm,
    warned: {},
    events: {
      pgalloc: 0, pgfree: 0, pgfault: 0, pgmajfault: 0, pgreuse: 0, pgactivate: 0, pgdeactivate: 0, pgrefill: 0,
      pgscanKswapd: 0, pgscanDirect: 0, pgstealKswapd: 0, pgstealDirect: 0, pageoutrun: 0, allocstall: 0, workingsetActivate: 0, pglazyfree: 0, pglazyfreed: 0, pswpin: 0, pswpout: 0, oomKill: 0,
      dropPagecache: 0, dropSlab: 0,
    },
  };
}
