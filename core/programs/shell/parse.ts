/** The shell's grammar (POSIX.1-2017, Shell Command Language), by recursive descent over the text itself. */
import type { Assignment, Redirection, Script, Word } from "./ast.ts";
import { SyntaxProblem, WordReader } from "./words.ts";

/** Words that begin or go on with a compound command. */
export const RESERVED = new Set(["if", "then", "elif", "else", "fi", "do", "done", "while", "until", "for", "case", "esac", "{", "}", "!", "in"]);
const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
const OPERATORS = ["&&", "||", ";;", "<<-", "<<", ">>", "<&", ">&", "<>", ">|", "&", "|", ";", "<", ">", "(", ")"];

interface HereDocument {
  redirection: Redirection;
  end: string;
  quoted: boolean;
  tabs: boolean;
}

class Parser extends WordReader {
  private readonly here: HereDocument[] = [];

  protected override fresh(text: string): Parser {
    return new Parser(text, this.nodes);
  }

  protected override substituted(): number {
    const node = this.nested(() => this.list(true));
    this.newlines();
    if (!this.take(")")) this.unexpected("(expecting \")\")");
    return node;
  }

  line(at = this.at): number {
    let line = 0;
    for (let index = 0; index < at; index++) if (this.text[index] === "\n") line++;
    return line;
  }

  // The text.

  /** Skips blanks, comments and continued lines. */
  override blanks(): void {
    for (;;) {
      const char = this.text[this.at];
      if (char === " " || char === "\t" || char === "\r") this.at++;
      else if (char === "\\" && this.text[this.at + 1] === "\n") this.at += 2;
      else if (char === "#") while (this.at < this.text.length && this.text[this.at] !== "\n") this.at++;
      else return;
    }
  }

  /** Skips what separates commands over lines. */
  newlines(): void {
    for (;;) {
      this.blanks();
      if (this.text[this.at] !== "\n") return;
      this.newline();
    }
  }

  /** Takes a newline, and the documents that the line before it announced. */
  newline(): void {
    this.at++;
    for (const document of this.here.splice(0)) this.readHere(document);
  }

  readHere({ redirection, end, quoted, tabs }: HereDocument): void {
    let body = "";
    for (;;) {
      if (this.at >= this.text.length) break;
      const stop = this.text.indexOf("\n", this.at);
      let line = this.text.slice(this.at, stop < 0 ? this.text.length : stop);
      this.at = stop < 0 ? this.text.length : stop + 1;
      if (tabs) line = line.replace(/^\t+/, "");
      if (line === end) break;
      body += `${line}\n`;
    }
    redirection.word = quoted ? [{ part: "text", text: body, quoted: true }] : this.inner(body, true);
  }

  operator(): string | null {
    this.blanks();
    for (const one of OPERATORS) if (this.text.startsWith(one, this.at)) return one;
    return null;
  }

  take(operator: string): boolean {
    if (this.operator() !== operator) return false;
    this.at += operator.length;
    return true;
  }

  expect(operator: string): void {
    if (!this.take(operator)) this.unexpected(`(expecting "${operator}")`);
  }

  unexpected(more = ""): never {
    this.blanks();
    const tail = more === "" ? "" : ` ${more}`;
    if (this.at >= this.text.length) throw new SyntaxProblem(`unexpected end of file${tail}`, true);
    if (this.text[this.at] === "\n") throw new SyntaxProblem(`unexpected newline${tail}`);
    const operator = this.operator();
    const word = operator ?? /^[^\s;&|<>()]+/.exec(this.text.slice(this.at))?.[0] ?? this.text[this.at];
    throw new SyntaxProblem(operator === null && !RESERVED.has(word) ? `unexpected word${tail}` : `unexpected "${word}"${tail}`);
  }

  /** The reserved word that comes next, as a command would begin with it. */
  reserved(): string | null {
    this.blanks();
    const word = /^(?:[a-z]+|[{}!])(?=[\s;&|<>()]|$)/.exec(this.text.slice(this.at, this.at + 8))?.[0];
    return word !== undefined && RESERVED.has(word) ? word : null;
  }

  takeReserved(word: string): boolean {
    if (this.reserved() !== word) return false;
    this.at += word.length;
    return true;
  }

