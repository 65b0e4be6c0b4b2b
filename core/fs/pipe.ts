/** Pipes and FIFOs (pipe(7)): a ring of page slots; a small write joins the last slot, a read frees a slot when it is empty. */
import { EAGAIN, EBADF, EBUSY, EFAULT, EINVAL, ENFILE, ENOMEM, ENOTTY, ENXIO, EPERM, EPIPE, ERESTARTSYS } from "../abi/errno.ts";
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from "../abi/capability.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../abi/epoll.ts";
import { O_DIRECT, O_NONBLOCK, O_RDONLY, O_WRONLY, RWF_NOWAIT } from "../abi/fcntl.ts";
import { FIONREAD } from "../abi/ioctl.ts";
import { PAGE_SIZE, PIPE_DEF_BUFFERS, PIPE_MAX_SIZE } from "../abi/limits.ts";
import { POLL_IN, POLL_OUT, SIGIO, SIGPIPE } from "../abi/signal.ts";
import { S_IFIFO } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { allocFrame, frameBytes, frameOf, putFrame, readFrame } from "../mm/page_alloc.ts";
import { copyToUser } from "../mm/usercopy.ts";
import { capable } from "../sched/cred.ts";
import { enter, steps, to, NEXT, type SyscallResult } from "../sched/steps.ts";
import { sendSignalToTask } from "../sched/signal.ts";
import type { Task } from "../sched/task.ts";
import { newWaitQueue, sleepOn, wake, type WaitQueue } from "../sched/wait_queue.ts";
import { fasyncHelper, killFasync } from "./fasync.ts";
import { allocFile, fileOf, fileOperations, filesLeft, nonseekableOpen, type Addr, type Iovec, type OpenFile, type PollResult } from "./file.ts";
import { inodeOf, type Inode } from "./inode.ts";
import { copyFromIter, copyToIter, iovIter, iovTotal, type IovIter } from "./iov.ts";
import { sbOf } from "./mount.ts";
import { newInode } from "./new_inode.ts";

/** A slot of the ring: part of a page. */
export interface PipeBuffer {
  pfn: number;
  offset: number;
  /** Bytes; 0 when a write was given up in it. */
  len: number;
  /** A later small write may be put behind its bytes: not into pages that belong to files. */
  merge: boolean;
  /** A packet (O_DIRECT): a read takes it alone and loses what it leaves. */
  packet: boolean;
}

export interface Pipe {
  id: number;
  inode: number;
  /** Open ends, and opens so far: a FIFO's open waits for the other's count to change. */
  readers: number;
  writers: number;
  readerOpens: number;
  writerOpens: number;
  /** Open files of it. */
  files: number;
  ring: PipeBuffer[];
  /** Slots that may be filled. */
  slots: number;
  /** An empty page kept for the next write, 0 for none. */
  spare: number;
  readWait: WaitQueue;
  writeWait: WaitQueue;
  /** Somebody polled it: every write wakes readers, not only one to an empty pipe. */
  polled: boolean;
  fasyncReaders: number[];
  fasyncWriters: number[];
  /** Who made it; counts its pages. */
  uid: number;
}

const IN = POLLIN | POLLRDNORM;
const OUT = POLLOUT | POLLWRNORM;

/** The key of a wake-up that hands on what one exclusive sleeper left to the next: no poller waits for this bit. */
const SLEEPERS = 0x4000;

/** /proc/sys/fs/pipe-user-pages-soft: above, an unprivileged user's pipes get the least. */
const USER_PAGES_SOFT = 16384;
const MIN_BUFFERS = 2;

export function pipeOf(k: Kernel, file: OpenFile): Pipe {
  return must(k.state.fs.pipes, file.private);
}

/** The pipe behind an open file, or null when it is none. */
export function asPipe(k: Kernel, file: OpenFile): Pipe | null {
  return file.ops === "pipe" || file.ops === "fifo" ? pipeOf(k, file) : null;
}

