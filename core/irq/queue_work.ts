/** Queueing work items, now and later, and taking them back (kernel/workqueue.c). */
import { must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { callerTrace, warn } from "../sched/dump_stack.ts";
import { printk } from "../sched/printk.ts";
import { wake } from "../sched/wait_queue.ts";
import { jiffies } from "../time/jiffies.ts";
import { addTimer, addTimerOn, delTimer } from "../time/timer_list.ts";
import { endThread, needMoreWorker, poolOf, wakeUpWorker, workerOf } from "./pool.ts";
import { onDelayedWork, symbolOf, workOf } from "./work.ts";
import type { Pwq, Work, Workqueue } from "./workqueue_state.ts";

/** No CPU in particular: the running one, or any for an unbound queue. */
export const WORK_CPU_UNBOUND = -1;

const ALERT = 1;

export function queueOf(k: Kernel, id: number): Workqueue {
  return must(k.state.irq.wq.queues, id);
}

export function pwqOf(k: Kernel, id: number): Pwq {
  return must(k.state.irq.wq.pwqs, id);
}

/** Takes a queue away that has nothing left to do, with its rescuer and its shares of pools. */
export function freeQueue(k: Kernel, queue: Workqueue): void {
  const { wq } = k.state.irq;
  if (queue.rescuer !== 0) endThread(k, queue.rescuer);
  for (const pwq of queue.pwqs) wq.pwqs.delete(pwq);
  wq.queues.delete(queue.id);
}

/** Queues an item on the running CPU; false, and nothing done, when it is pending already. */
export function queueWork(k: Kernel, wq: number, work: number): boolean {
  return queueWorkOn(k, WORK_CPU_UNBOUND, wq, work);
}

/** The same on a CPU of choice; an unbound queue does not mind. */
export function queueWorkOn(k: Kernel, cpu: number, wq: number, id: number): boolean {
  const work = workOf(k, id);
  if (work.pending) return false;
  work.pending = true;
  insertWork(k, cpu, wq, work);
  return true;
}

/** Puts a pending item on the list of a pool, or lets it wait for its queue's max_active (__queue_work). */
export function insertWork(k: Kernel, cpu: number, wq: number, work: Work): void {
  work.where = "nowhere";
  const queue = k.state.irq.wq.queues.get(wq);
  if (queue === undefined) {
    // Differs from Linux, where this runs into freed memory.
    printk(k, ALERT, `BUG: workqueue: ${symbolOf(work.func)} is queued on a work queue that was destroyed`);
    work.pending = false;
    return;
  }
  if (queue.drainers > 0 && !isChained(k, queue)) return warnDraining(k);
  const pwq = pwqFor(k, queue, cpu, work);
  work.pwq = pwq.id;
  work.instance++;
  work.epoch = queue.epoch;
  queue.inFlight.set(queue.epoch, (queue.inFlight.get(queue.epoch) ?? 0) + 1);
  if (pwq.active >= queue.maxActive) {
    work.where = "inactive";
    pwq.inactive.push(work.id);
  } else {
    activate(k, pwq, work);
  }
}

/** As Linux: what others queue on a queue that is being drained stays pending for ever. */
function warnDraining(k: Kernel): void {
  warn(k, "", { file: "kernel/workqueue.c", line: 1430, symbol: "__queue_work+0x2f5/0x3c0" }, ["queue_work_on+0x24/0x30", ...callerTrace(k)]);
}

function activate(k: Kernel, pwq: Pwq, work: Work): void {
  const pool = poolOf(k, pwq.pool);
  pwq.active++;
  work.where = "list";
  pool.worklist.push(work.id);
  if (needMoreWorker(pool)) wakeUpWorker(k, pool);
}

/** Whether an item of this very queue is what runs now (is_chained_work). */
function isChained(k: Kernel, queue: Workqueue): boolean {
  const worker = k.state.irq.wq.workers.get(k.turn.current);
  return worker !== undefined && worker.work !== 0 && pwqOf(k, worker.pwq).wq === queue.id;
}

/** The pool that an item goes to: one that still executes it keeps it, so that it never runs twice at a time. */
function pwqFor(k: Kernel, queue: Workqueue, cpu: number, work: Work): Pwq {
  if (work.runner !== 0) {
    const running = pwqOf(k, workerOf(k, work.runner).pwq);
    if (running.wq === queue.id) return running;
  }
  const at = queue.pwqs.length === 1 ? 0 : cpu >= 0 ? cpu : k.turn.cpu;
  return pwqOf(k, queue.pwqs[at]);
}

/** Queues an item `delay` jiffies from now, at once for 0; false when it is pending already. */
export function queueDelayedWork(k: Kernel, wq: number, work: number, delay: number): boolean {
  return queueDelayedWorkOn(k, WORK_CPU_UNBOUND, wq, work, delay);
}

export function queueDelayedWorkOn(k: Kernel, cpu: number, wq: number, id: number, delay: number): boolean {
  const work = workOf(k, id);
  if (work.pending) return false;
  work.pending = true;
  insertLater(k, cpu, wq, work, delay);
  return true;
}

function insertLater(k: Kernel, cpu: number, wq: number, work: Work, delay: number): void {
  if (delay === 0) return insertWork(k, cpu, wq, work);
  work.where = "timer";
  work.wq = wq;
  work.cpu = cpu;
  const expires = jiffies(k) + delay;
  if (cpu >= 0) addTimerOn(k, work.timer, expires, cpu);
  else addTimer(k, work.timer, expires);
}

onDelayedWork((k, work) => insertWork(k, work.cpu, work.wq, work));

/** Gives a delayed item another time, or queues it; answers whether it was pending. */
export function modDelayedWork(k: Kernel, wq: number, work: number, delay: number): boolean {
  return modDelayedWorkOn(k, WORK_CPU_UNBOUND, wq, work, delay);
}

export function modDelayedWorkOn(k: Kernel, cpu: number, wq: number, id: number, delay: number): boolean {
  const work = workOf(k, id);
  const grabbed = tryToGrabPending(k, work);
  if (grabbed >= 0) insertLater(k, cpu, wq, work, delay);
  return grabbed !== 0;
}

/**
 * Takes an item off wherever it is queued, and leaves it marked as pending, so that nobody queues it: 1 when it was queued,
 * 0 when not, -1 when somebody else is cancelling it.
 */
export function tryToGrabPending(k: Kernel, work: Work): number {
  if (!work.pending) {
    work.pending = true;
    return 0;
  }
  if (work.canceling) return -1;
  const { where } = work;
  work.where = "nowhere";
  if (where === "timer") delTimer(k, work.timer);
  else if (where !== "nowhere") takeOff(k, work, where);
  return 1;
}

function takeOff(k: Kernel, work: Work, where: "list" | "inactive" | "scheduled"): void {
  const pwq = pwqOf(k, work.pwq);
  const list = where === "inactive" ? pwq.inactive : where === "list" ? poolOf(k, pwq.pool).worklist : scheduledList(k, work.id);
  list.splice(list.indexOf(work.id), 1);
  work.done = work.instance;
  if (work.wait !== 0) wake(k, work.wait, { nr: Infinity });
  itemEnded(k, pwq, work.epoch, where !== "inactive");
}

/** The list of the worker that an item must run on next. */
function scheduledList(k: Kernel, id: number): number[] {
  for (const { scheduled } of k.state.irq.wq.workers.values()) if (scheduled.includes(id)) return scheduled;
  throw new Error(`work ${id} is scheduled nowhere`);
}

/** An item has ended or was taken back: its queue's flushers look again, one that waited for max_active goes on. */
export function itemEnded(k: Kernel, pwq: Pwq, epoch: number, wasActive: boolean): void {
  const queue = queueOf(k, pwq.wq);
  const left = (queue.inFlight.get(epoch) ?? 0) - 1;
  if (left > 0) {
    queue.inFlight.set(epoch, left);
  } else {
    queue.inFlight.delete(epoch);
    wake(k, queue.wait, { nr: Infinity });
  }
  if (wasActive) pwq.active--;
  activateInactive(k, queue, pwq);
}

/** Lets items go on that waited for max_active. */
export function activateInactive(k: Kernel, queue: Workqueue, pwq: Pwq): void {
  while (pwq.inactive.length > 0 && pwq.active < queue.maxActive) activate(k, pwq, workOf(k, pwq.inactive.shift() as number));
}

/** Takes an item back before it begins; one under way goes on. Answers whether it was pending (cancel_work). */
export function cancelWork(k: Kernel, id: number): boolean {
  const work = workOf(k, id);
  const grabbed = tryToGrabPending(k, work);
  if (grabbed < 0) return false;
  work.pending = false;
  return grabbed === 1;
}

export const cancelDelayedWork = cancelWork;
