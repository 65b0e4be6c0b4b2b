/** head, tail, wc, tr, cut, sort, uniq, rev, tac: text in, text out. */
import { filter, takeLines } from "../filter.ts";
import { getopt, readCount, UNITS } from "../options.ts";

interface HeadState {
  bytes: number;
  lines: number;
  /** All but the last so many. */
  except: boolean;
  left: number;
  kept: string;
  headers: boolean;
  first: boolean;
}

function countOf(text: string): { count: number; sign: string } | undefined {
  const sign = /^[-+]/.exec(text)?.[0] ?? "";
  const count = readCount(text.slice(sign.length), UNITS);
  return count === undefined ? undefined : { count, sign };
}

/** `-5` is `-n 5`. */
const modern = (args: string[]): string[] => args.flatMap((word, at) => (at === 0 && /^-[0-9]+$/.test(word) ? ["-n", word.slice(1)] : [word]));

filter<HeadState>("head", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(modern(args), "n:c:qv", { lines: "n", bytes: "c" });
    if (problem !== "") return p.fail(problem);
    const given = has.c ?? has.n ?? "10";
    const count = countOf(given);
    if (count === undefined) return p.fail(`invalid number '${given}'`);
    return {
      files: rest, state: {
        bytes: "c" in has ? count.count : -1, lines: "c" in has ? -1 : count.count, except: count.sign === "-", left: 0, kept: "",
        headers: ("v" in has || rest.length > 1) && !("q" in has), first: true,
      },
    };
  },
  start: (p, state, l) => {
    state.left = state.bytes >= 0 ? state.bytes : state.lines;
    state.kept = "";
    if (state.headers) p.out(`${state.first ? "" : "\n"}==> ${l.file === "" || l.file === "-" ? "standard input" : l.file} <==\n`);
    state.first = false;
  },
  chunk: (p, state, bytes) => {
    if (state.except) {
      state.kept += bytes;
      return;
    }
    if (state.left <= 0) return false;
    if (state.bytes >= 0) {
      p.out(bytes.slice(0, state.left));
      state.left -= bytes.length;
      return state.left <= 0 ? false : undefined;
    }
    let at = 0;
    while (state.left > 0 && at < bytes.length) {
      const newline = bytes.indexOf("\n", at);
      if (newline < 0) at = bytes.length;
      else {
        at = newline + 1;
        state.left--;
      }
    }
    p.out(bytes.slice(0, at));
    return state.left <= 0 ? false : undefined;
  },
  finish: (p, state) => {
    if (!state.except) return;
    if (state.bytes >= 0) p.out(state.kept.slice(0, Math.max(0, state.kept.length - state.bytes)));
    else {
      const lines = state.kept.split(/(?<=\n)/);
      p.out(lines.slice(0, Math.max(0, lines.length - state.lines)).join(""));
    }
  },
});

interface TailState {
  count: number;
  bytes: boolean;
  fromStart: boolean;
  kept: string;
  seen: number;
  headers: boolean;
  first: boolean;
}

const TAIL_MAX = 4 << 20;

filter<TailState>("tail", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(modern(args), "n:c:qvfFs:", { lines: "n", bytes: "c", follow: "f" });
    if (problem !== "") return p.fail(problem);
    const given = has.c ?? has.n ?? "10";
    const count = countOf(given);
    if (count === undefined) return p.fail(`invalid number '${given}'`);
    return {
      files: rest,
      state: { count: count.count, bytes: "c" in has, fromStart: count.sign === "+", kept: "", seen: 0, headers: ("v" in has || rest.length > 1) && !("q" in has), first: true },
    };
  },
  start: (p, state, l) => {
    state.kept = "";
    state.seen = 0;
    if (state.headers) p.out(`${state.first ? "" : "\n"}==> ${l.file === "" || l.file === "-" ? "standard input" : l.file} <==\n`);
    state.first = false;
  },
  chunk: (p, state, bytes) => {
    if (!state.fromStart) {
      const kept = state.kept + bytes;
      state.kept = state.bytes ? kept.slice(Math.max(0, kept.length - state.count)) : lastLines(kept, state.count).slice(-TAIL_MAX);
      return;
    }
    let at = 0;
    const skip = Math.max(0, state.count - 1);
    if (state.bytes) {
      at = Math.min(bytes.length, Math.max(0, skip - state.seen));
      state.seen += at;
    } else {
      while (state.seen < skip && at < bytes.length) {
        const newline = bytes.indexOf("\n", at);
        at = newline < 0 ? bytes.length : newline + 1;
        if (newline >= 0) state.seen++;
      }
    }
    p.out(bytes.slice(at));
  },
  finish: (p, state) => {
    p.out(state.kept);
  },
});

