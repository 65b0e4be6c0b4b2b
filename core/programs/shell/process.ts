/** What the shell forks: pipelines, subshells, background commands, command substitutions; and waiting for them. */
import { ECHILD, EINTR } from "../../abi/errno.ts";
import { SIGINT, SIGPIPE, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, signalName } from "../../abi/signal.ts";
import { getI32, putU32 } from "../../lib/bytes.ts";
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";
import type { Proc } from "../proc.ts";
import { evaluate } from "./nodes.ts";
import { parse } from "./parse.ts";
import { complain, shellSteps } from "./message.ts";
import { runExitTrap } from "./traps.ts";
import { shellOf, type ShellLocals } from "./state.ts";

const SIGSET = 8;
const TIOCSPGRP = 0x5410;
const WUNTRACED = 2;
/** What a shell says of a signal that ended its command. */
const DEATHS: { [signal: number]: string } = {
  1: "Hangup", 3: "Quit", 4: "Illegal instruction", 5: "Trace/breakpoint trap", 6: "Aborted", 7: "Bus error", 8: "Floating point exception", 9: "Killed",
  10: "User defined signal 1", 11: "Segmentation fault", 12: "User defined signal 2", 14: "Alarm clock", 15: "Terminated", 16: "Stack fault",
  24: "CPU time limit exceeded", 25: "File size limit exceeded", 26: "Virtual timer expired", 27: "Profiling timer expired", 31: "Bad system call",
};

/** A wait status as $? */
export function exitStatus(status: number): number {
  const signal = status & 0x7f;
  if (signal === 0x7f) return 128 + ((status >> 8) & 0xff);
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}

// A child.

interface ChildLocals {
  script: string;
  node: number;
  /** Of a background command. */
  background: boolean;
  /** Its process group in an interactive shell, 0 for a new one; -1 outside job control. */
  pgid: number;
  signal: number;
}

/** struct sigaction with SIG_DFL or SIG_IGN. */
export function action(handler: 0 | 1): Uint8Array {
  const bytes = new Uint8Array(32);
  putU32(bytes, 0, handler);
  return bytes;
}

const JOB_SIGNALS = [SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU];

/** The copy that runs a node and then ends; nothing of the shell above it goes on. */
function child(script: string, node: number, { background = false, pgid = -1 } = {}): StepResult {
  return enter(childSteps, { script, node, background, pgid, signal: 0 });
}

/** A child's first acts as a member of a job. */
export function joinJob(p: Proc<never> | Proc, pgid: number, background: boolean): StepResult {
  void p;
  return enter(joinSteps, { pgid, background, signal: 0 });
}

const joinSteps = shellSteps<{ pgid: number; background: boolean; signal: number }>("sh.join", {
  group: (p, { pgid }) => p.sys("setpgid", 0, pgid),
  terminal: (p, { background, pgid }) => {
    const sh = shellOf(p);
    if (background) return NEXT;
    const group = new Uint8Array(4);
    putU32(group, 0, pgid === 0 ? p.task.tgid : pgid);
    return p.sys("ioctl", sh.terminal, TIOCSPGRP, group);
  },
  signals: (p, l) => (l.signal >= JOB_SIGNALS.length ? 0 : p.sys("rt_sigaction", JOB_SIGNALS[l.signal++], action(0), 0, SIGSET)),
  more: () => to("signals"),
});

/** Makes the shell's state that of a copy. */
export function becomeSubshell(sh: ShellLocals): void {
  sh.subshell = true;
  sh.interactive = false;
  sh.jobs = [];
  sh.traps = new Map([...sh.traps].filter(([signal, text]) => signal !== 0 && text === ""));
  sh.flow = "";
  sh.levels = 0;
}

