/** Tools that run another: env, nice, timeout, su, taskset, setsid, nohup, xargs, busybox, which. */
import { EAGAIN, errnoMessage } from "../../abi/errno.ts";
import { sigBit, SIGCHLD, SIGCONT, SIGHUP, SIGKILL, SIG_BLOCK } from "../../abi/signal.ts";
import { getI32, putU32, putU64 } from "../../lib/bytes.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { cannotRun, DEFAULT_PATH, execvp, slurp } from "../files_lib.ts";
import { popcount } from "../numbers.ts";
import { getopt, readCount } from "../options.ts";
import { exitStatus } from "../shell/process.ts";
import { signalOf } from "../shell/builtins.ts";
import { tool, printer } from "../tool.ts";
import { readDuration, timespec } from "./sleep.ts";

tool<{ env: string[]; argv: string[] }>("env", "bin", (p, args) => {
  const { has, all, rest, problem } = getopt(args, "+iu:0", { "ignore-environment": "i", unset: "u" });
  if (problem !== "") return p.fail(problem, 125);
  let env = "i" in has || args[0] === "-" ? [] : [...p.main.env];
  for (const [letter, name] of all) if (letter === "u") env = env.filter((entry) => !entry.startsWith(`${name}=`));
  const words = rest[0] === "-" ? rest.slice(1) : [...rest];
  while (words.length > 0 && /^[^=]+=/.test(words[0])) {
    const entry = words.shift() ?? "";
    const name = entry.slice(0, entry.indexOf("=") + 1);
    env = [...env.filter((one) => !one.startsWith(name)), entry];
  }
  if (words.length > 0) return { env, argv: words };
  for (const entry of env) p.out(`${entry}\n`);
  return 0;
}, {
  exec: (p, { argv, env }) => execvp(p, argv, env),
  failed: (p, { argv }) => cannotRun(p, argv[0]),
});

const PRIO_PROCESS = 0;

tool<{ by: number; argv: string[] }>("nice", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args.map((word, at) => (at === 0 && /^-[0-9]+$/.test(word) ? `-n${word.slice(1)}` : word)), "+n:", { adjustment: "n" });
  if (problem !== "") return p.fail(problem, 125);
  const by = has.n ?? "10";
  return /^[-+]?[0-9]{1,4}$/.test(by) ? { by: Number(by), argv: rest } : p.fail(`invalid number '${by}'`, 125);
}, {
  now: (p) => p.sys("getpriority", PRIO_PROCESS, 0),
  set: (p, { by, argv }) => {
    const nice = 20 - p.ret;
    if (argv.length > 0) return p.sys("setpriority", PRIO_PROCESS, 0, nice + by);
    p.out(`${nice}\n`);
    return to("told");
  },
  exec: (p, { argv }) => {
    if (p.ret < 0) p.warn(`setpriority: ${errnoMessage(-p.ret)}`);
    return execvp(p, argv);
  },
  failed: (p, { argv }) => cannotRun(p, argv[0]),
  told: () => 0,
});

interface TimeoutLocals {
  argv: string[];
  ns: number;
  killNs: number;
  signal: number;
  pid: number;
  expired: boolean;
  status: number;
}

const SIGSET = 8;
const WNOHANG = 1;

function childSet(): Uint8Array {
  const set = new Uint8Array(SIGSET);
  putU64(set, 0, Number(sigBit(SIGCHLD)));
  return set;
}

