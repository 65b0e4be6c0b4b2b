/** Calls that a caller drives: single ones and batches, their answers, and what is kept of those that slept. */
import { EINTR, EINVAL, ENOBUFS } from "../abi/errno.ts";
import { signalName } from "../abi/signal.ts";
import { WEXITSTATUS, WIFSIGNALED, WTERMSIG } from "../abi/wait.ts";
import type { CallAnswer, Json } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import { charge } from "../sched/cost.ts";
import { waitsForIo } from "../sched/io.ts";
import { enqueue } from "../sched/run_queue.ts";
import { NEXT, steps, to, type Frame, type StepResult } from "../sched/steps.ts";
import { groupOf, taskOf, type Task } from "../sched/task.ts";
import { answerCall, showCall, callView, trace } from "./answer.ts";
import type { DecodedCall } from "./decode.ts";
import { syscall } from "./enter.ts";
import type { Reference } from "./json.ts";
import { keepAnswer, leaveAnswers, sizeOf } from "./kept.ts";
import { place } from "./place.ts";
import { hex } from "./strace.ts";

/** Calls of a batch that one step makes, and kernel time, ns, after which it makes no further one: a step stays well under a millisecond. */
const CALLS_A_STEP = 64;
const CALLS_NS = 200_000;

/** About how many bytes the answers of a batch hold together, so that they fit one JSON text; the calls after that are ENOBUFS. */
const BATCH_ANSWER_BYTES = 64 << 20;

interface SingleLocals {
  callId: string;
  call: DecodedCall;
  regs: (number | bigint)[];
  startNs: number;
}

interface BatchLocals {
  callId: string;
  calls: DecodedCall[];
  onError: "stop" | "continue";
  results: CallAnswer[];
  /** Registers and start of the call under way. */
  regs: (number | bigint)[];
  startNs: number;
  interrupted: boolean;
  /** About how many bytes `results` holds. */
  bytes: number;
}

function cpuNs(k: Kernel): number {
  return k.state.sched.cpus[k.turn.cpu].clockNs;
}

/** Starts one call of a parked task; it has its turn on the task's CPU now. */
export function startSingle(k: Kernel, task: Task, callId: string, call: DecodedCall): void {
  task.frames.unshift({ code: "call.single", step: "begin", locals: { callId, call, regs: [], startNs: 0 } satisfies SingleLocals, ret: 0 });
  if (task.frames.length === 1) enqueue(k, task);
}

export function startBatch(k: Kernel, task: Task, callId: string, calls: DecodedCall[], onError: "stop" | "continue"): void {
  const locals: BatchLocals = { callId, calls, onError, results: [], regs: [], startNs: 0, interrupted: false, bytes: 0 };
  task.frames.unshift({ code: "call.batch", step: "begin", locals, ret: 0 });
  if (task.frames.length === 1) enqueue(k, task);
}

steps<SingleLocals>("call.single", {
  // A stopped process stands in other frames first; their end advances to the call.
  begin: () => NEXT,
  call: (k, task, frame) => {
    const { locals } = frame;
    task.delivered = [];
    locals.startNs = cpuNs(k);
    locals.regs = place(task, locals.call.placed, resolve, []) ?? [];
    locals.call.placed.length = 0; // the scratch area owns its blocks now
    const result = syscall(k, task, locals.call.nr, locals.regs);
    if (typeof result === "object") return result;
    frame.ret = result;
    return NEXT;
  },
  answer: (k, task, { locals, ret }) => {
    const answer = answerCall(k, task, locals.call.nr, locals.regs, ret, cpuNs(k) - locals.startNs);
    task.scratch = null;
    endCall(k, task, locals.callId, answer);
    return 0;
  },
});

steps<BatchLocals>("call.batch", {
  begin: () => NEXT,
  next: (k, task, frame) => {
    const { locals } = frame;
    const untilNs = cpuNs(k) + CALLS_NS;
    for (let made = 0; made < CALLS_A_STEP && cpuNs(k) < untilNs; made++) {
      if (batchOver(task, locals)) return endBatch(k, task, locals);
      const result = startNext(k, task, locals);
      if (typeof result === "object") return result;
      addResult(k, task, locals, result);
      if (waitsForIo(k)) break;
    }
    return to("next");
  },
  slept: (k, task, frame) => {
    const { locals, ret } = frame;
    addResult(k, task, locals, ret);
    return to("next");
  },
});

