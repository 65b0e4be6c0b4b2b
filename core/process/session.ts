/** Process groups and sessions (setpgid(2), setsid(2), credentials(7)). */
import { EACCES, EINVAL, EPERM, ESRCH } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { groupsOfPgrp } from "./pid.ts";

/** Moves a process, the caller or a child of it that has not executed a program, into a process group of its session. */
export function setpgid(k: Kernel, caller: Task, pid: number, pgid: number): number {
  const own = groupOf(k, caller);
  const target = pid === 0 ? own.tgid : pid;
  const wanted = pgid === 0 ? target : pgid;
  if (wanted < 0) return -EINVAL;
  const task = k.state.sched.tasks.get(target);
  if (task === undefined) return -ESRCH;
  if (task.tid !== task.tgid) return -EINVAL;
  const group = groupOf(k, task);
  if (group.parent === own.tgid) {
    if (group.sid !== own.sid) return -EPERM;
    if (group.execed) return -EACCES;
  } else if (group !== own) return -ESRCH;
  if (group.sid === group.tgid) return -EPERM;
  if (wanted !== target && !groupsOfPgrp(k, wanted).some(({ sid }) => sid === own.sid)) return -EPERM;
  group.pgid = wanted;
  return 0;
}

/** Starts a session with the caller as its leader and alone; -EPERM when there is a process group of its number. */
export function setsid(k: Kernel, caller: Task): number {
  const group = groupOf(k, caller);
  if (groupsOfPgrp(k, group.tgid).length > 0) return -EPERM;
  group.sid = group.tgid;
  group.pgid = group.tgid;
  return group.tgid;
}
