/** Rescuers: a thread a WQ_MEM_RECLAIM queue has in reserve, for when a pool can make no worker (kernel/workqueue.c). */
import type { Kernel } from "../kernel.ts";
import { NEXT, steps, to } from "../sched/steps.ts";
import { attachRescuer, poolOf, workerOf } from "./pool.ts";
import { pwqOf, queueOf } from "./queue_work.ts";
import { workOf } from "./work.ts";
import { beginNext, endWork } from "./worker.ts";

steps<object>("rescuer_thread", {
  // Attaches to the pool of the next pwq that called, and takes over all that waits there for its queue.
  attach: (k, task) => {
    const worker = workerOf(k, task.tid);
    const pwqId = queueOf(k, worker.rescues).maydays.shift();
    if (pwqId === undefined) return 0;
    const pool = poolOf(k, pwqOf(k, pwqId).pool);
    attachRescuer(k, task, worker, pool);
    worker.scheduled = pool.worklist.filter((id) => isOf(k, id, pwqId));
    pool.worklist = pool.worklist.filter((id) => !isOf(k, id, pwqId));
    for (const id of worker.scheduled) workOf(k, id).where = "scheduled";
    return NEXT;
  },
  take: (k, task) => beginNext(k, task, workerOf(k, task.tid), () => undefined) ?? to("attach"),
  done: (k, task) => {
    endWork(k, task, workerOf(k, task.tid));
    return to("take");
  },
});

function isOf(k: Kernel, work: number, pwq: number): boolean {
  return workOf(k, work).pwq === pwq;
}
