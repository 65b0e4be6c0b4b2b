/** Tasklets: functions that run once, in softirq context, on the CPU that scheduled them (kernel/softirq.c). A tasklet is an id. */
import { assert, must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { charge } from "../sched/cost.ts";
import { NEXT, steps } from "../sched/steps.ts";
import { newWaitQueue, sleepOn, wake } from "../sched/wait_queue.ts";
import { openSoftirq, raiseSoftirq, raiseSoftirqOn } from "./softirq.ts";
import { HI_SOFTIRQ, TASKLET_SOFTIRQ, type Tasklet } from "./state.ts";

export type TaskletCallback = (k: Kernel, data: number) => void;

const callbacks = new Map<string, TaskletCallback>();

/** Registers what a tasklet runs; it may not sleep. */
export function taskletCallback(name: string, callback: TaskletCallback): void {
  assert(!callbacks.has(name), `two tasklet callbacks named ${name}`);
  callbacks.set(name, callback);
}

/** A tasklet that calls `callback` with `data` (tasklet_setup, tasklet_init); it lies in the memory of module `owner`. */
export function taskletInit(k: Kernel, callback: string, data = 0, owner = ""): number {
  const { irq } = k.state;
  must(callbacks, callback);
  const id = irq.nextTasklet++;
  irq.tasklets.set(id, { id, callback, data, owner, scheduled: false, running: false, disabled: 0, cpu: 0, wait: 0 });
  return id;
}

/** Its memory goes; a scheduled one that nobody killed is dropped. */
export function taskletFree(k: Kernel, id: number): void {
  const tasklet = must(k.state.irq.tasklets, id);
  for (const cpu of k.state.irq.cpus) for (const list of [cpu.tasklets, cpu.hiTasklets]) if (list.includes(id)) list.splice(list.indexOf(id), 1);
  if (tasklet.wait !== 0) wake(k, tasklet.wait, { nr: Infinity });
  k.state.irq.tasklets.delete(id);
}

/** It runs soon on this CPU, once, however often it is scheduled before that. */
export function taskletSchedule(k: Kernel, id: number): void {
  schedule(k, id, TASKLET_SOFTIRQ);
}

/** The same, ahead of all other softirqs. */
export function taskletHiSchedule(k: Kernel, id: number): void {
  schedule(k, id, HI_SOFTIRQ);
}

function schedule(k: Kernel, id: number, nr: number): void {
  const tasklet = must(k.state.irq.tasklets, id);
  if (tasklet.scheduled) return;
  const cpu = k.state.irq.cpus[k.turn.cpu];
  tasklet.scheduled = true;
  tasklet.cpu = k.turn.cpu;
  (nr === HI_SOFTIRQ ? cpu.hiTasklets : cpu.tasklets).push(id);
  raiseSoftirq(k, nr);
}

/** Keeps it from running until it is enabled as often. A tasklet ends within its event: there is no running one to wait for. */
export function taskletDisable(k: Kernel, id: number): void {
  must(k.state.irq.tasklets, id).disabled++;
}

/** Lets it run again; scheduled meanwhile, it does. */
export function taskletEnable(k: Kernel, id: number): void {
  const tasklet = must(k.state.irq.tasklets, id);
  tasklet.disabled--;
  if (tasklet.disabled > 0 || !tasklet.scheduled) return;
  const nr = k.state.irq.cpus[tasklet.cpu].hiTasklets.includes(id) ? HI_SOFTIRQ : TASKLET_SOFTIRQ;
  raiseSoftirqOn(k, tasklet.cpu, nr);
}

/** Waits until a scheduled tasklet has run, for ever when it is disabled (tasklet_kill). Ends with 0. */
export const taskletKill = steps<{ tasklet: number }>("tasklet_kill", {
  queue: (k, _task, { locals }) => {
    const tasklet = k.state.irq.tasklets.get(locals.tasklet);
    if (tasklet !== undefined && tasklet.scheduled && tasklet.wait === 0) tasklet.wait = newWaitQueue(k);
    return NEXT;
  },
  wait: (k, _task, { locals }) => {
    const tasklet = k.state.irq.tasklets.get(locals.tasklet);
    return tasklet?.scheduled === true ? sleepOn(tasklet.wait, { mode: "uninterruptible", wchan: "tasklet_kill" }) : 0;
  },
});

/** A call of a function, with its entry and its exit. */
const CALL_NS = 100;

/**
 * Runs the list of this CPU. Differs from Linux: a disabled tasklet waits on the list without raising its softirq again and
 * again; enabling raises it.
 */
function runList(k: Kernel, list: number[]): void {
  for (const id of list.splice(0)) {
    const tasklet = k.state.irq.tasklets.get(id);
    if (tasklet === undefined) continue;
    if (tasklet.disabled > 0) list.push(id);
    else runTasklet(k, tasklet);
  }
}

function runTasklet(k: Kernel, tasklet: Tasklet): void {
  tasklet.scheduled = false;
  tasklet.running = true;
  charge(k, CALL_NS);
  must(callbacks, tasklet.callback)(k, tasklet.data);
  tasklet.running = false;
  if (!tasklet.scheduled && tasklet.wait !== 0) wake(k, tasklet.wait, { nr: Infinity });
}

openSoftirq(HI_SOFTIRQ, (k) => runList(k, k.state.irq.cpus[k.turn.cpu].hiTasklets));
openSoftirq(TASKLET_SOFTIRQ, (k) => runList(k, k.state.irq.cpus[k.turn.cpu].tasklets));
