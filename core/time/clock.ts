/** Kernel time: the monotonic clock that everything runs by, and the clocks computed from it. */
import type { Kernel } from "../kernel.ts";

export const NS_PER_SEC = 1_000_000_000;

/** Kernel time of the running step, ns since boot (CLOCK_MONOTONIC); never goes back. */
export function now(k: Kernel): number {
  const { time } = k.state;
  const cpuNs = k.state.sched.cpus[k.turn.cpu].clockNs;
  if (cpuNs > time.nowNs) time.nowNs = cpuNs;
  return time.nowNs;
}

/** CLOCK_REALTIME, ns since 1970. */
export function realtimeNs(k: Kernel): bigint {
  return BigInt(now(k)) + k.state.time.realtimeOffsetNs;
}

/** CLOCK_BOOTTIME, ns: monotonic time plus the time the machine was suspended. */
export function boottimeNs(k: Kernel): number {
  return now(k) + k.state.time.suspendedNs;
}

/** ns of one jiffy. */
export function tickNs(k: Kernel): number {
  return NS_PER_SEC / k.state.machine.hz;
}

/** Jiffies since boot, from 0; the kernel's own counter starts 300 s before its 32-bit wrap. */
export function ticks(k: Kernel): number {
  return Math.floor(now(k) / tickNs(k));
}

/** The kernel's jiffies: INITIAL_JIFFIES is -300 s as 32 bits, widened to 64. */
export function jiffies(k: Kernel): bigint {
  return BigInt(2 ** 32 - 300 * k.state.machine.hz + ticks(k));
}
