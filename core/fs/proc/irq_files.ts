/** /proc/interrupts and /proc/softirqs: a column a CPU. */
import { LOCAL_INTERRUPTS, localInterrupts, POSTED_INTERRUPTS, shownLines } from "../../irq/counts.ts";
import { SOFTIRQ_NAMES } from "../../irq/state.ts";
import type { Kernel } from "../../kernel.ts";
import { column } from "../../lib/format.ts";
import { procFile } from "./registry.ts";

const heads = (k: Kernel): string => k.state.sched.cpus.map(({ id }) => `CPU${String(id).padEnd(8)}`).join("");

function softirqs(k: Kernel): string {
  const rows = SOFTIRQ_NAMES.map((name, nr) => `${name.padStart(12)}:${k.state.irq.cpus.map(({ softirqs }) => ` ${column(softirqs[nr], 10)}`).join("")}\n`);
  return `${" ".repeat(20)}${heads(k)}\n${rows.join("")}`;
}
procFile("softirqs", softirqs);

function interrupts(k: Kernel): string {
  const counted = (counts: readonly number[]): string => counts.map((count) => `${column(count, 10)} `).join("");
  const lines = shownLines(k).map(({ irq, chip, hwirq, flow, actions, counts }) => {
    const names = actions.length === 0 ? "" : `  ${actions.map(({ name }) => name).join(", ")}`;
    return `${column(irq, 3)}: ${counted(counts)} ${chip.padStart(8)} ${column(hwirq, 3)}-${flow.padEnd(8)}${names}\n`;
  });
  const local = ([name, what]: readonly [string, string]): string =>
    `${name}: ${counted(k.state.sched.cpus.map(({ id }) => localInterrupts(k, name, id)))}  ${what}\n`;
  return `${" ".repeat(11)}${heads(k)}\n${lines.join("")}${LOCAL_INTERRUPTS.map(local).join("")}`
    + `ERR: ${column(0, 10)}\nMIS: ${column(0, 10)}\n${POSTED_INTERRUPTS.map(local).join("")}`;
}
procFile("interrupts", interrupts);
