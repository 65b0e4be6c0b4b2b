/** A kernel is its state, which is plain data, and the tables of code that the state names. */
import type { EndedCall, KernelEvent } from "./input.ts";
import type { KernelState } from "./state.ts";
import type { Hooks } from "./hooks.ts";
import type { StepTable } from "./sched/steps.ts";
import type { Task } from "./sched/task.ts";
import type { FileOperations } from "./fs/file.ts";
import type { VmOperations } from "./mm/vma.ts";
import type { TimerCallback } from "./time/timer.ts";
import type { TimerFunction } from "./time/timer_list.ts";
import type { SyscallEntry, SyscallRow } from "./syscalls/row.ts";

export interface Kernel {
  state: KernelState;
  tables: Tables;
  turn: Turn;
}

/** Code by the name that the state knows it by. The same for every kernel; built once in tables.ts. */
export interface Tables {
  steps: Map<string, StepTable>;
  fileOperations: Map<string, FileOperations>;
  vmOperations: Map<string, VmOperations>;
  timerCallbacks: Map<string, TimerCallback>;
  timerFunctions: Map<string, TimerFunction>;
  /** x86-64 number → row; a hole answers ENOSYS. */
  syscalls: (SyscallRow | undefined)[];
  syscallNames: Map<string, SyscallRow>;
  /** The same as they are entered. */
  syscallEntries: (SyscallEntry | undefined)[];
  syscallNumbers: Map<string, number>;
  /** Names that Linux has and we have not: they answer ENOSYS instead of being unknown. */
  unimplemented: Set<string>;
  hooks: Hooks;
}

/** What one call of `handle` gathers; never part of the state. */
export interface Turn {
  ended: EndedCall[];
  events: KernelEvent[];
  /** Steps that this call of `handle` may still take. */
  budget: number;
  /** Tid of the task whose step is running, 0 in timer context and between steps. */
  current: number;
  /** The same task, so that nobody need look it up; null with `current` 0. */
  task: Task | null;
  /** Index of the CPU that runs. */
  cpu: number;
  /** Whose time charged work is: the running task's, or that of a hard interrupt or a softirq on the CPU. */
  account: "task" | "irq" | "softirq";
  /** The first CPU's clock as the input began, ns: what it shows more at its end is the input's own cost. */
  beganNs: number;
  /** The preemption count of the interrupt under way; a task's own is in the task. */
  preemptCount: number;
  /** When the disk is done with what the running step asked of it, kernel time in ns; 0 for nothing. */
  ioUntilNs: number;
  /** A log record came while somebody sleeps on /dev/kmsg; `handle` wakes them. */
  logged: boolean;
}