function addResult(k: Kernel, task: Task, locals: BatchLocals, ret: number | bigint): void {
  const { nr } = locals.calls[locals.results.length];
  const answer = answerCall(k, task, nr, locals.regs, ret, cpuNs(k) - locals.startNs);
  locals.results.push(answer);
  if (k.tables.syscalls[nr]?.pointers === true) locals.bytes += sizeOf(answer);
  task.scratch = null;
}

function batchOver(task: Task, { calls, results, onError, interrupted }: BatchLocals): boolean {
  const last = results[results.length - 1];
  // A process that has executed a program makes its own calls from now on.
  if (results.length === calls.length || interrupted || task.program !== null) return true;
  return onError === "stop" && last?.state === "returned" && "ret" in last && last.ret === -1 && (last.errno !== null || last.signal !== undefined);
}

function endBatch(k: Kernel, task: Task, { callId, results }: BatchLocals): number {
  endCall(k, task, callId, { state: "returned", results });
  return 0;
}

/** Makes the next call of a batch: a number when it is over, an action when it sleeps. */
function startNext(k: Kernel, task: Task, locals: BatchLocals): number | bigint | Exclude<StepResult, number | bigint> {
  const call = locals.calls[locals.results.length];
  task.delivered = [];
  locals.startNs = cpuNs(k);
  const regs = place(task, call.placed, resolve, locals.results);
  locals.regs = regs ?? call.placed.map((arg) => (typeof arg === "object" ? 0 : arg));
  call.placed.length = 0; // the scratch area owns its blocks now
  if (regs === undefined || locals.bytes > BATCH_ANSWER_BYTES) {
    charge(k, 0);
    return regs === undefined ? -EINVAL : -ENOBUFS;
  }
  return syscall(k, task, call.nr, regs);
}

/** The number that an earlier call of the batch gave; undefined when it failed, lies ahead, or has none there. */
function resolve(results: CallAnswer[], { ref, call, plus, at }: Reference): number | bigint | undefined {
  const answer = results[call];
  if (answer?.state !== "returned" || !("ret" in answer) || (answer.ret === -1 && answer.errno !== null)) return undefined;
  const value = ref === "ret" ? answer.ret : dig(answer as Json, at);
  const number = integerOf(value);
  if (number === undefined || plus === 0) return number;
  return integerOf(String(BigInt(number) + BigInt(plus)));
}

function integerOf(value: Json | undefined): number | bigint | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || !/^(-?[0-9]+|0x[0-9a-f]+)$/.test(value)) return undefined;
  const big = BigInt(value);
  return big >= -9007199254740991n && big <= 9007199254740991n ? Number(big) : big;
}

/** The value at a JSON pointer. */
function dig(value: Json, pointer: string): Json | undefined {
  let at: Json | undefined = value;
  for (const part of pointer.split("/").slice(1)) {
    if (typeof at !== "object" || at === null) return undefined;
    at = Array.isArray(at) ? at[Number(part)] : Object.hasOwn(at, part) ? at[part] : undefined;
  }
  return at;
}

/** Tells that a call is over, and keeps its answer when it slept, or when the caller may have left while it worked (`keep`). */
export function endCall(k: Kernel, task: Task, callId: string, answer: CallAnswer, keep = false): void {
  for (const call of k.state.calls.open) if (call.limited && call.callId === callId) tellLimit(answer);
  k.turn.ended.push({ callId, pid: task.tid, answer });
  if (k.state.calls.sleeping.delete(callId) || keep) keepAnswer(k, callId, task, answer);
}

/** A call that was interrupted because too many sleep says so, where it did nothing. */
function tellLimit(answer: CallAnswer): void {
  if (answer.state === "program" && answer.ret === -EINTR) answer.limited = true;
  if (answer.state === "returned" && "strace" in answer && answer.errno === "EINTR") answer.limited = true;
}

/** Bottom frames whose end answers a caller: calls, and what the service runs as a process of its own. */
const ANSWERING = ["call.single", "call.batch", "program.run"];

/** The call of a task: its bottom frame when a caller waits for its end. */
export function drivenFrame(task: Task): { frame: Frame; callId: string } | null {
  const frame = task.frames[0];
  if (frame === undefined || !ANSWERING.includes(frame.code)) return null;
  const { callId } = frame.locals as { callId: string };
  return callId === "" ? null : { frame, callId };
}

