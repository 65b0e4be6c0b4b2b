/**
 * Commands of the service: a process that makes pipes, forks what it was asked to run, feeds it and gathers what it prints,
 * as a daemon that serves a remote shell does. All by system calls.
 */
import { EAGAIN, EINTR, ENOENT, errnoMessage } from "../abi/errno.ts";
import { O_CLOEXEC, O_NONBLOCK } from "../abi/fcntl.ts";
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import { sigBit, SIGCHLD, SIGKILL, SIG_SETMASK } from "../abi/signal.ts";
import { WEXITSTATUS, WIFSIGNALED, WTERMSIG } from "../abi/wait.ts";
import { nameBytes, bytesName } from "../fs/names.ts";
import type { Json } from "../input.ts";
import { base64Decode, base64Encode, getI32, getU16, putU16, putU32, putU64, utf8Decode, utf8DecodeLossy, utf8Encode } from "../lib/bytes.ts";
import { newlinesOf } from "../lib/string.ts";
import { costs } from "../sched/cost.ts";
import { enter, NEXT, to } from "../sched/steps.ts";
import { FOREVER } from "../sched/task.ts";
import { DEFAULT_PATH, execvp } from "./files_lib.ts";
import { program, runLocals } from "./program.ts";
import { DATA_BASE, DATA_SIZE, programSteps, type Proc } from "./proc.ts";

export const COMMAND_LIMITS = {
  /** Bytes of stdout, and of stderr, that are kept. */
  outputBytes: 1 << 20,
  words: 4_096,
  /** Bytes of all words, or of a script. */
  textBytes: 64 << 10,
};

/** Bytes that are read of each, those that nobody keeps too; then the pipe is closed, and who goes on writing gets SIGPIPE. */
const READ_BYTES = 16 << 20;

const POLLIN = 1;
const POLLOUT = 4;
const POLLFD = 8;
const SIGSET = 8;
const WNOHANG = 1;
const WAIT_NOTHING = 0;

interface Stream {
  fd: number;
  /** The child's end. */
  theirs: number;
  parts: string[];
  /** Bytes that were read. */
  length: number;
}

interface CommandLocals {
  argv: string[];
  env: string[];
  /** What is still to be fed; null for a command that reads /dev/null. */
  stdin: string | null;
  in: Stream;
  out: Stream;
  err: Stream;
  signals: number;
  child: number;
  /** Polled descriptors, in the order of the poll. */
  polled: number[];
  /** Streams that are ready. */
  ready: number[];
  status: number;
}

const stream = (): Stream => ({ fd: -1, theirs: -1, parts: [], length: 0 });

function sigset(...signals: number[]): Uint8Array {
  const bytes = new Uint8Array(SIGSET);
  putU64(bytes, 0, Number(signals.reduce((set, signal) => set | sigBit(signal), 0n)));
  return bytes;
}

function pollSet(l: CommandLocals): Uint8Array {
  l.polled = [l.signals, l.in.fd, l.out.fd, l.err.fd].filter((fd) => fd >= 0);
  const bytes = new Uint8Array(l.polled.length * POLLFD);
  l.polled.forEach((fd, at) => {
    putU32(bytes, at * POLLFD, fd);
    putU16(bytes, at * POLLFD + 4, fd === l.in.fd ? POLLOUT : POLLIN);
  });
  return bytes;
}

function ends(p: Proc, into: Stream, mine: 0 | 1): void {
  const bytes = p.took(8);
  into.fd = getI32(bytes, mine * 4);
  into.theirs = getI32(bytes, 4 - mine * 4);
}

