/** What a step of a program sees: its memory, its calls, its output. Made for one step and thrown away; nothing of it is state. */
import { AT_FDCWD } from "../abi/fcntl.ts";
import { errnoMessage } from "../abi/errno.ts";
import { statLayout } from "../abi/stat.ts";
import { decodeStruct, type Decoded } from "../abi/layout.ts";
import { bytesName, nameBytes } from "../fs/names.ts";
import type { Kernel } from "../kernel.ts";
import { assert } from "../lib/assert.ts";
import { putU64 } from "../lib/bytes.ts";
import { loadUser } from "../mm/access.ts";
import { writeUser } from "../mm/usercopy.ts";
import { chargeUser, costs } from "../sched/cost.ts";
import { enter, NEXT, steps, stepTables, to, type Frame, type StepResult, type StepTable } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { realtimeNs } from "../time/clock.ts";
import { answerCall } from "../syscalls/answer.ts";
import { signalSteps, sys } from "../syscalls/enter.ts";
import { isTraced, tells, traceLine, withoutMark, type Trace } from "./trace.ts";

/** A program's variables lie here: strings and structures of the call under way, and behind them its buffers. */
export const DATA_BASE = 0x5555_554f_0000;
export const DATA_SIZE = 0x6_0000;
const BUFFERS = DATA_BASE + 0x4_0000;
/** Bytes of one read and write. */
export const BUFFER_SIZE = 0x1_0000;
const ALIGN = 16;

/** Output is held back until it is so long, as stdio does with what is no terminal. */
const STDIO_BUFFER = 4096;

/** An argument of a call: a register, a C string, bytes, or room for what the call fills. */
export type Arg = number | bigint | string | Uint8Array | { room: number };

/** The bottom of a program: who it is, and its streams. Texts have one character a byte. */
export interface MainLocals {
  /** The tool that runs, and what it is called in its messages. */
  tool: string;
  name: string;
  argv: string[];
  env: string[];
  /** stdout that is not written yet, and stderr, which waits for nothing but the end of a step. */
  out: string;
  err: string;
  /** stdout is a terminal. */
  tty: boolean;
  /** Lines on stdout leave as they end, as they do on a terminal. */
  lineBuffered: boolean;
  /** strace watches it: calls are told on stderr. `call` is one under way, of the frame at that depth. */
  trace: Trace | null;
  call: { nr: number; regs: (number | bigint)[]; depth: number } | null;
  /** The errno of a write to stdout that failed, 0 for none. */
  failed: number;
  status: number;
}

export const MAIN = "program.main";

/** The main frame of a task's program; null of one that has none. */
function ownMain(task: Task): MainLocals | null {
  for (let at = task.frames.length - 1; at >= 0; at--) if (task.frames[at].code === MAIN) return task.frames[at].locals as MainLocals;
  return null;
}

/** The same of any of the program's threads: the first one has it, and takes it along as it ends. */
export function mainOf(k: Kernel, task: Task): MainLocals | null {
  const own = ownMain(task);
  if (own !== null || task.tid === task.tgid) return own;
  const first = k.state.sched.tasks.get(task.tgid);
  return first === undefined ? null : ownMain(first);
}

/** The bottom frame of a thread that is not its program's first, and where such a thread's stack lies. */
export const THREAD = "program.thread";
export interface ThreadFrame {
  /** Where its calls' strings and structures lie, and behind them their buffers. */
  variables: number;
}
/** Bytes of those: they share a page with what the C library keeps of the thread. */
export const THREAD_VARIABLES = 0xc00;

/** Struct stat as stat(2) fills it. */
export type Stat = Decoded<typeof statLayout>;

export class Proc<L = unknown> {
  readonly k: Kernel;
  readonly task: Task;
  readonly frame: Frame<L>;
  /** Bytes of the thread's variables that this step has laid. */
  private used = 0;

  // Addresses are computed where they are needed: as fields, they would take more memory than the rest, each step anew.
  constructor(k: Kernel, task: Task, frame: Frame<L>) {
    this.k = k;
    this.task = task;
    this.frame = frame;
  }

  private get thread(): boolean {
    return this.task.frames[0].code === THREAD;
  }

  /** Where the variables of this thread begin; behind the strings and structures lie its buffers. */
  private get base(): number {
    return this.thread ? (this.task.frames[0].locals as ThreadFrame).variables : DATA_BASE;
  }

  /** Bytes of strings and structures, and of all. */
  private get strings(): number {
    return this.thread ? THREAD_VARIABLES / 2 : BUFFERS - DATA_BASE;
  }

  private get size(): number {
    return this.thread ? THREAD_VARIABLES : DATA_SIZE;
  }

  /** What the call or the frame of the step before answered. */
  get ret(): number {
    return Number(this.frame.ret);
  }

  get main(): MainLocals {
    const main = mainOf(this.k, this.task);
    assert(main !== null, "a tool without a main frame");
    return main;
  }

