/** atomic_t: a 32-bit counter that wraps (Documentation/atomic_t.txt). A step is atomic, so these are plain. */

export interface Atomic {
  counter: number;
}

export const newAtomic = (counter = 0): Atomic => ({ counter: counter | 0 });

export const atomicRead = (v: Atomic): number => v.counter;

export function atomicSet(v: Atomic, value: number): void {
  v.counter = value | 0;
}

/** Adds and answers the new value. */
export function atomicAddReturn(i: number, v: Atomic): number {
  v.counter = (v.counter + i) | 0;
  return v.counter;
}

/** Adds and answers the old value. */
export const atomicFetchAdd = (i: number, v: Atomic): number => (atomicAddReturn(i, v) - i) | 0;

export const atomicAdd = (i: number, v: Atomic): void => { atomicAddReturn(i, v); };
export const atomicSub = (i: number, v: Atomic): void => { atomicAddReturn(-i, v); };
export const atomicInc = (v: Atomic): void => { atomicAddReturn(1, v); };
export const atomicDec = (v: Atomic): void => { atomicAddReturn(-1, v); };
export const atomicSubReturn = (i: number, v: Atomic): number => atomicAddReturn(-i, v);
export const atomicIncReturn = (v: Atomic): number => atomicAddReturn(1, v);
export const atomicDecReturn = (v: Atomic): number => atomicAddReturn(-1, v);
/** Whether the value is 0 now. */
export const atomicDecAndTest = (v: Atomic): boolean => atomicAddReturn(-1, v) === 0;
export const atomicIncAndTest = (v: Atomic): boolean => atomicAddReturn(1, v) === 0;
export const atomicSubAndTest = (i: number, v: Atomic): boolean => atomicAddReturn(-i, v) === 0;
export const atomicAddNegative = (i: number, v: Atomic): boolean => atomicAddReturn(i, v) < 0;

/** Sets a value and answers the old one. */
export function atomicXchg(v: Atomic, value: number): number {
  const old = v.counter;
  v.counter = value | 0;
  return old;
}

/** Sets a value where the old one is `expected`; answers the old one. */
export function atomicCmpxchg(v: Atomic, expected: number, value: number): number {
  const old = v.counter;
  if (old === (expected | 0)) v.counter = value | 0;
  return old;
}

/** Adds unless the value is `unless`: whether it did. */
export function atomicAddUnless(v: Atomic, add: number, unless: number): boolean {
  if (v.counter === (unless | 0)) return false;
  atomicAddReturn(add, v);
  return true;
}

export const atomicIncNotZero = (v: Atomic): boolean => atomicAddUnless(v, 1, 0);

/** Takes one away unless that would make it negative: the new value, or the negative one that it would have been. */
export function atomicDecIfPositive(v: Atomic): number {
  const next = (v.counter - 1) | 0;
  if (next >= 0) v.counter = next;
  return next;
}

export const atomicOr = (i: number, v: Atomic): void => { v.counter |= i; };
export const atomicAnd = (i: number, v: Atomic): void => { v.counter &= i; };
export const atomicXor = (i: number, v: Atomic): void => { v.counter ^= i; };
