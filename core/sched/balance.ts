/** Load balancing: CPUs with little to do take over from those where many wait (kernel/sched/fair.c). */
import type { Kernel } from "../kernel.ts";
import { mayRun } from "./burst.ts";
import { weightOf } from "./fair.ts";
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

/** So often, ns, a CPU gives of its load to one that is not idle: 32 ticks of a busy domain of a few CPUs, 2 ms each. */
const BALANCE_NS = 64_000_000;

/**
 * At a tick with others waiting (trigger_load_balance): idle CPUs are given work at once; now and then, one with less load than this one gets
 * a task that is no heavier than the difference. Three equal tasks on two CPUs so change places, and each has two thirds of one.
 */
export function balanceTick(k: Kernel, cpu: Cpu): void {
  const { cpus } = k.state.sched;
  const due = cpu.clockNs >= cpu.balanceNs;
  for (let step = 1; step < cpus.length; step++) {
    const other = cpus[(cpu.id + step) % cpus.length];
    const task = isIdle(other) ? movable(k, cpu, other) : due ? lighter(k, cpu, other) : null;
    if (task === null) continue;
    migrate(k, task, other);
    // Neither gives back what it has just been given.
    cpu.balanceNs = other.balanceNs = cpu.clockNs + BALANCE_NS;
  }
}

/** One that waits on `from` and weighs at most what `from` has more than `to`; of several, the one that was moved longest ago. */
function lighter(k: Kernel, from: Cpu, to: Cpu): Task | null {
  const difference = from.load - to.load;
  let found: Task | null = null;
  for (const tid of from.fair) {
    const task = taskOf(k, tid);
    if (weightOf(task) > difference || !permitted(task, to) || !mayRun(k, to, task)) continue;
    if (found === null || task.se.movedNs < found.se.movedNs) found = task;
  }
  return found;
}
