/** The threads of bottom halves and work queues, as the machine comes up. */
import { assert } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { createWorker } from "./pool.ts";
import { setKsoftirqd } from "./softirq.ts";
import { bootWorkqueues } from "./workqueue.ts";

/** ksoftirqd/N and the first worker of a CPU's two pools. */
export function bootCpuThreads(k: Kernel, cpu: number): void {
  const task = k.tables.hooks.createKthread(k, `ksoftirqd/${cpu}`);
  assert(typeof task !== "number", "no room for ksoftirqd");
  setKsoftirqd(k, cpu, task.tid);
  for (const pool of k.state.irq.wq.pools) if (pool.cpu === cpu) createWorker(k, pool);
}

/** The first unbound worker, and the queues that the kernel has for everybody. */
export function bootUnbound(k: Kernel): void {
  const unbound = k.state.irq.wq.pools.find(({ cpu, nice }) => cpu < 0 && nice === 0);
  assert(unbound !== undefined, "no unbound pool");
  createWorker(k, unbound);
  bootWorkqueues(k);
}