function lastLines(text: string, count: number): string {
  if (count === 0) return "";
  let at = text.endsWith("\n") ? text.length - 1 : text.length;
  for (let left = count; left > 0; left--) {
    at = at <= 0 ? -1 : text.lastIndexOf("\n", at - 1);
    if (at < 0) return text;
  }
  return text.slice(at + 1);
}

interface WcState {
  shown: string;
  counts: [lines: number, words: number, bytes: number];
  totals: [lines: number, words: number, bytes: number];
  inWord: boolean;
  files: number;
  width: boolean;
}

filter<WcState>("wc", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "lwcmL", { lines: "l", words: "w", bytes: "c", chars: "m" });
    if (problem !== "") return p.fail(problem);
    const shown = [..."lwc"].filter((letter) => letter in has || (letter === "c" && "m" in has)).join("");
    return { files: rest, state: { shown: shown === "" ? "lwc" : shown, counts: [0, 0, 0], totals: [0, 0, 0], inWord: false, files: 0, width: false } };
  },
  start: (_p, state) => {
    state.counts = [0, 0, 0];
    state.inWord = false;
  },
  chunk: (_p, state, bytes) => {
    for (let at = 0; at < bytes.length; at++) {
      const code = bytes.charCodeAt(at);
      if (code === 10) state.counts[0]++;
      const blank = code === 32 || (code >= 9 && code <= 13);
      if (!blank && !state.inWord) state.counts[1]++;
      state.inWord = !blank;
    }
    state.counts[2] += bytes.length;
  },
  finish: (p, state, l) => {
    state.files++;
    state.counts.forEach((count, at) => { state.totals[at] += count; });
    p.out(wcLine(state, state.counts, l.file));
  },
  end: (p, state, l) => {
    if (l.files.length > 1) p.out(wcLine(state, state.totals, "total"));
  },
});

/** As busybox: several numbers stand in columns of nine, a single one alone. */
function wcLine({ shown }: WcState, counts: number[], name: string): string {
  const numbers = [...shown].map((letter) => String(counts["lwc".indexOf(letter)]));
  const text = numbers.length === 1 ? numbers[0] : numbers.map((number) => number.padStart(9)).join(" ");
  return `${text}${name === "" ? "" : ` ${name}`}\n`;
}

/** The characters that a tr operand names, in their order. */
function trSet(text: string): string {
  const classes: { [name: string]: string } = {
    alpha: "a-zA-Z", digit: "0-9", alnum: "0-9A-Za-z", upper: "A-Z", lower: "a-z", space: "\t-\r ", blank: "\t ", punct: "!-/:-@[-`{-~", xdigit: "0-9A-Fa-f",
    cntrl: "\0-\x1f\x7f", print: " -~", graph: "!-~",
  };
  const plain = text.replace(/\[:([a-z]+):\]/g, (whole, name: string) => classes[name] ?? whole)
    .replace(/\\([0-7]{1,3}|.)/gs, (_, escape: string) => {
      if (/^[0-7]/.test(escape)) return String.fromCharCode(Number.parseInt(escape, 8) & 255);
      return ({ n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v" } as { [letter: string]: string })[escape] ?? escape;
    });
  let set = "";
  for (let at = 0; at < plain.length; at++) {
    if (plain[at + 1] !== "-" || at + 2 >= plain.length) {
      set += plain[at];
      continue;
    }
    for (let code = plain.charCodeAt(at); code <= plain.charCodeAt(at + 2); code++) set += String.fromCharCode(code);
    at += 2;
  }
  return set;
}

filter<{ from: string; into: string; remove: boolean; squeeze: string; last: string; complement: boolean }>("tr", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "+cCdst", { delete: "d", "squeeze-repeats": "s", complement: "c" });
    if (problem !== "" || rest.length === 0 || rest.length > 2) return p.fail(problem === "" ? "missing operand" : problem);
    const complement = "c" in has || "C" in has;
    const named = trSet(rest[0]);
    let from = named;
    if (complement) {
      from = "";
      for (let code = 0; code < 256; code++) if (!named.includes(String.fromCharCode(code))) from += String.fromCharCode(code);
    }
    const remove = "d" in has;
    const into = rest[1] === undefined || remove ? "" : trSet(rest[1]);
    if (!remove && !("s" in has) && rest.length < 2) return p.fail("missing operand");
    const padded = into === "" ? "" : into.padEnd(from.length, into[into.length - 1]);
    const squeeze = !("s" in has) ? "" : rest[1] === undefined ? from : trSet(rest[1]);
    return { files: [], state: { from, into: padded, remove, squeeze, last: "", complement } };
  },
  chunk: (p, state, bytes) => {
    const { from, into, remove, squeeze } = state;
    let text = "";
    for (const char of bytes) {
      const at = from.indexOf(char);
      if (at >= 0 && remove) continue;
      const changed = at >= 0 && into !== "" ? into[at] : char;
      if (squeeze !== "" && changed === state.last && squeeze.includes(changed)) continue;
      text += changed;
      state.last = changed;
    }
    p.out(text);
  },
});

