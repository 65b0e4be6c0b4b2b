/** od, hexdump, xxd: bytes as text. */
import { filter } from "../filter.ts";
import { getopt, readCount, UNITS } from "../options.ts";

interface DumpState {
  rest: string;
  at: number;
  left: number;
  skip: number;
  kind: string;
  /** Digits of an address, and its base. */
  base: number;
  last: string;
  starred: boolean;
}

const NAMES: { [code: number]: string } = { 0: "\\0", 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r" };
const ROW = 16;

const code = (text: string, at: number): number => text.charCodeAt(at);
const octal = (value: number, width: number): string => value.toString(8).padStart(width, "0");
const hex = (value: number, width: number): string => value.toString(16).padStart(width, "0");

/** A number of `size` bytes, the lowest first; what is missing at the end is 0. */
function word(row: string, at: number, size: number): bigint {
  let value = 0n;
  for (let index = size - 1; index >= 0; index--) value = value * 256n + BigInt(at + index < row.length ? code(row, at + index) : 0);
  return value;
}

function odRow(row: string, kind: string): string {
  if (kind === "c") return [...row].map((char) => (NAMES[code(char, 0)] ?? (code(char, 0) >= 32 && code(char, 0) < 127 ? char : octal(code(char, 0), 3))).padStart(4)).join("");
  const size = Number(kind.slice(1));
  const widths: { [format: string]: number[] } = { x: [0, 2, 4, 0, 8, 0, 0, 0, 16], o: [0, 3, 6, 0, 11, 0, 0, 0, 22], u: [0, 3, 5, 0, 10, 0, 0, 0, 20], d: [0, 4, 6, 0, 11, 0, 0, 0, 20] };
  let text = "";
  for (let at = 0; at < row.length; at += size) {
    const value = word(row, at, size);
    const width = widths[kind[0]][size];
    text += kind[0] === "x" ? ` ${value.toString(16).padStart(width, "0")}` : kind[0] === "o" ? ` ${value.toString(8).padStart(width, "0")}`
      : ` ${(kind[0] === "d" ? BigInt.asIntN(size * 8, value) : value).toString().padStart(width)}`;
  }
  return text;
}

const address = ({ base }: DumpState, at: number): string => (base === 0 ? "" : base === 8 ? octal(at, 7) : base === 16 ? hex(at, 7) : String(at).padStart(7, "0"));

function rows(state: DumpState, show: (row: string, at: number) => string, all: boolean): string {
  let text = "";
  while (state.rest.length >= ROW || (all && state.rest !== "")) {
    const row = state.rest.slice(0, ROW);
    state.rest = state.rest.slice(ROW);
    if (row === state.last && row.length === ROW) {
      if (!state.starred) text += "*\n";
      state.starred = true;
    } else {
      text += show(row, state.at);
      state.starred = false;
    }
    state.last = row;
    state.at += row.length;
  }
  return text;
}

/** Takes what comes, without what is skipped and beyond the count. */
function taken(state: DumpState, bytes: string): boolean {
  const skipped = Math.min(state.skip, bytes.length);
  state.skip -= skipped;
  state.at += skipped;
  const part = bytes.slice(skipped, skipped + state.left);
  state.left -= part.length;
  state.rest += part;
  return state.left > 0;
}

const FORMATS: { [letter: string]: string } = { b: "o1", c: "c", d: "u2", o: "o2", x: "x2", i: "d4", l: "d8", s: "d2", h: "x2" };

filter<DumpState>("od", {
  begin: (p, args) => {
    const { has, all, rest, problem } = getopt(args, "A:t:N:j:bcdoxilshvw:", { "address-radix": "A", format: "t", "read-bytes": "N", "skip-bytes": "j" });
    if (problem !== "") return p.fail(problem);
    const radix = ({ o: 8, x: 16, d: 10, n: 0 } as { [letter: string]: number })[has.A ?? "o"];
    const type = /^(?:(c)|([xoud])([1248CSIL]?))z?$/.exec(has.t ?? "");
    const sizes: { [letter: string]: string } = { C: "1", S: "2", I: "4", L: "8", "": "4" };
    const short = all.map(([letter]) => FORMATS[letter]).find((format) => format !== undefined);
    const kind = has.t === undefined ? (short ?? "o2") : type === null ? undefined : type[1] ?? `${type[2]}${sizes[type[3]] ?? type[3]}`;
    const [left, skip] = [readCount(has.N ?? "9007199254740991"), readCount(has.j ?? "0", UNITS)];
    if (kind === undefined || radix === undefined || left === undefined || skip === undefined) return p.fail("invalid argument");
    return { files: rest, state: { rest: "", at: 0, left, skip, kind, base: radix, last: "", starred: false } };
  },
  chunk: (p, state, bytes, l) => {
    if (!taken(state, bytes)) l.done = true;
    p.out(rows(state, (row, at) => `${address(state, at)}${odRow(row, state.kind)}\n`, false));
  },
  end: (p, state) => {
    p.out(rows(state, (row, at) => `${address(state, at)}${odRow(row, state.kind)}\n`, true));
    if (state.base !== 0) p.out(`${address(state, state.at)}\n`);
  },
});

function hexdumpRow(row: string, at: number, canonical: boolean): string {
  if (!canonical) {
    let text = hex(at, 7);
    for (let index = 0; index < row.length; index += 2) text += ` ${hex(Number(word(row, index, 2)), 4)}`;
    return `${text}\n`;
  }
  const bytes = [...row].map((char) => hex(code(char, 0), 2));
  const half = (from: number): string => bytes.slice(from, from + 8).join(" ").padEnd(23);
  const shown = [...row].map((char) => (code(char, 0) >= 32 && code(char, 0) < 127 ? char : ".")).join("");
  return `${hex(at, 8)}  ${half(0)}  ${half(8)}  |${shown}|\n`;
}

filter<DumpState>("hexdump", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "Cn:s:vx");
    const [left, skip] = [readCount(has.n ?? "9007199254740991"), readCount(has.s ?? "0", UNITS)];
    if (problem !== "" || left === undefined || skip === undefined) return p.fail(problem === "" ? "invalid number" : problem);
    return { files: rest, state: { rest: "", at: 0, left, skip, kind: "C" in has ? "C" : "x", base: 16, last: "", starred: false } };
  },
  chunk: (p, state, bytes, l) => {
    if (!taken(state, bytes)) l.done = true;
    p.out(rows(state, (row, at) => hexdumpRow(row, at, state.kind === "C"), false));
  },
  end: (p, state) => {
    p.out(rows(state, (row, at) => hexdumpRow(row, at, state.kind === "C"), true));
    if (state.at > 0) p.out(`${hex(state.at, state.kind === "C" ? 8 : 7)}\n`);
  },
});

