/** Open files (struct file) and what can be done with them (struct file_operations). */
import { releaseWatchers } from "./file_operations.ts"; // first: files that register operations stand in a circle with this one
import type { Kernel } from "../kernel.ts";
import { fail, must } from "../lib/assert.ts";
import { O_PATH } from "../abi/fcntl.ts";
import { isRegular } from "../abi/stat.ts";
import { enter, enterKept, NEXT, steps, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { addTaskWork } from "../sched/task_work.ts";
import type { SleepAction, WaitQueue } from "../sched/wait_queue.ts";
import type { Vma } from "../mm/vma.ts";
import { inodeOf, type Inode, type InodeKey, type PathRef } from "./inode.ts";
import { dropInode, pathGet, pathPut } from "./dcache.ts";

/** A user address: a number below 2^47, or whatever a register held. */
export type Addr = number | bigint;

/** Who gets the signal when input or output becomes possible (F_SETOWN). */
export interface FileOwner {
  /** F_OWNER_TID, F_OWNER_PID or F_OWNER_PGRP. */
  type: number;
  pid: number;
  /** Credentials of the one that set it. */
  uid: number;
  euid: number;
}

export interface OpenFile {
  id: number;
  /** Name in `tables.fileOperations`. */
  ops: string;
  /** O_ flags as F_GETFL tells them. */
  flags: number;
  canRead: boolean;
  canWrite: boolean;
  /** lseek works (FMODE_LSEEK). */
  seekable: boolean;
  /** pread and pwrite work (FMODE_PREAD, FMODE_PWRITE). */
  positioned: boolean;
  pos: number | bigint;
  /** Descriptors, mappings, calls under way and others that hold it. */
  refs: number;
  inode: InodeKey;
  path: PathRef;
  /** What /proc/PID/fd shows of a file that has no path: "anon_inode:[eventpoll]"; "" for others. */
  name: string;
  /** A FIFO's count of writers when it was opened for reading without any. */
  version: number;
  /** For the file operations: an id of theirs. */
  private: number;
  /** For the file operations: a plain record of theirs. */
  data: object | null;
  /** Module whose use count it holds, "" for none. */
  module: string;
  owner: FileOwner | null;
  /** Signal instead of SIGIO (F_SETSIG), 0 for SIGIO. */
  signal: number;
  /** Epoll items that watch it. */
  epolls: number[];
}

/** A buffer of readv or writev. */
export interface Iovec {
  addr: Addr;
  /** Bytes. */
  len: number;
}

/** Where a read or write happens; it adds what it moved. Lives for one call only. */
export interface Position {
  pos: number | bigint;
}

export interface PollResult {
  /** POLL bits that hold now. */
  mask: number;
  /** Queues that are woken when they change. */
  queues: WaitQueue[];
}

/** Takes a directory entry for getdents; false when the buffer is full. `type` is DT_, `next` where the entry after it is read from. */
export type EmitEntry = (name: string, ino: number, type: number, next: number) => boolean;

/**
 * The operations of a kind of file; what is absent answers as Linux does without it. `task` is the caller.
 * One that sleeps looks first and changes nothing before it answers `sleepOn`, or enters a step table.
 */
export interface FileOperations {
  /** Module that an open file keeps in use. */
  owner?: string;
  /** Module whose code this is when no file keeps it in use: a driver that forgot its .owner. */
  code?: string;
  /** Opens with O_DIRECT; EINVAL otherwise. */
  directIo?: boolean;
  /** Knows RWF_NOWAIT. */
  nowait?: boolean;
  open?(k: Kernel, task: Task, file: OpenFile, inode: Inode): SyscallResult;
  /** The last holder is gone. */
  release?(k: Kernel, task: Task, file: OpenFile): SyscallResult;
  /** A descriptor is closed; its errno is that of close(2). */
  flush?(k: Kernel, task: Task, file: OpenFile): number;
  read?(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number, at: Position): SyscallResult;
  write?(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number, at: Position): SyscallResult;
  /** `flags`: RWF_ bits. Without it readv reads buffer by buffer; without `read` it serves read(2) too. */
  readIter?(k: Kernel, task: Task, file: OpenFile, iov: Iovec[], at: Position, flags: number): SyscallResult;
  writeIter?(k: Kernel, task: Task, file: OpenFile, iov: Iovec[], at: Position, flags: number): SyscallResult;
  /** Absent: ESPIPE. */
  llseek?(k: Kernel, task: Task, file: OpenFile, offset: number | bigint, whence: number): number | bigint;
  /** Absent, or an unknown request: ENOTTY. */
  ioctl?(k: Kernel, task: Task, file: OpenFile, request: number, arg: Addr): SyscallResult;
  /** Absent: ENODEV. */
  mmap?(k: Kernel, task: Task, file: OpenFile, vma: Vma): SyscallResult;
  /** Absent: always readable and writable, and epoll refuses the file with EPERM. */
  poll?(k: Kernel, task: Task | null, file: OpenFile): PollResult;
  /** Absent: EINVAL. */
  fsync?(k: Kernel, task: Task, file: OpenFile, dataOnly: boolean): SyscallResult;
  fasync?(k: Kernel, task: Task, file: OpenFile, on: boolean): number;
  /** Entries from `file.pos` on, "." and ".." first; advances `file.pos`. Absent: ENOTDIR. */
  iterate?(k: Kernel, task: Task, file: OpenFile, emit: EmitEntry): number;
  /** Absent: EOPNOTSUPP (ENODEV when not a regular file). */
  fallocate?(k: Kernel, task: Task, file: OpenFile, mode: number, offset: number, length: number): number;
  /** What a kernel reader such as sendfile gets at `pos` without a user buffer: at most `count` bytes, fewer at the end. Absent: EINVAL. */
  spliceRead?(k: Kernel, file: OpenFile, pos: number, count: number): Uint8Array | number;
  /** What splice(2) takes of a file without positions, such as a socket: at most `count` bytes, none at its end, an errno, or a sleep. */
  spliceReceive?(k: Kernel, task: Task, file: OpenFile, count: number, nonblock: boolean): Uint8Array | number | SleepAction;
  /** Takes bytes from sendfile or splice at `at`; answers how many, or an errno. Absent: EINVAL. */
  spliceWrite?(k: Kernel, task: Task, file: OpenFile, bytes: Uint8Array, at: Position): SyscallResult;
  /** What a view shows of a file in /proc or debugfs, without an open file and changing nothing: its text or an errno. Absent: EINVAL. */
  view?(k: Kernel): string | number;
  /** Lines that /proc/PID/fdinfo adds. */
  fdinfo?(k: Kernel, file: OpenFile): string;
}

export { fileOperations, fileOperationsTable, releaseWatchers } from "./file_operations.ts";

/** The operations of an open file. */
export function opsOf(k: Kernel, file: OpenFile): FileOperations {
  return must(k.tables.fileOperations, file.ops);
}

export function fileOf(k: Kernel, id: number): OpenFile {
  return must(k.state.fs.files, id);
}

/** What a new open file starts with; the rest is as of a plain file that can do all. */
export interface NewFile {
  ops: string;
  flags: number;
  inode: InodeKey;
  path: PathRef;
  canRead: boolean;
  canWrite: boolean;
  name?: string;
  private?: number;
  data?: object | null;
}

/** /proc/sys/fs/file-max for unprivileged users, and the most that any kernel here holds. */
export const FILE_MAX = 65_536;

/** A fresh open file with one reference; it holds its inode and its path. */
export function allocFile(k: Kernel, given: NewFile): OpenFile {
  const id = k.state.fs.nextFile++;
  const file: OpenFile = {
    id, ops: given.ops, flags: given.flags, canRead: given.canRead, canWrite: given.canWrite, seekable: true, positioned: true,
    pos: 0, refs: 1, inode: given.inode, path: given.path, name: given.name ?? "", version: 0,
    private: given.private ?? 0, data: given.data ?? null, module: "", owner: null, signal: 0, epolls: [],
  };
  inodeOf(k, given.inode).refs++;
  pathGet(k, given.path);
  k.state.fs.files.set(id, file);
  return file;
}

/** Whether another file may be opened: ENFILE guards every kernel's memory. */
export function filesLeft(k: Kernel): boolean {
  return k.state.fs.files.size < FILE_MAX;
}

/** One more holder. */
export function getFile(_k: Kernel, file: OpenFile): OpenFile {
  file.refs++;
  return file;
}

/** A holder is gone. The last one releases the file, as work of the running task before it leaves the kernel. */
export function fput(k: Kernel, file: OpenFile): void {
  if (file.refs <= 0) fail(`fput of file ${file.id}, which nobody holds`);
  if (--file.refs === 0) addTaskWork(k, file.id);
}

/** The file cannot seek, nor be read at a position (nonseekable_open). */
export function nonseekableOpen(file: OpenFile): number {
  file.seekable = false;
  file.positioned = false;
  return 0;
}


/** Forgets a file after its own release, or one whose open failed: module, path and inode are put. */
export function forgetFile(k: Kernel, file: OpenFile): void {
  const inode = inodeOf(k, file.inode);
  if (file.module !== "") k.tables.hooks.modulePut(k, file.module);
  if (file.canWrite && isRegular(inode.mode)) inode.writers--;
  k.state.fs.files.delete(file.id);
  dropInode(k, inode);
  pathPut(k, file.path);
}

interface ReleaseLocals {
  file: number;
  /** Step table that the file's release entered, "" when it slept. */
  code: string;
  inner: unknown;
}

const releaseSleeping = steps<ReleaseLocals>("fs.release", {
  own(k, task, { locals }) {
    if (locals.code !== "") return enterKept(locals);
    const file = fileOf(k, locals.file);
    const result = opsOf(k, file).release?.(k, task, file) ?? 0;
    return typeof result === "object" ? result : NEXT;
  },
  forget(k, _task, { locals }) {
    forgetFile(k, fileOf(k, locals.file));
    return 0;
  },
});

/** Releases a file whose last holder is gone: 0, or an action when its own release sleeps. Hook of sched/task_work.ts. */
export function releaseFile(k: Kernel, task: Task, id: number): SyscallResult {
  const file = fileOf(k, id);
  if (file.refs !== 0) fail(`release of file ${id}, which is held`);
  for (const watcher of releaseWatchers) watcher(k, task, file);
  const result = (file.flags & O_PATH) === 0 ? (opsOf(k, file).release?.(k, task, file) ?? 0) : 0;
  if (typeof result === "object") {
    return enter(releaseSleeping, result.act === "enter"
      ? { file: id, code: result.code, inner: result.locals } : { file: id, code: "", inner: null });
  }
  forgetFile(k, file);
  return 0;
}
