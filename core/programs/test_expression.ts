/** test and [: what an expression asks of files is asked first, then it is weighed. */
import { isBlockDevice, isCharDevice, isDirectory, isFifo, isRegular, isSocket, isSymlink } from "../abi/stat.ts";
import { enter, to, type StepResult } from "../sched/steps.ts";
import { programSteps, type Proc } from "./proc.ts";

/** What a unary operator asks. */
const STAT = "bcdefghkprsuwxOGSLN";
const FILES = new Set([...STAT].map((letter) => `-${letter}`));
const UNARY = new Set([...FILES, "-t", "-n", "-z"]);
const BINARY = new Set(["=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef"]);

interface Answers {
  /** For `-f path`: true or false, by "-f path". */
  [question: string]: boolean;
}

interface TestLocals {
  args: string[];
  questions: [operator: string, operand: string][];
  next: number;
  answers: Answers;
}

class TestProblem extends Error {}

/** Weighs the words; answers 0, 1, or 2 for what is no expression. */
export function test(p: Proc<never> | Proc, args: string[]): StepResult {
  void p;
  const questions: [string, string][] = [];
  args.forEach((word, at) => {
    if ((FILES.has(word) || word === "-t") && at + 1 < args.length) questions.push([word, args[at + 1]]);
    if (["-nt", "-ot", "-ef"].includes(word) && at > 0 && at + 1 < args.length) questions.push(["-e", args[at - 1]], ["-e", args[at + 1]]);
  });
  return enter(testSteps, { args: [...args], questions, next: 0, answers: {} });
}

const testSteps = programSteps<TestLocals>("lib.test", {
  ask: (p, l) => {
    if (l.next >= l.questions.length) return to("weigh");
    const [operator, operand] = l.questions[l.next];
    switch (operator) {
      case "-t": return p.sys("ioctl", Number(operand) || 0, 0x5401, { room: 60 });
      case "-r": return p.sys("faccessat", -100, operand, 4);
      case "-w": return p.sys("faccessat", -100, operand, 2);
      case "-x": return p.sys("faccessat", -100, operand, 1);
      default: return p.statOf(operand, { link: operator === "-L" || operator === "-h" });
    }
  },
  asked: (p, l) => {
    const [operator, operand] = l.questions[l.next++];
    l.answers[`${operator} ${operand}`] = p.ret >= 0 && holds(p as Proc, operator);
    return to("ask");
  },
  weigh: (p, { args, answers }) => {
    try {
      return new Expression(args, answers).whole() ? 0 : 1;
    } catch (problem) {
      if (!(problem instanceof TestProblem)) throw problem;
      p.err(`${p.main.tool === "sh" ? "sh" : p.name}: ${problem.message}\n`);
      return 2;
    }
  },
});

function holds(p: Proc, operator: string): boolean {
  if ("-t -r -w -x".includes(operator)) return true;
  const { st_mode: mode, st_size: size, st_uid: uid, st_gid: gid } = p.stat();
  switch (operator) {
    case "-b": return isBlockDevice(mode);
    case "-c": return isCharDevice(mode);
    case "-d": return isDirectory(mode);
    case "-f": return isRegular(mode);
    case "-p": return isFifo(mode);
    case "-S": return isSocket(mode);
    case "-h": case "-L": return isSymlink(mode);
    case "-s": return Number(size) > 0;
    case "-u": return (mode & 0o4000) !== 0;
    case "-g": return (mode & 0o2000) !== 0;
    case "-k": return (mode & 0o1000) !== 0;
    case "-O": return uid === p.task.cred.euid;
    case "-G": return gid === p.task.cred.egid;
    default: return true;
  }
}

class Expression {
  private at = 0;
  private readonly args: string[];
  private readonly answers: Answers;

  constructor(args: string[], answers: Answers) {
    this.args = args;
    this.answers = answers;
  }

  whole(): boolean {
    const { args } = this;
    if (args.length === 0) return false;
    if (args.length === 1) return args[0] !== "";
    // POSIX: three words with an operator in the middle are just that.
    if (args.length === 3 && BINARY.has(args[1])) return this.binary(args[0], args[1], args[2]);
    if (args.length === 2 && args[0] === "!") return args[1] === "";
    const value = this.or();
    if (this.at < args.length) throw new TestProblem(`${args[this.at]}: unknown operand`);
    return value;
  }

  private or(): boolean {
    let value = this.and();
    while (this.args[this.at] === "-o") {
      this.at++;
      const right = this.and();
      value ||= right;
    }
    return value;
  }

  private and(): boolean {
    let value = this.not();
    while (this.args[this.at] === "-a") {
      this.at++;
      const right = this.not();
      value &&= right;
    }
    return value;
  }

  private not(): boolean {
    if (this.args[this.at] !== "!" || this.at + 1 >= this.args.length) return this.primary();
    this.at++;
    return !this.not();
  }

  private primary(): boolean {
    const { args } = this;
    const word = args[this.at];
    if (word === undefined) throw new TestProblem("argument expected");
    const operator = args[this.at + 1];
    if (operator !== undefined && BINARY.has(operator) && this.at + 2 < args.length) {
      this.at += 3;
      return this.binary(word, operator, args[this.at - 1]);
    }
    if (word === "(") {
      this.at++;
      const value = this.or();
      if (args[this.at] !== ")") throw new TestProblem("closing paren expected");
      this.at++;
      return value;
    }
    if (UNARY.has(word) && this.at + 1 < args.length) {
      this.at += 2;
      const operand = args[this.at - 1];
      if (word === "-n") return operand !== "";
      if (word === "-z") return operand === "";
      return this.answers[`${word} ${operand}`] ?? false;
    }
    this.at++;
    return word !== "";
  }

  private binary(left: string, operator: string, right: string): boolean {
    switch (operator) {
      case "=": case "==": return left === right;
      case "!=": return left !== right;
      case "<": return left < right;
      case ">": return left > right;
      case "-nt": case "-ot": case "-ef": return operator === "-ef" && left === right && (this.answers[`-e ${left}`] ?? false);
    }
    const [a, b] = [number(left), number(right)];
    switch (operator) {
      case "-eq": return a === b;
      case "-ne": return a !== b;
      case "-lt": return a < b;
      case "-le": return a <= b;
      case "-gt": return a > b;
      default: return a >= b;
    }
  }
}

function number(text: string): bigint {
  if (!/^\s*[-+]?[0-9]+\s*$/.test(text)) throw new TestProblem(`${text === "" ? "" : `${text}: `}bad number`);
  return BigInt(text.trim().replace("+", ""));
}