tool<TimeoutLocals>("timeout", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args, "+s:k:v", { signal: "s", "kill-after": "k", foreground: "v", "preserve-status": "v" });
  const [time, ...argv] = rest;
  if (problem !== "" || argv.length === 0) return p.fail(problem === "" ? "missing operand" : problem, 125);
  const [ns, killNs, signal] = [readDuration(time), readDuration(has.k ?? "0"), signalOf(has.s ?? "TERM")];
  if (ns === undefined || killNs === undefined) return p.fail(`invalid time interval '${time}'`, 125);
  if (signal < 0) return p.fail(`${has.s}: invalid signal`, 125);
  return { argv, ns, killNs, signal, pid: 0, expired: false, status: 0 };
}, {
  block: (p) => p.sys("rt_sigprocmask", SIG_BLOCK, childSet(), 0, SIGSET),
  fork: (p) => p.sys("fork"),
  forked: (p, l) => {
    l.pid = p.ret;
    if (p.ret < 0) return p.fail(`fork: ${errnoMessage(-p.ret)}`, 125);
    return p.ret === 0 ? to("unblock") : NEXT;
  },
  wait: (p, { ns }) => (ns === 0 ? p.sys("rt_sigtimedwait", childSet(), 0, 0, SIGSET) : p.sys("rt_sigtimedwait", childSet(), 0, timespec(ns), SIGSET)),
  woken: (p, l) => {
    if (p.ret !== -EAGAIN) return p.sys("wait4", l.pid, { room: 4 }, WNOHANG, 0);
    const second = l.expired;
    l.expired = true;
    return p.sys("kill", l.pid, second ? SIGKILL : l.signal);
  },
  looked: (p, l) => {
    if (p.ret === l.pid && !(l.expired && p.ret === 0)) {
      l.status = getI32(p.took(4), 0);
      return to("end");
    }
    if (!l.expired) return to("wait");
    l.ns = l.killNs;
    return p.sys("kill", l.pid, SIGCONT);
  },
  again: (_p, l) => (l.ns > 0 ? to("wait") : NEXT),
  reap: (p, l) => p.sys("wait4", l.pid, { room: 4 }, 0, 0),
  reaped: (p, l) => {
    l.status = getI32(p.took(4), 0);
    return NEXT;
  },
  end: (_p, { expired, status }) => (expired ? ((status & 0x7f) === SIGKILL ? 137 : 124) : exitStatus(status)),

  unblock: (p) => p.sys("rt_sigprocmask", 2, new Uint8Array(SIGSET), 0, SIGSET),
  exec: (p, { argv }) => execvp(p, argv),
  failed: (p, { argv }) => cannotRun(p, argv[0]),
});

interface SuLocals {
  user: string;
  shell: string;
  argv: string[];
  users: string;
  uid: number;
  gid: number;
  home: string;
}

const NOBODY = 65534;

