/** Regular files of tmpfs and its kin: reading, writing, seeking, allocating (mm/shmem.c, mm/filemap.c). */
import { EFAULT, EFBIG, EINVAL, ENOSPC, ENXIO, EOPNOTSUPP, EPERM } from "../abi/errno.ts";
import {
  F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_WRITE, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_APPEND, O_NOATIME, RWF_APPEND, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET,
} from "../abi/fcntl.ts";
import { PAGE_SIZE, RLIMIT_FSIZE } from "../abi/limits.ts";
import { SIGXFSZ } from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { frameOf, putFrame } from "../mm/page_alloc.ts";
import { wholeBytes } from "../mm/page_content.ts";
import { genericFileMmap } from "../mm/shmem_ops.ts";
import { copyToUser, readUser } from "../mm/usercopy.ts";
import { charge, costs } from "../sched/cost.ts";
import { rlimit } from "../sched/rlimit.ts";
import { sendSignalToTask } from "../sched/signal.ts";
import type { Task } from "../sched/task.ts";
import { fileOperations, type Addr, type Iovec, type OpenFile, type Position } from "./file.ts";
import { inodeOf, type Inode } from "./inode.ts";
import { freePages, heldPages, MAX_FILE_SIZE, pageBytes, pageForWrite, readBytes, reservePage, sbOfInode, writeBytes, zeroRange } from "./page_cache.ts";
import { withoutPrivileges } from "./permission.ts";
import { currentTime, fileAccessed, fileModified } from "./times.ts";

function read(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number, at: Position): number {
  const inode = inodeOf(k, file.inode);
  // A position that is no number lies beyond the end of any file.
  if (typeof at.pos === "bigint" || count === 0) return 0;
  const start = at.pos;
  const end = Math.min(inode.size, start + count);
  let pos = start;
  while (pos < end) {
    const offset = pos % PAGE_SIZE;
    const wanted = Math.min(PAGE_SIZE - offset, end - pos);
    const page = pageBytes(k, inode, Math.floor(pos / PAGE_SIZE));
    const copied = copyToUser(k, task, (buf as number) + (pos - start), page, offset, wanted);
    if (copied > 0) pos += copied;
    if (copied < wanted) {
      if (pos === start) return -EFAULT;
      break;
    }
  }
  at.pos = pos;
  if ((file.flags & O_NOATIME) === 0) fileAccessed(k, inode);
  return pos - start;
}

/** Buffer by buffer, up to the end of the file or a page that cannot be written. */
function readIter(k: Kernel, task: Task, file: OpenFile, iov: Iovec[], at: Position): number {
  let done = 0;
  for (const { addr, len } of iov) {
    const result = read(k, task, file, addr, len, at);
    if (result < 0) return done > 0 ? done : result;
    done += result;
    if (result < len) break;
  }
  return done;
}

/** What holds before a write of `count` bytes: where it goes and how much of it may; an errno. SIGXFSZ at the limit. */
function checkWrite(k: Kernel, task: Task, file: OpenFile, inode: Inode, count: number, at: Position, flags: number): number {
  if (((file.flags & O_APPEND) !== 0) || ((flags & RWF_APPEND) !== 0)) at.pos = inode.size;
  const limit = rlimit(k, task, RLIMIT_FSIZE);
  if (limit !== Infinity && at.pos >= limit) {
    sendSignalToTask(k, task, SIGXFSZ);
    return -EFBIG;
  }
  if (at.pos >= MAX_FILE_SIZE) return -EFBIG;
  return Math.min(count, Math.min(limit, MAX_FILE_SIZE) - (at.pos as number));
}

