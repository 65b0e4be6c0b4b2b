/** What a futex is known by: a place in one address space, or in memory that several share (get_futex_key). */
import { EFAULT, EINVAL } from "../abi/errno.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { accessOk, getUser32, type Addr } from "../mm/usercopy.ts";
import { pgoffAt, vmaAt, VM_SHARED } from "../mm/vma.ts";
import type { Task } from "../sched/task.ts";

/** The key of the word at `addr`; -EINVAL when it is not aligned, -EFAULT when it cannot be a user's, or is shared and not mapped. */
export function futexKey(k: Kernel, task: Task, addr: Addr, shared: boolean): string | number {
  if (Number(addr) % 4 !== 0) return -EINVAL;
  if (!accessOk(addr, 4)) return -EFAULT;
  const own = `mm:${task.mm}:${addr}`;
  if (!shared) return own;
  if (getUser32(k, task, addr) === null) return -EFAULT;
  const space = k.state.mm.spaces.get(task.mm);
  const vma = space === undefined ? null : vmaAt(space, Number(addr));
  if (vma === null || (vma.flags & VM_SHARED) === 0) return own;
  const at = pgoffAt(vma, Number(addr)) * PAGE_SIZE + (Number(addr) % PAGE_SIZE);
  if (vma.shmem !== 0) return `shm:${vma.shmem}:${at}`;
  return vma.inode !== 0 ? `file:${vma.inode}:${at}` : own;
}

/** The key of those that wait to own the word (FUTEX_LOCK_PI): a plain wake-up refuses them. */
export function ownersKey(key: string): string {
  return `pi:${key}`;
}

export const isOwnersKey = (key: string): boolean => key.startsWith("pi:");
