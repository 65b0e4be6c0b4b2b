/** How the shell complains: with its name, and the line where a file is read. */
import type { StepTable } from "../../sched/steps.ts";
import { programSteps, type Proc, type ToolStep } from "../proc.ts";
import { shellOf, ShellProblem, type ShellLocals } from "./state.ts";

/** `sh: what`, or `script.sh: line 3: what`. */
export function complain(p: Proc<never> | Proc, what: string, line = -1): void {
  const { name, file } = shellOf(p);
  (p as Proc).err(file && line >= 0 ? `${name}: line ${line + 1}: ${what}\n` : `${name}: ${what}\n`);
}

/** Tells a problem; one that is not interactive ends with it. Answers its status. */
export function endBy(p: Proc<never> | Proc, problem: ShellProblem, line = -1): number {
  const sh = shellOf(p);
  complain(p, problem.message, line);
  abandon(sh, problem.status);
  return problem.status;
}

/** Leaves everything under way: an interactive shell goes back to its prompt, another ends. */
export function abandon(sh: ShellLocals, status: number): void {
  sh.status = status;
  sh.flow = sh.interactive ? "return" : "exit";
}

/** Steps of the shell: a problem in one of them is told, and ends the frame and what the shell is doing. */
export function shellSteps<L>(name: string, table: { [step: string]: ToolStep<L> }): StepTable<L> {
  const guarded: { [step: string]: ToolStep<L> } = {};
  for (const [step, run] of Object.entries(table)) {
    guarded[step] = (p, locals) => {
      try {
        return run(p, locals);
      } catch (problem) {
        if (!(problem instanceof ShellProblem)) throw problem;
        return endBy(p as Proc, problem);
      }
    };
  }
  return programSteps<L>(name, guarded);
}
