/** What a caller is told of a call: result, errno, outputs, the strace line. */
import { errnoMessage, errnoName } from "../abi/errno.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import { concatBytes } from "../lib/bytes.ts";
import { syscallName } from "../abi/unistd.ts";
import type { CallAnswer, Json } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import { peekUser } from "../mm/access.ts";
import type { Task } from "../sched/task.ts";
import type { CallView } from "./args.ts";
import { hex } from "./args.ts";
import type { SyscallRow } from "./row.ts";
import { TRACE_LINES } from "./state.ts";

const EMPTY = new Uint8Array(0);

/** Bytes of user memory without a fault: the scratch area first, then whatever is mapped. */
function readMemory(k: Kernel, task: Task, addr: number | bigint, length: number): Uint8Array {
  if (typeof addr === "bigint" || addr === 0) return EMPTY;
  const { scratch } = task;
  if (scratch !== null && addr >= scratch.base && addr < scratch.base + scratch.bytes.length) {
    return scratch.bytes.subarray(addr - scratch.base, addr - scratch.base + length);
  }
  return peekUser(k, task, addr, length) ?? readPages(k, task, addr, length);
}

/** As much from `addr` on as is mapped, where not all of it is. */
function readPages(k: Kernel, task: Task, addr: number, length: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let done = 0; done < length;) {
    const count = Math.min(length - done, PAGE_SIZE - ((addr + done) % PAGE_SIZE));
    const part = peekUser(k, task, addr + done, count);
    if (part === null) break;
    parts.push(part);
    done += count;
  }
  return concatBytes(...parts);
}

/** A class and no literal: one is made for every call, and methods on a prototype cost nothing then. */
class View implements CallView {
  readonly k: Kernel;
  readonly task: Task;
  readonly ret: number | bigint;
  readonly regs: (number | bigint)[];
  readonly row: SyscallRow;

  constructor(k: Kernel, task: Task, row: SyscallRow, regs: (number | bigint)[], ret: number | bigint) {
    this.k = k;
    this.task = task;
    this.row = row;
    this.regs = regs;
    this.ret = ret;
  }

  read(addr: number | bigint, length: number): Uint8Array {
    return readMemory(this.k, this.task, addr, length);
  }

  reg(name: string): number | bigint {
    const { args } = this.row;
    for (let at = 0; at < args.length; at++) if (args[at].name === name) return this.regs[at] ?? 0;
    return 0;
  }

  returning(ret: number | bigint): CallView {
    return new View(this.k, this.task, this.row, this.regs, ret);
  }
}

export function callView(k: Kernel, task: Task, row: SyscallRow, regs: (number | bigint)[], ret: number | bigint): CallView {
  return new View(k, task, row, regs, ret);
}

function isFailure(ret: number | bigint): ret is number {
  return typeof ret === "number" && ret < 0 && ret >= -4095;
}

/** `name(args)` without the result. */
export function showCall(row: SyscallRow | undefined, nr: number, regs: (number | bigint)[], view: CallView | null): string {
  if (row === undefined || view === null) {
    const name = syscallName(nr) ?? `syscall_${nr === -1 ? "0xffffffffffffffff" : `0x${nr.toString(16)}`}`;
    return `${name}(${regs.map((reg) => hex(reg)).join(", ")})`;
  }
  let text = `${row.name}(`;
  for (let at = 0; at < row.args.length; at++) {
    const arg = row.args[at];
    if (arg.hidden?.(view) === true) continue;
    if (at > 0) text += ", ";
    text += arg.show(regs[at] ?? 0, view);
  }
  return `${text})`;
}

function showResult(task: Task, row: SyscallRow | undefined, ret: number | bigint, view: CallView | null): string {
  if (task.fault !== null) return `-1 (${task.fault.signal}, ${task.fault.siCode} at ${hex(task.fault.addr)})`;
  if (isFailure(ret)) return `-1 ${errnoName(-ret)} (${errnoMessage(-ret)})`;
  if (row?.showResult !== undefined && view !== null) return row.showResult(ret, view);
  return row?.returns === "address" ? hex(ret) : ret.toString();
}

/** A result as JSON: addresses as "0x…", what is not a safe integer as a decimal string. */
export function resultJson(row: SyscallRow | undefined, ret: number | bigint): Json {
  if (row?.returns === "address") return hex(ret);
  return typeof ret === "bigint" ? ret.toString() : ret;
}

/** The answer of a call that returned `ret` after `ns` of kernel time, and its line in the trace. */
export function answerCall(
  k: Kernel, task: Task, nr: number, regs: (number | bigint)[], ret: number | bigint, ns: number,
): CallAnswer {
  const row = k.tables.syscalls[nr];
  const view = row === undefined || row.args.length === 0 ? null : callView(k, task, row, regs, ret);
  const call = row !== undefined && view === null ? `${row.name}()` : showCall(row, nr, regs, view);
  const strace = `${call} = ${showResult(task, row, ret, view)}`;
  trace(k, task.tid, strace);
  const answer: CallAnswer = isFailure(ret)
    ? { state: "returned", ret: -1, errno: errnoName(-ret), errnoNumber: -ret, message: errnoMessage(-ret), strace, ns }
    : { state: "returned", ret: resultJson(row, ret), errno: null, strace, ns };
  if (row !== undefined && view !== null && row.pointers) addOutputs(answer, row, regs, view);
  if (task.fault !== null) {
    answer.ret = -1;
    answer.errno = null;
    delete answer.errnoNumber;
    delete answer.message;
    answer.signal = task.fault.signal;
    answer.siCode = task.fault.siCode;
    answer.faultAddr = hex(task.fault.addr);
    if (task.fault.stored >= 0) answer.stored = task.fault.stored;
    task.fault = null;
  }
  if (task.delivered.length > 0) {
    answer.delivered = task.delivered;
    task.delivered = [];
  }
  return answer;
}

function addOutputs(answer: CallAnswer, row: SyscallRow, regs: (number | bigint)[], view: CallView): void {
  const fields = answer as { [name: string]: Json };
  for (let at = 0; at < row.args.length; at++) {
    const value = row.args[at].output?.(regs[at] ?? 0, view);
    if (value !== undefined) fields[row.args[at].outputName ?? row.args[at].name] = value;
    const more = row.args[at].also?.(regs[at] ?? 0, view);
    if (more !== undefined) Object.assign(fields, more);
  }
}

/** Appends a line to the trace ring. */
export function trace(k: Kernel, pid: number, text: string): void {
  const { calls } = k.state;
  if (!calls.traced) return;
  calls.trace.push({ sequence: calls.nextTrace++, pid, text });
  // Cut in bulk: a shift a call would move the whole ring each time.
  if (calls.trace.length > TRACE_LINES + 1000) calls.trace.splice(0, calls.trace.length - TRACE_LINES);
}
