/** Builtins that ask the kernel: eval, ., exec, cd, pwd, read, type, command. */
import { EINTR, ENOENT, EACCES, errnoMessage } from "../../abi/errno.ts";
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";
import { DEFAULT_PATH, execvp, slurp } from "../files_lib.ts";
import type { Proc } from "../proc.ts";
import { builtin, builtinOf } from "./builtin.ts";
import { complain, shellSteps } from "./message.ts";
import { evaluate } from "./nodes.ts";
import { parse } from "./parse.ts";
import { waitFor } from "./process.ts";
import { assign, exported, shellOf, ShellProblem, valueOf, type ShellLocals } from "./state.ts";
import { pendingTrap } from "./traps.ts";

// Texts that are run.

/** Runs a text's commands in this shell. */
export function runText(script: string): StepResult {
  return enter(textSteps, { script, next: 0, status: 0 });
}

const textSteps = shellSteps<{ script: string; next: number; status: number }>("sh.text", {
  next: (p, l) => {
    const sh = shellOf(p);
    const { commands, error } = parse(l.script);
    if (sh.flow !== "") return l.status;
    if (l.next < commands.length) return evaluate(p, l.script, commands[l.next++], false);
    if (error === "") return l.status;
    complain(p as Proc, `syntax error: ${error}`);
    sh.flow = sh.interactive ? "" : "exit";
    return 2;
  },
  more: (p, l) => {
    l.status = p.ret;
    shellOf(p).status = p.ret;
    return to("next");
  },
});

builtin("eval", (_p, _sh, args) => (args.length === 0 ? 0 : runText(args.join(" "))));

interface SourceLocals {
  path: string;
  text: string;
  params: string[] | null;
}

const sourceSteps = shellSteps<SourceLocals>("sh.source", {
  read: (_p, { path }) => slurp(path, "text"),
  run: (p, l) => {
    const sh = shellOf(p);
    if (p.ret < 0) throw new ShellProblem(`.: can't open '${l.path}'`);
    if (l.params !== null) [sh.params, l.params] = [l.params, sh.params];
    return runText(l.text);
  },
  end: (p, l) => {
    const sh = shellOf(p);
    if (l.params !== null) sh.params = l.params;
    if (sh.flow === "return") sh.flow = "";
    return p.ret;
  },
});

const source = (_p: Proc, _sh: ShellLocals, args: string[]): StepResult =>
  (args.length === 0 ? 2 : enter(sourceSteps, { path: args[0].includes("/") ? args[0] : `./${args[0]}`, text: "", params: args.length > 1 ? args.slice(1) : null }));
builtin(".", source);
builtin("source", source);

const execSteps = shellSteps<{ argv: string[]; status: number }>("sh.exec", {
  try: (p, { argv }) => execvp(p as Proc, argv, exported(shellOf(p))),
  failed: (p, l) => {
    l.status = p.ret === -ENOENT ? 127 : 126;
    complain(p as Proc, `exec: ${l.argv[0]}: ${p.ret === -ENOENT ? "not found" : errnoMessage(-p.ret)}`);
    shellOf(p).flow = "exit";
    return NEXT;
  },
  end: (_p, { status }) => status,
});
builtin("exec", (_p, _sh, args) => (args.length === 0 ? 0 : enter(execSteps, { argv: args, status: 0 })));

// The working directory.

const CWD_MAX = 4096;

const cdSteps = shellSteps<{ path: string; told: boolean }>("sh.cd", {
  go: (p, { path }) => p.sys("chdir", path),
  ask: (p, { path }) => {
    if (p.ret >= 0) return p.sys("getcwd", { room: CWD_MAX }, CWD_MAX);
    const { file, name } = shellOf(p);
    p.err(`${name}: cd: ${file ? "" : "line 0: "}can't cd to ${path}: ${errnoMessage(-p.ret)}\n`);
    return to("failed");
  },
  set: (p, l) => {
    const sh = shellOf(p);
    const now = p.ret > 0 ? p.text(p.ret - 1) : l.path;
    assign(sh, "OLDPWD", valueOf(sh, "PWD") ?? "");
    assign(sh, "PWD", now, true);
    if (l.told) p.out(`${now}\n`);
    return 0;
  },
  failed: () => 1,
});

builtin("cd", (_p, sh, args) => {
  const [word] = args.filter((one) => one !== "-P" && one !== "-L" && one !== "--");
  const path = word === undefined ? valueOf(sh, "HOME") : word === "-" ? valueOf(sh, "OLDPWD") : word;
  if (path === undefined) throw new ShellProblem(word === undefined ? "cd: HOME not set" : "cd: OLDPWD not set");
  return enter(cdSteps, { path: path === "" ? "." : path, told: word === "-" });
});

const pwdSteps = shellSteps<object>("sh.pwd", {
  ask: (p) => p.sys("getcwd", { room: CWD_MAX }, CWD_MAX),
  tell: (p) => {
    if (p.ret < 0) {
      complain(p as Proc, `pwd: ${errnoMessage(-p.ret)}`);
      return 1;
    }
    p.out(`${p.text(p.ret - 1)}\n`);
    return 0;
  },
});
builtin("pwd", () => enter(pwdSteps, {}));

// read

