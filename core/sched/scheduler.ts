/** The law of time: events in the order (time, CPU, sequence) until nothing may run or the budget is spent. */
import type { Kernel } from "../kernel.ts";
import { fireNext, nextExpiryNs } from "../time/timer.ts";
import { charge, costs } from "./cost.ts";
import { runStep } from "./steps.ts";
import type { Cpu } from "./state.ts";
import { taskOf, type Task } from "./task.ts";

/** A task keeps its CPU for this long while others wait for it, ns. */
const SLICE_NS = 3_000_000;

interface Candidate {
  cpu: Cpu;
  task: Task;
  atNs: number;
}

/** The programs of a command count as driven for this long, ns. */
const PROGRAM_GRACE_NS = 1_000_000_000;

/** Driven work is never held back; autonomous work stops at the limit. */
function held(k: Kernel, task: Task, atNs: number): boolean {
  if (task.kind === "driven" || atNs < k.state.time.limitNs) return false;
  return task.kind === "kthread" || atNs >= task.startNs + PROGRAM_GRACE_NS;
}

/** The task that may run first, and when; null when none may. */
function firstRunnable(k: Kernel): Candidate | null {
  let best: Candidate | null = null;
  for (const cpu of k.state.sched.cpus) {
    for (const tid of cpu.queue) {
      const task = taskOf(k, tid);
      const atNs = Math.max(cpu.clockNs, task.readyNs);
      if (held(k, task, atNs)) continue;
      if (best === null || atNs < best.atNs) best = { cpu, task, atNs };
      break;
    }
  }
  return best;
}

/**
 * Runs what is due until `untilNs` at most (Infinity: until nothing may run), at most `k.turn.budget` events.
 * A timer fires at its own time, before a task's step of the same time; one later than the last step waits for the clock.
 * Answers whether work is left that only the budget kept from running.
 */
export function runUntil(k: Kernel, untilNs: number): boolean {
  for (;;) {
    const candidate = firstRunnable(k);
    const timerNs = nextExpiryNs(k);
    const stepNs = candidate?.atNs ?? Infinity;
    const horizonNs = untilNs === Infinity ? (candidate === null ? k.state.time.nowNs : stepNs) : Math.min(untilNs, stepNs);
    if (timerNs <= horizonNs) {
      if (k.turn.budget-- <= 0) return true;
      fire(k, timerNs);
    } else if (candidate !== null && stepNs <= untilNs) {
      if (k.turn.budget-- <= 0) return true;
      runTask(k, candidate);
    } else {
      return false;
    }
  }
}

/** Fires the first timer at its own time on the first CPU, which it interrupts. */
function fire(k: Kernel, atNs: number): void {
  k.turn.cpu = 0;
  k.turn.current = 0;
  const cpu = k.state.sched.cpus[0];
  if (cpu.clockNs < atNs) cpu.clockNs = atNs;
  if (k.state.time.nowNs < atNs) k.state.time.nowNs = atNs;
  fireNext(k);
}

/** Runs one step of the candidate on its CPU. */
function runTask(k: Kernel, { cpu, task, atNs }: Candidate): void {
  k.turn.cpu = cpu.id;
  if (cpu.clockNs < atNs) cpu.clockNs = atNs;
  if (k.state.time.nowNs < atNs) k.state.time.nowNs = atNs;
  if (cpu.last !== task.tid) {
    k.turn.current = 0;
    if (cpu.last !== 0) charge(k, costs(k).contextSwitchNs);
    cpu.last = task.tid;
    cpu.contextSwitches++;
  }
  k.turn.current = task.tid;
  const beganNs = cpu.clockNs;
  runStep(k, task);
  const usedNs = cpu.clockNs - beganNs;
  if (task.kind === "driven") k.state.time.limitNs += usedNs;
  if (k.state.time.nowNs < cpu.clockNs) k.state.time.nowNs = cpu.clockNs;
  k.turn.current = 0;
  leaveCpu(cpu, task, atNs);
}

/** Takes a task that no longer runs off the queue, or lets the next one have its turn. */
function leaveCpu(cpu: Cpu, task: Task, atNs: number): void {
  const at = cpu.queue.indexOf(task.tid);
  if (at < 0) return;
  if (task.state !== "runnable" || task.cpu !== cpu.id) cpu.queue.splice(at, 1);
  else if (cpu.queue.length > 1 && cpu.clockNs - task.readyNs > SLICE_NS) {
    cpu.queue.splice(at, 1);
    cpu.queue.push(task.tid);
    task.readyNs = Math.max(cpu.clockNs, atNs);
    task.involuntarySwitches++;
  }
}
