/** Which CPU a task runs on: an idle one first, the one where it ran before else; and idle CPUs take work from busy ones. */
import type { Kernel } from "../kernel.ts";
import type { Cpu } from "./state.ts";
import type { Task } from "./task.ts";

/** The task may run on the CPU. */
export function permitted({ affinity }: Task, cpu: Cpu): boolean {
  return (affinity >> cpu.id & 1) === 1;
}

/** Nobody has the CPU, waits for it, or is on the way to it. */
export function isIdle(cpu: Cpu): boolean {
  return cpu.curr === 0 && cpu.fair.length === 0 && cpu.rt.length === 0 && cpu.arriving.length === 0;
}

/** Tasks that have the CPU or wait for it. */
export function nrRunning(cpu: Cpu): number {
  return (cpu.curr === 0 ? 0 : 1) + cpu.fair.length + cpu.rt.length + cpu.arriving.length;
}

/** For a real-time task: where whoever has the CPU has the least claim to it; its own CPU of several (find_lowest_rq). */
function lowestCpu(k: Kernel, task: Task): Cpu {
  const { cpus } = k.state.sched;
  let best = cpus[task.cpu];
  let least = permitted(task, best) ? claim(k, best) : Infinity;
  for (const cpu of cpus) {
    if (!permitted(task, cpu) || claim(k, cpu) >= least) continue;
    best = cpu;
    least = claim(k, cpu);
  }
  return best;
}

/** -1 of an idle CPU, 0 of one with a fair task, else the highest real-time priority there. */
function claim(k: Kernel, cpu: Cpu): number {
  if (isIdle(cpu)) return -1;
  const { tasks } = k.state.sched;
  return Math.max(0, ...[cpu.curr, ...cpu.rt.slice(0, 1), ...cpu.arriving].map((tid) => tasks.get(tid)?.rtPriority ?? 0));
}

/** The CPU for a task that becomes runnable (select_task_rq). */
export function selectCpu(k: Kernel, task: Task): Cpu {
  const { cpus } = k.state.sched;
  const previous = cpus[task.cpu];
  const home = permitted(task, previous);
  if (home && (cpus.length === 1 || isIdle(previous))) return previous;
  if (task.rtPriority > 0) return lowestCpu(k, task);
  let best: Cpu | null = home ? previous : null;
  for (let step = 1; step < cpus.length; step++) {
    const cpu = cpus[(task.cpu + step) % cpus.length];
    if (!permitted(task, cpu)) continue;
    if (isIdle(cpu)) return cpu;
    // Its caches are worth one more in the queue.
    if (best === null || nrRunning(cpu) + (best === previous ? 1 : 0) < nrRunning(best)) best = cpu;
  }
  return best ?? previous;
}
