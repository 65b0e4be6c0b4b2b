/** Worker pools: when another worker must wake or be made, and when one has been idle too long (kernel/workqueue.c). */
import { must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "../sched/cost.ts";
import { affinityChanged, enqueue, reweigh } from "../sched/run_queue.ts";
import { pushFrame, steps } from "../sched/steps.ts";
import { taskOf, type Task } from "../sched/task.ts";
import { now, NS_PER_SEC, tickNs, ticks } from "../time/clock.ts";
import { jiffies } from "../time/jiffies.ts";
import { modTimer, timerFunction, timerSetup } from "../time/timer_list.ts";
import type { Worker, WorkerPool } from "./workqueue_state.ts";

/** Worker flags, as kernel/workqueue.c numbers them. */
export const WORKER_IDLE = 1 << 2;
export const WORKER_PREP = 1 << 3;
export const WORKER_CPU_INTENSIVE = 1 << 6;
export const WORKER_UNBOUND = 1 << 7;
/** A worker with one of these does not count as running. */
export const WORKER_NOT_RUNNING = WORKER_PREP | WORKER_CPU_INTENSIVE | WORKER_UNBOUND;

/** Idle workers that a pool keeps for each busy one, and for how long the others live. */
const MAX_IDLE_WORKERS_RATIO = 4;
const IDLE_WORKER_TIMEOUT_NS = 300 * NS_PER_SEC;
/** The step tables of worker.ts and rescuer.ts. */
const WORKER_THREAD = "worker_thread";
const RESCUER_THREAD = "rescuer_thread";

export function poolOf(k: Kernel, id: number): WorkerPool {
  return k.state.irq.wq.pools[id];
}

export function workerOf(k: Kernel, tid: number): Worker {
  return must(k.state.irq.wq.workers, tid);
}

export function setFlags(k: Kernel, worker: Worker, flags: number): void {
  if ((flags & WORKER_NOT_RUNNING) !== 0 && (worker.flags & WORKER_NOT_RUNNING) === 0) poolOf(k, worker.pool).running--;
  worker.flags |= flags;
}

export function clearFlags(k: Kernel, worker: Worker, flags: number): void {
  const before = worker.flags;
  worker.flags &= ~flags;
  if ((flags & before & WORKER_NOT_RUNNING) !== 0 && (worker.flags & WORKER_NOT_RUNNING) === 0) poolOf(k, worker.pool).running++;
}

/** Work waits and nobody is at it. Workers of an unbound pool never count, so there each item wakes one. */
export function needMoreWorker(pool: WorkerPool): boolean {
  return pool.worklist.length > 0 && pool.running === 0;
}

/** Whether a worker that has ended an item should take another one. */
export function keepWorking(pool: WorkerPool): boolean {
  return pool.worklist.length > 0 && pool.running <= 1;
}

/** Wakes the worker that became idle last; one that is awake already goes on to look by itself. */
export function wakeUpWorker(k: Kernel, pool: WorkerPool): void {
  if (pool.idle.length > 0) startWorker(k, taskOf(k, pool.idle[0]), WORKER_THREAD);
}

/** Lets an idle worker, which sleeps without frames, run. */
export function startWorker(k: Kernel, task: Task, code: string): void {
  if (task.frames.length > 0) return;
  pushFrame(task, code, {});
  charge(k, costs(k).wakeNs);
  enqueue(k, task);
}

export function enterIdle(k: Kernel, worker: Worker): void {
  const pool = poolOf(k, worker.pool);
  worker.flags |= WORKER_IDLE;
  worker.idleNs = now(k);
  pool.idle.unshift(worker.tid);
  if (!tooManyWorkers(pool)) return;
  if (pool.idleTimer === 0) pool.idleTimer = timerSetup(k, "idle_worker_timeout", { arg: pool.id });
  armIdleTimer(k, pool, worker.idleNs + IDLE_WORKER_TIMEOUT_NS, false);
}

/** Arms it for `atNs`; one that runs is left alone unless `again`. */
function armIdleTimer(k: Kernel, pool: WorkerPool, atNs: number, again: boolean): void {
  if (!again && pool.idleUntilNs > now(k)) return;
  pool.idleUntilNs = atNs;
  modTimer(k, pool.idleTimer, jiffies(k) + Math.max(1, Math.ceil(atNs / tickNs(k)) - ticks(k)));
}

export function leaveIdle(k: Kernel, worker: Worker): void {
  const { idle } = poolOf(k, worker.pool);
  worker.flags &= ~WORKER_IDLE;
  const at = idle.indexOf(worker.tid);
  if (at >= 0) idle.splice(at, 1);
}

function tooManyWorkers(pool: WorkerPool): boolean {
  const idle = pool.idle.length;
  const busy = pool.workers.length - idle;
  return idle > 2 && (idle - 2) * MAX_IDLE_WORKERS_RATIO >= busy;
}

timerFunction("idle_worker_timeout", (k, id) => {
  const pool = poolOf(k, id);
  pool.idleUntilNs = 0;
  while (tooManyWorkers(pool)) {
    const worker = workerOf(k, pool.idle[pool.idle.length - 1]);
    const atNs = worker.idleNs + IDLE_WORKER_TIMEOUT_NS;
    if (now(k) < atNs) return armIdleTimer(k, pool, atNs, true);
    if (taskOf(k, worker.tid).frames.length > 0) return; // it was woken, and looks for work
    destroyWorker(k, worker);
  }
});

/** The end of a worker that has nothing to do. */
steps<object>("worker_die", { die: () => 0 });

function destroyWorker(k: Kernel, worker: Worker): void {
  const { workers } = poolOf(k, worker.pool);
  leaveIdle(k, worker);
  workers.splice(workers.indexOf(worker.tid), 1);
  endThread(k, worker.tid);
}

/** A worker with nothing to do, or the rescuer of a queue that goes, ends; one that is awake, instead of looking again. */
export function endThread(k: Kernel, tid: number): void {
  k.state.irq.wq.workers.delete(tid);
  const task = taskOf(k, tid);
  const awake = task.frames.length > 0;
  task.worker = false;
  task.frames.length = 0;
  pushFrame(task, "kthread", { code: "worker_die", locals: {} });
  if (!awake) enqueue(k, task);
}

/** `kworker/0:1`, `kworker/1:0H`, `kworker/u4:3`. */
function workerName(pool: WorkerPool, number: number): string {
  return pool.cpu < 0 ? `kworker/u${pool.id}:${number}` : `kworker/${pool.cpu}:${number}${pool.nice < 0 ? "H" : ""}`;
}

/** Makes an idle worker; false when the machine has no room for another task. */
export function createWorker(k: Kernel, pool: WorkerPool): boolean {
  const { workers } = k.state.irq.wq;
  let number = 0;
  while (pool.workers.some((tid) => workers.get(tid)?.number === number)) number++;
  const task = k.tables.hooks.createKthread(k, workerName(pool, number));
  if (typeof task === "number") return false;
  adopt(task, pool);
  workers.set(task.tid, newWorker(task.tid, number, pool, 0));
  pool.workers.push(task.tid);
  enterIdle(k, workerOf(k, task.tid));
  return true;
}

/** Makes a thread that has not run yet one of the pool's. */
function adopt(task: Task, pool: WorkerPool): void {
  task.worker = true;
  task.nice = pool.nice;
  if (pool.cpu < 0) return;
  task.affinity = 1 << pool.cpu;
  task.cpu = pool.cpu;
}

/** A rescuer that runs works for this pool from its next step on, where the pool's own workers would. */
export function attachRescuer(k: Kernel, task: Task, worker: Worker, pool: WorkerPool): void {
  worker.pool = pool.id;
  reweigh(k, task, () => void (task.nice = pool.nice));
  task.affinity = pool.cpu < 0 ? 2 ** k.state.machine.cpus - 1 : 1 << pool.cpu;
  affinityChanged(k, task);
}

export function newWorker(tid: number, number: number, pool: WorkerPool, rescues: number): Worker {
  return {
    tid, number, pool: pool.id, flags: WORKER_PREP | (pool.cpu < 0 || rescues !== 0 ? WORKER_UNBOUND : 0), work: 0, func: "", pwq: 0, instance: 0, epoch: 0,
    beganNs: 0, sleeping: false, scheduled: [], desc: "", idleNs: 0, rescues,
  };
}

/** No worker could be made: the queues that have a rescuer call it for what waits here (send_mayday). */
export function mayday(k: Kernel, pool: WorkerPool): void {
  const { wq } = k.state.irq;
  for (const id of pool.worklist) {
    const pwq = must(wq.pwqs, must(wq.works, id).pwq);
    const queue = must(wq.queues, pwq.wq);
    if (queue.rescuer === 0) continue;
    if (!queue.maydays.includes(pwq.id)) queue.maydays.push(pwq.id);
    startWorker(k, taskOf(k, queue.rescuer), RESCUER_THREAD);
  }
}

/** A worker falls asleep inside an item: another one goes on (wq_worker_sleeping). */
export function workerSleeping(k: Kernel, task: Task): void {
  const worker = workerOf(k, task.tid);
  if ((worker.flags & WORKER_NOT_RUNNING) !== 0 || worker.sleeping) return;
  const pool = poolOf(k, worker.pool);
  worker.sleeping = true;
  pool.running--;
  if (needMoreWorker(pool)) wakeUpWorker(k, pool);
}

/** It may run again (wq_worker_running): what it uses is counted from here. */
export function workerRunning(k: Kernel, task: Task): void {
  const worker = workerOf(k, task.tid);
  if (!worker.sleeping) return;
  if ((worker.flags & WORKER_NOT_RUNNING) === 0) poolOf(k, worker.pool).running++;
  worker.sleeping = false;
  worker.beganNs = task.utimeNs + task.stimeNs;
}
