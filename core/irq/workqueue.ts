/** Work queues: making them, and those that the kernel has for everybody (kernel/workqueue.c). A queue is an id. */
import { ENOMEM } from "../abi/errno.ts";
import { assert } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { printk } from "../sched/printk.ts";
import type { Task } from "../sched/task.ts";
import { newWaitQueue } from "../sched/wait_queue.ts";
import { createWorker, newWorker, poolOf } from "./pool.ts";
import { activateInactive, freeQueue, pwqOf, queueDelayedWork, queueOf, queueWork } from "./queue_work.ts";
import {
  WQ_CPU_INTENSIVE, WQ_DFL_ACTIVE, WQ_FREEZABLE, WQ_HIGHPRI, WQ_LEGACY, WQ_MAX_ACTIVE, WQ_MEM_RECLAIM, WQ_NAME_LEN, WQ_ORDERED, WQ_ORDERED_EXPLICIT,
  WQ_POWER_EFFICIENT, WQ_SYSFS, WQ_UNBOUND,
} from "./workqueue_flags.ts";
import { HIGHPRI_NICE, type Workqueue } from "./workqueue_state.ts";
import "./rescuer.ts";

export {
  WQ_CPU_INTENSIVE, WQ_DFL_ACTIVE, WQ_FREEZABLE, WQ_HIGHPRI, WQ_MAX_ACTIVE, WQ_MEM_RECLAIM, WQ_POWER_EFFICIENT, WQ_SYSFS, WQ_UNBOUND,
};

const WARNING = 4;
const ERR = 3;

function clampMaxActive(k: Kernel, asked: number, name: string): number {
  if (asked >= 1 && asked <= WQ_MAX_ACTIVE) return asked;
  printk(k, WARNING, `workqueue: max_active ${asked} requested for ${name} is out of range, clamping between 1 and ${WQ_MAX_ACTIVE}`);
  return Math.min(Math.max(asked, 1), WQ_MAX_ACTIVE);
}

/**
 * A queue of `maxActive` items at a time for each CPU, 256 for 0; an unbound one with 1 keeps their order. `owner` is the module.
 * Answers its id, or -ENOMEM when its threads cannot be made.
 */
export function allocWorkqueue(k: Kernel, name: string, flags: number, maxActive: number, owner = ""): number {
  const { wq } = k.state.irq;
  const ordered = (flags & WQ_UNBOUND) !== 0 && maxActive === 1 ? WQ_ORDERED : 0;
  const queue: Workqueue = {
    id: wq.nextQueue++, name: name.slice(0, WQ_NAME_LEN - 1), flags: flags | ordered, maxActive: maxActive === 0 ? WQ_DFL_ACTIVE : clampMaxActive(k, maxActive, name),
    owner, pwqs: [], inFlight: new Map(), epoch: 1, drainers: 0, destroying: false, wait: newWaitQueue(k), rescuer: 0, maydays: [],
  };
  wq.queues.set(queue.id, queue);
  if (linkPools(k, queue) && ((flags & WQ_MEM_RECLAIM) === 0 || initRescuer(k, queue))) return queue.id;
  freeQueue(k, queue);
  return -ENOMEM;
}

/** Gives a queue its share of each pool that runs its items; false when one of them has no worker and none can be made. */
function linkPools(k: Kernel, queue: Workqueue): boolean {
  const { wq } = k.state.irq;
  const nice = (queue.flags & WQ_HIGHPRI) !== 0 ? HIGHPRI_NICE : 0;
  const unbound = (queue.flags & WQ_UNBOUND) !== 0;
  for (const pool of wq.pools) {
    if (pool.nice !== nice || pool.cpu < 0 !== unbound) continue;
    if (pool.workers.length === 0 && !createWorker(k, pool)) return false;
    const pwq = { id: wq.nextPwq++, wq: queue.id, pool: pool.id, active: 0, inactive: [] };
    wq.pwqs.set(pwq.id, pwq);
    queue.pwqs.push(pwq.id);
  }
  return true;
}

/** A queue whose items run one at a time, in the order in which they came. */
export function allocOrderedWorkqueue(k: Kernel, name: string, flags: number, owner = ""): number {
  return allocWorkqueue(k, name, WQ_UNBOUND | WQ_ORDERED | WQ_ORDERED_EXPLICIT | flags, 1, owner);
}

