/**
 * The timer wheel (kernel/time/timer.c): nine levels of 64 buckets, each level eight times coarser than the one below. A timer
 * never moves between levels, so it may be late by what its level is coarse, and it is never early.
 */
import type { Kernel } from "../kernel.ts";
import { initialJiffies, jiffies, jiffyNs } from "./jiffies.ts";

/** One CPU's wheel. Plain data; a bucket is the id of its first timer, and the timers of a bucket name each other. */
export interface TimerBase {
  /** The jiffy up to which the wheel has been turned. */
  clk: number;
  /** The jiffy at which the first timer is due, or may be once `recalc` is set; NEVER for none. */
  nextExpiry: number;
  /** The first bucket was emptied: nextExpiry may be too early. */
  recalc: boolean;
  /** The jiffy of the last tick that found it due, or of the last timer armed for what was past: the next tick is a later one. */
  ticked: number;
  /** A bit for each bucket that holds a timer. */
  bits: Uint32Array<ArrayBuffer>;
  heads: Map<number, number>;
}

/** Later than any time: of a wheel or a clock with nothing due. */
export const NEVER = Number.MAX_SAFE_INTEGER;

const LVL_CLK_SHIFT = 3;
const LVL_CLK_DIV = 1 << LVL_CLK_SHIFT;
const LVL_SIZE = 64;
const LEVELS = 9;
const SLOW_LEVELS = 8;
/** Lists of timers that are firing: one a level, numbered after the buckets. */
const EXPIRING = LEVELS * LVL_SIZE;

/** Slow machines have a level less: LVL_DEPTH. */
const levels = (hz: number): number => (hz > 100 ? LEVELS : SLOW_LEVELS);
const granularity = (level: number): number => 2 ** (level * LVL_CLK_SHIFT);
/** Jiffies from now at which a level takes over from the one below: LVL_START. */
const levelStart = (level: number): number => (LVL_SIZE - 1) * granularity(level - 1);

export function newTimerBase(hz: number): TimerBase {
  return { clk: initialJiffies(hz), nextExpiry: NEVER, recalc: false, ticked: 0, bits: new Uint32Array((LEVELS * LVL_SIZE) / 32), heads: new Map() };
}

export interface Slot {
  bucket: number;
  /** The jiffy at which the bucket is due. */
  expiry: number;
}

/** Rounds up with the level's granularity, by a whole one where there is nothing to round: a timer armed within a tick must not be early. */
function slotAt(expires: number, level: number): Slot {
  const step = granularity(level);
  const units = Math.floor(expires / step) + 1;
  return { bucket: level * LVL_SIZE + (units % LVL_SIZE), expiry: units * step };
}

/** Where a timer goes in a wheel that stands at `clk` (calc_wheel_index). */
export function calcWheelIndex(expires: number, clk: number, hz: number): Slot {
  const delta = expires - clk;
  if (delta < 0) return { bucket: clk % LVL_SIZE, expiry: clk };
  const depth = levels(hz);
  for (let level = 0; level < depth - 1; level++) if (delta < levelStart(level + 1)) return slotAt(expires, level);
  const cutoff = levelStart(depth);
  return slotAt(delta >= cutoff ? clk + cutoff - granularity(depth - 1) : expires, depth - 1);
}

export function setPending({ bits }: TimerBase, bucket: number): void {
  bits[bucket >>> 5] |= 1 << (bucket & 31);
}

export function clearPending({ bits }: TimerBase, bucket: number): void {
  bits[bucket >>> 5] &= ~(1 << (bucket & 31));
}

const isPending = ({ bits }: TimerBase, bucket: number): boolean => (bits[bucket >>> 5] >>> (bucket & 31) & 1) === 1;

/** Buckets from `clk`'s own to the next one of a level that holds something, round the wheel; -1 for none. */
function nextPendingBucket({ bits }: TimerBase, level: number, clk: number): number {
  const word = level * 2;
  if (bits[word] === 0 && bits[word + 1] === 0) return -1;
  for (let distance = 0; distance < LVL_SIZE; distance++) {
    const at = (clk + distance) % LVL_SIZE;
    if ((bits[word + (at >>> 5)] >>> (at & 31) & 1) === 1) return distance;
  }
  return -1;
}

/** The jiffy at which the first bucket is due; NEVER when all are empty (__next_timer_interrupt). */
function findNextExpiry(base: TimerBase): number {
  let { clk } = base;
  let next = NEVER;
  for (let level = 0; level < LEVELS; level++) {
    const distance = nextPendingBucket(base, level, clk % LVL_SIZE);
    const phase = clk % LVL_CLK_DIV;
    if (distance >= 0) {
      next = Math.min(next, (clk + distance) * granularity(level));
      // What the next level holds is due later than this.
      if (distance <= (LVL_CLK_DIV - phase) % LVL_CLK_DIV) break;
    }
    clk = Math.floor(clk / LVL_CLK_DIV) + (phase === 0 ? 0 : 1);
  }
  return next;
}

/** The jiffy whose tick finds the wheel due, as a look: the base stays as it is. */
export function peekDueJiffy(base: TimerBase): number {
  return dueJiffy(base.recalc ? { ...base, nextExpiry: findNextExpiry(base) } : base);
}

export function updateNextExpiry(base: TimerBase): void {
  base.nextExpiry = findNextExpiry(base);
  base.recalc = false;
}

/** A wheel that stood still while nothing was due is turned to now, or timers would be placed too coarsely (forward_timer_base). */
export function forwardTimerBase(k: Kernel, base: TimerBase): void {
  const at = jiffies(k);
  if (at <= base.clk) return;
  if (base.recalc) updateNextExpiry(base);
  if (base.nextExpiry >= base.clk) base.clk = Math.min(base.nextExpiry, at);
}

/** Moves the buckets that are due now to the lists of firing timers; answers how many lists there are (collect_expired_timers). */
export function collectExpired(base: TimerBase): number {
  base.clk = base.nextExpiry;
  let { clk } = base;
  let lists = 0;
  for (let level = 0; level < LEVELS; level++) {
    const bucket = level * LVL_SIZE + (clk % LVL_SIZE);
    if (isPending(base, bucket)) {
      clearPending(base, bucket);
      base.heads.set(EXPIRING + lists++, base.heads.get(bucket) ?? 0);
      base.heads.delete(bucket);
    }
    if (clk % LVL_CLK_DIV !== 0) break;
    clk = Math.floor(clk / LVL_CLK_DIV);
  }
  return lists;
}

/** The list of firing timers number `list`, as a bucket. */
export const expiringBucket = (list: number): number => EXPIRING + list;
export const isExpiring = (bucket: number): boolean => bucket >= EXPIRING;

/** The jiffy whose tick finds the wheel due, NEVER for none; `nextExpiry` is right. */
export function dueJiffy({ nextExpiry, ticked }: TimerBase): number {
  return nextExpiry === NEVER ? NEVER : Math.max(nextExpiry, ticked + 1);
}

/** Brings up to date when the first wheel of the machine is due. */
export function updateWheelNs(k: Kernel): void {
  const { time } = k.state;
  let next = NEVER;
  for (const base of time.bases) next = Math.min(next, dueJiffy(base));
  time.wheelNs = next === NEVER ? NEVER : jiffyNs(k, next);
}
