/** Completions: waiting until something has happened (kernel/sched/completion.c). */
import { ERESTARTSYS } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { addLock, freeLock, lockOf, wchanOfCaller } from "./locks.ts";
import type { Completion } from "./lock_state.ts";
import { mightSleep } from "./preempt.ts";
import { LOCKING } from "./stack_trace.ts";
import { NEXT, steps, type StepTable } from "./steps.ts";
import type { SleepMode } from "./task.ts";
import { newTimeout, timeoutLeft, type Timeout } from "./wait_event.ts";
import { sleepOn, wake } from "./wait_queue.ts";

/** `done` after complete_all: UINT_MAX, which no wait uses up. */
export const DONE_ALL = 0xffff_ffff;

/** A fresh completion (init_completion). Answers its id. */
export function initCompletion(k: Kernel, { name = "completion", module = "" }: { name?: string; module?: string } = {}): number {
  return addLock(k, (base) => ({ ...base, kind: "completion", name, module, done: 0 }));
}

const completionOf = (k: Kernel, id: number): Completion => lockOf(k, id, "completion");

/** What was done is forgotten (reinit_completion). */
export function reinitCompletion(k: Kernel, id: number): void {
  completionOf(k, id).done = 0;
}

export const freeCompletion = (k: Kernel, id: number): void => freeLock(k, id);

/** Lets one wait end, of now or later; interrupts may call it. */
export function complete(k: Kernel, id: number): void {
  const completion = completionOf(k, id);
  if (completion.done !== DONE_ALL) completion.done++;
  wake(k, completion.queue, { nr: 1 });
}

/** Lets all waits end, of now and later, until reinit_completion. */
export function completeAll(k: Kernel, id: number): void {
  const completion = completionOf(k, id);
  completion.done = DONE_ALL;
  wake(k, completion.queue, { nr: Infinity });
}

/** Ends a wait without sleeping, if one may end: whether it did. */
export function tryWaitForCompletion(k: Kernel, id: number): boolean {
  const completion = completionOf(k, id);
  if (completion.done === 0) return false;
  if (completion.done !== DONE_ALL) completion.done--;
  return true;
}

/** Whether a wait would end at once; as Linux, true too when all that was done is waited for by others. */
export const completionDone = (k: Kernel, id: number): boolean => completionOf(k, id).done !== 0;

/** A completion, or one with the jiffies after which to give up. */
export type WaitLocals = number | { completion: number; timeout: number; wait?: Timeout };

/** `timed`: the table answers what is left, at least 1, or 0; else 0. */
function waitTable(name: string, mode: SleepMode): StepTable<WaitLocals> {
  return steps<WaitLocals>(LOCKING + name, {
    begin: (k, task, { locals }) => {
      mightSleep(k, "kernel/sched/completion.c:101");
      if (typeof locals !== "number") {
        locals.wait = newTimeout(locals.timeout);
        timeoutLeft(k, task, locals.wait);
      }
      return NEXT;
    },
    wait: (k, task, { locals }) => {
      const id = typeof locals === "number" ? locals : locals.completion;
      const timeout = typeof locals === "number" ? undefined : locals.wait;
      const left = timeout === undefined ? 0 : timeoutLeft(k, task, timeout);
      if (tryWaitForCompletion(k, id)) return timeout === undefined ? 0 : Math.max(1, left);
      if (timeout !== undefined && left === 0) return 0;
      return sleepOn(completionOf(k, id).queue, { mode, exclusive: true, interrupted: -ERESTARTSYS, untilNs: timeout?.untilNs ?? -1, wchan: wchanOfCaller(k) });
    },
  });
}

/** Always 0. */
export const waitForCompletion = waitTable("wait_for_completion", "uninterruptible");
/** 0, or -ERESTARTSYS. */
export const waitForCompletionInterruptible = waitTable("wait_for_completion_interruptible", "interruptible");
/** 0, or -ERESTARTSYS by a fatal signal. */
export const waitForCompletionKillable = waitTable("wait_for_completion_killable", "killable");
/** Jiffies left, at least 1, or 0 when time was up. */
export const waitForCompletionTimeout = waitTable("wait_for_completion_timeout", "uninterruptible");
/** Jiffies left, at least 1, 0, or -ERESTARTSYS. */
export const waitForCompletionInterruptibleTimeout = waitTable("wait_for_completion_interruptible_timeout", "interruptible");
export const waitForCompletionKillableTimeout = waitTable("wait_for_completion_killable_timeout", "killable");
