/**
 * Read-copy-update: readers that never wait, and grace periods that end when all readers of their beginning have gone
 * (Documentation/RCU/whatisRCU.rst).
 */
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { tickNs, ticks } from "../time/clock.ts";
import { armTimer, timerCallback } from "../time/timer.ts";
import type { RcuState } from "./lock_state.ts";
import { lockAcquire, lockRelease } from "./lockdep.ts";
import { mightSleep, preemptCountAdd, preemptCountSub, SOFTIRQ_OFFSET } from "./preempt.ts";
import { LOCKING } from "./stack_trace.ts";
import { NEXT, steps } from "./steps.ts";
import { newWaitQueue, sleepOn, wake } from "./wait_queue.ts";

/** A grace period takes this many ticks at least: the thread that drives it looks that often (jiffies_till_first_fqs and one more). */
const SHORTEST_TICKS = 3;

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
  // RCU_SOFTIRQ: callbacks run where nothing sleeps.
  preemptCountAdd(k, SOFTIRQ_OFFSET);
  for (const { callback, arg } of heads) must(rcuCallbacks, callback)(k, arg);
  preemptCountSub(k, SOFTIRQ_OFFSET);
  if (rcu.queue !== 0) wake(k, rcu.queue, { nr: Infinity });
  if (rcu.started === rcu.completed && rcu.callbacks.size > 0) start(k, rcu);
}

/** Runs the callback registered as `callback` with `arg` after a grace period. */
export function callRcu(k: Kernel, callback: string, arg: number): void {
  must(rcuCallbacks, callback);
  const period = nextGracePeriod(k);
  const { callbacks } = k.state.sched.rcu;
  const heads = callbacks.get(period);
  if (heads === undefined) callbacks.set(period, [{ callback, arg }]);
  else heads.push({ callback, arg });
}

interface WaitLocals {
  /** The grace period to wait for; 0 until it is known. */
  period?: number;
}

function periodTable(name: string, where: string, periodOf: (k: Kernel) => number): ReturnType<typeof steps<WaitLocals>> {
  return steps<WaitLocals>(LOCKING + name, {
    begin: (k, _task, { locals }) => {
      mightSleep(k, where);
      locals.period = periodOf(k);
      return NEXT;
    },
    wait: (k, _task, { locals: { period = 0 } }) => {
      const { rcu } = k.state.sched;
      if (rcu.completed >= period) return 0;
      if (rcu.started === rcu.completed) start(k, rcu);
      if (rcu.queue === 0) rcu.queue = newWaitQueue(k);
      return sleepOn(rcu.queue, { mode: "uninterruptible", wchan: name });
    },
  });
}

/** Waits until all that read now have gone: enter(synchronizeRcu, {}). */
export const synchronizeRcu = periodTable("synchronize_rcu", "kernel/rcu/tree.c:3411", nextGracePeriod);
/** Waits until all callbacks that call_rcu was given have run: enter(rcuBarrier, {}). */
export const rcuBarrier = periodTable("rcu_barrier", "kernel/rcu/tree.c:4040", (k) => Math.max(0, ...k.state.sched.rcu.callbacks.keys()));
