/** Simple commands: assignments, functions, builtins, and programs in a process of their own. */
import { EACCES, ENOENT, errnoMessage } from "../../abi/errno.ts";
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";
import { execvp } from "../files_lib.ts";
import { flush, type Proc } from "../proc.ts";
import type { Node } from "./ast.ts";
import { builtinOf, SPECIAL } from "./builtin.ts";
import { expandNode, type Expanded } from "./expansion.ts";
import { complain, endBy, shellSteps } from "./message.ts";
import { evaluate } from "./nodes.ts";
import { parse } from "./parse.ts";
import { cannotFork, joinJob, waitFor } from "./process.ts";
import { redirect, restore, targetsOf, type Saved } from "./redirect.ts";
import { assign, exported, shellOf, ShellProblem, type OptionPlace, type ShellLocals, type Variable } from "./state.ts";

interface SimpleLocals extends Expanded {
  script: string;
  node: number;
  tail: boolean;
  saves: Saved[];
  status: number;
  pid: number;
  pgid: number;
  /** Variables that hold for this command alone, as they were. */
  before: [name: string, variable: Variable | null][];
  /** What a function's caller goes on with. */
  params: string[];
  getopts: OptionPlace;
  /** A function runs. */
  called: boolean;
}

export function simple(script: string, node: number, tail: boolean): StepResult {
  return enter(simpleSteps, {
    script, node, tail, argv: [], singles: [], substituted: false, saves: [], status: 0, pid: 0, pgid: -1, before: [], params: [], getopts: { word: 1, letter: 0 }, called: false,
  });
}

function nodeOf({ script, node }: SimpleLocals): Extract<Node, { kind: "simple" }> {
  return parse(script).nodes[node] as Extract<Node, { kind: "simple" }>;
}

/** Sets the assignments of a command; with `keep`, what they replace is remembered. */
function setVariables(sh: ShellLocals, l: SimpleLocals, keep: boolean): void {
  for (const [at, { name }] of nodeOf(l).assignments.entries()) {
    if (keep) {
      const known = sh.variables.get(name);
      l.before.push([name, known === undefined ? null : { ...known }]);
    }
    assign(sh, name, l.singles[at].text, keep);
  }
}

function targets(l: SimpleLocals): ReturnType<typeof targetsOf> {
  const { redirections, assignments } = nodeOf(l);
  return targetsOf(redirections, l.singles.slice(assignments.length));
}

function guarded(p: Proc<SimpleLocals>, l: SimpleLocals, act: () => StepResult): StepResult {
  try {
    return act();
  } catch (problem) {
    if (!(problem instanceof ShellProblem)) throw problem;
    l.status = endBy(p as Proc, problem, nodeOf(l).line);
    return to("restore");
  }
}

