/** Moving bytes between files inside the kernel: sendfile(2), splice(2), tee(2), copy_file_range(2). */
import { EAGAIN, EBADF, EINVAL, EPIPE } from "../abi/errno.ts";
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../abi/epoll.ts";
import { O_APPEND, O_NONBLOCK, SPLICE_F_NONBLOCK } from "../abi/fcntl.ts";
import { IN_ACCESS, IN_MODIFY } from "../abi/inotify.ts";
import { MAX_RW_COUNT, PAGE_SIZE } from "../abi/limits.ts";
import { SIGPIPE } from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { allocFrame, frameBytes, getFrame, readFrame } from "../mm/page_alloc.ts";
import { shmemFrame } from "../mm/shmem_swap.ts";
import { charge, costs } from "../sched/cost.ts";
import { sendSignalToTask } from "../sched/signal.ts";
import { enter, enterKept, steps, to, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { sleepOn, wake } from "../sched/wait_queue.ts";
import { fileOf, opsOf, type FileOperations, type OpenFile, type Position } from "./file.ts";
import { inodeOf } from "./inode.ts";
import { notifyFile } from "./notify.ts";
import { asPipe, dropBuffer, isFull, type Pipe, type PipeBuffer } from "./pipe.ts";

const IN = POLLIN | POLLRDNORM;
const OUT = POLLOUT | POLLWRNORM;
/** Bytes of the pages that are moved at a time: as many as a pipe holds. */
const CHUNK = 65_536;

/** Where one side of a transfer is: the file's own position, or one that the caller keeps. */
export interface Side {
  file: OpenFile;
  /** Null moves the file's position. */
  offset: number | bigint | null;
}

interface Transfer {
  in: number;
  out: number;
  /** Positions while the transfer is under way; meaningless for pipes and sockets. */
  inPos: number | bigint;
  outPos: number | bigint;
  left: number;
  done: number;
  /** Steps that a write entered for `chunk` bytes, "" when it slept. */
  code: string;
  inner: unknown;
  chunk: number;
}

/**
 * From a file that can be sought to one that takes bytes from the kernel, chunk by chunk (do_splice_direct): the count,
 * fewer at the end of the file or when the other side takes fewer, or an errno when none moved. Files' positions are set.
 */
export function spliceDirect(k: Kernel, task: Task, from: Side, into: Side, count: number): SyscallResult {
  if ((into.file.flags & O_APPEND) !== 0) return -EINVAL;
  if (!from.file.seekable) return -EINVAL;
  const transfer: Transfer = {
    in: from.file.id, out: into.file.id, inPos: from.offset ?? from.file.pos, outPos: into.offset ?? into.file.pos,
    left: Math.min(count, MAX_RW_COUNT), done: 0, code: "", inner: null, chunk: 0,
  };
  const result = pump(k, task, transfer);
  if (typeof result !== "object") return endTransfer(k, transfer, result, from.offset === null, into.offset === null);
  return enter(transferSteps, { ...transfer, ownIn: from.offset === null, ownOut: into.offset === null });
}

/** Moves chunks until all are moved or a write sleeps; a write that entered steps leaves them in `transfer`. */
function pump(k: Kernel, task: Task, transfer: Transfer): SyscallResult {
  const source = fileOf(k, transfer.in);
  const target = fileOf(k, transfer.out);
  const { spliceRead } = opsOf(k, source);
  const { spliceWrite } = opsOf(k, target);
  while (transfer.left > 0) {
    if (spliceRead === undefined) return transfer.done > 0 ? transfer.done : -EINVAL;
    if (typeof transfer.inPos === "bigint") break;
    const bytes = spliceRead(k, source, transfer.inPos, Math.min(CHUNK - (transfer.inPos % PAGE_SIZE), transfer.left));
    if (typeof bytes === "number") return transfer.done > 0 ? transfer.done : bytes;
    if (bytes.length === 0) break;
    if (source.inode === target.inode) repeat(bytes, Number(transfer.outPos) - transfer.inPos);
    if (spliceWrite === undefined) return transfer.done > 0 ? transfer.done : -EINVAL;
    charge(k, 2 * bytes.length * costs(k).copyPerByteNs);
    const at: Position = { pos: transfer.outPos };
    const written = spliceWrite(k, task, target, bytes, at);
    if (typeof written === "object") {
      if (written.act === "enter") Object.assign(transfer, { code: written.code, inner: written.locals, chunk: bytes.length });
      return written;
    }
    transfer.outPos = at.pos;
    if (!account(transfer, Number(written), bytes.length)) return transfer.done > 0 ? transfer.done : written;
  }
  return transfer.done;
}

/**
 * A file is copied into itself, `distance` bytes further on: as Linux, whose pipe holds the pages and no copy of them, the
 * bytes that were just written are read again.
 */
function repeat(bytes: Uint8Array, distance: number): void {
  if (distance <= 0) return;
  for (let at = distance; at < bytes.length; at++) bytes[at] = bytes[at - distance];
}

/** Counts what a write took; false when it took fewer than it was given, or none. */
function account(transfer: Transfer, written: number, chunk: number): boolean {
  if (written <= 0) return false;
  transfer.inPos = Number(transfer.inPos) + written;
  transfer.done += written;
  transfer.left -= written;
  return written === chunk;
}

function endTransfer(k: Kernel, transfer: Transfer, result: number | bigint, ownIn: boolean, ownOut: boolean): number | bigint {
  if (result <= 0) return result;
  const source = fileOf(k, transfer.in);
  const target = fileOf(k, transfer.out);
  if (ownIn) source.pos = transfer.inPos;
  if (ownOut) target.pos = transfer.outPos;
  notifyFile(k, source, IN_ACCESS);
  notifyFile(k, target, IN_MODIFY);
  return result;
}

/** The rest of a transfer whose other side sleeps: a socket without room. */
const transferSteps = steps<Transfer & { ownIn: boolean; ownOut: boolean }>("fs.splice", {
  write(k, task, frame) {
    const { locals } = frame;
    if (locals.code === "") {
      const result = pump(k, task, locals);
      if (typeof result !== "object") return endTransfer(k, locals, result, locals.ownIn, locals.ownOut);
      if (result.act === "sleep") return locals.done > 0 ? { ...result, interrupted: locals.done } : result;
    }
    return enterKept(locals);
  },
  wrote(k, _task, { locals, ret }) {
    const more = account(locals, Number(ret), locals.chunk);
    if (more && locals.left > 0) return to("write");
    return endTransfer(k, locals, locals.done > 0 ? locals.done : ret, locals.ownIn, locals.ownOut);
  },
});

/** Whether a pipe has room: 0, -EPIPE with SIGPIPE when nobody reads it, or -EAGAIN when it is full. */
function room(k: Kernel, task: Task, pipe: Pipe): number {
  if (pipe.readers === 0) {
    sendSignalToTask(k, task, SIGPIPE);
    return -EPIPE;
  }
  return isFull(pipe) ? -EAGAIN : 0;
}

/**
 * From a file into a pipe, as many pages as the pipe has slots for (splice_file_to_pipe): the count, 0 at the end of the
 * file, or a sleep until there is room unless `nonblock`.
 */
export function spliceToPipe(k: Kernel, task: Task, from: Side, pipe: Pipe, count: number, nonblock: boolean): SyscallResult {
  const full = room(k, task, pipe);
  if (full === -EAGAIN && !nonblock) return sleepOn(pipe.writeWait, { exclusive: true, wchan: "splice_file_to_pipe" });
  if (full !== 0) return full;
  if (!from.file.canRead) return -EBADF;
  const { spliceRead: read, spliceReceive: receive } = opsOf(k, from.file);
  if (receive !== undefined) {
    const bytes = receive(k, task, from.file, Math.min(count, (pipe.slots - pipe.ring.length) * PAGE_SIZE), nonblock);
    return bytes instanceof Uint8Array ? fillPipe(k, pipe, bytes) : bytes;
  }
  if (read === undefined) return -EINVAL;
  let pos = from.offset ?? from.file.pos;
  if (typeof pos === "bigint") return 0;
  const wasEmpty = pipe.ring.length === 0;
  let done = 0;
  while (done < count && !isFull(pipe)) {
    const buffer = takeSlot(k, from.file, read, pos, Math.min(PAGE_SIZE - (pos % PAGE_SIZE), count - done));
    if (typeof buffer === "number") {
      if (done === 0) return buffer;
      break;
    }
    pipe.ring.push(buffer);
    done += buffer.len;
    pos += buffer.len;
  }
  charge(k, done * costs(k).copyPerByteNs);
  if (done > 0) {
    if (from.offset === null) from.file.pos = pos;
    if (wasEmpty || pipe.polled) wake(k, pipe.readWait, { key: IN });
    notifyFile(k, from.file, IN_ACCESS);
  }
  return done;
}

/** Lays bytes into a pipe that has slots for them: how many, fewer when memory is out. */
function fillPipe(k: Kernel, pipe: Pipe, bytes: Uint8Array): number {
  const wasEmpty = pipe.ring.length === 0;
  let done = 0;
  while (done < bytes.length) {
    const pfn = allocFrame(k);
    if (pfn === 0) break;
    const piece = bytes.subarray(done, done + PAGE_SIZE);
    frameBytes(k, pfn).set(piece);
    pipe.ring.push({ pfn, offset: 0, len: piece.length, merge: false, packet: false });
    done += piece.length;
  }
  charge(k, done * costs(k).copyPerByteNs);
  if (done > 0 && (wasEmpty || pipe.polled)) wake(k, pipe.readWait, { key: IN });
  return done;
}

/** What a slot gets of a file at `pos`: a page of its cache itself, or a copy; 0 at the end, or an errno. */
function takeSlot(
  k: Kernel, file: OpenFile, read: NonNullable<FileOperations["spliceRead"]>, pos: number, count: number,
): PipeBuffer | number {
  const inode = inodeOf(k, file.inode);
  const pgoff = Math.floor(pos / PAGE_SIZE);
  const cached = inode.pages === null ? 0 : shmemFrame(k, inode.pages, inode.id, pgoff);
  if (cached > 0 && pos < inode.size) {
    getFrame(k, cached);
    return { pfn: cached, offset: pos % PAGE_SIZE, len: Math.min(count, inode.size - pos), merge: false, packet: false };
  }
  const bytes = read(k, file, pos, count);
  if (typeof bytes === "number") return bytes;
  const pfn = bytes.length === 0 ? 0 : allocFrame(k);
  if (pfn === 0) return 0;
  frameBytes(k, pfn).set(bytes);
  return { pfn, offset: 0, len: bytes.length, merge: false, packet: false };
}

/** From a pipe into a file (do_splice_from): the count, 0 when nobody writes the pipe, or a sleep until there is something. */
export function spliceFromPipe(k: Kernel, task: Task, pipe: Pipe, into: Side, count: number, nonblock: boolean): SyscallResult {
  const write = opsOf(k, into.file).spliceWrite;
  if (write === undefined) return -EINVAL;
  if (pipe.ring.length === 0) {
    if (pipe.writers === 0) return 0;
    return nonblock ? -EAGAIN : sleepOn(pipe.readWait, { exclusive: true, wchan: "splice_from_pipe" });
  }
  const at: Position = { pos: into.offset ?? into.file.pos };
  const wasFull = isFull(pipe);
  let done = 0;
  while (pipe.ring.length > 0 && done < count) {
    const buffer = pipe.ring[0];
    const bytes = readFrame(k, buffer.pfn).slice(buffer.offset, buffer.offset + Math.min(buffer.len, count - done));
    const written = bytes.length === 0 ? 0 : write(k, task, into.file, bytes, at);
    // What the other side cannot take at once stays in the pipe.
    if (typeof written === "object") {
      if (done > 0) break;
      return written.act === "enter" ? enter(fromPipe, { pipe: pipe.id, code: written.code, inner: written.locals }) : written;
    }
    if (written < 0) {
      if (done === 0) return written;
      break;
    }
    done += takeFromPipe(k, pipe, Number(written));
    // As Linux: a file that took less is asked again, and may say why (SIGXFSZ).
    if (written < bytes.length && !into.file.seekable) break;
  }
  charge(k, done * costs(k).copyPerByteNs);
  if (into.offset === null) into.file.pos = at.pos;
  if (wasFull && !isFull(pipe)) wake(k, pipe.writeWait, { key: OUT });
  if (done > 0) notifyFile(k, into.file, IN_MODIFY);
  return done;
}

/** Takes `count` bytes of the first slot, which go with it when it is empty then. */
function takeFromPipe(k: Kernel, pipe: Pipe, count: number): number {
  const buffer = pipe.ring[0];
  buffer.offset += count;
  buffer.len -= count;
  if (buffer.len === 0) dropBuffer(k, pipe);
  return count;
}

/** A first write from the pipe that sleeps in steps of its own; what it took leaves the pipe when it is over. */
const fromPipe = steps<{ pipe: number; code: string; inner: unknown }>("fs.splice_from_pipe", {
  write: (_k, _task, { locals }) => enterKept(locals),
  wrote(k, _task, { locals, ret }) {
    const pipe = k.state.fs.pipes.get(locals.pipe);
    if (ret > 0 && pipe !== undefined && pipe.ring.length > 0) {
      const wasFull = isFull(pipe);
      takeFromPipe(k, pipe, Math.min(Number(ret), pipe.ring[0].len));
      if (wasFull) wake(k, pipe.writeWait, { key: OUT });
    }
    return ret;
  },
});

/** From pipe to pipe; `keep` copies what tee(2) copies. Whole slots move, a part of one is shared by both. */
export function splicePipes(k: Kernel, task: Task, from: Pipe, into: Pipe, count: number, nonblock: boolean, keep: boolean): SyscallResult {
  if (from === into) return -EINVAL;
  if (from.ring.length === 0 && from.writers > 0) return nonblock ? -EAGAIN : sleepOn(from.readWait, { wchan: "ipipe_prep" });
  // As Linux: a full target is waited for even at the end of the source.
  const full = room(k, task, into);
  if (full === -EAGAIN && !nonblock) return sleepOn(into.writeWait, { wchan: "opipe_prep" });
  if (full !== 0) return full;
  const wasFull = isFull(from);
  const done = keep ? copySlots(k, from, into, count) : moveSlots(k, from, into, count);
  if (done > 0) {
    wake(k, into.readWait, { key: IN });
    if (wasFull && !isFull(from)) wake(k, from.writeWait, { key: OUT });
  }
  return done;
}

/** The first bytes of a slot appear in another pipe too; there nothing is written behind them. */
function shareSlot(k: Kernel, into: Pipe, buffer: PipeBuffer, len: number): void {
  getFrame(k, buffer.pfn);
  into.ring.push({ ...buffer, len, merge: false });
}

function copySlots(k: Kernel, from: Pipe, into: Pipe, count: number): number {
  let done = 0;
  for (let at = 0; at < from.ring.length && done < count && !isFull(into); at++) {
    const len = Math.min(from.ring[at].len, count - done);
    shareSlot(k, into, from.ring[at], len);
    done += len;
  }
  return done;
}

function moveSlots(k: Kernel, from: Pipe, into: Pipe, count: number): number {
  let done = 0;
  while (from.ring.length > 0 && done < count && !isFull(into)) {
    const buffer = from.ring[0];
    const len = Math.min(buffer.len, count - done);
    if (len === buffer.len) {
      from.ring.shift();
      into.ring.push(buffer);
    } else {
      shareSlot(k, into, buffer, len);
      buffer.offset += len;
      buffer.len -= len;
    }
    done += len;
  }
  return done;
}

/** sendfile(2) between files that were found; `offset` null reads at the file's position. */
export function sendFile(k: Kernel, task: Task, out: OpenFile, source: Side, count: number): SyscallResult {
  const pipe = asPipe(k, out);
  if (pipe !== null) return spliceToPipe(k, task, source, pipe, Math.min(count, MAX_RW_COUNT), (out.flags & O_NONBLOCK) !== 0);
  return spliceDirect(k, task, source, { file: out, offset: null }, count);
}

/** splice(2) between files that were found, with their offsets or null. */
export function splice(k: Kernel, task: Task, from: Side, into: Side, count: number, flags: number): SyscallResult {
  const inPipe = asPipe(k, from.file);
  const outPipe = asPipe(k, into.file);
  if (!from.file.canRead || !into.file.canWrite) return -EBADF;
  const cut = Math.min(count, MAX_RW_COUNT);
  const asked = (flags & SPLICE_F_NONBLOCK) !== 0;
  const inNonblock = asked || (inPipe !== null && (from.file.flags & O_NONBLOCK) !== 0);
  const outNonblock = asked || (outPipe !== null && (into.file.flags & O_NONBLOCK) !== 0);
  if (inPipe !== null && outPipe !== null) return splicePipes(k, task, inPipe, outPipe, cut, inNonblock || outNonblock, false);
  if (inPipe !== null) {
    if (into.offset !== null && !into.file.positioned) return -EINVAL;
    if ((into.file.flags & O_APPEND) !== 0) return -EINVAL;
    return spliceFromPipe(k, task, inPipe, into, cut, inNonblock);
  }
  if (outPipe === null || (from.offset !== null && !from.file.positioned)) return -EINVAL;
  return spliceToPipe(k, task, from, outPipe, cut, outNonblock);
}
