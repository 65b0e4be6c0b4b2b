/** trap: commands for signals and for the end. */
import { SIGCHLD } from "../../abi/signal.ts";
import { handlersOf, groupOf } from "../../sched/task.ts";
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";
import type { Proc } from "../proc.ts";
import { shellSteps } from "./message.ts";
import { evaluate } from "./nodes.ts";
import { parse } from "./parse.ts";
import { shellOf } from "./state.ts";

interface TrapLocals {
  script: string;
  next: number;
  status: number;
}

/** Runs a trap's text; $? is what it was. */
function runText(script: string, status: number): StepResult {
  return enter(trapSteps, { script, next: 0, status });
}

const trapSteps = shellSteps<TrapLocals>("sh.trap", {
  next: (p, l) => {
    const sh = shellOf(p);
    const { commands } = parse(l.script);
    if (sh.flow !== "" || l.next >= commands.length) {
      if (sh.flow === "") sh.status = l.status;
      return sh.status;
    }
    return evaluate(p, l.script, commands[l.next++], false);
  },
  more: (p) => {
    shellOf(p).status = p.ret;
    return to("next");
  },
});

/** The trap of the shell's end, once. `exit` in it gives another status. */
export function runExitTrap(p: Proc): StepResult {
  const sh = shellOf(p);
  const text = sh.traps.get(0);
  sh.traps.delete(0);
  sh.flow = "";
  return text === undefined || text === "" ? NEXT : runText(text, sh.status);
}

/** A signal that has come and has a trap; 0 for none. */
export function pendingTrap(p: Proc<never> | Proc): number {
  const sh = shellOf(p);
  if (sh.traps.size === 0) return 0;
  const { counts } = handlersOf(p.k, groupOf(p.k, p.task));
  for (const signal of sh.traps.keys()) {
    if (signal !== 0 && signal !== SIGCHLD && (counts.get(signal) ?? 0) > (sh.trapped.get(signal) ?? 0)) return signal;
  }
  return 0;
}

/** Runs the trap of a signal that has come. */
export function runTrap(p: Proc<never> | Proc, signal: number): StepResult {
  const sh = shellOf(p);
  sh.trapped.set(signal, (sh.trapped.get(signal) ?? 0) + 1);
  return runText(sh.traps.get(signal) ?? "", sh.status);
}
