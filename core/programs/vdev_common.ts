/** What the first lab's two programs share: their memory, what they print, how they time themselves, and memcpy between mappings. */
import { EAGAIN, errnoMessage } from "../abi/errno.ts";
import { AT_FDCWD } from "../abi/fcntl.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Json } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import { getI64, putU64, utf8Encode, utf8EncodeInto } from "../lib/bytes.ts";
import { sprintf } from "../lib/printf.ts";
import { copyUser, loadUser, storeUser } from "../mm/access.ts";
import { writeUser } from "../mm/usercopy.ts";
import { forceSignal } from "../sched/signal.ts";
import { NEXT, to, type Frame, type Step, type StepResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { sys } from "../syscalls/enter.ts";
import { runLocals } from "./program.ts";

export const BUF_SIZE = 512;
export const MMAP_SIZE = PAGE_SIZE;
export const IOCTL_DESCRIPTOR = 0x12345676;
export const IOCTL_CREATESOCK = 0x12345677;
export const IOCTL_MMAP = 0x12345678;
export const IOCTL_EXIT = 0x12345679;
const STDOUT = 1;
const STDERR = 2;

/** The programs' variables, in pages of their own: offsets from `heap`. */
export const BUF = 0;
export const SIZE = 1024;
const TIME = 1040;
export const STAT = 1088;
const PATH = 1536;
const TEXT = PAGE_SIZE;
const HEAP_SIZE = 2 * PAGE_SIZE;
/** Longer lines are cut. */
const TEXT_MAX = PAGE_SIZE;
/** The report's arrays: 50 names of 49 characters, 19 for the method and the address. */
const FILES_MAX = 50;
const NAME_MAX = 49;
const WORD_MAX = 19;
/** What is kept of a program's output for a caller that has no terminal. */
const KEPT_OUTPUT = 1 << 20;

export interface VdevLocals {
  files: string[];
  count: number;
  method: string;
  ip: string;
  /** Bytes of one read and write; the report's buffer table varies it. */
  bufSize: number;
  /** Unmaps both mappings of every step, as the report's programs do not. */
  unmaps: boolean;
  heap: number;
  device: number;
  file: number;
  /** Names told so far, later the file under way. */
  index: number;
  /** Bytes of the file, and how many are still to move. */
  total: number;
  left: number;
  /** Mappings of the step under way. */
  kernelAddress: number;
  fileAddress: number;
  /** Microseconds since 1970 when the file began. */
  started: number;
  /** Sums over the files, ms and bytes. */
  ms: number;
  bytes: number;
}

export type VdevFrame = Frame<VdevLocals>;
export type VdevStep = Step<VdevLocals>;

/** From `argv` (and, for benchmarks, `bufSize` and `unmaps`) to the first frame's locals, or a sentence that says what is wrong. */
export function vdevLocals(args: { [name: string]: Json }, tail: number): VdevLocals | string {
  const { argv, bufSize = BUF_SIZE, unmaps = false } = args;
  if (!Array.isArray(argv) || !argv.every((word) => typeof word === "string")) return "argv takes an array of strings";
  const words = argv as string[];
  if (words.length < 2 + tail) return `argv takes a count, ${tail === 1 ? "files and a method" : "files, a method and an address"}`;
  if (typeof bufSize !== "number" || !Number.isInteger(bufSize) || bufSize < 1 || bufSize > 1024) return "bufSize takes 1 to 1024";
  const files = words.slice(2, words.length - tail).map((name) => name.slice(0, NAME_MAX));
  const method = words[words.length - tail].slice(0, WORD_MAX);
  const count = /^\s*[+-]?[0-9]+/.test(words[1]) ? Number.parseInt(words[1], 10) : 0;
  if (files.length > FILES_MAX || count > files.length) return `at most ${FILES_MAX} files, and as many as are named`;
  return {
    files, count, method, ip: tail === 2 ? words[words.length - 1].slice(0, WORD_MAX) : "", bufSize, unmaps: unmaps === true,
    heap: 0, device: -1, file: -1, index: 0, total: 0, left: 0, kernelAddress: 0, fileAddress: 0, started: 0, ms: 0, bytes: 0,
  };
}

/** The first steps: pages for the variables. */
export const allocate: VdevStep = (k, task, frame) =>
  sys(k, task, frame, "mmap", [0, HEAP_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0]);

export const allocated: VdevStep = (_k, _task, frame) => {
  if (frame.ret < 0) return frame.ret;
  frame.locals.heap = Number(frame.ret);
  return NEXT;
};

/** Where a line lies while it is printed. */
const line = new Uint8Array(TEXT_MAX);

function print(k: Kernel, task: Task, frame: VdevFrame, fd: number, text: string): StepResult {
  const length = utf8EncodeInto(text, line);
  const run = runLocals(task);
  if (run !== null) {
    const stream = fd === STDOUT ? "stdout" : "stderr";
    if (run[stream].length + text.length <= KEPT_OUTPUT) run[stream] += text;
  }
  const at = frame.locals.heap + TEXT;
  writeUser(k, task, at, line, 0, length);
  return sys(k, task, frame, "write", [fd, at, length]);
}

/** fprintf(stderr, …): a step that writes what `text` makes of the locals. */
export function say(text: (locals: VdevLocals) => string): VdevStep {
  return (k, task, frame) => print(k, task, frame, STDERR, text(frame.locals));
}

/** printf(…). */
export function tell(text: (locals: VdevLocals) => string): VdevStep {
  return (k, task, frame) => print(k, task, frame, STDOUT, text(frame.locals));
}

/** perror(what) when the last call failed, else on with the step after the next; the message ends in a newline before the colon. */
export function perror(what: string, then: string): VdevStep {
  return (k, task, frame) => (frame.ret < 0 ? print(k, task, frame, STDERR, `${what}\n: ${errnoMessage(-Number(frame.ret))}\n`) : to(then));
}

/** The program's end with status 1. */
export const exit1: VdevStep = () => -EAGAIN;

/** Lays a path into the program's memory and opens it. */
export function open(path: (locals: VdevLocals) => string, flags: number, mode: number): VdevStep {
  return (k, task, frame) => sys(k, task, frame, "openat", [AT_FDCWD, layText(k, task, frame, path(frame.locals)), flags, mode]);
}

/** A NUL-terminated text in the program's memory. */
export function layText(k: Kernel, task: Task, { locals }: VdevFrame, text: string): number {
  const bytes = new Uint8Array(text.length * 3 + 1);
  bytes.set(utf8Encode(text));
  const at = locals.heap + PATH;
  writeUser(k, task, at, bytes.subarray(0, Math.min(bytes.length, PAGE_SIZE - PATH)));
  return at;
}

/** A step that makes one call with registers made of the locals and the last result. */
export function call(name: string, regs: (locals: VdevLocals, ret: number) => (number | bigint)[]): VdevStep {
  return (k, task, frame) => sys(k, task, frame, name, regs(frame.locals, Number(frame.ret)));
}

export const mapDevice = (prot: number): VdevStep =>
  call("mmap", ({ device, total, left }) => [0, MMAP_SIZE, prot, MAP_SHARED, device, total - left]);
export const mapFile = (prot: number): VdevStep =>
  call("mmap", ({ file, total, left }) => [0, MMAP_SIZE, prot, MAP_SHARED, file, total - left]);

/** Keeps the last result as the address of a mapping. */
export function keep(as: "kernelAddress" | "fileAddress" | "file" | "device"): VdevStep {
  return (_k, _task, frame) => {
    frame.locals[as] = Number(frame.ret);
    return NEXT;
  };
}

/** gettimeofday(&time). */
export const timeOfDay: VdevStep = call("gettimeofday", ({ heap }) => [heap + TIME, 0]);

function microseconds(k: Kernel, task: Task, { locals }: VdevFrame): number {
  const { bytes } = loadUser(k, task, locals.heap + TIME, 16);
  return Number(getI64(bytes, 0)) * 1_000_000 + Number(getI64(bytes, 8));
}

export const startClock: VdevStep = (k, task, frame) => {
  frame.locals.started = microseconds(k, task, frame);
  return NEXT;
};

/** A file is over: its time and size are added up, and the next one begins at step `again`. */
export function stopClock(again: string): VdevStep {
  return (k, task, frame) => {
    const { locals } = frame;
    locals.ms += (microseconds(k, task, frame) - locals.started) * 0.001;
    locals.bytes += locals.total;
    locals.index++;
    return to(again);
  };
}

/** The line that is graded. */
export const tellTime: VdevStep = tell(({ ms, bytes }) => sprintf("Transmission time: %lf ms, File size: %ld bytes\n", ms, bytes));

/** The size at an address of the program's, as both ends of the wire have it: eight bytes, the lowest first. */
export function loadSize(k: Kernel, task: Task, at: number): number | StepResult {
  const { bytes, fault } = loadUser(k, task, at, 8);
  if (fault !== null) return died(k, task, fault);
  return Number(getI64(bytes, 0));
}

export function storeSize(k: Kernel, task: Task, at: number, size: number): StepResult {
  const bytes = new Uint8Array(8);
  putU64(bytes, 0, size);
  const { fault } = storeUser(k, task, at, bytes);
  return fault === null ? NEXT : died(k, task, fault);
}

/** memcpy of user code: a fault on the way is the program's death. */
export function memcpy(k: Kernel, task: Task, into: number, from: number, count: number): StepResult {
  const fault = copyUser(k, task, into, from, count);
  return fault === null ? NEXT : died(k, task, fault);
}

/** The last step. */
export const done: VdevStep = () => 0;

/** A bad access: the signal is sent, and delivered as the next call returns. */
function died(k: Kernel, task: Task, { signal, siCode, addr }: { signal: number; siCode: number; addr: number | bigint }): StepResult {
  forceSignal(k, task, signal, { code: siCode, addr });
  return to("die");
}

/** Where a fault leads: any call, on whose return the signal is delivered. */
export const die: VdevStep = (k, task, frame) => sys(k, task, frame, "getpid", []);

/** The loop `while (ioctl(…) < 0 && errno == EAGAIN)`. */
export function again(step: string): VdevStep {
  return (_k, _task, { ret }) => (ret === -EAGAIN ? to(step) : NEXT);
}
