/**
 * Read-copy-update: readers that never wait, and grace periods that end when all readers of their beginning have gone
 * (Documentation/RCU/whatisRCU.rst).
 */
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { tickNs, ticks } from "../time/clock.ts";
import { armTimer, timerCallback } from "../time/timer.ts";
import type { RcuHead, RcuState } from "./lock_state.ts";
import { lockAcquire, lockRelease } from "./lockdep.ts";
import { mightSleep } from "./preempt.ts";
import { LOCKING } from "./stack_trace.ts";
import { NEXT, steps, type StepTable } from "./steps.ts";
import { newWaitQueue, sleepOn, wake } from "./wait_queue.ts";

/** A grace period takes this many ticks at least: the thread that drives it looks that often (jiffies_till_first_fqs and one more). */
const SHORTEST_TICKS = 3;
/** Its number among the softirqs, which live in a room above. */
const RCU_SOFTIRQ = 9;

export type RcuCallback = (k: Kernel, arg: number) => void;
const rcuCallbacks = new Map<string, RcuCallback>();

/** Registers what call_rcu may name; it runs as a softirq and never sleeps. */
export function rcuCallback(name: string, callback: RcuCallback): void {
  assert(!rcuCallbacks.has(name), `two RCU callbacks named ${name}`);
  rcuCallbacks.set(name, callback);
}

/** What a reader holds, as the lock checker knows it. */
const READ_LOCK = { id: 0, name: "rcu_read_lock", kind: "rcu" } as const;

/** A reader begins; readers nest, and may sleep only in other locks' terms: might_sleep tells of it. */
export function rcuReadLock(k: Kernel): void {
  const { rcuDepth } = k.state.sched.lockdep;
  lockAcquire(k, READ_LOCK, { read: 2, trylock: true });
  rcuDepth.set(k.turn.current, (rcuDepth.get(k.turn.current) ?? 0) + 1);
}

export function rcuReadUnlock(k: Kernel): void {
  if (!lockRelease(k, READ_LOCK)) return;
  leaveRcu(k, k.turn.current, 1);
}

/** Depth of rcu_read_lock of the running code. */
export const rcuReadDepth = (k: Kernel): number => k.state.sched.lockdep.rcuDepth.get(k.turn.current) ?? 0;

/** A task reads no more: it leaves a section, or dies inside all of them. */
export function leaveRcu(k: Kernel, tid: number, depth = Infinity): void {
  const { rcu, lockdep: { rcuDepth } } = k.state.sched;
  const left = (rcuDepth.get(tid) ?? 0) - depth;
  if (left > 0) {
    rcuDepth.set(tid, left);
    return;
  }
  rcuDepth.delete(tid);
  const at = rcu.readers.indexOf(tid);
  if (at < 0) return;
  rcu.readers.splice(at, 1);
  endIfQuiet(k, rcu);
}

/** The grace period that ends after all that read now have gone; one is started unless it will be when the present one ends. */
function nextGracePeriod(k: Kernel): number {
  const { rcu } = k.state.sched;
  if (rcu.started === rcu.completed) start(k, rcu);
  // One that is under way may have begun after a reader of now: only the following one is sure.
  else return rcu.started + 1;
  return rcu.started;
}

function start(k: Kernel, rcu: RcuState): void {
  rcu.started++;
  rcu.readers = [...k.state.sched.lockdep.rcuDepth.keys()].filter((tid) => tid !== 0);
  rcu.timer = armTimer(k, { expiresNs: (ticks(k) + SHORTEST_TICKS) * tickNs(k), callback: "rcu.tick", arg: rcu.started });
}

timerCallback("rcu.tick", (k) => {
  const { rcu } = k.state.sched;
  rcu.timer = 0;
  endIfQuiet(k, rcu);
});

function endIfQuiet(k: Kernel, rcu: RcuState): void {
  if (rcu.started === rcu.completed || rcu.timer !== 0 || rcu.readers.length > 0) return;
  rcu.completed = rcu.started;
  const heads = rcu.callbacks.get(rcu.completed) ?? [];
  rcu.callbacks.delete(rcu.completed);
  rcu.ready.push(...heads);
  if (heads.length > 0) k.tables.hooks.raiseSoftirq(k, RCU_SOFTIRQ);
  if (rcu.queue !== 0) wake(k, rcu.queue, { nr: Infinity });
  if (rcu.started === rcu.completed && rcu.callbacks.size > 0) start(k, rcu);
}

/** What RCU_SOFTIRQ does: runs the callbacks whose grace period has ended (rcu_core). */
export function runRcuCallbacks(k: Kernel): void {
  const { rcu } = k.state.sched;
  for (let head = rcu.ready.shift(); head !== undefined; head = rcu.ready.shift()) {
    rcu.invoked++;
    must(rcuCallbacks, head.callback)(k, head.arg);
  }
  if (rcu.queue !== 0) wake(k, rcu.queue, { nr: Infinity });
}

/** Callbacks of a module that goes are gone with it: how many were still to run. */
export function dropRcuCallbacks(k: Kernel, isCode: (name: string) => boolean): number {
  const { rcu } = k.state.sched;
  let dropped = 0;
  const keep = (heads: RcuHead[]): RcuHead[] => heads.filter(({ callback }) => !isCode(callback) || (dropped++, false));
  rcu.ready = keep(rcu.ready);
  for (const [period, heads] of rcu.callbacks) rcu.callbacks.set(period, keep(heads));
  rcu.invoked += dropped;
  return dropped;
}

/** Runs the callback registered as `callback` with `arg` after a grace period. */
export function callRcu(k: Kernel, callback: string, arg: number): void {
  must(rcuCallbacks, callback);
  const period = nextGracePeriod(k);
  const { rcu } = k.state.sched;
  rcu.queued++;
  const heads = rcu.callbacks.get(period);
  if (heads === undefined) rcu.callbacks.set(period, [{ callback, arg }]);
  else heads.push({ callback, arg });
}

interface WaitLocals {
  /** The grace period, or the number of the callback, to wait for. */
  until?: number;
}

function waitTable(name: string, where: string, target: (k: Kernel) => number, reached: (rcu: RcuState) => number): StepTable<WaitLocals> {
  return steps<WaitLocals>(LOCKING + name, {
    begin: (k, _task, { locals }) => {
      mightSleep(k, where);
      locals.until = target(k);
      return NEXT;
    },
    wait: (k, _task, { locals: { until = 0 } }) => {
      const { rcu } = k.state.sched;
      if (reached(rcu) >= until) return 0;
      // A grace period that was to follow the last one begins when it is waited for.
      if (rcu.started === rcu.completed) start(k, rcu);
      if (rcu.queue === 0) rcu.queue = newWaitQueue(k);
      return sleepOn(rcu.queue, { mode: "uninterruptible", wchan: name });
    },
  });
}

/** Waits until all that read now have gone: enter(synchronizeRcu, {}). */
export const synchronizeRcu = waitTable("synchronize_rcu", "kernel/rcu/tree.c:3411", nextGracePeriod, ({ completed }) => completed);
/** Waits until all callbacks that call_rcu was given have run: enter(rcuBarrier, {}). */
export const rcuBarrier = waitTable("rcu_barrier", "kernel/rcu/tree.c:4040", (k) => k.state.sched.rcu.queued, ({ invoked }) => invoked);
