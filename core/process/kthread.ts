/** Kernel threads of modules: made, bound, parked, asked to stop, and what they answered (kernel/kthread.c). */
import { EBUSY, EINTR, ENOMEM, ENOSYS } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { PROCESS_LIMIT } from "./limits.ts";
import { enterExit } from "./exit.ts";
import { kthread } from "./create.ts";
import { charge, costs } from "../sched/cost.ts";
import type { KthreadRecord } from "../sched/lock_state.ts";
import { mightSleep } from "../sched/preempt.ts";
import { newRefcount, refcountWarnSaturate } from "../sched/refcount.ts";
import { dequeueSignal, recalcSignalPending } from "../sched/signal.ts";
import { LOCKING } from "../sched/stack_trace.ts";
import { enter, NEXT, pushFrame, steps, to, type StepTable } from "../sched/steps.ts";
import { groupOf, handlersOf, taskOf, type Task } from "../sched/task.ts";
import { beginSleep, newWaitQueue, sleepOn, wake, wakeTask } from "../sched/wait_queue.ts";

interface MainLocals {
  code: string;
  locals: unknown;
}

const recordOf = (k: Kernel, tid: number): KthreadRecord => must(k.state.sched.kthreads, tid);

/** The bottom of such a thread: its function, unless it is asked to stop before its first step; then its end. */
const kthreadMain = steps<MainLocals>("kthread.main", {
  begin: (k, task, frame) => {
    const record = recordOf(k, task.tid);
    record.woken = true;
    if (record.shouldStop) {
      frame.ret = -EINTR;
      return to("exit");
    }
    return record.shouldPark ? enter(parkme, {}) : NEXT;
  },
  unparked: () => NEXT,
  run: (_k, _task, { locals }) => {
    const { code, locals: begun } = locals;
    locals.locals = null; // a record has one owner: from here on, the entered frame
    return { act: "enter", code, locals: begun };
  },
  exit: (k, task, frame) => {
    // The function's int.
    leave(k, task, Number(BigInt.asIntN(32, BigInt(frame.ret))));
    return enterExit({ status: 0, group: false });
  },
  never: () => NEXT,
});

/** It is over: kthread_stop gets its number, and the record stays for those that still hold it. */
function leave(k: Kernel, task: Task, result: number): void {
  const record = recordOf(k, task.tid);
  record.exited = true;
  record.result = result;
  wake(k, record.stopQueue, { nr: Infinity });
  putRecord(k, task.tid, record);
}

function putRecord(k: Kernel, tid: number, record: KthreadRecord): void {
  if (--record.refs === 0) k.state.sched.kthreads.delete(tid);
}

export interface KthreadOptions {
  /** The CPU that it is bound to from the start. */
  cpu?: number;
}

/**
 * Makes a thread that runs `entry`, and lets it sleep until wakeUpProcess. Answers its tid, or -ENOMEM as ERR_PTR.
 * Differs from Linux: the caller makes it itself, where it would wait for kthreadd.
 */
export function kthreadCreate<L>(k: Kernel, entry: StepTable<L>, locals: L, name: string, { cpu }: KthreadOptions = {}): number {
  mightSleep(k, "kernel/sched/completion.c:101");
  if (k.state.sched.tasks.size >= PROCESS_LIMIT) return -ENOMEM;
  charge(k, costs(k).threadNs);
  const task = kthread(k, name);
  if (typeof task === "number") return -ENOMEM;
  k.state.sched.kthreads.set(task.tid, {
    shouldStop: false, shouldPark: false, parked: false, woken: false, bound: false, exited: false, result: 0, refs: 1,
    stopQueue: newWaitQueue(k), parkQueue: newWaitQueue(k),
  });
  pushFrame(task, kthreadMain.name, { code: entry.name, locals } satisfies MainLocals);
  beginSleep(k, task, sleepOn([], { mode: "uninterruptible", wchan: "kthread" }));
  if (cpu !== undefined) kthreadBind(k, task.tid, cpu);
  return task.tid;
}

/** kthread_create_on_cpu; `name` with %u in it gets the number of the CPU. */
export const kthreadCreateOnCpu = <L>(k: Kernel, entry: StepTable<L>, locals: L, cpu: number, name: string): number =>
  kthreadCreate(k, entry, locals, name.replace("%u", String(cpu)), { cpu });

/** Makes a thread and lets it run. Its tid, or -ENOMEM. */
export function kthreadRun<L>(k: Kernel, entry: StepTable<L>, locals: L, name: string, options?: KthreadOptions): number {
  const tid = kthreadCreate(k, entry, locals, name, options);
  if (tid > 0) wakeUpProcess(k, tid);
  return tid;
}

export const kthreadRunOnCpu = <L>(k: Kernel, entry: StepTable<L>, locals: L, cpu: number, name: string): number =>
  kthreadRun(k, entry, locals, name.replace("%u", String(cpu)), { cpu });

/** Wakes a task whatever it sleeps for: 1, or 0 when it did not sleep (wake_up_process). */
export function wakeUpProcess(k: Kernel, tid: number): number {
  const task = k.state.sched.tasks.get(tid);
  if (task === undefined || task.sleep === null) return 0;
  wakeTask(k, task);
  return 1;
}

