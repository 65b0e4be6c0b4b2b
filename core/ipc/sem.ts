/** System V semaphores (ipc/sem.c): sets of counters on which several operations are done at once or not at all. */
import { E2BIG, EACCES, EAGAIN, EFAULT, EFBIG, EIDRM, EINTR, EINVAL, ENOMEM, ENOSPC, ERANGE } from "../abi/errno.ts";
import { IPC_NOWAIT, SEM_UNDO, sembufLayout, SEMMNI, SEMMNS, SEMMSL, SEMOPM, SEMVMX } from "../abi/ipc.ts";
import { decodeStruct } from "../abi/layout.ts";
import { NSEC_PER_SEC, timespecLayout } from "../abi/time.ts";
import type { Kernel } from "../kernel.ts";
import { vfree, vmalloc } from "../mm/vmalloc.ts";
import { copyFromUser, type Addr } from "../mm/usercopy.ts";
import { enter, steps, type StepResult, type SyscallResult } from "../sched/steps.ts";
import { groupOf, taskOf, type Task } from "../sched/task.ts";
import { newWaitQueue, sleepOn, timedOut, wake } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { freeId, ipcFind, ipcGet, ipcPermitted, newPerm, seconds, takeId, type IpcPerm } from "./perm.ts";

/** Who sleeps in semop: on which semaphore, and whether for zero or for more. */
export interface SemWaiter {
  tid: number;
  num: number;
  zero: boolean;
}

export interface SemSet {
  id: number;
  perm: IpcPerm;
  otime: number;
  ctime: number;
  values: number[];
  /** Process that changed a semaphore last. */
  pids: number[];
  wait: number;
  waiters: SemWaiter[];
  /** What a process's end adds back, semaphore by semaphore (SEM_UNDO), by tgid. */
  undo: Map<number, number[]>;
  /** vmalloc area that stands for the set's memory. */
  area: number;
}

export interface SemOp {
  num: number;
  op: number;
  flag: number;
}

/** struct sem, one a cache line. */
const SEM_BYTES = 64;
/** The most that an undo may add (SEMAEM). */
const UNDO_MAX = SEMVMX;

/** semget(2): the set's id. */
export function semget(k: Kernel, task: Task, key: number, count: number, flag: number): number {
  if (count < 0 || count > SEMMSL) return -EINVAL;
  const { ipc } = k.state;
  return ipcGet(task, ipc.sem, key >>> 0, flag, (set) => (count > set.values.length ? -EINVAL : 0), () => {
    if (count === 0) return -EINVAL;
    let all = count;
    for (const set of ipc.sem.values()) all += set.values.length;
    if (all > SEMMNS || ipc.sem.size >= SEMMNI) return -ENOSPC;
    const area = vmalloc(k, count * SEM_BYTES, "kernel");
    if (area === 0) return -ENOMEM;
    const id = takeId(ipc.semIds, ipc.sem.size, SEMMNI);
    const zeros = (): number[] => new Array<number>(count).fill(0);
    ipc.sem.set(id, {
      id, perm: newPerm(task, key >>> 0, flag, id), otime: 0, ctime: seconds(k), values: zeros(), pids: zeros(),
      wait: newWaitQueue(k), waiters: [], undo: new Map(), area,
    });
    return id;
  });
}

/** Forgets a set; those who sleep on it get EIDRM. */
export function removeSet(k: Kernel, set: SemSet): void {
  k.state.ipc.sem.delete(set.id);
  freeId(k.state.ipc.semIds, set.id);
  vfree(k, set.area);
  wake(k, set.wait, { nr: Infinity });
}

interface SemopLocals {
  set: number;
  ops: SemOp[];
  /** Absolute kernel time at which the wait ends with EAGAIN; -1 for never. */
  untilNs: number;
}

/** semop(2) and semtimedop(2): `timeout` is the address of a timespec, 0 for none. */
export function semtimedop(k: Kernel, task: Task, id: number, sops: Addr, count: number | bigint, timeout: Addr): SyscallResult {
  const time = timeout === 0 ? null : copyFromUser(k, task, timeout, timespecLayout.size);
  if (typeof time === "number") return -EFAULT;
  if (count > SEMOPM) return -E2BIG;
  if (count < 1) return -EINVAL;
  const bytes = copyFromUser(k, task, sops, Number(count) * sembufLayout.size);
  if (typeof bytes === "number") return -EFAULT;
  if (id < 0) return -EINVAL;
  const untilNs = time === null ? -1 : deadline(k, time);
  if (untilNs === -EINVAL) return -EINVAL;
  const ops: SemOp[] = [];
  for (let at = 0; at < bytes.length; at += sembufLayout.size) {
    const { sem_num: num, sem_op: op, sem_flg: flag } = decodeStruct(sembufLayout, bytes, at);
    ops.push({ num, op, flag });
  }
  const set = ipcFind(k.state.ipc.sem, id);
  if (typeof set === "number") return set;
  if (ops.some(({ num }) => num >= set.values.length)) return -EFBIG;
  if (!ipcPermitted(task, set.perm, ops.some(({ op }) => op !== 0) ? 0o222 : 0o444)) return -EACCES;
  const done = perform(k, task, set, ops);
  return typeof done === "number" ? done : enter(semopSteps, { set: id, ops, untilNs });
}

