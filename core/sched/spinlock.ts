/**
 * Spinlocks (kernel/locking/spinlock.c). Within one step nothing can contend; a lock held across steps keeps other CPUs
 * spinning, and the holder's CPU to itself.
 */
import type { Kernel } from "../kernel.ts";
import { charge } from "./cost.ts";
import { dropHeld, lockAcquire, lockRelease } from "./lockdep.ts";
import { addLock, lockOf } from "./locks.ts";
import type { RwLock, SpinLock } from "./lock_state.ts";
import { inTask, localBhDisable, localBhEnable, localIrqDisable, localIrqEnable, localIrqRestore, localIrqSave, preemptDisable, preemptEnable } from "./preempt.ts";
import { SLOWPATH, watchSpin } from "./soft_lockup.ts";
import { to, type Action } from "./steps.ts";
import { taskOf } from "./task.ts";
import { sleepOn, wake } from "./wait_queue.ts";

/** A fresh spinlock (spin_lock_init). Answers its id. */
export function spinLockInit(k: Kernel, name: string, module = ""): number {
  return addLock(k, (base) => ({ ...base, kind: "spinlock", name, module, owner: 0, suspended: 0, flags: false, spun: 0 }));
}

const spinOf = (k: Kernel, id: number): SpinLock => lockOf(k, id, "spinlock");

export const spinIsLocked = (k: Kernel, id: number): boolean => spinOf(k, id).owner !== 0;

/** Looking at a lock once; and up to 1.6 ms between two looks. */
const LOOK_NS = 100;
const LONGEST_SHIFT = 14;
/** Looks at one hold, after which it counts as one without end. */
const SPINS = 100_000;

/**
 * What a CPU does while another has the lock, as the answer of the step that wants it, which then comes again: it spins up to
 * where the holder's CPU has come. When the holder cannot go on, it spins for ever in Linux; here the task sleeps instead,
 * so that the machine stays usable.
 */
export function spin(k: Kernel, holder: number, lock: SpinLock | RwLock): Action {
  const task = taskOf(k, k.turn.current);
  const owner = k.state.sched.tasks.get(holder);
  if (owner === undefined || owner === task || owner.state !== "runnable" || owner.cpu === k.turn.cpu || lock.spun > SPINS) {
    watchSpin(k);
    return sleepOn(lock.queue, { mode: "uninterruptible", wchan: SLOWPATH });
  }
  const { cpus } = k.state.sched;
  const behindNs = cpus[owner.cpu].clockNs - cpus[k.turn.cpu].clockNs;
  // A holder that waits for the clock stands still meanwhile: looks come ever more rarely then.
  charge(k, behindNs > 0 ? behindNs : LOOK_NS * 2 ** Math.min(lock.spun, LONGEST_SHIFT));
  lock.spun++;
  return to(task.frames[task.frames.length - 1].step);
}

/** In an interrupt or a softirq, be it on a task's back: code that ends within its event. */
export const servesInterrupt = (k: Kernel): boolean => k.turn.current === 0 || !inTask(k);

/** What keeps the running code from taking the lock; null when nothing does. Interrupts never wait. */
function contended(k: Kernel, lock: SpinLock): Action | null {
  const tid = k.turn.current;
  if (servesInterrupt(k) || lock.owner <= 0) return null;
  if (lock.owner === tid) {
    lockAcquire(k, lock); // tells of the recursion
    dropHeld(k, tid, lock.id);
  }
  return spin(k, lock.owner, lock);
}

function take(k: Kernel, lock: SpinLock, trylock: boolean): void {
  preemptDisable(k);
  lockAcquire(k, lock, { trylock });
  const tid = k.turn.current;
  // Differs from Linux: an interrupt does not wait for a holder on another CPU; its own event is all the time it has.
  if (servesInterrupt(k) && lock.owner > 0) lock.suspended = lock.owner;
  lock.owner = tid === 0 ? -1 : tid;
}

/**
 * Takes the lock: null. When another CPU holds it across its steps, an action for the calling step to answer, which spins and
 * comes again; code that runs where nobody holds it so may drop the answer.
 */
export function spinLock(k: Kernel, id: number): Action | null {
  const lock = spinOf(k, id);
  const waiting = contended(k, lock);
  if (waiting === null) take(k, lock, false);
  return waiting;
}

export function spinUnlock(k: Kernel, id: number): void {
  const lock = spinOf(k, id);
  lockRelease(k, lock);
  lock.owner = lock.suspended;
  lock.suspended = 0;
  lock.spun = 0;
  preemptEnable(k);
  wake(k, lock.queue, { nr: Infinity });
}

/** Takes the lock if it is free: whether it did. */
export function spinTrylock(k: Kernel, id: number): boolean {
  const lock = spinOf(k, id);
  if (lock.owner !== 0) return false;
  take(k, lock, true);
  return true;
}

/** With softirqs of this CPU off. As spinLock. */
export function spinLockBh(k: Kernel, id: number): Action | null {
  const waiting = contended(k, spinOf(k, id));
  if (waiting !== null) return waiting;
  localBhDisable(k);
  take(k, spinOf(k, id), false);
  return null;
}

export function spinUnlockBh(k: Kernel, id: number): void {
  spinUnlock(k, id);
  localBhEnable(k);
}

/** With interrupts of this CPU off. As spinLock. */
export function spinLockIrq(k: Kernel, id: number): Action | null {
  const waiting = contended(k, spinOf(k, id));
  if (waiting !== null) return waiting;
  localIrqDisable(k);
  take(k, spinOf(k, id), false);
  return null;
}

export function spinUnlockIrq(k: Kernel, id: number): void {
  spinUnlock(k, id);
  localIrqEnable(k);
}

/** The same, keeping in the lock whether they were off before. */
export function spinLockIrqsave(k: Kernel, id: number): Action | null {
  const lock = spinOf(k, id);
  const waiting = contended(k, lock);
  if (waiting !== null) return waiting;
  const flags = localIrqSave(k);
  take(k, lock, false);
  lock.flags = flags;
  return null;
}

export function spinUnlockIrqrestore(k: Kernel, id: number): void {
  const { flags } = spinOf(k, id);
  spinUnlock(k, id);
  localIrqRestore(k, flags);
}
