/** What must hold of bottom halves and work queues between two inputs. */
import type { Kernel } from "../kernel.ts";
import { WORKER_NOT_RUNNING } from "./pool.ts";
import type { Work } from "./workqueue_state.ts";

/** What is broken, a sentence each. */
export function irqInvariants(k: Kernel): string[] {
  return [...tasklets(k), ...works(k), ...pools(k), ...queues(k)];
}

/** A scheduled tasklet stands on one list, once; no other stands anywhere. */
function tasklets(k: Kernel): string[] {
  const wrong: string[] = [];
  const listed = k.state.irq.cpus.flatMap((cpu) => [...cpu.tasklets, ...cpu.hiTasklets]);
  if (new Set(listed).size !== listed.length) wrong.push(`tasklets stand on lists twice: ${listed.join()}`);
  for (const id of listed) if (!k.state.irq.tasklets.has(id)) wrong.push(`tasklet ${id} is on a list and does not exist`);
  for (const { id, scheduled, running } of k.state.irq.tasklets.values()) {
    if (scheduled !== listed.includes(id)) wrong.push(`tasklet ${id} is ${scheduled ? "" : "not "}scheduled`);
    if (running) wrong.push(`tasklet ${id} runs between two inputs`);
  }
  return wrong;
}

/** Where the lists have each item. */
function placesOf(k: Kernel): Map<number, Work["where"][]> {
  const places = new Map<number, Work["where"][]>();
  const put = (ids: readonly number[], where: Work["where"]): void => {
    for (const id of ids) places.set(id, [...(places.get(id) ?? []), where]);
  };
  const { pools, pwqs, workers } = k.state.irq.wq;
  for (const { worklist } of pools) put(worklist, "list");
  for (const { inactive } of pwqs.values()) put(inactive, "inactive");
  for (const { scheduled } of workers.values()) put(scheduled, "scheduled");
  return places;
}

/** An item is where it says, and pending there; who executes it says so too. */
function works(k: Kernel): string[] {
  const wrong: string[] = [];
  const places = placesOf(k);
  const { works: all, workers } = k.state.irq.wq;
  for (const work of all.values()) {
    const expected = ["list", "inactive", "scheduled"].includes(work.where) ? work.where : "";
    const found = (places.get(work.id) ?? []).join();
    if (found !== expected) wrong.push(`work ${work.id} is said to be on "${expected}" and is on "${found}"`);
    if (work.where !== "nowhere" && !work.pending) wrong.push(`work ${work.id} is on ${work.where} and not pending`);
    if (work.runner !== 0 && workers.get(work.runner)?.work !== work.id) wrong.push(`work ${work.id} is said to run in task ${work.runner}`);
    if (work.done > work.instance) wrong.push(`work ${work.id} ended more often than it was queued`);
    places.delete(work.id);
  }
  for (const id of places.keys()) wrong.push(`work ${id} is on a list and does not exist`);
  return wrong;
}

/** Workers belong to their pool, idle ones have nothing, and those that run are counted. */
function pools(k: Kernel): string[] {
  const wrong: string[] = [];
  const { pools: all, workers } = k.state.irq.wq;
  for (const pool of all) {
    const mine = pool.workers.map((tid) => workers.get(tid));
    if (mine.some((worker) => worker?.pool !== pool.id)) wrong.push(`pool ${pool.id} has workers of others`);
    const running = mine.filter((worker) => worker !== undefined && (worker.flags & WORKER_NOT_RUNNING) === 0 && !worker.sleeping).length;
    if (running !== pool.running) wrong.push(`pool ${pool.id} counts ${pool.running} of ${running} running workers`);
    for (const tid of pool.idle) if (workers.get(tid)?.work !== 0) wrong.push(`idle worker ${tid} executes an item`);
    if (pool.worklist.length > 0 && pool.running === 0 && pool.idle.every((tid) => k.state.sched.tasks.get(tid)?.frames.length === 0)
      && mine.every((worker) => worker === undefined || worker.sleeping || k.state.sched.tasks.get(worker.tid)?.state !== "runnable")
      && pool.manager === 0 && pool.idle.length > 0) wrong.push(`pool ${pool.id} has work and nobody at it`);
  }
  for (const [tid, worker] of workers) if (k.state.sched.tasks.get(tid)?.worker !== true) wrong.push(`task ${tid} is no worker (${worker.desc})`);
  for (const { tid, worker } of k.state.sched.tasks.values()) if (worker && !workers.has(tid)) wrong.push(`task ${tid} is a worker without a record`);
  return wrong;
}

/** Items of a queue that have not ended are counted. */
function queues(k: Kernel): string[] {
  const wrong: string[] = [];
  const { queues: all, pwqs, works: items, workers } = k.state.irq.wq;
  for (const { id, wq } of pwqs.values()) if (all.get(wq)?.pwqs.includes(id) !== true) wrong.push(`share ${id} of a pool belongs to no queue`);
  for (const queue of all.values()) {
    let queued = 0;
    for (const work of items.values()) if (["list", "inactive", "scheduled"].includes(work.where) && pwqs.get(work.pwq)?.wq === queue.id) queued++;
    for (const worker of workers.values()) if (worker.work !== 0 && pwqs.get(worker.pwq)?.wq === queue.id) queued++;
    const counted = [...queue.inFlight.values()].reduce((sum, count) => sum + count, 0);
    if (queued !== counted) wrong.push(`queue ${queue.name} counts ${counted} of ${queued} items`);
    for (const id of queue.pwqs) {
      const pwq = pwqs.get(id);
      if (pwq === undefined || pwq.active < 0) wrong.push(`queue ${queue.name} has no count for a pool`);
      else if (pwq.inactive.length > 0 && pwq.active < queue.maxActive) wrong.push(`items of queue ${queue.name} wait for nothing`);
    }
  }
  return wrong;
}
