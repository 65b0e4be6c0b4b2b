/** What the three kinds of System V objects share: keys, ids, owners and rights (ipc/util.c). */
import { EACCES, EEXIST, EINVAL, ENOENT, ENOSPC } from "../abi/errno.ts";
import { CAP_IPC_OWNER, CAP_SYS_ADMIN } from "../abi/capability.ts";
import { IPC_CREAT, IPC_EXCL, IPC_PRIVATE } from "../abi/ipc.ts";
import type { Kernel } from "../kernel.ts";
import { idaAllocCyclic, idaFree } from "../lib/idr.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { realtimeNs } from "../time/clock.ts";
import type { IpcIds } from "./state.ts";

/** struct kern_ipc_perm */
export interface IpcPerm {
  /** As an unsigned number; 0 (IPC_PRIVATE) when nobody finds it by key. */
  key: number;
  uid: number;
  gid: number;
  cuid: number;
  cgid: number;
  /** Nine permission bits; SHM_DEST and SHM_LOCKED above them. */
  mode: number;
  /** The id divided by 32768. */
  seq: number;
}

export interface IpcObject {
  id: number;
  perm: IpcPerm;
}

/** IPCMNI_SHIFT: objects of one kind at a time, and where the sequence stands in an id. */
const INDEX_BITS = 15;
/** While there are few objects, indexes go round this many (ipc_min_cycle). */
const MIN_CYCLE = 64;
const SEQ_MAX = 0x1_0000;

/** An id for a new object; -ENOSPC when `max` exist. */
export function takeId(ids: IpcIds, inUse: number, max: number): number {
  if (inUse >= max) return -ENOSPC;
  const limit = Math.min(Math.max(Math.floor((inUse * 3) / 2), MIN_CYCLE), 1 << INDEX_BITS);
  const index = idaAllocCyclic(ids.indexes, 0, limit - 1);
  if (index < 0) return index;
  if (index <= ids.lastIndex) ids.seq = (ids.seq + 1) % SEQ_MAX;
  ids.lastIndex = index;
  return (ids.seq << INDEX_BITS) + index;
}

export function freeId(ids: IpcIds, id: number): void {
  idaFree(ids.indexes, indexOf(id));
}

export function indexOf(id: number): number {
  return id & ((1 << INDEX_BITS) - 1);
}

export function newPerm(task: Task, key: number, mode: number, id: number): IpcPerm {
  const { euid: uid, egid: gid } = task.cred;
  return { key, uid, gid, cuid: uid, cgid: gid, mode: mode & 0o777, seq: id >>> INDEX_BITS };
}

/** Whether the task has the rights in `flag` (any of its three groups of permission bits counts) (ipcperms). */
export function ipcPermitted(task: Task, perm: IpcPerm, flag: number): boolean {
  const { euid, egid, groups } = task.cred;
  const requested = (flag >> 6) | (flag >> 3) | flag;
  let granted = perm.mode;
  if (euid === perm.cuid || euid === perm.uid) granted >>= 6;
  else if (egid === perm.cgid || egid === perm.gid || groups.includes(perm.cgid) || groups.includes(perm.gid)) granted >>= 3;
  return (requested & ~granted & 0o7) === 0 || capable(task, CAP_IPC_OWNER);
}

/** Whether the task may change or remove the object (ipcctl_obtain_check). */
export function ipcOwned(task: Task, perm: IpcPerm): boolean {
  return task.cred.euid === perm.cuid || task.cred.euid === perm.uid || capable(task, CAP_SYS_ADMIN);
}

/**
 * shmget, semget, msgget: the id of the object with `key`, or of a new one that `create` makes. -ENOENT, -EEXIST, -EACCES,
 * what `fits` says of an existing one, or what `create` answers.
 */
export function ipcGet<T extends IpcObject>(
  task: Task, objects: Map<number, T>, key: number, flag: number, fits: (object: T) => number, create: () => number,
): number {
  if (key === IPC_PRIVATE) return create();
  for (const object of objects.values()) {
    if (object.perm.key !== key) continue;
    if ((flag & IPC_CREAT) !== 0 && (flag & IPC_EXCL) !== 0) return -EEXIST;
    const error = fits(object);
    if (error < 0) return error;
    return ipcPermitted(task, object.perm, flag) ? object.id : -EACCES;
  }
  return (flag & IPC_CREAT) !== 0 ? create() : -ENOENT;
}

/** The object of an id, or at an index for the STAT commands that take one; -EINVAL when there is none. */
export function ipcFind<T extends IpcObject>(objects: Map<number, T>, id: number, byIndex = false): T | number {
  if (!byIndex) return objects.get(id) ?? -EINVAL;
  for (const object of objects.values()) if (indexOf(object.id) === id) return object;
  return -EINVAL;
}

/** The highest index in use, 0 when there is none: what the INFO commands answer. */
export function highestIndex(objects: Map<number, IpcObject>): number {
  let highest = 0;
  for (const id of objects.keys()) highest = Math.max(highest, indexOf(id));
  return highest;
}

/** Gives the object another owner and rights (IPC_SET): 0, or -EINVAL for an id that is none. */
export function setPerm(perm: IpcPerm, wanted: { uid: number; gid: number; mode: number }): number {
  if (wanted.uid === 0xffff_ffff || wanted.gid === 0xffff_ffff) return -EINVAL;
  perm.uid = wanted.uid;
  perm.gid = wanted.gid;
  perm.mode = (perm.mode & ~0o777) | (wanted.mode & 0o777);
  return 0;
}

/** Seconds since 1970. */
export function seconds(k: Kernel): number {
  return Number(realtimeNs(k) / 1_000_000_000n);
}

