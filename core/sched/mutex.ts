/** Mutexes: sleeping locks with one owner, the first in line first (kernel/locking/mutex.c). */
import { EINTR } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { dropHeld, lockAcquire, lockRelease } from "./lockdep.ts";
import { addLock, freeLock, lockOf, wakeWaiter, wchanOfCaller } from "./locks.ts";
import type { Mutex } from "./lock_state.ts";
import { mightSleep } from "./preempt.ts";
import { LOCKING } from "./stack_trace.ts";
import { NEXT, steps, type StepTable } from "./steps.ts";
import type { SleepMode, Task } from "./task.ts";
import { sleepOn } from "./wait_queue.ts";

/** A fresh mutex; `name` is its class, as the source names it, `module` whose memory it lies in. Answers its id. */
export function mutexInit(k: Kernel, name: string, module = ""): number {
  return addLock(k, (base) => ({ ...base, kind: "mutex", name, module, owner: 0, waiters: [], handoff: 0 }));
}

/** mutex_destroy */
export const mutexDestroy = (k: Kernel, id: number): void => freeLock(k, id);

export const mutexIsLocked = (k: Kernel, id: number): boolean => lockOf(k, id, "mutex").owner !== 0;

/** Takes the mutex if it is free, never sleeping; whether it did (mutex_trylock). */
export function mutexTrylock(k: Kernel, id: number): boolean {
  const mutex = lockOf(k, id, "mutex");
  if (mutex.owner !== 0) return false;
  lockAcquire(k, mutex, { trylock: true });
  mutex.owner = k.turn.current;
  return true;
}

/** A mutex, or one of a class of its own beside others of its name (mutex_lock_nested). */
export type MutexLocals = number | { mutex: number; subclass: number };

const idOf = (locals: MutexLocals): number => (typeof locals === "number" ? locals : locals.mutex);

/** Gives up the place in the line, unless the lock came first. */
function leaveLine(k: Kernel, task: Task, mutex: Mutex): void {
  const at = mutex.waiters.indexOf(task.tid);
  if (at < 0) return;
  mutex.waiters.splice(at, 1);
  if (mutex.handoff === task.tid) mutex.handoff = 0;
  dropHeld(k, task.tid, mutex.id);
}

function mutexTable(name: string, mode: SleepMode): StepTable<MutexLocals> {
  return steps<MutexLocals>(LOCKING + name, {
    begin: (k, task, { locals }) => {
      const mutex = lockOf(k, idOf(locals), "mutex");
      mightSleep(k, "kernel/locking/mutex.c:580");
      lockAcquire(k, mutex, typeof locals === "number" ? {} : { subclass: locals.subclass });
      if (mutex.owner === 0) {
        mutex.owner = task.tid;
        return 0;
      }
      mutex.waiters.push(task.tid);
      return NEXT;
    },
    wait: (k, task, { locals }) => {
      const mutex = lockOf(k, idOf(locals), "mutex");
      if (mutex.owner === 0 || (mutex.owner === task.tid && mutex.handoff === task.tid)) {
        mutex.owner = task.tid;
        mutex.handoff = 0;
        mutex.waiters.splice(mutex.waiters.indexOf(task.tid), 1);
        return 0;
      }
      return sleepOn(mutex.queue, { mode, interrupted: -EINTR, wchan: wchanOfCaller(k) });
    },
  }, { undo: { wait: (k, task, { locals }) => leaveLine(k, task, lockOf(k, idOf(locals), "mutex")) } });
}

/** Takes the mutex; always 0. */
export const mutexLock = mutexTable("mutex_lock", "uninterruptible");
/** 0, or -EINTR when a signal came first. */
export const mutexLockInterruptible = mutexTable("mutex_lock_interruptible", "interruptible");
/** 0, or -EINTR when a fatal signal came first. */
export const mutexLockKillable = mutexTable("mutex_lock_killable", "killable");

/** Lets the mutex go; its owner alone may (mutex_unlock). One that another task holds is told of, and let go all the same, as Linux does. */
export function mutexUnlock(k: Kernel, id: number): void {
  const mutex = lockOf(k, id, "mutex");
  lockRelease(k, mutex);
  mutex.owner = 0;
  const [first] = mutex.waiters;
  if (first === undefined) return;
  // One that was woken before, and found that somebody else had been quicker, gets it without a race (MUTEX_FLAG_HANDOFF).
  if (mutex.handoff === first) mutex.owner = first;
  else mutex.handoff = first;
  wakeWaiter(k, first);
}
