/** Work queues: what queueing, flushing and cancelling answer, ordered and parallel queues, delayed work. */
import { atomicIncReturn, atomicRead, atomicSet } from "../../../lib/atomic.ts";
import { cancelDelayedWorkSync, cancelWorkSync, destroyWorkqueue, drainWorkqueue, flushDelayedWork, flushWork, flushWorkqueue } from "../../../irq/flush.ts";
import { modDelayedWork, queueDelayedWork, queueWork } from "../../../irq/queue_work.ts";
import { delayedWorkPending, freeWork, initDelayedWork, initWork, workBusy, workFunction, workPending, type WorkLocals } from "../../../irq/work.ts";
import { allocOrderedWorkqueue, allocWorkqueue, WQ_UNBOUND } from "../../../irq/workqueue.ts";
import type { Kernel } from "../../../kernel.ts";
import { completeAll, initCompletion, waitForCompletion } from "../../../sched/completion.ts";
import { inInterrupt, inSoftirq, inTask, irqsDisabled } from "../../../sched/preempt.ts";
import { enter, NEXT, steps } from "../../../sched/steps.ts";
import { msleep } from "../../../sched/timeout.ts";
import { msecsToJiffies } from "../../../time/jiffies.ts";
import { NAME, P, statics } from "./say.ts";

workFunction("apitest.wf", (k, task, { work }) => {
  const s = statics(k);
  const n = atomicIncReturn(s.runs);
  if (n === 1) P(k, "work ctx: comm=%s in_interrupt=%lu in_softirq=%lu irqs_disabled=%d in_task=%d", task.comm, Number(inInterrupt(k)), Number(inSoftirq(k)), irqsDisabled(k), inTask(k));
  if (s.selfq && n < 3) P(k, "requeue self=%d", queueWork(k, s.q1, work));
  return 0;
});

steps<WorkLocals>("apitest.wgate", {
  start: (k) => {
    P(k, "gate work start");
    return enter(waitForCompletion, statics(k).gate);
  },
  end: (k) => {
    P(k, "gate work end");
    return 0;
  },
});

steps<WorkLocals>("apitest.owf", {
  sleep: (k, _task, { locals: { arg } }) => enter(msleep, { ms: statics(k).ms[arg] }),
  note: (k, _task, { locals: { arg } }) => {
    statics(k).order.push(arg);
    return 0;
  },
});

/** Queues `count` works that sleep for what `ms` says of each. */
function queueSleepers(k: Kernel, wq: number, count: number, ms: (i: number) => number): void {
  const s = statics(k);
  s.order = [];
  for (const work of s.ows) freeWork(k, work);
  s.ows = [];
  s.ms = Array.from({ length: count }, (_, i) => ms(i));
  for (let i = 0; i < count; i++) {
    s.ows.push(initWork(k, "apitest.owf", { arg: i, owner: NAME }));
    queueWork(k, wq, s.ows[i]);
  }
}

