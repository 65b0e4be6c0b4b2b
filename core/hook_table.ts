/** What stands behind the hooks: the functions that lower rooms call upward. */
import { fileOf, fput, getFile, releaseFile } from "./fs/file.ts";
import { fileMapName, filePage, pageCacheFrames } from "./fs/page_cache.ts";
import type { Hooks } from "./hooks.ts";
import { workerRunning, workerSleeping } from "./irq/pool.ts";
import { doSoftirq, irqEnter, irqExit, raiseSoftirq } from "./irq/softirq.ts";
import type { Kernel } from "./kernel.ts";
import { unmapFileRange } from "./mm/unmap_mapping.ts";
import { modulePut, tryModuleGet } from "./module/refcount.ts";
import { startProgram } from "./process/exec.ts";
import { beginOf } from "./programs/image.ts";
import { kthread } from "./process/create.ts";
import { timerSignalTaken } from "./process/itimer.ts";
import { sampleLoad } from "./sched/loadavg.ts";
import { enqueue } from "./sched/run_queue.ts";
import { pushFrame } from "./sched/steps.ts";
import type { Task } from "./sched/task.ts";
import { endCallByDeath } from "./syscalls/driven.ts";
import { exitIpc } from "./ipc/exit.ts";

/** A driven task is back with its caller; a kernel thread waits for more to do. */
function taskReturned(k: Kernel, task: Task): void {
  if (startProgram(k, task)) return;
  // A signal may have come since the call looked for one on its way out.
  if (task.kind === "driven" && task.signalPending) {
    pushFrame(task, "signals", {});
    return;
  }
  sampleLoad(k); // up to here it ran
  task.state = task.kind === "driven" ? "parked" : "sleeping";
}

/** A parked process looks at its signals as it would on its way out of the kernel. */
function signalParked(k: Kernel, task: Task): void {
  pushFrame(task, "signals", {});
  enqueue(k, task);
}

export const hooks: Hooks = {
  taskReturned,
  signalParked,
  callEnded: endCallByDeath,
  exitIpc,
  timerSignalTaken,
  execProgram: (_k, _path, argv, envp, head) => beginOf(head)?.(argv, envp) ?? null,
  releaseFile,
  getFile: (k, fileId) => { getFile(k, fileOf(k, fileId)); },
  fput: (k, fileId) => { fput(k, fileOf(k, fileId)); },
  file: fileOf,
  filePage,
  fileMapName,
  pageCacheFrames,
  unmapFileRange,
  tryModuleGet,
  modulePut,
  irqEnter,
  irqExit,
  raiseSoftirq,
  doSoftirq,
  workerSleeping,
  workerRunning,
  createKthread: (k, name) => kthread(k, name),
};
