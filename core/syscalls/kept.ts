/** Answers of calls that slept: kept until 64 newer ones of their process, or an hour of kernel time after the process ended. */
import type { CallAnswer, Json } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { now } from "../time/clock.ts";
import type { KeptAnswer } from "./state.ts";

export const KEPT_PER_PROCESS = 64;
/** Answers of a session together; the oldest go first. */
export const KEPT_BYTES = 16 << 20;
const HOUR_NS = 3_600_000_000_000;

/** Keeps the answer of a call that `task` slept in; what has had its time goes. */
export function keepAnswer(k: Kernel, callId: string, task: Task, answer: CallAnswer): void {
  const { calls } = k.state;
  const { tgid, member } = groupOf(k, task);
  for (const [old, untilNs] of calls.leaving) {
    if (untilNs > now(k)) break;
    drop(k, old);
  }
  const size = sizeOf(answer);
  calls.kept.set(callId, { pid: task.tid, tgid, member, answer, size });
  calls.keptBytes += size;
  const own = calls.keptOf.get(tgid);
  if (own === undefined) calls.keptOf.set(tgid, [callId]);
  else if (own.push(callId) > KEPT_PER_PROCESS) drop(k, own[0]);
  for (const oldest of calls.kept.keys()) {
    if (calls.keptBytes <= KEPT_BYTES || calls.kept.size === 1) break;
    drop(k, oldest);
  }
}

/** The answer of a call that slept and has ended; null when it is kept no more. Changes nothing. */
export function keptAnswer(k: Kernel, callId: string): KeptAnswer | null {
  const { calls, time } = k.state;
  const untilNs = calls.leaving.get(callId) ?? Infinity;
  return time.nowNs < untilNs ? (calls.kept.get(callId) ?? null) : null;
}

/** The process has ended: its answers stay for an hour. */
export function leaveAnswers(k: Kernel, tgid: number): void {
  const { calls } = k.state;
  for (const callId of calls.keptOf.get(tgid) ?? []) calls.leaving.set(callId, now(k) + HOUR_NS);
  calls.keptOf.delete(tgid);
}

function drop(k: Kernel, callId: string): void {
  const { calls } = k.state;
  const dropped = calls.kept.get(callId);
  if (dropped === undefined) return;
  calls.kept.delete(callId);
  calls.keptBytes -= dropped.size;
  if (calls.leaving.delete(callId)) return;
  // The oldest of all is the oldest of its process.
  const own = calls.keptOf.get(dropped.tgid) ?? [];
  own.splice(own.indexOf(callId), 1);
  if (own.length === 0) calls.keptOf.delete(dropped.tgid);
}

/** About how many bytes an answer takes: its strings and a word for everything else. */
export function sizeOf(value: Json | CallAnswer | undefined): number {
  if (typeof value === "string") return value.length + 16;
  if (typeof value !== "object" || value === null) return 8;
  let size = 16;
  for (const inner of Object.values(value)) size += 16 + sizeOf(inner as Json);
  return size;
}