const childSteps = shellSteps<ChildLocals>("sh.child", {
  join: (p, { pgid, background }) => {
    const jobs = pgid >= 0;
    const sh = shellOf(p);
    if (!jobs) becomeSubshell(sh);
    return jobs ? joinJob(p as Proc, pgid, background) : background ? NEXT : to("run");
  },
  ignoreInt: (p, { background, pgid }) => {
    becomeSubshell(shellOf(p));
    return background && pgid < 0 ? p.sys("rt_sigaction", SIGINT, action(1), 0, SIGSET) : to("run");
  },
  ignoreQuit: (p) => p.sys("rt_sigaction", SIGQUIT, action(1), 0, SIGSET),
  nothing: (p) => p.open("/dev/null"),
  stdin: (p) => (p.ret <= 0 ? to("run") : p.sys("dup2", p.ret, 0)),
  run: (p, { script, node }) => evaluate(p, script, node, true),
  trap: (p) => {
    shellOf(p).status = p.ret;
    return runExitTrap(p as Proc);
  },
  exit: (p) => p.sys("exit_group", shellOf(p).status & 255),
});

// Waiting.

interface WaitLocals {
  pids: number[];
  pgid: number;
  text: string;
  /** The wait status that counts so far. */
  status: number;
  next: number;
  pipefail: boolean;
}

/** Waits for the processes of a foreground job; answers the status of the last, or with `pipefail` that of the last that failed. */
export function waitFor(pids: number[], pgid = -1, text = "", pipefail = false): StepResult {
  return enter(waitSteps, { pids: [...pids], pgid, text, status: 0, next: 0, pipefail });
}

const waitSteps = shellSteps<WaitLocals>("sh.wait", {
  wait: (p, { pids, pgid, next }) => p.sys("wait4", pids[next], { room: 4 }, pgid >= 0 ? WUNTRACED : 0, 0),
  waited: (p, l) => {
    const sh = shellOf(p);
    if (p.ret === -EINTR) return to("wait");
    const status = p.ret === -ECHILD ? 0 : getI32(p.took(4), 0);
    if ((status & 0xff) === 0x7f) {
      const number = 1 + Math.max(0, ...sh.jobs.map((job) => job.number));
      sh.jobs.push({ number, pgid: l.pgid, pids: l.pids.slice(l.next), text: l.text, status: -1, stopped: true, told: true });
      p.err(`[${number}]+  Stopped                    ${l.text}\n`);
      l.status = status;
      return to("back");
    }
    tellDeath(p as Proc, status, l.next === l.pids.length - 1);
    if (!l.pipefail || status !== 0) l.status = status;
    return ++l.next < l.pids.length ? to("wait") : NEXT;
  },
  back: (p, { pgid }) => {
    const sh = shellOf(p);
    if (pgid < 0) return NEXT;
    const group = new Uint8Array(4);
    putU32(group, 0, sh.pgid);
    return p.sys("ioctl", sh.terminal, TIOCSPGRP, group);
  },
  end: (_p, { status }) => exitStatus(status),
});

/** `Killed`, `Segmentation fault`: what a shell says of its command's end by a signal. */
export function tellDeath(p: Proc, status: number, last: boolean): void {
  const signal = status & 0x7f;
  if (signal === 0 || signal === 0x7f || !last) return;
  if (signal === SIGINT && shellOf(p).interactive) p.err("\n");
  else if (signal !== SIGINT && signal !== SIGPIPE) p.err(`${DEATHS[signal] ?? signalName(signal)}\n`);
}

// Fork and wait.

interface ForkLocals {
  script: string;
  node: number;
  text: string;
  pid: number;
  pgid: number;
}

function inJob(sh: ShellLocals): number {
  return sh.interactive && !sh.subshell && sh.terminal >= 0 ? 0 : -1;
}

/** Runs a node in a copy of the shell and waits for it. */
export function forkNode(script: string, node: number): StepResult {
  return enter(forkSteps, { script, node, text: "", pid: 0, pgid: -1 });
}

