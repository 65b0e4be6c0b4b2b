/**
 * Copying between the kernel and user memory, page by page: faults happen on the way, and what was copied before a bad
 * page stays copied. The buffers of a driven call lie in its scratch area, which is looked at first.
 */
import { EFAULT, ENAMETOOLONG } from "../abi/errno.ts";
import { PAGE_SIZE, TASK_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { copyBytes, getU32, getU64, putU32, putU64, utf8DecodeLossy } from "../lib/bytes.ts";
import { charge, costs } from "../sched/cost.ts";
import { mightSleep } from "../sched/preempt.ts";
import type { Task } from "../sched/task.ts";
import { handleFault, type BadAccess } from "./fault.ts";
import { copyFromPhysical, copyToPhysical, storedBytes } from "./page_alloc.ts";
import { findTable, PTE_ACCESSED, PTE_DIRTY, PTE_PRESENT, PTE_RW, PTE_USER, pteIndex, ptePfn } from "./page_table.ts";
import type { MmState } from "./state.ts";

/** A user address: a number below 2^47, or whatever a register held. */
export type Addr = number | bigint;

/** Where copying from user memory says that it may fault, and so sleep. */
const COPY_FROM_USER = "lib/usercopy.c:15";

const READABLE = PTE_PRESENT | PTE_USER;
const WRITABLE = READABLE | PTE_RW;

/** Whether [addr, addr + size) lies below the end of user addresses (access_ok); it need not be mapped. */
export function accessOk(addr: Addr, size: number | bigint): boolean {
  return typeof addr === "number" && typeof size === "number" && addr >= 0 && size <= TASK_SIZE && addr <= TASK_SIZE - size;
}

/** The frame behind a user address that an access finds mapped, -1 for one that will fault. */
function mappedPage(mm: MmState, task: Task, addr: number, write: boolean): number {
  const space = mm.spaces.get(task.mm);
  const table = space === undefined ? null : findTable(mm, space, addr);
  if (table === null) return -1;
  const index = pteIndex(addr);
  const low = table[index];
  const needed = write ? WRITABLE : READABLE;
  if ((low & needed) !== needed) return -1;
  table[index] = low | (write ? PTE_ACCESSED | PTE_DIRTY : PTE_ACCESSED);
  return ptePfn(low, table[index + 1]);
}

/** The frame behind a user address, faulted in for reading or writing; or why it cannot be had. */
export function userPage(k: Kernel, task: Task, addr: number, write: boolean): number | BadAccess {
  const { mm } = k.state;
  const pfn = mappedPage(mm, task, addr, write);
  if (pfn >= 0) return pfn;
  const outcome = handleFault(k, task, addr, write ? "write" : "read");
  if (typeof outcome === "object") return outcome;
  const table = findTable(mm, mm.spaces.get(task.mm)!, addr)!;
  const index = pteIndex(addr);
  return ptePfn(table[index], table[index + 1]);
}

function inScratch(task: Task, addr: number): boolean {
  const { scratch } = task;
  return scratch !== null && addr >= scratch.base && addr < scratch.base + scratch.bytes.length;
}

/** How far a copy came, and what ended it early. */
interface Copied {
  done: number;
  fault: BadAccess | null;
}

/** Copies the `length` bytes of `bytes` from `from` on to user memory without a charge; how many got there before `fault`. */
export function writeUser(k: Kernel, task: Task, addr: number, bytes: Uint8Array, from = 0, length = bytes.length - from): Copied {
  let done = 0;
  while (done < length) {
    const at = addr + done;
    if (inScratch(task, at)) {
      const scratch = task.scratch!;
      const offset = at - scratch.base;
      const count = Math.min(length - done, scratch.bytes.length - offset);
      copyBytes(bytes, from + done, scratch.bytes, offset, count);
      done += count;
      continue;
    }
    const pfn = userPage(k, task, at, true);
    if (typeof pfn === "object") return { done, fault: pfn };
    const offset = at % PAGE_SIZE;
    const count = Math.min(length - done, PAGE_SIZE - offset);
    copyToPhysical(k.state.mm, pfn, offset, bytes, from + done, count);
    done += count;
  }
  return { done, fault: null };
}

/** Fills `length` bytes of `into` from `to` on from user memory without a charge; how many bytes came before `fault`. */
export function readUser(k: Kernel, task: Task, addr: number, into: Uint8Array, to = 0, length = into.length - to): Copied {
  let done = 0;
  while (done < length) {
    const at = addr + done;
    if (inScratch(task, at)) {
      const scratch = task.scratch!;
      const offset = at - scratch.base;
      const count = Math.min(length - done, scratch.bytes.length - offset);
      copyBytes(scratch.bytes, offset, into, to + done, count);
      done += count;
      continue;
    }
    const pfn = userPage(k, task, at, false);
    if (typeof pfn === "object") return { done, fault: pfn };
    const offset = at % PAGE_SIZE;
    const count = Math.min(length - done, PAGE_SIZE - offset);
    copyFromPhysical(k.state.mm, pfn, offset, into, to + done, count);
    done += count;
  }
  return { done, fault: null };
}

/**
 * Copies the `length` bytes of `bytes` from `from` on: how many, perhaps fewer than all; -EFAULT when none could be copied.
 * No bytes are 0 whatever the address.
 */
export function copyToUser(k: Kernel, task: Task, addr: Addr, bytes: Uint8Array, from = 0, length = bytes.length - from): number {
  if (task.preemptCount !== 0) mightSleep(k, "lib/usercopy.c:36");
  if (length === 0) return 0;
  if (!accessOk(addr, length)) return -EFAULT;
  const { done } = writeUser(k, task, addr as number, bytes, from, length);
  charge(k, done * costs(k).copyPerByteNs);
  return done === 0 ? -EFAULT : done;
}

/** Fills `into` without any allocation: bytes copied, perhaps fewer than all; -EFAULT when none could be. */
export function copyFromUserInto(k: Kernel, task: Task, addr: Addr, into: Uint8Array): number {
  if (task.preemptCount !== 0) mightSleep(k, COPY_FROM_USER);
  if (into.length === 0) return 0;
  if (!accessOk(addr, into.length)) return -EFAULT;
  const { done } = readUser(k, task, addr as number, into);
  charge(k, done * costs(k).copyPerByteNs);
  return done === 0 ? -EFAULT : done;
}

/**
 * As copyFromUserInto for bytes that the caller copies on at once: where they lie together in a mapped page, a view of them there,
 * else copied into `into`; null for -EFAULT.
 */
export function borrowFromUser(k: Kernel, task: Task, addr: Addr, into: Uint8Array, count: number): Uint8Array | null {
  if (task.scratch === null && task.preemptCount === 0 && accessOk(addr, count)) {
    const offset = (addr as number) % PAGE_SIZE;
    const pfn = offset + count > PAGE_SIZE ? -1 : mappedPage(k.state.mm, task, addr as number, false);
    const bytes = pfn < 0 ? null : storedBytes(k.state.mm, pfn);
    if (bytes !== null) {
      charge(k, count * costs(k).copyPerByteNs);
      return bytes.subarray(offset, offset + count);
    }
  }
  const bytes = into.subarray(0, count);
  return copyFromUserInto(k, task, addr, bytes) < count ? null : bytes;
}

/** All `count` bytes, or -EFAULT. */
export function copyFromUser(k: Kernel, task: Task, addr: Addr, count: number): Uint8Array | number {
  const bytes = copyFromUserPartial(k, task, addr, count);
  return bytes.length < count ? -EFAULT : bytes;
}

/** As many of `count` bytes as can be read, perhaps none. A large count costs memory only as far as it is readable. */
export function copyFromUserPartial(k: Kernel, task: Task, addr: Addr, count: number): Uint8Array {
  if (task.preemptCount !== 0) mightSleep(k, COPY_FROM_USER);
  if (count === 0 || !accessOk(addr, count)) return new Uint8Array(0);
  const from = addr as number;
  let bytes = new Uint8Array(Math.min(count, CHUNK));
  let { done, fault } = readUser(k, task, from, bytes);
  while (fault === null && done < count) {
    const larger = new Uint8Array(Math.min(count, bytes.length * 2));
    larger.set(bytes);
    const more = readUser(k, task, from + done, larger.subarray(done));
    bytes = larger;
    done += more.done;
    fault = more.fault;
  }
  charge(k, done * costs(k).copyPerByteNs);
  return done === bytes.length ? bytes : bytes.slice(0, done);
}

/** The first piece of a large copy: a count that lies is found out before much is allocated. */
const CHUNK = 1 << 20;

const zeros = new Uint8Array(PAGE_SIZE);

/** Writes `count` zeros; the answer is as of copyToUser. */
export function clearUser(k: Kernel, task: Task, addr: Addr, count: number): number {
  if (count === 0) return 0;
  if (!accessOk(addr, count)) return -EFAULT;
  let done = 0;
  let fault: BadAccess | null = null;
  while (done < count && fault === null) {
    const piece = writeUser(k, task, (addr as number) + done, zeros.subarray(0, Math.min(PAGE_SIZE, count - done)));
    done += piece.done;
    fault = piece.fault;
  }
  charge(k, done * costs(k).copyPerByteNs);
  return done === 0 ? -EFAULT : done;
}

/**
 * The bytes of a NUL-terminated string without its NUL; -EFAULT when a page before the NUL cannot be read, -ENAMETOOLONG
 * when there is none among the first `max` bytes.
 */
export function strncpyBytesFromUser(k: Kernel, task: Task, addr: Addr, max: number): Uint8Array | number {
  if (!accessOk(addr, 1)) return -EFAULT;
  const bytes = new Uint8Array(max);
  let done = 0;
  while (done < max) {
    const at = (addr as number) + done;
    const piece = bytes.subarray(done, Math.min(max, done + PAGE_SIZE - (at % PAGE_SIZE)));
    const read = readUser(k, task, at, piece);
    const end = piece.subarray(0, read.done).indexOf(0);
    if (end >= 0) {
      charge(k, (done + end) * costs(k).copyPerByteNs);
      return bytes.slice(0, done + end);
    }
    if (read.fault !== null) return -EFAULT;
    done += piece.length;
  }
  return -ENAMETOOLONG;
}

/** The text of a NUL-terminated string; errors are those of strncpyBytesFromUser. Bytes that are not UTF-8 become U+FFFD. */
export function strncpyFromUser(k: Kernel, task: Task, addr: Addr, max: number): string | number {
  const bytes = strncpyBytesFromUser(k, task, addr, max);
  return typeof bytes === "number" ? bytes : utf8DecodeLossy(bytes);
}

/** An unsigned 32-bit word (get_user); null on a fault. */
export function getUser32(k: Kernel, task: Task, addr: Addr): number | null {
  const bytes = copyFromUserPartial(k, task, addr, 4);
  return bytes.length < 4 ? null : getU32(bytes, 0);
}

/** An unsigned 64-bit word, a bigint where a number cannot hold it; null on a fault. */
export function getUser64(k: Kernel, task: Task, addr: Addr): number | bigint | null {
  const bytes = copyFromUserPartial(k, task, addr, 8);
  return bytes.length < 8 ? null : getU64(bytes, 0);
}

/** Writes the low 32 bits of `value` (put_user); false on a fault. */
export function putUser32(k: Kernel, task: Task, addr: Addr, value: number): boolean {
  const bytes = new Uint8Array(4);
  putU32(bytes, 0, value);
  return copyToUser(k, task, addr, bytes) === 4;
}

/** Writes the low 64 bits of `value`; false on a fault. */
export function putUser64(k: Kernel, task: Task, addr: Addr, value: number | bigint): boolean {
  const bytes = new Uint8Array(8);
  putU64(bytes, 0, value);
  return copyToUser(k, task, addr, bytes) === 8;
}