/** A pipe for an inode, without open ends. */
function newPipe(k: Kernel, task: Task, inode: Inode): Pipe {
  const { fs } = k.state;
  const { uid } = task.cred;
  const mine = fs.pipePages.get(uid) ?? 0;
  const privileged = capable(task, CAP_SYS_RESOURCE) || capable(task, CAP_SYS_ADMIN);
  const slots = mine + PIPE_DEF_BUFFERS > USER_PAGES_SOFT && !privileged ? MIN_BUFFERS : PIPE_DEF_BUFFERS;
  const pipe: Pipe = {
    id: fs.nextPipe++, inode: inode.id, readers: 0, writers: 0, readerOpens: 0, writerOpens: 0, files: 0, ring: [], slots, spare: 0,
    readWait: newWaitQueue(k), writeWait: newWaitQueue(k), polled: false, fasyncReaders: [], fasyncWriters: [], uid,
  };
  fs.pipes.set(pipe.id, pipe);
  fs.pipePages.set(uid, mine + slots);
  inode.pipe = pipe.id;
  return pipe;
}

/** Frees a pipe that no open file leads to. */
function freePipe(k: Kernel, pipe: Pipe): void {
  assert(pipe.readers === 0 && pipe.writers === 0, `pipe ${pipe.id} is freed while it has open ends`);
  for (const { pfn } of pipe.ring) putFrame(k, pfn);
  if (pipe.spare !== 0) putFrame(k, pipe.spare);
  countPages(k, pipe, -pipe.slots);
  inodeOf(k, pipe.inode).pipe = 0;
  k.state.fs.pipes.delete(pipe.id);
}

function countPages(k: Kernel, { uid }: Pipe, change: number): void {
  const { pipePages } = k.state.fs;
  const pages = (pipePages.get(uid) ?? 0) + change;
  if (pages === 0) pipePages.delete(uid);
  else pipePages.set(uid, pages);
}

/**
 * Both ends of a fresh pipe, each with one reference: -ENFILE when too many files are open.
 * `flags`: O_NONBLOCK, and O_DIRECT for packets.
 */
export function createPipe(k: Kernel, task: Task, flags: number): { reader: OpenFile; writer: OpenFile } | number {
  if (!filesLeft(k)) return -ENFILE;
  const { fs } = k.state;
  const sb = sbOf(k, fs.anonMount);
  const { fsuid, fsgid } = task.cred;
  const inode = newInode(k, sb, { mode: S_IFIFO | 0o600, uid: fsuid, gid: fsgid, ino: fs.nextAnonIno++ });
  const pipe = newPipe(k, task, inode);
  const end = (access: number, kept: number): OpenFile => {
    const file = allocFile(k, {
      ops: "pipe", flags: access | (flags & kept), inode: inode.id, path: { mnt: fs.anonMount, dentry: String(inode.id) },
      canRead: access === O_RDONLY, canWrite: access === O_WRONLY, name: "pipe:", private: pipe.id,
    });
    nonseekableOpen(file);
    return file;
  };
  const reader = end(O_RDONLY, O_NONBLOCK);
  const writer = end(O_WRONLY, O_NONBLOCK | O_DIRECT);
  pipe.files = 2;
  pipe.readers = pipe.writers = 1;
  pipe.readerOpens = pipe.writerOpens = 1;
  return { reader, writer };
}

export const isFull = (pipe: Pipe): boolean => pipe.ring.length >= pipe.slots;

/** Bytes that can be read. */
export function pipeBytes(pipe: Pipe): number {
  let bytes = 0;
  for (const { len } of pipe.ring) bytes += len;
  return bytes;
}

/** A page for a slot: the spare one, or a fresh one; 0 when memory is out. */
function takePage(k: Kernel, pipe: Pipe): number {
  const { spare } = pipe;
  pipe.spare = 0;
  return spare !== 0 ? spare : allocFrame(k);
}

/** Takes the first slot away; its page is kept for the next write when nobody else has it. */
export function dropBuffer(k: Kernel, pipe: Pipe): void {
  const buffer = pipe.ring.shift();
  assert(buffer !== undefined, `pipe ${pipe.id} has no slot to drop`);
  const { refs, use } = frameOf(k.state.mm, buffer.pfn);
  if (pipe.spare === 0 && refs === 1 && use === "kernel") pipe.spare = buffer.pfn;
  else putFrame(k, buffer.pfn);
}

