/** Tools that make one call for each of their operands and complain of those that fail. */
import { to, type StepResult } from "../sched/steps.ts";
import type { Proc } from "./proc.ts";
import { tool } from "./tool.ts";

interface OperandLocals<S> {
  operands: string[];
  next: number;
  status: number;
  state: S;
}

export interface Operands<S> {
  begin(p: Proc, args: string[]): { operands: string[]; state: S } | number;
  call(p: Proc, operand: string, state: S): StepResult;
  /** What is said of a failure, without the tool's name; null when it is none. */
  failed(operand: string, errno: number, state: S): string | null;
  /** After a call that succeeded. */
  done?(p: Proc, operand: string, state: S): void;
}

export function operands<S>(name: string, directory: "bin" | "sbin", spec: Operands<S>): void {
  tool<OperandLocals<S>>(name, directory, (p, args) => {
    const begun = spec.begin(p, args);
    return typeof begun === "number" ? begun : { operands: begun.operands, next: 0, status: 0, state: begun.state };
  }, {
    next: (p, l) => (l.next >= l.operands.length ? l.status : spec.call(p, l.operands[l.next], l.state)),
    made: (p, l) => {
      const operand = l.operands[l.next++];
      const said = p.ret < 0 ? spec.failed(operand, -p.ret, l.state) : null;
      if (said !== null) {
        p.warn(said);
        l.status = 1;
      } else if (p.ret >= 0) spec.done?.(p, operand, l.state);
      return to("next");
    },
  });
}
