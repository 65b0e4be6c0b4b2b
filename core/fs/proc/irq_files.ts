/** /proc/interrupts and /proc/softirqs: the timer of each CPU, which is computed, not counted. */
import type { Kernel } from "../../kernel.ts";
import { column } from "../../lib/format.ts";
import { ticks } from "../../time/clock.ts";
import { procFile } from "./registry.ts";

const SOFTIRQS = ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];
const INTERRUPTS: readonly [string, string][] = [
  ["NMI", "Non-maskable interrupts"], ["LOC", "Local timer interrupts"], ["SPU", "Spurious interrupts"], ["IWI", "IRQ work interrupts"],
  ["RES", "Rescheduling interrupts"], ["CAL", "Function call interrupts"], ["TLB", "TLB shootdowns"],
];

const heads = (k: Kernel): string => k.state.sched.cpus.map(({ id }) => `CPU${String(id).padEnd(8)}`).join("");

function softirqs(k: Kernel): string {
  const rows = SOFTIRQS.map((name) =>
    `${name.padStart(12)}:${k.state.sched.cpus.map(() => ` ${column(name === "TIMER" ? ticks(k) : 0, 10)}`).join("")}\n`);
  return `${" ".repeat(20)}${heads(k)}\n${rows.join("")}`;
}
procFile("softirqs", softirqs);

function interrupts(k: Kernel): string {
  const { cpus } = k.state.sched;
  const rows = INTERRUPTS.map(([name, what]) =>
    `${name}: ${cpus.map(() => `${column(name === "LOC" ? ticks(k) : 0, 10)} `).join("")}  ${what}\n`);
  return `${" ".repeat(11)}${heads(k)}\n${rows.join("")}ERR: ${column(0, 10)}\nMIS: ${column(0, 10)}\n`;
}
procFile("interrupts", interrupts);
