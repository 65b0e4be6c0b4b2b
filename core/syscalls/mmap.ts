/** System calls on a process's memory: mmap(2) and its relatives. */
import { EBADF, EINVAL, ENOMEM } from "../abi/errno.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import { madviseAdvice, MAP_ANONYMOUS, MAP_HUGETLB, mapFlags, mlock2Flags, mlockallFlags, MREMAP_DONTUNMAP, MREMAP_FIXED, mremapFlags, msFlags, protFlags } from "../abi/mman.ts";
import { MS_NOEXEC } from "../abi/mount.ts";
import type { OpenFile } from "../fs/file.ts";
import { mountOf } from "../fs/mount.ts";
import type { Kernel } from "../kernel.ts";
import { brk } from "../mm/brk.ts";
import { madvise } from "../mm/madvise.ts";
import { mlock, mlockall, munlock, munlockall } from "../mm/mlock.ts";
import { mmap } from "../mm/mmap.ts";
import { mprotect } from "../mm/mprotect.ts";
import { mremap } from "../mm/mremap.ts";
import { mincore, msync } from "../mm/sync.ts";
import { munmap } from "../mm/unmap.ts";
import type { Task } from "../sched/task.ts";
import { addr, choice, fd, flags, hex, int32, off, outBuffer, shownIf, size, type ArgType, type CallView } from "./args.ts";
import { BUFFER_LIMIT, bytesToJson, readInteger } from "./json.ts";
import type { Rows } from "./row.ts";

type Word = number | bigint;

/** An offset of mmap in pages, as the unsigned number that it is; no integer when it lies within a page. */
function pageOffset(offset: Word): number {
  if (typeof offset === "number" && offset >= 0) return offset / PAGE_SIZE;
  const bytes = BigInt.asUintN(64, BigInt(offset));
  return bytes % BigInt(PAGE_SIZE) === 0n ? Number(bytes / BigInt(PAGE_SIZE)) : NaN;
}

/** mmap(2): the file descriptor is looked at only when the mapping is not anonymous. */
function sysMmap(
  k: Kernel, task: Task, [at, length, prot, given, file, offset]: [Word, Word, number, number, OpenFile | number, Word],
): number {
  const pgoff = pageOffset(offset);
  if (!Number.isInteger(pgoff)) return -EINVAL;
  const anonymous = (given & MAP_ANONYMOUS) !== 0;
  if (!anonymous && typeof file === "number") return -EBADF;
  // Huge pages come from a pool that this machine does not have.
  if ((given & MAP_HUGETLB) !== 0) return anonymous ? -ENOMEM : -EINVAL;
  const mapped = anonymous ? null : (file as OpenFile);
  return mmap(k, task, {
    addr: at, length, prot, flags: given, file: mapped, pgoff,
    noexec: mapped !== null && (mountOf(k, mapped.path.mnt).flags & MS_NOEXEC) !== 0,
  });
}

/** mincore's answer: a byte for each page of the range. */
function residency(): ArgType {
  const pages = (view: CallView): number => Math.min(BUFFER_LIMIT, Math.ceil(Number(view.reg("length")) / PAGE_SIZE));
  const failed = (view: CallView): boolean => typeof view.ret === "number" && view.ret < 0;
  return {
    ...outBuffer("vec", "length"),
    decode(value, context) {
      if (value !== undefined) return outBuffer("vec", "length").decode(value, context);
      const length = Number(readInteger(context.given.length ?? 0) ?? 0);
      return { room: length < 0 ? 0 : Math.min(BUFFER_LIMIT, Math.ceil(length / PAGE_SIZE)) };
    },
    show: (register, view) => (failed(view) ? hex(register) : `[${[...view.read(register, Math.min(32, pages(view)))].join(", ")}${pages(view) > 32 ? ", ..." : ""}]`),
    output: (register, view) => (failed(view) || register === 0 ? undefined : bytesToJson(view.read(register, pages(view)))),
  };
}

const newAddress = shownIf(addr("new_address"), (view) => (int32(view.reg("flags")) & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0);

export const mmapRows: Rows = {
  mmap: {
    x86_64: 9, returns: "address", run: sysMmap,
    args: [addr("addr"), size("length"), flags("prot", protFlags), flags("flags", mapFlags), fd("fd", -1), off("offset")],
    partial: "MAP_HUGETLB has no huge pages to give; MAP_SYNC is not supported",
  },
  munmap: {
    x86_64: 11, args: [addr("addr"), size("length")],
    run: (k: Kernel, task: Task, [at, length]: [Word, Word]) => munmap(k, task, at, length),
  },
  mprotect: {
    x86_64: 10, args: [addr("addr"), size("len"), flags("prot", protFlags)],
    run: (k: Kernel, task: Task, [at, length, prot]: [Word, Word, number]) => mprotect(k, task, at, length, prot),
  },
  mremap: {
    x86_64: 25, returns: "address",
    args: [addr("old_address"), size("old_size"), size("new_size"), flags("flags", mremapFlags), newAddress],
    run: (k: Kernel, task: Task, [at, oldSize, newSize, how, to]: [Word, Word, Word, number, Word]) =>
      mremap(k, task, at, oldSize, newSize, how, to),
  },
  brk: {
    x86_64: 12, returns: "address", args: [addr("addr")],
    run: (k: Kernel, task: Task, [at]: [Word]) => brk(k, task, at),
  },
  msync: {
    x86_64: 26, args: [addr("addr"), size("length"), flags("flags", msFlags)],
    run: (k: Kernel, task: Task, [at, length, how]: [Word, Word, number]) => msync(k, task, at, length, how),
  },
  mincore: {
    x86_64: 27, args: [addr("addr"), size("length"), residency()],
    run: (k: Kernel, task: Task, [at, length, vec]: [Word, Word, Word]) => mincore(k, task, at, length, vec),
  },
  madvise: {
    x86_64: 28, args: [addr("addr"), size("length"), choice("advice", madviseAdvice)],
    run: (k: Kernel, task: Task, [at, length, advice]: [Word, Word, number]) => madvise(k, task, at, length, advice),
    partial: "MADV_WILLNEED, MADV_MERGEABLE and MADV_COLLAPSE do nothing",
  },
  mlock: {
    x86_64: 149, args: [addr("addr"), size("len")],
    run: (k: Kernel, task: Task, [at, length]: [Word, Word]) => mlock(k, task, at, length, 0),
  },
  mlock2: {
    x86_64: 325, args: [addr("addr"), size("len"), flags("flags", mlock2Flags)],
    run: (k: Kernel, task: Task, [at, length, how]: [Word, Word, number]) => mlock(k, task, at, length, how),
  },
  munlock: {
    x86_64: 150, args: [addr("addr"), size("len")],
    run: (k: Kernel, task: Task, [at, length]: [Word, Word]) => munlock(k, task, at, length),
  },
  mlockall: {
    x86_64: 151, args: [flags("flags", mlockallFlags)],
    run: (k: Kernel, task: Task, [how]: [number]) => mlockall(k, task, how),
  },
  munlockall: { x86_64: 152, args: [], run: (k: Kernel, task: Task) => munlockall(k, task) },
};
