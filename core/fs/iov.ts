/** Walking over the buffers of a read or write, a piece at a time (struct iov_iter). */
import { EFAULT, EINVAL } from "../abi/errno.ts";
import { IOV_MAX, MAX_RW_COUNT } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { getI64, getU64 } from "../lib/bytes.ts";
import { accessOk, copyFromUser, readUser, writeUser } from "../mm/usercopy.ts";
import { charge, costs } from "../sched/cost.ts";
import type { Task } from "../sched/task.ts";
import type { Addr, Iovec } from "./file.ts";

/** Where in which buffer the next byte goes. Lives for one call only; every address was found to be a user's. */
export interface IovIter {
  iov: Iovec[];
  index: number;
  offset: number;
  /** Bytes that are left in all. */
  left: number;
}

/** Bytes of all buffers. */
export function iovTotal(iov: Iovec[]): number {
  let total = 0;
  for (const { len } of iov) total += len;
  return total;
}

/** An iterator that stands behind the first `skip` bytes. */
export function iovIter(iov: Iovec[], skip = 0): IovIter {
  const iter: IovIter = { iov, index: 0, offset: 0, left: iovTotal(iov) };
  advance(iter, skip);
  return iter;
}

function advance(iter: IovIter, count: number): void {
  iter.left -= count;
  let rest = count;
  while (rest > 0) {
    const room = iter.iov[iter.index].len - iter.offset;
    if (rest < room) {
      iter.offset += rest;
      return;
    }
    rest -= room;
    iter.index++;
    iter.offset = 0;
  }
}

/** Moves through the buffers as long as they are not forbidden; answers how many bytes moved. */
function move(iter: IovIter, count: number, copy: (addr: number, done: number, piece: number) => number): number {
  let done = 0;
  while (done < count && iter.left > 0) {
    const { addr, len } = iter.iov[iter.index];
    const piece = Math.min(len - iter.offset, count - done);
    const moved = piece === 0 ? 0 : copy((addr as number) + iter.offset, done, piece);
    done += moved;
    if (piece === 0) {
      iter.index++;
      iter.offset = 0;
    } else advance(iter, moved);
    if (moved < piece) break;
  }
  return done;
}

/** Copies `bytes` to the buffers; how many got there before they ended or a page was forbidden. */
export function copyToIter(k: Kernel, task: Task, iter: IovIter, bytes: Uint8Array): number {
  const done = move(iter, Math.min(bytes.length, iter.left), (addr, at, piece) =>
    writeUser(k, task, addr, piece === bytes.length ? bytes : bytes.subarray(at, at + piece)).done);
  charge(k, done * costs(k).copyPerByteNs);
  return done;
}

/** Fills `into` from the buffers; how many bytes came before they ended or a page was forbidden. */
export function copyFromIter(k: Kernel, task: Task, iter: IovIter, into: Uint8Array): number {
  const done = move(iter, Math.min(into.length, iter.left), (addr, at, piece) =>
    readUser(k, task, addr, piece === into.length ? into : into.subarray(at, at + piece)).done);
  charge(k, done * costs(k).copyPerByteNs);
  return done;
}

const IOVEC_BYTES = 16;

/**
 * The buffers of a readv or writev from user memory (import_iovec): -EINVAL for too many or a negative length, -EFAULT when
 * the array cannot be read or a buffer lies outside user addresses. All together they hold at most MAX_RW_COUNT.
 */
export function importIovec(k: Kernel, task: Task, addr: Addr, count: number | bigint): Iovec[] | number {
  if (count > IOV_MAX) return -EINVAL;
  if (count === 0) return [];
  const bytes = copyFromUser(k, task, addr, Number(count) * IOVEC_BYTES);
  if (typeof bytes === "number") return -EFAULT;
  const iov: Iovec[] = [];
  for (let at = 0; at < bytes.length; at += IOVEC_BYTES) if (getI64(bytes, at + 8) < 0) return -EINVAL;
  let left = MAX_RW_COUNT;
  for (let at = 0; at < bytes.length; at += IOVEC_BYTES) {
    const base = getU64(bytes, at);
    const length = getU64(bytes, at + 8);
    if (!accessOk(base, length)) return -EFAULT;
    const len = Math.min(Number(length), left);
    left -= len;
    iov.push({ addr: base, len });
  }
  return iov;
}