interface ReadLocals {
  names: string[];
  raw: boolean;
  line: string;
  /** Characters of the line that a backslash made plain. */
  plain: number[];
  escaped: boolean;
}

const LINE_MAX = 1 << 20;

/** Byte by byte: what comes after the line belongs to others. */
const readSteps = shellSteps<ReadLocals>("sh.read", {
  read: (p) => p.sys("read", 0, { room: 1 }, 1),
  got: (p, l) => {
    if (p.ret === -EINTR) return pendingTrap(p) === 0 ? to("read") : 1;
    if (p.ret <= 0 || l.line.length >= LINE_MAX) return to("over");
    const char = p.text(1);
    if (!l.raw && l.escaped) {
      l.escaped = false;
      if (char === "\n") return to("read");
      l.plain.push(l.line.length);
      l.line += char;
      return to("read");
    }
    if (!l.raw && char === "\\") {
      l.escaped = true;
      return to("read");
    }
    if (char === "\n") return to("whole");
    l.line += char;
    return to("read");
  },
  over: (p, l) => {
    setNames(shellOf(p), l);
    return 1;
  },
  whole: (p, l) => {
    setNames(shellOf(p), l);
    return 0;
  },
});

function setNames(sh: ShellLocals, { names, line, plain }: ReadLocals): void {
  const ifs = valueOf(sh, "IFS") ?? " \t\n";
  const blank = (at: number): boolean => ifs.includes(line[at]) && " \t\n".includes(line[at]) && !plain.includes(at);
  let at = 0;
  while (at < line.length && blank(at)) at++;
  for (const [index, name] of names.entries()) {
    let end = at;
    if (index < names.length - 1) {
      while (end < line.length && (!ifs.includes(line[end]) || plain.includes(end))) end++;
    } else {
      end = line.length;
      while (end > at && blank(end - 1)) end--;
    }
    assign(sh, name, line.slice(at, end));
    at = end;
    while (at < line.length && blank(at)) at++;
    if (at < line.length && ifs.includes(line[at]) && !blank(at) && !plain.includes(at)) at++;
    while (at < line.length && blank(at)) at++;
  }
}

builtin("read", (p, _sh, args) => {
  const names = args.filter((word) => !word.startsWith("-"));
  const prompt = args.indexOf("-p");
  if (prompt >= 0) {
    p.err(args[prompt + 1] ?? "");
    names.splice(names.indexOf(args[prompt + 1] ?? ""), 1);
  }
  return enter(readSteps, { names: names.length === 0 ? ["REPLY"] : names, raw: args.some((word) => /^-[a-z]*r/.test(word)), line: "", plain: [], escaped: false });
});

// command, type

interface FindLocals {
  words: string[];
  next: number;
  places: string[];
  verbose: boolean;
  status: number;
}

const findSteps = shellSteps<FindLocals>("sh.find", {
  word: (p, l) => {
    const sh = shellOf(p);
    const word = l.words[l.next];
    if (word === undefined) return l.status;
    const own = sh.functions.has(word) ? "a function" : builtinOf(word) === undefined ? "" : "a shell builtin";
    if (own !== "") {
      p.out(l.verbose ? `${word} is ${own}\n` : `${word}\n`);
      return to("again");
    }
    const path = valueOf(sh, "PATH") ?? DEFAULT_PATH;
    l.places = word.includes("/") ? [word] : path.split(":").map((directory) => `${directory}/${word}`);
    return NEXT;
  },
  place: (p, l) => (l.places.length === 0 ? to("absent") : p.sys("faccessat", -100, l.places[0], 1)),
  looked: (p, l) => {
    const place = l.places.shift() ?? "";
    if (p.ret < 0) return to("place");
    p.out(l.verbose ? `${l.words[l.next]} is ${place}\n` : `${place}\n`);
    return to("again");
  },
  absent: (p, l) => {
    if (l.verbose) p.out(`${l.words[l.next]}: not found\n`);
    l.status = 127;
    return NEXT;
  },
  again: (_p, l) => {
    l.next++;
    return to("word");
  },
});

builtin("type", (_p, _sh, args) => enter(findSteps, { words: args, next: 0, places: [], verbose: true, status: 0 }));

const commandSteps = shellSteps<{ argv: string[]; pid: number }>("sh.command", {
  fork: (p) => p.sys("fork"),
  forked: (p, l) => {
    l.pid = p.ret;
    return p.ret === 0 ? execvp(p as Proc, l.argv, exported(shellOf(p))) : to("wait");
  },
  failed: (p, { argv }) => {
    complain(p as Proc, `${argv[0]}: ${p.ret === -EACCES ? "Permission denied" : "not found"}`);
    return NEXT;
  },
  leave: (p) => p.sys("exit_group", 127),
  wait: (_p, { pid }) => (pid < 0 ? 2 : waitFor([pid])),
  end: (p) => p.ret,
});

builtin("command", (p, sh, args) => {
  if (args[0] === "-v" || args[0] === "-V") return enter(findSteps, { words: args.slice(1), next: 0, places: [], verbose: args[0] === "-V", status: 0 });
  const argv = args[0] === "-p" || args[0] === "--" ? args.slice(1) : args;
  if (argv.length === 0) return 0;
  const own = builtinOf(argv[0]);
  return own === undefined ? enter(commandSteps, { argv, pid: 0 }) : own(p, sh, argv.slice(1));
});
