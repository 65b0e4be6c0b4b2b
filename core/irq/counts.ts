/** How often interrupts came and softirqs ran, for /proc. */
import type { Kernel } from "../kernel.ts";
import { tickNs } from "../time/clock.ts";
import type { IrqLine } from "./line.ts";

/** Interrupts that belong to no line, in the order of /proc/interrupts (arch/x86/kernel/irq.c). */
export const LOCAL_INTERRUPTS: readonly [string, string][] = [
  ["NMI", "Non-maskable interrupts"], ["LOC", "Local timer interrupts"], ["SPU", "Spurious interrupts"],
  ["PMI", "Performance monitoring interrupts"], ["IWI", "IRQ work interrupts"], ["RTR", "APIC ICR read retries"],
  ["RES", "Rescheduling interrupts"], ["CAL", "Function call interrupts"], ["TLB", "TLB shootdowns"], ["TRM", "Thermal event interrupts"],
  ["THR", "Threshold APIC interrupts"], ["DFR", "Deferred Error APIC interrupts"], ["MCE", "Machine check exceptions"],
  ["MCP", "Machine check polls"],
];
/** What follows the two sums of errors. */
export const POSTED_INTERRUPTS: readonly [string, string][] = [
  ["PIN", "Posted-interrupt notification event"], ["NPI", "Nested posted-interrupt event"], ["PIW", "Posted-interrupt wakeup event"],
];

/**
 * A row's count on a CPU. The local timer's are the ticks of the time that the CPU worked, which are computed (an idle CPU has
 * none), and what was due; a rescheduling interrupt is another CPU that wakes somebody here.
 */
export function localInterrupts(k: Kernel, name: string, cpu: number): number {
  const { userNs, niceNs, systemNs, irqNs, softirqNs, wakeups, localWakeups } = k.state.sched.cpus[cpu];
  switch (name) {
    case "LOC": return Math.floor((userNs + niceNs + systemNs + irqNs + softirqNs) / tickNs(k)) + k.state.irq.cpus[cpu].timerInterrupts;
    case "RES": return wakeups - localWakeups;
    default: return 0;
  }
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

/** Lines that somebody handles, or that were ever raised. */
export function shownLines(k: Kernel): IrqLine[] {
  return [...k.state.irq.lines.values()].filter(({ actions, counts }) => actions.length > 0 || sum(counts) > 0).sort((a, b) => a.irq - b.irq);
}

/** Of /proc/stat: all interrupts, then those of lines 0 to `lines` - 1. */
export function interruptCounts(k: Kernel, lines: number): number[] {
  const each = Array.from({ length: lines }, (_, irq) => sum(k.state.irq.lines.get(irq)?.counts ?? []));
  let all = sum(each);
  for (const { id } of k.state.sched.cpus) for (const [name] of LOCAL_INTERRUPTS) all += localInterrupts(k, name, id);
  return [all, ...each];
}

/** Of /proc/stat: all softirqs, then those of each vector. */
export function softirqCounts(k: Kernel): number[] {
  const each = k.state.irq.cpus[0].softirqs.map((_, nr) => sum(k.state.irq.cpus.map(({ softirqs }) => softirqs[nr])));
  return [sum(each), ...each];
}
