/** Words of the shell's language: quotes, $name, ${…}, $(…), `…`, $((…)), as parts. */
import type { Node, Part, Word } from "./ast.ts";

export class SyntaxProblem extends Error {
  readonly incomplete: boolean;
  constructor(message: string, incomplete = false) {
    super(message);
    this.incomplete = incomplete;
  }
}

/** Constructs inside one another. */
const DEPTH_MAX = 200;

/** Reads words from a text; what stands in $(…) is the grammar's to read. */
export abstract class WordReader {
  readonly text: string;
  readonly nodes: Node[];
  at = 0;
  depth = 0;

  constructor(text: string, nodes: Node[]) {
    this.text = text;
    this.nodes = nodes;
  }

  /** Commands up to the closing parenthesis, which is taken too. */
  protected abstract substituted(): number;
  /** A reader of another text into the same nodes. */
  protected abstract fresh(text: string): WordReader;
  /** Skips blanks, comments and continued lines. */
  abstract blanks(): void;

  add(node: Node): number {
    this.nodes.push(node);
    return this.nodes.length - 1;
  }

  nested<T>(read: () => T): T {
    if (++this.depth > DEPTH_MAX) throw new SyntaxProblem("too deep");
    const value = read();
    this.depth--;
    return value;
  }

  /** What another text holds, as in double quotes. */
  inner(text: string, document: boolean): Word {
    const reader = this.fresh(text);
    reader.depth = this.depth + 1;
    return reader.quotedParts("", document);
  }

  word(): Word | null {
    this.blanks();
    const char = this.text[this.at];
    if (char === undefined || /[\s;&|<>()]/.test(char)) return null;
    const parts: Word = [];
    for (;;) {
      const next = this.text[this.at];
      if (next === undefined || /[\s;&|<>()]/.test(next)) break;
      if (next === "\\") {
        if (this.text[this.at + 1] !== "\n") addText(parts, this.text[this.at + 1] ?? "\\", true);
        this.at += 2;
      } else if (next === "'") {
        const end = this.text.indexOf("'", this.at + 1);
        if (end < 0) throw new SyntaxProblem("unterminated quoted string", true);
        addText(parts, this.text.slice(this.at + 1, end), true);
        this.at = end + 1;
      } else if (next === "\"") {
        this.at++;
        const quoted = this.quotedParts("\"", false);
        parts.push(...(quoted.length === 0 ? [{ part: "text", text: "", quoted: true } as const] : quoted));
      } else if (next === "$" || next === "`") this.dollar(parts, false);
      else {
        addText(parts, next, false);
        this.at++;
      }
    }
    return parts;
  }

  /** What stands in double quotes, up to `end` ("" for the end of the text). */
  quotedParts(end: string, document: boolean): Word {
    const parts: Word = [];
    for (;;) {
      const next = this.text[this.at];
      if (next === undefined) {
        if (end === "") return parts;
        throw new SyntaxProblem("unterminated quoted string", true);
      }
      if (next === end) {
        this.at++;
        return parts;
      }
      if (next === "\\") {
        const after = this.text[this.at + 1] ?? "";
        if (after === "\n") this.at += 2;
        else if (after !== "" && ("$`\\".includes(after) || (after === "\"" && !document))) {
          addText(parts, after, true);
          this.at += 2;
        } else {
          addText(parts, "\\", true);
          this.at++;
        }
      } else if (next === "$" || next === "`") this.dollar(parts, true);
      else {
        addText(parts, next, true);
        this.at++;
      }
    }
  }

  /** $… or `…` */
  dollar(parts: Word, quoted: boolean): void {
    const rest = this.text.slice(this.at);
    if (rest.startsWith("`")) return this.backquotes(parts, quoted);
    if (rest.startsWith("$((")) {
      const end = this.arithmeticEnd();
      if (end >= 0) {
        const inner = this.text.slice(this.at + 3, end);
        this.at = end + 2;
        parts.push({ part: "arithmetic", word: this.inner(inner, true), quoted });
        return;
      }
    }
    if (rest.startsWith("$(")) {
      this.at += 2;
      const node = this.substituted();
      parts.push({ part: "command", node, script: "", quoted });
      return;
    }
    if (rest.startsWith("${")) {
      this.at += 2;
      parts.push(this.nested(() => this.braced(quoted)));
      return;
    }
    const name = /^\$([A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])/.exec(rest);
    if (name === null) {
      addText(parts, "$", quoted);
      this.at++;
      return;
    }
    this.at += name[0].length;
    parts.push({ part: "variable", name: name[1], op: "", word: [], quoted });
  }

