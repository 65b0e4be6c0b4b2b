/** Reader-writer spinlocks: several readers or one writer, none of whom sleeps (kernel/locking/qrwlock.c). */
import type { Kernel } from "../kernel.ts";
import { dropHeld, lockAcquire, lockRelease } from "./lockdep.ts";
import { addLock, lockOf } from "./locks.ts";
import type { RwLock } from "./lock_state.ts";
import { localBhDisable, localBhEnable, localIrqDisable, localIrqEnable, localIrqRestore, localIrqSave, preemptDisable, preemptEnable } from "./preempt.ts";
import { servesInterrupt, spin } from "./spinlock.ts";
import type { Action } from "./steps.ts";
import { wake } from "./wait_queue.ts";

/** A fresh one (rwlock_init). Answers its id. */
export function rwlockInit(k: Kernel, name: string, module = ""): number {
  return addLock(k, (base) => ({ ...base, kind: "rwlock", name, module, writer: 0, suspended: 0, readers: [], flags: false, spun: 0 }));
}

const rwlockOf = (k: Kernel, id: number): RwLock => lockOf(k, id, "rwlock");

/** What keeps the running code out; null when nothing does. As of spinlocks, an interrupt never waits. */
function contended(k: Kernel, lock: RwLock, write: boolean): Action | null {
  const tid = k.turn.current;
  const holder = lock.writer !== 0 ? lock.writer : write ? lock.readers.find((reader) => reader !== 0) ?? 0 : 0;
  if (servesInterrupt(k) || holder === 0) return null;
  if (holder === tid) {
    lockAcquire(k, lock, { read: write ? 0 : 2 });
    dropHeld(k, tid, lock.id);
  }
  return spin(k, holder, lock);
}

function take(k: Kernel, lock: RwLock, write: boolean, trylock = false): void {
  preemptDisable(k);
  lockAcquire(k, lock, { read: write ? 0 : 2, trylock });
  const tid = k.turn.current;
  if (!write) {
    lock.readers.push(tid);
    return;
  }
  if (servesInterrupt(k) && lock.writer > 0) lock.suspended = lock.writer;
  lock.writer = tid === 0 ? -1 : tid;
}

type Guard = (k: Kernel, lock: RwLock) => void;

/** `guard` turns off what the form turns off, once the lock is free to take. */
function lockForm(write: boolean, guard: Guard): (k: Kernel, id: number) => Action | null {
  return (k, id) => {
    const lock = rwlockOf(k, id);
    const waiting = contended(k, lock, write);
    if (waiting !== null) return waiting;
    guard(k, lock);
    take(k, lock, write);
    return null;
  };
}

function unlockForm(write: boolean, guard: Guard): (k: Kernel, id: number) => void {
  return (k, id) => {
    const lock = rwlockOf(k, id);
    lockRelease(k, lock);
    const at = lock.readers.indexOf(k.turn.current);
    if (write) {
      lock.writer = lock.suspended;
      lock.suspended = 0;
    } else {
      lock.readers.splice(at < 0 ? 0 : at, 1);
    }
    lock.spun = 0;
    preemptEnable(k);
    guard(k, lock);
    wake(k, lock.queue, { nr: Infinity });
  };
}

const nothing: Guard = () => undefined;
const save: Guard = (k, lock) => { lock.flags = localIrqSave(k); };
const restore: Guard = (k, lock) => localIrqRestore(k, lock.flags);

/** Null, or the spinning that the calling step answers, as spinLock. */
export const readLock = lockForm(false, nothing);
export const readLockBh = lockForm(false, localBhDisable);
export const readLockIrq = lockForm(false, localIrqDisable);
export const readLockIrqsave = lockForm(false, save);
export const writeLock = lockForm(true, nothing);
export const writeLockBh = lockForm(true, localBhDisable);
export const writeLockIrq = lockForm(true, localIrqDisable);
export const writeLockIrqsave = lockForm(true, save);

export const readUnlock = unlockForm(false, nothing);
export const readUnlockBh = unlockForm(false, localBhEnable);
export const readUnlockIrq = unlockForm(false, localIrqEnable);
export const readUnlockIrqrestore = unlockForm(false, restore);
export const writeUnlock = unlockForm(true, nothing);
export const writeUnlockBh = unlockForm(true, localBhEnable);
export const writeUnlockIrq = unlockForm(true, localIrqEnable);
export const writeUnlockIrqrestore = unlockForm(true, restore);

/** Takes it if it is free for that: whether it did. */
export function readTrylock(k: Kernel, id: number): boolean {
  const lock = rwlockOf(k, id);
  if (lock.writer !== 0) return false;
  take(k, lock, false, true);
  return true;
}

export function writeTrylock(k: Kernel, id: number): boolean {
  const lock = rwlockOf(k, id);
  if (lock.writer !== 0 || lock.readers.length > 0) return false;
  take(k, lock, true, true);
  return true;
}
