/** Process groups as job control sees them: whether anybody outside can continue a stopped one. */
import type { Kernel } from "../kernel.ts";
import { taskOf, type ThreadGroup } from "./task.ts";

function isDead(k: Kernel, group: ThreadGroup): boolean {
  return group.exitStatus >= 0 || group.threads.every((tid) => taskOf(k, tid).state === "zombie");
}

/**
 * No member has a parent in another group of the same session (will_become_orphaned_pgrp); `ignored` is a member that is
 * just leaving, 0 for none.
 */
export function isOrphanedPgrp(k: Kernel, pgid: number, ignored = 0): boolean {
  const { groups } = k.state.sched;
  for (const group of groups.values()) {
    if (group.pgid !== pgid || group.tgid === ignored || group.parent === 1 || isDead(k, group)) continue;
    const parent = groups.get(group.parent);
    if (parent !== undefined && parent.pgid !== pgid && parent.sid === group.sid) return false;
  }
  return true;
}

/** Some member is stopped (has_stopped_jobs). */
export function hasStoppedJobs(k: Kernel, pgid: number): boolean {
  for (const group of k.state.sched.groups.values()) if (group.pgid === pgid && group.stopSignal !== 0) return true;
  return false;
}
