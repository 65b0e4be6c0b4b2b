/** What the end of a task means for System V IPC: semaphore operations with SEM_UNDO are undone. */
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { exitSem } from "./sem.ts";

/** Called for every thread after its memory is gone; the last one of a process undoes. */
export function exitIpc(k: Kernel, task: Task): void {
  if (k.state.ipc.sem.size > 0) exitSem(k, task);
}
