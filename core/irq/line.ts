/** A line of the machine's one IO-APIC: who handles it, and how often it was raised. */
import type { Machine } from "../machine.ts";

/** Lines that there are. */
export const IRQ_LINES = 24;

export interface IrqAction {
  /** Name of a registered handler. */
  handler: string;
  /** IRQF_ bits. */
  flags: number;
  /** As /proc/interrupts shows it. */
  name: string;
  /** Tells the handlers of a shared line apart. */
  devId: number;
}

export interface IrqLine {
  irq: number;
  chip: string;
  hwirq: number;
  flow: "edge" | "fasteoi";
  actions: IrqAction[];
  /** How often the line was raised, by CPU. */
  counts: number[];
  /** How often it is disabled; raised meanwhile, it is `pending`. */
  depth: number;
  pending: boolean;
  /** Of the last 100,000 interrupts, those that nobody claimed. */
  unhandled: number;
  seen: number;
}

/** A line that nobody handles yet. */
export function newLine(machine: Machine, irq: number): IrqLine {
  return {
    irq, chip: "IO-APIC", hwirq: irq === 0 ? 2 : irq, flow: irq === 9 || irq > 15 ? "fasteoi" : "edge",
    actions: [], counts: Array.from({ length: machine.cpus }, () => 0), depth: 0, pending: false, unhandled: 0, seen: 0,
  };
}
