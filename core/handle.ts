/** The one door: everything that changes a kernel enters here, synchronously, as data. */
import { ESRCH } from "./abi/errno.ts";
import type { CallAnswer, Input, Output, Refusal } from "./input.ts";
import type { Kernel } from "./kernel.ts";
import { freshTurn } from "./turn.ts";
import { createDriven, createProgram } from "./process/create.ts";
import { base64Decode } from "./lib/bytes.ts";
import { PROCESS_LIMIT } from "./process/limits.ts";
import { deleteProcess } from "./process/delete.ts";
import { checkKill } from "./process/kill.ts";
import { advanceCpu, countsAsDriven } from "./sched/burst.ts";
import { isIdle } from "./sched/placement.ts";
import { runUntil, tellLogReaders } from "./sched/scheduler.ts";
import { recalcSignalPending, sendSignal } from "./sched/signal.ts";
import { taskOf, type Task } from "./sched/task.ts";
import { wakeTask } from "./sched/wait_queue.ts";
import { decodeBatch, decodeCall, invalid } from "./syscalls/decode.ts";
import { drivenFrame, endBatchEarly, sleepingAnswer, startBatch, startSingle } from "./syscalls/driven.ts";
import { readInteger, type Problem } from "./syscalls/json.ts";
import { keptAnswer } from "./syscalls/kept.ts";
import { memoryRows } from "./syscalls/memory.ts";
import { SLEEPING_BOUND, SLEEPING_LIMIT } from "./syscalls/state.ts";
import { makeHome } from "./programs/home.ts";
import { programOf } from "./programs/program.ts";
import { openTerminal, resizeTerminal, typeBytes } from "./programs/terminal.ts";
import { peekExpiryNs } from "./time/timer.ts";

/** Steps that one call of `handle` takes when the caller names no budget. */
export const DEFAULT_BUDGET = 200_000;

/**
 * Does one input, and what follows from it until nothing may run or `budget` steps are taken; then `more` says so and
 * `{ type: "run" }` goes on. `deferred`: the clock has not reached `atNs` within the budget; nothing else has happened, and the
 * input is to be fed again once `more` is false.
 */
export function handle(k: Kernel, input: Input, budget = DEFAULT_BUDGET): Output {
  k.turn = freshTurn(budget);
  if (input.type === "run") return settle(k, false);
  if (input.type === "advance") {
    moveClock(k, k.state.time.nowNs + input.byNs);
    return settle(k, false);
  }
  if (input.atNs > k.state.time.nowNs && !reach(k, input.atNs)) return { ...output(k, true), deferred: true };
  beginInput(k);
  return act(k, input);
}

type Acting = Exclude<Input, { type: "run" } | { type: "advance" }>;

function act(k: Kernel, input: Acting): Output {
  switch (input.type) {
    case "createProcess": return createProcess(k, input);
    case "killProcess": {
      const refusal = deleteProcess(k, input.pid);
      return refusal === null ? settle(k) : refuse(k, refusal);
    }
    case "signal": return signalProcess(k, input);
    case "syscall": return call(k, input.pid, input.callId, (task) => {
      const problems: Problem[] = [];
      const decoded = decodeCall(k.tables, { call: input.call, ...(input.args === undefined ? {} : { args: input.args }) }, "/args", problems, input.raw === true);
      if (decoded === null) return { refused: "no-call", detail: `no system call is named ${String(input.call)}` };
      if (problems.length > 0) return invalid(problems);
      task.onFault = input.onFault ?? "signal";
      startSingle(k, task, input.callId, decoded);
      return null;
    });
    case "batch": return call(k, input.pid, input.callId, (task) => {
      const problems: Problem[] = [];
      const calls = decodeBatch(k.tables, input.calls, problems);
      if (problems.length > 0) return invalid(problems);
      task.onFault = "signal";
      startBatch(k, task, input.callId, calls, input.onError);
      return null;
    });
    case "store": return call(k, input.pid, input.callId, (task) => {
      task.onFault = input.onFault;
      const [address, bytes] = [readInteger(input.address), base64Decode(input.base64)];
      if (address === undefined || bytes === undefined) return { refused: "invalid", detail: "a store takes an address and bytes in base64" };
      startSingle(k, task, input.callId, { nr: memoryRows.store.x86_64, placed: [address, { bytes }, bytes.length, 0] });
      return null;
    });
    case "program": return program(k, input);
    case "openTty": {
      const opened = openTerminal(k, input);
      return "refused" in opened ? refuse(k, opened) : { ...settle(k), ...opened };
    }
    case "typeTty": case "resizeTty": {
      const refusal = input.type === "typeTty" ? typeBytes(k, input.tty, input.base64) : resizeTerminal(k, input.tty, input.rows, input.columns);
      return refusal === null ? settle(k) : refuse(k, refusal);
    }
    case "interruptCall": return interruptCall(k, input.callId);
    case "makeHome":
      makeHome(k, input.path, input.uid);
      return settle(k);
    case "resume":
      k.state.time.suspendedNs += input.awayNs;
      k.state.time.realtimeOffsetNs += BigInt(input.awayNs);
      return settle(k);
    case "setClockMode":
      k.state.time.mode = input.mode;
      return settle(k);
  }
}

