/** Kernel time: the monotonic clock that everything runs by, and the clocks computed from it. */
import type { Kernel } from "../kernel.ts";

export const NS_PER_SEC = 1_000_000_000;

/** Kernel time (CLOCK_MONOTONIC), ns since boot: in a step or an interrupt the clock of the CPU that runs it, else the time of the last event. */
export function now(k: Kernel): number {
  const { clockNs } = k.state.sched.cpus[k.turn.cpu];
  const { nowNs } = k.state.time;
  return clockNs > nowNs ? clockNs : nowNs;
}

/** CLOCK_REALTIME, ns since 1970. */
export function realtimeNs(k: Kernel): bigint {
  return BigInt(now(k)) + k.state.time.realtimeOffsetNs;
}

/** CLOCK_BOOTTIME, ns: monotonic time plus the time the machine was suspended. */
export function boottimeNs(k: Kernel): number {
  return now(k) + k.state.time.suspendedNs;
}

/** ns of one jiffy; no whole number at 300 Hz. */
export function tickNs(k: Kernel): number {
  return NS_PER_SEC / k.state.machine.hz;
}

/** Jiffies since boot, from 0; the kernel's own counter (jiffies.ts) starts elsewhere. */
export function ticks(k: Kernel): number {
  return ticksAt(k, now(k));
}

/** Jiffies that were complete at kernel time `ns`. */
export function ticksAt(k: Kernel, ns: number): number {
  const { hz } = k.state.machine;
  const seconds = Math.floor(ns / NS_PER_SEC);
  return seconds * hz + Math.floor(((ns - seconds * NS_PER_SEC) * hz) / NS_PER_SEC);
}

/** The start of the jiffy that runs at kernel time `ns`, ns: what the coarse clocks show. */
export function tickStartNs(k: Kernel, ns: number): number {
  return tickTimeNs(k, ticksAt(k, ns));
}

/** Kernel time of the tick with this number, ns. */
export function tickTimeNs(k: Kernel, tick: number): number {
  const { hz } = k.state.machine;
  const seconds = Math.floor(tick / hz);
  return seconds * NS_PER_SEC + Math.ceil(((tick - seconds * hz) * NS_PER_SEC) / hz);
}
