/** Work items that keep a CPU to themselves: after ten milliseconds others of the pool go on, and the log tells (kernel/workqueue.c, since 6.5). */
import type { Kernel } from "../kernel.ts";
import { printk } from "../sched/printk.ts";
import { taskOf, type Task } from "../sched/task.ts";
import { now } from "../time/clock.ts";
import { armTimer, timerCallback } from "../time/timer.ts";
import { needMoreWorker, poolOf, setFlags, wakeUpWorker, WORKER_CPU_INTENSIVE, WORKER_NOT_RUNNING, workerOf } from "./pool.ts";
import { symbolOf } from "./work.ts";
import type { Worker, WorkerPool } from "./workqueue_state.ts";

/** workqueue.cpu_intensive_thresh_us */
const THRESHOLD_US = 10_000;
const THRESHOLD_NS = THRESHOLD_US * 1000;
/** Functions that are told apart (WCI_MAX_ENTS), and how often one is found before the log tells. */
const FUNCTIONS_MAX = 128;
const TOLD_FROM = 4;
const WARNING = 4;

/** An item begins: a timer looks after the pool for as long as it works. */
export function watchHogs(k: Kernel, pool: WorkerPool): void {
  if (pool.hogTimer !== 0 || pool.cpu < 0) return;
  pool.hogTimer = armTimer(k, { expiresNs: now(k) + THRESHOLD_NS, callback: "wq_worker_tick", arg: pool.id });
}

timerCallback("wq_worker_tick", (k, id) => {
  const pool = poolOf(k, id);
  pool.hogTimer = 0;
  let leftNs = Infinity;
  for (const tid of pool.workers) {
    const worker = workerOf(k, tid);
    if (worker.work === 0 || worker.sleeping || (worker.flags & WORKER_NOT_RUNNING) !== 0) continue;
    const usedNs = usedBy(taskOf(k, tid), worker);
    if (usedNs >= THRESHOLD_NS) found(k, worker, pool);
    else leftNs = Math.min(leftNs, THRESHOLD_NS - usedNs);
  }
  if (leftNs !== Infinity) pool.hogTimer = armTimer(k, { expiresNs: now(k) + leftNs, callback: "wq_worker_tick", arg: pool.id });
});

/** CPU time since the item began or slept last. */
function usedBy(task: Task, worker: Worker): number {
  return task.utimeNs + task.stimeNs - worker.beganNs;
}

/** From here on the item counts as one of a WQ_CPU_INTENSIVE queue. */
function found(k: Kernel, worker: Worker, pool: WorkerPool): void {
  setFlags(k, worker, WORKER_CPU_INTENSIVE);
  report(k, worker.func);
  if (needMoreWorker(pool)) wakeUpWorker(k, pool);
}

/** An item has ended that no timer came upon. */
export function endOfHog(k: Kernel, task: Task, worker: Worker): void {
  if ((worker.flags & WORKER_NOT_RUNNING) === 0 && usedBy(task, worker) >= THRESHOLD_NS) report(k, worker.func);
}

function report(k: Kernel, func: string): void {
  const { hogs } = k.state.irq.wq;
  if (!hogs.has(func) && hogs.size >= FUNCTIONS_MAX) return;
  const count = (hogs.get(func) ?? 0) + 1;
  hogs.set(func, count);
  if (count < TOLD_FROM || (count & (count - 1)) !== 0) return;
  printk(k, WARNING, `workqueue: ${symbolOf(func)} hogged CPU for >${THRESHOLD_US}us ${count} times, consider switching to WQ_UNBOUND`);
}