function readIter(k: Kernel, task: Task, file: OpenFile, iov: Iovec[], _at: unknown, flags: number): SyscallResult {
  const total = iovTotal(iov);
  if (total === 0) return 0;
  const pipe = pipeOf(k, file);
  if (pipe.ring.length === 0 && pipe.writers > 0) return nothingToRead(pipe, file, flags);
  const wasFull = isFull(pipe);
  const result = readSome(k, task, pipe, iovIter(iov));
  if (wasFull) wake(k, pipe.writeWait, { key: OUT });
  if (pipe.ring.length > 0) wake(k, pipe.readWait, { key: SLEEPERS });
  if (pipe.fasyncWriters.length > 0) killFasync(k, pipe.fasyncWriters, SIGIO, POLL_OUT);
  // Only slots of given-up writes were there: they are gone now, and the pipe is empty.
  return result === 0 && pipe.ring.length === 0 && pipe.writers > 0 ? nothingToRead(pipe, file, flags) : result;
}

function nothingToRead(pipe: Pipe, file: OpenFile, flags: number): SyscallResult {
  if ((file.flags & O_NONBLOCK) !== 0 || (flags & RWF_NOWAIT) !== 0) return -EAGAIN;
  return sleepOn(pipe.readWait, { exclusive: true, wchan: "pipe_read" });
}

/** Takes what is there, at most what the buffers hold; -EFAULT, and the slot stays, when its first piece cannot be copied. */
function readSome(k: Kernel, task: Task, pipe: Pipe, iter: IovIter): number {
  let done = 0;
  while (pipe.ring.length > 0) {
    const buffer = pipe.ring[0];
    const wanted = Math.min(buffer.len, iter.left);
    if (wanted > 0) {
      const copied = copyToIter(k, task, iter, readFrame(k, buffer.pfn).subarray(buffer.offset, buffer.offset + wanted));
      if (copied < wanted) return done > 0 ? done : -EFAULT;
    }
    done += wanted;
    buffer.offset += wanted;
    buffer.len -= wanted;
    const packet = buffer.packet;
    if (packet || buffer.len === 0) dropBuffer(k, pipe);
    if (iter.left === 0 || packet) break;
  }
  return done;
}

interface WriteLocals {
  file: number;
  iov: Iovec[];
  /** Bytes written so far. */
  done: number;
}

function writeIter(k: Kernel, task: Task, file: OpenFile, iov: Iovec[], _at: unknown, flags: number): SyscallResult {
  if (iovTotal(iov) === 0) return 0;
  const pipe = pipeOf(k, file);
  const locals = { file: file.id, iov, done: 0 };
  const result = writeSome(k, task, pipe, file, locals, true);
  if (result !== FULL) return result;
  if ((file.flags & O_NONBLOCK) !== 0 || (flags & RWF_NOWAIT) !== 0) return locals.done > 0 ? locals.done : -EAGAIN;
  if (locals.done === 0) return sleepOn(pipe.writeWait, { exclusive: true, wchan: "pipe_write" });
  return enter(writeSleeping, locals);
}

/** No slot is free, and bytes are left. */
const FULL = -EAGAIN;

/** Writes until all is written (the count), the pipe is full, or something is wrong (an errno, when nothing was written). */
function writeSome(k: Kernel, task: Task, pipe: Pipe, file: OpenFile, locals: WriteLocals, first: boolean): number {
  const wasEmpty = pipe.ring.length === 0 && pipe.readers > 0;
  const result = pipe.readers === 0 ? broken(k, task, locals.done)
    : fill(k, task, pipe, iovIter(locals.iov, locals.done), locals, { first, packet: (file.flags & O_DIRECT) !== 0 });
  // As Linux: pollers are woken by every write, one that failed too.
  if (pipe.polled || (wasEmpty && pipe.ring.length > 0)) wake(k, pipe.readWait, { key: IN });
  if (pipe.fasyncReaders.length > 0) killFasync(k, pipe.fasyncReaders, SIGIO, POLL_IN);
  if (!isFull(pipe)) wake(k, pipe.writeWait, { key: SLEEPERS });
  return result;
}

function broken(k: Kernel, task: Task, done: number): number {
  sendSignalToTask(k, task, SIGPIPE);
  return done > 0 ? done : -EPIPE;
}

