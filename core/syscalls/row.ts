/** A row of the system-call table: the one place that says what a call is named, takes and does. */
import type { Kernel } from "../kernel.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import type { ArgType, CallView } from "./args.ts";

// What each argument arrives as is said by its type in `args`; a function destructures the tuple it expects.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type SyscallFunction = (k: Kernel, task: Task, args: any) => SyscallResult;

export interface RowSpec {
  /** x86-64 number; a pseudo call such as `load` has one above 1000. */
  x86_64: number;
  args: ArgType[];
  run: SyscallFunction;
  /** The result is an address: it is shown and returned as "0x…". */
  returns?: "address";
  /** How strace writes a result of 0 or more, where it is not the number alone. */
  showResult?: (ret: number | bigint, view: CallView) => string;
  /** What we leave out, said in a sentence; it goes into the documentation. */
  partial?: string;
}

export interface SyscallRow extends RowSpec {
  name: string;
  /** Some argument is a pointer: the call may need the scratch area. */
  pointers: boolean;
}

/** What it takes to enter a call, all of one shape: every call of every program comes by here. */
export interface SyscallEntry {
  run: SyscallFunction;
  /** Of each argument: how it is taken from its register, and whether it is a descriptor. */
  takes: ArgType["take"][];
  fds: boolean[];
}

/** What a family file exports: name → row. */
export type Rows = { [name: string]: RowSpec };
