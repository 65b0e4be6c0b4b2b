/** Running what the parser made: lists, conditions, loops, cases. Every frame answers an exit status. */
import { assert } from "../../lib/assert.ts";
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";
import type { Proc } from "../proc.ts";
import type { Node } from "./ast.ts";
import { expandNode, type Expanded } from "./expansion.ts";
import { endBy, shellSteps } from "./message.ts";
import { parse } from "./parse.ts";
import { matches } from "./pattern.ts";
import { background, forkNode, pipeline } from "./process.ts";
import { redirect, restore, targetsOf, type Saved } from "./redirect.ts";
import { simple } from "./simple.ts";
import { assign, shellOf, ShellProblem, type ShellLocals } from "./state.ts";
import { pendingTrap, runTrap } from "./traps.ts";

/** Frames of one shell inside one another. */
const FRAMES_MAX = 1_500;
/** What it takes a shell to go from one command to the next. */
const COMMAND_NS = 10_000;

interface At {
  script: string;
  node: number;
}

/** The node that a frame stands for, which is of that kind. */
function nodeOf<K extends Node["kind"]>({ script, node }: At, kind: K): Extract<Node, { kind: K }> {
  const found = parse(script).nodes[node];
  assert(found.kind === kind, `a ${found.kind} where a ${kind} was`);
  return found as Extract<Node, { kind: K }>;
}

/** Runs a node. `tail`: nothing comes after it in this process, so that a program may take its place. */
export function evaluate(p: Proc<never> | Proc, script: string, node: number, tail: boolean): StepResult {
  const found = parse(script).nodes[node];
  const { options, interactive } = shellOf(p);
  if (options.noexec && !interactive) {
    p.frame.ret = 0;
    return NEXT;
  }
  if (p.task.frames.length > FRAMES_MAX) return endBy(p, new ShellProblem("too much nesting"));
  switch (found.kind) {
    case "list": return enter(listSteps, { script, node, tail, next: 0, status: 0 });
    case "and": case "or": return enter(andOrSteps, { script, node, tail });
    case "not": return enter(notSteps, { script, node });
    case "pipe": return pipeline(script, node);
    case "simple": return simple(script, node, tail);
    case "if": return enter(ifSteps, { script, node, tail });
    case "while": return enter(whileSteps, { script, node, status: 0 });
    case "for": return enter(forSteps, { script, node, argv: [], singles: [], substituted: false, next: 0, status: 0 });
    case "case": return enter(caseSteps, { script, node, argv: [], singles: [], substituted: false, tail });
    case "group": return evaluate(p, script, found.body, tail);
    case "subshell": return tail ? evaluate(p, script, found.body, true) : forkNode(script, found.body);
    case "function": return enter(functionSteps, { script, node });
    case "redirected": return enter(redirectedSteps, { script, node, argv: [], singles: [], substituted: false, saves: [], status: 0 });
  }
}

interface ListLocals extends At {
  tail: boolean;
  next: number;
  status: number;
}

const listSteps = shellSteps<ListLocals>("sh.list", {
  next: (p, l) => {
    const { items } = nodeOf(l, "list");
    if (l.next >= items.length) return l.status;
    const { node, background: behind } = items[l.next++];
    p.work(COMMAND_NS);
    return behind ? background(l.script, node) : evaluate(p, l.script, node, l.tail && l.next === items.length);
  },
  done: (p, l) => {
    const sh = shellOf(p);
    l.status = p.ret;
    sh.status = p.ret;
    if (sh.flow !== "") return l.status;
    const { kind } = parse(l.script).nodes[nodeOf(l, "list").items[l.next - 1].node];
    if (p.ret !== 0 && sh.options.errexit && sh.tested === 0 && kind !== "not" && kind !== "and" && kind !== "or") {
      sh.flow = "exit";
      return l.status;
    }
    return NEXT;
  },
  traps: (p) => {
    const signal = pendingTrap(p);
    return signal === 0 ? to("next") : runTrap(p, signal);
  },
  trapped: (p) => (shellOf(p).flow === "" ? to("traps") : p.ret), // `exit` in a trap gives its own status
});

const andOrSteps = shellSteps<At & { tail: boolean }>("sh.andor", {
  left: (p, l) => {
    shellOf(p).tested++;
    const node = parse(l.script).nodes[l.node] as Extract<Node, { kind: "and" | "or" }>;
    return evaluate(p, l.script, node.left, false);
  },
  right: (p, l) => {
    const sh = shellOf(p);
    const node = parse(l.script).nodes[l.node] as Extract<Node, { kind: "and" | "or" }>;
    sh.tested--;
    sh.status = p.ret;
    if (sh.flow !== "" || (p.ret === 0) !== (node.kind === "and")) return p.ret;
    return evaluate(p, l.script, node.right, l.tail);
  },
  end: (p) => {
    const sh = shellOf(p);
    if (p.ret !== 0 && sh.options.errexit && sh.tested === 0 && sh.flow === "") sh.flow = "exit";
    return p.ret;
  },
});

