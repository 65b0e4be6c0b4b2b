/** Word expansion: parameters, substitutions that have been made, arithmetic, fields, patterns. Pure but for assignments. */
import type { Part, Word } from "./ast.ts";
import { arithmetic } from "./arithmetic.ts";
import { escapePattern, matches } from "./pattern.ts";
import { optionLetters } from "./options.ts";
import { assign, ShellProblem, valueOf, type ShellLocals } from "./state.ts";

/** One word that came out: its text, and the same as a pattern in which what was quoted is plain. */
export interface Field {
  text: string;
  pattern: string;
}

/** What command substitutions gave, by their nodes. */
export interface Made {
  [node: number]: string;
}

/** Longest single expansion. */
const LENGTH_MAX = 1 << 20;
const FIELDS_MAX = 100_000;

/** The command substitutions of words, in the order in which they are made. */
export function substitutions(words: Word[]): Extract<Part, { part: "command" }>[] {
  const found: Extract<Part, { part: "command" }>[] = [];
  const look = (word: Word): void => {
    for (const part of word) {
      if (part.part === "command") found.push(part);
      else if (part.part === "arithmetic" || part.part === "variable") look(part.word);
    }
  };
  for (const word of words) look(word);
  return found;
}

class Expansion {
  private readonly sh: ShellLocals;
  private readonly made: Made;
  readonly fields: Field[] = [];
  private current: Field | null = null;

  constructor(sh: ShellLocals, made: Made) {
    this.sh = sh;
    this.made = made;
  }

  private add(text: string, quoted: boolean): void {
    this.current ??= { text: "", pattern: "" };
    this.current.text += text;
    this.current.pattern += quoted ? escapePattern(text) : text;
    if (this.current.text.length > LENGTH_MAX) throw new ShellProblem("out of memory");
  }

  private end(): void {
    if (this.current !== null) this.fields.push(this.current);
    this.current = null;
    if (this.fields.length > FIELDS_MAX) throw new ShellProblem("out of memory");
  }

  /** Adds what an unquoted expansion gave, split into fields. */
  private split(text: string): void {
    const ifs = valueOf(this.sh, "IFS") ?? " \t\n";
    if (ifs === "") {
      if (text !== "") this.add(text, false);
      return;
    }
    const white = [...ifs].filter((char) => " \t\n".includes(char)).join("");
    let run = "";
    let pending = false; // white space that ends a field when something follows
    for (const char of text) {
      if (white.includes(char)) {
        if (run !== "") {
          this.add(run, false);
          run = "";
        }
        pending = true;
      } else if (ifs.includes(char)) {
        if (run !== "" || this.current === null || !pending) this.add(run, false);
        run = "";
        this.end();
        pending = false;
      } else {
        if (pending) this.end();
        pending = false;
        run += char;
      }
    }
    if (run !== "") this.add(run, false);
    if (pending) this.end();
  }

  word(word: Word, split: boolean): void {
    for (const [index, part] of word.entries()) {
      if (part.part === "text") {
        const text = index === 0 && !part.quoted ? this.tilde(part.text) : part.text;
        this.add(text, part.quoted);
      } else this.expand(part, split);
    }
    if (split) this.end();
  }

  private tilde(text: string): string {
    if (!text.startsWith("~")) return text;
    const slash = text.indexOf("/");
    const user = text.slice(1, slash < 0 ? text.length : slash);
    const home = user === "" ? valueOf(this.sh, "HOME") : user === "root" ? "/root" : undefined;
    return home === undefined ? text : home + (slash < 0 ? "" : text.slice(slash));
  }

  private expand(part: Exclude<Part, { part: "text" }>, split: boolean): void {
    const { quoted } = part;
    if (part.part === "command") this.value(this.made[part.node] ?? "", quoted, split);
    else if (part.part === "arithmetic") {
      const text = this.inner(part.word);
      this.value(arithmetic(text, { get: (name) => this.parameter(name), set: (name, value) => { assign(this.sh, name, value); } }), quoted, split);
    } else if (part.name === "@" || part.name === "*") this.all(part, split);
    else this.variable(part, split);
  }

  private value(text: string, quoted: boolean, split: boolean): void {
    if (quoted || !split) this.add(text, quoted);
    else this.split(text);
  }

  private all(part: Extract<Part, { part: "variable" }>, split: boolean): void {
    const { params } = this.sh;
    const { name, quoted, op } = part;
    if (op === "#len") return this.value(String(params.length), quoted, split);
    if (op !== "" && /^:?[-=?+]$/.test(op)) {
      const set = params.length > 0 && (!op.startsWith(":") || params.some((param) => param !== ""));
      if (op.endsWith("+") ? set : !set) return op.endsWith("?") ? this.missing(part) : this.alternative(part, split);
      if (op.endsWith("+")) return;
    }
    if (name === "*" && (quoted || !split)) {
      const ifs = valueOf(this.sh, "IFS");
      return this.add(params.join(ifs === undefined ? " " : ifs.slice(0, 1)), true);
    }
    if (!split) return this.add(params.join(" "), true);
    for (const [at, param] of params.entries()) {
      if (at > 0) this.end();
      if (quoted) this.add(param, true);
      else this.split(param);
    }
  }

