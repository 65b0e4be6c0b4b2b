/** Counters with a part for each CPU, cheap to add to and costly to read exactly (lib/percpu_counter.c). */
import type { Kernel } from "../kernel.ts";

export interface PercpuCounter {
  count: number;
  counters: number[];
}

export const percpuCounterInit = (k: Kernel, amount: number): PercpuCounter => ({ count: amount, counters: k.state.sched.cpus.map(() => 0) });

/** Adds on the running CPU; a part that has grown to a batch goes into the common count. */
export function percpuCounterAdd(k: Kernel, fbc: PercpuCounter, amount: number): void {
  const batch = Math.max(32, 2 * k.state.sched.cpus.length);
  const part = fbc.counters[k.turn.cpu] + amount;
  if (Math.abs(part) >= batch) fbc.count += part;
  fbc.counters[k.turn.cpu] = Math.abs(part) >= batch ? 0 : part;
}

/** The common count, without what the CPUs have not handed in. */
export const percpuCounterRead = (fbc: PercpuCounter): number => fbc.count;
export const percpuCounterSum = (fbc: PercpuCounter): number => fbc.counters.reduce((sum, part) => sum + part, fbc.count);

export function percpuCounterSet(fbc: PercpuCounter, amount: number): void {
  fbc.counters.fill(0);
  fbc.count = amount;
}