  /** argv without its first word. */
  get args(): string[] {
    return this.main.argv.slice(1);
  }

  /** The tool's name as it was called, without directories. */
  get name(): string {
    return this.main.name;
  }

  env(name: string): string | undefined {
    return this.main.env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
  }

  /** Makes a system call; the next step finds its result in `ret`. */
  sys(name: string, ...args: Arg[]): StepResult {
    let room = 0;
    // In their own array: a new one of numbers would be made over again at the first address.
    for (let at = 0; at < args.length; at++) {
      const arg = args[at];
      if (typeof arg === "number" || typeof arg === "bigint") continue;
      if (typeof arg === "string") args[at] = this.lay(nameBytes(`${arg}\0`));
      else if (arg instanceof Uint8Array) args[at] = this.lay(arg);
      else {
        args[at] = this.base + this.strings + room;
        room += Math.ceil(arg.room / ALIGN) * ALIGN;
      }
    }
    const regs = args as (number | bigint)[];
    const result = sys(this.k, this.task, this.frame, name, regs);
    const main = ownMain(this.task);
    if (main !== null && isTraced(main.trace, this.task) && tells(main.trace, name) && !this.isStderr()) {
      main.call = { nr: this.k.tables.syscallNames.get(name)?.x86_64 ?? -1, regs, depth: this.task.frames.length };
      if (result === NEXT) this.traced();
    }
    return result;
  }

  /** The tracer's own writing is not traced. */
  private isStderr(): boolean {
    return this.frame.code === WRITE && (this.frame.locals as WriteLocals).stream && (this.frame.locals as WriteLocals).fd === 2;
  }

  /** Tells of the traced call that this frame has made, once it is over. */
  traced(): void {
    const main = ownMain(this.task);
    if (main?.call == null || main.trace === null || main.call.depth !== this.task.frames.length) return;
    const { nr, regs } = main.call;
    main.call = null;
    const answer = answerCall(this.k, this.task, nr, regs, this.frame.ret, 0);
    const line = "strace" in answer && typeof answer.strace === "string" ? answer.strace : "";
    const equals = line.lastIndexOf(" = ");
    if (isTraced(main.trace, this.task)) main.err += traceLine(main.trace, this.task, withoutMark(line.slice(0, equals)), line.slice(equals + 3));
  }

  /** Puts bytes into the program's memory, for the calls of this step. */
  lay(bytes: Uint8Array): number {
    const { used, strings } = this;
    // What does not fit the strings' part goes through the buffers, and what fits neither is cut.
    const offset = bytes.length > strings - used ? strings : used;
    const start = this.base + offset;
    const { fault } = writeUser(this.k, this.task, start, bytes, 0, Math.min(bytes.length, this.size - offset));
    assert(fault === null || this.task.signalPending || start > 0, "a program without memory");
    if (offset === used) this.used += Math.ceil(bytes.length / ALIGN) * ALIGN;
    return start;
  }

  /** A NULL-terminated array of C strings. */
  layStrings(strings: string[]): number {
    const pointers = new Uint8Array((strings.length + 1) * 8);
    strings.forEach((text, index) => { putU64(pointers, index * 8, this.lay(nameBytes(`${text}\0`))); });
    return this.lay(pointers);
  }

  /** The bytes that a call left in its first room. */
  took(length: number, at = 0): Uint8Array {
    return length <= 0 ? new Uint8Array(0) : loadUser(this.k, this.task, this.base + this.strings + at, length).bytes;
  }

  /** What the step before laid first, as the call has left it. */
  laid(length: number): Uint8Array {
    return length <= 0 ? new Uint8Array(0) : loadUser(this.k, this.task, this.base, length).bytes;
  }

  text(length: number, at = 0): string {
    return bytesName(this.took(length, at));
  }

  /** What stat, lstat or fstat left. */
  stat(): Stat {
    return decodeStruct(statLayout, this.took(statLayout.size));
  }

  /** stat(2) of a path; `lstat` of the link itself. */
  statOf(path: string, { link = false } = {}): StepResult {
    return this.sys("newfstatat", AT_FDCWD, path, { room: statLayout.size }, link ? 0x100 : 0);
  }

  open(path: string, flags = 0, mode = 0): StepResult {
    return this.sys("openat", AT_FDCWD, path, flags, mode);
  }

  read(fd: number, count = BUFFER_SIZE): StepResult {
    return this.sys("read", fd, { room: count }, Math.min(count, this.largest));
  }

  /** Writes bytes past stdout's buffer, all of them or up to an error; `ret` is 0 or the errno. */
  write(fd: number, text: string): StepResult {
    return enter(writeAll, { fd, text, ret: 0, stream: false });
  }

  /** Bytes that one read or write of this thread moves. */
  get largest(): number {
    return Math.min(BUFFER_SIZE, this.size - this.strings);
  }

