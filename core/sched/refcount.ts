/** refcount_t: a counter of users that saturates instead of wrapping, and says so (lib/refcount.c). */
import type { Kernel } from "../kernel.ts";
import { warn } from "./dump_stack.ts";
import { stackOf } from "./stack_trace.ts";
import { current } from "./task.ts";

export interface Refcount {
  refs: number;
}

/** Where a count goes that was misused: far from both ends. */
export const REFCOUNT_SATURATED = -0x4000_0000;
const INT_MAX = 0x7fff_ffff;

export const newRefcount = (refs = 1): Refcount => ({ refs });

export function refcountSet(r: Refcount, value: number): void {
  r.refs = value | 0;
}

/** As an unsigned number, as Linux answers it. */
export const refcountRead = (r: Refcount): number => r.refs >>> 0;

type Misuse = "overflow" | "overflow of a checked increment" | "addition on 0" | "underflow" | "leak";

const WORDS: { [what in Misuse]: { text: string; line: number; offset: string } } = {
  "overflow of a checked increment": { text: "refcount_t: saturated; leaking memory.", line: 19, offset: "0x97" },
  overflow: { text: "refcount_t: saturated; leaking memory.", line: 22, offset: "0x55" },
  "addition on 0": { text: "refcount_t: addition on 0; use-after-free.", line: 25, offset: "0x74" },
  underflow: { text: "refcount_t: underflow; use-after-free.", line: 28, offset: "0xba" },
  leak: { text: "refcount_t: decrement hit 0; leaking memory.", line: 31, offset: "0xd9" },
};

/** Each misuse is told once, and leaves the count saturated (refcount_warn_saturate). */
export function refcountWarnSaturate(k: Kernel, r: Refcount, what: Misuse): void {
  r.refs = REFCOUNT_SATURATED;
  const { reported } = k.state.sched.lockdep;
  const finding = `refcount ${what}`;
  if (reported.includes(finding)) return;
  reported.push(finding);
  const { text, line, offset } = WORDS[what];
  warn(k, text, { file: "lib/refcount.c", line, symbol: `refcount_warn_saturate+${offset}/0x110` }, stackOf(k, current(k)));
}

export function refcountAdd(k: Kernel, i: number, r: Refcount): void {
  const old = r.refs;
  r.refs = (old + i) | 0;
  if (old === 0) refcountWarnSaturate(k, r, "addition on 0");
  else if (old < 0 || old + i > INT_MAX) refcountWarnSaturate(k, r, "overflow");
}

export const refcountInc = (k: Kernel, r: Refcount): void => refcountAdd(k, 1, r);

/** Adds unless nobody holds it any more: whether it did. */
export function refcountAddNotZero(k: Kernel, i: number, r: Refcount): boolean {
  const old = r.refs;
  if (old === 0) return false;
  r.refs = (old + i) | 0;
  if (old < 0 || old + i > INT_MAX) refcountWarnSaturate(k, r, "overflow of a checked increment");
  return true;
}

export const refcountIncNotZero = (k: Kernel, r: Refcount): boolean => refcountAddNotZero(k, 1, r);

/** Takes away; true when the last user is gone. Below 0 it saturates. */
export function refcountSubAndTest(k: Kernel, i: number, r: Refcount): boolean {
  const old = r.refs;
  if (old === i) {
    r.refs = 0;
    return true;
  }
  if (old < 0 || old - i < 0) refcountWarnSaturate(k, r, "underflow");
  else r.refs = old - i;
  return false;
}

export const refcountDecAndTest = (k: Kernel, r: Refcount): boolean => refcountSubAndTest(k, 1, r);

/** Takes one away that must not be the last. */
export function refcountDec(k: Kernel, r: Refcount): void {
  const old = r.refs;
  r.refs = (old - 1) | 0;
  if (old <= 1) refcountWarnSaturate(k, r, "leak");
}

/** Takes one away unless it is the last: whether it did. */
export function refcountDecNotOne(k: Kernel, r: Refcount): boolean {
  if (r.refs === REFCOUNT_SATURATED) return true;
  if (r.refs === 1) return false;
  if (r.refs <= 0) refcountWarnSaturate(k, r, "underflow");
  else r.refs--;
  return true;
}
