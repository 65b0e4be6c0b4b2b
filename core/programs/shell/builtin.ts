/** The table of the shell's builtins. */
import type { StepResult } from "../../sched/steps.ts";
import type { Proc } from "../proc.ts";
import type { ShellLocals } from "./state.ts";

/** Answers its exit status, or enters what will. */
export type Builtin = (p: Proc, sh: ShellLocals, args: string[]) => StepResult;

/** Builtins whose assignments stay, and whose failures end a shell that is not interactive. */
export const SPECIAL = new Set([":", ".", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "times", "trap", "unset"]);

const builtins = new Map<string, Builtin>();

export function builtin(name: string, run: Builtin): void {
  builtins.set(name, run);
}

export function builtinOf(name: string): Builtin | undefined {
  return builtins.get(name);
}
