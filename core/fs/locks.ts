/** File locks: flock(2), and the record locks of fcntl(2), which belong to a process (POSIX) or to an open file (OFD). */
import { EAGAIN, EDEADLK, ENOLCK } from "../abi/errno.ts";
import { F_UNLCK, F_WRLCK } from "../abi/fcntl.ts";
import { MAJOR, MINOR } from "../abi/dev_t.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { enter, steps, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { newWaitQueue, sleepOn, wake, type WaitQueue } from "../sched/wait_queue.ts";
import { releaseWatchers, type OpenFile } from "./file.ts";
import { inodeOf } from "./inode.ts";
import { sbOfInode } from "./page_cache.ts";

/** A lock that is asked for: which bytes of which inode, for whom. */
export interface LockRequest {
  inode: number;
  /** flock and OFD locks belong to an open file's id, POSIX locks to a descriptor table's. */
  kind: "flock" | "posix" | "ofd";
  owner: number;
  /** The process that shows as its holder. */
  pid: number;
  /** F_RDLCK, F_WRLCK, or F_UNLCK to give a range back. */
  type: number;
  start: number;
  /** The last byte; TO_EOF for all that follow. */
  end: number;
}

export interface FileLock extends LockRequest {
  id: number;
}

/** A request that waits. */
export interface LockWaiter extends LockRequest {
  id: number;
  /** The lock in its way; another that comes meanwhile is no reason to look again. */
  blocker: number;
  queue: WaitQueue;
}

/** The last byte of a lock up to the end of the file, however far that grows. */
export const TO_EOF = Number.MAX_SAFE_INTEGER;

/** Locks and waiters of one kernel; Linux has no such limit but memory. A list of them is gone through at every change. */
const LOCK_MAX = 8_192;

const overlaps = (a: LockRequest, b: LockRequest): boolean => a.start <= b.end && b.start <= a.end;

/** flock locks and record locks do not see each other; POSIX and OFD locks do. */
function sameWorld(a: LockRequest, b: LockRequest): boolean {
  return (a.kind === "flock") === (b.kind === "flock");
}

const sameOwner = (a: LockRequest, b: LockRequest): boolean => a.kind === b.kind && a.owner === b.owner;

function conflicts(lock: FileLock, request: LockRequest): boolean {
  return sameWorld(lock, request) && !sameOwner(lock, request) && overlaps(lock, request) && (lock.type === F_WRLCK || request.type === F_WRLCK);
}

/** The first lock that stands in the way of a request, or null. */
export function conflictOf(k: Kernel, request: LockRequest): FileLock | null {
  return (k.state.fs.locks.get(request.inode) ?? []).find((lock) => conflicts(lock, request)) ?? null;
}

/** Sets or gives back a lock without waiting: 0; -EAGAIN when another stands in the way, -ENOLCK when there are too many. */
export function tryLock(k: Kernel, request: LockRequest): number {
  const { fs } = k.state;
  const before = fs.locks.get(request.inode) ?? [];
  if (request.type === F_UNLCK) {
    setLocks(k, request.inode, withoutRange(k, before, request));
    return 0;
  }
  if (request.kind === "flock") {
    const own = before.find((lock) => sameOwner(lock, request));
    if (own?.type === request.type) return 0;
    // As Linux: a flock that is converted is given up first, and is lost when the other cannot be had.
    if (own !== undefined) setLocks(k, request.inode, before.filter((lock) => lock !== own));
    if (conflictOf(k, request) !== null) return -EAGAIN;
    if (lockCount(k) >= LOCK_MAX) return -ENOLCK;
    setLocks(k, request.inode, [...(fs.locks.get(request.inode) ?? []), newLock(k, request)]);
    return 0;
  }
  if (conflictOf(k, request) !== null) return -EAGAIN;
  if (lockCount(k) >= LOCK_MAX) return -ENOLCK;
  setLocks(k, request.inode, merged([...withoutRange(k, before, request), newLock(k, request)], before));
  return 0;
}

function lockCount(k: Kernel): number {
  let count = 0;
  for (const locks of k.state.fs.locks.values()) count += locks.length;
  return count;
}

function newLock(k: Kernel, { inode, kind, owner, pid, type, start, end }: LockRequest): FileLock {
  return { id: k.state.fs.nextLock++, inode, kind, owner, pid, type, start, end };
}

/** The locks with the requested range cut out of the requester's own. */
function withoutRange(k: Kernel, locks: FileLock[], request: LockRequest): FileLock[] {
  const rest: FileLock[] = [];
  for (const lock of locks) {
    if (!sameOwner(lock, request) || !overlaps(lock, request)) {
      rest.push(lock);
      continue;
    }
    if (lock.start < request.start) rest.push({ ...lock, end: request.start - 1 });
    if (lock.end > request.end) rest.push(newLock(k, { ...lock, start: request.end + 1 }));
  }
  return rest;
}

const ownerKey = ({ kind, owner }: LockRequest): string => `${kind} ${owner}`;

