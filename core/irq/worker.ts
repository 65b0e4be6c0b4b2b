/** The worker thread: takes items off its pool's list, one after the other, until others are at it (kernel/workqueue.c). */
import { must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "../sched/cost.ts";
import { taskPreemptCount } from "../sched/preempt.ts";
import { printk } from "../sched/printk.ts";
import { NEXT, steps, to, type StepResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { sleepUntil, wake } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { endOfHog, watchHogs } from "./hog.ts";
import {
  clearFlags, createWorker, enterIdle, keepWorking, leaveIdle, mayday, needMoreWorker, poolOf, setFlags, wakeUpWorker, WORKER_CPU_INTENSIVE,
  workerOf, WORKER_PREP,
} from "./pool.ts";
import { itemEnded, pwqOf, queueOf } from "./queue_work.ts";
import { symbolOf, workOf, type WorkLocals } from "./work.ts";
import { WQ_CPU_INTENSIVE } from "./workqueue_flags.ts";
import type { Worker, WorkerPool } from "./workqueue_state.ts";

const ERR = 3;
/** A pool that cannot make a worker calls for rescuers and tries again this often (MAYDAY_INTERVAL). */
const MAYDAY_INTERVAL_NS = 100_000_000;

const mine = (k: Kernel, task: Task): { worker: Worker; pool: WorkerPool } => {
  const worker = workerOf(k, task.tid);
  return { worker, pool: poolOf(k, worker.pool) };
};

steps<object>("worker_thread", {
  wake: (k, task) => {
    leaveIdle(k, mine(k, task).worker);
    return NEXT;
  },
  look: (k, task) => {
    const { pool } = mine(k, task);
    if (!needMoreWorker(pool)) return to("rest");
    if (pool.idle.length > 0 || pool.manager !== 0) return to("start");
    pool.manager = task.tid;
    return NEXT;
  },
  // One idle worker stays while others work: it takes over when one of them sleeps.
  manage: (k, task) => {
    const { pool } = mine(k, task);
    charge(k, costs(k).threadNs);
    if (!createWorker(k, pool) && needMoreWorker(pool) && pool.idle.length === 0) {
      mayday(k, pool);
      return sleepUntil(now(k) + MAYDAY_INTERVAL_NS, { mode: "uninterruptible", wchan: "maybe_create_worker" });
    }
    pool.manager = 0;
    return to("look");
  },
  start: (k, task) => {
    clearFlags(k, mine(k, task).worker, WORKER_PREP);
    return NEXT;
  },
  take: (k, task) => {
    const { worker, pool } = mine(k, task);
    return beginNext(k, task, worker, () => (keepWorking(pool) ? pool.worklist.shift() : undefined)) ?? to("rest");
  },
  done: (k, task) => {
    endWork(k, task, workerOf(k, task.tid));
    return to("take");
  },
  rest: (k, task) => {
    const { worker } = mine(k, task);
    setFlags(k, worker, WORKER_PREP);
    enterIdle(k, worker);
    return 0;
  },
});

/** Enters the next item: one that must run here, else what `next` gives; undefined when there is none. */
export function beginNext(k: Kernel, task: Task, worker: Worker, next: () => number | undefined): StepResult | undefined {
  for (;;) {
    const id = worker.scheduled.shift() ?? next();
    if (id === undefined) return undefined;
    const work = workOf(k, id);
    if (work.runner === 0) return beginWork(k, task, worker, id);
    // It is still under way elsewhere in the pool: there it runs again.
    work.where = "scheduled";
    workerOf(k, work.runner).scheduled.push(id);
  }
}

function beginWork(k: Kernel, task: Task, worker: Worker, id: number): StepResult {
  const pool = poolOf(k, worker.pool);
  const work = workOf(k, id);
  const queue = queueOf(k, pwqOf(k, work.pwq).wq);
  worker.work = id;
  worker.func = work.func;
  worker.pwq = work.pwq;
  worker.instance = work.instance;
  worker.epoch = work.epoch;
  worker.desc = queue.name;
  worker.beganNs = task.utimeNs + task.stimeNs;
  work.runner = worker.tid;
  work.where = "nowhere";
  work.pending = false;
  if ((queue.flags & WQ_CPU_INTENSIVE) !== 0) setFlags(k, worker, WORKER_CPU_INTENSIVE);
  if (needMoreWorker(pool)) wakeUpWorker(k, pool);
  watchHogs(k, pool);
  return { act: "enter", code: work.func, locals: { work: id, arg: work.arg } satisfies WorkLocals };
}

/** The item has ended; its own function may have freed it. */
export function endWork(k: Kernel, task: Task, worker: Worker): void {
  leakedAtomic(k, task, worker);
  endOfHog(k, task, worker);
  clearFlags(k, worker, WORKER_CPU_INTENSIVE);
  const work = k.state.irq.wq.works.get(worker.work);
  if (work !== undefined) {
    work.runner = 0;
    work.done = worker.instance;
    if (work.wait !== 0) wake(k, work.wait, { nr: Infinity });
  }
  worker.work = 0;
  itemEnded(k, must(k.state.irq.wq.pwqs, worker.pwq), worker.epoch, true);
}

function leakedAtomic(k: Kernel, task: Task, worker: Worker): void {
  const count = taskPreemptCount(task);
  if (count === 0) return;
  printk(k, ERR, `BUG: workqueue leaked lock or atomic: ${task.comm}/0x${count.toString(16).padStart(8, "0")}/${task.tid}\n     last function: ${symbolOf(worker.func)}`);
  task.preemptCount = 0;
}
