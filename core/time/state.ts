/** What the clock and the timers keep. */
import type { Machine } from "../machine.ts";
import type { HrTimer } from "./timer.ts";
import type { TimerList } from "./timer_list.ts";
import { NEVER, newTimerBase, type TimerBase } from "./wheel.ts";

export interface TimeState {
  /** Kernel time, CLOCK_MONOTONIC: ns since boot; never goes back. */
  nowNs: number;
  /** The end of the last step or burst of a task: where the clock stands once all is quiet. */
  doneNs: number;
  /** Autonomous work (kernel threads, programs) runs up to this time; only the clock's moves and driven work push it. */
  limitNs: number;
  /** Where a clock move that is under way goes to; -1 for none. */
  targetNs: number;
  mode: "real" | "virtual";
  /** CLOCK_REALTIME minus CLOCK_MONOTONIC, ns. */
  realtimeOffsetNs: bigint;
  /** CLOCK_BOOTTIME minus CLOCK_MONOTONIC, ns: the time a suspended machine was away. */
  suspendedNs: number;
  timers: Map<number, HrTimer>;
  /** A binary heap of [expiresNs, sequence, id]; entries of cancelled timers are skipped when they surface. */
  heap: [number, number, number][];
  nextTimer: number;
  nextSequence: number;
  /** Kernel timers in jiffies that were set up, by id; a wheel a CPU for those that are armed, and when the first of the wheels is due, ns. */
  lists: Map<number, TimerList>;
  nextList: number;
  bases: TimerBase[];
  wheelNs: number;
}

/** Autonomous work may be this far ahead of the clock. */
export const LEAD_NS = 10_000_000;

export function timeInit(machine: Machine, realtimeNs: bigint): TimeState {
  return {
    nowNs: 0, doneNs: 0, limitNs: LEAD_NS, targetNs: -1, mode: machine.clock, realtimeOffsetNs: realtimeNs, suspendedNs: 0,
    timers: new Map(), heap: [], nextTimer: 1, nextSequence: 1,
    lists: new Map(), nextList: 1, bases: Array.from({ length: machine.cpus }, () => newTimerBase(machine.hz)), wheelNs: NEVER,
  };
}
