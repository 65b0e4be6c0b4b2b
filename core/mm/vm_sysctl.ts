/** /proc/sys/vm as numbers that memory management looks at: their fields, and what a fresh machine has (Documentation/admin-guide/sysctl/vm.rst). */
import { MAX_MAP_COUNT, PAGE_SIZE } from "../abi/limits.ts";

export interface VmSysctl {
  /** 0 to 200: how much rather anonymous pages are swapped out than pages of files dropped. */
  swappiness: number;
  minFreeKbytes: number;
  /** Ten-thousandths of memory between the watermarks. */
  watermarkScaleFactor: number;
  /** Above 0: the commit limit of mode 2, in place of overcommit_ratio. */
  overcommitKbytes: number;
  adminReserveKbytes: number;
  userReserveKbytes: number;
  /** Not 0: the OOM killer takes who asked; the table of tasks is printed; 1 and 2 panic instead. */
  oomKillAllocatingTask: number;
  oomDumpTasks: number;
  panicOnOom: number;
  vfsCachePressure: number;
  /** Read ahead from swap in runs of 2^this pages. */
  pageCluster: number;
  maxMapCount: number;
  mmapMinAddr: number;
  /** Of each pair the one that was written last counts; the other is 0. */
  dirtyRatio: number;
  dirtyBytes: number;
  dirtyBackgroundRatio: number;
  dirtyBackgroundBytes: number;
  dirtyExpireCentisecs: number;
  dirtyWritebackCentisecs: number;
  percpuHighFraction: number;
  /** drop_caches says nothing more since 4 was written. */
  dropCachesQuiet: boolean;
}

/** Below this no hint leads, whatever mmap_min_addr says (CONFIG_LSM_MMAP_MIN_ADDR). */
const LSM_MMAP_MIN_ADDR = 0x1_0000;

const KB_PER_PAGE = PAGE_SIZE / 1024;
const MIN_FREE_KBYTES = { least: 128, most: 262_144 };
/** Reserves are a 32nd of memory, up to 8 MiB and 128 MiB. */
const RESERVE_SHARE = 32;
const ADMIN_RESERVE_MAX = 8192;
const USER_RESERVE_MAX = 131_072;

/** `pages`: what the machine has for use. */
export function vmSysctlInit(pages: number): VmSysctl {
  const kb = pages * KB_PER_PAGE;
  const share = Math.floor(kb / RESERVE_SHARE);
  return {
    swappiness: 60,
    minFreeKbytes: Math.min(Math.max(Math.floor(Math.sqrt(kb * 16)), MIN_FREE_KBYTES.least), MIN_FREE_KBYTES.most),
    watermarkScaleFactor: 10,
    overcommitKbytes: 0, adminReserveKbytes: Math.min(share, ADMIN_RESERVE_MAX), userReserveKbytes: Math.min(share, USER_RESERVE_MAX),
    oomKillAllocatingTask: 0, oomDumpTasks: 1, panicOnOom: 0,
    vfsCachePressure: 100, pageCluster: 3, maxMapCount: MAX_MAP_COUNT, mmapMinAddr: LSM_MMAP_MIN_ADDR,
    dirtyRatio: 20, dirtyBytes: 0, dirtyBackgroundRatio: 10, dirtyBackgroundBytes: 0, dirtyExpireCentisecs: 3000, dirtyWritebackCentisecs: 500,
    percpuHighFraction: 0, dropCachesQuiet: false,
  };
}

/** The lowest address that a mapping gets without MAP_FIXED, whole pages. */
export function mmapMinAddr(vm: VmSysctl): number {
  return Math.max(Math.ceil(vm.mmapMinAddr / PAGE_SIZE) * PAGE_SIZE, LSM_MMAP_MIN_ADDR);
}

/** Free pages at which the kernel begins to reclaim (low), stops (high), and lets nobody but itself take more (min). */
export interface Watermarks {
  min: number;
  low: number;
  high: number;
}

/** `pages`: what the machine has for use (__setup_per_zone_wmarks). */
export function watermarks({ minFreeKbytes, watermarkScaleFactor }: VmSysctl, pages: number): Watermarks {
  const min = Math.floor(minFreeKbytes / KB_PER_PAGE);
  const step = Math.max(Math.floor(min / 4), Math.floor((pages * watermarkScaleFactor) / 10_000));
  return { min, low: min + step, high: min + 2 * step };
}
