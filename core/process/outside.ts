/** What the service does to processes from outside the kernel: taking one back, and whether a member may signal one. */
import { EINVAL, EPERM } from "../abi/errno.ts";
import { _NSIG, SIGKILL } from "../abi/signal.ts";
import type { Refusal } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import { sendSignal } from "../sched/signal.ts";
import { taskOf, type ThreadGroup } from "../sched/task.ts";
import { INIT_PID } from "./limits.ts";
import { reap } from "./reap.ts";

/** SIGKILL; a process that a caller made is reaped as well, another stays a zombie for its parent. Null, or why not. */
export function deleteProcess(k: Kernel, pid: number): Refusal | null {
  const task = k.state.sched.tasks.get(pid);
  const group = task === undefined ? undefined : k.state.sched.groups.get(task.tgid);
  if (task === undefined || group === undefined) return { refused: "no-process", detail: `no process ${pid}` };
  if (task.kind === "kthread" || group.tgid === INIT_PID) {
    return { refused: "errno", errno: EPERM, detail: `kill: (${pid}) - Operation not permitted` };
  }
  if (group.exitStatus >= 0) {
    if (group.created) reap(k, group);
    return null;
  }
  group.deleted = group.created;
  sendSignal(k, group.tgid, SIGKILL);
  return null;
}

/** kill(2)'s rule for a sender outside: root, or the target's real or saved uid. 0 or a negative errno. */
export function mayKill(k: Kernel, uid: number, group: ThreadGroup, signal: number): number {
  if (signal < 0 || signal > _NSIG) return -EINVAL;
  const { cred } = taskOf(k, group.threads[0]);
  return uid === 0 || uid === cred.uid || uid === cred.suid ? 0 : -EPERM;
}
