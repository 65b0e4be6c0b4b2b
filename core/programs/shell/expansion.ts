/** Expanding the words of a node: its command substitutions are made one after the other, then fields, then patterns. */
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";

import type { Node, Word } from "./ast.ts";
import { expandFields, expandSingle, substitutions, type Field, type Made } from "./expand.ts";
import { glob } from "./glob.ts";
import { endBy, shellSteps } from "./message.ts";
import { parse } from "./parse.ts";
import { isMagic } from "./pattern.ts";
import { substitute } from "./process.ts";
import { shellOf, ShellProblem } from "./state.ts";

/** What the frame that asks for an expansion keeps. */
export interface Expanded {
  argv: string[];
  /** Words that stay one each: of assignments, redirections, a case. */
  singles: Field[];
  /** A command was substituted: its status is that of a command without a name. */
  substituted: boolean;
}

interface ExpansionLocals {
  /** $? as it was; -1 until it is known. */
  before: number;
  script: string;
  node: number;
  made: Made;
  next: number;
  text: string;
  fields: Field[];
  argv: string[];
  matched: string[];
}

/** The words that become fields, and those that stay one. */
function wordsOf(node: Node): { fields: Word[]; singles: Word[] } {
  switch (node.kind) {
    case "simple": return { fields: node.words, singles: [...node.assignments, ...node.redirections].map(({ word }) => word) };
    case "for": return { fields: node.words ?? [], singles: [] };
    case "case": return { fields: [], singles: [node.word, ...node.arms.flatMap(({ patterns }) => patterns)] };
    case "redirected": return { fields: [], singles: node.redirections.map(({ word }) => word) };
    default: return { fields: [], singles: [] };
  }
}

/** Leaves `argv`, `singles` and `substituted` with the one that enters it; a negative answer is a problem that has been told. */
export function expandNode(script: string, node: number): StepResult {
  return enter(expansionSteps, { before: -1, script, node, made: {}, next: 0, text: "", fields: [], argv: [], matched: [] });
}

function words(l: ExpansionLocals): { fields: Word[]; singles: Word[] } {
  return wordsOf(parse(l.script).nodes[l.node]);
}

const expansionSteps = shellSteps<ExpansionLocals>("sh.expand", {
  substitute: (p, l) => {
    if (l.before < 0) l.before = shellOf(p).status;
    const { fields, singles } = words(l);
    const part = substitutions([...fields, ...singles])[l.next];
    if (part === undefined) return to("fields");
    return part.script === "" ? substitute(l.script, part.node) : substitute(part.script, -1);
  },
  substituted: (_p, l) => {
    const { fields, singles } = words(l);
    l.made[substitutions([...fields, ...singles])[l.next++].node] = l.text;
    return to("substitute");
  },
  fields: (p, l) => {
    const sh = shellOf(p);
    const { fields, singles } = words(l);
    const { status } = sh;
    sh.status = l.before; // $? is that of the command before, not of a substitution
    try {
      l.fields = expandFields(sh, fields, l.made);
      p.give("singles", singles.map((word) => expandSingle(sh, word, l.made)));
      p.give("substituted", l.next > 0);
    } catch (problem) {
      if (!(problem instanceof ShellProblem)) throw problem;
      endBy(p, problem);
      return to("failed");
    }
    sh.status = status;
    l.next = 0;
    return to("glob");
  },
  failed: () => -1,
  glob: (p, l) => {
    const noglob = shellOf(p).options.noglob;
    for (; l.next < l.fields.length; l.next++) {
      const { pattern, text } = l.fields[l.next];
      if (!noglob && isMagic(pattern)) return glob(pattern, "matched");
      l.argv.push(text);
    }
    p.give("argv", l.argv);
    return 0;
  },
  globbed: (_p, l) => {
    if (l.matched.length > 0) l.argv.push(...l.matched);
    else l.argv.push(l.fields[l.next].text);
    l.matched = [];
    l.next++;
    return NEXT;
  },
  more: () => to("glob"),
});
