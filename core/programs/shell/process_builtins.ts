/** Builtins that run something in this shell: eval, ., exec; and times, which tells what it took. */
import { ENOENT, errnoMessage } from "../../abi/errno.ts";
import { getU64 } from "../../lib/bytes.ts";
import { toFixed } from "../../lib/decimal.ts";
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";
import { execvp, slurp } from "../files_lib.ts";
import type { Proc } from "../proc.ts";
import { builtin } from "./builtin.ts";
import { complain, shellSteps } from "./message.ts";
import { evaluate } from "./nodes.ts";
import { parse } from "./parse.ts";
import { exported, shellOf, ShellProblem, type ShellLocals } from "./state.ts";

// Texts that are run.

/** Runs a text's commands in this shell. */
export function runText(script: string): StepResult {
  return enter(textSteps, { script, next: 0, status: 0 });
}

const textSteps = shellSteps<{ script: string; next: number; status: number }>("sh.text", {
  next: (p, l) => {
    const sh = shellOf(p);
    const { commands, error } = parse(l.script);
    if (sh.flow !== "") return l.status;
    if (l.next < commands.length) return evaluate(p, l.script, commands[l.next++], false);
    if (error === "") return l.status;
    complain(p as Proc, `syntax error: ${error}`);
    sh.flow = sh.interactive ? "" : "exit";
    return 2;
  },
  more: (p, l) => {
    l.status = p.ret;
    shellOf(p).status = p.ret;
    return to("next");
  },
});

builtin("eval", (_p, _sh, args) => (args.length === 0 ? 0 : runText(args.join(" "))));

interface SourceLocals {
  path: string;
  text: string;
  params: string[] | null;
}

const sourceSteps = shellSteps<SourceLocals>("sh.source", {
  read: (_p, { path }) => slurp(path, "text"),
  run: (p, l) => {
    const sh = shellOf(p);
    if (p.ret < 0) throw new ShellProblem(`.: can't open '${l.path}'`);
    if (l.params !== null) [sh.params, l.params] = [l.params, sh.params];
    return runText(l.text);
  },
  end: (p, l) => {
    const sh = shellOf(p);
    if (l.params !== null) sh.params = l.params;
    if (sh.flow === "return") sh.flow = "";
    return p.ret;
  },
});

const source = (_p: Proc, _sh: ShellLocals, args: string[]): StepResult =>
  (args.length === 0 ? 2 : enter(sourceSteps, { path: args[0].includes("/") ? args[0] : `./${args[0]}`, text: "", params: args.length > 1 ? args.slice(1) : null }));
builtin(".", source);
builtin("source", source);

const execSteps = shellSteps<{ argv: string[]; status: number }>("sh.exec", {
  try: (p, { argv }) => execvp(p as Proc, argv, exported(shellOf(p))),
  failed: (p, l) => {
    l.status = p.ret === -ENOENT ? 127 : 126;
    complain(p as Proc, `exec: ${l.argv[0]}: ${p.ret === -ENOENT ? "not found" : errnoMessage(-p.ret)}`);
    shellOf(p).flow = "exit";
    return NEXT;
  },
  end: (_p, { status }) => status,
});
builtin("exec", (_p, _sh, args) => (args.length === 0 ? 0 : enter(execSteps, { argv: args, status: 0 })));

const TMS_SIZE = 32;
const CLOCK_TICKS = 100;

const timesSteps = shellSteps<object>("sh.times", {
  ask: (p) => p.sys("times", { room: TMS_SIZE }),
  tell: (p) => {
    const tms = p.took(TMS_SIZE);
    const shown = [0, 8, 16, 24].map((at) => {
      const ticks = Number(getU64(tms, at));
      return `${Math.floor(ticks / CLOCK_TICKS / 60)}m${toFixed((ticks / CLOCK_TICKS) % 60, 3)}s`;
    });
    p.out(`${shown[0]} ${shown[1]}\n${shown[2]} ${shown[3]}\n`);
    return 0;
  },
});
builtin("times", () => enter(timesSteps, {}));
