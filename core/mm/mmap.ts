/** Mapping and unmapping memory (mm/mmap.c of Linux 6.1). */
import { EACCES, EAGAIN, EEXIST, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP, EOVERFLOW, EPERM, isErrno } from "../abi/errno.ts";
import { CAP_IPC_LOCK, CAP_SYS_RAWIO } from "../abi/capability.ts";
import { PAGE_SIZE, RLIMIT_MEMLOCK, TASK_SIZE } from "../abi/limits.ts";
import {
  MAP_32BIT, MAP_ANONYMOUS, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_HUGETLB, MAP_LOCKED,
  MAP_NONBLOCK, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, MAP_STACK, MAP_TYPE,
  PROT_EXEC, PROT_READ, PROT_WRITE,
} from "../abi/mman.ts";
import type { OpenFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { capable } from "../sched/cred.ts";
import { charge, costs } from "../sched/cost.ts";
import { rlimit } from "../sched/rlimit.ts";
import type { Task } from "../sched/task.ts";
import { accountVm, isAccountable, mayExpand, promisePages, unpromisePages } from "./accounting.ts";
import { populate } from "./fault.ts";
import { freeTables } from "./page_table.ts";
import { unmappedArea } from "./placement.ts";
import { shmemZeroSetup } from "./shmem_ops.ts";
import { spaceOf, type AddressSpace } from "./space.ts";
import { unmap, zapRange } from "./unmap.ts";
import {
  countInode, getVma, kernelVmasLeft, linkVma, putVma, setVmaFlags, unlinkVmas, vmaOverlaps,
  VM_ACCOUNT, VM_GROWSDOWN, VM_LOCKED, VM_LOCKONFAULT, VM_MAYEXEC, VM_MAYREAD, VM_MAYSHARE, VM_MAYWRITE, VM_NORESERVE,
  VM_SHARED, VM_SPECIAL, type Vma,
} from "./vma.ts";
import { mmapMinAddr } from "./vm_sysctl.ts";
import { findVma, vmaAfter, vmaBefore } from "./vma_list.ts";
import { canMergeAfter, canMergeBefore, importAnon, mergeVma, type Stretch } from "./vma_merge.ts";

/** Memory that the kernel itself maps to a process: a System V segment, or a driver's own mapping without a file. */
export interface ObjectBacking {
  /** Shared memory object, which the mapping takes a reference to; 0 for none. */
  shmem: number;
  /** Name in `tables.vmOperations`. As for files, mapping calls no `open`. */
  ops: string;
  private: number;
  /** Whether mprotect may make it writable. */
  writable: boolean;
}

export interface MmapRequest {
  /** Where to map; a wish unless MAP_FIXED. */
  addr: number | bigint;
  /** Bytes, rounded up to pages. */
  length: number | bigint;
  prot: number;
  flags: number;
  /** The file to map; null for anonymous memory. */
  file: OpenFile | null;
  /** What to map instead of a file. */
  object?: ObjectBacking;
  /** Offset in pages. */
  pgoff: number;
  /** The file lies on a mount without execution. */
  noexec?: boolean;
}

/** LEGACY_MAP_MASK: the flags that MAP_SHARED_VALIDATE accepts. */
const KNOWN_FLAGS = MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_GROWSDOWN | MAP_LOCKED |
  MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_32BIT | 0x7c00_0000;
const S_IFREG = 0o100000;
const S_IFMT = 0o170000;

/** The VM_ access bits of a protection; PROT_ and VM_ agree on them. */
export function protBits(prot: number): number {
  return prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

/** A length in whole pages, bytes; beyond all addresses it is Infinity, and 0 stays 0. A length near 2^64 wraps to 0 as in C. */
export function pageAlign(length: number | bigint): number {
  if (typeof length === "bigint") return length > 0xffff_ffff_ffff_f000n ? 0 : Infinity;
  return Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
}

/** Whether the task may lock anything at all (can_do_mlock). */
export function mayLock(k: Kernel, task: Task): boolean {
  return rlimit(k, task, RLIMIT_MEMLOCK) > 0 || capable(task, CAP_IPC_LOCK);
}

/** Whether a mapping of `bytes` with these flags, locked from the start, is within RLIMIT_MEMLOCK (mlock_future_check). */
export function withinLockLimit(k: Kernel, task: Task, space: AddressSpace, flags: number, bytes: number): boolean {
  if ((flags & VM_LOCKED) === 0 || capable(task, CAP_IPC_LOCK)) return true;
  return bytes + space.lockedVm * PAGE_SIZE <= rlimit(k, task, RLIMIT_MEMLOCK);
}

/**
 * Where a mapping of `length` bytes is to lie: a page-aligned address, or -ENOMEM when there is no room or it would leave
 * user addresses, -EINVAL when a fixed one is not aligned, -EPERM below vm.mmap_min_addr (get_unmapped_area).
 */
export function getUnmappedArea(k: Kernel, task: Task, space: AddressSpace, addr: number | bigint, length: number, flags: number): number {
  if (length > TASK_SIZE) return -ENOMEM;
  const found = (flags & MAP_FIXED) !== 0 ? addr : unmappedArea(k, space, addr, length, flags);
  if (typeof found === "bigint" || found > TASK_SIZE - length) return -ENOMEM;
  if (found < 0) return found;
  if (found % PAGE_SIZE !== 0) return -EINVAL;
  if (found < k.state.mm.vm.mmapMinAddr && !capable(task, CAP_SYS_RAWIO)) return -EPERM;
  return found;
}

/** Linux's checks of do_mmap in their order, then the mapping. Answers its address or a negative errno. */
export function mmap(k: Kernel, task: Task, request: MmapRequest): number {
  const space = spaceOf(k, task);
  const { prot, file, pgoff, object = null } = request;
  let { addr, flags } = request;
  if (request.length === 0) return -EINVAL;
  if ((flags & MAP_FIXED_NOREPLACE) !== 0) flags |= MAP_FIXED;
  if ((flags & MAP_FIXED) === 0) addr = hint(k, addr);
  const length = pageAlign(request.length);
  if (length === 0 || length === Infinity) return -ENOMEM;
  if (space.mapCount > k.state.mm.vm.maxMapCount || !kernelVmasLeft(k, 1)) return -ENOMEM;
  const at = getUnmappedArea(k, task, space, addr, length, flags);
  if (at < 0) return at;
  if ((flags & MAP_FIXED_NOREPLACE) !== 0 && vmaOverlaps(space, at, at + length)) return -EEXIST;

  let vmFlags = protBits(prot) | space.defFlags | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
  if ((flags & MAP_GROWSDOWN) !== 0) vmFlags |= VM_GROWSDOWN;
  if ((flags & MAP_LOCKED) !== 0) {
    vmFlags |= VM_LOCKED;
    if (!mayLock(k, task)) return -EPERM;
  }
  if (!withinLockLimit(k, task, space, vmFlags, length)) return -EAGAIN;
  const checked = object !== null ? objectFlags(vmFlags, flags, object)
    : file === null ? checkAnonymous(vmFlags, flags) : checkFile(k, file, vmFlags, flags, request, length);
  if (checked < 0) return checked;
  vmFlags = checked;
  if ((flags & MAP_NORESERVE) !== 0 && k.state.mm.overcommitMemory !== 2) vmFlags |= VM_NORESERVE;
  // Anonymous memory counts its pages from where it was mapped, so that neighbours can merge; shared memory from 0.
  const offset = file !== null || object !== null ? pgoff : (vmFlags & VM_SHARED) !== 0 ? 0 : at / PAGE_SIZE;
  const result = mmapRegion(k, task, space, file ?? object, at, length, vmFlags, offset);
  if (result < 0) return result;
  const locked = (vmFlags & (VM_LOCKED | VM_LOCKONFAULT)) === VM_LOCKED;
  if (locked || (flags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE) populate(k, task, space, at, at + length, { goOn: true });
  return result;
}

/** A wished address: rounded down to a page, not below vm.mmap_min_addr (round_hint_to_min). */
function hint(k: Kernel, addr: number | bigint): number {
  if (typeof addr === "bigint" || addr >= TASK_SIZE) return 0;
  const page = addr - (addr % PAGE_SIZE);
  const least = mmapMinAddr(k.state.mm.vm);
  return page !== 0 && page < least ? least : page;
}

function checkAnonymous(vmFlags: number, flags: number): number {
  switch (flags & MAP_TYPE) {
    case MAP_SHARED: return (vmFlags & VM_GROWSDOWN) !== 0 ? -EINVAL : vmFlags | VM_SHARED | VM_MAYSHARE;
    case MAP_PRIVATE: return vmFlags;
    default: return -EINVAL;
  }
}

function objectFlags(vmFlags: number, flags: number, { writable }: ObjectBacking): number {
  if ((flags & MAP_TYPE) === MAP_PRIVATE) return vmFlags;
  return writable ? vmFlags | VM_SHARED | VM_MAYSHARE : (vmFlags | VM_MAYSHARE) & ~VM_MAYWRITE;
}

/** `flags` are those of the request as mmap reads them. */
function checkFile(k: Kernel, file: OpenFile, vmFlags: number, flags: number, { prot, pgoff, noexec = false }: MmapRequest, length: number): number {
  const operations = must(k.tables.fileOperations, file.ops);
  const inode = must(k.state.fs.inodes, file.inode);
  // MAX_LFS_FILESIZE for regular files; others take any offset of 64 bits (file_mmap_ok).
  const maxPages = (inode.mode & S_IFMT) === S_IFREG ? 2 ** 51 : 2 ** 52;
  if (pgoff + length / PAGE_SIZE > maxPages - 1) return -EOVERFLOW;
  const type = flags & MAP_TYPE;
  if (type !== MAP_SHARED && type !== MAP_SHARED_VALIDATE && type !== MAP_PRIVATE) return -EINVAL;
  if (type === MAP_SHARED_VALIDATE && (flags & ~KNOWN_FLAGS) !== 0) return -EOPNOTSUPP;
  if (type !== MAP_PRIVATE) {
    if ((prot & PROT_WRITE) !== 0 && !file.canWrite) return -EACCES;
    vmFlags |= VM_SHARED | VM_MAYSHARE;
    if (!file.canWrite) vmFlags &= ~(VM_MAYWRITE | VM_SHARED);
  }
  if (!file.canRead) return -EACCES;
  if (noexec) {
    if ((prot & PROT_EXEC) !== 0) return -EPERM;
    vmFlags &= ~VM_MAYEXEC;
  }
  if (operations.mmap === undefined) return -ENODEV;
  return (vmFlags & VM_GROWSDOWN) !== 0 ? -EINVAL : vmFlags;
}

/** Puts the mapping in place of whatever lay there, merged with its neighbours or as a VMA of its own (mmap_region). */
export function mmapRegion(
  k: Kernel, task: Task, space: AddressSpace, backing: OpenFile | ObjectBacking | null, addr: number, length: number, vmFlags: number,
  pgoff: number,
): number {
  const end = addr + length;
  const pages = length / PAGE_SIZE;
  charge(k, costs(k).vmaNs);
  if (!mayExpand(k, task, space, vmFlags, pages) &&
    !mayExpand(k, task, space, vmFlags, pages - mappedPages(space, addr, end))) return -ENOMEM;
  if (vmaOverlaps(space, addr, end) && unmap(k, task, space, addr, end) < 0) return -ENOMEM;
  let flags = vmFlags;
  if (isAccountable(flags)) {
    if (!promisePages(k, pages)) return -ENOMEM;
    flags |= VM_ACCOUNT;
  }
  const file = backing !== null && "id" in backing ? backing : null;
  const object = backing !== null && "shmem" in backing ? backing : null;
  const stretch: Stretch = { flags, pgoff, file: file?.id ?? 0, shmem: 0, anonVma: 0 };
  // Every shared memory object is new, and what the kernel maps is never joined.
  const own = object !== null || (file === null && (flags & VM_SHARED) !== 0);
  if (own || !growNeighbour(k, space, addr, end, stretch)) {
    const made = object !== null ? mapObject(k, space, object, addr, end, flags, pgoff) : makeVma(k, task, space, file, addr, end, flags, pgoff);
    if (typeof made === "number") {
      if ((flags & VM_ACCOUNT) !== 0) unpromisePages(k, pages);
      return made;
    }
    ({ flags } = made);
    if ((flags & VM_SPECIAL) !== 0 && (flags & VM_LOCKED) !== 0) {
      flags &= ~(VM_LOCKED | VM_LOCKONFAULT);
      setVmaFlags(made, flags);
    }
  }
  accountVm(space, flags, pages);
  if ((flags & VM_LOCKED) !== 0) space.lockedVm += pages;
  return addr;
}

/** Pages of [addr, end) that are mapped (count_vma_pages_range). */
function mappedPages(space: AddressSpace, addr: number, end: number): number {
  let bytes = 0;
  for (let vma = findVma(space, addr); vma !== null && vma.start < end; vma = vmaAfter(space, vma)) {
    bytes += Math.min(end, vma.end) - Math.max(addr, vma.start);
  }
  return bytes / PAGE_SIZE;
}

/** Extends the VMA before or after the free range [addr, end), or joins both; false when neither is alike. */
function growNeighbour(k: Kernel, space: AddressSpace, addr: number, end: number, wanted: Stretch): boolean {
  if ((wanted.flags & VM_SPECIAL) !== 0) return false;
  const next = findVma(space, addr);
  const prev = vmaBefore(space, addr);
  const pages = (end - addr) / PAGE_SIZE;
  const withNext = next !== null && next.start === end && canMergeBefore(k, next, wanted, pages);
  const asNext = withNext ? { ...wanted, anonVma: next.anonVma } : wanted;
  if (prev !== null && prev.end === addr && canMergeAfter(k, prev, asNext)) {
    if (withNext) {
      importAnon(prev, next);
      unlinkVmas(k, space, next.start, next.end);
      putVma(k, next);
    }
    prev.end = withNext ? next.end : end;
    return true;
  }
  if (!withNext) return false;
  next.start = addr;
  next.pgoff -= pages;
  return true;
}

function blankVma(space: AddressSpace, addr: number, end: number, flags: number, pgoff: number): Vma {
  return {
    mm: space.id, start: addr, end, flags, prot: protBits(flags), pgoff,
    file: 0, inode: 0, shmem: 0, ops: "", private: 0, anonVma: 0, anonChain: 0,
  };
}

function mapObject(k: Kernel, space: AddressSpace, object: ObjectBacking, addr: number, end: number, flags: number, pgoff: number): Vma {
  const vma = { ...blankVma(space, addr, end, flags, pgoff), shmem: object.shmem, ops: object.ops, private: object.private };
  getVma(k, vma);
  linkVma(k, space, vma);
  return vma;
}

/** A VMA of its own in the free range; its file's operations set it up. Answers it, or the errno of the file's mmap. */
function makeVma(
  k: Kernel, task: Task, space: AddressSpace, file: OpenFile | null, addr: number, end: number, flags: number, pgoff: number,
): Vma | number {
  const vma = blankVma(space, addr, end, flags, pgoff);
  if (file !== null) {
    vma.file = file.id;
    vma.inode = file.inode;
    k.tables.hooks.getFile(k, file.id);
    const result = must(k.tables.fileOperations, file.ops).mmap!(k, task, file, vma);
    assert(typeof result === "number", `mmap of ${file.ops} sleeps`);
    if (isErrno(result)) {
      zapRange(k, space, addr, end);
      freeTables(k, space, addr, end, vmaBefore(space, addr)?.end ?? 0, findVma(space, addr)?.start ?? Infinity);
      if (vma.file !== 0) k.tables.hooks.fput(k, vma.file);
      return result;
    }
    countInode(k, vma);
    vma.prot = protBits(vma.flags);
    const merged = vma.flags !== flags && (vma.flags & VM_SPECIAL) === 0 && mergeVma(k, space, vmaBefore(space, addr), addr, end, {
      flags: vma.flags, pgoff: vma.pgoff, file: vma.file, shmem: vma.shmem, anonVma: 0,
    });
    if (merged) {
      putVma(k, vma);
      return merged;
    }
  } else if ((flags & VM_SHARED) !== 0) {
    const result = shmemZeroSetup(k, vma);
    if (result < 0) return result;
  }
  linkVma(k, space, vma);
  return vma;
}