/** An input comes in as an interrupt of the first CPU does. */
function beginInput(k: Kernel): void {
  const [cpu] = k.state.sched.cpus;
  advanceCpu(k, cpu, k.state.time.nowNs);
  k.turn.cpu = 0;
  k.turn.beganNs = cpu.clockNs;
}

/** What an input has cost is past before what follows from it. */
function endInput(k: Kernel): void {
  const { time, sched } = k.state;
  time.doneNs = Math.max(time.doneNs, time.nowNs + sched.cpus[0].clockNs - k.turn.beganNs);
  tellLogReaders(k);
}

/** Sets where the clock goes, and lets autonomous work come along. */
function moveClock(k: Kernel, targetNs: number): void {
  const { time } = k.state;
  if (targetNs <= time.nowNs) return;
  time.limitNs += targetNs - Math.max(time.nowNs, time.targetNs);
  time.targetNs = targetNs;
}

/** Brings the clock to `atNs`, firing what is due; false when the budget ends first. */
function reach(k: Kernel, atNs: number): boolean {
  if (k.state.time.targetNs < atNs) moveClock(k, atNs);
  return finishMove(k);
}

/** Goes on with a clock move; false when the budget ends first. */
function finishMove(k: Kernel): boolean {
  const { time } = k.state;
  if (time.targetNs < 0) return true;
  if (runUntil(k, time.targetNs)) return false;
  if (time.nowNs < time.targetNs) time.nowNs = time.targetNs;
  time.targetNs = -1;
  return true;
}

/** Runs what may run, after an input that has `acted`; then the calls that have not ended are asleep. */
function settle(k: Kernel, acted = true): Output {
  if (acted) endInput(k);
  for (;;) {
    if (!finishMove(k) || runUntil(k, Infinity)) return output(k, true);
    const transferNs = awaitedTransferNs(k);
    if (transferNs > k.state.time.nowNs) moveClock(k, transferNs);
    else if (k.state.calls.open.length === 0 || noteSleepers(k)) return output(k, false);
  }
}

/**
 * When the disk is done with what driven work waits for, the first of it; -1 when none does. Time moves there by itself:
 * nobody need move the clock for a page that comes from swap.
 */
function awaitedTransferNs(k: Kernel): number {
  const { cpus, tasks } = k.state.sched;
  let first = -1;
  if (cpus.every(({ ioWaiters }) => ioWaiters === 0)) return first;
  for (const task of tasks.values()) {
    const { sleep } = task;
    if (sleep === null || sleep.ioCpu < 0 || !countsAsDriven(task, sleep.untilNs)) continue;
    if (first < 0 || sleep.untilNs < first) first = sleep.untilNs;
  }
  return first;
}

/** Calls that have not ended are asleep. As many sleep as may: one more is interrupted, as a signal would; then false. */
function noteSleepers(k: Kernel): boolean {
  const { calls } = k.state;
  const { open } = calls;
  calls.open = [];
  for (const call of open) {
    const task = k.state.sched.tasks.get(call.tid);
    if (task === undefined || drivenFrame(task)?.callId !== call.callId) continue;
    if (calls.sleeping.size >= SLEEPING_LIMIT && interrupt(k, task)) calls.open.push({ ...call, limited: true });
    else calls.sleeping.set(call.callId, call.tid);
  }
  return calls.open.length === 0;
}

function output(k: Kernel, more: boolean): Output {
  return { ended: k.turn.ended, events: k.turn.events, nowNs: k.state.time.nowNs, more };
}

function refuse(k: Kernel, refusal: Refusal): Output {
  return { ...output(k, false), refusal };
}

/** A process that a caller may drive: alive, and with no call under way. */
function drivable(k: Kernel, pid: number): Task | Refusal {
  const task = k.state.sched.tasks.get(pid);
  if (task === undefined || task.state === "zombie") return { refused: "no-process", detail: `no process ${pid}` };
  if (task.kind !== "driven") return { refused: "busy", detail: `process ${pid} runs a program of its own` };
  if (drivenFrame(task) !== null) return { refused: "busy", detail: `process ${pid} is in a call` };
  return task;
}

function call(k: Kernel, pid: number, callId: string, start: (task: Task) => Refusal | null): Output {
  const task = drivable(k, pid);
  if ("refused" in task) return refuse(k, task);
  const { calls } = k.state;
  if (calls.sleeping.size >= SLEEPING_BOUND) return refuse(k, { refused: "limit", detail: `a session has at most ${SLEEPING_BOUND} sleeping calls` });
  const refusal = start(task);
  if (refusal !== null) return refuse(k, refusal);
  calls.open.push({ callId, tid: task.tid, limited: false });
  return answered(settle(k), k, callId, task.tid);
}

