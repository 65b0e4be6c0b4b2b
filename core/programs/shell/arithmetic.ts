/** $((…)): signed 64-bit integers with C's operators. */
import { ShellProblem } from "./state.ts";

export interface Names {
  get(name: string): string | undefined;
  set(name: string, value: string): void;
}

const TOKEN = /\s*(0[xX][0-9a-fA-F]+|[0-9]+|[A-Za-z_][A-Za-z0-9_]*|<<=|>>=|\+\+|--|&&|\|\||<<|>>|[-+*/%&|^<>=!]=|[-+*/%()<>=!~&|^?:,])/y;
const ASSIGNING = ["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="];
const LEVELS = [["||"], ["&&"], ["|"], ["^"], ["&"], ["==", "!="], ["<", "<=", ">", ">="], ["<<", ">>"], ["+", "-"], ["*", "/", "%"]];
const DEPTH_MAX = 100;

const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);

class Evaluation {
  private readonly tokens: string[] = [];
  private at = 0;
  private depth = 0;
  private readonly names: Names;
  /** 0 where the value is not wanted: nothing is assigned, no division fails. */
  private live = 1;

  constructor(text: string, names: Names) {
    this.names = names;
    TOKEN.lastIndex = 0;
    let from = 0;
    while (from < text.length && /\S/.test(text.slice(from))) {
      TOKEN.lastIndex = from;
      const match = TOKEN.exec(text);
      if (match === null) throw new ShellProblem("arithmetic syntax error");
      this.tokens.push(match[1]);
      from = TOKEN.lastIndex;
    }
  }

  whole(): bigint {
    if (this.tokens.length === 0) return 0n;
    const value = this.comma();
    if (this.at < this.tokens.length) throw new ShellProblem("arithmetic syntax error");
    return value;
  }

  private next(...wanted: string[]): string | null {
    const token = this.tokens[this.at];
    if (token === undefined || !wanted.includes(token)) return null;
    this.at++;
    return token;
  }

  private comma(): bigint {
    if (++this.depth > DEPTH_MAX) throw new ShellProblem("expression recursion loop detected");
    let value = this.assignment();
    while (this.next(",") !== null) value = this.assignment();
    this.depth--;
    return value;
  }

  private assignment(): bigint {
    const name = this.tokens[this.at] ?? "";
    const operator = this.tokens[this.at + 1];
    if (!/^[A-Za-z_]/.test(name) || operator === undefined || !ASSIGNING.includes(operator)) return this.conditional();
    this.at += 2;
    const right = this.assignment();
    const value = operator === "=" ? right : this.operate(operator.slice(0, -1), this.variable(name), right);
    if (this.live > 0) this.names.set(name, String(value));
    return value;
  }

  private conditional(): bigint {
    const condition = this.binary(0);
    if (this.next("?") === null) return condition;
    const yes = this.only(condition !== 0n, () => this.assignment());
    if (this.next(":") === null) throw new ShellProblem("arithmetic syntax error");
    const no = this.only(condition === 0n, () => this.conditional());
    return condition !== 0n ? yes : no;
  }

  /** Reads an operand whose value counts only when `wanted`. */
  private only(wanted: boolean, read: () => bigint): bigint {
    const { live } = this;
    if (!wanted) this.live = 0;
    const value = read();
    this.live = live;
    return value;
  }

  private binary(level: number): bigint {
    if (level === LEVELS.length) return this.unary();
    let left = this.binary(level + 1);
    for (;;) {
      const operator = this.next(...LEVELS[level]);
      if (operator === null) return left;
      if (operator === "||") left = (this.only(left === 0n, () => this.binary(level + 1)) !== 0n || left !== 0n) ? 1n : 0n;
      else if (operator === "&&") left = (this.only(left !== 0n, () => this.binary(level + 1)) !== 0n && left !== 0n) ? 1n : 0n;
      else left = this.operate(operator, left, this.binary(level + 1));
    }
  }

  private operate(operator: string, a: bigint, b: bigint): bigint {
    switch (operator) {
      case "+": return wrap(a + b);
      case "-": return wrap(a - b);
      case "*": return wrap(a * b);
      case "/": case "%":
        if (b === 0n) {
          if (this.live === 0) return 0n;
          throw new ShellProblem("divide by zero");
        }
        return wrap(operator === "/" ? a / b : a % b);
      case "<<": return wrap(a << (b & 63n));
      case ">>": return wrap(a >> (b & 63n));
      case "&": return a & b;
      case "|": return a | b;
      case "^": return a ^ b;
      default: return (operator === "==" ? a === b : operator === "!=" ? a !== b : operator === "<" ? a < b : operator === "<=" ? a <= b : operator === ">" ? a > b : a >= b) ? 1n : 0n;
    }
  }

  private unary(): bigint {
    if (++this.depth > DEPTH_MAX) throw new ShellProblem("expression recursion loop detected");
    const operator = this.next("-", "+", "!", "~", "++", "--");
    const value = operator === null ? this.primary() : this.applied(operator);
    this.depth--;
    return value;
  }

  private applied(operator: string): bigint {
    if (operator === "++" || operator === "--") {
      const name = this.tokens[this.at++] ?? "";
      const value = wrap(this.variable(name) + (operator === "++" ? 1n : -1n));
      if (this.live > 0) this.names.set(name, String(value));
      return value;
    }
    const value = this.unary();
    return operator === "-" ? wrap(-value) : operator === "!" ? (value === 0n ? 1n : 0n) : operator === "~" ? ~value : value;
  }

  private primary(): bigint {
    if (this.next("(") !== null) {
      const value = this.comma();
      if (this.next(")") === null) throw new ShellProblem("arithmetic syntax error");
      return value;
    }
    const token = this.tokens[this.at++];
    if (token === undefined) throw new ShellProblem("arithmetic syntax error");
    if (/^[0-9]/.test(token)) return number(token);
    if (!/^[A-Za-z_]/.test(token)) throw new ShellProblem("arithmetic syntax error");
    const value = this.variable(token);
    const after = this.next("++", "--");
    if (after !== null && this.live > 0) this.names.set(token, String(wrap(value + (after === "++" ? 1n : -1n))));
    return value;
  }

  private variable(name: string): bigint {
    const text = (this.names.get(name) ?? "").trim();
    if (text === "") return 0n;
    if (/^[-+]?(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(text)) return text.startsWith("-") ? wrap(-number(text.slice(1))) : number(text.replace("+", ""));
    throw new ShellProblem("arithmetic syntax error");
  }
}

function number(text: string): bigint {
  if (/^0[0-7]+$/.test(text)) return wrap(BigInt(`0o${text.slice(1)}`));
  if (/^0[0-9]+$/.test(text)) throw new ShellProblem("arithmetic syntax error");
  return wrap(BigInt(text));
}

/** @throws ShellProblem */
export function arithmetic(text: string, names: Names): string {
  return String(new Evaluation(text, names).whole());
}
