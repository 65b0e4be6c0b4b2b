/** Builtins that ask the kernel: cd, read, wait, kill, exec, eval, umask, ulimit, command, jobs. */
import { ECHILD, EINTR, ENOENT, EACCES, errnoMessage } from "../../abi/errno.ts";
import { SIGCONT, signalName } from "../../abi/signal.ts";
import { getI32, getU64, putU32, putU64 } from "../../lib/bytes.ts";
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";
import { DEFAULT_PATH, execvp, slurp } from "../files_lib.ts";
import type { Proc } from "../proc.ts";
import { builtin, builtinOf } from "./builtin.ts";
import { complain, shellSteps } from "./message.ts";
import { evaluate } from "./nodes.ts";
import { parse } from "./parse.ts";
import { exitStatus, tellDeath, waitFor } from "./process.ts";
import { assign, exported, shellOf, ShellProblem, valueOf, type Job, type ShellLocals } from "./state.ts";
import { signalOf } from "./builtins.ts";
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

// Jobs.

interface WaitLocals {
  pids: number[];
  next: number;
  status: number;
  all: boolean;
}

const waitSteps = shellSteps<WaitLocals>("sh.waitfor", {
  next: (p, l) => {
    if (l.next >= l.pids.length) return l.status;
    const job = shellOf(p).jobs.find(({ pids }) => pids.includes(l.pids[l.next]));
    if (job !== undefined && job.status >= 0) {
      p.frame.ret = -ECHILD;
      l.status = exitStatus(job.status);
      return NEXT;
    }
    return p.sys("wait4", l.pids[l.next], { room: 4 }, 0, 0);
  },
  waited: (p, l) => {
    const sh = shellOf(p);
    if (p.ret === -EINTR) {
      const signal = pendingTrap(p);
      return signal === 0 ? to("next") : 128 + signal;
    }
    const pid = l.pids[l.next++];
    const known = sh.jobs.some(({ pids }) => pids.includes(pid));
    sh.jobs = sh.jobs.filter(({ pids }) => !pids.includes(pid));
    if (p.ret >= 0) {
      const status = getI32(p.took(4), 0);
      if (!l.all) tellDeath(p as Proc, status, true);
      l.status = exitStatus(status);
    } else if (!known) l.status = 127;
    if (l.all) l.status = 0;
    return to("next");
  },
});

function jobOf(sh: ShellLocals, word: string | undefined): Job {
  const last = sh.jobs[sh.jobs.length - 1];
  const found = word === undefined || ["%%", "%+", "%"].includes(word) ? last
    : word.startsWith("%") ? sh.jobs.find(({ number }) => number === Number(word.slice(1)))
    : sh.jobs.find(({ pids }) => pids.includes(Number(word)));
  if (found === undefined) throw new ShellProblem(`${word ?? "fg"}: no such job`);
  return found;
}

builtin("wait", (_p, sh, args) => {
  const pids = args.length === 0 ? sh.jobs.flatMap((job) => job.pids)
    : args.flatMap((word) => (word.startsWith("%") ? jobOf(sh, word).pids : [Number.parseInt(word, 10) || 0]));
  return enter(waitSteps, { pids, next: 0, status: 0, all: args.length === 0 });
});

const pollSteps = shellSteps<{ next: number }>("sh.poll", {
  next: (p, l) => {
    const job = shellOf(p).jobs[l.next];
    return job === undefined ? 0 : job.status >= 0 ? to("skip") : p.sys("wait4", job.pids[job.pids.length - 1], { room: 4 }, 3, 0);
  },
  polled: (p, l) => {
    const job = shellOf(p).jobs[l.next];
    if (p.ret > 0) {
      const status = getI32(p.took(4), 0);
      if ((status & 0xff) === 0x7f) job.stopped = true;
      else job.status = status;
      job.told = false;
    } else if (p.ret < 0) job.status = 0;
    return NEXT;
  },
  skip: (_p, l) => {
    l.next++;
    return to("next");
  },
});

/** Looks which background jobs have ended. */
export function pollJobs(): StepResult {
  return enter(pollSteps, { next: 0 });
}