tool<SuLocals>("su", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args, "s:c:lmp", { shell: "s", command: "c", login: "l" });
  if (problem !== "") return p.fail(problem);
  const words = rest.filter((word) => word !== "-");
  const [user = "root", ...more] = words;
  return { user, shell: has.s ?? "/bin/sh", argv: "c" in has ? ["-c", has.c, ...more] : more, users: "", uid: 0, gid: 0, home: "/" };
}, {
  users: () => slurp("/etc/passwd", "users"),
  find: (p, l) => {
    const known = l.users.split("\n").map((line) => line.split(":")).find(([name]) => name === l.user);
    if (known !== undefined) [l.uid, l.gid, l.home] = [Number(known[2]), Number(known[3]), known[5] ?? "/"];
    else if (l.user === "root") [l.uid, l.gid, l.home] = [0, 0, "/root"];
    else if (l.user === "nobody") [l.uid, l.gid, l.home] = [NOBODY, NOBODY, "/"];
    else if (/^user[0-9]+$/.test(l.user)) l.uid = l.gid = Number(l.user.slice(4));
    else return p.fail(`unknown user ${l.user}`);
    return NEXT;
  },
  groups: (p) => p.sys("setgroups", 0, 0),
  group: (p, { gid }) => (p.ret < 0 ? p.fail("must be suid to work properly") : p.sys("setgid", gid)),
  user: (p, { uid }) => p.sys("setuid", uid),
  exec: (p, { argv, shell, user, home }) => {
    if (p.ret < 0) return p.fail(`can't set uid: ${errnoMessage(-p.ret)}`);
    const env = p.main.env.filter((entry) => !/^(USER|LOGNAME|HOME|SHELL)=/.test(entry));
    return execvp(p, [shell.replace(/^.*\//, ""), ...argv], [...env, `USER=${user}`, `LOGNAME=${user}`, `HOME=${home}`, `SHELL=${shell}`], shell);
  },
  failed: (p, { shell }) => cannotRun(p, shell),
});

interface TasksetLocals {
  pid: number;
  mask: number | null;
  argv: string[];
  list: boolean;
}

function cpuMask(text: string, list: boolean): number | null {
  if (!list) return /^(0x)?[0-9a-fA-F]{1,8}$/.test(text) ? Number.parseInt(text, 16) : null;
  let mask = 0;
  for (const part of text.split(",")) {
    const match = /^([0-9]{1,2})(?:-([0-9]{1,2}))?$/.exec(part);
    if (match === null) return null;
    for (let cpu = Number(match[1]); cpu <= Number(match[2] ?? match[1]); cpu++) mask += 2 ** cpu;
  }
  return mask;
}

tool<TasksetLocals>("taskset", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args, "+pc", { pid: "p", "cpu-list": "c" });
  if (problem !== "" || rest.length === 0) return p.fail(problem === "" ? "missing operand" : problem);
  const list = "c" in has;
  const shows = "p" in has && rest.length === 1;
  const mask = shows ? null : cpuMask(rest[0], list);
  if (mask === null && !shows) return p.fail(`failed to parse CPU ${list ? "list" : "mask"}: ${rest[0]}`);
  return { pid: "p" in has ? Number(rest[rest.length - 1]) : 0, mask, argv: "p" in has ? [] : rest.slice(1), list };
}, {
  now: (p, { pid }) => p.sys("sched_getaffinity", pid, 8, { room: 8 }),
  set: (p, { pid, mask, argv, list }) => {
    if (p.ret < 0) return p.fail(`failed to get pid ${pid}'s affinity: ${errnoMessage(-p.ret)}`);
    if (argv.length === 0) p.out(affinityLine(pid, "current", p.took(8), list));
    if (mask === null) return 0;
    const set = new Uint8Array(8);
    putU32(set, 0, mask);
    return p.sys("sched_setaffinity", pid, 8, set);
  },
  exec: (p, { pid, argv, mask, list }) => {
    if (p.ret < 0) return p.fail(`failed to set pid ${pid}'s affinity: ${errnoMessage(-p.ret)}`);
    if (argv.length > 0) return execvp(p, argv);
    const set = new Uint8Array(8);
    putU32(set, 0, mask ?? 0);
    p.out(affinityLine(pid, "new", set, list));
    return to("told");
  },
  failed: (p, { argv }) => cannotRun(p, argv[0]),
  told: () => 0,
});

function affinityLine(pid: number, which: string, set: Uint8Array, list: boolean): string {
  const mask = getI32(set, 0) >>> 0;
  if (!list) return `pid ${pid}'s ${which} affinity mask: ${mask.toString(16)}\n`;
  const cpus: number[] = [];
  for (let cpu = 0; cpu < 32; cpu++) if (Math.floor(mask / 2 ** cpu) % 2 === 1) cpus.push(cpu);
  const ranges = popcount(set) === cpus.length && cpus.length > 1 && cpus[cpus.length - 1] - cpus[0] === cpus.length - 1 ? `${cpus[0]}-${cpus[cpus.length - 1]}` : cpus.join(",");
  return `pid ${pid}'s ${which} affinity list: ${ranges}\n`;
}

tool<{ argv: string[] }>("setsid", "bin", (p, args) => (args.length === 0 ? p.fail("missing operand") : { argv: args.filter((word) => !/^-[cfw]$/.test(word)) }), {
  alone: (p) => p.sys("setsid"),
  fork: (p) => (p.ret >= 0 ? to("exec") : p.sys("fork")),
  forked: (p) => (p.ret > 0 ? 0 : p.sys("setsid")),
  exec: (p, { argv }) => execvp(p, argv),
  failed: (p, { argv }) => cannotRun(p, argv[0]),
});

