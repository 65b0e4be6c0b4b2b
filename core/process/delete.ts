/** Taking back a process that a caller made. */
import type { Refusal } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import { SIGKILL } from "../abi/signal.ts";
import { sendSignal } from "../sched/signal.ts";
import { taskOf } from "../sched/task.ts";
import { INIT_PID } from "./limits.ts";
import { findGroup } from "./pid.ts";
import { reap } from "./reap.ts";

/**
 * SIGKILL for a process; one that a caller made is reaped as it dies, any other stays a zombie for its parent. A refusal for
 * what is no user's process.
 */
export function deleteProcess(k: Kernel, pid: number): Refusal | null {
  const group = findGroup(k, pid);
  if (group === null) return { refused: "no-process", detail: `no process ${pid}` };
  if (pid === INIT_PID || taskOf(k, pid).kind === "kthread") return { refused: "busy", detail: `process ${pid} is the kernel's own` };
  group.deleted = group.created;
  if (group.exitStatus < 0) sendSignal(k, pid, SIGKILL, { pid: 0, uid: 0 });
  else if (group.deleted) reap(k, group);
  return null;
}
