/** Sequence counters: readers look again when a writer was there meanwhile (include/linux/seqlock.h). */
import type { Kernel } from "../kernel.ts";
import { spinLock, spinLockInit, spinUnlock } from "./spinlock.ts";
import type { Action } from "./steps.ts";

/** Odd while somebody writes. */
export interface Seqcount {
  sequence: number;
}

export const newSeqcount = (): Seqcount => ({ sequence: 0 });

/** Where a reader begins. Differs from Linux: it does not spin while a writer is in the middle; readSeqretry is true then. */
export const readSeqcountBegin = (s: Seqcount): number => s.sequence;
/** Whether what was read since `start` may be torn. */
export const readSeqcountRetry = (s: Seqcount, start: number): boolean => (start & 1) !== 0 || s.sequence !== start;

export function writeSeqcountBegin(s: Seqcount): void {
  s.sequence = (s.sequence + 1) >>> 0;
}

export const writeSeqcountEnd = writeSeqcountBegin;

/** A counter with a spinlock for its writers. */
export interface Seqlock extends Seqcount {
  lock: number;
}

export const seqlockInit = (k: Kernel, name: string, module = ""): Seqlock => ({ sequence: 0, lock: spinLockInit(k, name, module) });

export const readSeqbegin = readSeqcountBegin;
export const readSeqretry = readSeqcountRetry;

/** Null, or the spinning that the calling step answers, as spinLock. */
export function writeSeqlock(k: Kernel, s: Seqlock): Action | null {
  const waiting = spinLock(k, s.lock);
  if (waiting === null) writeSeqcountBegin(s);
  return waiting;
}

export function writeSequnlock(k: Kernel, s: Seqlock): void {
  writeSeqcountEnd(s);
  spinUnlock(k, s.lock);
}
