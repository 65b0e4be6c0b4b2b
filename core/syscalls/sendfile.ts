/** sendfile(2), splice(2), tee(2), vmsplice(2), copy_file_range(2): the calls. */
import { EBADF, EFAULT, EINVAL, EISDIR, EOVERFLOW, ESPIPE, EXDEV } from "../abi/errno.ts";
import { O_APPEND, O_NONBLOCK, SPLICE_F_GIFT, SPLICE_F_MORE, SPLICE_F_MOVE, SPLICE_F_NONBLOCK, spliceFlags } from "../abi/fcntl.ts";
import { MAX_RW_COUNT } from "../abi/limits.ts";
import { isDirectory, isRegular } from "../abi/stat.ts";
import { opsOf, type Addr, type OpenFile } from "../fs/file.ts";
import { inodeOf } from "../fs/inode.ts";
import { importIovec } from "../fs/iov.ts";
import { asPipe } from "../fs/pipe.ts";
import { sendFile, splice, spliceDirect, splicePipes, type Side } from "../fs/splice.ts";
import type { Kernel } from "../kernel.ts";
import { getI64, putU64 } from "../lib/bytes.ts";
import { copyFromUser, copyToUser } from "../mm/usercopy.ts";
import { enter, enterKept, steps, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { fd, flags, size, uint } from "./args.ts";
import { positionInOut } from "./file_args.ts";
import type { Rows } from "./row.ts";
import { count, iovecIn } from "./vectors.ts";

type File = OpenFile | number;
type Offset = number | bigint | null;

const OFFSET_MAX = 0x7fff_ffff_ffff_ffffn;

/** The position at `addr`; null when NULL was given, undefined when it cannot be read. */
function readOffset(k: Kernel, task: Task, addr: Addr): Offset | undefined {
  if (addr === 0) return null;
  const bytes = copyFromUser(k, task, addr, 8);
  return typeof bytes === "number" ? undefined : getI64(bytes, 0);
}

interface Written {
  addr: Addr;
  base: Offset;
}

/** Writes back where positions that the caller keeps stand now; the result, or -EFAULT. */
function writeOffsets(k: Kernel, task: Task, offsets: Written[], result: number | bigint): number | bigint {
  for (const { addr, base } of offsets) {
    if (addr === 0 || base === null) continue;
    const bytes = new Uint8Array(8);
    putU64(bytes, 0, BigInt(base) + (result > 0 ? BigInt(result) : 0n));
    if (copyToUser(k, task, addr, bytes) < 8) return -EFAULT;
  }
  return result;
}

/** Writes the positions back when the transfer is over. */
function finish(k: Kernel, task: Task, offsets: Written[], result: SyscallResult): SyscallResult {
  if (typeof result !== "object") return writeOffsets(k, task, offsets, result);
  return result.act === "sleep" ? result : enter(writeBack, { offsets, code: result.code, inner: result.locals });
}

const writeBack = steps<{ offsets: Written[]; code: string; inner: unknown }>("fs.write_offsets", {
  move: (_k, _task, { locals }) => enterKept(locals),
  write: (k, task, { locals, ret }) => writeOffsets(k, task, locals.offsets, ret),
});

/** A count as the kernel cuts it; a negative one stays for the checks. */
const cut = (length: number | bigint): number => Number(length > MAX_RW_COUNT ? MAX_RW_COUNT : length);

/** -EINVAL for a position or a count that is none (rw_verify_area). */
function checkArea(offset: Offset, length: number | bigint): number {
  if (offset !== null && offset < 0) return -EINVAL;
  return length > OFFSET_MAX || (offset !== null && BigInt(offset) + BigInt(length) > OFFSET_MAX) ? -EINVAL : 0;
}

function sysSendfile(k: Kernel, task: Task, [out, source, offsetAddr, length]: [File, File, Addr, number | bigint]): SyscallResult {
  const offset = readOffset(k, task, offsetAddr);
  if (offset === undefined) return -EFAULT;
  const offsets = [{ addr: offsetAddr, base: offset }];
  return finish(k, task, offsets, doSendfile(k, task, out, source, offset, length));
}

function doSendfile(k: Kernel, task: Task, out: File, source: File, offset: Offset, length: number | bigint): SyscallResult {
  if (typeof source === "number" || !source.canRead) return -EBADF;
  if (offset !== null && !source.positioned) return -ESPIPE;
  const outside = checkArea(offset ?? source.pos, length);
  if (outside !== 0) return outside;
  if (typeof out === "number" || !out.canWrite) return -EBADF;
  return sendFile(k, task, out, { file: source, offset }, cut(length));
}

const SPLICE_F_ALL = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;

function sysSplice(
  k: Kernel, task: Task, [source, inAddr, out, outAddr, length, how]: [File, Addr, File, Addr, number | bigint, number],
): SyscallResult {
  if (length === 0) return 0;
  if ((how & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  if (typeof source === "number") return source;
  if (typeof out === "number") return out;
  if (asPipe(k, source) !== null && inAddr !== 0) return -ESPIPE;
  if (asPipe(k, out) !== null && outAddr !== 0) return -ESPIPE;
  const outOffset = readOffset(k, task, outAddr);
  const inOffset = readOffset(k, task, inAddr);
  if (outOffset === undefined || inOffset === undefined) return -EFAULT;
  if (!source.canRead || !out.canWrite) return -EBADF;
  const outside = checkArea(inOffset, length) || checkArea(outOffset, length);
  if (outside !== 0) return outside;
  const result = splice(k, task, { file: source, offset: inOffset }, { file: out, offset: outOffset }, cut(length), how);
  return finish(k, task, [{ addr: inAddr, base: inOffset }, { addr: outAddr, base: outOffset }], result);
}

function sysTee(k: Kernel, task: Task, [source, out, length, how]: [File, File, number | bigint, number]): SyscallResult {
  if ((how & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  if (length === 0) return 0;
  if (typeof source === "number") return source;
  if (typeof out === "number") return out;
  if (!source.canRead || !out.canWrite) return -EBADF;
  const from = asPipe(k, source);
  const into = asPipe(k, out);
  if (from === null || into === null) return -EINVAL;
  const nonblock = ((source.flags | out.flags) & O_NONBLOCK) !== 0 || (how & SPLICE_F_NONBLOCK) !== 0;
  return splicePipes(k, task, from, into, cut(length), nonblock, true);
}

/** vmsplice(2) copies: the pages do not stay those of the caller. */
function sysVmsplice(k: Kernel, task: Task, [file, iov, segments, how]: [File, Addr, number | bigint, number]): SyscallResult {
  if ((how & ~SPLICE_F_ALL) !== 0) return -EINVAL;
  if (typeof file === "number") return file;
  const way = file.canWrite ? "write" : file.canRead ? "read" : null;
  if (way === null) return -EBADF;
  const buffers = importIovec(k, task, iov, segments);
  if (typeof buffers === "number") return buffers;
  if (asPipe(k, file) === null) return -EBADF;
  const ops = opsOf(k, file);
  return way === "write" ? ops.writeIter!(k, task, file, buffers, { pos: 0 }, 0) : ops.readIter!(k, task, file, buffers, { pos: 0 }, 0);
}

/** What copy_file_range refuses: 0 or an errno (generic_copy_file_checks). */
function checkCopy(k: Kernel, source: Side, target: Side): number {
  const [a, b] = [inodeOf(k, source.file.inode), inodeOf(k, target.file.inode)];
  if (isDirectory(a.mode) || isDirectory(b.mode)) return -EISDIR;
  if (!isRegular(a.mode) || !isRegular(b.mode)) return -EINVAL;
  if (!source.file.canRead || !target.file.canWrite || (target.file.flags & O_APPEND) !== 0) return -EBADF;
  return a.sb !== b.sb ? -EXDEV : 0;
}

function sysCopyFileRange(
  k: Kernel, task: Task, [source, inAddr, target, outAddr, length, how]: [File, Addr, File, Addr, number | bigint, number],
): SyscallResult {
  if (typeof source === "number") return source;
  if (typeof target === "number") return target;
  const inOffset = readOffset(k, task, inAddr);
  const outOffset = readOffset(k, task, outAddr);
  if (inOffset === undefined || outOffset === undefined) return -EFAULT;
  if (how !== 0) return -EINVAL;
  const from: Side = { file: source, offset: inOffset };
  const into: Side = { file: target, offset: outOffset };
  const wrong = checkCopy(k, from, into);
  if (wrong !== 0) return wrong;
  const inPos = BigInt(inOffset ?? source.pos);
  const outPos = BigInt(outOffset ?? target.pos);
  const asked = BigInt(length);
  // As Linux: a position below 0 counts as one beyond the largest.
  const overflows = (at: bigint): boolean => at + asked > OFFSET_MAX || (at < 0n && at + asked >= 0n);
  if (overflows(inPos) || overflows(outPos)) return -EOVERFLOW;
  if (inPos < 0n || outPos < 0n) return -EINVAL;
  const left = BigInt(inodeOf(k, source.inode).size) - inPos;
  const bytes = left <= 0n ? 0 : Number(asked < left ? asked : left);
  if (source.inode === target.inode && inPos < outPos + BigInt(bytes) && outPos < inPos + BigInt(bytes)) return -EINVAL;
  if (bytes === 0) return 0;
  const result = spliceDirect(k, task, from, into, cut(bytes));
  return finish(k, task, [{ addr: inAddr, base: inOffset }, { addr: outAddr, base: outOffset }], result);
}

const splices = [fd("fd_in"), positionInOut("off_in"), fd("fd_out"), positionInOut("off_out"), size("len")];

export const sendfileRows: Rows = {
  sendfile: { x86_64: 40, args: [fd("out_fd"), fd("in_fd"), positionInOut("offset"), size("count")], run: sysSendfile },
  splice: { x86_64: 275, args: [...splices, flags("flags", spliceFlags)], run: sysSplice },
  tee: { x86_64: 276, args: [fd("fd_in"), fd("fd_out"), size("len"), flags("flags", spliceFlags)], run: sysTee },
  vmsplice: {
    x86_64: 278, args: [fd("fd"), iovecIn("iov", "nr_segs"), count("nr_segs", "iov", 16), flags("flags", spliceFlags)], run: sysVmsplice,
    partial: "pages are copied, SPLICE_F_GIFT changes nothing",
  },
  copy_file_range: { x86_64: 326, args: [...splices, uint("flags")], run: sysCopyFileRange },
};
