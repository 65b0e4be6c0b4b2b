/** semctl(2): looking at and setting semaphores. */
import { EACCES, EFAULT, EINVAL, EPERM, ERANGE } from "../abi/errno.ts";
import {
  GETALL, GETNCNT, GETPID, GETVAL, GETZCNT, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, SEM_INFO, SEM_STAT, SEM_STAT_ANY,
  SEMMNI, SEMMNS, SEMMSL, SEMOPM, SEMVMX, semidDsLayout, SETALL, SETVAL,
} from "../abi/ipc.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import type { Kernel } from "../kernel.ts";
import { getU16, putU16 } from "../lib/bytes.ts";
import { copyFromUser, copyToUser, type Addr } from "../mm/usercopy.ts";
import type { Task } from "../sched/task.ts";
import { semInfoLayout } from "./layouts.ts";
import { highestIndex, ipcFind, ipcOwned, ipcPermitted, seconds, setPerm } from "./perm.ts";
import { removeSet, wakeWaiters, type SemSet } from "./sem.ts";

/** `arg` is a value for SETVAL, else an address. */
export function semctl(k: Kernel, task: Task, id: number, num: number, cmd: number, arg: Addr): number {
  if (id < 0) return -EINVAL;
  switch (cmd) {
    case IPC_INFO: case SEM_INFO: return info(k, task, cmd, arg);
    case IPC_STAT: case SEM_STAT: case SEM_STAT_ANY: return status(k, task, id, cmd, arg);
    case IPC_SET: case IPC_RMID: return change(k, task, id, cmd, arg);
    case SETVAL: return setValue(k, task, id, num, Number(BigInt.asIntN(32, BigInt(arg))));
    case GETALL: case SETALL: return allValues(k, task, id, cmd, arg);
    case GETVAL: case GETPID: case GETNCNT: case GETZCNT: return look(k, task, id, num, cmd);
    default: return -EINVAL;
  }
}

function answer(k: Kernel, task: Task, at: Addr, bytes: Uint8Array, ret: number): number {
  return copyToUser(k, task, at, bytes) === bytes.length ? ret : -EFAULT;
}

function look(k: Kernel, task: Task, id: number, num: number, cmd: number): number {
  const set = ipcFind(k.state.ipc.sem, id);
  if (typeof set === "number") return set;
  if (!ipcPermitted(task, set.perm, 0o444)) return -EACCES;
  if (num < 0 || num >= set.values.length) return -EINVAL;
  if (cmd === GETVAL) return set.values[num];
  if (cmd === GETPID) return set.pids[num];
  return set.waiters.filter((waiter) => waiter.num === num && waiter.zero === (cmd === GETZCNT)).length;
}

/** As Linux: a value out of range is told before a bad id. */
function setValue(k: Kernel, task: Task, id: number, num: number, value: number): number {
  if (value > SEMVMX || value < 0) return -ERANGE;
  const set = ipcFind(k.state.ipc.sem, id);
  if (typeof set === "number") return set;
  if (num < 0 || num >= set.values.length) return -EINVAL;
  if (!ipcPermitted(task, set.perm, 0o222)) return -EACCES;
  for (const adjust of set.undo.values()) adjust[num] = 0;
  set.values[num] = value;
  set.pids[num] = task.tgid;
  changed(k, set);
  return 0;
}

function changed(k: Kernel, set: SemSet): void {
  set.ctime = seconds(k);
  wakeWaiters(k, set);
}

function allValues(k: Kernel, task: Task, id: number, cmd: number, at: Addr): number {
  const set = ipcFind(k.state.ipc.sem, id);
  if (typeof set === "number") return set;
  if (!ipcPermitted(task, set.perm, cmd === SETALL ? 0o222 : 0o444)) return -EACCES;
  const count = set.values.length;
  if (cmd === GETALL) {
    const bytes = new Uint8Array(count * 2);
    set.values.forEach((value, num) => putU16(bytes, num * 2, value));
    return answer(k, task, at, bytes, 0);
  }
  const bytes = copyFromUser(k, task, at, count * 2);
  if (typeof bytes === "number") return bytes;
  for (let num = 0; num < count; num++) if (getU16(bytes, num * 2) > SEMVMX) return -ERANGE;
  for (let num = 0; num < count; num++) {
    set.values[num] = getU16(bytes, num * 2);
    set.pids[num] = task.tgid;
  }
  for (const adjust of set.undo.values()) adjust.fill(0);
  changed(k, set);
  return 0;
}

function info(k: Kernel, task: Task, cmd: number, at: Addr): number {
  const { sem } = k.state.ipc;
  let all = 0;
  for (const set of sem.values()) all += set.values.length;
  const bytes = encodeStruct(semInfoLayout, {
    semmap: SEMMNS, semmni: SEMMNI, semmns: SEMMNS, semmnu: SEMMNS, semmsl: SEMMSL, semopm: SEMOPM, semume: SEMOPM,
    semusz: cmd === SEM_INFO ? sem.size : 20, semvmx: SEMVMX, semaem: cmd === SEM_INFO ? all : SEMVMX,
  });
  return answer(k, task, at, bytes, highestIndex(sem));
}

function status(k: Kernel, task: Task, id: number, cmd: number, at: Addr): number {
  const set = ipcFind(k.state.ipc.sem, id, cmd !== IPC_STAT);
  if (typeof set === "number") return set;
  if (cmd !== SEM_STAT_ANY && !ipcPermitted(task, set.perm, 0o444)) return -EACCES;
  const bytes = encodeStruct(semidDsLayout, {
    sem_perm: { ...set.perm }, sem_otime: set.otime, sem_ctime: set.ctime, sem_nsems: set.values.length,
  });
  return answer(k, task, at, bytes, cmd === IPC_STAT ? 0 : set.id);
}

function change(k: Kernel, task: Task, id: number, cmd: number, at: Addr): number {
  const bytes = cmd === IPC_SET ? copyFromUser(k, task, at, semidDsLayout.size) : null;
  if (typeof bytes === "number") return bytes;
  const set = ipcFind(k.state.ipc.sem, id);
  if (typeof set === "number") return set;
  if (!ipcOwned(task, set.perm)) return -EPERM;
  if (bytes === null) {
    removeSet(k, set);
    return 0;
  }
  const error = setPerm(set.perm, decodeStruct(semidDsLayout, bytes).sem_perm);
  if (error === 0) set.ctime = seconds(k);
  return error;
}