/** Kernel time after which a wait of this timespec ends; -EINVAL when it is none. */
function deadline(k: Kernel, timespec: Uint8Array): number {
  const { tv_sec: sec, tv_nsec: ns } = decodeStruct(timespecLayout, timespec);
  if (sec < 0 || ns < 0 || ns >= NSEC_PER_SEC) return -EINVAL;
  return Math.min(Number.MAX_SAFE_INTEGER, now(k) + Number(sec) * NSEC_PER_SEC + Number(ns));
}

const semopSteps = steps<SemopLocals>("sem.op", {
  wait: (k, task, { locals }): StepResult => {
    const set = k.state.ipc.sem.get(locals.set);
    if (set === undefined) return -EIDRM;
    const done = perform(k, task, set, locals.ops);
    if (typeof done === "number") return done;
    if (timedOut(task) && locals.untilNs >= 0 && now(k) >= locals.untilNs) return -EAGAIN;
    stopWaiting(set, task.tid);
    set.waiters.push({ tid: task.tid, num: done.num, zero: done.op === 0 });
    return sleepOn(set.wait, {
      wchan: "do_semtimedop", interrupted: -EINTR, ...(locals.untilNs < 0 ? {} : { untilNs: locals.untilNs }),
    });
  },
}, {
  undo: {
    wait: (k, task, { locals }) => {
      const set = k.state.ipc.sem.get(locals.set);
      if (set !== undefined) stopWaiting(set, task.tid);
    },
  },
});

function stopWaiting(set: SemSet, tid: number): void {
  const at = set.waiters.findIndex((waiter) => waiter.tid === tid);
  if (at >= 0) set.waiters.splice(at, 1);
}

/** Does all operations, or none: 0, an errno, or the operation that must wait (perform_atomic_semop). */
function perform(k: Kernel, task: Task, set: SemSet, ops: SemOp[]): number | SemOp {
  const values = new Map<number, number>();
  const adjust = ops.some(({ flag }) => (flag & SEM_UNDO) !== 0) ? (set.undo.get(task.tgid)?.slice() ?? new Array<number>(set.values.length).fill(0)) : null;
  for (const { num, op, flag } of ops) {
    const old = values.get(num) ?? set.values[num];
    if (op === 0 ? old !== 0 : old + op < 0) return (flag & IPC_NOWAIT) !== 0 ? -EAGAIN : { num, op, flag };
    if (old + op > SEMVMX) return -ERANGE;
    if (adjust !== null && (flag & SEM_UNDO) !== 0) {
      adjust[num] -= op;
      if (adjust[num] > UNDO_MAX || adjust[num] < -UNDO_MAX - 1) return -ERANGE;
    }
    values.set(num, old + op);
  }
  for (const [num, value] of values) {
    set.values[num] = value;
    set.pids[num] = task.tgid;
  }
  if (adjust !== null) set.undo.set(task.tgid, adjust);
  set.otime = seconds(k);
  if (ops.some(({ op }) => op !== 0)) wakeWaiters(k, set, task.tid);
  return 0;
}

/** Lets everybody who sleeps on the set look again, in the order they came. */
export function wakeWaiters(k: Kernel, set: SemSet, but = 0): void {
  if (set.waiters.some(({ tid }) => tid !== but)) wake(k, set.wait, { nr: Infinity });
}

/** A process ends: what it did with SEM_UNDO is undone, as far as semaphores go (exit_sem). */
export function exitSem(k: Kernel, task: Task): void {
  if (groupOf(k, task).threads.some((tid) => !taskOf(k, tid).exiting)) return;
  for (const set of k.state.ipc.sem.values()) {
    const adjust = set.undo.get(task.tgid);
    if (adjust === undefined) continue;
    set.undo.delete(task.tgid);
    adjust.forEach((by, num) => {
      if (by === 0) return;
      set.values[num] = Math.min(SEMVMX, Math.max(0, set.values[num] + by));
      set.pids[num] = task.tgid;
    });
    set.otime = seconds(k);
    wakeWaiters(k, set);
  }
}