  private parameter(name: string): string | undefined {
    const { sh } = this;
    if (/^[0-9]+$/.test(name)) return name === "0" ? sh.name : sh.params[Number(name) - 1];
    switch (name) {
      case "?": return String(sh.status);
      case "$": return String(sh.pid);
      case "!": return sh.lastBackground === 0 ? "" : String(sh.lastBackground);
      case "#": return String(sh.params.length);
      case "-": return optionLetters(sh);
      default: return valueOf(sh, name);
    }
  }

  private variable(part: Extract<Part, { part: "variable" }>, split: boolean): void {
    const { name, op, quoted } = part;
    const value = this.parameter(name);
    const empty = value === undefined || (op.startsWith(":") && value === "");
    switch (op.replace(":", "")) {
      case "-": return empty ? this.alternative(part, split) : this.value(value, quoted, split);
      case "+": return empty ? undefined : this.alternative(part, split);
      case "?": return empty ? this.missing(part) : this.value(value, quoted, split);
      case "=": {
        if (!empty) return this.value(value, quoted, split);
        const text = this.inner(part.word);
        if (!/^[A-Za-z_]/.test(name)) throw new ShellProblem(`${name}: bad variable name`);
        assign(this.sh, name, text);
        return this.value(text, quoted, split);
      }
    }
    if (value === undefined && this.sh.options.nounset) throw new ShellProblem(`${name}: parameter not set`);
    if (op === "#len") return this.value(String((value ?? "").length), quoted, split);
    if (op === "") {
      if (value !== undefined || quoted) this.value(value ?? "", quoted, split);
      return;
    }
    this.value(trimmed(value ?? "", this.innerPattern(part.word), op), quoted, split);
  }

  private missing({ name, op, word }: Extract<Part, { part: "variable" }>): never {
    const text = this.inner(word);
    throw new ShellProblem(`${name}: ${text === "" ? (op.startsWith(":") ? "parameter not set or null" : "parameter not set") : text}`);
  }

  /** The word of an operator takes the variable's place, with its own quotes. */
  private alternative({ word, quoted }: Extract<Part, { part: "variable" }>, split: boolean): void {
    for (const part of word) {
      if (part.part !== "text") this.expand(part, split);
      else if (part.quoted || quoted || !split) this.add(part.text, part.quoted || quoted);
      else this.split(part.text);
    }
    if (word.length === 0 && quoted) this.add("", true);
  }

  private inner(word: Word): string {
    const expansion = new Expansion(this.sh, this.made);
    expansion.word(word, false);
    return expansion.current?.text ?? "";
  }

  private innerPattern(word: Word): string {
    const expansion = new Expansion(this.sh, this.made);
    expansion.word(word, false);
    return expansion.current?.pattern ?? "";
  }

  /** The one field of a word that is not split. */
  single(): Field {
    return this.current ?? { text: "", pattern: "" };
  }
}

/** ${v#p} and its kin. */
function trimmed(value: string, pattern: string, op: string): string {
  if (op.startsWith("#")) {
    for (let step = 0; step <= value.length; step++) {
      const length = op === "##" ? value.length - step : step;
      if (matches(pattern, value.slice(0, length))) return value.slice(length);
    }
    return value;
  }
  for (let step = 0; step <= value.length; step++) {
    const from = op === "%%" ? step : value.length - step;
    if (matches(pattern, value.slice(from))) return value.slice(0, from);
  }
  return value;
}

/** Words as fields, before their patterns are looked for. @throws ShellProblem */
export function expandFields(sh: ShellLocals, words: Word[], made: Made): Field[] {
  const expansion = new Expansion(sh, made);
  const assigns = isPlain(words[0]) && ASSIGNING.has(words[0][0].text);
  for (const word of words) {
    if (!assigns || !isAssignment(word)) expansion.word(word, true);
    else {
      const { text } = expandSingle(sh, word, made);
      expansion.fields.push({ text, pattern: escapePattern(text) });
    }
  }
  return expansion.fields;
}

/** Builtins whose words NAME=VALUE stay one, as assignments do. */
const ASSIGNING = new Set(["export", "readonly", "local"]);

function isPlain(word: Word | undefined): word is [Extract<Part, { part: "text" }>] {
  return word?.length === 1 && word[0].part === "text";
}

function isAssignment(word: Word): boolean {
  const [first] = word;
  return word.length > 0 && first.part === "text" && !first.quoted && /^[A-Za-z_][A-Za-z0-9_]*=/.test(first.text);
}

/** A word that stays one: of an assignment, a redirection, a case. @throws ShellProblem */
export function expandSingle(sh: ShellLocals, word: Word, made: Made): Field {
  const expansion = new Expansion(sh, made);
  expansion.word(word, false);
  return expansion.single();
}