/** create_workqueue: one item at a time for each CPU, with a rescuer. */
export function createWorkqueue(k: Kernel, name: string, owner = ""): number {
  return allocWorkqueue(k, name, WQ_LEGACY | WQ_MEM_RECLAIM, 1, owner);
}

/** create_singlethread_workqueue: one item at a time, in order, with a rescuer. */
export function createSinglethreadWorkqueue(k: Kernel, name: string, owner = ""): number {
  return allocOrderedWorkqueue(k, name, WQ_LEGACY | WQ_MEM_RECLAIM, owner);
}

function initRescuer(k: Kernel, queue: Workqueue): boolean {
  const task = k.tables.hooks.createKthread(k, queue.name);
  if (typeof task === "number") {
    printk(k, ERR, `workqueue: Failed to create a rescuer kthread for wq "${queue.name}": -ENOMEM`);
    return false;
  }
  queue.rescuer = task.tid;
  task.worker = true;
  task.nice = HIGHPRI_NICE;
  k.state.irq.wq.workers.set(task.tid, newWorker(task.tid, 0, poolOf(k, pwqOf(k, queue.pwqs[0]).pool), queue.id));
  return true;
}

/** Items that may be under way at a time, from now on (workqueue_set_max_active). */
export function workqueueSetMaxActive(k: Kernel, wq: number, maxActive: number): void {
  const queue = queueOf(k, wq);
  queue.maxActive = clampMaxActive(k, maxActive, queue.name);
  for (const pwq of queue.pwqs) activateInactive(k, queue, pwqOf(k, pwq));
}

/** Whether items wait for max_active on this CPU. */
export function workqueueCongested(k: Kernel, cpu: number, wq: number): boolean {
  const { pwqs } = queueOf(k, wq);
  return pwqOf(k, pwqs[pwqs.length === 1 ? 0 : cpu]).inactive.length > 0;
}

/** The kernel's own queues: the name in the code, the one in ps, flags. */
const SYSTEM: readonly [string, string, number][] = [
  ["system_wq", "events", 0], ["system_highpri_wq", "events_highpri", WQ_HIGHPRI], ["system_long_wq", "events_long", 0],
  ["system_unbound_wq", "events_unbound", WQ_UNBOUND], ["system_freezable_wq", "events_freezable", WQ_FREEZABLE],
  ["system_power_efficient_wq", "events_power_efficient", WQ_POWER_EFFICIENT],
  ["system_freezable_power_efficient_wq", "events_freezable_power_", WQ_FREEZABLE | WQ_POWER_EFFICIENT],
];

/** Makes the kernel's own queues; their pools have a worker each already. */
export function bootWorkqueues(k: Kernel): void {
  for (const [symbol, name, flags] of SYSTEM) {
    const id = allocWorkqueue(k, name, flags, (flags & WQ_UNBOUND) !== 0 ? WQ_MAX_ACTIVE : 0);
    assert(id > 0, `no memory for ${name}`);
    k.state.irq.wq.system[symbol] = id;
  }
}

export const systemWq = (k: Kernel): number => k.state.irq.wq.system.system_wq;
export const systemHighpriWq = (k: Kernel): number => k.state.irq.wq.system.system_highpri_wq;
export const systemLongWq = (k: Kernel): number => k.state.irq.wq.system.system_long_wq;
export const systemUnboundWq = (k: Kernel): number => k.state.irq.wq.system.system_unbound_wq;
export const systemFreezableWq = (k: Kernel): number => k.state.irq.wq.system.system_freezable_wq;
export const systemPowerEfficientWq = (k: Kernel): number => k.state.irq.wq.system.system_power_efficient_wq;

/** queue_work on the queue that is there for everybody. */
export function scheduleWork(k: Kernel, work: number): boolean {
  return queueWork(k, systemWq(k), work);
}

export function scheduleDelayedWork(k: Kernel, work: number, delay: number): boolean {
  return queueDelayedWork(k, systemWq(k), work, delay);
}

/** What /proc/PID/comm shows: a worker's name with the queue that it works for (+) or worked for last (-). */
export function wqWorkerComm(k: Kernel, task: Task): string {
  const worker = task.worker ? k.state.irq.wq.workers.get(task.tid) : undefined;
  if (worker === undefined || worker.desc === "" || worker.rescues !== 0) return task.comm;
  return `${task.comm}${worker.work !== 0 ? "+" : "-"}${worker.desc}`;
}
