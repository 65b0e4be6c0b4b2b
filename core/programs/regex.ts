/** POSIX regular expressions, matched by following all ways at once: no pattern takes longer than its length times the text's. */

type Test = { any: true } | { set: Uint8Array };
type Instruction =
  | { op: "char"; test: Test }
  | { op: "split"; a: number; b: number }
  | { op: "jump"; to: number }
  | { op: "begin" | "end" | "word" | "inside" | "match" };

export interface Regex {
  program: Instruction[];
}

const LENGTH_MAX = 2_000;
const PROGRAM_MAX = 20_000;
const REPEAT_MAX = 255;
const DEPTH_MAX = 100;

class BadPattern extends Error {}

const CLASSES: { [name: string]: (code: number) => boolean } = {
  alpha: (c) => isAlpha(c), digit: (c) => c >= 48 && c <= 57, alnum: (c) => isAlpha(c) || (c >= 48 && c <= 57), upper: (c) => c >= 65 && c <= 90,
  lower: (c) => c >= 97 && c <= 122, space: (c) => c === 32 || (c >= 9 && c <= 13), blank: (c) => c === 32 || c === 9,
  punct: (c) => c > 32 && c < 127 && !isAlpha(c) && !(c >= 48 && c <= 57), xdigit: (c) => /[0-9A-Fa-f]/.test(String.fromCharCode(c)),
  print: (c) => c >= 32 && c < 127, graph: (c) => c > 32 && c < 127, cntrl: (c) => c < 32 || c === 127,
};

function isAlpha(code: number): boolean {
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
}

const isWord = (code: number): boolean => isAlpha(code) || (code >= 48 && code <= 57) || code === 95;

class Compiler {
  readonly program: Instruction[] = [];
  private at = 0;
  private depth = 0;
  private readonly text: string;
  private readonly extended: boolean;
  private readonly fold: boolean;

  constructor(text: string, extended: boolean, fold: boolean) {
    this.text = text;
    this.extended = extended;
    this.fold = fold;
  }

  whole(): void {
    this.alternatives();
    if (this.at < this.text.length) throw new BadPattern();
    this.emit({ op: "match" });
  }

  private emit(instruction: Instruction): number {
    if (this.program.length >= PROGRAM_MAX) throw new BadPattern();
    return this.program.push(instruction) - 1;
  }

  /** An operator is a plain character in extended expressions, and stands behind a backslash in basic ones. */
  private operator(char: string): boolean {
    return this.extended ? this.text[this.at] === char : this.text[this.at] === "\\" && this.text[this.at + 1] === char;
  }

  private take(char: string): boolean {
    if (!this.operator(char)) return false;
    this.at += this.extended ? 1 : 2;
    return true;
  }

  private alternatives(): void {
    if (++this.depth > DEPTH_MAX) throw new BadPattern();
    const start = this.program.length;
    this.branch();
    const ends: number[] = [];
    while (this.take("|")) {
      // What is there already moves behind a choice.
      this.insert(start, { op: "split", a: start + 1, b: 0 });
      ends.forEach((_, index) => { ends[index]++; });
      ends.push(this.emit({ op: "jump", to: 0 }));
      const split = this.program[start];
      if (split.op === "split") split.b = this.program.length;
      this.branch();
    }
    for (const end of ends) this.program[end] = { op: "jump", to: this.program.length };
    this.depth--;
  }

  private insert(at: number, instruction: Instruction): void {
    for (const one of this.program) {
      if (one.op === "split") {
        if (one.a >= at) one.a++;
        if (one.b >= at) one.b++;
      } else if (one.op === "jump" && one.to >= at) one.to++;
    }
    this.program.splice(at, 0, instruction);
    if (this.program.length > PROGRAM_MAX) throw new BadPattern();
  }

  private branch(): void {
    let first = true;
    while (this.at < this.text.length && !this.operator("|") && !(this.depth > 1 && this.operator(")"))) {
      const start = this.program.length;
      this.atom(first);
      first = false;
      while (this.repeat(start)) { /* several repeats in a row */ }
    }
  }

