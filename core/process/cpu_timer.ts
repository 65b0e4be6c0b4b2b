/** Timers on the CPU time that a process uses: ITIMER_VIRTUAL, ITIMER_PROF and the CPU clocks of timer_create. */
import type { Kernel } from "../kernel.ts";
import { now, tickNs } from "../time/clock.ts";

export interface CpuTimer {
  /** CPU time of the process at which it expires, ns; -1 when disarmed. */
  expiresNs: number;
  periodNs: number;
  /** The kernel timer that looks next, 0 for none. */
  timer: number;
  /** How long until that look, ns. */
  lookNs: number;
}

/** A process that uses no CPU is looked at this rarely. */
const IDLE_LOOK_NS = 1_000_000_000;

/**
 * When to look again at a CPU clock that has `missingNs` to go with `threads` running at once. CPU time is compared at ticks
 * only, as in Linux. Differs from Linux: the looks at a process that uses no CPU come ever more rarely, down to one a second,
 * so its timer may be late by that much when it starts working again.
 */
export function nextLook(k: Kernel, missingNs: number, threads: number, idle: boolean, lastLookNs: number): { atNs: number; lookNs: number } {
  const soonest = Math.max(tickNs(k), Math.ceil(missingNs / Math.max(threads, 1)));
  const lookNs = idle ? Math.max(soonest, Math.min(lastLookNs * 2, IDLE_LOOK_NS)) : soonest;
  return { atNs: now(k) + lookNs, lookNs };
}
