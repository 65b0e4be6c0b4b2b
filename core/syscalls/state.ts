/** What the kernel keeps of calls: those that sleep, the answers of those that did, and the trace of the last ones. */
import type { CallAnswer } from "../input.ts";

export interface TraceLine {
  sequence: number;
  pid: number;
  /** One line as strace writes it. */
  text: string;
}

/** A call that slept and has ended; kept for GET of the call. */
export interface KeptAnswer {
  /** The thread, and its process. */
  pid: number;
  tgid: number;
  /** Whose the process was: it may be gone by now. */
  member: string;
  answer: CallAnswer;
  /** About how large the answer is, bytes. */
  size: number;
}

export interface CallState {
  /** Calls that began since the kernel was last quiet; a limited one was interrupted, since too many sleep. */
  open: { callId: string; tid: number; limited: boolean }[];
  /** Calls under way that have slept: callId → tid. */
  sleeping: Map<string, number>;
  /** By callId, the newest last. */
  kept: Map<string, KeptAnswer>;
  /** Of a living process: its kept callIds, the newest last. */
  keptOf: Map<number, string[]>;
  /** Of ended processes: until when an answer is kept, the next to go first. */
  leaving: Map<string, number>;
  keptBytes: number;
  trace: TraceLine[];
  nextTrace: number;
  /** Benchmark kernels keep no trace. */
  traced: boolean;
}

/** Calls of a session that may sleep at once; one more is interrupted, unless its sleep cannot be. */
export const SLEEPING_LIMIT = 1024;
/** Where as many sleep, no call begins. */
export const SLEEPING_BOUND = 2 * SLEEPING_LIMIT;
export const TRACE_LINES = 10_000;

export function callInit(): CallState {
  return { open: [], sleeping: new Map(), kept: new Map(), keptOf: new Map(), leaving: new Map(), keptBytes: 0, trace: [], nextTrace: 1, traced: true };
}
