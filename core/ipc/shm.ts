/** System V shared memory (ipc/shm.c): segments of shared memory that processes attach by id. */
import { EACCES, EFAULT, EINVAL, ENOMEM, ENOSPC, EPERM } from "../abi/errno.ts";
import { CAP_IPC_LOCK } from "../abi/capability.ts";
import {
  IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, SHM_DEST, SHM_EXEC, SHM_INFO, SHM_LOCK, SHM_LOCKED, SHM_NORESERVE, SHM_RDONLY, SHM_REMAP,
  SHM_RND, SHM_STAT, SHM_STAT_ANY, SHM_UNLOCK, SHMALL, SHMMAX, SHMMIN, SHMMNI, shmidDsLayout, shmInfoLayout, shminfoLayout,
} from "../abi/ipc.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import { PAGE_SIZE, RLIMIT_MEMLOCK, TASK_SIZE } from "../abi/limits.ts";
import { MAP_FIXED, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { mmap } from "../mm/mmap.ts";
import { newShmem, putShmem, shmemOf, shmemPage } from "../mm/shmem.ts";
import { peekShmem } from "../mm/shmem_swap.ts";
import { rescue } from "../mm/vmscan.ts";
import { spaceOf } from "../mm/space.ts";
import { unmap } from "../mm/unmap.ts";
import { copyFromUser, copyToUser, type Addr } from "../mm/usercopy.ts";
import { vmaOverlaps, vmOperations, type Vma } from "../mm/vma.ts";
import { allVmas } from "../mm/vma_list.ts";
import { capable } from "../sched/cred.ts";
import { rlimit } from "../sched/rlimit.ts";
import type { Task } from "../sched/task.ts";
import {
  freeId, highestIndex, ipcFind, ipcGet, ipcOwned, ipcPermitted, newPerm, seconds, setPerm, takeId, type IpcPerm,
} from "./perm.ts";

export interface ShmSegment {
  id: number;
  perm: IpcPerm;
  /** Bytes asked for. */
  size: number;
  /** The shared memory object, which the segment holds. */
  shmem: number;
  /** Mappings of it, in all processes. */
  attached: number;
  atime: number;
  dtime: number;
  ctime: number;
  creatorPid: number;
  lastPid: number;
}

function segmentOf(k: Kernel, id: number): ShmSegment {
  return must(k.state.ipc.shm, id);
}

/** One more mapping (shm_open). */
function attach(k: Kernel, segment: ShmSegment, task: Task): void {
  segment.attached++;
  segment.atime = seconds(k);
  segment.lastPid = task.tgid;
}

vmOperations("shm", {
  open: (k, vma, task) => attach(k, segmentOf(k, vma.private), task),
  close(k, vma, task) {
    const segment = segmentOf(k, vma.private);
    segment.attached--;
    segment.dtime = seconds(k);
    segment.lastPid = task.tgid;
    if (segment.attached === 0 && (segment.perm.mode & SHM_DEST) !== 0) destroy(k, segment);
  },
  fault: (k, vma, { pgoff }) => shmemPage(k, vma.shmem, pgoff),
  peek(k, vma, pgoff) {
    const object = shmemOf(k, vma.shmem);
    return pgoff >= object.pages ? null : peekShmem(k, object.frames.get(pgoff) ?? 0);
  },
  name: (k, vma) => shmemOf(k, vma.shmem).name,
});

function destroy(k: Kernel, segment: ShmSegment): void {
  k.state.ipc.shm.delete(segment.id);
  freeId(k.state.ipc.shmIds, segment.id);
  putShmem(k, segment.shmem);
}

/** shmget(2): the segment's id. */
export function shmget(k: Kernel, task: Task, key: number, size: number | bigint, flag: number): number {
  const { ipc } = k.state;
  return ipcGet(task, ipc.shm, key >>> 0, flag, (segment) => (segment.size < size ? -EINVAL : 0), () => {
    if (size < SHMMIN || size > SHMMAX) return -EINVAL;
    if (typeof size === "bigint") return -ENOMEM;
    if (ipc.shm.size >= SHMMNI) return -ENOSPC;
    const name = `/SYSV${(key >>> 0).toString(16).padStart(8, "0")} (deleted)`;
    const shmem = newShmem(k, size, name, (flag & SHM_NORESERVE) === 0);
    if (shmem === 0) return -ENOMEM;
    const id = takeId(ipc.shmIds, ipc.shm.size, SHMMNI);
    shmemOf(k, shmem).ino = id;
    ipc.shm.set(id, {
      id, perm: newPerm(task, key >>> 0, flag, id), size, shmem, attached: 0,
      atime: 0, dtime: 0, ctime: seconds(k), creatorPid: task.tgid, lastPid: 0,
    });
    return id;
  });
}

/** shmat(2): the address of the mapping. */
export function shmat(k: Kernel, task: Task, id: number, wished: Addr, flag: number): number {
  if (id < 0) return -EINVAL;
  let addr = typeof wished === "bigint" ? -1 : wished;
  if (addr === 0) {
    if ((flag & SHM_REMAP) !== 0) return -EINVAL;
  } else if (addr % PAGE_SIZE !== 0) {
    if (addr < 0 || (flag & SHM_RND) === 0) return -EINVAL;
    addr -= addr % PAGE_SIZE;
    if (addr === 0 && (flag & SHM_REMAP) !== 0) return -EINVAL;
  }
  const readOnly = (flag & SHM_RDONLY) !== 0;
  const exec = (flag & SHM_EXEC) !== 0;
  const segment = ipcFind(k.state.ipc.shm, id);
  if (typeof segment === "number") return segment;
  if (!ipcPermitted(task, segment.perm, (readOnly ? 0o444 : 0o666) | (exec ? 0o111 : 0))) return -EACCES;
  const length = Math.ceil(segment.size / PAGE_SIZE) * PAGE_SIZE;
  const fixed = wished !== 0;
  if (addr !== 0 && (flag & SHM_REMAP) === 0) {
    if (addr + length > TASK_SIZE) return -EINVAL;
    if (vmaOverlaps(spaceOf(k, task), addr, addr + length)) return -EINVAL;
  }
  const mapped = mmap(k, task, {
    addr, length, prot: PROT_READ | (readOnly ? 0 : PROT_WRITE) | (exec ? PROT_EXEC : 0), flags: MAP_SHARED | (fixed ? MAP_FIXED : 0),
    file: null, pgoff: 0, object: { shmem: segment.shmem, ops: "shm", private: id, writable: !readOnly },
  });
  if (mapped >= 0) attach(k, segment, task);
  return mapped;
}

/** shmdt(2): unmaps what is left of the attachment at `addr`; -EINVAL when there is none. */
export function shmdt(k: Kernel, task: Task, addr: Addr): number {
  if (typeof addr === "bigint" || addr % PAGE_SIZE !== 0) return -EINVAL;
  const space = spaceOf(k, task);
  const belongs = (vma: Vma): boolean => vma.ops === "shm" && (vma.start - addr) / PAGE_SIZE === vma.pgoff;
  const above = allVmas(space).filter((vma) => vma.end > addr);
  const first = above.find(belongs);
  if (first === undefined) return -EINVAL;
  const { private: id } = first;
  const limit = addr + Math.ceil(segmentOf(k, id).size / PAGE_SIZE) * PAGE_SIZE;
  const parts = above.filter((vma) => vma.end <= limit && belongs(vma) && vma.private === id);
  // Pieces that mprotect or munmap left belong together; the first one goes however long it has become.
  for (const { start, end } of parts.includes(first) ? parts : [first, ...parts]) unmap(k, task, space, start, end);
  return 0;
}

/** shmctl(2) */
export function shmctl(k: Kernel, task: Task, id: number, cmd: number, buf: Addr): number {
  if (cmd < 0 || id < 0) return -EINVAL;
  const { ipc } = k.state;
  switch (cmd) {
    case IPC_INFO:
      return answer(k, task, buf, encodeStruct(shminfoLayout, { shmmax: SHMMAX, shmmin: SHMMIN, shmmni: SHMMNI, shmseg: SHMMNI, shmall: SHMALL }), highestIndex(ipc.shm));
    case SHM_INFO: return answer(k, task, buf, usage(k), highestIndex(ipc.shm));
    case IPC_STAT: case SHM_STAT: case SHM_STAT_ANY: return status(k, task, id, cmd, buf);
    case IPC_SET: case IPC_RMID: return change(k, task, id, cmd, buf);
    case SHM_LOCK: case SHM_UNLOCK: return lock(k, task, id, cmd === SHM_LOCK);
    default: return -EINVAL;
  }
}

function answer(k: Kernel, task: Task, buf: Addr, bytes: Uint8Array, ret: number): number {
  return copyToUser(k, task, buf, bytes) === bytes.length ? ret : -EFAULT;
}

function usage(k: Kernel): Uint8Array {
  let total = 0;
  let held = 0;
  let swapped = 0;
  for (const { shmem } of k.state.ipc.shm.values()) {
    const object = shmemOf(k, shmem);
    total += object.pages;
    held += object.frames.size;
    for (const page of object.frames.values()) if (page < 0) swapped++;
  }
  return encodeStruct(shmInfoLayout, { used_ids: k.state.ipc.shm.size, shm_tot: total, shm_rss: held - swapped, shm_swp: swapped });
}

function status(k: Kernel, task: Task, id: number, cmd: number, buf: Addr): number {
  const segment = ipcFind(k.state.ipc.shm, id, cmd !== IPC_STAT);
  if (typeof segment === "number") return segment;
  const { perm } = segment;
  if (cmd !== SHM_STAT_ANY && !ipcPermitted(task, perm, 0o444)) return -EACCES;
  const bytes = encodeStruct(shmidDsLayout, {
    shm_perm: { ...perm }, shm_segsz: segment.size, shm_atime: segment.atime, shm_dtime: segment.dtime, shm_ctime: segment.ctime,
    shm_cpid: segment.creatorPid, shm_lpid: segment.lastPid, shm_nattch: segment.attached,
  });
  return answer(k, task, buf, bytes, cmd === IPC_STAT ? 0 : segment.id);
}

function change(k: Kernel, task: Task, id: number, cmd: number, buf: Addr): number {
  const bytes = cmd === IPC_SET ? copyFromUser(k, task, buf, shmidDsLayout.size) : null;
  if (typeof bytes === "number") return bytes;
  const segment = ipcFind(k.state.ipc.shm, id);
  if (typeof segment === "number") return segment;
  if (!ipcOwned(task, segment.perm)) return -EPERM;
  if (bytes !== null) {
    const error = setPerm(segment.perm, decodeStruct(shmidDsLayout, bytes).shm_perm);
    if (error === 0) segment.ctime = seconds(k);
    return error;
  }
  if (segment.attached === 0) destroy(k, segment);
  else {
    // Nobody finds it by key any more; the last detach destroys it.
    segment.perm.mode |= SHM_DEST;
    segment.perm.key = 0;
  }
  return 0;
}

/** Keeps the segment's pages in memory, or lets go of them. */
function lock(k: Kernel, task: Task, id: number, locked: boolean): number {
  const segment = ipcFind(k.state.ipc.shm, id);
  if (typeof segment === "number") return segment;
  const { perm } = segment;
  if (!capable(task, CAP_IPC_LOCK)) {
    if (task.cred.euid !== perm.uid && task.cred.euid !== perm.cuid) return -EPERM;
    if (locked && rlimit(k, task, RLIMIT_MEMLOCK) === 0) return -EPERM;
  }
  perm.mode = locked ? perm.mode | SHM_LOCKED : perm.mode & ~SHM_LOCKED;
  const object = shmemOf(k, segment.shmem);
  object.locked = locked;
  if (!locked) for (const held of object.frames.values()) if (held > 0) rescue(k, held);
  return 0;
}
