/** read(2), write(2), their vectored and positioned forms, lseek(2), and what brings data to the disk. */
import { EINVAL, ESPIPE, EBADF } from "../abi/errno.ts";
import { fadviseAdvice, rwfFlags, syncFileRangeFlags, whence } from "../abi/fcntl.ts";
import { isDirectory, isFifo, isRegular } from "../abi/stat.ts";
import { opsOf, type Addr, type OpenFile } from "../fs/file.ts";
import { inodeOf } from "../fs/inode.ts";
import { importIovec } from "../fs/iov.ts";
import { vfsLlseek, vfsPread, vfsPwrite, vfsRead, vfsReadv, vfsWrite, vfsWritev } from "../fs/read_write.ts";
import type { Kernel } from "../kernel.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { choice, fd, flags, inBuffer, off, outBuffer, size, ulong } from "./args.ts";
import type { Rows } from "./row.ts";
import { iovecCount, iovecIn, iovecOut } from "./vectors.ts";

type File = OpenFile | number;
type Count = number | bigint;
type Offset = number | bigint;

function sysRead(k: Kernel, task: Task, [file, buf, count]: [File, Addr, Count]): SyscallResult {
  return typeof file === "number" ? file : vfsRead(k, task, file, buf, count);
}

function sysWrite(k: Kernel, task: Task, [file, buf, count]: [File, Addr, Count]): SyscallResult {
  return typeof file === "number" ? file : vfsWrite(k, task, file, buf, count);
}

// As Linux: the position is looked at before the descriptor.
function sysPread64(k: Kernel, task: Task, [file, buf, count, offset]: [File, Addr, Count, Offset]): SyscallResult {
  if (offset < 0) return -EINVAL;
  return typeof file === "number" ? file : vfsPread(k, task, file, buf, count, offset);
}

function sysPwrite64(k: Kernel, task: Task, [file, buf, count, offset]: [File, Addr, Count, Offset]): SyscallResult {
  if (offset < 0) return -EINVAL;
  return typeof file === "number" ? file : vfsPwrite(k, task, file, buf, count, offset);
}

/** `pos` null: at the file's own position. */
function vectored(k: Kernel, task: Task, way: "read" | "write", file: File, iov: Addr, count: Count, pos: Offset | null, rwf = 0): SyscallResult {
  if (pos !== null && pos < 0) return -EINVAL;
  if (typeof file === "number") return file;
  if (pos !== null && !file.positioned) return -ESPIPE;
  const buffers = importIovec(k, task, iov, count);
  if (typeof buffers === "number") return buffers;
  return way === "read" ? vfsReadv(k, task, file, buffers, pos, rwf) : vfsWritev(k, task, file, buffers, pos, rwf);
}

/** preadv2 and pwritev2: -1 is the file's own position. The high word is unused on a 64-bit machine. */
function vectored2(way: "read" | "write") {
  return (k: Kernel, task: Task, [file, iov, count, offset, _high, rwf]: [File, Addr, Count, Offset, Offset, number]): SyscallResult =>
    vectored(k, task, way, file, iov, count, offset === -1 ? null : offset, rwf);
}

function sysLseek(k: Kernel, task: Task, [file, offset, from]: [File, Offset, number]): SyscallResult {
  return typeof file === "number" ? file : vfsLlseek(k, task, file, offset, from);
}

/** fsync(2): -EINVAL for what cannot be synchronised. */
function sync(dataOnly: boolean) {
  return (k: Kernel, task: Task, [file]: [File]): SyscallResult =>
    (typeof file === "number" ? file : (opsOf(k, file).fsync?.(k, task, file, dataOnly) ?? -EINVAL));
}

function sysFadvise64(k: Kernel, _task: Task, [file, , length, advice]: [File, Offset, Offset, number]): number {
  if (typeof file === "number") return file;
  if (isFifo(inodeOf(k, file.inode).mode)) return -ESPIPE;
  return length < 0 || advice < 0 || advice > 5 ? -EINVAL : 0;
}

function sysReadahead(k: Kernel, _task: Task, [file]: [File]): number {
  if (typeof file === "number" || !file.canRead) return -EBADF;
  return isRegular(inodeOf(k, file.inode).mode) ? 0 : -EINVAL;
}

function sysSyncFileRange(k: Kernel, _task: Task, [file, offset, length, how]: [File, Offset, Offset, number]): number {
  if (typeof file === "number") return file;
  if ((how & ~7) !== 0 || offset < 0 || length < 0) return -EINVAL;
  const { mode } = inodeOf(k, file.inode);
  return isRegular(mode) || isDirectory(mode) ? 0 : -ESPIPE;
}

const readv = [fd("fd"), iovecOut("iov", "iovcnt"), iovecCount("iovcnt", "iov")];
const writev = [fd("fd"), iovecIn("iov", "iovcnt"), iovecCount("iovcnt", "iov")];
const extended = [off("offset"), ulong("offset_high"), flags("flags", rwfFlags)];

export const readWriteRows: Rows = {
  read: { x86_64: 0, args: [fd("fd"), outBuffer("buf", "count"), size("count")], run: sysRead },
  write: { x86_64: 1, args: [fd("fd"), inBuffer("buf", "count"), size("count", "buf")], run: sysWrite },
  pread64: { x86_64: 17, args: [fd("fd"), outBuffer("buf", "count"), size("count"), off("offset")], run: sysPread64 },
  pwrite64: { x86_64: 18, args: [fd("fd"), inBuffer("buf", "count"), size("count", "buf"), off("offset")], run: sysPwrite64 },
  readv: {
    x86_64: 19, args: readv,
    run: (k, task, [file, iov, count]: [File, Addr, Count]) => vectored(k, task, "read", file, iov, count, null),
  },
  writev: {
    x86_64: 20, args: writev,
    run: (k, task, [file, iov, count]: [File, Addr, Count]) => vectored(k, task, "write", file, iov, count, null),
  },
  preadv: {
    x86_64: 295, args: [...readv, off("offset")],
    run: (k, task, [file, iov, count, offset]: [File, Addr, Count, Offset]) => vectored(k, task, "read", file, iov, count, offset),
  },
  pwritev: {
    x86_64: 296, args: [...writev, off("offset")],
    run: (k, task, [file, iov, count, offset]: [File, Addr, Count, Offset]) => vectored(k, task, "write", file, iov, count, offset),
  },
  preadv2: { x86_64: 327, args: [...readv, ...extended], run: vectored2("read") },
  pwritev2: { x86_64: 328, args: [...writev, ...extended], run: vectored2("write") },
  lseek: { x86_64: 8, args: [fd("fd"), off("offset"), choice("whence", whence)], run: sysLseek },
  fsync: { x86_64: 74, args: [fd("fd")], run: sync(false) },
  fdatasync: { x86_64: 75, args: [fd("fd")], run: sync(true) },
  fadvise64: { x86_64: 221, args: [fd("fd"), off("offset"), off("len"), choice("advice", fadviseAdvice)], run: sysFadvise64 },
  readahead: { x86_64: 187, args: [fd("fd"), off("offset"), size("count")], run: sysReadahead },
  sync_file_range: { x86_64: 277, args: [fd("fd"), off("offset"), off("nbytes"), flags("flags", syncFileRangeFlags)], run: sysSyncFileRange },
};
