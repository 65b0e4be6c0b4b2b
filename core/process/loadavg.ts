/** The load average (kernel/sched/loadavg.c): computed when somebody looks, from samples taken as processes come and go. */
import type { Kernel } from "../kernel.ts";
import { now, tickNs } from "../time/clock.ts";

export interface LoadSample {
  /** Over 1, 5 and 15 minutes, with FSHIFT fraction bits. */
  loads: number[];
  /** Kernel time up to which they are computed. */
  atNs: number;
}

export const FSHIFT = 11;
export const FIXED_1 = 1 << FSHIFT;
/** What is left of an old value after five seconds: 1/exp(5s/1min) and so on. */
const EXPONENTS = [1884, 2014, 2037];

/** Tasks that run, may run, or sleep uninterruptibly. */
export function activeTasks(k: Kernel): { running: number; uninterruptible: number } {
  let running = 0;
  let uninterruptible = 0;
  for (const task of k.state.sched.tasks.values()) {
    if (task.state === "runnable") running++;
    else if (task.sleep?.mode === "uninterruptible") uninterruptible++;
  }
  return { running, uninterruptible };
}

/** x to the power of n, both with FSHIFT fraction bits and rounded as the kernel rounds. */
function fixedPower(x: number, n: number): number {
  let result = FIXED_1;
  for (let base = x, rest = n; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = Math.floor((result * base + FIXED_1 / 2) / FIXED_1);
    base = Math.floor((base * base + FIXED_1 / 2) / FIXED_1);
  }
  return result;
}

function decay(load: number, exponent: number, active: number): number {
  const sum = load * exponent + active * (FIXED_1 - exponent) + (active >= load ? FIXED_1 - 1 : 0);
  return Math.floor(sum / FIXED_1);
}

/**
 * The three averages now, with FSHIFT fraction bits. Differs from Linux: between two samples the tasks that are active now
 * count as active all the time.
 */
export function loadsNow(k: Kernel): LoadSample {
  const { load } = k.state.process;
  const periodNs = (5 * k.state.machine.hz + 1) * tickNs(k);
  const periods = Math.floor((now(k) - load.atNs) / periodNs);
  if (periods <= 0) return { loads: [...load.loads], atNs: load.atNs };
  const { running, uninterruptible } = activeTasks(k);
  const active = (running + uninterruptible) * FIXED_1;
  return {
    loads: load.loads.map((old, at) => decay(old, fixedPower(EXPONENTS[at], periods), active)),
    atNs: load.atNs + periods * periodNs,
  };
}

/** Brings the averages up to date; whoever changes how many tasks there are calls it before. */
export function sampleLoad(k: Kernel): void {
  k.state.process.load = loadsNow(k);
}