function xxdRow(row: string, at: number): string {
  let text = "";
  for (let index = 0; index < ROW; index += 2) text += `${index < row.length ? hex(code(row, index), 2) : "  "}${index + 1 < row.length ? hex(code(row, index + 1), 2) : "  "} `;
  return `${hex(at, 8)}: ${text} ${[...row].map((char) => (code(char, 0) >= 32 && code(char, 0) < 127 ? char : ".")).join("")}\n`;
}

filter<DumpState>("xxd", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "pl:s:");
    const [left, skip] = [readCount(has.l ?? "9007199254740991"), readCount(has.s ?? "0")];
    if (problem !== "" || left === undefined || skip === undefined) return p.fail(problem === "" ? "invalid number" : problem);
    return { files: rest, state: { rest: "", at: 0, left, skip, kind: "p" in has ? "p" : "x", base: 16, last: "\0", starred: false } };
  },
  chunk: (p, state, bytes, l) => {
    if (!taken(state, bytes)) l.done = true;
    const size = state.kind === "p" ? 30 : ROW;
    while (state.rest.length >= size) {
      p.out(xxdPart(state, state.rest.slice(0, size)));
      state.rest = state.rest.slice(size);
    }
  },
  end: (p, state) => {
    if (state.rest !== "") p.out(xxdPart(state, state.rest));
  },
});

function xxdPart(state: DumpState, row: string): string {
  const text = state.kind === "p" ? `${[...row].map((char) => hex(code(char, 0), 2)).join("")}\n` : xxdRow(row, state.at);
  state.at += row.length;
  return text;
}
