/** Waiting for work: for one item, for all of a queue, and until an item is neither queued nor under way (kernel/workqueue.c). */
import type { Kernel } from "../kernel.ts";
import { printk } from "../sched/printk.ts";
import { schedYield } from "../sched/run_queue.ts";
import { enter, NEXT, steps, to, type StepResult } from "../sched/steps.ts";
import { sleepOn, wake } from "../sched/wait_queue.ts";
import { delTimer } from "../time/timer_list.ts";
import { freeQueue, insertWork, queueOf, tryToGrabPending } from "./queue_work.ts";
import { workWait } from "./work.ts";
import { workerOf } from "./pool.ts";
import type { Work } from "./workqueue_state.ts";

const WARNING = 4;

interface FlushLocals {
  work: number;
  /** The execution that is waited for; 0 before that is known. */
  instance?: number;
}

/** The execution that a flush waits for: the one that is queued, else the one under way; 0 for none. */
function lastInstance(k: Kernel, work: Work): number {
  if (work.where !== "nowhere" && work.where !== "timer") return work.instance;
  return work.runner === 0 ? 0 : workerOf(k, work.runner).instance;
}

/** Answers 1 when `instance` of the item has ended; its memory may be gone. */
function waitFor(k: Kernel, id: number, instance: number): StepResult {
  const work = k.state.irq.wq.works.get(id);
  if (work === undefined || work.done >= instance) return 1;
  return sleepOn(workWait(k, work), { mode: "uninterruptible", wchan: "__flush_work" });
}

/** Waits until the item's last queueing has run: 1, or 0 when it was idle, or waits for its timer (flush_work). */
export const flushWork = steps<FlushLocals>("flush_work", {
  begin: (k, _task, { locals }) => {
    const work = k.state.irq.wq.works.get(locals.work);
    locals.instance = work === undefined ? 0 : lastInstance(k, work);
    return locals.instance === 0 ? 0 : NEXT;
  },
  wait: (k, _task, { locals }) => waitFor(k, locals.work, locals.instance ?? 0),
});

/** Queues a delayed item at once if its timer runs, and waits for it (flush_delayed_work). */
export const flushDelayedWork = steps<FlushLocals>("flush_delayed_work", {
  queue: (k, task, { locals }) => {
    const work = k.state.irq.wq.works.get(locals.work);
    if (work?.where === "timer") {
      delTimer(k, work.timer);
      insertWork(k, work.cpu, work.wq, work);
      // As recorded: flush_work may sleep, and there a worker that has just been woken on this CPU comes first.
      schedYield(k, task);
    }
    return NEXT;
  },
  flush: (_k, _task, { locals }) => enter(flushWork, { work: locals.work }),
  end: (_k, _task, { ret }) => ret,
});

interface CancelLocals {
  work: number;
  /** It was queued. */
  was?: boolean;
}

/** Takes the item back if it is queued and waits until it is not under way either: 1 when it was queued, else 0 (cancel_work_sync). */
export const cancelWorkSync = steps<CancelLocals>("cancel_work_sync", {
  grab: (k, _task, { locals }) => {
    const work = k.state.irq.wq.works.get(locals.work);
    if (work === undefined) return 0;
    if (work.canceling) return sleepOn(workWait(k, work), { mode: "uninterruptible", wchan: "__cancel_work_timer" });
    locals.was = tryToGrabPending(k, work) === 1;
    work.canceling = true;
    return NEXT;
  },
  wait: (k, _task, { locals }) => {
    const work = k.state.irq.wq.works.get(locals.work);
    if (work !== undefined && work.runner !== 0) return sleepOn(workWait(k, work), { mode: "uninterruptible", wchan: "__flush_work" });
    if (work !== undefined) {
      work.canceling = false;
      work.pending = false;
      if (work.wait !== 0) wake(k, work.wait, { nr: Infinity });
    }
    return locals.was === true ? 1 : 0;
  },
});

export const cancelDelayedWorkSync = cancelWorkSync;

interface QueueLocals {
  wq: number;
  /** Items of this flush epoch and before are waited for. */
  epoch?: number;
}

/** Waits until all that was queued before has ended; what comes meanwhile is not waited for (flush_workqueue). Ends with 0. */
export const flushWorkqueue = steps<QueueLocals>("flush_workqueue", {
  begin: (k, _task, { locals }) => {
    locals.epoch = queueOf(k, locals.wq).epoch++;
    return NEXT;
  },
  wait: (k, _task, { locals }) => {
    const queue = k.state.irq.wq.queues.get(locals.wq);
    if (queue === undefined) return 0;
    // Epochs stand in the order in which they began: the first one is the oldest.
    for (const epoch of queue.inFlight.keys()) {
      if (epoch > (locals.epoch ?? 0)) break;
      return sleepOn(queue.wait, { mode: "uninterruptible", wchan: "__flush_workqueue" });
    }
    return 0;
  },
});

interface DrainLocals {
  wq: number;
  flushes?: number;
  /** The function that drains, as the log names it. */
  caller?: string;
}

/** Flushes again and again until the queue is empty; meanwhile only its own items may queue more (drain_workqueue). Ends with 0. */
export const drainWorkqueue = steps<DrainLocals>("drain_workqueue", {
  begin: (k, _task, { locals }) => {
    queueOf(k, locals.wq).drainers++;
    locals.flushes = 0;
    return NEXT;
  },
  flush: (_k, _task, { locals }) => enter(flushWorkqueue, { wq: locals.wq }),
  look: (k, _task, { locals }) => {
    const queue = queueOf(k, locals.wq);
    if (queue.inFlight.size === 0) {
      queue.drainers--;
      return 0;
    }
    const flushes = (locals.flushes ?? 0) + 1;
    locals.flushes = flushes;
    if (flushes === 10 || (flushes % 100 === 0 && flushes <= 1000)) {
      printk(k, WARNING, `workqueue ${queue.name}: ${locals.caller ?? "drain_workqueue"}() isn't complete after ${flushes} tries`);
    }
    return to("flush");
  },
});

/** Drains a queue and takes it away with its rescuer (destroy_workqueue). Ends with 0. */
export const destroyWorkqueue = steps<{ wq: number }>("destroy_workqueue", {
  drain: (_k, _task, { locals }) => enter(drainWorkqueue, { wq: locals.wq }),
  free: (k, _task, { locals }) => {
    freeQueue(k, queueOf(k, locals.wq));
    return 0;
  },
});
