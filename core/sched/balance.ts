/** Load balancing: CPUs with little to do take over from those where many wait (kernel/sched/fair.c). */
import type { Kernel } from "../kernel.ts";
import { mayRun } from "./burst.ts";
import { isIdle, nrRunning, permitted } from "./placement.ts";
import { migrate, waiting } from "./run_queue.ts";
import type { Cpu } from "./state.ts";
import { taskOf, type Task } from "./task.ts";

/** One that waits on `from` and may run on `to`, now: a real-time one first, of the others the one whose turn is last. */
function movable(k: Kernel, from: Cpu, to: Cpu): Task | null {
  for (const tid of from.rt) {
    const task = taskOf(k, tid);
    if (permitted(task, to) && mayRun(k, to, task)) return task;
  }
  for (let at = from.fair.length - 1; at >= 0; at--) {
    const task = taskOf(k, from.fair[at]);
    if (permitted(task, to) && mayRun(k, to, task)) return task;
  }
  return null;
}

/** A CPU that would idle takes a waiting task from the busiest one that has one to give; whether it found one (newidle_balance). */
export function pullTask(k: Kernel, cpu: Cpu): boolean {
  const { cpus } = k.state.sched;
  if (cpus.length === 1) return false;
  let most = 0;
  let found: Task | null = null;
  for (const from of cpus) {
    if (from === cpu || !waiting(from) || nrRunning(from) <= most) continue;
    const task = movable(k, from, cpu);
    if (task === null) continue;
    found = task;
    most = nrRunning(from);
  }
  if (found === null) return false;
  migrate(k, found, cpu);
  return true;
}

/** At a tick with others waiting: idle CPUs are given work, and one with two tasks less than this one gets one of them. */
export function balanceTick(k: Kernel, cpu: Cpu): void {
  const { cpus } = k.state.sched;
  for (let step = 1; step < cpus.length; step++) {
    const other = cpus[(cpu.id + step) % cpus.length];
    if (!isIdle(other) && nrRunning(other) + 2 > nrRunning(cpu)) continue;
    const task = movable(k, cpu, other);
    if (task !== null) migrate(k, task, other);
  }
}
