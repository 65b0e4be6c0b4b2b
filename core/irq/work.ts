/** Work items: what a work queue runs once for each time that it is queued (include/linux/workqueue.h). An item is an id. */
import { assert, must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { stepTables, steps, type StepResult, type StepTable } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { newWaitQueue, wake } from "../sched/wait_queue.ts";
import { freeTimer, timerFunction, timerSetup } from "../time/timer_list.ts";
import type { Work } from "./workqueue_state.ts";

/** What the step table of an item is entered with. */
export interface WorkLocals {
  work: number;
  arg: number;
}

/** Registers a work function that sleeps at most once, before changing anything; longer ones are `steps<WorkLocals>(name, …)`. */
export function workFunction(name: string, run: (k: Kernel, task: Task, locals: WorkLocals) => StepResult): StepTable<WorkLocals> {
  return steps<WorkLocals>(name, { run: (k, task, { locals }) => run(k, task, locals) });
}

export function workOf(k: Kernel, id: number): Work {
  return must(k.state.irq.wq.works, id);
}

export interface NewWork {
  /** What the function finds in its locals. */
  arg?: number;
  /** The module whose memory it lies in. */
  owner?: string;
}

/** An item that runs the step table `func` (INIT_WORK). */
export function initWork(k: Kernel, func: string, { arg = 0, owner = "" }: NewWork = {}): number {
  assert(stepTables.has(func), `no work function ${func}`);
  const { wq } = k.state.irq;
  const id = wq.nextWork++;
  wq.works.set(id, {
    id, func, arg, owner, pending: false, where: "nowhere", pwq: 0, runner: 0, instance: 0, done: 0, epoch: 0, canceling: false,
    timer: 0, wq: 0, cpu: 0, wait: 0,
  });
  return id;
}

/** The same, with a kernel timer for queueing it later (INIT_DELAYED_WORK). */
export function initDelayedWork(k: Kernel, func: string, options: NewWork = {}): number {
  const id = initWork(k, func, options);
  workOf(k, id).timer = timerSetup(k, "delayed_work_timer_fn", { arg: id, flags: 0, owner: options.owner ?? "" });
  return id;
}

/** Its memory goes; its own function may do this. It is on no list any more. */
export function freeWork(k: Kernel, id: number): void {
  const work = workOf(k, id);
  assert(!["list", "inactive", "scheduled"].includes(work.where), `work ${id} is freed on a list`);
  if (work.timer !== 0) freeTimer(k, work.timer);
  if (work.wait !== 0) wake(k, work.wait, { nr: Infinity });
  k.state.irq.wq.works.delete(id);
}

/** Where those wait who want an execution of it to end. */
export function workWait(k: Kernel, work: Work): number {
  if (work.wait === 0) work.wait = newWaitQueue(k);
  return work.wait;
}

/** Whether it is queued, or its timer runs; one under way is not (work_pending, delayed_work_pending). */
export function workPending(k: Kernel, id: number): boolean {
  return workOf(k, id).pending;
}

export const delayedWorkPending = workPending;

export const WORK_BUSY_PENDING = 1;
export const WORK_BUSY_RUNNING = 2;

/** WORK_BUSY_ bits; a hint, as the next moment may change it. */
export function workBusy(k: Kernel, id: number): number {
  const { pending, runner } = workOf(k, id);
  return (pending ? WORK_BUSY_PENDING : 0) | (runner !== 0 ? WORK_BUSY_RUNNING : 0);
}

/** The item that this task executes, 0 for none (current_work). */
export function currentWork(k: Kernel, task: Task): number {
  return k.state.irq.wq.workers.get(task.tid)?.work ?? 0;
}

/** Name of the C function behind a step table: `simrupt.work_func` is simrupt_work_func. */
export function symbolOf(func: string): string {
  return func.replaceAll(/[^A-Za-z0-9_]/g, "_");
}

/** How a delayed item is queued when its time has come; queue_work.ts says so. */
let timerFires: ((k: Kernel, work: Work) => void) | null = null;

export function onDelayedWork(fires: (k: Kernel, work: Work) => void): void {
  timerFires = fires;
}

timerFunction("delayed_work_timer_fn", (k, id) => timerFires?.(k, workOf(k, id)));
