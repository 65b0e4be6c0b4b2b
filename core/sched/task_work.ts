/** Work that a task does before it leaves the kernel: releasing files whose last reference it dropped (task_work_add). */
import type { Kernel } from "../kernel.ts";
import { enter, NEXT, pushFrame, steps, to, type StepResult } from "./steps.ts";
import { current, taskOf, type Task } from "./task.ts";
import { enqueue } from "./run_queue.ts";

/** Tid of the thread that releases what no task of its own holds: kthreadd's child for such work. */
export const FPUT_TID = 3;

/** The running task releases the file as it leaves the kernel; where no task runs, a kernel thread does. */
export function addTaskWork(k: Kernel, fileId: number): void {
  const task = current(k) ?? taskOf(k, FPUT_TID);
  task.work.push(fileId);
  if (task.kind === "kthread" && task.state === "sleeping" && task.frames.length === 0) {
    pushFrame(task, "taskWork", {});
    enqueue(k, task);
  }
}

/** Does the task's work as far as it needs no sleep; an action when a release sleeps. */
export function doTaskWork(k: Kernel, task: Task): StepResult {
  for (let fileId = task.work.shift(); fileId !== undefined; fileId = task.work.shift()) {
    const result = k.tables.hooks.releaseFile(k, task, fileId);
    if (typeof result === "object") return result;
  }
  return NEXT;
}

/** All work of a task as a frame of its own; ends with 0. */
export const taskWork = steps<object>("taskWork", {
  work: (k, task) => doTaskWork(k, task),
  more: (_k, task) => (task.work.length > 0 ? to("work") : 0),
});

/** Enters the task's work, for code that is itself a step. */
export function enterTaskWork(): StepResult {
  return enter(taskWork, {});
}
