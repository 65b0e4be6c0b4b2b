/** The law of time: events in the order (time, CPU, sequence) until nothing may run or the budget is spent. */
import type { Kernel } from "../kernel.ts";
import { fireNext, firstTimer, heapNs } from "../time/timer.ts";
import { wheelCpu, wheelNs, wheelTicked } from "../time/timer_list.ts";
import { NEVER } from "../time/wheel.ts";
import { balanceTick, pullTask } from "./balance.ts";
import { advanceCpu, allowedUntil, inBurst, pushLimit } from "./burst.ts";
import { charge, costs } from "./cost.ts";
import { isFair, nextFree, tickPreempts } from "./fair.ts";
import { permitted } from "./placement.ts";
import { taskIrqsDisabled } from "./preempt.ts";
import { chargeSwitch, currOf, enqueue, leaveCpu, nextTickNs, pickNext, putPrev, reschedule, rtTick, takeArrivals, waiting } from "./run_queue.ts";
import { finishBurst, interruptBurst, runStep, takesSignals } from "./steps.ts";
import type { Cpu } from "./state.ts";
import type { Task } from "./task.ts";
import { wake } from "./wait_queue.ts";

const TIMER_SOFTIRQ = 1;
/** Interrupts may use up half a CPU; for so long, ns, they may come as they like. A timer that arms itself at once cannot stop all else. */
const IRQ_LOAD_NS = 200_000;

/** Whether somebody who waits for the CPU may run. */
function hasFree(k: Kernel, cpu: Cpu): boolean {
  if (!waiting(cpu)) return false;
  if (k.state.time.limitNs > cpu.clockNs && k.state.time.limitNs > k.state.time.nowNs) return true;
  return nextFree(k, cpu, cpu.rt, 0) >= 0 || nextFree(k, cpu, cpu.fair, 0) >= 0;
}

/** When something happens next on a CPU by itself, ns: a step, the end of a burst, a tick that others wait for, an arrival; NEVER for nothing. */
function eventNs(k: Kernel, cpu: Cpu): number {
  const { clockNs, arrivalNs } = cpu;
  if (cpu.curr === 0) {
    return hasFree(k, cpu) ? Math.min(arrivalNs, Math.max(clockNs, k.state.time.nowNs)) : arrivalNs;
  }
  const { nowNs, limitNs } = k.state.time;
  const task = currOf(k, cpu) as Task;
  // One that stood still at the limit goes on from now, not from where it stopped.
  const fromNs = clockNs > nowNs ? clockNs : nowNs;
  const burst = inBurst(task);
  // The limit holds nobody back before it.
  if (!burst && fromNs < limitNs) return arrivalNs < fromNs ? arrivalNs : fromNs;
  const allowed = allowedUntil(k, task);
  if (burst ? cpu.held : fromNs >= allowed) {
    return fromNs < allowed || hasFree(k, cpu) ? Math.min(arrivalNs, fromNs) : arrivalNs;
  }
  if (!burst) return Math.min(arrivalNs, fromNs);
  if (takesSignals(task)) return Math.min(arrivalNs, fromNs);
  let at = Math.min(arrivalNs, clockNs + task.se.burstNs, Math.max(allowed, clockNs));
  if (waiting(cpu)) at = Math.min(at, Math.max(cpu.tickNs, clockNs));
  // Who may not be preempted goes on: whom it was to make way for may be elsewhere by now.
  if (cpu.reschedNs !== NEVER && task.preemptCount === 0) at = Math.min(at, Math.max(cpu.reschedNs, clockNs));
  return at;
}

/** A CPU whose interrupts are on, the timer's own first; null while all of them are off. */
function interruptible(k: Kernel, id: number): Cpu | null {
  const { cpus } = k.state.sched;
  for (let step = 0; step < cpus.length; step++) {
    const cpu = cpus[(id + step) % cpus.length];
    const task = currOf(k, cpu);
    if (task === null || task.preemptCount === 0 || !taskIrqsDisabled(task)) return cpu;
  }
  return null;
}