  private atom(first: boolean): void {
    const char = this.text[this.at];
    if (this.take("(")) {
      this.alternatives();
      if (!this.take(")")) throw new BadPattern();
      return;
    }
    if (char === "^" && (this.extended || first)) return void (this.at++, this.emit({ op: "begin" }));
    if (char === "$" && (this.extended || this.endsHere())) return void (this.at++, this.emit({ op: "end" }));
    if (char === ".") return void (this.at++, this.emit({ op: "char", test: { any: true } }));
    if (char === "[") return this.bracket();
    if (char === "*" && !first && this.extended) throw new BadPattern();
    if (char === "\\") return this.escape();
    this.at++;
    this.character(char.charCodeAt(0));
  }

  private endsHere(): boolean {
    return this.at === this.text.length - 1 || this.text.startsWith("\\)", this.at + 1) || this.text.startsWith("\\|", this.at + 1);
  }

  private escape(): void {
    const next = this.text[this.at + 1];
    if (next === undefined) throw new BadPattern();
    this.at += 2;
    if (next === "<" || next === ">" || next === "b") return void this.emit({ op: "word" });
    if (next === "B") return void this.emit({ op: "inside" });
    if (/[wWsS]/.test(next)) {
      const set = new Uint8Array(256);
      for (let code = 0; code < 256; code++) {
        const inClass = next.toLowerCase() === "w" ? isWord(code) : CLASSES.space(code);
        set[code] = inClass === (next === next.toLowerCase()) ? 1 : 0;
      }
      return void this.emit({ op: "char", test: { set } });
    }
    if (/[1-9]/.test(next)) throw new BadPattern(); // back references need another matcher
    this.character(next.charCodeAt(0));
  }

  private character(code: number): void {
    const set = new Uint8Array(256);
    set[code & 255] = 1;
    this.folded(set);
    this.emit({ op: "char", test: { set } });
  }

  private folded(set: Uint8Array): void {
    if (!this.fold) return;
    for (let code = 65; code <= 90; code++) if (set[code] === 1 || set[code + 32] === 1) set[code] = set[code + 32] = 1;
  }

  private bracket(): void {
    const set = new Uint8Array(256);
    let at = this.at + 1;
    const negated = this.text[at] === "^";
    if (negated) at++;
    for (let first = true; ; first = false) {
      const char = this.text[at];
      if (char === undefined) throw new BadPattern();
      if (char === "]" && !first) break;
      const name = /^\[:([a-z]+):\]/.exec(this.text.slice(at, at + 12));
      if (name !== null) {
        const test = CLASSES[name[1]];
        if (test === undefined) throw new BadPattern();
        for (let code = 0; code < 256; code++) if (test(code)) set[code] = 1;
        at += name[0].length;
        continue;
      }
      const from = char.charCodeAt(0);
      const ranged = this.text[at + 1] === "-" && this.text[at + 2] !== undefined && this.text[at + 2] !== "]";
      const last = ranged ? this.text.charCodeAt(at + 2) : from;
      for (let code = from; code <= last && code < 256; code++) set[code] = 1;
      at += ranged ? 3 : 1;
    }
    this.at = at + 1;
    this.folded(set);
    if (negated) for (let code = 0; code < 256; code++) set[code] ^= 1;
    this.emit({ op: "char", test: { set } });
  }

  /** A repeat of what was compiled from `start` on; false when none follows. */
  private repeat(start: number): boolean {
    let low: number;
    let high: number;
    if (this.text[this.at] === "*") {
      this.at++;
      [low, high] = [0, Infinity];
    } else if (this.take("+")) [low, high] = [1, Infinity];
    else if (this.take("?")) [low, high] = [0, 1];
    else if (this.operator("{")) {
      const close = this.extended ? "}" : "\\}";
      const from = this.at + (this.extended ? 1 : 2);
      const end = this.text.indexOf(close, from);
      const match = end < 0 ? null : /^([0-9]*)(,?)([0-9]*)$/.exec(this.text.slice(from, end));
      if (match === null) throw new BadPattern();
      this.at = end + close.length;
      low = Number(match[1] === "" ? 0 : match[1]);
      high = match[2] === "" ? low : match[3] === "" ? Infinity : Number(match[3]);
      if (low > REPEAT_MAX || (high !== Infinity && (high > REPEAT_MAX || high < low))) throw new BadPattern();
    } else return false;
    this.copies(start, low, high);
    return true;
  }