  expectReserved(word: string): void {
    if (!this.takeReserved(word)) this.unexpected(`(expecting "${word}")`);
  }

  // Commands.

  /** Commands up to the end of a line; null at the end of the text. */
  completeCommand(): number | null {
    this.newlines();
    if (this.at >= this.text.length) return null;
    const list = this.list(false);
    this.blanks();
    if (this.text[this.at] === "\n") this.newline();
    else if (this.at < this.text.length) this.unexpected();
    return list;
  }

  /** Commands up to a word that ends them; over lines when `lines`. */
  list(lines: boolean): number {
    const items: { node: number; background: boolean }[] = [];
    for (;;) {
      if (lines) this.newlines();
      if (this.ends()) break;
      const node = this.andOr();
      let background = false;
      const operator = this.operator();
      if (operator === "&") background = true;
      if (operator === "&" || operator === ";") this.at++;
      items.push({ node, background });
      this.blanks();
      const newline = this.text[this.at] === "\n";
      if (newline && !lines) break;
      if (!newline && operator !== "&" && operator !== ";") break;
    }
    return this.add({ kind: "list", items });
  }

  ends(): boolean {
    this.blanks();
    if (this.at >= this.text.length) return true;
    const operator = this.operator();
    if (operator === ")" || operator === ";;") return true;
    const word = this.reserved();
    return word !== null && ["then", "elif", "else", "fi", "do", "done", "esac", "}"].includes(word);
  }

  body(): number {
    const list = this.list(true);
    const node = this.nodes[list];
    if (node.kind === "list" && node.items.length === 0) this.unexpected();
    return list;
  }

  andOr(): number {
    let left = this.pipeline();
    for (;;) {
      const operator = this.operator();
      if (operator !== "&&" && operator !== "||") return left;
      this.at += 2;
      this.newlines();
      const right = this.pipeline();
      left = this.add({ kind: operator === "&&" ? "and" : "or", left, right });
    }
  }

  pipeline(): number {
    if (this.takeReserved("!")) return this.add({ kind: "not", of: this.pipeline() });
    const parts = [this.command()];
    while (this.operator() === "|") {
      this.at++;
      this.newlines();
      parts.push(this.command());
    }
    return parts.length === 1 ? parts[0] : this.add({ kind: "pipe", parts });
  }

  command(): number {
    return this.nested(() => {
      const compound = this.compound();
      if (compound === null) return this.simple();
      const redirections: Redirection[] = [];
      for (let one = this.redirection(); one !== null; one = this.redirection()) redirections.push(one);
      return redirections.length === 0 ? compound : this.add({ kind: "redirected", body: compound, redirections });
    });
  }

  compound(): number | null {
    if (this.operator() === "(") {
      this.at++;
      const body = this.body();
      this.expect(")");
      return this.add({ kind: "subshell", body });
    }
    const word = this.reserved();
    if (word !== null && ["then", "elif", "else", "fi", "do", "done", "esac", "}", "in"].includes(word)) {
      if (word === "in") return null;
      this.unexpected();
    }
    switch (word) {
      case "{": {
        this.at++;
        const body = this.body();
        this.expectReserved("}");
        return this.add({ kind: "group", body });
      }
      case "if":
        this.at += 2;
        return this.conditional();
      case "while": case "until": {
        this.at += 5;
        const condition = this.body();
        return this.add({ kind: "while", until: word === "until", condition, body: this.loopBody() });
      }
      case "for":
        this.at += 3;
        return this.loop();
      case "case":
        this.at += 4;
        return this.choice();
      default:
        return this.definition();
    }
  }

  conditional(): number {
    const condition = this.body();
    this.expectReserved("then");
    const then = this.body();
    let otherwise = -1;
    if (this.takeReserved("elif")) return this.add({ kind: "if", condition, then, else: this.conditional() });
    if (this.takeReserved("else")) otherwise = this.body();
    this.expectReserved("fi");
    return this.add({ kind: "if", condition, then, else: otherwise });
  }

  loopBody(): number {
    this.newlines();
    this.expectReserved("do");
    const body = this.body();
    this.expectReserved("done");
    return body;
  }