/**
 * Runs what is due until `untilNs` at most (Infinity: until nothing may run), at most `k.turn.budget` events.
 * A timer fires at its own time, before whatever else happens at it; one later than the last work of a task waits for the clock.
 * Answers whether work is left that only the budget kept from running.
 */
export function runUntil(k: Kernel, untilNs: number): boolean {
  const { time, sched } = k.state;
  const { cpus } = sched;
  for (;;) {
    let cpu = cpus[0];
    let atNs = NEVER;
    for (let id = 0; id < cpus.length; id++) {
      const one = cpus[id];
      const oneNs = one.curr === 0 && !waiting(one) ? one.arrivalNs : eventNs(k, one);
      if (oneNs < atNs) {
        atNs = oneNs;
        cpu = one;
      }
    }
    const idle = atNs === NEVER;
    // Once all is quiet, the clock stands where the last work ended.
    if (idle && untilNs === Infinity && time.nowNs < time.doneNs) time.nowNs = time.doneNs;
    const timerNs = Math.min(heapNs(k), wheelNs(k));
    const horizonNs = untilNs === Infinity ? (idle ? time.nowNs : atNs) : Math.min(untilNs, atNs);
    if (timerNs <= horizonNs) {
      const exact = heapNs(k) <= timerNs;
      const target = interruptible(k, exact ? firstTimer(k).cpu : wheelCpu(k));
      const fireNs = target === null ? NEVER : Math.max(timerNs, time.nowNs, target.irqLoadNs - IRQ_LOAD_NS);
      if (target !== null && fireNs <= horizonNs) {
        if (k.turn.budget-- <= 0) return true;
        if (time.nowNs < fireNs) time.nowNs = fireNs;
        k.state.irq.cpus[target.id].timerInterrupts++;
        interrupt(k, target, fireNs, exact ? fireDue : tickWheel);
        continue;
      }
    }
    if (idle || atNs > untilNs) return false;
    if (k.turn.budget-- <= 0) return true;
    if (time.nowNs < atNs) time.nowNs = atNs;
    runCpu(k, cpu, atNs);
  }
}

/** Fires all timers of the CPU that are due, as one interrupt (hrtimer_interrupt). */
function fireDue(k: Kernel): void {
  const { nowNs } = k.state.time;
  const { cpu } = firstTimer(k);
  do fireNext(k);
  while (heapNs(k) <= nowNs && firstTimer(k).cpu === cpu);
}

/** The tick of the CPU that runs finds its wheel due. */
function tickWheel(k: Kernel): void {
  wheelTicked(k);
  k.tables.hooks.raiseSoftirq(k, TIMER_SOFTIRQ);
}

/**
 * An interrupt comes in on a CPU at its own time, and softirqs as it ends. A step that is longer has been taken as a whole before; the
 * work that was interrupted ends so much later.
 */
export function interrupt(k: Kernel, cpu: Cpu, atNs: number, handler: (k: Kernel) => void): void {
  advanceCpu(k, cpu, atNs);
  const resumeNs = cpu.clockNs;
  cpu.clockNs = atNs;
  const { turn } = k;
  turn.cpu = cpu.id;
  turn.current = 0;
  turn.task = null;
  turn.account = "irq";
  k.tables.hooks.irqEnter(k);
  handler(k);
  charge(k, costs(k).interruptNs);
  tellLogReaders(k);
  k.tables.hooks.irqExit(k);
  cpu.irqLoadNs = Math.max(cpu.irqLoadNs, atNs) + 2 * (cpu.clockNs - atNs);
  cpu.clockNs += resumeNs - atNs;
}

/** Wakes who sleeps on /dev/kmsg once something was printed. */
export function tellLogReaders(k: Kernel): void {
  if (!k.turn.logged) return;
  k.turn.logged = false;
  wake(k, k.state.log.wait, { nr: Infinity });
}