/** Neighbours of one owner and type become one. As Linux: owners in the order in which they came (`before`), their locks by start. */
function merged(locks: FileLock[], before: FileLock[]): FileLock[] {
  const turns = new Map<string, number>();
  for (const lock of [...before, ...locks]) if (!turns.has(ownerKey(lock))) turns.set(ownerKey(lock), turns.size);
  const turn = (lock: FileLock): number => turns.get(ownerKey(lock)) ?? 0;
  const sorted = locks.sort((a, b) => turn(a) - turn(b) || a.start - b.start || a.id - b.id);
  const result: FileLock[] = [];
  // An owner's locks do not overlap: only the last one of a type can touch the next.
  const lastOf = new Map<string, FileLock>();
  for (const lock of sorted) {
    const key = `${lock.kind} ${lock.owner} ${lock.type}`;
    const left = lastOf.get(key);
    if (left !== undefined && lock.start <= left.end + 1) left.end = Math.max(left.end, lock.end);
    else {
      result.push(lock);
      lastOf.set(key, lock);
    }
  }
  return result;
}

function setLocks(k: Kernel, inode: number, locks: FileLock[]): void {
  if (locks.length === 0) k.state.fs.locks.delete(inode);
  else k.state.fs.locks.set(inode, locks);
  for (const waiter of k.state.fs.lockWaiters.values()) {
    if (waiter.inode !== inode) continue;
    const blocker = locks.find((lock) => lock.id === waiter.blocker);
    if (blocker === undefined || !conflicts(blocker, waiter)) wake(k, waiter.queue, { nr: Infinity });
  }
}

/** Sets a lock, waiting for those in the way to go: 0; -EDEADLK when POSIX locks wait for each other; or a sleep. */
export function lockWaiting(k: Kernel, request: LockRequest): SyscallResult {
  const result = tryLock(k, request);
  if (result !== -EAGAIN) return result;
  if (deadlocks(k, request)) return -EDEADLK;
  const { fs } = k.state;
  if (fs.lockWaiters.size >= LOCK_MAX) return -ENOLCK;
  const waiter: LockWaiter = { ...request, id: fs.nextLock++, blocker: 0, queue: newWaitQueue(k) };
  fs.lockWaiters.set(waiter.id, waiter);
  return enter(waitForLock, { waiter: waiter.id });
}

const waitForLock = steps<{ waiter: number }>("fs.lock", {
  wait(k, _task, { locals }) {
    const waiter = must(k.state.fs.lockWaiters, locals.waiter);
    const { id: _id, blocker: _blocker, queue, ...request } = waiter;
    const result = tryLock(k, request);
    if (result !== -EAGAIN) return result;
    if (deadlocks(k, request)) return -EDEADLK;
    waiter.blocker = conflictOf(k, request)?.id ?? 0;
    return sleepOn(queue, { wchan: request.kind === "flock" ? "locks_lock_inode_wait" : "fcntl_setlk" });
  },
}, { undo: { wait: (k, _task, { locals }) => void k.state.fs.lockWaiters.delete(locals.waiter) } });

/** Whether the holders in the way wait, one for the next, for a lock of the requester (posix_locks_deadlock). */
function deadlocks(k: Kernel, request: LockRequest): boolean {
  if (request.kind !== "posix") return false;
  const holder = conflictOf(k, request);
  if (holder?.kind !== "posix") return false;
  let { owner } = holder;
  // As Linux: a chain longer than this is taken to be none.
  for (let links = 0; links < 10; links++) {
    if (owner === request.owner) return true;
    const waiting = [...k.state.fs.lockWaiters.values()].find((waiter) => waiter.kind === "posix" && waiter.owner === owner);
    const conflict = waiting === undefined ? null : conflictOf(k, waiting);
    if (conflict === null || conflict.kind !== "posix") return false;
    owner = conflict.owner;
  }
  return false;
}

/** A descriptor of `file` is closed: all record locks of the process on that file go, as POSIX wants. */
export function closedDescriptor(k: Kernel, task: Task, file: OpenFile): void {
  dropLocks(k, file.inode, (lock) => lock.kind === "posix" && lock.owner === task.files);
}

function dropLocks(k: Kernel, inode: number, gone: (lock: FileLock) => boolean): void {
  const locks = k.state.fs.locks.get(inode);
  if (locks !== undefined && locks.some(gone)) setLocks(k, inode, locks.filter((lock) => !gone(lock)));
}

releaseWatchers.push((k, _task, file) => {
  dropLocks(k, file.inode, (lock) => lock.kind !== "posix" && lock.owner === file.id);
});

/** The text of /proc/locks. */
export function locksText(k: Kernel): string {
  const all = [...k.state.fs.locks.values()].flat().sort((a, b) => a.id - b.id);
  return all.map((lock, at) => `${at + 1}: ${lockLine(k, lock)}\n`).join("");
}

function lockLine(k: Kernel, { inode: id, kind, pid, type, start, end }: FileLock): string {
  const inode = inodeOf(k, id);
  const { dev } = sbOfInode(k, inode);
  const hex = (number: number): string => number.toString(16).padStart(2, "0");
  const name = kind === "flock" ? "FLOCK " : kind === "posix" ? "POSIX " : "OFDLCK";
  return `${name} ADVISORY  ${type === F_WRLCK ? "WRITE" : "READ "} ${kind === "ofd" ? -1 : pid} ${hex(MAJOR(dev))}:${hex(MINOR(dev))}:${inode.ino} `
    + `${start} ${end === TO_EOF ? "EOF" : end}`;
}