function fill(
  k: Kernel, task: Task, pipe: Pipe, iter: IovIter, locals: WriteLocals, { first, packet }: { first: boolean; packet: boolean },
): number {
  // What does not fill a page goes behind the bytes of the last slot, if it fits whole: so small writes are never torn.
  const odd = iter.left % PAGE_SIZE;
  const last = pipe.ring[pipe.ring.length - 1];
  if (first && odd > 0 && last?.merge === true && last.offset + last.len + odd <= PAGE_SIZE) {
    const at = last.offset + last.len;
    const copied = copyFromIter(k, task, iter, frameBytes(k, last.pfn).subarray(at, at + odd));
    if (copied < odd) return -EFAULT;
    last.len += odd;
    locals.done += odd;
  }
  while (iter.left > 0) {
    if (isFull(pipe)) return FULL;
    const pfn = takePage(k, pipe);
    if (pfn === 0) return locals.done > 0 ? locals.done : -ENOMEM;
    const wanted = Math.min(PAGE_SIZE, iter.left);
    const buffer: PipeBuffer = { pfn, offset: 0, len: 0, merge: !packet, packet };
    pipe.ring.push(buffer);
    const copied = copyFromIter(k, task, iter, frameBytes(k, pfn).subarray(0, wanted));
    // As Linux: the slot of a write that faulted stays, empty; the next reader clears it away.
    if (copied < wanted) return locals.done > 0 ? locals.done : -EFAULT;
    buffer.len = copied;
    locals.done += copied;
  }
  return locals.done;
}

/** The rest of a write that found the pipe full after some of its bytes. */
const writeSleeping = steps<WriteLocals>("fs.pipe_write", {
  wait(k, _task, { locals }) {
    const pipe = pipeOf(k, fileOf(k, locals.file));
    if (pipe.readers === 0 || !isFull(pipe)) return NEXT;
    return sleepOn(pipe.writeWait, { exclusive: true, wchan: "pipe_write", interrupted: locals.done > 0 ? locals.done : -ERESTARTSYS });
  },
  write(k, task, { locals }) {
    const file = fileOf(k, locals.file);
    const result = writeSome(k, task, pipeOf(k, file), file, locals, false);
    return result === FULL ? to("wait") : result;
  },
});

function poll(k: Kernel, _task: Task | null, file: OpenFile): PollResult {
  const pipe = pipeOf(k, file);
  pipe.polled = true;
  let mask = 0;
  const queues: WaitQueue[] = [];
  if (file.canRead) {
    queues.push(pipe.readWait);
    if (pipe.ring.length > 0) mask |= IN;
    if (pipe.writers === 0 && file.version !== pipe.writerOpens) mask |= POLLHUP;
  }
  if (file.canWrite) {
    queues.push(pipe.writeWait);
    if (!isFull(pipe)) mask |= OUT;
    if (pipe.readers === 0) mask |= POLLERR;
  }
  return { mask, queues };
}

function release(k: Kernel, _task: Task, file: OpenFile): number {
  const pipe = pipeOf(k, file);
  if (file.canRead) pipe.readers--;
  if (file.canWrite) pipe.writers--;
  fasyncHelper(k, file, false, pipe.fasyncReaders);
  fasyncHelper(k, file, false, pipe.fasyncWriters);
  // Those who wait on the other side learn that nobody is here any more.
  if ((pipe.readers === 0) !== (pipe.writers === 0)) {
    wake(k, pipe.readWait, { nr: Infinity });
    wake(k, pipe.writeWait, { nr: Infinity });
    killFasync(k, pipe.fasyncReaders, SIGIO, POLL_IN);
    killFasync(k, pipe.fasyncWriters, SIGIO, POLL_OUT);
  }
  if (--pipe.files === 0) freePipe(k, pipe);
  return 0;
}

const pipeOperations = {
  readIter, writeIter, poll, release, nowait: true,
  ioctl(k: Kernel, task: Task, file: OpenFile, request: number, arg: Addr): number {
    if (request !== FIONREAD) return -ENOTTY;
    const bytes = new Uint8Array(new Uint32Array([pipeBytes(pipeOf(k, file))]).buffer);
    return copyToUser(k, task, arg, bytes) < 4 ? -EFAULT : 0;
  },
  fasync(k: Kernel, _task: Task, file: OpenFile, on: boolean): number {
    const pipe = pipeOf(k, file);
    if (file.canRead) fasyncHelper(k, file, on, pipe.fasyncReaders);
    if (file.canWrite) fasyncHelper(k, file, on, pipe.fasyncWriters);
    return 0;
  },
};

fileOperations("pipe", pipeOperations);
// As Linux: RWF_NOWAIT is for pipes without a name.
fileOperations("fifo", { ...pipeOperations, open: openFifo, nowait: false });

