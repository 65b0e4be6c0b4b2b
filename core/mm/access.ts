/** A process's own loads and stores, and a debugger's look at its memory. */
import { PAGE_SIZE, TASK_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { assert } from "../lib/assert.ts";
import { charge, costs } from "../sched/cost.ts";
import type { Task } from "../sched/task.ts";
import { outsideAccess, type BadAccess } from "./fault.ts";
import { readFrame, readPhysical, ZERO_PFN } from "./page_alloc.ts";
import { findTable, isSwapEntry, pteIndex, ptePfn, ptePresent } from "./page_table.ts";
import type { AddressSpace } from "./space.ts";
import { peekSlot } from "./swap.ts";
import { readUser, writeUser, type Addr } from "./usercopy.ts";
import { pgoffAt, vmaAt, vmOpsOf, type Vma } from "./vma.ts";

/** Loads `length` bytes as user instructions do: those before a fault, and the fault. No signal is sent. */
export function loadUser(k: Kernel, task: Task, addr: Addr, length: number): { bytes: Uint8Array; fault: BadAccess | null } {
  const reachable = reach(addr, length);
  const into = new Uint8Array(Math.min(length, reachable));
  const { done, fault } = readUser(k, task, reachable === 0 ? 0 : (addr as number), into);
  charge(k, done * costs(k).copyPerByteNs);
  // No view of all of it: a view takes more room than a few bytes do.
  return { bytes: done === into.length ? into : into.subarray(0, done), fault: fault ?? beyond(addr, length, reachable) };
}

/** Stores bytes as user instructions do: how many were stored before a fault, and the fault. No signal is sent. */
export function storeUser(k: Kernel, task: Task, addr: Addr, bytes: Uint8Array): { done: number; fault: BadAccess | null } {
  const reachable = reach(addr, bytes.length);
  const { done, fault } = writeUser(k, task, reachable === 0 ? 0 : (addr as number), bytes, 0, reachable);
  charge(k, done * costs(k).copyPerByteNs);
  return { done, fault: fault ?? beyond(addr, bytes.length, reachable) };
}

/** Where the bytes of one copy lie on their way; nothing of the state. */
const passing = new Uint8Array(PAGE_SIZE);

/** memcpy of user code, at most a page: all is loaded, then stored; the fault that ended it, or null. The copy is charged once. */
export function copyUser(k: Kernel, task: Task, into: Addr, from: Addr, length: number): BadAccess | null {
  assert(length <= PAGE_SIZE, "a copy of more than a page");
  const reachable = reach(from, length);
  const { done, fault } = readUser(k, task, reachable === 0 ? 0 : (from as number), passing, 0, reachable);
  charge(k, done * costs(k).copyPerByteNs);
  const unread = fault ?? beyond(from, length, reachable);
  if (unread !== null) return unread;
  const room = reach(into, length);
  return writeUser(k, task, room === 0 ? 0 : (into as number), passing, 0, room).fault ?? beyond(into, length, room);
}

/** Bytes from `addr` that lie below the end of user addresses. */
function reach(addr: Addr, length: number): number {
  return typeof addr === "bigint" || addr < 0 || addr >= TASK_SIZE ? 0 : Math.min(length, TASK_SIZE - addr);
}

function beyond(addr: Addr, length: number, reachable: number): BadAccess | null {
  if (reachable >= length) return null;
  return outsideAccess(typeof addr === "bigint" ? addr : addr + reachable);
}

/**
 * The bytes at `addr` as a debugger sees them: no fault is counted and nothing changes. A page that was never touched shows
 * what a fault would bring. Null when some page is not mapped, or a driver alone could tell.
 */
export function peekUser(k: Kernel, task: Task, addr: Addr, length: number): Uint8Array | null {
  if (reach(addr, length) < length) return null;
  const space = k.state.mm.spaces.get(task.mm);
  const from = addr as number;
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const at = from + done;
    const { scratch } = task;
    let page: Uint8Array | null;
    let offset: number;
    if (scratch !== null && at >= scratch.base && at < scratch.base + scratch.bytes.length) {
      page = scratch.bytes;
      offset = at - scratch.base;
    } else {
      page = space === undefined ? null : peekPage(k, space, at);
      offset = at % PAGE_SIZE;
    }
    if (page === null) return null;
    const count = Math.min(length - done, page.length - offset);
    bytes.set(page.subarray(offset, offset + count), done);
    done += count;
  }
  return bytes;
}

/** The page that `addr` lies in, whatever its rights. */
function peekPage(k: Kernel, space: AddressSpace, addr: number): Uint8Array | null {
  const vma = vmaAt(space, addr);
  if (vma === null) return null;
  const table = findTable(k.state.mm, space, addr);
  if (table !== null) {
    const index = pteIndex(addr);
    const pfn = ptePfn(table[index], table[index + 1]);
    if (ptePresent(table[index])) return readPhysical(k.state.mm, pfn);
    if (isSwapEntry(table[index])) return peekSlot(k.state.mm, pfn);
  }
  return peekMapped(k, vma, addr);
}

function peekMapped(k: Kernel, vma: Vma, addr: number): Uint8Array | null {
  const operations = vmOpsOf(k, vma);
  if (operations === null) return readFrame(k, ZERO_PFN);
  return operations.peek?.(k, vma, pgoffAt(vma, addr)) ?? null;
}
