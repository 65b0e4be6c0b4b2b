/** Process ids: the next free number, and finding whom a number names. */
import type { Kernel } from "../kernel.ts";
import { PID_MAX } from "../sched/state.ts";
import type { Task, ThreadGroup } from "../sched/task.ts";

/** After the first wrap the lowest numbers stay with the processes of the boot (RESERVED_PIDS). */
const RESERVED_PIDS = 300;

/** A number that no task, process group or session has; they are given in order and reused after PID_MAX. */
export function allocPid(k: Kernel): number {
  const { sched } = k.state;
  for (;;) {
    const pid = sched.nextPid++;
    if (sched.nextPid >= PID_MAX) sched.nextPid = RESERVED_PIDS;
    // A kernel thread that somebody still asks about keeps its number.
    if (!sched.tasks.has(pid) && !sched.kthreads.has(pid) && !names(k, pid)) return pid;
  }
}

/** Whether a process group or session has the number, though its leader may be gone. */
function names(k: Kernel, pid: number): boolean {
  for (const { pgid, sid } of k.state.sched.groups.values()) if (pgid === pid || sid === pid) return true;
  return false;
}

/** The thread group that a pid argument names; null when there is none, or the number is that of another thread. */
export function findGroup(k: Kernel, pid: number): ThreadGroup | null {
  return k.state.sched.groups.get(pid) ?? null;
}

/** The task that a tid argument names, 0 for the caller itself; null when there is none. */
export function findTask(k: Kernel, caller: Task, tid: number): Task | null {
  return tid === 0 ? caller : (k.state.sched.tasks.get(tid) ?? null);
}

/** The group that a task id belongs to, as calls that take any thread's id find it; 0 is the caller's. */
export function findGroupOfTask(k: Kernel, caller: Task, tid: number): ThreadGroup | null {
  const task = findTask(k, caller, tid);
  return task === null ? null : (k.state.sched.groups.get(task.tgid) ?? null);
}

/** The groups of a process group, by pid. */
export function groupsOfPgrp(k: Kernel, pgid: number): ThreadGroup[] {
  const found: ThreadGroup[] = [];
  for (const group of k.state.sched.groups.values()) if (group.pgid === pgid) found.push(group);
  return found.sort((a, b) => a.tgid - b.tgid);
}