/** Binds a thread that has not run yet to one CPU; nobody may move it from there. */
export function kthreadBind(k: Kernel, tid: number, cpu: number): void {
  const task = taskOf(k, tid);
  task.affinity = 2 ** cpu;
  task.cpu = cpu;
  recordOf(k, tid).bound = true;
}

/** Whether sched_setaffinity(2) must refuse the task (PF_NO_SETAFFINITY). */
export const kthreadIsBound = (k: Kernel, tid: number): boolean => k.state.sched.kthreads.get(tid)?.bound === true;

/** Whether the running thread was asked to stop; its function should return then. */
export const kthreadShouldStop = (k: Kernel, task: Task): boolean => recordOf(k, task.tid).shouldStop;
export const kthreadShouldPark = (k: Kernel, task: Task): boolean => recordOf(k, task.tid).shouldPark;

/** Keeps what is known of a thread beyond its end; kthread_stop of one that has returned needs it. */
export function getTaskStruct(k: Kernel, tid: number): void {
  recordOf(k, tid).refs++;
}

export function putTaskStruct(k: Kernel, tid: number): void {
  putRecord(k, tid, recordOf(k, tid));
}

interface StopLocals {
  tid: number;
  held?: boolean;
}

/**
 * Asks a thread to stop, wakes it and waits for its end: what its function answered, or -EINTR when it had never run.
 * A thread that had returned before, and that nobody kept, is gone: Linux would look into freed memory and says so.
 */
export const kthreadStop = steps<StopLocals>(`${LOCKING}kthread_stop`, {
  begin: (k, _task, { locals }) => {
    mightSleep(k, "kernel/sched/completion.c:101");
    const record = k.state.sched.kthreads.get(locals.tid);
    if (record === undefined) {
      refcountWarnSaturate(k, newRefcount(0), "addition on 0");
      return -EINTR;
    }
    record.refs++;
    record.shouldStop = true;
    kthreadUnpark(k, locals.tid);
    wakeUpProcess(k, locals.tid);
    return NEXT;
  },
  wait: (k, _task, { locals }) => {
    const record = recordOf(k, locals.tid);
    if (!record.exited) return sleepOn(record.stopQueue, { mode: "uninterruptible", wchan: "kthread_stop" });
    const { result } = record;
    putRecord(k, locals.tid, record);
    return result;
  },
});

/** Where a thread lies that is asked to park: enter(kthreadParkme, {}) from its loop. */
const parkme = steps<object>("kthread_parkme", {
  park: (k, task) => {
    const record = recordOf(k, task.tid);
    if (!record.shouldPark) {
      record.parked = false;
      return 0;
    }
    if (!record.parked) {
      record.parked = true;
      wake(k, record.stopQueue, { nr: Infinity });
    }
    // TASK_PARKED: no signal and no ordinary wake-up ends it.
    return sleepOn(record.parkQueue, { mode: "uninterruptible", wchan: "kthread_parkme" });
  },
});

export const kthreadParkme = parkme;

/** Asks a thread to park and waits until it lies parked: 0, -ENOSYS when it is over, -EBUSY when it was asked before. */
export const kthreadPark = steps<{ tid: number }>(`${LOCKING}kthread_park`, {
  begin: (k, task, { locals: { tid } }) => {
    const record = k.state.sched.kthreads.get(tid);
    if (record === undefined || record.exited) return -ENOSYS;
    if (record.shouldPark) return -EBUSY;
    record.shouldPark = true;
    if (tid === task.tid) return 0;
    wakeUpProcess(k, tid);
    return NEXT;
  },
  wait: (k, _task, { locals: { tid } }) => {
    const record = k.state.sched.kthreads.get(tid);
    if (record === undefined || record.exited || record.parked) return 0;
    return sleepOn(record.stopQueue, { mode: "uninterruptible", wchan: "kthread_park" });
  },
});

/** Lets a parked thread go on; its bound ones stay on their CPU. */
export function kthreadUnpark(k: Kernel, tid: number): void {
  const record = k.state.sched.kthreads.get(tid);
  if (record === undefined) return;
  record.shouldPark = false;
  if (record.parked) wake(k, record.parkQueue, { nr: Infinity });
}

/** Lets a kernel thread be woken by a signal, which it then finds pending; all others never reach it. */
export function allowSignal(k: Kernel, task: Task, signal: number): void {
  handlersOf(k, groupOf(k, task)).actions.set(signal, { handler: "count", address: 2, flags: 0, mask: 0n });
}

export function disallowSignal(k: Kernel, task: Task, signal: number): void {
  handlersOf(k, groupOf(k, task)).actions.set(signal, { handler: "ignore", address: 1, flags: 0, mask: 0n });
}

/** Forgets all signals that wait for the running thread. */
export function flushSignals(k: Kernel, task: Task): void {
  task.pending = [];
  groupOf(k, task).pending = [];
  recalcSignalPending(k, task);
}

/** Takes the next signal that waits: its number, 0 for none. */
export const kernelDequeueSignal = (k: Kernel, task: Task): number => dequeueSignal(k, task, ~0n)?.number ?? 0;
