/** Bursts of computing: a task holds its CPU for a time, in which it may be interrupted, preempted and held back. */
import type { Kernel } from "../kernel.ts";
import { charge, chargeBurst } from "./cost.ts";
import type { Cpu } from "./state.ts";
import type { Task } from "./task.ts";
import { now } from "../time/clock.ts";
import { LEAD_NS } from "../time/state.ts";
import { NEVER } from "../time/wheel.ts";

/** The programs of a command count as driven for this long, ns. */
const PROGRAM_GRACE_NS = 1_000_000_000;

/** What forbids preemption may run so far past the limit, for others may spin until it is done; but not without end, ns. */
const ATOMIC_GRACE_NS = 1_000_000_000;

/** Kernel time up to which a task may run: work that somebody drives is never held back; autonomous work stops at the limit. */
export function allowedUntil(k: Kernel, task: Task): number {
  if (task.kind === "driven") return NEVER;
  const { limitNs } = k.state.time;
  if (task.preemptCount !== 0) return limitNs + ATOMIC_GRACE_NS;
  if (task.kind === "kthread") return limitNs;
  return takesSignal(task) ? NEVER : Math.max(limitNs, task.graceNs + PROGRAM_GRACE_NS);
}

/** Whether what the task does at `atNs` counts as driven: somebody waits for it. */
export function countsAsDriven({ kind, graceNs }: Task, atNs: number): boolean {
  return kind === "driven" || (kind === "program" && atNs < graceNs + PROGRAM_GRACE_NS);
}

/** Whoever sent a signal to a program waits for what it does: it stops, or ends. */
function takesSignal({ frames, signalPending, exiting }: Task): boolean {
  if (exiting) return true;
  const code = frames.length === 0 ? "" : frames[frames.length - 1].code;
  return code === "exit" || code === "signals" || (signalPending && !frames.some((frame) => frame.code === "syscall"));
}

/**
 * Work that counts as driven has cost `ns` and ends at `endNs`: autonomous work may go on for as long, or to its lead ahead of that
 * when several such work side by side.
 */
export function pushLimit(k: Kernel, task: Task, ns: number, endNs: number): void {
  const { time } = k.state;
  if (task.kind === "kthread" || time.limitNs >= endNs + LEAD_NS) return;
  const counted = task.kind === "driven" ? ns : Math.min(ns, task.graceNs + PROGRAM_GRACE_NS - (endNs - ns));
  if (counted > 0) time.limitNs = Math.min(time.limitNs + counted, endNs + LEAD_NS);
}

/** Whether the limit lets a task run on a CPU now. */
export function mayRun(k: Kernel, cpu: Cpu, task: Task): boolean {
  return allowedUntil(k, task) > Math.max(cpu.clockNs, k.state.time.nowNs);
}

/** The innermost frame of the task computes. */
export function inBurst({ se, frames }: Task): boolean {
  return se.burstNs > 0 && se.burstFrame === frames.length - 1 && frames[se.burstFrame].code === se.burstCode;
}

/** Begins a burst of the innermost frame; false when it is over at once. */
export function beginBurst(k: Kernel, task: Task, ns: number): boolean {
  const whole = Math.floor(ns);
  if (whole <= 0) return false;
  const { se, frames } = task;
  pushLimit(k, task, whole, now(k) + whole);
  if (se.burstNs > 0 && se.burstFrame < frames.length - 1 && frames[se.burstFrame]?.code === se.burstCode) {
    // A frame below computes and was interrupted for this one: only one burst is kept.
    charge(k, whole);
    return false;
  }
  se.burstNs = whole;
  se.burstFrame = frames.length - 1;
  se.burstCode = frames[se.burstFrame].code;
  return true;
}

/** Lets time pass on a CPU up to `atNs`: the burst of its task goes on as far as it may, and for the rest the CPU idles. */
export function advanceCpu(k: Kernel, cpu: Cpu, atNs: number): void {
  const gap = atNs - cpu.clockNs;
  if (gap <= 0) return;
  let worked = 0;
  if (cpu.curr !== 0 && !cpu.held) {
    const task = k.state.sched.tasks.get(cpu.curr);
    if (task !== undefined && inBurst(task)) {
      worked = Math.max(0, Math.min(gap, task.se.burstNs, allowedUntil(k, task) - cpu.clockNs));
      task.se.burstNs -= worked;
      chargeBurst(cpu, task, worked);
      if (k.state.time.doneNs < cpu.clockNs + worked) k.state.time.doneNs = cpu.clockNs + worked;
    }
  }
  if (cpu.ioWaiters > 0) cpu.iowaitNs += gap - worked;
  else cpu.idleNs += gap - worked;
  cpu.clockNs = atNs;
}