/** `[1]+  Done                       sleep 1` for what has changed; those that ended are forgotten. */
export function tellJobs(p: Proc, sh: ShellLocals, all: boolean): string {
  let text = "";
  void p;
  for (const [index, job] of sh.jobs.entries()) {
    if (!all && job.told) continue;
    const over = job.status >= 0;
    if (!all && !over && !job.stopped) continue;
    const signal = job.status & 0x7f;
    const state = !over ? (job.stopped ? "Stopped" : "Running") : signal !== 0 ? signalName(signal).replace("SIG", "") : job.status === 0 ? "Done" : `Done(${job.status >> 8})`;
    text += `[${job.number}]${index === sh.jobs.length - 1 ? "+" : index === sh.jobs.length - 2 ? "-" : " "}  ${state.padEnd(26)} ${job.text}\n`;
    job.told = true;
  }
  sh.jobs = sh.jobs.filter(({ status }) => status < 0);
  return text;
}

const jobsSteps = shellSteps<object>("sh.jobs", {
  poll: () => pollJobs(),
  tell: (p) => {
    p.out(tellJobs(p as Proc, shellOf(p), true));
    return 0;
  },
});
builtin("jobs", () => enter(jobsSteps, {}));

const TIOCSPGRP = 0x5410;

const foregroundSteps = shellSteps<{ job: Job; background: boolean }>("sh.fg", {
  terminal: (p, { job, background }) => {
    p.out(`${job.text}\n`);
    const group = new Uint8Array(4);
    putU32(group, 0, Math.max(job.pgid, 0));
    return background || job.pgid < 0 ? NEXT : p.sys("ioctl", shellOf(p).terminal, TIOCSPGRP, group);
  },
  go: (p, { job }) => p.sys("kill", job.pgid < 0 ? job.pids[0] : -job.pgid, SIGCONT),
  wait: (p, { job, background }) => {
    const sh = shellOf(p);
    if (!background) {
      sh.jobs = sh.jobs.filter(({ number }) => number !== job.number);
      return waitFor(job.pids, job.pgid, job.text);
    }
    for (const one of sh.jobs) if (one.number === job.number) one.stopped = false;
    p.frame.ret = 0;
    return NEXT;
  },
  end: (p) => p.ret,
});

const copyOf = (job: Job): Job => ({ ...job, pids: [...job.pids] });
builtin("fg", (_p, sh, [word]) => enter(foregroundSteps, { job: copyOf(jobOf(sh, word)), background: false }));
builtin("bg", (_p, sh, [word]) => enter(foregroundSteps, { job: copyOf(jobOf(sh, word)), background: true }));

// kill

interface KillLocals {
  signal: number;
  words: string[];
  next: number;
  status: number;
}

const killSteps = shellSteps<KillLocals>("sh.kill", {
  next: (p, l) => {
    if (l.next >= l.words.length) return l.status;
    const word = l.words[l.next];
    if (word.startsWith("%")) {
      const job = jobOf(shellOf(p), word);
      return p.sys("kill", job.pgid < 0 ? job.pids[0] : -job.pgid, l.signal);
    }
    if (/^-?[0-9]{1,10}$/.test(word)) return p.sys("kill", Number(word), l.signal);
    complain(p as Proc, `invalid number '${word}'`);
    l.status = 1;
    return to("skip");
  },
  killed: (p, l) => {
    if (p.ret < 0) {
      complain(p as Proc, `can't kill pid ${l.words[l.next]}: ${errnoMessage(-p.ret)}`);
      l.status = 1;
    }
    return NEXT;
  },
  skip: (_p, l) => {
    l.next++;
    return to("next");
  },
});

const LISTED = 31;

builtin("kill", (p, _sh, args) => {
  let [first = ""] = args;
  let words = args;
  let signal = 15;
  if (first === "-l") {
    const [, wanted] = args;
    if (wanted !== undefined) p.out(`${signalName(Number(wanted) > 128 ? Number(wanted) - 128 : Number(wanted)).replace("SIG", "")}\n`);
    else for (let number = 1; number <= LISTED; number++) p.out(`${String(number).padStart(2)}) ${signalName(number)}\n`);
    return 0;
  }
  if (/^-[^-0-9]|^-[0-9]+$/.test(first) && args.length > 1) {
    words = args.slice(1);
    if (first === "-s" || first === "-n") {
      first = `-${words[0] ?? ""}`;
      words = words.slice(1);
    }
    signal = signalOf(first.slice(1));
    if (signal < 0) {
      complain(p, `bad signal name '${first.slice(1)}'`);
      return 1;
    }
  }
  if (words[0] === "--") words = words.slice(1);
  if (words.length === 0) {
    complain(p, "you need to specify whom to kill");
    return 1;
  }
  return enter(killSteps, { signal, words, next: 0, status: 0 });
});

// Limits.