tool<{ argv: string[] }>("nohup", "bin", (p, args) => (args.length === 0 ? p.fail("missing operand", 125) : { argv: args }), {
  ignore: (p) => {
    const action = new Uint8Array(32);
    putU32(action, 0, 1);
    return p.sys("rt_sigaction", SIGHUP, action, 0, SIGSET);
  },
  exec: (p, { argv }) => execvp(p, argv),
  failed: (p, { argv }) => cannotRun(p, argv[0]),
});

interface XargsLocals {
  argv: string[];
  most: number;
  replace: string;
  text: string;
  words: string[];
  separator: string;
  skip: boolean;
  pid: number;
  ran: boolean;
  status: number;
}

const XARGS_MOST = 1_000;

function xargsWords(text: string, separator: string): string[] {
  if (separator !== "") return text.split(separator).filter((word) => word !== "");
  const words: string[] = [];
  for (const [, double, single, plain] of text.matchAll(/"([^"\n]*)"|'([^'\n]*)'|((?:[^\s"'\\]|\\.)+)/gs)) words.push(double ?? single ?? plain.replace(/\\(.)/gs, "$1"));
  return words;
}

tool<XargsLocals>("xargs", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args, "+n:I:0rtd:L:P:", { null: "0", "no-run-if-empty": "r", "max-args": "n" });
  if (problem !== "") return p.fail(problem);
  const most = readCount(has.n ?? has.L ?? String(XARGS_MOST));
  if (most === undefined || most === 0) return p.fail(`invalid number '${has.n}'`);
  return {
    argv: rest.length === 0 ? ["echo"] : rest, most: "I" in has ? 1 : most, replace: has.I ?? "", text: "", words: [],
    separator: "0" in has ? "\0" : "I" in has ? "\n" : (has.d ?? "").replace("\\n", "\n"), skip: "r" in has, pid: 0, ran: false, status: 0,
  };
}, {
  read: () => slurp("-", "text"),
  split: (_p, l) => {
    l.words = xargsWords(l.text, l.separator);
    l.text = "";
    return NEXT;
  },
  next: (p, l) => (l.words.length === 0 && (l.ran || l.skip) ? l.status : p.sys("fork")),
  forked: (p, l) => {
    l.pid = p.ret;
    const part = l.words.splice(0, l.most);
    if (p.ret < 0) return p.fail(`fork: ${errnoMessage(-p.ret)}`);
    if (p.ret > 0) return to("wait");
    const argv = l.replace === "" ? [...l.argv, ...part] : l.argv.map((word) => word.replaceAll(l.replace, part[0] ?? ""));
    return execvp(p, argv);
  },
  failed: (p, { argv }) => cannotRun(p, argv[0]),
  wait: (p, { pid }) => p.sys("wait4", pid, { room: 4 }, 0, 0),
  waited: (p, l) => {
    l.ran = true;
    const status = exitStatus(getI32(p.took(4), 0));
    if (status === 126 || status === 127) return status;
    if (status !== 0) l.status = 123;
    return to("next");
  },
});

tool<{ words: string[]; places: string[]; status: number }>("which", "bin", (_p, args) => ({ words: args.filter((word) => word !== "-a"), places: [], status: 0 }), {
  word: (p, l) => {
    const [word] = l.words;
    if (word === undefined) return l.status;
    l.places = word.includes("/") ? [word] : (p.env("PATH") ?? DEFAULT_PATH).split(":").map((directory) => `${directory}/${word}`);
    return NEXT;
  },
  look: (p, l) => (l.places.length === 0 ? to("absent") : p.sys("faccessat", -100, l.places[0], 1)),
  looked: (p, l) => {
    const place = l.places.shift() ?? "";
    if (p.ret < 0) return to("look");
    p.out(`${place}\n`);
    l.words.shift();
    return to("word");
  },
  absent: (_p, l) => {
    l.words.shift();
    l.status = 1;
    return to("word");
  },
});

printer("busybox", "bin", (p) => {
  p.out("BusyBox v1.35.0 multi-call binary.\n\nUsage: busybox [function [arguments]...]\n");
  return 0;
});

