/** The load average (kernel/sched/loadavg.c): samples every five seconds, taken when somebody looks or changes what they would show. */
import type { Kernel } from "../kernel.ts";
import { now, tickTimeNs } from "../time/clock.ts";

export interface LoadSample {
  /** Over 1, 5 and 15 minutes, with FSHIFT fraction bits. */
  loads: number[];
  /** Samples that are in them, and kernel time of the next one. */
  samples: number;
  nextNs: number;
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

/** Ticks between two samples: LOAD_FREQ, a tick more than five seconds so that it meets nobody's rhythm. */
const loadTicks = (k: Kernel): number => 5 * k.state.machine.hz + 1;

/** The three averages now, with FSHIFT fraction bits. */
export function loadsNow(k: Kernel): LoadSample {
  const { load } = k.state.process;
  const nowNs = now(k);
  if (nowNs < load.nextNs) return { ...load, loads: [...load.loads] };
  if (load.nextNs === 0) return { loads: [...load.loads], samples: 0, nextNs: tickTimeNs(k, loadTicks(k)) };
  let { samples, nextNs } = load;
  // All tasks are as they were: the samples since then are alike.
  const before = samples;
  samples += Math.floor((nowNs - nextNs) / (tickTimeNs(k, loadTicks(k)) + 1)) + 1;
  while ((nextNs = tickTimeNs(k, (samples + 1) * loadTicks(k))) <= nowNs) samples++;
  const { running, uninterruptible } = activeTasks(k);
  const active = (running + uninterruptible) * FIXED_1;
  return { loads: load.loads.map((old, at) => decay(old, fixedPower(EXPONENTS[at], samples - before), active)), samples, nextNs };
}

/** Takes the samples that are due; whoever changes how many tasks are active calls it before. */
export function sampleLoad(k: Kernel): void {
  if (now(k) >= k.state.process.load.nextNs) k.state.process.load = loadsNow(k);
}
