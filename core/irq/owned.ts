/** What of a module's memory is still armed or queued as the module goes: told of as debugobjects tells, and taken off. */
import type { Kernel } from "../kernel.ts";
import { warn } from "../sched/dump_stack.ts";
import { pushFrame } from "../sched/steps.ts";
import { taskOf } from "../sched/task.ts";
import { wakeTask } from "../sched/wait_queue.ts";
import { freeTimer, timersOf } from "../time/timer_list.ts";
import { cancelWork, freeQueue } from "./queue_work.ts";
import { taskletFree } from "./tasklet.ts";
import { freeWork, symbolOf } from "./work.ts";
import type { Workqueue } from "./workqueue_state.ts";

/** Work queues that the module made and did not destroy. */
export function queuesOf(k: Kernel, owner: string): Workqueue[] {
  return [...k.state.irq.wq.queues.values()].filter((queue) => queue.owner === owner);
}

/** Takes off whatever lies in the memory of module `owner`. An item under way goes on in the step table `goneCode`. */
export function freeOwned(k: Kernel, owner: string, goneCode: string): void {
  for (const { id, func, pending } of timersOf(k, owner)) {
    if (pending) reportActive(k, owner, "timer_list", func);
    freeTimer(k, id);
  }
  freeWorks(k, owner, goneCode);
  for (const tasklet of [...k.state.irq.tasklets.values()]) if (tasklet.owner === owner) taskletFree(k, tasklet.id);
  freeQueues(k, owner);
}

function freeWorks(k: Kernel, owner: string, goneCode: string): void {
  for (const work of [...k.state.irq.wq.works.values()]) {
    if (work.owner !== owner) continue;
    if (["list", "inactive", "scheduled"].includes(work.where)) reportActive(k, owner, "work_struct", work.func);
    work.timer = 0; // it went with the others
    if (work.where === "timer") work.where = "nowhere";
    else cancelWork(k, work.id);
    if (work.runner !== 0) cutShort(k, work.runner, goneCode);
    freeWork(k, work.id);
  }
}

/** The code of the item that this worker executes is gone: the next thing that it runs is what stands there now. */
function cutShort(k: Kernel, tid: number, goneCode: string): void {
  const task = taskOf(k, tid);
  if (task.sleep !== null) wakeTask(k, task);
  task.frames.length = 1;
  pushFrame(task, goneCode, {});
}

/** Items of others on a queue that goes are lost with it. */
function freeQueues(k: Kernel, owner: string): void {
  const { wq } = k.state.irq;
  for (const queue of queuesOf(k, owner)) {
    for (const work of [...wq.works.values()]) if (work.where !== "nowhere" && wq.pwqs.get(work.pwq)?.wq === queue.id) cancelWork(k, work.id);
    if (queue.inFlight.size > 0) continue; // a worker is still at it, and finds its way back
    freeQueue(k, queue);
  }
}

/** debug_print_object() */
function reportActive(k: Kernel, owner: string, type: string, func: string): void {
  const module = func.startsWith(`${owner}.`) ? ` [${owner}]` : "";
  warn(k, `ODEBUG: free active (active state 0) object type: ${type} hint: ${symbolOf(func)}+0x0/0x100${module}`,
    { file: "lib/debugobjects.c", line: 502, symbol: "debug_print_object+0x6e/0x90" },
    ["__debug_check_no_obj_freed+0x1a5/0x220", "free_module+0xe6/0x290", "__do_sys_delete_module.constprop.0+0x1c3/0x2c0"]);
}
