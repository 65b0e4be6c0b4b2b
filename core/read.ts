/** What the service shows of a kernel: processes, clock, calls, trace. All pure. */
import { signalName } from "./abi/signal.ts";
import { stateLetter } from "./fs/proc/pid_stat.ts";
import type { CallAnswer, Json } from "./input.ts";
import { wqWorkerComm } from "./irq/workqueue.ts";
import type { Kernel } from "./kernel.ts";
import { peekUser } from "./mm/access.ts";
import type { LogRecord } from "./sched/printk.ts";
import { groupOf, handlersOf, taskOf, type ThreadGroup } from "./sched/task.ts";
import { callOf, sleepingAnswer, type CallUnderWay } from "./syscalls/driven.ts";
import { keptAnswer } from "./syscalls/kept.ts";
import { TRACE_LINES, type TraceLine } from "./syscalls/state.ts";

export interface ProcessView {
  pid: number;
  ppid: number;
  uid: number;
  comm: string;
  /** As ps shows it: R, S, D, T, Z, I. */
  state: string;
  /** Who made it, as the service names members; "" for the kernel's own. */
  member: string;
  kind: "driven" | "program" | "kthread";
  threads: number[];
  /** Of a program that the service runs, the system call that it is in. */
  call: CallUnderWay | null;
  /** Deliveries to counted handlers, by signal name. */
  signals: { [name: string]: number };
}

function viewOf(k: Kernel, group: ThreadGroup): ProcessView {
  const task = taskOf(k, group.tgid);
  const signals: { [name: string]: number } = {};
  for (const [number, count] of handlersOf(k, group).counts) signals[signalName(number)] = count;
  return {
    pid: group.tgid, ppid: group.parent, uid: task.cred.uid, comm: wqWorkerComm(k, task), state: stateLetter(k, task), member: group.member,
    kind: task.kind, threads: [...group.threads], call: callOf(k, task), signals,
  };
}

/** All processes by pid, kernel threads and zombies included. */
export function processList(k: Kernel): ProcessView[] {
  return [...k.state.sched.groups.values()].sort((a, b) => a.tgid - b.tgid).map((group) => viewOf(k, group));
}

/** One process, by its pid or by the tid of one of its threads; null when there is none. */
export function processView(k: Kernel, pid: number): ProcessView | null {
  const task = k.state.sched.tasks.get(pid);
  return task === undefined ? null : viewOf(k, groupOf(k, task));
}

/** The member that a process belongs to: its own, or that of the nearest ancestor made by a caller; "" for the kernel's. */
export function memberOf(k: Kernel, pid: number): string {
  const task = k.state.sched.tasks.get(pid);
  return task === undefined ? "" : groupOf(k, task).member;
}

export interface ClockView {
  mode: "real" | "virtual";
  nowNs: number;
  /** CLOCK_REALTIME in ns since 1970, decimal. */
  realtimeNs: string;
  boottimeNs: number;
  jiffies: string;
  hz: number;
}

export function clockView(k: Kernel): ClockView {
  const { time, machine } = k.state;
  const tick = 1_000_000_000 / machine.hz;
  return {
    mode: time.mode, nowNs: time.nowNs, realtimeNs: (BigInt(time.nowNs) + time.realtimeOffsetNs).toString(),
    boottimeNs: time.nowNs + time.suspendedNs, jiffies: String(2 ** 32 - 300 * machine.hz + Math.floor(time.nowNs / tick)), hz: machine.hz,
  };
}

/** How a call stands that slept: its answer, or that it sleeps; null when nobody knows it. */
export function callRecord(k: Kernel, callId: string): { pid: number; member: string; answer: CallAnswer } | null {
  // One that still works is open; once all is quiet it is asleep.
  const tid = k.state.calls.sleeping.get(callId) ?? k.state.calls.open.find((one) => one.callId === callId && k.state.sched.tasks.has(one.tid))?.tid;
  if (tid !== undefined) {
    const answer = sleepingAnswer(taskOf(k, tid));
    return answer === null ? null : { pid: tid, member: memberOf(k, tid), answer };
  }
  const kept = keptAnswer(k, callId);
  return kept === null ? null : { pid: kept.pid, member: kept.member, answer: kept.answer };
}

/** Trace lines after `after` (a sequence; 0 for all kept), of one process or of all, among the last 10,000. */
export function traceLines(k: Kernel, { pid, after = 0 }: { pid?: number; after?: number } = {}): TraceLine[] {
  const { trace, nextTrace } = k.state.calls;
  const lines = newerThan(trace, Math.max(after, nextTrace - 1 - TRACE_LINES));
  return pid === undefined ? lines : lines.filter((line) => line.pid === pid);
}

/** The items of a ring behind a sequence; they are numbered without a gap. */
function newerThan<T extends { sequence: number }>(ring: T[], after: number): T[] {
  return ring.length === 0 ? [] : ring.slice(Math.max(0, after + 1 - ring[0].sequence));
}

/** Log records after `after` (a sequence; -1 for all kept). */
export function logRecords(k: Kernel, after = -1): LogRecord[] {
  return newerThan(k.state.log.records, after);
}

export interface ArgumentView {
  name: string;
  kind: string;
  optional: boolean;
  /** Flag or choice names. */
  names?: string[];
  /** Structure fields. */
  struct?: { name: string; fields: Json };
  sizedBy?: string;
  /** The answer's field that this argument fills, when it is returned. */
  output?: string;
}

export interface SyscallView {
  name: string;
  number: number;
  args: ArgumentView[];
  returns: "integer" | "address";
  partial?: string;
}

/** Every row of the table, by number. */
export function syscallCatalogue(tables: Kernel["tables"]): SyscallView[] {
  return [...tables.syscallNames.values()].sort((a, b) => a.x86_64 - b.x86_64).map((row) => ({
    name: row.name, number: row.x86_64,
    args: row.args.map((arg): ArgumentView => ({
      name: arg.name, kind: arg.kind, optional: arg.optional,
      ...(arg.names === undefined ? {} : { names: arg.names }),
      ...(arg.codec === undefined ? {} : { struct: { name: arg.codec.name, fields: arg.codec.fields as Json } }),
      ...(arg.sizedBy === undefined ? {} : { sizedBy: arg.sizedBy }),
      ...(arg.output === undefined ? {} : { output: arg.outputName ?? arg.name }),
    })),
    returns: row.returns === "address" ? "address" : "integer",
    ...(row.partial === undefined ? {} : { partial: row.partial }),
  }));
}

/** A debugger's look at a process's memory: `length` bytes at `address`, or null when not all of it is mapped. */
export function readMemory(k: Kernel, pid: number, address: bigint, length: number): Uint8Array | null {
  const task = k.state.sched.tasks.get(pid);
  if (task === undefined || task.mm === 0 || address > 0x7fff_ffff_ffffn) return null;
  if (length === 0) return new Uint8Array(0);
  const bytes = peekUser(k, task, Number(address), length);
  return bytes === null || bytes.length < length ? null : bytes;
}
