/** Who asked for a module's memory, and when: what kmemleak tells of it later (mm/kmemleak.c). */
import type { Kernel } from "../kernel.ts";
import { SYSCALL_TRACE } from "../sched/dump_stack.ts";
import { stackOf } from "../sched/stack_trace.ts";
import { current } from "../sched/task.ts";
import { jiffies } from "../time/jiffies.ts";

export interface AllocationTrace {
  /** The running task; "swapper/0" and 0 outside one. */
  comm: string;
  pid: number;
  jiffies: number;
  /** The functions that it stood in, the innermost first; at most 16, as kmemleak keeps. */
  stack: string[];
  /** What kmemleak has told of it: nothing, that it is lost, or that and `clear` was written since. */
  leak: "" | "reported" | "cleared";
}

const MAX_TRACE = 16;

/** The trace of an allocation that goes on now in function `by`; null for the kernel's own, and while nobody traces. */
export function allocationTrace(k: Kernel, owner: string, by: string): AllocationTrace | null {
  if (owner === "kernel" || !k.state.mm.kmemleak.enabled) return null;
  const task = current(k);
  const stack = stackOf(k, task);
  // A driver's plain function leaves no frame: what is known of it is whose it is.
  if (!stack.some((line) => line.endsWith(`[${owner}]`))) stack.unshift(addressIn(k, owner));
  if (task !== null && task.kind !== "kthread") stack.push(...SYSCALL_TRACE);
  return { comm: task?.comm ?? `swapper/${k.turn.cpu}`, pid: task?.tid ?? 0, jiffies: jiffies(k), stack: [by, ...stack].slice(0, MAX_TRACE), leak: "" };
}

/** A place in a module's code, as %pS prints one that has no name. */
function addressIn(k: Kernel, module: string): string {
  const loaded = k.state.modules.loaded.get(module);
  return loaded === undefined ? "0x0" : `0x${loaded.loadAddr.toString(16)} [${module}]`;
}