  private copies(start: number, low: number, high: number): void {
    const body = this.program.splice(start);
    const place = (): void => {
      const shift = this.program.length - start;
      for (const one of body) {
        this.emit(one.op === "split" ? { ...one, a: one.a + shift, b: one.b + shift } : one.op === "jump" ? { ...one, to: one.to + shift } : { ...one });
      }
    };
    for (let count = 0; count < low; count++) place();
    if (high === Infinity) {
      const split = this.emit({ op: "split", a: 0, b: 0 });
      place();
      this.emit({ op: "jump", to: split });
      this.program[split] = { op: "split", a: split + 1, b: this.program.length };
      return;
    }
    for (let count = low; count < high; count++) {
      const split = this.emit({ op: "split", a: 0, b: 0 });
      place();
      this.program[split] = { op: "split", a: split + 1, b: this.program.length };
    }
  }
}

/** A basic, extended or fixed pattern; null when it is none. Differs from Linux: no back references. */
export function compile(pattern: string, kind: "basic" | "extended" | "fixed", fold = false): Regex | null {
  if (pattern.length > LENGTH_MAX) return null;
  const text = kind === "fixed" ? pattern.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&") : pattern;
  const compiler = new Compiler(text, kind !== "basic", fold);
  try {
    compiler.whole();
  } catch (problem) {
    if (problem instanceof BadPattern) return null;
    throw problem;
  }
  return { program: compiler.program };
}

/** The longest match that begins first at or after `from`, or at `from` alone when `here`; null for none. */
export function search({ program }: Regex, text: string, from = 0, here = false): { at: number; end: number } | null {
  for (let at = from; at <= text.length; at++) {
    const end = matchAt(program, text, at);
    if (end >= 0) return { at, end };
    if (here) return null;
  }
  return null;
}

/** Whether the text holds a match, in one pass. */
export function holds({ program }: Regex, text: string): boolean {
  let now = new Ways(program.length);
  let next = new Ways(program.length);
  for (let at = 0; at <= text.length; at++) {
    if (follow(program, now, 0, text, at)) return true;
    const code = text.charCodeAt(at) & 255;
    next.clear();
    for (let index = 0; index < now.count; index++) {
      const one = program[now.list[index]];
      if (at < text.length && one.op === "char" && passes(one.test, code) && follow(program, next, now.list[index] + 1, text, at + 1)) return true;
    }
    [now, next] = [next, now];
  }
  return false;
}

class Ways {
  readonly list: Int32Array;
  private readonly seen: Uint8Array;
  count = 0;

  constructor(length: number) {
    this.list = new Int32Array(length);
    this.seen = new Uint8Array(length);
  }

  clear(): void {
    for (let index = 0; index < this.count; index++) this.seen[this.list[index]] = 0;
    this.count = 0;
  }

  add(at: number): boolean {
    if (this.seen[at] === 1) return false;
    this.seen[at] = 1;
    this.list[this.count++] = at;
    return true;
  }
}

const passes = (test: Test, code: number): boolean => "any" in test || test.set[code] === 1;

/** Adds what `pc` leads to without a character; true when that is a match. */
function follow(program: Instruction[], ways: Ways, pc: number, text: string, at: number): boolean {
  const pending = [pc];
  let matched = false;
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (!ways.add(next)) continue;
    const one = program[next];
    const edge = (): boolean => isWord(text.charCodeAt(at - 1)) !== isWord(text.charCodeAt(at));
    switch (one.op) {
      case "match": matched = true; break;
      case "jump": pending.push(one.to); break;
      case "split": pending.push(one.b, one.a); break;
      case "begin": if (at === 0) pending.push(next + 1); break;
      case "end": if (at === text.length) pending.push(next + 1); break;
      case "word": if (edge()) pending.push(next + 1); break;
      case "inside": if (!edge()) pending.push(next + 1); break;
      case "char": break;
    }
  }
  return matched;
}

function matchAt(program: Instruction[], text: string, from: number): number {
  let now = new Ways(program.length);
  let next = new Ways(program.length);
  let end = follow(program, now, 0, text, from) ? from : -1;
  for (let at = from; at < text.length && now.count > 0; at++) {
    const code = text.charCodeAt(at) & 255;
    next.clear();
    for (let index = 0; index < now.count; index++) {
      const one = program[now.list[index]];
      if (one.op === "char" && passes(one.test, code) && follow(program, next, now.list[index] + 1, text, at + 1)) end = at + 1;
    }
    [now, next] = [next, now];
  }
  return end;
}