const command = programSteps<CommandLocals>("command", {
  memory: (p) => {
    // The service itself is never held back; what it starts is.
    p.task.graceNs = FOREVER;
    return p.sys("mmap", DATA_BASE, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  },
  outPipe: (p) => (p.ret < 0 ? p.ret : p.sys("pipe2", { room: 8 }, O_CLOEXEC)),
  errPipe: (p, l) => {
    ends(p, l.out, 0);
    return p.sys("pipe2", { room: 8 }, O_CLOEXEC);
  },
  inPipe: (p, l) => {
    ends(p, l.err, 0);
    return l.stdin === null ? to("block") : p.sys("pipe2", { room: 8 }, O_CLOEXEC);
  },
  inMade: (p, l) => {
    ends(p, l.in, 1);
    return NEXT;
  },
  block: (p) => p.sys("rt_sigprocmask", SIG_SETMASK, sigset(SIGCHLD), 0, SIGSET),
  signalfd: (p) => p.sys("signalfd4", -1, sigset(SIGCHLD), SIGSET, O_CLOEXEC | O_NONBLOCK),
  fork: (p, l) => {
    l.signals = p.ret;
    return p.sys("fork");
  },
  forked: (p, l) => {
    l.child = p.ret;
    if (p.ret < 0) return p.ret;
    return p.ret === 0 ? to("session") : to("closeOut");
  },

  // The child.
  session: (p) => p.sys("setsid"),
  unblock: (p) => p.sys("rt_sigprocmask", SIG_SETMASK, sigset(), 0, SIGSET),
  stdin: (p, l) => (l.in.theirs < 0 ? NEXT : p.sys("dup2", l.in.theirs, 0)),
  stdout: (p, l) => p.sys("dup2", l.out.theirs, 1),
  stderr: (p, l) => p.sys("dup2", l.err.theirs, 2),
  exec: (p, { argv, env }) => execvp(p as Proc, argv, env),
  failed: (p, l) => {
    l.status = p.ret === -ENOENT ? 127 : 126;
    return p.write(2, `sh: ${l.argv[0]}: ${p.ret === -ENOENT ? "not found" : errnoMessage(-p.ret)}\n`);
  },
  leave: (p, { status }) => p.sys("exit_group", status),

  // The parent.
  closeOut: (p, l) => p.sys("close", l.out.theirs),
  closeErr: (p, l) => p.sys("close", l.err.theirs),
  closeIn: (p, l) => (l.in.theirs < 0 ? NEXT : p.sys("close", l.in.theirs)),
  quickOut: (p, l) => p.sys("fcntl", l.out.fd, 4, O_NONBLOCK),
  quickErr: (p, l) => p.sys("fcntl", l.err.fd, 4, O_NONBLOCK),
  quickIn: (p, l) => (l.in.fd < 0 ? NEXT : p.sys("fcntl", l.in.fd, 4, O_NONBLOCK)),
  ignorePipe: (p) => {
    // SIG_IGN: a command that does not read what it is given kills nobody.
    const action = new Uint8Array(32);
    action[0] = 1;
    return p.sys("rt_sigaction", 13, action, 0, SIGSET);
  },
  poll: (p, l) => {
    const set = pollSet(l);
    const at = p.lay(set);
    return p.sys("poll", at, l.polled.length, -1);
  },
  polledNow: (p, l) => {
    l.ready = [];
    if (p.ret === -EINTR) return p.sys("kill", -l.child, SIGKILL);
    const bytes = readSet(p, l);
    l.ready = l.polled.filter((_, at) => getU16(bytes, at * POLLFD + 6) !== 0);
    return NEXT;
  },
  next: (_p, l) => {
    const fd = l.ready.shift();
    if (fd === undefined) return to("poll");
    if (fd === l.signals) return to("drain");
    if (fd === l.in.fd) return enter(feedSteps, { fd, text: l.stdin ?? "" });
    l.ready.unshift(fd);
    return to("take");
  },
  fed: () => to("next"),
  // Read first: a child that ends after it makes the descriptor readable again.
  drain: (p, l) => p.sys("read", l.signals, { room: 128 }, 128),
  reap: (p, l) => p.sys("wait4", l.child, { room: 4 }, WNOHANG, 0),
  waited: (p, l) => {
    if (p.ret !== l.child) return to("next");
    l.status = getI32(p.took(4), 0);
    l.ready = [l.out.fd, l.err.fd].filter((fd) => fd >= 0);
    l.child = WAIT_NOTHING;
    return to("last");
  },

  take: (p, l) => p.read(l.ready[0]),
  taken: (p, l) => {
    const fd = l.ready.shift() ?? -1;
    const into = fd === l.out.fd ? l.out : l.err;
    if (p.ret === -EAGAIN || p.ret === -EINTR) return l.child === WAIT_NOTHING ? to("last") : to("next");
    if (p.ret > 0) keep(p, into, p.ret);
    const over = p.ret <= 0 || into.length >= READ_BYTES;
    if (!over && l.child === WAIT_NOTHING) l.ready.unshift(fd);
    if (!over) return l.child === WAIT_NOTHING ? to("last") : to("next");
    into.fd = -1;
    return p.sys("close", fd);
  },
  shut: (_p, l) => (l.child === WAIT_NOTHING ? to("last") : to("next")),
  // The command is over: what lies in the pipes is still its own.
  last: (_p, l) => (l.ready.length > 0 ? to("take") : NEXT),
  end: (p, l) => {
    answer(p, l);
    return 0;
  },
});

/** What the poll left: it has written into the set that it was given. */
function readSet(p: Proc<CommandLocals>, l: CommandLocals): Uint8Array {
  return p.laid(l.polled.length * POLLFD);
}

interface FeedLocals {
  fd: number;
  text: string;
}

const PART = 4096;

/** Writes what the pipe takes; at the end of the input, or of the reader, the pipe is closed. */
const feedSteps = programSteps<FeedLocals>("command.feed", {
  write: (p, { fd, text }) => (text === "" ? to("close") : p.sys("write", fd, nameBytes(text.slice(0, PART)), Math.min(PART, text.length))),
  wrote: (p, l) => {
    if (p.ret === -EAGAIN || p.ret === -EINTR) return 0;
    if (p.ret < 0) return NEXT;
    l.text = l.text.slice(p.ret);
    p.give("stdin", l.text);
    return to("write");
  },
  close: (p, { fd }) => {
    p.give("in", stream());
    return p.sys("close", fd);
  },
  closed: () => 0,
});

/** The one who asked is shown what comes, as on a terminal. */
function keep(p: Proc<CommandLocals>, into: Stream, length: number): void {
  const text = p.text(Math.min(length, COMMAND_LIMITS.outputBytes - into.length));
  p.work(newlinesOf(text) * costs(p.k).consoleNs);
  if (text !== "") into.parts.push(text);
  into.length += length;
}

/** Leaves what the command came to for the one who asked. */
function answer({ task }: Proc<CommandLocals>, { status, out, err }: CommandLocals): void {
  const run = runLocals(task);
  if (run === null) return;
  run.extra.exit = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  for (const [name, { parts }] of [["stdout", out], ["stderr", err]] as ["stdout" | "stderr", Stream][]) {
    const bytes = nameBytes(parts.join(""));
    const text = utf8Decode(bytes);
    run[name] = text ?? utf8DecodeLossy(bytes);
    if (text === undefined) run.extra[`${name}Bytes`] = base64Encode(bytes);
  }
}

/** Text as programs have it: one character a byte. */
function byteText(text: string): string {
  return bytesName(utf8Encode(text));
}

/** The environment of a command. */
export function environment(uid: number, home: string): string[] {
  const user = uid === 0 ? "root" : uid === 65534 ? "nobody" : `user${uid}`;
  return [`HOME=${home}`, `USER=${user}`, `LOGNAME=${user}`, `PATH=${DEFAULT_PATH}`, "SHELL=/bin/sh", "TERM=dumb"];
}

/** argv of `{ argv }` or `{ script }`; a sentence when it is neither. */
export function commandWords({ argv, script }: { [name: string]: Json }): string[] | string {
  if (typeof script === "string") {
    return script.includes("\0") ? "a script has no NUL" : utf8Encode(script).length > COMMAND_LIMITS.textBytes ? `a script has at most ${COMMAND_LIMITS.textBytes} bytes` : ["sh", "-c", byteText(script)];
  }
  if (!Array.isArray(argv) || argv.length === 0 || argv.length > COMMAND_LIMITS.words) return `argv takes 1 to ${COMMAND_LIMITS.words} strings`;
  const words: string[] = [];
  let total = 0;
  for (const word of argv) {
    if (typeof word !== "string" || word.includes("\0")) return "argv takes strings without NUL";
    words.push(byteText(word));
    total += words[words.length - 1].length + 1;
  }
  return total > COMMAND_LIMITS.textBytes ? `argv has at most ${COMMAND_LIMITS.textBytes} bytes` : words;
}

program("command", command, (args) => {
  const argv = commandWords(args);
  if (typeof argv === "string") return argv;
  const { stdin, uid, home } = args;
  const bytes = typeof stdin === "string" ? base64Decode(stdin) : null;
  if (bytes === undefined) return "stdin takes bytes in base64";
  const locals: CommandLocals = {
    argv, env: environment(typeof uid === "number" ? uid : 0, typeof home === "string" ? home : "/"), stdin: bytes === null ? null : bytesName(bytes),
    in: stream(), out: stream(), err: stream(), signals: -1, child: -1, polled: [], ready: [], status: 0,
  };
  return locals;
});