/** Copies `count` bytes from user memory into the file at `pos`, page by page; how many, or an errno when none. */
function writeUserBytes(k: Kernel, task: Task, inode: Inode, buf: number, count: number, pos: number): number {
  let done = 0;
  let failure = sealedAgainst(inode, pos, count);
  while (done < count && failure === 0) {
    const pgoff = Math.floor((pos + done) / PAGE_SIZE);
    const offset = (pos + done) % PAGE_SIZE;
    const wanted = Math.min(PAGE_SIZE - offset, count - done);
    const held = heldPages(inode);
    const pfn = pageForWrite(k, inode, pgoff);
    if (pfn < 0) {
      failure = pfn;
      break;
    }
    // Reading the buffer may take memory back, but not this page.
    const frame = frameOf(k.state.mm, pfn);
    frame.refs++;
    const copied = readUser(k, task, buf + done, wholeBytes(frame), offset, wanted).done;
    putFrame(k, pfn);
    // A bad buffer leaves no page behind.
    if (copied === 0 && heldPages(inode) > held) freePages(k, sbOfInode(k, inode), inode, pgoff, pgoff + 1);
    done += copied;
    if (copied > 0 && pos + done > inode.size) inode.size = pos + done;
    if (copied < wanted) failure = -EFAULT;
  }
  charge(k, done * costs(k).copyPerByteNs);
  return done > 0 ? done : failure;
}

/** Seals that forbid write(2). */
const NO_WRITES = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;

/** -EPERM when seals forbid this write (memfd_create(2)). */
function sealedAgainst({ seals, size }: Inode, pos: number, count: number): number {
  return (seals & NO_WRITES) !== 0 || ((seals & F_SEAL_GROW) !== 0 && pos + count > size) ? -EPERM : 0;
}

function write(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number, at: Position): number {
  if (count === 0) return 0;
  const inode = inodeOf(k, file.inode);
  const allowed = checkWrite(k, task, file, inode, count, at, 0);
  if (allowed < 0) return allowed;
  charge(k, costs(k).fileWriteNs);
  inode.mode = withoutPrivileges(task.cred, inode.mode);
  fileModified(k, inode);
  const done = writeUserBytes(k, task, inode, buf as number, allowed, at.pos as number);
  if (done > 0) at.pos = (at.pos as number) + done;
  return done;
}

/** Several buffers are one write: the limits cut their sum, and the first short copy ends it. */
function writeIter(k: Kernel, task: Task, file: OpenFile, iov: Iovec[], at: Position, flags: number): number {
  let total = 0;
  for (const { len } of iov) total += len;
  if (total === 0) return 0;
  const inode = inodeOf(k, file.inode);
  const allowed = checkWrite(k, task, file, inode, total, at, flags);
  if (allowed < 0) return allowed;
  charge(k, costs(k).fileWriteNs);
  inode.mode = withoutPrivileges(task.cred, inode.mode);
  fileModified(k, inode);
  let done = 0;
  for (const { addr, len } of iov) {
    const wanted = Math.min(len, allowed - done);
    if (wanted === 0) continue;
    const written = writeUserBytes(k, task, inode, addr as number, wanted, (at.pos as number) + done);
    if (written < 0 && done === 0) return written;
    done += Math.max(0, written);
    if (written < wanted) break;
  }
  at.pos = (at.pos as number) + done;
  return done;
}

/** What sendfile and splice write. */
function spliceWrite(k: Kernel, task: Task, file: OpenFile, bytes: Uint8Array, at: Position): number {
  if (bytes.length === 0) return 0;
  const inode = inodeOf(k, file.inode);
  const allowed = checkWrite(k, task, file, inode, bytes.length, at, 0);
  if (allowed < 0) return allowed;
  inode.mode = withoutPrivileges(task.cred, inode.mode);
  fileModified(k, inode);
  const done = writeBytes(k, inode, at.pos as number, bytes.subarray(0, allowed));
  if (done > 0) at.pos = (at.pos as number) + done;
  return done;
}

const OFFSET_MAX = 0x7fff_ffff_ffff_ffffn;

/** Sets the position if it is one (vfs_setpos): -EINVAL when negative or beyond `max`. */
export function setPosition(file: OpenFile, pos: number | bigint, max: number | bigint = OFFSET_MAX): number | bigint {
  if (pos < 0 || pos > max) return -EINVAL;
  file.pos = typeof pos === "bigint" && pos <= 0x1f_ffff_ffff_ffffn ? Number(pos) : pos;
  return file.pos;
}

/** lseek(2) of a file that has a size (generic_file_llseek). */
export function seekInSize(file: OpenFile, size: number, offset: number | bigint, whence: number): number | bigint {
  if (whence === SEEK_SET) return setPosition(file, offset);
  const base = whence === SEEK_CUR ? file.pos : whence === SEEK_END ? size : null;
  if (base === null) return -EINVAL;
  if (whence === SEEK_CUR && offset === 0) return file.pos;
  return setPosition(file, BigInt(base) + BigInt(offset));
}