  backquotes(parts: Word, quoted: boolean): void {
    let script = "";
    for (this.at++; ; this.at++) {
      const next = this.text[this.at];
      if (next === undefined) throw new SyntaxProblem("EOF in backquote substitution", true);
      if (next === "`") break;
      const after = this.text[this.at + 1] ?? "";
      if (next === "\\" && ("$`\\".includes(after) || (quoted && after === "\"")) && after !== "") {
        script += after;
        this.at++;
      } else script += next;
    }
    this.at++;
    // A node of its own, so that what it gave is found by its number.
    parts.push({ part: "command", node: this.add({ kind: "list", items: [] }), script, quoted });
  }

  /** Where the `))` of an arithmetic expansion stands; -1 when it is a command substitution after all. */
  arithmeticEnd(): number {
    let depth = 0;
    for (let at = this.at + 3; at < this.text.length; at++) {
      const char = this.text[at];
      if (char === "(") depth++;
      else if (char === ")") {
        if (depth === 0) return this.text[at + 1] === ")" ? at : -1;
        depth--;
      }
    }
    throw new SyntaxProblem("missing '))'", true);
  }

  /** What follows `${`. */
  braced(quoted: boolean): Part {
    if (/^#[A-Za-z_0-9@*?$!-]/.test(this.text.slice(this.at, this.at + 2)) && this.text[this.at + 1] !== "}") {
      this.at++;
      const name = this.parameter();
      this.close();
      return { part: "variable", name, op: "#len", word: [], quoted };
    }
    const name = this.parameter();
    const op = /^(:?[-=?+]|##?|%%?)/.exec(this.text.slice(this.at))?.[0] ?? "";
    this.at += op.length;
    const word = op === "" ? [] : this.bracedWord(quoted && !op.startsWith("#") && !op.startsWith("%"));
    if (op === "") this.close();
    return { part: "variable", name, op, word, quoted };
  }

  parameter(): string {
    const name = /^([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])/.exec(this.text.slice(this.at))?.[0];
    if (name === undefined) {
      if (this.at >= this.text.length) throw new SyntaxProblem("unterminated ${", true);
      throw new SyntaxProblem("bad substitution");
    }
    this.at += name.length;
    return name;
  }

  close(): void {
    if (this.text[this.at] !== "}") throw new SyntaxProblem(this.at >= this.text.length ? "unterminated ${" : "bad substitution", this.at >= this.text.length);
    this.at++;
  }

  /** The word of an operator, up to the closing brace. */
  bracedWord(quoted: boolean): Word {
    const parts: Word = [];
    for (;;) {
      const next = this.text[this.at];
      if (next === undefined) throw new SyntaxProblem("unterminated ${", true);
      if (next === "}") {
        this.at++;
        return parts;
      }
      if (next === "\\") {
        addText(parts, this.text[this.at + 1] ?? "\\", true);
        this.at += 2;
      } else if (next === "'" && !quoted) {
        const end = this.text.indexOf("'", this.at + 1);
        if (end < 0) throw new SyntaxProblem("unterminated quoted string", true);
        addText(parts, this.text.slice(this.at + 1, end), true);
        this.at = end + 1;
      } else if (next === "\"") {
        this.at++;
        parts.push(...this.quotedParts("\"", false));
      } else if (next === "$" || next === "`") this.dollar(parts, quoted);
      else {
        addText(parts, next, quoted);
        this.at++;
      }
    }
  }
}

function addText(parts: Word, text: string, quoted: boolean): void {
  const last = parts[parts.length - 1];
  if (last !== undefined && last.part === "text" && last.quoted === quoted) last.text += text;
  else parts.push({ part: "text", text, quoted });
}
