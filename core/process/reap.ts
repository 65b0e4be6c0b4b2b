/** Taking a dead process out of the tables (release_task). */
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { dequeue } from "../sched/run_queue.ts";
import { emit } from "../sched/events.ts";
import { handlersOf, taskOf, type ThreadGroup } from "../sched/task.ts";

/** Removes a group and its tasks from the tables and from its parent, whatever state they are in. */
export function removeGroup(k: Kernel, group: ThreadGroup): void {
  const { sched } = k.state;
  assert(group.children.length === 0, `process ${group.tgid} goes while it has children`);
  for (const tid of group.threads) {
    dequeue(k, taskOf(k, tid));
    sched.tasks.delete(tid);
  }
  sched.groups.delete(group.tgid);
  if (group.parent !== 0) {
    const { children } = must(sched.groups, group.parent);
    children.splice(children.indexOf(group.tgid), 1);
  }
  putHandlers(k, group);
}

/** The group no longer uses its table of signal actions; the last one frees it. */
export function putHandlers(k: Kernel, group: ThreadGroup): void {
  if (--handlersOf(k, group).refs === 0) k.state.sched.handlers.delete(group.sighand);
}

/** A zombie is waited for, or nobody will: it is gone, and its number is free. */
export function reap(k: Kernel, group: ThreadGroup): void {
  assert(group.exitStatus >= 0, `process ${group.tgid} is reaped alive`);
  const kernelThread = taskOf(k, group.threads[0]).kind === "kthread";
  removeGroup(k, group);
  if (!kernelThread) emit(k, { event: "process", data: { pid: group.tgid, what: "reaped" } });
}