/** Puts the call's own answer beside the others: ended, or asleep once the kernel is quiet. */
function answered(out: Output, k: Kernel, callId: string, tid: number): Output {
  const ended = out.ended.find((end) => end.callId === callId);
  const task = k.state.sched.tasks.get(tid);
  const answer: CallAnswer | null | undefined = ended?.answer ?? (out.more || task === undefined ? undefined : sleepingAnswer(task));
  if (answer !== null && answer !== undefined) out.answer = answer;
  return out;
}

function createProcess(k: Kernel, input: Input & { type: "createProcess" }): Output {
  if (k.state.sched.groups.size >= PROCESS_LIMIT) return refuse(k, { refused: "limit", detail: `a session has at most ${PROCESS_LIMIT} processes` });
  if (input.parent !== undefined) {
    const parent = k.state.sched.groups.get(input.parent);
    if (parent === undefined || parent.exitStatus >= 0) return refuse(k, { refused: "no-process", detail: `no process ${input.parent}` });
  }
  const made = createDriven(k, input);
  if (typeof made === "number") return refuse(k, { refused: "errno", errno: -made, detail: "the process could not be made" });
  return { ...settle(k), pid: made.tid };
}

function signalProcess(k: Kernel, { pid, signal, uid }: Input & { type: "signal" }): Output {
  const group = k.state.sched.groups.get(pid);
  if (group === undefined) return refuse(k, { refused: "errno", errno: ESRCH, detail: `kill: (${pid}) - No such process` });
  const error = checkKill(k, uid, group, signal);
  if (error < 0) return refuse(k, { refused: "errno", errno: -error, detail: `kill: (${pid}) - Operation not permitted` });
  if (signal !== 0) sendSignal(k, pid, signal, { pid: 0, uid });
  return settle(k);
}

function program(k: Kernel, input: Input & { type: "program" }): Output {
  const { calls } = k.state;
  if (calls.sleeping.size >= SLEEPING_BOUND) return refuse(k, { refused: "limit", detail: `a session has at most ${SLEEPING_BOUND} sleeping calls` });
  if (k.state.sched.groups.size >= PROCESS_LIMIT) return refuse(k, { refused: "limit", detail: `a session has at most ${PROCESS_LIMIT} processes` });
  const table = programOf(k, input.program);
  if (table === null) return refuse(k, { refused: "no-call", detail: `no program ${input.program}` });
  const task = createProgram(k, {
    comm: input.program, uid: input.uid, member: input.member, home: input.home, code: "program.run",
    locals: { callId: input.callId, code: table, args: input.args, value: null, stdout: "", stderr: "", extra: {} },
  });
  if (typeof task === "number") return refuse(k, { refused: "errno", errno: -task, detail: "the process could not be made" });
  calls.open.push({ callId: input.callId, tid: task.tid, limited: false });
  return answered(settle(k), k, input.callId, task.tid);
}

/** A signal with an empty handler and no SA_RESTART, for one call. */
function interruptCall(k: Kernel, callId: string): Output {
  const tid = k.state.calls.sleeping.get(callId) ?? k.state.calls.open.find((one) => one.callId === callId && k.state.sched.tasks.has(one.tid))?.tid;
  if (tid === undefined) {
    return refuse(k, keptAnswer(k, callId) !== null ? { refused: "busy", detail: "the call has ended" } : { refused: "no-call", detail: "no such call" });
  }
  const task = taskOf(k, tid);
  if (!interrupt(k, task)) return refuse(k, { refused: "busy", detail: `the call sleeps uninterruptibly in ${task.sleep?.wchan}` });
  return answered(settle(k), k, callId, tid);
}

/** False when the task sleeps uninterruptibly. */
function interrupt(k: Kernel, task: Task): boolean {
  if (task.sleep !== null && task.sleep.mode !== "interruptible") return false;
  endBatchEarly(task.frames[0]);
  task.interrupted = true;
  recalcSignalPending(k, task);
  if (task.sleep !== null) wakeTask(k, task);
  return true;
}

/** A real clock is moved so often while autonomous work waits for it, ns. */
const HELD_BACK_NS = 10_000_000;

/**
 * When a real clock's driver should move the clock by itself, ns of kernel time, or null: at the next timer, and soon where
 * autonomous work may only go on as the clock moves. Changes nothing.
 */
export function nextTimerNs(k: Kernel): number | null {
  const { time, sched } = k.state;
  const heldBack = sched.cpus.some((cpu) => !isIdle(cpu)) ? time.nowNs + HELD_BACK_NS : Infinity;
  const next = Math.min(peekExpiryNs(k), heldBack);
  return next === Infinity ? null : next;
}
