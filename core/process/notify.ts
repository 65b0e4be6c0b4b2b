/** Telling a parent that its child has died (do_notify_parent), and a process group that nobody can continue it any more. */
import {
  CLD_DUMPED, CLD_EXITED, CLD_KILLED, SA_NOCLDWAIT, SI_KERNEL, SIGCHLD, SIGCONT, SIGHUP,
} from "../abi/signal.ts";
import { WCOREDUMP, WEXITSTATUS, WIFSIGNALED, WTERMSIG } from "../abi/wait.ts";
import type { Kernel } from "../kernel.ts";
import { hasStoppedJobs, isOrphanedPgrp } from "../sched/pgrp.ts";
import { actionOf, sendSignal } from "../sched/signal.ts";
import { taskOf, type ThreadGroup } from "../sched/task.ts";
import { wake } from "../sched/wait_queue.ts";
import { INIT_PID, KTHREADD_PID } from "./limits.ts";
import { groupsOfPgrp } from "./pid.ts";
import { notifyPidfds } from "./pidfd.ts";

/** si_code and si_status of a death. */
export function deathInfo(status: number): { code: number; status: number } {
  if (!WIFSIGNALED(status)) return { code: CLD_EXITED, status: WEXITSTATUS(status) };
  return { code: WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED, status: WTERMSIG(status) };
}

/**
 * Sends the parent the child's exit signal and wakes those that wait for it. True when nobody will wait: the parent ignores
 * its children or is init, which reaps all, or the caller that made the process took it back.
 */
export function notifyExit(k: Kernel, group: ThreadGroup): boolean {
  notifyPidfds(k, group);
  const parent = k.state.sched.groups.get(group.parent);
  if (parent === undefined || parent.tgid === INIT_PID || parent.tgid === KTHREADD_PID) return true;
  const leader = taskOf(k, group.threads[0]);
  const action = actionOf(k, parent, SIGCHLD);
  const unwanted = leader.exitSignal === SIGCHLD && (action.handler === "ignore" || (action.flags & SA_NOCLDWAIT) !== 0);
  if (leader.exitSignal > 0 && !(unwanted && action.handler === "ignore")) {
    sendSignal(k, parent.tgid, leader.exitSignal, { ...deathInfo(group.exitStatus), pid: group.tgid, uid: leader.cred.uid });
  }
  wake(k, parent.childWait, { nr: Infinity });
  return unwanted || group.deleted;
}

/** A stopped process group that has just lost its last tie to its session is hung up and continued. */
function hangUpOrphans(k: Kernel, group: ThreadGroup, parent: ThreadGroup | undefined, ignored: number): void {
  if (parent === undefined || parent.pgid === group.pgid || parent.sid !== group.sid) return;
  if (!isOrphanedPgrp(k, group.pgid, ignored) || !hasStoppedJobs(k, group.pgid)) return;
  for (const signal of [SIGHUP, SIGCONT]) {
    for (const member of groupsOfPgrp(k, group.pgid)) sendSignal(k, member.tgid, signal, { code: SI_KERNEL });
  }
}

/** The dying group may have been what tied its own process group to the session. */
export function orphanedByExit(k: Kernel, group: ThreadGroup): void {
  hangUpOrphans(k, group, k.state.sched.groups.get(group.parent), group.tgid);
}

/** Its parent dies: the child's process group may have lost its tie. */
export function orphanedByParent(k: Kernel, child: ThreadGroup, parent: ThreadGroup): void {
  hangUpOrphans(k, child, parent, 0);
}