/** Results of a batch so far; undefined for a single call. */
export function resultsSoFar(frame: Frame): CallAnswer[] | undefined {
  return frame.code === "call.batch" ? [...(frame.locals as BatchLocals).results] : undefined;
}

/** The present state of a call that has not ended. */
export function sleepingAnswer(task: Task): CallAnswer | null {
  const driven = drivenFrame(task);
  if (driven === null) return null;
  const results = resultsSoFar(driven.frame);
  return {
    state: "sleeping", pid: task.tid, callId: driven.callId, wchan: task.sleep?.wchan ?? "0", ...(results === undefined ? {} : { results }),
  };
}

export interface CallUnderWay {
  callId: string;
  call: string;
  args: string;
  wchan: string;
  sinceNs: number;
}

/** The call under way as the service shows it; of a program that the service runs, the system call that it is in. */
export function callOf(k: Kernel, task: Task): CallUnderWay | null {
  const driven = drivenFrame(task);
  if (driven === null) return null;
  const { callId, frame } = driven;
  const wchan = task.sleep?.wchan ?? "0";
  if (frame.code === "program.run") {
    const inner = task.frames.find(({ code }) => code === "syscall") as Frame<{ nr: number; regs: (number | bigint)[] }> | undefined;
    const shown = inner === undefined ? { call: task.comm, args: `${task.comm}()` } : shownCall(k, task, inner.locals.nr, inner.locals.regs);
    return { callId, ...shown, wchan, sinceNs: Math.floor(task.startNs) };
  }
  const { locals } = frame as Frame<SingleLocals & BatchLocals>;
  const nr = (frame.code === "call.single" ? locals.call : locals.calls[locals.results.length])?.nr ?? -1;
  return { callId, ...shownCall(k, task, nr, locals.regs), wchan, sinceNs: locals.startNs };
}

function shownCall(k: Kernel, task: Task, nr: number, regs: (number | bigint)[]): { call: string; args: string } {
  const row = k.tables.syscalls[nr];
  const view = row === undefined ? null : callView(k, task, row, regs, -EINTR);
  return { call: row?.name ?? String(nr), args: showCall(row, nr, regs, view) };
}

/** A task has died: whoever waits for its call is told how, and a batch's results end with that. */
export function endCallByDeath(k: Kernel, task: Task, status: number): void {
  tellDeath(k, task, status);
  const { threads, tgid } = groupOf(k, task);
  if (threads.every((tid) => tid === task.tid || taskOf(k, tid).state === "zombie")) leaveAnswers(k, tgid);
}

function tellDeath(k: Kernel, task: Task, status: number): void {
  const driven = drivenFrame(task);
  if (driven === null) return;
  const how = WIFSIGNALED(status) ? { signaled: signalName(WTERMSIG(status)), ...faultOf(task, signalName(WTERMSIG(status))) } : { exited: WEXITSTATUS(status) };
  if (driven.frame.code === "program.run") {
    endCall(k, task, driven.callId, { state: "ended", ...how });
    return;
  }
  const { locals } = driven.frame as Frame<SingleLocals & BatchLocals>;
  const decoded = driven.frame.code === "call.single" ? locals.call : locals.calls[locals.results.length];
  const row = decoded === undefined ? undefined : k.tables.syscalls[decoded.nr];
  const view = row === undefined ? null : callView(k, task, row, locals.regs, 0);
  const strace = `${showCall(row, decoded?.nr ?? -1, locals.regs, view)} = ?`;
  trace(k, task.tid, strace);
  const answer: CallAnswer = { state: "ended", ...how, strace, ns: cpuNs(k) - locals.startNs };
  if (driven.frame.code === "call.single") endCall(k, task, driven.callId, answer);
  else endCall(k, task, driven.callId, { state: "ended", ...how, results: [...locals.results, answer] });
}

/** The fault of its own load or store that a task died of. */
function faultOf({ fault }: Task, signaled: string): { siCode?: string; faultAddr?: string; stored?: number } {
  if (fault === null || fault.signal !== signaled) return {};
  return { siCode: fault.siCode, faultAddr: hex(fault.addr), ...(fault.stored < 0 ? {} : { stored: fault.stored }) };
}

/** DELETE of a call: the batch, if it is one, ends with the call under way. */
export function endBatchEarly(frame: Frame): void {
  if (frame.code === "call.batch") (frame.locals as BatchLocals).interrupted = true;
}

