/** When a sleep of so many jiffies ends: its timer stands on the wheel, and what remains is told in jiffies. */
import type { Kernel } from "../kernel.ts";
import { jiffies, jiffyNs, MAX_SCHEDULE_TIMEOUT } from "./jiffies.ts";
import { calcWheelIndex } from "./wheel.ts";

/** Kernel time at which a sleep of `timeout` jiffies from now on ends by itself, ns; -1 for one without end. */
export function timeoutNs(k: Kernel, timeout: number): number {
  if (timeout >= MAX_SCHEDULE_TIMEOUT) return -1;
  const at = jiffies(k);
  return jiffyNs(k, calcWheelIndex(at + Math.max(timeout, 0), at, k.state.machine.hz).expiry);
}

/** Jiffies until `untilJiffies`, 0 when that is past. */
export function remainingJiffies(k: Kernel, untilJiffies: number): number {
  return Math.max(0, untilJiffies - jiffies(k));
}
