/** Softirqs: ten bottom halves a CPU, run as interrupts end, and by ksoftirqd when they are too many (kernel/softirq.c). */
import { assert } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { charge } from "../sched/cost.ts";
import {
  HARDIRQ_MASK, HARDIRQ_OFFSET, inInterrupt, localIrqDisable, localIrqEnable, localIrqRestore, localIrqSave, preemptCountAdd, preemptCountSub,
  SOFTIRQ_MASK, SOFTIRQ_OFFSET, taskPreemptCount,
} from "../sched/preempt.ts";
import { enqueue } from "../sched/run_queue.ts";
import { pushFrame, steps, to } from "../sched/steps.ts";
import { ticks } from "../time/clock.ts";
import { HI_SOFTIRQ, TASKLET_SOFTIRQ, type IrqCpu } from "./state.ts";

/** How often a run begins again with what came meanwhile, and for how long, before ksoftirqd takes over. */
const MAX_SOFTIRQ_RESTART = 10;
const MAX_SOFTIRQ_TIME_MS = 2;
/** One action, its entry and its exit: a fifth of a microsecond on such machines. */
const ACTION_NS = 200;
/** HI and TASKLET are run at once even while ksoftirqd has the others. */
const SOFTIRQ_NOW_MASK = 1 << HI_SOFTIRQ | 1 << TASKLET_SOFTIRQ;

const actions: ((k: Kernel) => void)[] = [];

/** Gives softirq `nr` its action; it may not sleep (open_softirq). */
export function openSoftirq(nr: number, action: (k: Kernel) => void): void {
  assert(actions[nr] === undefined, `two actions of softirq ${nr}`);
  actions[nr] = action;
}

function here(k: Kernel): IrqCpu {
  return k.state.irq.cpus[k.turn.cpu];
}

/** Marks a softirq pending on the running CPU: it runs as the interrupt ends, or in ksoftirqd when there is none. */
export function raiseSoftirq(k: Kernel, nr: number): void {
  here(k).pending |= 1 << nr;
  if (!inInterrupt(k)) wakeKsoftirqd(k, k.turn.cpu);
}

/** The same, on a CPU that may be another: ksoftirqd runs it there. */
export function raiseSoftirqOn(k: Kernel, cpu: number, nr: number): void {
  if (cpu === k.turn.cpu) return raiseSoftirq(k, nr);
  k.state.irq.cpus[cpu].pending |= 1 << nr;
  wakeKsoftirqd(k, cpu);
}

/** An interrupt begins on the running CPU (irq_enter); `k.turn.current` is 0. */
export function irqEnter(k: Kernel): void {
  preemptCountAdd(k, HARDIRQ_OFFSET);
  localIrqDisable(k);
  k.turn.account = "irq";
}

/** The interrupt ends: what is pending runs, unless the interrupted code holds softirqs off (irq_exit). */
export function irqExit(k: Kernel): void {
  preemptCountSub(k, HARDIRQ_OFFSET);
  if (!inInterrupt(k)) {
    localIrqEnable(k);
    if (here(k).pending !== 0 && !interruptedHoldsOff(k) && !leftToKsoftirqd(k)) runSoftirqs(k);
  }
}

/** Whether the task that runs on this CPU, and was interrupted, has disabled softirqs. */
function interruptedHoldsOff(k: Kernel): boolean {
  const task = k.state.sched.tasks.get(k.state.sched.cpus[k.turn.cpu].curr);
  return task !== undefined && (taskPreemptCount(task) & (SOFTIRQ_MASK | HARDIRQ_MASK)) !== 0;
}

function leftToKsoftirqd(k: Kernel): boolean {
  const { pending, ksoftirqd } = here(k);
  return (pending & SOFTIRQ_NOW_MASK) === 0 && k.state.sched.tasks.get(ksoftirqd)?.state === "runnable";
}

/** Runs what is pending on the running CPU; nothing inside an interrupt or with softirqs disabled (do_softirq). */
export function doSoftirq(k: Kernel): void {
  if (here(k).pending !== 0 && !inInterrupt(k)) runSoftirqs(k);
}

function runSoftirqs(k: Kernel): void {
  const cpu = here(k);
  const endTick = ticks(k) + Math.ceil(MAX_SOFTIRQ_TIME_MS * k.state.machine.hz / 1000);
  const flags = localIrqSave(k);
  const { account } = k.turn;
  // As Linux accounts: what ksoftirqd does is its own time.
  if (k.turn.current === 0 || k.turn.current !== cpu.ksoftirqd) k.turn.account = "softirq";
  preemptCountAdd(k, SOFTIRQ_OFFSET);
  for (let restarts = MAX_SOFTIRQ_RESTART; cpu.pending !== 0; ) {
    const { pending } = cpu;
    cpu.pending = 0;
    localIrqEnable(k);
    for (let nr = 0; nr < cpu.softirqs.length; nr++) {
      if ((pending >> nr & 1) === 0) continue;
      cpu.softirqs[nr]++;
      charge(k, ACTION_NS);
      actions[nr]?.(k);
    }
    localIrqDisable(k);
    if (cpu.pending === 0) break;
    if (ticks(k) >= endTick || --restarts === 0) {
      wakeKsoftirqd(k, k.turn.cpu);
      break;
    }
  }
  preemptCountSub(k, SOFTIRQ_OFFSET);
  localIrqRestore(k, flags);
  k.turn.account = account;
}

/** Lets ksoftirqd of a CPU run; it sleeps without frames. */
function wakeKsoftirqd(k: Kernel, cpu: number): void {
  const task = k.state.sched.tasks.get(k.state.irq.cpus[cpu].ksoftirqd);
  if (task === undefined || task.frames.length > 0) return;
  pushFrame(task, "ksoftirqd", {});
  enqueue(k, task);
}

/** One run a step, so that others get the CPU in between (run_ksoftirqd). */
steps<object>("ksoftirqd", {
  look: (k) => (here(k).pending === 0 ? 0 : to("run")),
  run: (k) => {
    doSoftirq(k);
    return to("look");
  },
});

/** Gives a CPU its ksoftirqd, a thread that sleeps there. */
export function setKsoftirqd(k: Kernel, cpu: number, tid: number): void {
  k.state.irq.cpus[cpu].ksoftirqd = tid;
  const task = k.state.sched.tasks.get(tid);
  assert(task !== undefined, `no thread ${tid}`);
  task.affinity = 1 << cpu;
  task.cpu = cpu;
}
