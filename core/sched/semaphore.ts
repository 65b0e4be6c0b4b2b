/** Counting semaphores: no owner, a strict line (kernel/locking/semaphore.c). The lock checker does not know them. */
import { EINTR, ETIME } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { timeoutNs } from "./wait_event.ts";
import { addLock, lockOf, wakeWaiter, wchanOfCaller } from "./locks.ts";
import type { Semaphore } from "./lock_state.ts";
import { mightSleep } from "./preempt.ts";
import { LOCKING } from "./stack_trace.ts";
import { NEXT, steps, type StepTable } from "./steps.ts";
import type { SleepMode, Task } from "./task.ts";
import { sleepOn, timedOut } from "./wait_queue.ts";

/** A fresh semaphore of `count` units (sema_init). Answers its id. */
export function semaInit(k: Kernel, count: number, { name = "semaphore", module = "" }: { name?: string; module?: string } = {}): number {
  return addLock(k, (base) => ({ ...base, kind: "semaphore", name, module, count, waiters: [], given: [] }));
}

/** Takes a unit without sleeping: 0, or 1 when there was none. As Linux: the other way round than mutex_trylock. */
export function downTrylock(k: Kernel, id: number): number {
  const semaphore = lockOf(k, id, "semaphore");
  if (semaphore.count === 0) return 1;
  semaphore.count--;
  return 0;
}

/** Gives a unit back; anybody may, interrupts too (up). The first in line gets it. */
export function up(k: Kernel, id: number): void {
  const semaphore = lockOf(k, id, "semaphore");
  const first = semaphore.waiters.shift();
  if (first === undefined) {
    semaphore.count++;
    return;
  }
  semaphore.given.push(first);
  wakeWaiter(k, first);
}

/** A semaphore, or one with a time in jiffies after which to give up. */
export type DownLocals = number | { semaphore: number; timeout: number; untilNs?: number };

const semaphoreOf = (k: Kernel, locals: DownLocals): Semaphore => lockOf(k, typeof locals === "number" ? locals : locals.semaphore, "semaphore");

function drop(tids: number[], task: Task): boolean {
  const at = tids.indexOf(task.tid);
  if (at >= 0) tids.splice(at, 1);
  return at >= 0;
}

function downTable(name: string, mode: SleepMode, where: string): StepTable<DownLocals> {
  return steps<DownLocals>(LOCKING + name, {
    begin: (k, task, { locals }) => {
      const semaphore = semaphoreOf(k, locals);
      mightSleep(k, where);
      if (semaphore.count > 0) {
        semaphore.count--;
        return 0;
      }
      semaphore.waiters.push(task.tid);
      if (typeof locals !== "number") locals.untilNs = timeoutNs(k, locals.timeout);
      return typeof locals !== "number" && locals.timeout <= 0 ? -ETIME : NEXT;
    },
    wait: (k, task, { locals }) => {
      const semaphore = semaphoreOf(k, locals);
      if (drop(semaphore.given, task)) return 0;
      if (timedOut(task)) return -ETIME;
      const untilNs = typeof locals === "number" ? -1 : locals.untilNs ?? -1;
      return sleepOn(semaphore.queue, { mode, interrupted: -EINTR, untilNs, wchan: wchanOfCaller(k) });
    },
  }, { undo: { begin: (k, task, { locals }) => { drop(semaphoreOf(k, locals).waiters, task); }, wait: (k, task, { locals }) => { drop(semaphoreOf(k, locals).waiters, task); } } });
}

/** Takes a unit; always 0. */
export const down = downTable("down", "uninterruptible", "kernel/locking/semaphore.c:58");
/** 0, or -EINTR. */
export const downInterruptible = downTable("down_interruptible", "interruptible", "kernel/locking/semaphore.c:82");
export const downKillable = downTable("down_killable", "killable", "kernel/locking/semaphore.c:107");
/** 0, or -ETIME after `timeout` jiffies. */
export const downTimeout = downTable("down_timeout", "uninterruptible", "kernel/locking/semaphore.c:172");
