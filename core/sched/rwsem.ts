/** Read-write semaphores: many readers or one writer, nobody passes who waits (kernel/locking/rwsem.c). */
import { EINTR } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { dropHeld, lockAcquire, lockDowngrade, lockRelease } from "./lockdep.ts";
import { addLock, lockOf, wakeWaiter, wchanOfCaller } from "./locks.ts";
import type { RwSemaphore } from "./lock_state.ts";
import { mightSleep } from "./preempt.ts";
import { LOCKING } from "./stack_trace.ts";
import { NEXT, steps, type StepTable } from "./steps.ts";
import type { SleepMode } from "./task.ts";
import { sleepOn } from "./wait_queue.ts";

/** A fresh one (init_rwsem). Answers its id. */
export function initRwsem(k: Kernel, name: string, module = ""): number {
  return addLock(k, (base) => ({ ...base, kind: "rwsem", name, module, writer: 0, readers: [], waiters: [] }));
}

const rwsemOf = (k: Kernel, id: number): RwSemaphore => lockOf(k, id, "rwsem");

export const rwsemIsLocked = (k: Kernel, id: number): boolean => rwsemOf(k, id).writer !== 0 || rwsemOf(k, id).readers.length > 0;
export const rwsemIsContended = (k: Kernel, id: number): boolean => rwsemOf(k, id).waiters.length > 0;

const mayRead = ({ writer, waiters }: RwSemaphore): boolean => writer === 0 && waiters.length === 0;
const mayWrite = ({ writer, readers, waiters }: RwSemaphore): boolean => writer === 0 && readers.length === 0 && waiters.length === 0;

/** Takes it for reading without sleeping: 1, or 0 when a writer has it or anybody waits. */
export function downReadTrylock(k: Kernel, id: number): number {
  const sem = rwsemOf(k, id);
  if (!mayRead(sem)) return 0;
  lockAcquire(k, sem, { read: 1, trylock: true });
  sem.readers.push(k.turn.current);
  return 1;
}

/** Takes it for writing without sleeping: 1 or 0. */
export function downWriteTrylock(k: Kernel, id: number): number {
  const sem = rwsemOf(k, id);
  if (!mayWrite(sem)) return 0;
  lockAcquire(k, sem, { trylock: true });
  sem.writer = k.turn.current;
  return 1;
}

/** Gives it to the first in line; when that is a reader, to all readers that wait, as Linux does. */
function grant(k: Kernel, sem: RwSemaphore): void {
  const [first] = sem.waiters;
  if (first === undefined || sem.writer !== 0) return;
  if (first.write) {
    if (sem.readers.length > 0) return;
    sem.waiters.shift();
    sem.writer = first.tid;
    wakeWaiter(k, first.tid);
    return;
  }
  grantReaders(k, sem);
}

function grantReaders(k: Kernel, sem: RwSemaphore): void {
  const readers = sem.waiters.filter(({ write }) => !write);
  sem.waiters = sem.waiters.filter(({ write }) => write);
  for (const { tid } of readers) {
    sem.readers.push(tid);
    wakeWaiter(k, tid);
  }
}

/** Gives up a task's place in the line, unless it was granted; those behind may go on then. */
export function leaveRwsemLine(k: Kernel, waiter: number, sem: RwSemaphore): void {
  const at = sem.waiters.findIndex(({ tid }) => tid === waiter);
  if (at < 0) return;
  sem.waiters.splice(at, 1);
  dropHeld(k, waiter, sem.id);
  if (at === 0) grant(k, sem);
}

function rwsemTable(name: string, write: boolean, mode: SleepMode): StepTable<number> {
  return steps<number>(LOCKING + name, {
    begin: (k, task, { locals: id }) => {
      const sem = rwsemOf(k, id);
      mightSleep(k, `kernel/locking/rwsem.c:${write ? 1573 : 1520}`);
      lockAcquire(k, sem, { read: write ? 0 : 1 });
      if (write ? mayWrite(sem) : mayRead(sem)) {
        if (write) sem.writer = task.tid;
        else sem.readers.push(task.tid);
        return 0;
      }
      sem.waiters.push({ tid: task.tid, write });
      return NEXT;
    },
    wait: (k, task, { locals: id }) => {
      const sem = rwsemOf(k, id);
      if (!sem.waiters.some(({ tid }) => tid === task.tid)) return 0;
      return sleepOn(sem.queue, { mode, interrupted: -EINTR, wchan: wchanOfCaller(k) });
    },
  }, { undo: { wait: (k, task, { locals: id }) => leaveRwsemLine(k, task.tid, rwsemOf(k, id)) } });
}

/** Takes it for reading; 0, or -EINTR of the forms that a signal may end. */
export const downRead = rwsemTable("down_read", false, "uninterruptible");
export const downReadInterruptible = rwsemTable("down_read_interruptible", false, "interruptible");
export const downReadKillable = rwsemTable("down_read_killable", false, "killable");
/** Takes it for writing; 0, or -EINTR. */
export const downWrite = rwsemTable("down_write", true, "uninterruptible");
export const downWriteKillable = rwsemTable("down_write_killable", true, "killable");

export function upRead(k: Kernel, id: number): void {
  const sem = rwsemOf(k, id);
  lockRelease(k, sem);
  const at = sem.readers.indexOf(k.turn.current);
  // Another task's hold is let go all the same, as Linux does.
  sem.readers.splice(at < 0 ? 0 : at, 1);
  if (sem.readers.length === 0) grant(k, sem);
}

export function upWrite(k: Kernel, id: number): void {
  const sem = rwsemOf(k, id);
  lockRelease(k, sem);
  sem.writer = 0;
  grant(k, sem);
}

/** The writer goes on as a reader; readers that wait come in (downgrade_write). */
export function downgradeWrite(k: Kernel, id: number): void {
  const sem = rwsemOf(k, id);
  lockDowngrade(k, id);
  if (sem.writer === 0) return;
  sem.readers.push(sem.writer);
  sem.writer = 0;
  grantReaders(k, sem);
}