  loop(): number {
    this.blanks();
    const name = NAME.exec(this.text.slice(this.at))?.[0];
    if (name === undefined) throw new SyntaxProblem("bad for loop variable");
    this.at += name.length;
    this.newlines();
    let words: Word[] | null = null;
    if (this.takeReserved("in")) {
      words = [];
      for (let word = this.word(); word !== null; word = this.word()) words.push(word);
    }
    if (this.operator() === ";") this.at++;
    return this.add({ kind: "for", name, words, body: this.loopBody() });
  }

  choice(): number {
    const word = this.word();
    if (word === null) this.unexpected();
    this.newlines();
    this.expectReserved("in");
    const arms: { patterns: Word[]; body: number }[] = [];
    for (;;) {
      this.newlines();
      if (this.takeReserved("esac")) break;
      this.take("(");
      const patterns: Word[] = [];
      do {
        const pattern = this.word();
        if (pattern === null) this.unexpected();
        patterns.push(pattern);
      } while (this.take("|"));
      this.expect(")");
      arms.push({ patterns, body: this.list(true) });
      this.newlines();
      if (this.take(";;")) continue;
      this.expectReserved("esac");
      break;
    }
    return this.add({ kind: "case", word, arms });
  }

  /** `name() compound`; null when no function is defined here. */
  definition(): number | null {
    const match = /^([A-Za-z_][A-Za-z0-9_.:-]*|:)[ \t]*\([ \t]*\)/.exec(this.text.slice(this.at));
    if (match === null) return null;
    this.at += match[0].length;
    this.newlines();
    return this.add({ kind: "function", name: match[1], body: this.command() });
  }

  simple(): number {
    const line = this.line();
    const assignments: Assignment[] = [];
    const words: Word[] = [];
    const redirections: Redirection[] = [];
    for (;;) {
      const redirection = this.redirection();
      if (redirection !== null) {
        redirections.push(redirection);
        continue;
      }
      const assigned = words.length === 0 ? /^([A-Za-z_][A-Za-z0-9_]*)=/.exec(this.text.slice(this.at)) : null;
      if (assigned !== null) {
        this.at += assigned[0].length;
        assignments.push({ name: assigned[1], word: /[\s;&|<>()]/.test(this.text[this.at] ?? " ") ? [] : (this.word() ?? []) });
        continue;
      }
      const word = this.word();
      if (word === null) break;
      words.push(word);
    }
    if (assignments.length + words.length + redirections.length === 0) this.unexpected();
    return this.add({ kind: "simple", assignments, words, redirections, line });
  }

  redirection(): Redirection | null {
    this.blanks();
    const number = /^[0-9]+(?=[<>])/.exec(this.text.slice(this.at, this.at + 4))?.[0] ?? "";
    const from = this.at;
    this.at += number.length;
    const operator = this.operator();
    if (operator === null || !/^[<>]/.test(operator)) {
      this.at = from;
      return null;
    }
    this.at += operator.length;
    const fd = number === "" ? (operator.startsWith("<") ? 0 : 1) : Number(number);
    this.blanks();
    const start = this.at;
    const word = this.word();
    if (word === null) this.unexpected();
    if (!operator.startsWith("<<")) return { fd, op: operator, word };
    const given = this.text.slice(start, this.at);
    const redirection: Redirection = { fd, op: "<<", word: [] };
    this.here.push({ redirection, end: given.replace(/["'\\]/g, ""), quoted: /["'\\]/.test(given), tabs: operator === "<<-" });
    return redirection;
  }
}

function parseWhole(text: string): Script {
  const script: Script = { nodes: [], commands: [], error: "", incomplete: false, errorLine: 0 };
  const parser = new Parser(text, script.nodes);
  try {
    for (let command = parser.completeCommand(); command !== null; command = parser.completeCommand()) script.commands.push(command);
  } catch (problem) {
    if (!(problem instanceof SyntaxProblem)) throw problem;
    script.error = problem.message;
    script.incomplete = problem.incomplete;
    script.errorLine = parser.line();
  }
  return script;
}

/** Scripts parsed of late: the same text is the same script, so nothing of it needs to be state. */
const parsed = new Map<string, Script>();
const PARSED_MAX = 64;

export function parse(text: string): Script {
  let script = parsed.get(text);
  if (script === undefined) {
    script = parseWhole(text);
    if (parsed.size >= PARSED_MAX) parsed.delete([...parsed.keys()][0]);
    parsed.set(text, script);
  }
  return script;
}
