/** Looking at and changing resource limits, one's own and others' (prlimit(2)). */
import { EINVAL, EPERM } from "../abi/errno.ts";
import { CAP_SYS_RESOURCE } from "../abi/capability.ts";
import { NR_OPEN, RLIMIT_NOFILE, RLIM_NLIMITS } from "../abi/limits.ts";
import { capable } from "../sched/cred.ts";
import type { Rlimit } from "../sched/rlimit.ts";
import type { Task, ThreadGroup } from "../sched/task.ts";

function height(value: number | bigint): number | bigint {
  return value < 0 ? Infinity : value;
}

/** Whether `task` may read or set the limits of `target`: the same user and group in every respect, or CAP_SYS_RESOURCE. */
export function mayPrlimit(task: Task, { tid, cred: of }: Task): boolean {
  const { uid, gid } = task.cred;
  const same = of.uid === uid && of.euid === uid && of.suid === uid && of.gid === gid && of.egid === gid && of.sgid === gid;
  return task.tid === tid || same || capable(task, CAP_SYS_RESOURCE);
}

export function isResource(resource: number): boolean {
  return resource >= 0 && resource < RLIM_NLIMITS;
}

/** Sets a limit of a group on behalf of `task`: 0, -EINVAL when soft is above hard, -EPERM when hard is raised. */
export function setRlimit(task: Task, group: ThreadGroup, resource: number, limit: Rlimit): number {
  if (height(limit.cur) > height(limit.max)) return -EINVAL;
  if (resource === RLIMIT_NOFILE && height(limit.max) > NR_OPEN) return -EPERM;
  if (height(limit.max) > height(group.rlimits[resource].max) && !capable(task, CAP_SYS_RESOURCE)) return -EPERM;
  group.rlimits[resource] = limit;
  return 0;
}