const notSteps = shellSteps<At>("sh.not", {
  of: (p, l) => {
    shellOf(p).tested++;
    return evaluate(p, l.script, nodeOf(l, "not").of, false);
  },
  end: (p) => {
    const sh = shellOf(p);
    sh.tested--;
    return sh.flow !== "" ? p.ret : p.ret === 0 ? 1 : 0;
  },
});

const ifSteps = shellSteps<At & { tail: boolean }>("sh.if", {
  condition: (p, l) => {
    shellOf(p).tested++;
    return evaluate(p, l.script, nodeOf(l, "if").condition, false);
  },
  branch: (p, l) => {
    const sh = shellOf(p);
    const node = nodeOf(l, "if");
    sh.tested--;
    if (sh.flow !== "") return p.ret;
    const body = p.ret === 0 ? node.then : node.else;
    return body < 0 ? 0 : evaluate(p, l.script, body, l.tail);
  },
  end: (p) => p.ret,
});

/** Whether a loop ends: by break, or by what is above it. */
function leaves(sh: ShellLocals): boolean {
  if (sh.flow === "") return false;
  if (sh.flow !== "break" && sh.flow !== "continue") return true;
  if (--sh.levels > 0) return true;
  const ends = sh.flow === "break";
  sh.flow = "";
  return ends;
}

const whileSteps = shellSteps<At & { status: number }>("sh.while", {
  condition: (p, l) => {
    p.work(COMMAND_NS);
    shellOf(p).tested++;
    return evaluate(p, l.script, nodeOf(l, "while").condition, false);
  },
  body: (p, l) => {
    const sh = shellOf(p);
    const { until, body } = nodeOf(l, "while");
    sh.tested--;
    if (sh.flow !== "") return leaves(sh) ? l.status : to("condition");
    return (p.ret === 0) === until ? l.status : evaluate(p, l.script, body, false);
  },
  again: (p, l) => {
    l.status = p.ret;
    return leaves(shellOf(p)) ? l.status : to("condition");
  },
});

const forSteps = shellSteps<At & Expanded & { next: number; status: number }>("sh.for", {
  words: (p, l) => {
    if (nodeOf(l, "for").words !== null) return expandNode(l.script, l.node);
    l.argv = [...shellOf(p).params];
    p.frame.ret = 0;
    return NEXT;
  },
  next: (p, l) => {
    const { name, body } = nodeOf(l, "for");
    if (p.ret < 0 && l.next === 0) return 2;
    if (l.next >= l.argv.length) return l.status;
    p.work(COMMAND_NS);
    try {
      assign(shellOf(p), name, l.argv[l.next++]);
    } catch (problem) {
      if (!(problem instanceof ShellProblem)) throw problem;
      return endBy(p, problem);
    }
    return evaluate(p, l.script, body, false);
  },
  again: (p, l) => {
    l.status = p.ret;
    return leaves(shellOf(p)) ? l.status : to("next");
  },
});

const caseSteps = shellSteps<At & Expanded & { tail: boolean }>("sh.case", {
  words: (_p, l) => expandNode(l.script, l.node),
  choose: (p, l) => {
    if (p.ret < 0) return 2;
    const { arms } = nodeOf(l, "case");
    const [word, ...patterns] = l.singles;
    let at = 0;
    for (const arm of arms) {
      const own = patterns.slice(at, at + arm.patterns.length);
      at += arm.patterns.length;
      if (own.some(({ pattern }) => matches(pattern, word.text))) return evaluate(p, l.script, arm.body, l.tail);
    }
    return 0;
  },
  end: (p) => p.ret,
});

const functionSteps = shellSteps<At>("sh.define", {
  define: (p, l) => {
    const { name, body } = nodeOf(l, "function");
    const { functions } = shellOf(p);
    if (functions.size >= 1_000 && !functions.has(name)) return endBy(p, new ShellProblem("out of memory"));
    functions.set(name, { script: l.script, node: body });
    return 0;
  },
});

const redirectedSteps = shellSteps<At & Expanded & { saves: Saved[]; status: number }>("sh.redirected", {
  words: (_p, l) => expandNode(l.script, l.node),
  redirect: (p, l) => (p.ret < 0 ? 2 : redirect(targetsOf(nodeOf(l, "redirected").redirections, l.singles), true)),
  body: (p, l) => {
    l.status = p.ret;
    return p.ret !== 0 ? to("restore") : evaluate(p, l.script, nodeOf(l, "redirected").body, false);
  },
  ran: (p, l) => {
    l.status = p.ret;
    return NEXT;
  },
  restore: (_p, l) => restore(l.saves),
  end: (_p, { status }) => status,
});

