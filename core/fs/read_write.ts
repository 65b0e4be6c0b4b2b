/** Reading and writing open files: what holds for all of them before and after their own operations (fs/read_write.c). */
import { EBADF, EFAULT, EINVAL, EOPNOTSUPP, ESPIPE } from "../abi/errno.ts";
import { IN_ACCESS, IN_MODIFY } from "../abi/inotify.ts";
import { MAX_RW_COUNT } from "../abi/limits.ts";
import { RWF_APPEND, RWF_DSYNC, RWF_HIPRI, RWF_NOWAIT, RWF_SYNC, SEEK_HOLE } from "../abi/fcntl.ts";
import type { Kernel } from "../kernel.ts";
import { accessOk } from "../mm/usercopy.ts";
import { enter, enterKept, NEXT, steps, to, type StepResult, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { fileOf, opsOf, type Addr, type FileOperations, type Iovec, type OpenFile, type Position } from "./file.ts";
import { notifyFile } from "./notify.ts";

const OFFSET_MAX = 0x7fff_ffff_ffff_ffffn;

/** -EINVAL when a transfer would end beyond the largest position (rw_verify_area). */
function checkArea({ pos }: Position, count: number): number {
  if (pos < 0) return -EINVAL;
  return typeof pos === "bigint" && pos + BigInt(count) > OFFSET_MAX ? -EINVAL : 0;
}

type Way = "read" | "write";

/** Why a file cannot be read or written at all: the wrong mode, or no such operation. */
function refuse(file: OpenFile, ops: FileOperations, way: Way): number {
  if (way === "read") return !file.canRead ? -EBADF : ops.read === undefined && ops.readIter === undefined ? -EINVAL : 0;
  return !file.canWrite ? -EBADF : ops.write === undefined && ops.writeIter === undefined ? -EINVAL : 0;
}

/** One buffer through whichever operation the file has. */
function transfer(
  k: Kernel, task: Task, file: OpenFile, ops: FileOperations, way: Way, buf: Addr, count: number, at: Position,
): SyscallResult {
  if (way === "read") {
    return ops.read !== undefined ? ops.read(k, task, file, buf, count, at)
      : ops.readIter!(k, task, file, [{ addr: buf, len: count }], at, 0);
  }
  return ops.write !== undefined ? ops.write(k, task, file, buf, count, at)
    : ops.writeIter!(k, task, file, [{ addr: buf, len: count }], at, 0);
}

function moved(k: Kernel, file: OpenFile, way: Way, result: SyscallResult): void {
  if (typeof result !== "object" && result > 0) notifyFile(k, file, way === "read" ? IN_ACCESS : IN_MODIFY);
}

function oneBuffer(
  k: Kernel, task: Task, file: OpenFile, way: Way, buf: Addr, count: number | bigint, at: Position,
): SyscallResult {
  const ops = opsOf(k, file);
  const refused = refuse(file, ops, way);
  if (refused !== 0) return refused;
  if (!accessOk(buf, count)) return -EFAULT;
  const cut = Math.min(count as number, MAX_RW_COUNT);
  const outside = checkArea(at, cut);
  if (outside !== 0) return outside;
  const result = transfer(k, task, file, ops, way, buf, cut, at);
  moved(k, file, way, result);
  return result;
}

function atFilePosition(k: Kernel, task: Task, file: OpenFile, way: Way, buf: Addr, count: number | bigint): SyscallResult {
  const at: Position = { pos: file.pos };
  const result = oneBuffer(k, task, file, way, buf, count, at);
  if (typeof result !== "object" && result >= 0) file.pos = at.pos;
  return result;
}

/** read(2) at the file's position: bytes read; -EBADF, -EINVAL without such an operation, -EFAULT, or what the file says. */
export function vfsRead(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number | bigint): SyscallResult {
  return atFilePosition(k, task, file, "read", buf, count);
}

/** write(2) at the file's position. */
export function vfsWrite(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number | bigint): SyscallResult {
  return atFilePosition(k, task, file, "write", buf, count);
}

/** pread64(2): -EINVAL for a negative position; -ESPIPE where there is none. The file's own position stays. */
export function vfsPread(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number | bigint, pos: number | bigint): SyscallResult {
  return file.positioned ? oneBuffer(k, task, file, "read", buf, count, { pos }) : -ESPIPE;
}

/** pwrite64(2). */
export function vfsPwrite(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number | bigint, pos: number | bigint): SyscallResult {
  return file.positioned ? oneBuffer(k, task, file, "write", buf, count, { pos }) : -ESPIPE;
}

const RWF_SUPPORTED = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND;

/** Buffers in a row; `pos` null is the file's own position. The buffers' addresses were checked. */
function manyBuffers(
  k: Kernel, task: Task, file: OpenFile, way: Way, iov: Iovec[], pos: number | bigint | null, flags: number,
): SyscallResult {
  if (pos !== null && !file.positioned) return -ESPIPE;
  const ops = opsOf(k, file);
  const refused = refuse(file, ops, way);
  if (refused !== 0) return refused;
  let total = 0;
  for (const { len } of iov) total += len;
  if (total === 0) {
    movedMany(k, file, way, 0);
    return 0;
  }
  const at: Position = { pos: pos ?? file.pos };
  const outside = checkArea(at, total);
  if (outside !== 0) return outside;
  const whole = way === "read" ? ops.readIter : ops.writeIter;
  if ((flags & ~RWF_SUPPORTED) !== 0 || ((flags & RWF_NOWAIT) !== 0 && ops.nowait !== true)) return -EOPNOTSUPP;
  if (whole === undefined && (flags & ~RWF_HIPRI) !== 0) return -EOPNOTSUPP;
  const result = whole !== undefined ? whole(k, task, file, iov, at, flags) : loop(k, task, file, ops, way, iov, at, pos === null);
  if (pos === null && typeof result !== "object" && result >= 0) file.pos = at.pos;
  movedMany(k, file, way, result);
  return result;
}

/** As Linux: a readv that finds nothing counts as an access, a read does not. */
function movedMany(k: Kernel, file: OpenFile, way: Way, result: SyscallResult): void {
  if (typeof result !== "object" && (way === "read" ? result >= 0 : result > 0)) notifyFile(k, file, way === "read" ? IN_ACCESS : IN_MODIFY);
}

/** readv(2), preadv(2): `pos` null reads at the file's position. */
export function vfsReadv(k: Kernel, task: Task, file: OpenFile, iov: Iovec[], pos: number | bigint | null, flags = 0): SyscallResult {
  return manyBuffers(k, task, file, "read", iov, pos, flags);
}

/** writev(2), pwritev(2). */
export function vfsWritev(k: Kernel, task: Task, file: OpenFile, iov: Iovec[], pos: number | bigint | null, flags = 0): SyscallResult {
  return manyBuffers(k, task, file, "write", iov, pos, flags);
}

interface LoopLocals {
  file: number;
  way: Way;
  iov: Iovec[];
  index: number;
  done: number;
  pos: number | bigint;
  /** The file's own position moves too. */
  own: boolean;
  /** Steps that the operation entered for the buffer at `index`, "" when it slept. */
  code: string;
  inner: unknown;
}

/** Buffer by buffer, for files that take one at a time (do_loop_readv_writev); goes on in steps from the one that sleeps. */
function loop(
  k: Kernel, task: Task, file: OpenFile, ops: FileOperations, way: Way, iov: Iovec[], at: Position, own: boolean,
): SyscallResult {
  let done = 0;
  for (let index = 0; index < iov.length; index++) {
    const result = transfer(k, task, file, ops, way, iov[index].addr, iov[index].len, at);
    if (typeof result === "object") {
      if (result.act === "sleep" && done === 0) return result;
      const inner = result.act === "enter" ? { code: result.code, inner: result.locals } : { code: "", inner: null };
      return enter(loopSteps, { file: file.id, way, iov, index, done, pos: at.pos, own, ...inner });
    }
    if (result < 0) return done > 0 ? done : result;
    done += Number(result);
    // As Linux: a driver that answers more than it was asked for ends it too.
    if (Number(result) !== iov[index].len) break;
  }
  return done;
}

const loopSteps = steps<LoopLocals>("fs.loop", {
  buffer(k, task, frame) {
    const { locals } = frame;
    if (locals.code !== "") return enterKept(locals);
    const file = fileOf(k, locals.file);
    const at: Position = { pos: locals.pos };
    const { addr, len } = locals.iov[locals.index];
    const result = transfer(k, task, file, opsOf(k, file), locals.way, addr, len, at);
    if (typeof result === "object") return result.act === "sleep" && locals.done > 0 ? { ...result, interrupted: locals.done } : result;
    locals.pos = at.pos;
    frame.ret = result;
    return NEXT;
  },
  account(k, _task, { locals, ret }): StepResult {
    const file = fileOf(k, locals.file);
    if (ret < 0) return locals.done > 0 ? endLoop(file, locals) : ret;
    locals.done += Number(ret);
    const full = Number(ret) === locals.iov[locals.index].len;
    return full && ++locals.index < locals.iov.length ? to("buffer") : endLoop(file, locals);
  },
});

function endLoop(file: OpenFile, { own, pos, done }: LoopLocals): number {
  if (own) file.pos = pos;
  return done;
}

/** lseek(2): the new position; -EINVAL for an unknown whence, -ESPIPE where nothing can be sought. */
export function vfsLlseek(k: Kernel, task: Task, file: OpenFile, offset: number | bigint, whence: number): number | bigint {
  if (whence < 0 || whence > SEEK_HOLE) return -EINVAL;
  if (!file.seekable) return -ESPIPE;
  return opsOf(k, file).llseek?.(k, task, file, offset, whence) ?? -ESPIPE;
}