type Range = [from: number, to: number];

function ranges(text: string): Range[] | undefined {
  const found: Range[] = [];
  for (const part of text.split(",")) {
    const match = /^([0-9]*)(-?)([0-9]*)$/.exec(part);
    if (match === null || part === "" || part === "-") return undefined;
    const from = match[1] === "" ? 1 : Number(match[1]);
    found.push([from, match[2] === "" ? from : match[3] === "" ? 1e9 : Number(match[3])]);
  }
  return found;
}

filter<{ how: "b" | "c" | "f"; list: Range[]; delimiter: string; only: boolean; rest: string; output: string }>("cut", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "b:c:f:d:ns", { fields: "f", delimiter: "d", bytes: "b", characters: "c" });
    const how = "f" in has ? "f" : "c" in has ? "c" : "b" in has ? "b" : null;
    if (problem !== "" || how === null) return p.fail(problem === "" ? "expected a list of bytes, characters, or fields" : problem);
    const list = ranges(has[how]);
    if (list === undefined) return p.fail(`invalid byte or field list`);
    const delimiter = has.d ?? "\t";
    return { files: rest, state: { how, list, delimiter, only: "s" in has, rest: "", output: delimiter } };
  },
  chunk: (p, state, bytes) => {
    for (const line of takeLines(state, bytes)) p.out(cutLine(state, line));
  },
  finish: (p, state) => {
    if (state.rest !== "") p.out(cutLine(state, state.rest));
    state.rest = "";
  },
});

function cutLine({ how, list, delimiter, only, output }: { how: string; list: Range[]; delimiter: string; only: boolean; output: string }, line: string): string {
  const wanted = (number: number): boolean => list.some(([from, last]) => number >= from && number <= last);
  if (how !== "f") return `${[...line].filter((_, at) => wanted(at + 1)).join("")}\n`;
  if (!line.includes(delimiter)) return only ? "" : `${line}\n`;
  return `${line.split(delimiter).filter((_, at) => wanted(at + 1)).join(output)}\n`;
}

interface SortState {
  rest: string;
  lines: string[];
  has: { [letter: string]: string };
  keys: string[];
}

const SORT_MAX = 16 << 20;

filter<SortState>("sort", {
  begin: (p, args) => {
    const { has, all, rest, problem } = getopt(args, "nrufbdghMk:t:o:sz", { numeric: "n", reverse: "r", unique: "u", key: "k", "field-separator": "t" });
    if (problem !== "") return p.fail(problem);
    return { files: rest, state: { rest: "", lines: [], has, keys: all.filter(([letter]) => letter === "k").map(([, value]) => value) } };
  },
  chunk: (p, state, bytes, l) => {
    state.lines.push(...takeLines(state, bytes));
    if (state.lines.length * 16 > SORT_MAX) {
      l.done = true;
      l.status = p.fail("out of memory");
    }
  },
  finish: (_p, state) => {
    if (state.rest !== "") state.lines.push(state.rest);
    state.rest = "";
  },
  end: (p, state, l) => {
    const order = sortOrder(state);
    const sorted = state.lines.sort(order);
    const shown = "u" in state.has ? sorted.filter((line, at) => at === 0 || equalKeys(state, sorted[at - 1], line)) : sorted;
    if (shown.length > 0) p.out(`${shown.join("\n")}\n`);
    return l.status;
  },
});