  out(text: string): void {
    const main = mainOf(this.k, this.task);
    if (main !== null) main.out += text;
  }

  /** setlinebuf(3) of stdout. */
  setLineBuffered(): void {
    const main = mainOf(this.k, this.task);
    if (main !== null) main.lineBuffered = true;
  }

  err(text: string): void {
    const main = mainOf(this.k, this.task);
    if (main !== null) main.err += text;
  }

  /** A message as tools print it: `cat: what`. */
  warn(what: string): void {
    this.err(`${this.name}: ${what}\n`);
  }

  /** `cat: what: No such file or directory` of the last result. */
  perror(what: string, ret = this.ret): void {
    this.warn(`${what}: ${errnoMessage(-ret)}`);
  }

  /** The tool prints a message and ends. */
  fail(what: string, status = 1): number {
    this.warn(what);
    return status;
  }

  /** User code computes for `ns`. */
  work(ns: number): void {
    chargeUser(this.k, ns);
  }

  /** gettimeofday(2) by the vDSO, µs: no system call, and nothing that strace sees. */
  gettimeofday(): number {
    this.work(costs(this.k).vdsoNs);
    return Number(realtimeNs(this.k) / 1000n);
  }

  /** Leaves a value in the locals of the frame that entered this one. */
  give(key: string, value: unknown): void {
    const { frames } = this.task;
    const below = frames[frames.indexOf(this.frame as Frame) - 1];
    (below.locals as { [key: string]: unknown })[key] = value;
  }

  /** Lets output leave that has to, and signals in; then does what the step answered. */
  settle(result: StepResult): StepResult {
    if (typeof result !== "object" || (result.act !== "next" && result.act !== "to")) return result;
    const main = mainOf(this.k, this.task);
    const due = main !== null && (main.err !== "" || main.out.length >= STDIO_BUFFER || (main.lineBuffered && main.out.includes("\n")));
    // A program that makes no calls takes its signals as an interrupt returns to it.
    const { signalPending } = this.task;
    if (!due && !signalPending) return result;
    if (result.act === "to") {
      const table = stepTables.get(this.frame.code);
      assert(table !== undefined, this.frame.code);
      this.frame.step = table.order[table.order.indexOf(result.step) - 1];
    }
    return enter(due ? flush : interrupted, { ret: this.frame.ret });
  }
}

export type ToolStep<L> = (p: Proc<L>, locals: L) => StepResult;

/** A table of a program's steps, which see a `Proc`. What they print leaves between them. */
export function programSteps<L>(name: string, table: { [step: string]: ToolStep<L> }): StepTable<L> {
  const wrapped: { [step: string]: (k: Kernel, task: Task, frame: Frame<L>) => StepResult } = { enter: () => NEXT };
  for (const [step, run] of Object.entries(table)) {
    wrapped[step] = (k, task, frame) => {
      const p = new Proc(k, task, frame);
      p.traced();
      p.work(costs(k).programStepNs);
      return p.settle(run(p, frame.locals));
    };
  }
  return steps<L>(name, wrapped);
}

interface WriteLocals {
  fd: number;
  text: string;
  ret: number;
  /** A stream's buffer: an error is remembered, not answered. */
  stream: boolean;
}

/** Writes a text, however often write(2) takes only a part. */
const WRITE = "program.write";
const writeAll: StepTable<WriteLocals> = programSteps<WriteLocals>(WRITE, {
  write: (p, { fd, text }) => {
    if (text === "") return 0;
    const part = text.slice(0, p.largest);
    return p.sys("write", fd, nameBytes(part), part.length);
  },
  wrote: (p, locals) => {
    if (p.ret >= 0) {
      locals.text = locals.text.slice(p.ret);
      return to("write");
    }
    if (p.ret === -4) return to("write"); // EINTR
    if (!locals.stream) return p.ret;
    if (locals.fd === 1) p.main.failed = -p.ret;
    return 0;
  },
});

/** Signals between two steps; the frame below finds its last result again. */
const interrupted: StepTable<{ ret: number | bigint }> = steps<{ ret: number | bigint }>("program.interrupted", {
  take: () => enter(signalSteps, {}),
  end: (_k, _task, frame) => frame.locals.ret,
});

/** Writes what the streams hold; the frame below finds its last result again. */
export const flush: StepTable<{ ret: number | bigint }> = steps<{ ret: number | bigint }>("program.flush", {
  err: (k, task) => {
    const main = mainOf(k, task);
    if (main === null || main.err === "") return NEXT;
    const text = main.err;
    main.err = "";
    return enter(writeAll, { fd: 2, text, ret: 0, stream: true });
  },
  out: (k, task) => {
    const main = mainOf(k, task);
    if (main === null || main.out === "") return NEXT;
    const text = main.out;
    main.out = "";
    return enter(writeAll, { fd: 1, text, ret: 0, stream: true });
  },
  end: (_k, _task, frame) => frame.locals.ret,
});
