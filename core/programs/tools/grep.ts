/** grep: lines that match basic, extended or fixed patterns. */
import { filter, takeLines } from "../filter.ts";
import { getopt } from "../options.ts";
import type { Proc } from "../proc.ts";
import { compile, holds, search, type Regex } from "../regex.ts";

interface GrepState {
  rest: string;
  patterns: string[];
  kind: "basic" | "extended" | "fixed";
  has: { [letter: string]: string };
  names: boolean;
  count: number;
  line: number;
  any: boolean;
  max: number;
  before: string[];
  after: number;
}

function expressions({ patterns, has, kind }: GrepState): Regex[] {
  return patterns.flatMap((pattern) => compile(pattern, kind, "i" in has) ?? []);
}

/** The first match in a line from `from` on, by the rules of -w and -x; null for none. */
function matchIn(regexes: Regex[], line: string, has: GrepState["has"], from: number): { at: number; end: number } | null {
  let best: { at: number; end: number } | null = null;
  for (const regex of regexes) {
    for (let at = from; at <= line.length; ) {
      const found = search(regex, line, at);
      if (found === null) break;
      const whole = !("x" in has) || (found.at === 0 && found.end === line.length);
      const word = !("w" in has) || (!isWord(line[found.at - 1]) && !isWord(line[found.end]));
      if (whole && word) {
        if (best === null || found.at < best.at || (found.at === best.at && found.end > best.end)) best = found;
        break;
      }
      at = found.at + 1;
    }
  }
  return best;
}

const isWord = (char: string | undefined): boolean => char !== undefined && /[A-Za-z0-9_]/.test(char);
/** Longer lines are looked at only so far where a match's place is wanted. */
const PLACE_MAX = 4_096;

function matches(regexes: Regex[], line: string, has: GrepState["has"]): boolean {
  if ("w" in has || "x" in has) return matchIn(regexes, line.slice(0, PLACE_MAX), has, 0) !== null;
  return regexes.some((regex) => holds(regex, line));
}

function show(p: Proc, state: GrepState, line: string, file: string, mark: string): void {
  const { has, names } = state;
  p.out(`${names ? `${file === "" ? "(standard input)" : file}${mark}` : ""}${"n" in has ? `${state.line}${mark}` : ""}${line}\n`);
}

/** -o: the parts of a line that match. */
function tellParts(p: Proc, state: GrepState, line: string, file: string, regexes: Regex[]): void {
  const text = line.slice(0, PLACE_MAX);
  for (let at = 0; at <= text.length; ) {
    const found = matchIn(regexes, text, state.has, at);
    if (found === null) return;
    if (found.end > found.at) show(p, state, text.slice(found.at, found.end), file, ":");
    at = Math.max(found.end, found.at + 1);
  }
}

/** Takes a line; false when enough is seen. */
function take(p: Proc, state: GrepState, line: string, file: string, regexes: Regex[]): boolean {
  const { has } = state;
  state.line++;
  const found = matches(regexes, line, has) !== "v" in has;
  if (!found) {
    if (state.after > 0) {
      state.after--;
      show(p, state, line, file, "-");
    } else if (Number(has.B ?? has.C ?? 0) > 0) {
      state.before.push(line);
      if (state.before.length > Number(has.B ?? has.C)) state.before.shift();
    }
    return true;
  }
  state.any = true;
  state.count++;
  if ("q" in has || "l" in has || "L" in has) return false;
  if (!("c" in has)) {
    if ("o" in has && !("v" in has)) tellParts(p, state, line, file, regexes);
    else {
      state.line -= state.before.length;
      for (const earlier of state.before) {
        show(p, state, earlier, file, "-");
        state.line++;
      }
      show(p, state, line, file, ":");
    }
    state.before = [];
    state.after = Number(has.A ?? has.C ?? 0);
  }
  return state.count < state.max;
}

filter<GrepState>("grep", {
  begin: (p, args) => {
    const { has, all, rest, problem } = getopt(args, "EFGie:f:vclLnqsohHwxm:A:B:C:rRa", {
      "extended-regexp": "E", "fixed-strings": "F", "ignore-case": "i", regexp: "e", "invert-match": "v", count: "c", "files-with-matches": "l",
      "line-number": "n", quiet: "q", silent: "q", "only-matching": "o", "max-count": "m", color: "G",
    });
    if (problem !== "") return p.fail(problem, 2);
    const given = all.filter(([letter]) => letter === "e").map(([, value]) => value);
    const operands = [...rest];
    if (given.length === 0) {
      const pattern = operands.shift();
      if (pattern === undefined) {
        p.err("Usage: grep [-HhnlLoqvsrRiwFE] [-m N] [-A|B|C N] { PATTERN | -e PATTERN... } [FILE]...\n");
        return 2;
      }
      given.push(pattern);
    }
    const kind = "F" in has ? "fixed" : "E" in has || p.name === "egrep" ? "extended" : "basic";
    const patterns = given.flatMap((pattern) => pattern.split("\n"));
    const bad = patterns.find((pattern) => compile(pattern, kind) === null);
    if (bad !== undefined) return p.fail(`bad regex '${bad}'`, 2);
    return {
      files: operands, state: {
        rest: "", patterns, kind, has, names: "H" in has || (operands.length > 1 && !("h" in has)), count: 0, line: 0, any: false,
        max: "m" in has ? Number(has.m) : Number.MAX_SAFE_INTEGER, before: [], after: 0,
      },
    };
  },
  cannot: (file, errno) => `${file}: ${errno === 2 ? "No such file or directory" : errno === 13 ? "Permission denied" : `error ${errno}`}`,
  start: (_p, state) => {
    state.rest = "";
    state.count = 0;
    state.line = 0;
    state.before = [];
    state.after = 0;
  },
  chunk: (p, state, bytes, l) => {
    const regexes = expressions(state);
    for (const line of takeLines(state, bytes)) {
      if (take(p, state, line, l.file, regexes)) continue;
      state.rest = "";
      if ("q" in state.has) l.done = true;
      return false;
    }
  },
  finish: (p, state, l) => {
    if (state.rest !== "") take(p, state, state.rest, l.file, expressions(state));
    state.rest = "";
    const { has } = state;
    const file = l.file === "" ? "(standard input)" : l.file;
    if ("c" in has) p.out(`${state.names ? `${file}:` : ""}${state.count}\n`);
    if ("l" in has && state.count > 0) p.out(`${file}\n`);
    if ("L" in has && state.count === 0) p.out(`${file}\n`);
  },
  end: (_p, state, l) => ("q" in state.has && state.any ? 0 : l.status !== 0 ? 2 : state.any ? 0 : 1),
});
