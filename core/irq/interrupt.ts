/** Interrupt lines: who handles them, and the top half that runs when a device raises one (kernel/irq/manage.c, handle.c). */
import { EBUSY, EINVAL } from "../abi/errno.ts";
import { assert, must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { callerTrace, dumpStack, warn } from "../sched/dump_stack.ts";
import { irqsDisabled, taskIrqsDisabled } from "../sched/preempt.ts";
import { printk } from "../sched/printk.ts";
import { interrupt } from "../sched/scheduler.ts";
import { now } from "../time/clock.ts";
import { armTimer, timerCallback } from "../time/timer.ts";
import { IRQ_LINES, newLine, type IrqLine } from "./line.ts";
import { irqEnter, irqExit } from "./softirq.ts";

export const IRQ_NONE = 0;
export const IRQ_HANDLED = 1;

export const IRQF_SHARED = 0x80;
const IRQF_TRIGGER_MASK = 0xf;
const IRQF_ONESHOT = 0x2000;

/** A top half: a plain function on the interrupted CPU; it says whether the interrupt was its device's. */
export type IrqHandler = (k: Kernel, irq: number, devId: number) => number;

const irqHandlers = new Map<string, IrqHandler>();

/** Registers what an interrupt runs; it may not sleep. */
export function irqHandler(name: string, handler: IrqHandler): void {
  assert(!irqHandlers.has(name), `two interrupt handlers named ${name}`);
  irqHandlers.set(name, handler);
}

// Devices of the machine that the emulator has no need to hear.
irqHandler("irq.none", () => IRQ_HANDLED);

const ERR = 3;

/** A line, which begins to exist as somebody first asks for it; undefined beyond the last one. */
function lineOf(k: Kernel, irq: number): IrqLine | undefined {
  const { lines } = k.state.irq;
  if (!lines.has(irq) && irq >= 0 && irq < IRQ_LINES) lines.set(irq, newLine(k.state.machine, irq));
  return lines.get(irq);
}

/** One that a driver has asked for before. */
function ownLine(k: Kernel, irq: number): IrqLine {
  const line = lineOf(k, irq);
  assert(line !== undefined, `no interrupt line ${irq}`);
  return line;
}

const hex = (flags: number): string => flags.toString(16).padStart(8, "0");

/**
 * Gives a line to a handler. -EINVAL for a line that does not exist, and for a shared one without `devId`;
 * -EBUSY when the line is held and not shared by all (told in the log).
 */
export function requestIrq(k: Kernel, irq: number, handler: string, flags: number, name: string, devId: number): number {
  const line = lineOf(k, irq);
  if (((flags & IRQF_SHARED) !== 0 && devId === 0) || line === undefined) return -EINVAL;
  must(irqHandlers, handler);
  const old = line.actions[0];
  if (old !== undefined) {
    const both = old.flags & flags & IRQF_SHARED;
    if (both === 0 || ((old.flags ^ flags) & (IRQF_TRIGGER_MASK | IRQF_ONESHOT)) !== 0) {
      printk(k, ERR, `genirq: Flags mismatch irq ${irq}. ${hex(flags)} (${name}) vs. ${hex(old.flags)} (${old.name})`);
      dumpStack(k, ["__setup_irq.cold+0x4f/0xa9", "request_threaded_irq+0x10b/0x180", ...callerTrace(k)]);
      return -EBUSY;
    }
  }
  line.actions.push({ handler, flags, name, devId });
  return 0;
}

/** Takes a handler off its line; one that is not there is warned of. */
export function freeIrq(k: Kernel, irq: number, devId: number): void {
  const line = lineOf(k, irq);
  const at = line?.actions.findIndex((action) => action.devId === devId) ?? -1;
  if (line !== undefined && at >= 0) {
    line.actions.splice(at, 1);
    return;
  }
  warn(k, `Trying to free already-free IRQ ${irq}`, { file: "kernel/irq/manage.c", line: 1893, symbol: "free_irq+0x1f8/0x370" }, callerTrace(k));
}

/** Keeps a line from its handlers until it is enabled as often (disable_irq; nothing runs that it would have to wait for). */
export function disableIrq(k: Kernel, irq: number): void {
  ownLine(k, irq).depth++;
}

/** Lets a line through again; what was raised meanwhile comes now. */
export function enableIrq(k: Kernel, irq: number): void {
  const line = ownLine(k, irq);
  if (line.depth === 0) {
    warn(k, `Unbalanced enable for IRQ ${irq}`, { file: "kernel/irq/manage.c", line: 774, symbol: "__enable_irq+0x4c/0x80" }, callerTrace(k));
    return;
  }
  line.depth--;
  if (line.depth > 0 || !line.pending) return;
  line.pending = false;
  generateIrq(k, irq);
}

/**
 * A device raises its line: the handlers run now on `cpu`, then the softirqs that they raise. A disabled line keeps it for
 * later; a CPU that has interrupts off leaves it to the next that takes some.
 */
export function generateIrq(k: Kernel, irq: number, cpu = k.turn.cpu): void {
  const line = ownLine(k, irq);
  if (line.depth > 0) {
    line.pending = true;
    return;
  }
  if (cpu === k.turn.cpu ? irqsDisabled(k) : hasIrqsOff(k, cpu)) {
    armTimer(k, { expiresNs: now(k), callback: "irq.again", arg: irq });
    return;
  }
  const { turn } = k;
  const { current, task, account, preemptCount } = turn;
  const interrupted = { cpu: turn.cpu, current, task, account, preemptCount };
  if (cpu === turn.cpu) {
    turn.current = 0;
    turn.task = null;
    irqEnter(k);
    handleIrq(k, line);
    irqExit(k);
  } else {
    turn.preemptCount = 0; // what runs here does not hold up another CPU
    interrupt(k, k.state.sched.cpus[cpu], now(k), () => handleIrq(k, line));
  }
  Object.assign(turn, interrupted);
}

function hasIrqsOff(k: Kernel, cpu: number): boolean {
  const task = k.state.sched.tasks.get(k.state.sched.cpus[cpu].curr);
  return task !== undefined && taskIrqsDisabled(task);
}

/** handle_irq_event() */
function handleIrq(k: Kernel, line: IrqLine): void {
  line.counts[k.turn.cpu]++;
  let handled = IRQ_NONE;
  for (const { handler, devId } of [...line.actions]) handled |= must(irqHandlers, handler)(k, line.irq, devId);
  if (handled === IRQ_NONE) nobodyCared(k, line);
  if (++line.seen >= 100_000) line.seen = line.unhandled = 0;
}

timerCallback("irq.again", (k, irq) => generateIrq(k, irq));

/** A line that nearly nobody claims is shut (note_interrupt). */
function nobodyCared(k: Kernel, line: IrqLine): void {
  if (++line.unhandled <= 99_900) return;
  printk(k, ERR, `irq ${line.irq}: nobody cared (try booting with the "irqpoll" option)`);
  dumpStack(k, ["__report_bad_irq+0x35/0xad", "note_interrupt.cold+0xb/0x62", "handle_irq_event+0x75/0x80"]);
  printk(k, ERR, "handlers:");
  for (const { handler } of line.actions) printk(k, ERR, `[<0000000000000000>] ${handler.slice(handler.lastIndexOf(".") + 1)}`);
  printk(k, 0, `Disabling IRQ #${line.irq}`);
  line.depth = 1;
  line.unhandled = 0;
}
