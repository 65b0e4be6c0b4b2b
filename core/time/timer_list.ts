/** Kernel timers in jiffies (struct timer_list, include/linux/timer.h): set up once under an id, armed and disarmed as often as one likes. */
import { assert, must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { jiffies } from "./jiffies.ts";
import {
  calcWheelIndex, clearPending, collectExpired, expiringBucket, dueJiffy, forwardTimerBase, isExpiring, NEVER, peekDueJiffy, setPending,
  updateNextExpiry, updateWheelNs, type Slot, type TimerBase,
} from "./wheel.ts";

/** Bits of a timer's flags. */
export const TIMER_DEFERRABLE = 0x80000;
export const TIMER_PINNED = 0x100000;
export const TIMER_IRQSAFE = 0x200000;

/** Timers that a kernel may have set up at once. */
export const TIMER_LIMIT = 100_000;

export interface TimerList {
  id: number;
  /** Name of a registered function; "" once the timer is shut down. */
  func: string;
  arg: number;
  /** The module whose timer it is; "" of the kernel. */
  owner: string;
  flags: number;
  /** The jiffy that was asked for; it fires at the one after, or later where the wheel is coarser. */
  expires: number;
  /** The bucket that holds it, -1 when it is not pending; the CPU whose wheel that is; its neighbours there, 0 for none. */
  bucket: number;
  cpu: number;
  next: number;
  prev: number;
}

/** What a timer runs, in TIMER_SOFTIRQ; it never sleeps. */
export type TimerFunction = (k: Kernel, arg: number, timer: number) => void;

export const timerFunctions = new Map<string, TimerFunction>();

/** Registers what a kernel timer runs. */
export function timerFunction(name: string, func: TimerFunction): void {
  assert(!timerFunctions.has(name), `two timer functions named ${name}`);
  timerFunctions.set(name, func);
}

export interface TimerSetup {
  arg?: number;
  flags?: number;
  owner?: string;
}

/** Sets a timer up that is not pending; its id. Differs from Linux: a deferrable timer wakes an idle CPU like any other. */
export function timerSetup(k: Kernel, func: string, { arg = 0, flags = 0, owner = "" }: TimerSetup = {}): number {
  assert(timerFunctions.has(func), `no timer function is named ${func}`);
  const { time } = k.state;
  assert(time.lists.size < TIMER_LIMIT, "too many kernel timers");
  const id = time.nextList++;
  time.lists.set(id, { id, func, arg, owner, flags, expires: 0, bucket: -1, cpu: k.turn.cpu, next: 0, prev: 0 });
  return id;
}

const timerOf = (k: Kernel, id: number): TimerList => must(k.state.time.lists, id);
const baseOf = (k: Kernel, { cpu }: TimerList): TimerBase => k.state.time.bases[cpu];

/** Armed and not yet fired (timer_pending). */
export function timerPending(k: Kernel, id: number): boolean {
  return timerOf(k, id).bucket >= 0;
}

/** The jiffy for which it was last armed. */
export function timerExpires(k: Kernel, id: number): number {
  return timerOf(k, id).expires;
}

function unlink(k: Kernel, base: TimerBase, timer: TimerList): void {
  const { lists } = k.state.time;
  const { bucket, next, prev } = timer;
  if (next !== 0) must(lists, next).prev = prev;
  if (prev !== 0) must(lists, prev).next = next;
  else if (next !== 0) base.heads.set(bucket, next);
  else base.heads.delete(bucket);
  timer.bucket = -1;
  timer.next = timer.prev = 0;
}

/** Takes a pending timer off its wheel; 0 when it was not pending. */
function detach(k: Kernel, timer: TimerList): 0 | 1 {
  if (timer.bucket < 0) return 0;
  const base = baseOf(k, timer);
  const { bucket } = timer;
  unlink(k, base, timer);
  if (!base.heads.has(bucket) && !isExpiring(bucket)) {
    clearPending(base, bucket);
    base.recalc = true;
  }
  return 1;
}

/** Puts a timer first into its bucket, as a hash list does: of timers due together, the last one armed fires first. */
function attach(k: Kernel, base: TimerBase, timer: TimerList, { bucket, expiry }: Slot): void {
  const { time } = k.state;
  const head = base.heads.get(bucket) ?? 0;
  timer.bucket = bucket;
  timer.next = head;
  timer.prev = 0;
  if (head !== 0) must(time.lists, head).prev = timer.id;
  base.heads.set(bucket, timer.id);
  setPending(base, bucket);
  const at = jiffies(k);
  // What is past already waits for the next tick.
  if (expiry <= at && base.ticked < at) base.ticked = at;
  if (expiry < base.nextExpiry) {
    base.nextExpiry = expiry;
    base.recalc = false;
    updateWheelNs(k);
  }
}

function place(k: Kernel, base: TimerBase, expires: number): Slot {
  return calcWheelIndex(expires, base.clk, k.state.machine.hz);
}

type Mode = "any" | "pending" | "reduce";

/** __mod_timer */
function modify(k: Kernel, timer: TimerList, expires: number, mode: Mode): 0 | 1 {
  if (timer.func === "") return 0;
  if (timer.bucket >= 0) {
    if (timer.expires === expires || (mode === "reduce" && timer.expires <= expires)) return 1;
    const base = baseOf(k, timer);
    forwardTimerBase(k, base);
    const slot = place(k, base, expires);
    // As Linux: one that stays in its bucket keeps its place among the others there.
    if (slot.bucket === timer.bucket) {
      timer.expires = expires;
      return 1;
    }
  } else if (mode === "pending") {
    return 0;
  }
  const was = detach(k, timer);
  timer.cpu = (timer.flags & TIMER_PINNED) !== 0 ? timer.cpu : k.turn.cpu;
  arm(k, timer, expires);
  return was;
}

function arm(k: Kernel, timer: TimerList, expires: number): void {
  const base = baseOf(k, timer);
  forwardTimerBase(k, base);
  timer.expires = expires;
  attach(k, base, timer, place(k, base, expires));
}

/** Arms a timer for a jiffy, or moves it there: 1 when it was pending, 0 when it was not, or was shut down (mod_timer). */
export function modTimer(k: Kernel, id: number, expires: number): 0 | 1 {
  return modify(k, timerOf(k, id), expires, "any");
}

/** Moves a timer only if it is pending: 1 when it was (mod_timer_pending). */
export function modTimerPending(k: Kernel, id: number, expires: number): 0 | 1 {
  return modify(k, timerOf(k, id), expires, "pending");
}

/** As modTimer, but a pending timer is only ever made earlier (timer_reduce). */
export function timerReduce(k: Kernel, id: number, expires: number): 0 | 1 {
  return modify(k, timerOf(k, id), expires, "reduce");
}

/** Arms a timer that is not pending (add_timer). */
export function addTimer(k: Kernel, id: number, expires: number): void {
  assert(!timerPending(k, id), "add_timer of a pending timer");
  modTimer(k, id, expires);
}

/** The same on another CPU, where it then fires (add_timer_on). */
export function addTimerOn(k: Kernel, id: number, expires: number, cpu: number): void {
  const timer = timerOf(k, id);
  assert(timer.bucket < 0, "add_timer_on of a pending timer");
  if (timer.func === "") return;
  timer.cpu = cpu;
  arm(k, timer, expires);
}

/** Disarms a timer: 1 when it was pending (del_timer). */
export function delTimer(k: Kernel, id: number): 0 | 1 {
  return detach(k, timerOf(k, id));
}

/** The same: a timer's function has always ended before anything else runs (del_timer_sync). */
export const delTimerSync = delTimer;
/** Never -1, for the same reason (try_to_del_timer_sync). */
export const tryToDelTimerSync = delTimer;

/** Disarms a timer for good: nothing arms it again (timer_shutdown). */
export function timerShutdown(k: Kernel, id: number): 0 | 1 {
  const timer = timerOf(k, id);
  const was = detach(k, timer);
  timer.func = "";
  return was;
}

export const timerShutdownSync = timerShutdown;

/** The timer's memory goes: it is taken off its wheel, and its id means nothing any more (destroy_timer_on_stack). */
export function freeTimer(k: Kernel, id: number): void {
  detach(k, timerOf(k, id));
  k.state.time.lists.delete(id);
}

/** The timers that a module has set up, for whoever looks for what it left behind. */
export function timersOf(k: Kernel, owner: string): { id: number; func: string; pending: boolean; expires: number }[] {
  return [...k.state.time.lists.values()].filter((timer) => timer.owner === owner)
    .map(({ id, func, bucket, expires }) => ({ id, func, pending: bucket >= 0, expires }));
}

/** Fires what is due on the wheel of the CPU that runs: the action of TIMER_SOFTIRQ (run_timer_softirq). */
export function runTimers(k: Kernel): void {
  const base = k.state.time.bases[k.turn.cpu];
  while (jiffies(k) >= base.clk && jiffies(k) >= base.nextExpiry) {
    let count = collectExpired(base);
    base.clk++;
    updateNextExpiry(base);
    for (let list = 0; list < count; list++) relabel(k, base, expiringBucket(list));
    // The coarsest level first, as Linux does.
    while (count-- > 0) fireList(k, base, expiringBucket(count));
  }
  updateWheelNs(k);
}

/** Timers know which list they are on. */
function relabel(k: Kernel, base: TimerBase, bucket: number): void {
  for (let id = base.heads.get(bucket) ?? 0; id !== 0;) {
    const timer = timerOf(k, id);
    timer.bucket = bucket;
    id = timer.next;
  }
}

function fireList(k: Kernel, base: TimerBase, bucket: number): void {
  for (;;) {
    const id = base.heads.get(bucket);
    if (id === undefined) return;
    const timer = timerOf(k, id);
    unlink(k, base, timer);
    must(timerFunctions, timer.func)(k, timer.arg, id);
  }
}

/** When the first wheel is due, ns; NEVER for none. */
export function wheelNs(k: Kernel): number {
  const { time } = k.state;
  if (time.wheelNs === NEVER) return NEVER;
  let changed = false;
  for (const base of time.bases) {
    if (!base.recalc) continue;
    updateNextExpiry(base);
    changed = true;
  }
  if (changed) updateWheelNs(k);
  return time.wheelNs;
}

/** The jiffy at which the first wheel is due, as a look; NEVER for none. */
export function peekWheel(k: Kernel): number {
  let next = NEVER;
  for (const base of k.state.time.bases) next = Math.min(next, peekDueJiffy(base));
  return next;
}

/** The CPU whose wheel is due first, the lowest of several. */
export function wheelCpu(k: Kernel): number {
  const { bases } = k.state.time;
  let first = 0;
  for (let cpu = 1; cpu < bases.length; cpu++) if (dueJiffy(bases[cpu]) < dueJiffy(bases[first])) first = cpu;
  return first;
}

/** The tick of the CPU that runs has seen that its wheel is due: if nobody turns it, the next tick sees it again. */
export function wheelTicked(k: Kernel): void {
  k.state.time.bases[k.turn.cpu].ticked = jiffies(k);
  updateWheelNs(k);
}
