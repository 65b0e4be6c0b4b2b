/** Descriptor tables: the lowest free number, close-on-exec, sharing and copying (struct files_struct). */
import { EBADF, EINVAL, EMFILE } from "../abi/errno.ts";
import { NR_OPEN, RLIMIT_NOFILE } from "../abi/limits.ts";
import { O_PATH } from "../abi/fcntl.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { rlimit } from "../sched/rlimit.ts";
import type { Task } from "../sched/task.ts";
import { fileOf, fput, opsOf, type OpenFile } from "./file.ts";
import { closedDirectory } from "./dnotify.ts";
import { closedDescriptor } from "./locks.ts";

export interface FdTable {
  id: number;
  /** Tasks that share it (CLONE_FILES). */
  refs: number;
  /** Descriptor → the file's id, negative when it is closed on exec; 0 is a number that an open under way has taken. */
  fds: Map<number, number>;
  /** No lower descriptor is free. */
  next: number;
}

/** An empty table; answers its id, for `task.files`. */
export function newFdTable(k: Kernel): number {
  const table: FdTable = { id: k.state.fs.nextFdTable++, refs: 1, fds: new Map(), next: 0 };
  k.state.fs.fdTables.set(table.id, table);
  return table.id;
}

function tableOf(k: Kernel, task: Task): FdTable {
  return must(k.state.fs.fdTables, task.files);
}

/** The open file behind a descriptor, O_PATH ones too; -EBADF. Its count is not changed. */
export function fgetRaw(k: Kernel, task: Task, fd: number): OpenFile | number {
  if (task.files === 0) return -EBADF;
  const entry = tableOf(k, task).fds.get(fd) ?? 0;
  return entry === 0 ? -EBADF : fileOf(k, Math.abs(entry));
}

/** The open file behind a descriptor; -EBADF, for an O_PATH one too. Its count is not changed. */
export function fget(k: Kernel, task: Task, fd: number): OpenFile | number {
  const file = fgetRaw(k, task, fd);
  return typeof file === "object" && (file.flags & O_PATH) !== 0 ? -EBADF : file;
}

/** Takes the lowest free descriptor from `from` on; -EMFILE. The caller installs a file or gives the number back. */
export function takeFd(k: Kernel, task: Task, from = 0): number {
  const table = tableOf(k, task);
  let fd = Math.max(from, table.next);
  while (table.fds.has(fd)) fd++;
  if (fd >= rlimit(k, task, RLIMIT_NOFILE) || fd >= NR_OPEN) return -EMFILE;
  table.fds.set(fd, 0);
  if (from <= table.next) table.next = fd + 1;
  return fd;
}

/** Gives a taken descriptor back. */
export function putFd(k: Kernel, task: Task, fd: number): void {
  const table = tableOf(k, task);
  table.fds.delete(fd);
  if (fd < table.next) table.next = fd;
}

/** Puts a file, whose reference passes to the table, behind a taken descriptor. */
export function installFd(k: Kernel, task: Task, fd: number, file: OpenFile, cloexec: boolean): void {
  tableOf(k, task).fds.set(fd, cloexec ? -file.id : file.id);
}

/** The lowest free descriptor for a file, whose reference passes to the table; -EMFILE, and the reference stays the caller's. */
export function fdInstall(k: Kernel, task: Task, file: OpenFile, { cloexec = false, from = 0 } = {}): number {
  const fd = takeFd(k, task, from);
  if (fd >= 0) installFd(k, task, fd, file, cloexec);
  return fd;
}

/** Puts a file behind a given descriptor and closes what was there (dup2); the reference passes to the table. */
export function replaceFd(k: Kernel, task: Task, fd: number, file: OpenFile, cloexec: boolean): void {
  const table = tableOf(k, task);
  const old = table.fds.get(fd) ?? 0;
  table.fds.set(fd, cloexec ? -file.id : file.id);
  if (fd === table.next) table.next = fd + 1;
  if (old !== 0) closeFile(k, task, fileOf(k, Math.abs(old)));
}

/** Whether an open under way has taken this number. */
export function isTaken(k: Kernel, task: Task, fd: number): boolean {
  return tableOf(k, task).fds.get(fd) === 0;
}

/** close(2): the number is free at once, whatever the answer; -EBADF, or what the file's flush says. */
export function closeFd(k: Kernel, task: Task, fd: number): number {
  if (task.files === 0) return -EBADF;
  const entry = tableOf(k, task).fds.get(fd) ?? 0;
  if (entry === 0) return -EBADF;
  putFd(k, task, fd);
  return closeFile(k, task, fileOf(k, Math.abs(entry)));
}