const simpleSteps = shellSteps<SimpleLocals>("sh.simple", {
  words: (_p, l) => expandNode(l.script, l.node),
  choose: (p, l) => {
    if (p.ret < 0) return 2;
    const sh = shellOf(p);
    const [name] = l.argv;
    l.status = l.substituted ? sh.status : 0;
    if (sh.options.xtrace) {
      const assigned = nodeOf(l).assignments.map(({ name: variable }, at) => `${variable}=${l.singles[at].text}`);
      p.err(`+ ${[...assigned, ...l.argv].join(" ")}\n`);
    }
    if (name === undefined) return guarded(p, l, () => {
      setVariables(sh, l, false);
      return nodeOf(l).redirections.length === 0 ? to("end") : to("redirect");
    });
    if (sh.functions.has(name)) return to("redirect");
    return builtinOf(name) === undefined ? to("fork") : to("redirect");
  },

  // In this process: assignments alone, functions, builtins.
  redirect: (_p, l) => {
    const keep = l.argv[0] !== "exec" || l.argv.length > 1;
    return redirect(targets(l), keep);
  },
  run: (p, l) => {
    const sh = shellOf(p);
    const [name] = l.argv;
    if (p.ret !== 0) {
      l.status = p.ret;
      if (SPECIAL.has(name) && !sh.interactive) sh.flow = "exit";
      return to("restore");
    }
    if (name === undefined) return to("restore");
    return guarded(p, l, () => {
      const own = sh.functions.get(name);
      setVariables(sh, l, own !== undefined || !SPECIAL.has(name));
      if (own === undefined) {
        const ran = builtinOf(name)?.(p as Proc, sh, l.argv.slice(1)) ?? 127;
        if (typeof ran === "object") return ran;
        p.frame.ret = ran;
        return NEXT;
      }
      l.called = true;
      sh.saved.push([]);
      l.params = sh.params;
      sh.params = l.argv.slice(1);
      l.getopts = sh.getopts;
      sh.getopts = { word: 1, letter: 0 };
      return evaluate(p as Proc, own.script, own.node, false);
    });
  },
  ran: (p, l) => {
    const sh = shellOf(p);
    l.status = p.ret;
    if (l.called) {
      sh.params = l.params;
      putBack(sh, sh.saved.pop() ?? []);
      sh.getopts = { ...l.getopts };
      if (sh.flow === "return") sh.flow = "";
    }
    return enter(flush, { ret: 0 });
  },
  flushed: (p, l) => {
    const { main } = p;
    if (main.failed === 0) return NEXT;
    complain(p as Proc, `write error: ${errnoMessage(main.failed)}`);
    main.failed = 0;
    l.status = 1;
    return NEXT;
  },
  restore: (p, l) => {
    putBack(shellOf(p), l.before);
    return restore(l.saves);
  },
  end: (p, l) => {
    const sh = shellOf(p);
    sh.status = l.status;
    return l.status;
  },

  // In a process of its own.
  fork: (p, l) => {
    const sh = shellOf(p);
    if (l.tail && !sh.traps.has(0)) return to("child");
    l.pgid = sh.interactive && !sh.subshell && sh.terminal >= 0 ? 0 : -1;
    return p.sys("fork");
  },
  forked: (p, l) => {
    if (p.ret < 0) {
      l.status = cannotFork(p as Proc);
      return to("end");
    }
    l.pid = p.ret;
    if (p.ret === 0) return l.pgid < 0 ? to("child") : to("join");
    return l.pgid < 0 ? to("wait") : p.sys("setpgid", p.ret, p.ret);
  },
  wait: (_p, { pid, pgid, argv }) => waitFor([pid], pgid < 0 ? -1 : pid, argv.join(" ")),
  waited: (p, l) => {
    l.status = p.ret;
    return to("end");
  },

  join: (p) => joinJob(p as Proc, 0, false),
  child: (_p, l) => redirect(targets(l), false),
  exec: (p, l) => {
    const sh = shellOf(p);
    if (p.ret !== 0) return p.sys("exit_group", 1);
    try {
      setVariables(sh, l, true);
    } catch (problem) {
      if (!(problem instanceof ShellProblem)) throw problem;
      complain(p as Proc, problem.message);
      return to("leave");
    }
    return execvp(p as Proc, l.argv, exported(sh));
  },
  failed: (p, l) => {
    const [name] = l.argv;
    const missing = p.ret === -ENOENT;
    l.status = missing ? 127 : 126;
    complain(p as Proc, `${name}: ${missing ? "not found" : p.ret === -EACCES ? "Permission denied" : errnoMessage(-p.ret)}`, nodeOf(l).line);
    return NEXT;
  },
  leave: (p, l) => p.sys("exit_group", l.status),
});

/** Variables as they were. */
function putBack(sh: ShellLocals, before: [string, Variable | null][]): void {
  for (const [name, variable] of [...before].reverse()) {
    const now = sh.variables.get(name);
    if (now !== undefined) sh.size -= now.value.length + name.length;
    if (variable === null) sh.variables.delete(name);
    else {
      sh.variables.set(name, variable);
      sh.size += variable.value.length + name.length;
    }
  }
}