const umaskSteps = shellSteps<{ mask: number; shown: boolean }>("sh.umask", {
  set: (p, { mask }) => p.sys("umask", mask < 0 ? 0 : mask),
  back: (p, l) => {
    if (l.mask >= 0) return 0;
    l.mask = p.ret;
    return p.sys("umask", l.mask);
  },
  show: (p, { mask }) => {
    p.out(`${mask.toString(8).padStart(4, "0")}\n`);
    return 0;
  },
});

builtin("umask", (_p, _sh, [word]) => {
  if (word === undefined) return enter(umaskSteps, { mask: -1, shown: true });
  if (!/^[0-7]{1,4}$/.test(word)) throw new ShellProblem(`Illegal mode: ${word}`);
  return enter(umaskSteps, { mask: Number.parseInt(word, 8) & 0o777, shown: false });
});

/** Letter, resource number, unit, and how ulimit -a calls it. */
const LIMITS: [letter: string, resource: number, unit: number, text: string][] = [
  ["c", 4, 512, "core file size (blocks)"], ["d", 2, 1024, "data seg size (kb)"], ["e", 13, 1, "scheduling priority"], ["f", 1, 512, "file size (blocks)"],
  ["i", 11, 1, "pending signals"], ["l", 8, 1024, "max locked memory (kb)"], ["m", 5, 1024, "max memory size (kb)"], ["n", 7, 1, "open files"],
  ["q", 12, 1, "POSIX message queues (bytes)"], ["r", 14, 1, "real-time priority"], ["s", 3, 1024, "stack size (kb)"], ["t", 0, 1, "cpu time (seconds)"],
  ["u", 6, 1, "max user processes"], ["v", 9, 1024, "virtual memory (kb)"], ["x", 10, 1, "file locks"],
];
const UNLIMITED = 0xffff_ffff_ffff_ffffn;

interface UlimitLocals {
  letters: string[];
  next: number;
  hard: boolean;
  soft: boolean;
  value: string;
  headings: boolean;
}

const ulimitSteps = shellSteps<UlimitLocals>("sh.ulimit", {
  next: (p, l) => {
    const row = LIMITS.find(([letter]) => letter === l.letters[l.next]);
    return row === undefined ? 0 : p.sys("prlimit64", 0, row[1], 0, { room: 16 });
  },
  got: (p, l) => {
    const [letter, resource, unit, text] = LIMITS.find(([one]) => one === l.letters[l.next]) ?? LIMITS[0];
    const bytes = p.took(16);
    const now = getU64(bytes, l.hard && !l.soft ? 8 : 0);
    if (l.value !== "") {
      const set = new Uint8Array(bytes);
      const value = l.value === "unlimited" ? UNLIMITED : BigInt(l.value) * BigInt(unit);
      if (l.soft) putU64(set, 0, value);
      if (l.hard) putU64(set, 8, value);
      return p.sys("prlimit64", 0, resource, set, 0);
    }
    const shown = BigInt(now) === UNLIMITED ? "unlimited" : String(BigInt(now) / BigInt(unit));
    p.out(l.headings ? `${text.padEnd(32)}(-${letter}) ${shown}\n` : `${shown}\n`);
    l.next++;
    return to("next");
  },
  set: (p) => {
    if (p.ret >= 0) return 0;
    complain(p as Proc, `ulimit: error setting limit: ${errnoMessage(-p.ret)}`);
    return 1;
  },
});

builtin("ulimit", (p, _sh, args) => {
  const letters = args.filter((word) => word.startsWith("-")).join("").replaceAll("-", "");
  const value = args.find((word) => !word.startsWith("-")) ?? "";
  if (value !== "" && !/^([0-9]{1,18}|unlimited)$/.test(value)) throw new ShellProblem(`ulimit: bad number`);
  const wanted = [...letters].filter((letter) => LIMITS.some(([one]) => one === letter));
  const odd = [...letters].find((letter) => !"aHS".includes(letter) && !LIMITS.some(([one]) => one === letter));
  if (odd !== undefined) {
    complain(p, `ulimit: illegal option -${odd}`);
    return 2;
  }
  const [hard, soft] = [letters.includes("H"), letters.includes("S")];
  return enter(ulimitSteps, {
    letters: letters.includes("a") ? LIMITS.map(([letter]) => letter) : wanted.length === 0 ? ["f"] : wanted, next: 0,
    hard: hard || (value !== "" && !soft), soft: soft || !hard, value, headings: letters.includes("a"),
  });
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