/** A table lets go of a file (filp_close): flush, record locks, reference. */
function closeFile(k: Kernel, task: Task, file: OpenFile): number {
  let result = 0;
  if ((file.flags & O_PATH) === 0) {
    result = opsOf(k, file).flush?.(k, task, file) ?? 0;
    closedDescriptor(k, task, file);
    if (k.state.fs.dnotify.size > 0) closedDirectory(k, task, file);
  }
  fput(k, file);
  return result;
}

export function cloexecOf(k: Kernel, task: Task, fd: number): boolean {
  return must(tableOf(k, task).fds, fd) < 0;
}

export function setCloexec(k: Kernel, task: Task, fd: number, on: boolean): void {
  const { fds } = tableOf(k, task);
  const id = Math.abs(must(fds, fd));
  fds.set(fd, on ? -id : id);
}

/** Another descriptor of the same open file, from `from` on; -EINVAL when `from` is beyond the limit, -EMFILE. */
export function dupFile(k: Kernel, task: Task, file: OpenFile, from: number, cloexec: boolean): number {
  if (from < 0 || from >= rlimit(k, task, RLIMIT_NOFILE)) return -EINVAL;
  const fd = takeFd(k, task, from);
  if (fd < 0) return fd;
  file.refs++;
  installFd(k, task, fd, file, cloexec);
  return fd;
}

/** The descriptors that are open, ascending. */
export function openFds(k: Kernel, task: Task): number[] {
  if (task.files === 0) return [];
  const open: number[] = [];
  for (const [fd, entry] of tableOf(k, task).fds) if (entry !== 0) open.push(fd);
  return open.sort((a, b) => a - b);
}

/** Descriptors that all tables may have together for one of them to be copied: forks would multiply them without end. */
const DESCRIPTORS_MAX = 1 << 20;

/** Whether there is room for a copy of the task's table, as of memory. */
export function roomForFiles(k: Kernel, task: Task): boolean {
  if (task.files === 0) return true;
  let total = tableOf(k, task).fds.size;
  for (const { fds } of k.state.fs.fdTables.values()) total += fds.size;
  return total <= DESCRIPTORS_MAX;
}

/** The same where the task stops sharing its table, which copies it if others use it. */
export function mayUnshareFiles(k: Kernel, task: Task): boolean {
  return task.files === 0 || tableOf(k, task).refs === 1 || roomForFiles(k, task);
}

/** Gives `child` the parent's table, shared under CLONE_FILES, else a copy. */
export function forkFiles(k: Kernel, parent: Task, child: Task, share: boolean): void {
  if (parent.files === 0) return;
  const table = tableOf(k, parent);
  if (share) {
    table.refs++;
    child.files = table.id;
  } else child.files = copyTable(k, table);
}

function copyTable(k: Kernel, table: FdTable): number {
  const id = newFdTable(k);
  const copy = must(k.state.fs.fdTables, id);
  copy.next = table.next;
  for (const [fd, entry] of table.fds) {
    // A number that another thread's open has taken is free in the copy.
    if (entry !== 0) {
      fileOf(k, Math.abs(entry)).refs++;
      copy.fds.set(fd, entry);
    } else if (fd < copy.next) copy.next = fd;
  }
  return id;
}

/** A table of its own for one that shared it (unshare CLONE_FILES, execve). */
export function unshareFiles(k: Kernel, task: Task): void {
  const table = tableOf(k, task);
  if (table.refs === 1) return;
  task.files = copyTable(k, table);
  table.refs--;
}

/** The task lets go of its table; the last one closes all, the lowest number first. */
export function exitFiles(k: Kernel, task: Task): void {
  if (task.files === 0) return;
  const table = tableOf(k, task);
  if (--table.refs === 0) {
    for (const fd of openFds(k, task)) closeFd(k, task, fd);
    k.state.fs.fdTables.delete(table.id);
  }
  task.files = 0;
}

/** Closes what is marked close-on-exec, ascending. */
export function closeOnExec(k: Kernel, task: Task): void {
  for (const fd of openFds(k, task)) if (cloexecOf(k, task, fd)) closeFd(k, task, fd);
}

/** For /proc/PID/status: how many descriptors are open, and how many the table has room for (a power of two, from 64). */
export function fdTableStats(k: Kernel, task: Task): { open: number; size: number } {
  if (task.files === 0) return { open: 0, size: 0 };
  let open = 0;
  let highest = -1;
  for (const [fd, entry] of tableOf(k, task).fds) {
    if (entry !== 0) open++;
    if (fd > highest) highest = fd;
  }
  let size = 64;
  while (size <= highest) size *= 2;
  return { open, size };
}