export const testWorkqueues = steps<{ runs?: number }>("apitest.t_wq", {
  queue: (k) => {
    const s = statics(k);
    s.q1 = allocWorkqueue(k, "apiq", 0, 0, NAME);
    s.qo = allocOrderedWorkqueue(k, "apio", 0, NAME);
    s.qu = allocWorkqueue(k, "apiu", WQ_UNBOUND, 4, NAME);
    s.gate = initCompletion(k, { name: "gate", module: NAME });
    s.w1 = initWork(k, "apitest.wf", { owner: NAME });
    P(k, "queue_work #1=%d", queueWork(k, s.q1, s.w1));
    P(k, "queue_work #2 (maybe pending)=%d", queueWork(k, s.q1, s.w1));
    return enter(flushWork, { work: s.w1 });
  },
  flushAgain: (k) => enter(flushWork, { work: statics(k).w1 }),
  flushed: (k, _task, { ret }) => {
    const s = statics(k);
    P(k, "runs=%d flush again=%d", atomicRead(s.runs), ret);
    return enter(cancelWorkSync, { work: s.w1 });
  },
  gate: (k, _task, { ret }) => {
    const s = statics(k);
    P(k, "cancel_work_sync idle=%d", ret);
    s.w2 = initWork(k, "apitest.wgate", { owner: NAME });
    P(k, "gate queue=%d", queueWork(k, s.qu, s.w2));
    return enter(msleep, { ms: 20 });
  },
  open: (k) => {
    const s = statics(k);
    P(k, "gate pending=%d busy=%u", workPending(k, s.w2), workBusy(k, s.w2));
    P(k, "queue while running=%d (runs again later)", queueWork(k, s.qu, s.w2));
    P(k, "queue while running and pending=%d", queueWork(k, s.qu, s.w2));
    completeAll(k, s.gate);
    return enter(flushWorkqueue, { wq: s.qu });
  },
  self: (k) => {
    const s = statics(k);
    P(k, "after flush pending=%d busy=%u", workPending(k, s.w2), workBusy(k, s.w2));
    atomicSet(s.runs, 0);
    s.selfq = true;
    P(k, "self q=%d", queueWork(k, s.q1, s.w1));
    return enter(msleep, { ms: 50 });
  },
  drain: (k) => enter(drainWorkqueue, { wq: statics(k).q1 }),
  ordered: (k) => {
    const s = statics(k);
    P(k, "self requeue runs=%d", atomicRead(s.runs));
    s.selfq = false;
    queueSleepers(k, s.qo, 6, (i) => (6 - i) * 5);
    return enter(flushWorkqueue, { wq: s.qo });
  },
  unbound: (k) => {
    const s = statics(k);
    P(k, "ordered wq order %s", s.order.join(""));
    queueSleepers(k, s.qu, 4, (i) => (4 - i) * 25);
    return enter(flushWorkqueue, { wq: s.qu });
  },
  delayed: (k) => {
    const s = statics(k);
    P(k, "unbound max_active=4 finish order %s (sleep 100,75,50,25 ms)", s.order.join(""));
    s.dw = initDelayedWork(k, "apitest.wf", { owner: NAME });
    atomicSet(s.runs, 5);
    P(k, "queue_delayed 30ms=%d", queueDelayedWork(k, s.q1, s.dw, msecsToJiffies(k, 30)));
    P(k, "queue_delayed again=%d", queueDelayedWork(k, s.q1, s.dw, 1));
    P(k, "pending=%d", delayedWorkPending(k, s.dw));
    P(k, "mod_delayed 10ms=%d", modDelayedWork(k, s.q1, s.dw, msecsToJiffies(k, 10)));
    return enter(msleep, { ms: 60 });
  },
  cancel: (k) => {
    const s = statics(k);
    P(k, "delayed runs=%d pending=%d", atomicRead(s.runs), delayedWorkPending(k, s.dw));
    P(k, "mod_delayed idle=%d", modDelayedWork(k, s.q1, s.dw, k.state.machine.hz));
    return enter(cancelDelayedWorkSync, { work: s.dw });
  },
  cancelAgain: (k, _task, { ret }) => {
    P(k, "cancel_delayed_work_sync pending=%d", ret);
    return enter(cancelDelayedWorkSync, { work: statics(k).dw });
  },
  flushIdle: (k, _task, { ret }) => {
    P(k, "cancel again=%d", ret);
    return enter(flushDelayedWork, { work: statics(k).dw });
  },
  flushPending: (k, _task, { ret, locals }) => {
    const s = statics(k);
    P(k, "flush_delayed_work idle=%d", ret);
    queueDelayedWork(k, s.q1, s.dw, 10 * k.state.machine.hz);
    locals.runs = atomicRead(s.runs);
    return enter(flushDelayedWork, { work: s.dw });
  },
  destroy: (k, _task, { ret, locals: { runs = 0 } }) => {
    const s = statics(k);
    P(k, "flush_delayed_work pending=%d ran_now=%d", ret, atomicRead(s.runs) - runs);
    return enter(destroyWorkqueue, { wq: s.q1 });
  },
  destroyOrdered: (k) => enter(destroyWorkqueue, { wq: statics(k).qo }),
  destroyUnbound: (k) => enter(destroyWorkqueue, { wq: statics(k).qu }),
  free: (k) => {
    const s = statics(k);
    for (const work of [s.w1, s.w2, s.dw, ...s.ows]) freeWork(k, work);
    s.ows = [];
    return NEXT;
  },
});