function llseek(k: Kernel, _task: Task, file: OpenFile, offset: number | bigint, whence: number): number | bigint {
  const inode = inodeOf(k, file.inode);
  if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return seekInSize(file, inode.size, offset, whence);
  if (offset < 0 || offset >= inode.size) return -ENXIO;
  const pos = Number(offset);
  const page = Math.floor(pos / PAGE_SIZE);
  const found = whence === SEEK_DATA ? nextData(inode, page) : nextHole(inode, page);
  const to = found === page ? pos : found * PAGE_SIZE;
  if (whence === SEEK_DATA && to >= inode.size) return -ENXIO;
  return setPosition(file, Math.min(to, inode.size));
}

function nextHole(inode: Inode, from: number): number {
  let page = from;
  while (inode.pages?.has(page) === true) page++;
  return page;
}

function nextData(inode: Inode, from: number): number {
  if (inode.pages?.has(from) === true) return from;
  let next = Infinity;
  for (const page of inode.pages?.keys() ?? []) if (page >= from && page < next) next = page;
  return next;
}

/** Space set aside or a hole punched; the arguments were checked by the system call. */
function fallocate(k: Kernel, task: Task, file: OpenFile, mode: number, offset: number, length: number): number {
  if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) !== 0) return -EOPNOTSUPP;
  const inode = inodeOf(k, file.inode);
  inode.mode = withoutPrivileges(task.cred, inode.mode);
  if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0) return punchHole(k, inode, offset, length);
  const end = offset + length;
  if (end > inode.size) {
    const limit = rlimit(k, task, RLIMIT_FSIZE);
    if (end > limit) {
      sendSignalToTask(k, task, SIGXFSZ);
      return -EFBIG;
    }
    if ((inode.seals & F_SEAL_GROW) !== 0) return -EPERM;
  }
  const failure = reserveRange(k, inode, Math.floor(offset / PAGE_SIZE), Math.ceil(end / PAGE_SIZE));
  if (failure !== 0) return failure;
  if ((mode & FALLOC_FL_KEEP_SIZE) === 0 && end > inode.size) inode.size = end;
  inode.ctimeNs = currentTime(k);
  return 0;
}

/** All pages or none: what was set aside before a failure is given back. */
function reserveRange(k: Kernel, inode: Inode, first: number, end: number): number {
  const { maxPages } = sbOfInode(k, inode);
  if (maxPages !== 0 && end - first > maxPages) return -ENOSPC;
  const fresh: number[] = [];
  for (let pgoff = first; pgoff < end; pgoff++) {
    const held = heldPages(inode);
    const failure = reservePage(k, inode, pgoff);
    if (failure !== 0) {
      for (const undo of fresh) freePages(k, sbOfInode(k, inode), inode, undo, undo + 1);
      return failure;
    }
    if (heldPages(inode) > held) fresh.push(pgoff);
  }
  return 0;
}

function punchHole(k: Kernel, inode: Inode, offset: number, length: number): number {
  if ((inode.seals & NO_WRITES) !== 0) return -EPERM;
  const end = offset + length;
  const first = Math.ceil(offset / PAGE_SIZE);
  const last = Math.floor(end / PAGE_SIZE);
  if (first > last) zeroRange(k, inode, offset, end);
  else {
    zeroRange(k, inode, offset, first * PAGE_SIZE);
    zeroRange(k, inode, last * PAGE_SIZE, end);
    if (last > first) {
      k.tables.hooks.unmapFileRange(k, inode.id, first, last);
      freePages(k, sbOfInode(k, inode), inode, first, last);
    }
  }
  fileModified(k, inode);
  return 0;
}

fileOperations("regular", {
  read, write, readIter, writeIter, llseek, fallocate, spliceWrite,
  spliceRead: (k, file, pos, count) => readBytes(k, inodeOf(k, file.inode), pos, count),
  fsync: () => 0,
  mmap(k, task, file, vma) {
    fileAccessed(k, inodeOf(k, file.inode));
    return genericFileMmap(k, task, file, vma);
  },
});
