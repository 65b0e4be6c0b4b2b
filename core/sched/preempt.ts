/** The preemption counter: why the running code may not sleep, and what is said when it does (include/linux/preempt.h). */
import type { Kernel } from "../kernel.ts";
import { printHeldLocks } from "./lockdep_held.ts";
import { dumpStack } from "./dump_stack.ts";
import { printk } from "./printk.ts";
import { stackOf } from "./stack_trace.ts";
import { addTaint, modulesLinkedIn, TAINT_WARN } from "./taint.ts";
import type { Task } from "./task.ts";

/** Nesting depths in one number: preempt_disable and spinlocks, softirqs (and local_bh_disable, twice the offset), hard interrupts. */
export const PREEMPT_MASK = 0xff;
export const SOFTIRQ_MASK = 0xff00;
export const HARDIRQ_MASK = 0xf0000;
export const SOFTIRQ_OFFSET = 0x100;
export const SOFTIRQ_DISABLE_OFFSET = 0x200;
export const HARDIRQ_OFFSET = 0x10000;
/** Interrupts are off: a bit above Linux's own, where the processor's flag has no other home. */
const IRQS_OFF = 0x1000000;

const ERR = 3;

/**
 * Where the count of the running code lives: in its task, which keeps it from step to step; of a timer, an interrupt or a
 * softirq, which ends within its event, in the turn.
 */
function owner(k: Kernel): { preemptCount: number } {
  return k.state.sched.tasks.get(k.turn.current) ?? k.turn;
}

/** The counter as Linux has it: 0 where the code may sleep. */
export const preemptCount = (k: Kernel): number => owner(k).preemptCount & ~IRQS_OFF;

/** Of a task that need not be the running one. */
export const taskPreemptCount = (task: Task): number => task.preemptCount & ~IRQS_OFF;

/** Of a task that need not be the running one: its CPU takes no interrupts between its steps. */
export const taskIrqsDisabled = (task: Task): boolean => (task.preemptCount & IRQS_OFF) !== 0;

export function preemptCountAdd(k: Kernel, offset: number): void {
  owner(k).preemptCount += offset;
}

/** An enable too many is left out, as DEBUG_PREEMPT does: the count never goes below 0. */
export function preemptCountSub(k: Kernel, offset: number): void {
  const at = owner(k);
  if ((at.preemptCount & ~IRQS_OFF) >= offset) at.preemptCount -= offset;
}

export const preemptDisable = (k: Kernel): void => preemptCountAdd(k, 1);
export const preemptEnable = (k: Kernel): void => preemptCountSub(k, 1);

/** Serving a hard interrupt. */
export const inHardirq = (k: Kernel): boolean => (preemptCount(k) & HARDIRQ_MASK) !== 0;
/** Serving a softirq, or with softirqs disabled (in_softirq). */
export const inSoftirq = (k: Kernel): boolean => (preemptCount(k) & SOFTIRQ_MASK) !== 0;
export const inServingSoftirq = (k: Kernel): boolean => (preemptCount(k) & SOFTIRQ_OFFSET) !== 0;
export const inInterrupt = (k: Kernel): boolean => (preemptCount(k) & (HARDIRQ_MASK | SOFTIRQ_MASK)) !== 0;
/** In a task's own context; disabled softirqs do not count (in_task). */
export const inTask = (k: Kernel): boolean => (preemptCount(k) & (HARDIRQ_MASK | SOFTIRQ_OFFSET)) === 0;
export const inAtomic = (k: Kernel): boolean => preemptCount(k) !== 0;
export const irqsDisabled = (k: Kernel): boolean => (owner(k).preemptCount & IRQS_OFF) !== 0;

export function localIrqDisable(k: Kernel): void {
  owner(k).preemptCount |= IRQS_OFF;
}

export function localIrqEnable(k: Kernel): void {
  owner(k).preemptCount &= ~IRQS_OFF;
}

/** Turns interrupts off; answers whether they were off before, for localIrqRestore. */
export function localIrqSave(k: Kernel): boolean {
  const flags = irqsDisabled(k);
  localIrqDisable(k);
  return flags;
}

export function localIrqRestore(k: Kernel, flags: boolean): void {
  if (flags) localIrqDisable(k);
  else localIrqEnable(k);
}

export const localBhDisable = (k: Kernel): void => preemptCountAdd(k, SOFTIRQ_DISABLE_OFFSET);

/** Lets softirqs run again; what was raised meanwhile runs at once (local_bh_enable). */
export function localBhEnable(k: Kernel): void {
  preemptCountSub(k, SOFTIRQ_DISABLE_OFFSET);
  if (!inInterrupt(k)) k.tables.hooks.doSoftirq(k);
}

/** Reports of might_sleep come once a second at most, of schedule each time. */
const REPORT_NS = 1_000_000_000;

/** might_sleep(): says so when the code may not sleep, though it might not need to. `where` is the source line, as "kernel/locking/mutex.c:580". */
export function mightSleep(k: Kernel, where: string): void {
  const count = preemptCount(k);
  const { lockdep } = k.state.sched;
  const rcuDepth = lockdep.rcuDepth.get(k.turn.current) ?? 0;
  if (count === 0 && !irqsDisabled(k) && rcuDepth === 0) return;
  const nowNs = k.state.sched.cpus[k.turn.cpu].clockNs;
  if (lockdep.mightSleepNs >= 0 && nowNs < lockdep.mightSleepNs + REPORT_NS) return;
  lockdep.mightSleepNs = nowNs;
  const task = k.state.sched.tasks.get(k.turn.current);
  printk(k, ERR, `BUG: sleeping function called from invalid context at ${where}`);
  printk(k, ERR, `in_atomic(): ${Number(count !== 0)}, irqs_disabled(): ${Number(irqsDisabled(k))}, non_block: 0, pid: ${task?.tid ?? 0}, name: ${task?.comm ?? `swapper/${k.turn.cpu}`}`);
  printk(k, ERR, `preempt_count: ${count.toString(16)}, expected: 0`);
  printk(k, ERR, `RCU nest depth: ${rcuDepth}, expected: 0`);
  printHeldLocks(k, task ?? null);
  dumpStack(k, ["__might_resched.cold+0xfa/0x135", ...stackOf(k, task ?? null)]);
  addTaint(k, TAINT_WARN);
}

/** A task goes to sleep with its count above 0: the kernel says so, and schedules all the same, from a clean count (__schedule_bug). */
export function scheduleBug(k: Kernel, task: Task): void {
  const count = (taskPreemptCount(task) + 1).toString(16).padStart(8, "0"); // schedule() itself has disabled preemption once
  printk(k, ERR, `BUG: scheduling while atomic: ${task.comm}/${task.tid}/0x${count}`);
  printHeldLocks(k, task);
  printk(k, 4, modulesLinkedIn(k));
  dumpStack(k, ["__schedule_bug.cold+0x47/0x5b", "__schedule+0xe2a/0x1050", "schedule+0x5d/0xe0", ...stackOf(k, task)]);
  addTaint(k, TAINT_WARN);
  task.preemptCount = 0;
}
