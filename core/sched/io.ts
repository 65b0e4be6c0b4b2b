/**
 * Waiting for a disk: what a step reads or writes is there at once for its own code, and the time that it takes is slept
 * through before the task's next step (io_schedule). So code that touches user memory need not be made to sleep in its middle.
 */
import type { Kernel } from "../kernel.ts";
import { now } from "../time/clock.ts";
import type { Task } from "./task.ts";
import { beginSleep, sleepUntil } from "./wait_queue.ts";

/** The running step has to do with a disk that is done at `untilNs`. */
export function waitForIo(k: Kernel, untilNs: number): void {
  if (k.turn.ioUntilNs < untilNs) k.turn.ioUntilNs = untilNs;
}

/** Whether the running step has something to wait for. */
export function waitsForIo(k: Kernel): boolean {
  return k.turn.ioUntilNs !== 0;
}

/**
 * After a step: the task sleeps for the disk. One that sleeps already, or is over, has nothing to wait for; nor has one that
 * may not sleep, whose faults do no more than count.
 */
export function ioSchedule(k: Kernel, task: Task): void {
  const untilNs = k.turn.ioUntilNs;
  k.turn.ioUntilNs = 0;
  if (task.state !== "runnable" || task.frames.length === 0 || task.preemptCount !== 0 || untilNs <= now(k)) return;
  beginSleep(k, task, sleepUntil(untilNs, { mode: "uninterruptible", wchan: "io_schedule", io: true }));
}
