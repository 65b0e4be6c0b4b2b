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
  /** The functions that it stood in: their place in the depot. */
  stack: number;
  /** What kmemleak has told of it: nothing, that it is lost, or that and `clear` was written since. */
  leak: "" | "reported" | "cleared";
}

/** Functions of a stack that are kept, as kmemleak does. */
const MAX_TRACE = 16;
/** Different stacks that are kept; of further ones nothing is known. */
const MAX_STACKS = 1000;

/** What kmemleak keeps beside the traces. */
export interface Kmemleak {
  /** Off is for good. */
  enabled: boolean;
  /** What was written to scan=. */
  scanSecs: number;
  /** Stacks of allocations, each once, as lines with the innermost function first (stack_depot). */
  stacks: string[];
}

export function kmemleakInit(): Kmemleak {
  return { enabled: true, scanSecs: 600, stacks: [""] };
}

/** The trace of an allocation that goes on now in function `by`; null for the kernel's own, and while nobody traces. */
export function allocationTrace(k: Kernel, owner: string, by: string): AllocationTrace | null {
  if (owner === "kernel" || !k.state.mm.kmemleak.enabled) return null;
  const task = current(k);
  const stack = stackOf(k, task);
  // A driver's plain function leaves no frame: what is known of it is whose it is.
  if (!stack.some((line) => line.endsWith(`[${owner}]`))) stack.unshift(addressIn(k, owner));
  if (task !== null && task.kind !== "kthread") stack.push(...SYSCALL_TRACE);
  const lines = [by, ...stack].slice(0, MAX_TRACE).join("\n");
  return { comm: task?.comm ?? `swapper/${k.turn.cpu}`, pid: task?.tid ?? 0, jiffies: jiffies(k), stack: saveStack(k, lines), leak: "" };
}

function saveStack(k: Kernel, lines: string): number {
  const { stacks } = k.state.mm.kmemleak;
  const known = stacks.indexOf(lines);
  if (known >= 0) return known;
  return stacks.length < MAX_STACKS ? stacks.push(lines) - 1 : 0;
}

/** The functions of a trace, the innermost first. */
export function traceLines(k: Kernel, { stack }: AllocationTrace): string[] {
  const lines = k.state.mm.kmemleak.stacks[stack];
  return lines === "" ? [] : lines.split("\n");
}

/** A place in a module's code, as %pS prints one that has no name. */
function addressIn(k: Kernel, module: string): string {
  const loaded = k.state.modules.loaded.get(module);
  return loaded === undefined ? "0x0" : `0x${loaded.loadAddr.toString(16)} [${module}]`;
}
