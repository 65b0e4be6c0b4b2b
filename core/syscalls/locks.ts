/** flock(2), and the record locks of fcntl(2) as they lie in struct flock. */
import { EBADF, EFAULT, EINVAL, EOVERFLOW } from "../abi/errno.ts";
import {
  F_RDLCK, F_UNLCK, F_WRLCK, flockOperations, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, SEEK_CUR, SEEK_END, SEEK_SET,
} from "../abi/fcntl.ts";
import { flockLayout } from "../abi/flock.ts";
import { decodeStruct, encodeStruct, type Decoded } from "../abi/layout.ts";
import type { Addr, OpenFile } from "../fs/file.ts";
import { holding } from "../fs/held.ts";
import { inodeOf } from "../fs/inode.ts";
import { conflictOf, lockWaiting, TO_EOF, tryLock, type LockRequest } from "../fs/locks.ts";
import type { Kernel } from "../kernel.ts";
import { copyFromUser, copyToUser } from "../mm/usercopy.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { fd, flags } from "./args.ts";
import type { Rows } from "./row.ts";

type Flock = Decoded<typeof flockLayout>;

const LOCK_MAND = 32;
const OFFSET_MAX = 0x7fff_ffff_ffff_ffffn;
const bounded = (position: bigint): number => (position > BigInt(TO_EOF) ? TO_EOF : Number(position));

/** The bytes that a struct flock means (flock64_to_posix_lock): -EINVAL, or -EOVERFLOW beyond the largest position. */
function rangeOf(k: Kernel, file: OpenFile, { l_whence, l_start, l_len }: Flock): { start: number; end: number } | number {
  const base = l_whence === SEEK_SET ? 0 : l_whence === SEEK_CUR ? file.pos : l_whence === SEEK_END ? inodeOf(k, file.inode).size : null;
  if (base === null) return -EINVAL;
  let start = BigInt(base) + BigInt(l_start);
  if (start > OFFSET_MAX) return -EOVERFLOW;
  if (start < 0n) return -EINVAL;
  const length = BigInt(l_len);
  if (length === 0n) return { start: bounded(start), end: TO_EOF };
  let end = start + length - 1n;
  if (length < 0n) {
    end = start - 1n;
    start += length;
    if (start < 0n) return -EINVAL;
  }
  return end > OFFSET_MAX ? -EOVERFLOW : { start: bounded(start), end: bounded(end) };
}

function requestOf(k: Kernel, task: Task, file: OpenFile, flock: Flock, ofd: boolean): LockRequest | number {
  const range = rangeOf(k, file, flock);
  if (typeof range === "number") return range;
  const { l_type: type } = flock;
  if (type !== F_RDLCK && type !== F_WRLCK && type !== F_UNLCK) return -EINVAL;
  return { inode: file.inode, kind: ofd ? "ofd" : "posix", owner: ofd ? file.id : task.files, pid: task.tgid, type, ...range };
}

function readFlock(k: Kernel, task: Task, arg: Addr): Flock | number {
  const bytes = copyFromUser(k, task, arg, flockLayout.size);
  return typeof bytes === "number" ? -EFAULT : decodeStruct(flockLayout, bytes);
}

/** F_GETLK, F_OFD_GETLK: what stands in the way, or F_UNLCK. */
export function getLock(k: Kernel, task: Task, file: OpenFile, arg: Addr, ofd: boolean): number {
  const flock = readFlock(k, task, arg);
  if (typeof flock === "number") return flock;
  if (flock.l_type !== F_RDLCK && flock.l_type !== F_WRLCK) return -EINVAL;
  const request = requestOf(k, task, file, flock, ofd);
  if (typeof request === "number") return request;
  if (ofd && flock.l_pid !== 0) return -EINVAL;
  const found = conflictOf(k, request);
  const told = found === null ? { ...flock, l_type: F_UNLCK } : {
    l_type: found.type, l_whence: SEEK_SET, l_start: found.start, l_len: found.end === TO_EOF ? 0 : found.end - found.start + 1,
    l_pid: found.kind === "ofd" ? -1 : found.pid,
  };
  return copyToUser(k, task, arg, encodeStruct(flockLayout, told)) < flockLayout.size ? -EFAULT : 0;
}

/** F_SETLK and its like; `wait` sleeps until the lock can be had. */
export function setLock(k: Kernel, task: Task, file: OpenFile, arg: Addr, ofd: boolean, wait: boolean): SyscallResult {
  const flock = readFlock(k, task, arg);
  if (typeof flock === "number") return flock;
  const request = requestOf(k, task, file, flock, ofd);
  if (typeof request === "number") return request;
  if (request.type === F_RDLCK && !file.canRead) return -EBADF;
  if (request.type === F_WRLCK && !file.canWrite) return -EBADF;
  if (ofd && flock.l_pid !== 0) return -EINVAL;
  const result = wait ? lockWaiting(k, request) : tryLock(k, request);
  return typeof result === "object" && result.act === "enter" ? holding(k, file, result) : result;
}

const types: { [operation: number]: number } = { [LOCK_SH]: F_RDLCK, [LOCK_EX]: F_WRLCK, [LOCK_UN]: F_UNLCK };

function sysFlock(k: Kernel, task: Task, [file, operation]: [OpenFile | number, number]): SyscallResult {
  if ((operation & LOCK_MAND) !== 0) return 0;
  const type = types[operation & ~LOCK_NB];
  if (type === undefined) return -EINVAL;
  if (typeof file === "number") return file;
  if (type !== F_UNLCK && !file.canRead && !file.canWrite) return -EBADF;
  const request: LockRequest = { inode: file.inode, kind: "flock", owner: file.id, pid: task.tgid, type, start: 0, end: TO_EOF };
  return (operation & LOCK_NB) !== 0 ? tryLock(k, request) : lockWaiting(k, request);
}

export const lockRows: Rows = {
  flock: { x86_64: 73, args: [fd("fd"), flags("operation", flockOperations)], run: sysFlock },
};