/** open(2) of a FIFO: each side waits for the other, but a non-blocking reader does not, and such a writer is refused. */
function openFifo(k: Kernel, task: Task, file: OpenFile, inode: Inode): SyscallResult {
  nonseekableOpen(file);
  if (!file.canRead && !file.canWrite) return -EINVAL;
  const nonblock = (file.flags & O_NONBLOCK) !== 0;
  const readers = inode.pipe === 0 ? 0 : must(k.state.fs.pipes, inode.pipe).readers;
  if (!file.canRead && nonblock && readers === 0) return -ENXIO;
  const pipe = inode.pipe === 0 ? newPipe(k, task, inode) : must(k.state.fs.pipes, inode.pipe);
  file.private = pipe.id;
  pipe.files++;
  if (file.canRead) enterSide(k, pipe, "reader");
  if (file.canWrite) enterSide(k, pipe, "writer");
  if (file.canRead && file.canWrite) return 0;
  if (file.canRead ? pipe.writers > 0 : pipe.readers > 0) return 0;
  if (file.canRead && nonblock) {
    // No hang-up is told before a first writer has come and gone.
    file.version = pipe.writerOpens;
    return 0;
  }
  return enter(waitForPartner, { file: file.id, seen: file.canRead ? pipe.writerOpens : pipe.readerOpens });
}

function enterSide(k: Kernel, pipe: Pipe, side: "reader" | "writer"): void {
  const first = side === "reader" ? pipe.readers++ === 0 : pipe.writers++ === 0;
  if (side === "reader") pipe.readerOpens++;
  else pipe.writerOpens++;
  if (first) wake(k, pipe.readWait, { nr: Infinity });
}

/** Waits until the other side's count of opens has moved; gives this side's place back when a signal comes first. */
const waitForPartner = steps<{ file: number; seen: number }>("fs.fifo_open", {
  wait(k, _task, { locals }) {
    const file = fileOf(k, locals.file);
    const pipe = pipeOf(k, file);
    if ((file.canRead ? pipe.writerOpens : pipe.readerOpens) !== locals.seen) return NEXT;
    return sleepOn(pipe.readWait, { wchan: "wait_for_partner" });
  },
  opened: () => 0,
}, { undo: { wait: (k, task, { locals }) => void release(k, task, fileOf(k, locals.file)) } });

/** F_GETPIPE_SZ: capacity in bytes; -EBADF for what is no pipe. */
export function getPipeSize(k: Kernel, file: OpenFile): number {
  const pipe = asPipe(k, file);
  return pipe === null ? -EBADF : pipe.slots * PAGE_SIZE;
}

/** F_SETPIPE_SZ: rounds up to a power of two of pages; -EPERM above the limit, -EBUSY when more slots are full. */
export function setPipeSize(k: Kernel, task: Task, file: OpenFile, size: number): number {
  const pipe = asPipe(k, file);
  if (pipe === null) return -EBADF;
  if (size > 0x8000_0000) return -EINVAL;
  let slots = 1;
  while (slots * PAGE_SIZE < size) slots *= 2;
  if (slots > pipe.slots && slots * PAGE_SIZE > PIPE_MAX_SIZE && !capable(task, CAP_SYS_RESOURCE)) return -EPERM;
  // A limit of ours, for those who have the right: a ring no longer than all memory has pages.
  if (slots > k.state.machine.ramMiB * 256) return -ENOMEM;
  if (slots < pipe.ring.length) return -EBUSY;
  const wasFull = isFull(pipe);
  countPages(k, pipe, slots - pipe.slots);
  pipe.slots = slots;
  if (wasFull) wake(k, pipe.writeWait, { nr: Infinity });
  return slots * PAGE_SIZE;
}

/** For the invariants: what is wrong with a pipe. */
export function pipeFaults(k: Kernel, pipe: Pipe): string[] {
  const faults: string[] = [];
  if (pipe.ring.length > pipe.slots) faults.push(`pipe ${pipe.id}: ${pipe.ring.length} of ${pipe.slots} slots`);
  for (const { offset, len } of pipe.ring) if (offset < 0 || len < 0 || offset + len > PAGE_SIZE) faults.push(`pipe ${pipe.id}: a slot of ${len} bytes at ${offset}`);
  let files = 0;
  for (const file of k.state.fs.files.values()) if (asPipe(k, file) === pipe) files++;
  if (files !== pipe.files) faults.push(`pipe ${pipe.id}: ${pipe.files} files, ${files} lead to it`);
  return faults;
}