/** What happens on a CPU at `atNs`: arrivals, a tick, a switch, a step. */
function runCpu(k: Kernel, cpu: Cpu, atNs: number): void {
  const { turn } = k;
  turn.cpu = cpu.id;
  turn.account = "task";
  advanceCpu(k, cpu, atNs);
  if (cpu.arrivalNs <= atNs) takeArrivals(k, cpu, atNs);
  // A step that was taken before ends later than this.
  if (cpu.clockNs > atNs) return;
  let task = currOf(k, cpu);
  if (task !== null) task = goOn(k, cpu, task);
  if (task === null) {
    task = pickNext(k, cpu) ?? (pullTask(k, cpu) ? pickNext(k, cpu) : null);
    if (task === null) return;
    turn.current = task.tid;
    turn.task = task;
    chargeSwitch(k, cpu, task);
  }
  turn.current = task.tid;
  turn.task = task;
  if (inBurst(task)) {
    cpu.held = cpu.clockNs >= allowedUntil(k, task);
  } else if (cpu.clockNs < k.state.time.limitNs || cpu.clockNs < allowedUntil(k, task)) {
    runStep(k, task);
    tellLogReaders(k);
    pushLimit(k, task, cpu.clockNs - atNs, cpu.clockNs);
  }
  turn.current = 0;
  turn.task = null;
  if (k.state.time.doneNs < cpu.clockNs) k.state.time.doneNs = cpu.clockNs;
  if (cpu.curr === task.tid) leaveOrStay(k, cpu, task);
}

/** The task that has the CPU: its burst may end, others may push it aside. Null when the CPU is free afterwards. */
function goOn(k: Kernel, cpu: Cpu, task: Task): Task | null {
  const { turn } = k;
  if (waiting(cpu) && cpu.tickNs <= cpu.clockNs) tick(k, cpu, task);
  turn.current = task.tid;
  turn.task = task;
  if (task.se.burstCode !== "" && task.se.burstNs === 0) finishBurst(k, task);
  else if (inBurst(task) && takesSignals(task)) interruptBurst(task);
  turn.current = 0;
  turn.task = null;
  if (cpu.curr !== task.tid || !leaveOrStay(k, cpu, task)) return null;
  const aside = cpu.reschedNs <= cpu.clockNs && task.preemptCount === 0;
  const stands = cpu.clockNs >= k.state.time.limitNs && cpu.clockNs >= allowedUntil(k, task) && hasFree(k, cpu);
  if (!aside && !stands) return task;
  return switchFrom(k, cpu, task);
}

/** The CPU's task goes back to the queue for whoever has the best claim, which may be itself. */
function switchFrom(k: Kernel, cpu: Cpu, task: Task): Task | null {
  const { pickedNs, runs } = task.se;
  putPrev(k, cpu, task);
  const next = pickNext(k, cpu);
  if (next === null) return null;
  if (next === task) {
    task.se.pickedNs = pickedNs;
    task.se.runs = runs;
    cpu.runs--;
    return task;
  }
  task.involuntarySwitches++;
  k.turn.current = next.tid;
  k.turn.task = next;
  chargeSwitch(k, cpu, next);
  return next;
}

/** A task that has slept, ended or may no longer be here leaves its CPU; whether it stays. */
function leaveOrStay(k: Kernel, cpu: Cpu, task: Task): boolean {
  if (task.state === "runnable") {
    if (permitted(task, cpu)) return true;
    leaveCpu(k, cpu, task);
    enqueue(k, task);
    return false;
  }
  leaveCpu(k, cpu, task);
  return false;
}

/** The tick, on a CPU where others wait: the running task may have had its share, and other CPUs may have less to do. */
function tick(k: Kernel, cpu: Cpu, curr: Task): void {
  cpu.tickNs = nextTickNs(k, cpu.clockNs);
  const over = isFair(curr) ? tickPreempts(k, cpu, curr) : rtTick(k, cpu, curr);
  if (over) reschedule(cpu, cpu.clockNs);
  balanceTick(k, cpu);
}