const forkSteps = shellSteps<ForkLocals>("sh.fork", {
  fork: (p, l) => {
    l.pgid = inJob(shellOf(p));
    return p.sys("fork");
  },
  forked: (p, l) => {
    if (p.ret < 0) return cannotFork(p as Proc);
    l.pid = p.ret;
    if (p.ret === 0) return child(l.script, l.node, { pgid: l.pgid });
    return l.pgid < 0 ? NEXT : p.sys("setpgid", p.ret, p.ret);
  },
  wait: (_p, { pid, pgid }) => waitFor([pid], pgid < 0 ? -1 : pid, "(...)"),
  end: (p) => p.ret,
});

export function cannotFork(p: Proc): number {
  complain(p, "can't fork: Resource temporarily unavailable");
  return 2;
}

// Pipelines.

interface PipeLocals {
  script: string;
  node: number;
  next: number;
  /** The end to read of the pipe before. */
  before: number;
  read: number;
  write: number;
  pids: number[];
  pgid: number;
}

export function pipeline(script: string, node: number): StepResult {
  return enter(pipeSteps, { script, node, next: 0, before: -1, read: -1, write: -1, pids: [], pgid: -1 });
}

function partsOf({ script, node }: PipeLocals): number[] {
  const found = parse(script).nodes[node];
  return found.kind === "pipe" ? found.parts : [];
}

const pipeSteps = shellSteps<PipeLocals>("sh.pipe", {
  next: (p, l) => {
    const parts = partsOf(l);
    if (l.next >= parts.length) return to("wait");
    if (l.next === parts.length - 1) {
      l.read = l.write = -1;
      return to("fork");
    }
    return p.sys("pipe2", { room: 8 }, 0);
  },
  piped: (p, l) => {
    if (p.ret < 0) return cannotFork(p as Proc);
    const bytes = p.took(8);
    l.read = getI32(bytes, 0);
    l.write = getI32(bytes, 4);
    return NEXT;
  },
  fork: (p, l) => {
    if (l.next === 0) l.pgid = inJob(shellOf(p));
    return p.sys("fork");
  },
  forked: (p, l) => {
    if (p.ret < 0) {
      cannotFork(p as Proc);
      return l.pids.length === 0 ? 2 : to("wait");
    }
    if (p.ret === 0) return to("in");
    l.pids.push(p.ret);
    return l.pgid < 0 ? to("closeBefore") : p.sys("setpgid", p.ret, l.pids[0]);
  },
  closeBefore: (p, { before }) => (before < 0 ? NEXT : p.sys("close", before)),
  closeWrite: (p, { write }) => (write < 0 ? NEXT : p.sys("close", write)),
  advance: (_p, l) => {
    l.before = l.read;
    l.next++;
    return to("next");
  },

  in: (p, { before }) => (before < 0 ? to("out") : p.sys("dup2", before, 0)),
  closeIn: (p, { before }) => p.sys("close", before),
  out: (p, { write }) => (write < 0 ? to("run") : p.sys("dup2", write, 1)),
  closeOut: (p, { write }) => p.sys("close", write),
  closeRead: (p, { read }) => p.sys("close", read),
  run: (_p, l) => child(l.script, partsOf(l)[l.next], { pgid: l.pgid < 0 ? -1 : (l.pids[0] ?? 0) }),
  never: (p) => p.sys("exit_group", p.ret),

  wait: (p, { pids, pgid }) => waitFor(pids, pgid < 0 ? -1 : pids[0], "...", shellOf(p).options.pipefail),
  end: (p) => p.ret,
});

// In the background.

export function background(script: string, node: number): StepResult {
  return enter(backgroundSteps, { script, node, text: "", pid: 0, pgid: -1 });
}

const JOBS_MAX = 1_000;

const backgroundSteps = shellSteps<ForkLocals>("sh.background", {
  fork: (p, l) => {
    l.pgid = inJob(shellOf(p));
    return p.sys("fork");
  },
  forked: (p, l) => {
    const sh = shellOf(p);
    if (p.ret < 0) return cannotFork(p as Proc);
    if (p.ret === 0) return child(l.script, l.node, { background: true, pgid: l.pgid });
    sh.lastBackground = p.ret;
    const number = 1 + Math.max(0, ...sh.jobs.map((job) => job.number));
    sh.jobs.push({ number, pgid: l.pgid < 0 ? -1 : p.ret, pids: [p.ret], text: describe(l.script, l.node), status: -1, stopped: false, told: false });
    if (sh.jobs.length > JOBS_MAX) sh.jobs.shift();
    if (sh.interactive) p.err(`[${number}] ${p.ret}\n`);
    return l.pgid < 0 ? NEXT : p.sys("setpgid", p.ret, p.ret);
  },
  end: () => 0,
});

