/** Pathname expansion: a pattern as the sorted paths that match it. */
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";
import { readdir, type Entry } from "../files_lib.ts";
import { programSteps } from "../proc.ts";
import { isMagic, matches, unescapePattern } from "./pattern.ts";

interface GlobLocals {
  into: string;
  /** Components still to be matched; the first is under way. */
  parts: string[];
  /** Paths matched so far, with their slash. */
  prefixes: string[];
  found: string[];
  index: number;
  entries: Entry[];
}

const FOUND_MAX = 100_000;

/** Leaves the paths that match in `into`, none when nothing does. */
export function glob(pattern: string, into: string): StepResult {
  const absolute = pattern.startsWith("/");
  return enter(globSteps, {
    into, parts: pattern.split("/").filter((part) => part !== ""), prefixes: [absolute ? "/" : ""], found: [], index: 0, entries: [],
  });
}

const globSteps = programSteps<GlobLocals>("sh.glob", {
  part: (p, l) => {
    if (l.parts.length === 0) {
      p.give(l.into, l.prefixes.sort());
      return 0;
    }
    l.found = [];
    l.index = 0;
    const [part] = l.parts;
    if (isMagic(part)) return to("prefix");
    const plain = unescapePattern(part);
    l.prefixes = l.prefixes.map((prefix) => join(prefix, plain));
    return to("exist");
  },
  prefix: (_p, l) => {
    if (l.index >= l.prefixes.length) return to("done");
    l.entries = [];
    return readdir(l.prefixes[l.index] === "" ? "." : l.prefixes[l.index], "entries");
  },
  listed: (_p, l) => {
    const [part] = l.parts;
    for (const { name } of l.entries) {
      if (l.found.length < FOUND_MAX && name !== "." && name !== ".." && (!name.startsWith(".") || part.startsWith(".")) && matches(part, name)) {
        l.found.push(join(l.prefixes[l.index], name));
      }
    }
    l.index++;
    return to("prefix");
  },
  exist: (p, l) => (l.index >= l.prefixes.length ? to("done") : p.statOf(l.prefixes[l.index], { link: true })),
  existed: (p, l) => {
    if (p.ret >= 0) l.found.push(l.prefixes[l.index]);
    l.index++;
    return to("exist");
  },
  done: (_p, l) => {
    l.prefixes = l.found;
    l.found = [];
    l.parts.shift();
    return NEXT;
  },
  more: () => to("part"),
});

function join(prefix: string, name: string): string {
  return prefix === "" || prefix.endsWith("/") ? prefix + name : `${prefix}/${name}`;
}
