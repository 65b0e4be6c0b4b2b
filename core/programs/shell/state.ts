/** What a shell keeps: variables, functions, parameters, jobs. Plain data in the frame of its program. */
import type { Proc } from "../proc.ts";
import { must } from "../../lib/assert.ts";

export interface Variable {
  value: string;
  exported: boolean;
  readonly: boolean;
}

export interface Job {
  number: number;
  pgid: number;
  pids: number[];
  text: string;
  /** Wait status of the last process; -1 while it runs. */
  status: number;
  stopped: boolean;
  told: boolean;
}

/** What `set` switches, in the order in which `set -o` shows it. */
export interface ShellOptions {
  errexit: boolean;
  noglob: boolean;
  noexec: boolean;
  xtrace: boolean;
  verbose: boolean;
  noclobber: boolean;
  allexport: boolean;
  nounset: boolean;
  pipefail: boolean;
}

/** Where getopts goes on: the number of the next word, and the place in the one before it, 0 where that is done. */
export interface OptionPlace {
  word: number;
  letter: number;
}

export interface ShellLocals {
  /** $0, in messages too. */
  name: string;
  variables: Map<string, Variable>;
  functions: Map<string, { script: string; node: number }>;
  params: string[];
  pid: number;
  status: number;
  lastBackground: number;
  /** What ends the commands under way: exit, return, break, continue; "" for nothing. */
  flow: "" | "exit" | "return" | "break" | "continue";
  /** Loops that break or continue leaves. */
  levels: number;
  /** Functions under way: variables that `local` put aside. */
  saved: [name: string, variable: Variable | null][][];
  options: ShellOptions;
  getopts: OptionPlace;
  /** The working directory by the names that led there; "" where it is not known. */
  cwd: string;
  jobs: Job[];
  traps: Map<number, string>;
  /** Counted deliveries that a trap has run for. */
  trapped: Map<number, number>;
  interactive: boolean;
  /** A copy that runs a part of another shell's script. */
  subshell: boolean;
  /** Scripts are told with their line; a -c string is not. */
  file: boolean;
  /** A command whose failure must not end the shell (-e). */
  tested: number;
  /** Characters of all variables. */
  size: number;
  source: string;
  next: number;
  /** The terminal's descriptor of an interactive shell, and its own process group. */
  terminal: number;
  pgid: number;
}

/** Characters that all variables of a shell hold, and the longest one. */
const SIZE_MAX = 4 << 20;

/** The shell that a step belongs to. */
export function shellOf(p: Proc<never> | Proc): ShellLocals {
  for (let at = p.task.frames.length - 1; at >= 0; at--) {
    const frame = p.task.frames[at];
    if (frame.code === "bin.sh") return frame.locals as ShellLocals;
  }
  return must(new Map<string, ShellLocals>(), "a shell's frame");
}

/** An error that a shell tells and that ends what it does. */
export class ShellProblem extends Error {
  readonly status: number;
  constructor(message: string, status = 2) {
    super(message);
    this.status = status;
  }
}

export function valueOf(sh: ShellLocals, name: string): string | undefined {
  return sh.variables.get(name)?.value;
}

/** Gives a variable a value. @throws ShellProblem when it is read-only, or there is too much of all */
export function assign(sh: ShellLocals, name: string, value: string, exported = false): void {
  const known = sh.variables.get(name);
  if (known?.readonly === true) throw new ShellProblem(`${name}: is read only`);
  sh.size += value.length - (known?.value.length ?? -name.length);
  if (sh.size > SIZE_MAX) throw new ShellProblem("out of memory");
  const leaves = exported || sh.options.allexport;
  if (known === undefined) sh.variables.set(name, { value, exported: leaves, readonly: false });
  else {
    known.value = value;
    known.exported ||= leaves;
  }
  if (name === "OPTIND") sh.getopts = { word: Number(value) >= 1 ? Math.trunc(Number(value)) : 1, letter: 0 };
}

export function unset(sh: ShellLocals, name: string): void {
  const known = sh.variables.get(name);
  if (known === undefined) return;
  if (known.readonly) throw new ShellProblem(`${name}: is read only`);
  sh.size -= known.value.length + name.length;
  sh.variables.delete(name);
}

/** The environment of what the shell runs. */
export function exported(sh: ShellLocals): string[] {
  return [...sh.variables].filter(([, variable]) => variable.exported).map(([name, { value }]) => `${name}=${value}`);
}