/** A job's text: its plain words. */
export function describe(script: string, node: number): string {
  const found = parse(script).nodes[node];
  if (found.kind !== "simple") return "(...)";
  return found.words.map((word) => word.map((part) => (part.part === "text" ? part.text : part.part === "variable" ? `\${${part.name}}` : "$(...)")).join("")).join(" ");
}

// Substitutions.

interface SubstituteLocals {
  script: string;
  /** -1 for the whole script. */
  node: number;
  read: number;
  write: number;
  pid: number;
  parts: string[];
  length: number;
}

const SUBSTITUTED_MAX = 1 << 20;

/** Runs commands in a copy of the shell and leaves what they print, without newlines at its end, in `text` of the one that enters this. */
export function substitute(script: string, node: number): StepResult {
  return enter(substituteSteps, { script, node, read: -1, write: -1, pid: 0, parts: [], length: 0 });
}

const substituteSteps = shellSteps<SubstituteLocals>("sh.substitute", {
  pipe: (p) => p.sys("pipe2", { room: 8 }, 0),
  fork: (p, l) => {
    if (p.ret < 0) return cannotFork(p as Proc);
    const bytes = p.took(8);
    l.read = getI32(bytes, 0);
    l.write = getI32(bytes, 4);
    return p.sys("fork");
  },
  forked: (p, l) => {
    if (p.ret < 0) return cannotFork(p as Proc);
    l.pid = p.ret;
    return p.ret === 0 ? to("childClose") : p.sys("close", l.write);
  },
  read: (p, { read }) => p.read(read, 4096),
  got: (p, l) => {
    if (p.ret === -EINTR) return to("read");
    if (p.ret > 0 && l.length < SUBSTITUTED_MAX) {
      l.parts.push(p.text(p.ret));
      l.length += p.ret;
      return to("read");
    }
    return p.sys("close", l.read);
  },
  wait: (_p, { pid }) => waitFor([pid]),
  end: (p, l) => {
    shellOf(p).status = p.ret;
    p.give("text", l.parts.join("").replaceAll("\0", "").replace(/\n+$/, ""));
    return 0;
  },

  childClose: (p, { read }) => p.sys("close", read),
  childOut: (p, { write }) => (write === 1 ? NEXT : p.sys("dup2", write, 1)),
  childMoved: (p, { write }) => (write === 1 ? NEXT : p.sys("close", write)),
  childRun: (_p, { script, node }) => (node >= 0 ? child(script, node) : enter(wholeSteps, { script, next: 0 })),
  childEnd: (p) => p.sys("exit_group", p.ret),
});

/** A script of its own inside a copy of the shell, as in backquotes. */
const wholeSteps = shellSteps<{ script: string; next: number }>("sh.whole", {
  begin: (p) => {
    becomeSubshell(shellOf(p));
    return NEXT;
  },
  next: (p, l) => {
    const sh = shellOf(p);
    const parsed = parse(l.script);
    if (sh.flow !== "" || l.next >= parsed.commands.length) {
      if (parsed.error !== "" && sh.flow === "") {
        complain(p as Proc, `syntax error: ${parsed.error}`);
        sh.status = 2;
      }
      return to("trap");
    }
    return evaluate(p, l.script, parsed.commands[l.next++], false);
  },
  more: (p) => {
    shellOf(p).status = p.ret;
    return to("next");
  },
  trap: (p) => runExitTrap(p as Proc),
  exit: (p) => p.sys("exit_group", shellOf(p).status & 255),
});