function keyOf(line: string, key: string, separator: string | undefined): string {
  const match = /^([0-9]+)(?:\.([0-9]+))?[a-z]*(?:,([0-9]+)(?:\.([0-9]+))?[a-z]*)?$/.exec(key);
  if (match === null) return line;
  const fields = separator === undefined ? (line.match(/\s*\S+/g) ?? []) : line.split(separator);
  const from = Number(match[1]) - 1;
  const until = match[3] === undefined ? fields.length : Number(match[3]);
  return fields.slice(from, until).join(separator ?? "").slice(Math.max(0, Number(match[2] ?? 1) - 1));
}

const numeric = (text: string): number => Number.parseFloat(/^\s*-?[0-9]*\.?[0-9]+/.exec(text)?.[0] ?? "0") || 0;

function compareBy(has: SortState["has"], letters: string, a: string, b: string): number {
  if ("n" in has || "g" in has || "h" in has || /[ngh]/.test(letters)) return numeric(a) - numeric(b);
  const [x, y] = "f" in has || letters.includes("f") ? [a.toUpperCase(), b.toUpperCase()] : [a, b];
  return x < y ? -1 : x > y ? 1 : 0;
}

function keysCompare({ has, keys }: SortState, a: string, b: string): number {
  if (keys.length === 0) return compareBy(has, "", a, b);
  for (const key of keys) {
    const letters = key.replace(/[^a-z]/g, "");
    const result = compareBy(has, letters, keyOf(a, key, has.t), keyOf(b, key, has.t));
    if (result !== 0) return letters.includes("r") ? -result : result;
  }
  return 0;
}

const equalKeys = (state: SortState, a: string, b: string): boolean => keysCompare(state, a, b) === 0;

function sortOrder(state: SortState): (a: string, b: string) => number {
  const { has } = state;
  const sign = "r" in has ? -1 : 1;
  return (a, b) => {
    const result = keysCompare(state, a, b);
    if (result !== 0) return sign * result;
    return "u" in has || "s" in has || a === b ? 0 : sign * (a < b ? -1 : 1);
  };
}

interface UniqState {
  rest: string;
  has: { [letter: string]: string };
  line: string | null;
  count: number;
}

filter<UniqState>("uniq", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "cdui", { count: "c", repeated: "d", unique: "u" });
    return problem !== "" ? p.fail(problem) : { files: rest.slice(0, 1), state: { rest: "", has, line: null, count: 0 } };
  },
  chunk: (p, state, bytes) => {
    for (const line of takeLines(state, bytes)) p.out(uniqLine(state, line));
  },
  finish: (p, state) => {
    if (state.rest !== "") p.out(uniqLine(state, state.rest));
    p.out(uniqLine(state, null));
  },
});

function uniqLine(state: UniqState, line: string | null): string {
  const { has } = state;
  const same = line !== null && state.line !== null && ("i" in has ? line.toLowerCase() === state.line.toLowerCase() : line === state.line);
  if (same) {
    state.count++;
    return "";
  }
  const shown = state.line !== null && !("d" in has && state.count === 1) && !("u" in has && state.count > 1);
  const text = shown ? `${"c" in has ? `${String(state.count).padStart(7)} ` : ""}${state.line ?? ""}\n` : "";
  state.line = line;
  state.count = 1;
  return text;
}

filter<{ rest: string }>("rev", {
  begin: (_p, args) => ({ files: args, state: { rest: "" } }),
  chunk: (p, state, bytes) => {
    for (const line of takeLines(state, bytes)) p.out(`${[...line].reverse().join("")}\n`);
  },
  finish: (p, state) => {
    p.out([...state.rest].reverse().join(""));
  },
});
