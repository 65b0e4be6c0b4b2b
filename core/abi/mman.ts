/** mmap(2) and its relatives (uapi/asm-generic/mman-common.h, arch/x86/include/uapi/asm/mman.h). */
import type { ChoiceTable, FlagTable } from "./flags.ts";

export const PROT_NONE = 0x0;
export const PROT_READ = 0x1;
export const PROT_WRITE = 0x2;
export const PROT_EXEC = 0x4;
export const PROT_SEM = 0x8;
export const PROT_GROWSDOWN = 0x1000000;
export const PROT_GROWSUP = 0x2000000;
export const MAP_FILE = 0x0;
export const MAP_SHARED = 0x1;
export const MAP_PRIVATE = 0x2;
export const MAP_SHARED_VALIDATE = 0x3;
export const MAP_TYPE = 0xf;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_32BIT = 0x40;
export const MAP_GROWSDOWN = 0x100;
export const MAP_DENYWRITE = 0x800;
export const MAP_EXECUTABLE = 0x1000;
export const MAP_LOCKED = 0x2000;
export const MAP_NORESERVE = 0x4000;
export const MAP_POPULATE = 0x8000;
export const MAP_NONBLOCK = 0x10000;
export const MAP_STACK = 0x20000;
export const MAP_HUGETLB = 0x40000;
export const MAP_SYNC = 0x80000;
export const MAP_FIXED_NOREPLACE = 0x100000;
export const MAP_HUGE_SHIFT = 26;
export const MAP_HUGE_MASK = 63;
export const MS_ASYNC = 0x1;
export const MS_INVALIDATE = 0x2;
export const MS_SYNC = 0x4;
export const MREMAP_MAYMOVE = 0x1;
export const MREMAP_FIXED = 0x2;
export const MREMAP_DONTUNMAP = 0x4;
export const MLOCK_ONFAULT = 0x1;
export const MCL_CURRENT = 0x1;
export const MCL_FUTURE = 0x2;
export const MCL_ONFAULT = 0x4;
export const PKEY_DISABLE_ACCESS = 0x1;
export const PKEY_DISABLE_WRITE = 0x2;
export const MFD_CLOEXEC = 0x1;
export const MFD_ALLOW_SEALING = 0x2;
export const MFD_HUGETLB = 0x4;
export const MADV_NORMAL = 0;
export const MADV_RANDOM = 1;
export const MADV_SEQUENTIAL = 2;
export const MADV_WILLNEED = 3;
export const MADV_DONTNEED = 4;
export const MADV_FREE = 8;
export const MADV_REMOVE = 9;
export const MADV_DONTFORK = 10;
export const MADV_DOFORK = 11;
export const MADV_MERGEABLE = 12;
export const MADV_UNMERGEABLE = 13;
export const MADV_HUGEPAGE = 14;
export const MADV_NOHUGEPAGE = 15;
export const MADV_DONTDUMP = 16;
export const MADV_DODUMP = 17;
export const MADV_WIPEONFORK = 18;
export const MADV_KEEPONFORK = 19;
export const MADV_COLD = 20;
export const MADV_PAGEOUT = 21;
export const MADV_POPULATE_READ = 22;
export const MADV_POPULATE_WRITE = 23;
export const MADV_DONTNEED_LOCKED = 24;
export const MADV_COLLAPSE = 25;
export const MADV_HWPOISON = 100;
export const MADV_SOFT_OFFLINE = 101;

export const protFlags: FlagTable = {
  prefix: "PROT_",
  flags: { PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC, PROT_SEM, PROT_GROWSDOWN, PROT_GROWSUP },
};
export const mapFlags: FlagTable = {
  prefix: "MAP_",
  choices: { mask: MAP_TYPE, values: { MAP_FILE, MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE } },
  flags: {
    MAP_FIXED, MAP_ANONYMOUS, MAP_32BIT, MAP_NORESERVE, MAP_POPULATE, MAP_NONBLOCK, MAP_GROWSDOWN, MAP_DENYWRITE, MAP_EXECUTABLE,
    MAP_LOCKED, MAP_STACK, MAP_HUGETLB, MAP_SYNC, MAP_FIXED_NOREPLACE,
  },
  aliases: { MAP_ANON: MAP_ANONYMOUS },
  shifted: { name: "MAP_HUGE_SHIFT", shift: MAP_HUGE_SHIFT, mask: MAP_HUGE_MASK },
};
/** msync(2) */
export const msFlags: FlagTable = { prefix: "MS_", flags: { MS_SYNC, MS_ASYNC, MS_INVALIDATE } };
export const mremapFlags: FlagTable = { prefix: "MREMAP_", flags: { MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP } };
export const mlock2Flags: FlagTable = { prefix: "MLOCK_", flags: { MLOCK_ONFAULT } };
export const mlockallFlags: FlagTable = { prefix: "MCL_", flags: { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT } };
export const memfdFlags: FlagTable = {
  prefix: "MFD_",
  flags: { MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB },
  shifted: { name: "MFD_HUGE_SHIFT", shift: MAP_HUGE_SHIFT, mask: MAP_HUGE_MASK },
};
export const madviseAdvice: ChoiceTable = {
  prefix: "MADV_",
  values: {
    MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK,
    MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK, MADV_KEEPONFORK,
    MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED, MADV_COLLAPSE, MADV_HWPOISON,
    MADV_SOFT_OFFLINE,
  },
};
