/** Run queues: which task may run on which CPU, and from when. */
import type { Kernel } from "../kernel.ts";
import type { Task } from "./task.ts";
import { now } from "../time/clock.ts";

/** Lets a task run from now on: on its CPU, or on a permitted one with less to do. */
export function enqueue(k: Kernel, task: Task): void {
  task.state = "runnable";
  task.readyNs = now(k);
  const { cpus } = k.state.sched;
  let best = cpus[task.cpu];
  if (best.queue.length > 0 || (task.affinity >> best.id & 1) === 0) {
    for (const cpu of cpus) {
      if ((task.affinity >> cpu.id & 1) === 0) continue;
      if ((task.affinity >> best.id & 1) === 0 || cpu.queue.length < best.queue.length) best = cpu;
    }
  }
  task.cpu = best.id;
  best.queue.push(task.tid);
}

/** Takes a task off its run queue, wherever it stands. */
export function dequeue(k: Kernel, task: Task): void {
  const { queue } = k.state.sched.cpus[task.cpu];
  const at = queue.indexOf(task.tid);
  if (at >= 0) queue.splice(at, 1);
}

/** Puts a running task behind the others of its CPU. */
export function requeueLast(k: Kernel, task: Task): void {
  const { queue } = k.state.sched.cpus[task.cpu];
  const at = queue.indexOf(task.tid);
  if (at >= 0 && at < queue.length - 1) {
    queue.splice(at, 1);
    queue.push(task.tid);
  }
}
