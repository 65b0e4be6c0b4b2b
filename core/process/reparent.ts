/** Giving the children of a dying process a new parent (forget_original_parent). */
import { SI_KERNEL, SIGCHLD } from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { sendSignalToTask } from "../sched/signal.ts";
import { taskOf, type ThreadGroup } from "../sched/task.ts";
import { INIT_PID } from "./limits.ts";
import { notifyExit, orphanedByParent } from "./notify.ts";
import { reap } from "./reap.ts";

/** The nearest living ancestor that asked for orphans (PR_SET_CHILD_SUBREAPER), else init. */
function newReaper(k: Kernel, group: ThreadGroup): ThreadGroup {
  const { groups } = k.state.sched;
  for (let at = groups.get(group.parent); at !== undefined && at.tgid !== INIT_PID; at = groups.get(at.parent)) {
    if (at.childReaper && at.exitStatus < 0) return at;
  }
  return must(groups, INIT_PID);
}

export function reparentChildren(k: Kernel, group: ThreadGroup): void {
  if (group.children.length === 0) return;
  const reaper = newReaper(k, group);
  const children = group.children.map((tgid) => must(k.state.sched.groups, tgid));
  group.children = [];
  for (const child of children) {
    child.parent = reaper.tgid;
    reaper.children.push(child.tgid);
    for (const tid of child.threads) {
      const task = taskOf(k, tid);
      if (task.parentDeathSignal !== 0 && !task.exiting) sendSignalToTask(k, task, task.parentDeathSignal, { code: SI_KERNEL });
    }
    taskOf(k, child.threads[0]).exitSignal = SIGCHLD;
    const unwanted = child.exitStatus >= 0 && notifyExit(k, child);
    // As Linux: a zombie's process group loses its tie too.
    orphanedByParent(k, child, group);
    if (unwanted) reap(k, child);
  }
}
