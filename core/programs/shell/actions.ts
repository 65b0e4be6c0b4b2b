/** Setting what signals do to a shell. */
import { enter, to, type StepResult } from "../../sched/steps.ts";
import { programSteps } from "../proc.ts";
import { putU32 } from "../../lib/bytes.ts";

const SIGSET = 8;

/** SIG_DFL 0, SIG_IGN 1, or 2 for a handler, which the shell looks after between commands. */
export function setActions(signals: number[], handler: number): StepResult {
  return enter(actionSteps, { signals: signals.filter((signal) => signal > 0), handler });
}

const actionSteps = programSteps<{ signals: number[]; handler: number }>("sh.actions", {
  next: (p, { signals, handler }) => {
    const signal = signals.shift();
    if (signal === undefined) return 0;
    const action = new Uint8Array(32);
    putU32(action, 0, handler);
    return p.sys("rt_sigaction", signal, action, 0, SIGSET);
  },
  more: () => to("next"),
});

