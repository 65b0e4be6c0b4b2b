/** Kernel threads that do what a list says, so that a scene of locks can be written as data. */
import { expect } from "vitest";
import type { Kernel } from "../../../core/kernel.ts";
import * as completion from "../../../core/sched/completion.ts";
import * as mutex from "../../../core/sched/mutex.ts";
import { preemptDisable, preemptEnable } from "../../../core/sched/preempt.ts";
import * as rcu from "../../../core/sched/rcu.ts";
import * as rwlock from "../../../core/sched/rwlock.ts";
import * as rwsem from "../../../core/sched/rwsem.ts";
import * as semaphore from "../../../core/sched/semaphore.ts";
import * as spinlock from "../../../core/sched/spinlock.ts";
import { sendSignal } from "../../../core/sched/signal.ts";
import { enter, run, steps, to, type Action, type StepResult, type StepTable } from "../../../core/sched/steps.ts";
import type { Task } from "../../../core/sched/task.ts";
import { sleepUntil, wake } from "../../../core/sched/wait_queue.ts";
import { newTimeout, waitEventInterruptibleExclusive, waitEventInterruptibleTimeout, waitEventTimeout } from "../../../core/sched/wait_event.ts";
import { allowSignal, flushSignals, kthreadPark, kthreadParkme, kthreadRun, kthreadShouldStop, kthreadStop, kthreadUnpark } from "../../../core/process/kthread.ts";
import { now, ticks } from "../../../core/time/clock.ts";
import { CoreMachine } from "../../helpers/core.ts";
import { copy, expectSame } from "../../helpers/replay.ts";

export const MS = 1_000_000;

/** An act: its name and what it takes. */
export type Act = [string, ...(number | string | boolean)[]];

interface Locals {
  acts: Act[];
  at: number;
  untilNs: number;
  timeout: { left: number; endTick: number; untilNs: number };
}

interface Scene {
  told: string[];
  flag: boolean;
}

export const sceneOf = (k: Kernel): Scene => k.state.labs.get("scene") as Scene;

const blocking: { [name: string]: StepTable<number> | StepTable<mutex.MutexLocals> | StepTable<semaphore.DownLocals> | StepTable<completion.WaitLocals> } = {
  lock: mutex.mutexLock, lockInterruptible: mutex.mutexLockInterruptible, lockKillable: mutex.mutexLockKillable,
  down: semaphore.down, downInterruptible: semaphore.downInterruptible, downKillable: semaphore.downKillable,
  read: rwsem.downRead, readKillable: rwsem.downReadKillable, readInterruptible: rwsem.downReadInterruptible, write: rwsem.downWrite, writeKillable: rwsem.downWriteKillable,
  wait: completion.waitForCompletion, waitInterruptible: completion.waitForCompletionInterruptible, waitKillable: completion.waitForCompletionKillable,
};

const spinning: { [name: string]: (k: Kernel, id: number) => Action | null } = {
  spin: spinlock.spinLock, spinBh: spinlock.spinLockBh, spinIrqsave: spinlock.spinLockIrqsave,
  readLock: rwlock.readLock, writeLock: rwlock.writeLock,
};

const plain: { [name: string]: (k: Kernel, ...args: number[]) => unknown } = {
  unlock: mutex.mutexUnlock, trylock: mutex.mutexTrylock, up: semaphore.up, downTrylock: semaphore.downTrylock,
  upRead: rwsem.upRead, upWrite: rwsem.upWrite, downgrade: rwsem.downgradeWrite, readTrylock: rwsem.downReadTrylock, writeTrylock: rwsem.downWriteTrylock,
  complete: completion.complete, completeAll: completion.completeAll, reinit: completion.reinitCompletion, tryWait: completion.tryWaitForCompletion,
  unspin: spinlock.spinUnlock, unspinBh: spinlock.spinUnlockBh, unspinIrqrestore: spinlock.spinUnlockIrqrestore,
  readUnlock: rwlock.readUnlock, writeUnlock: rwlock.writeUnlock, spinTrylock: spinlock.spinTrylock,
  rcuLock: rcu.rcuReadLock, rcuUnlock: rcu.rcuReadUnlock, preemptDisable, preemptEnable,
  unpark: kthreadUnpark,
  signal: (k, pid, signal) => { sendSignal(k, pid, signal); },
  wake: (k, queue, nr) => { wake(k, queue, { nr: nr === 0 ? Infinity : nr }); },
  setFlag: (k, on) => { sceneOf(k).flag = on !== 0; },
};

function perform(k: Kernel, task: Task, locals: Locals, [name, ...args]: Act): StepResult | undefined {
  const first = Number(args[0]);
  if (name in blocking) return { act: "enter", code: blocking[name].name, locals: first };
  if (name in plain) {
    const result = plain[name](k, ...args.map(Number));
    return result === undefined ? undefined : Number(result);
  }
  if (name in spinning) return spinning[name](k, first) ?? undefined;
  switch (name) {
    case "run": return run(first);
    case "sleep":
      if (locals.untilNs < 0) locals.untilNs = now(k) + first * MS;
      if (now(k) < locals.untilNs) return sleepUntil(locals.untilNs, { mode: "uninterruptible", wchan: "msleep" });
      locals.untilNs = -1;
      return undefined;
    case "downTimeout": return enter(semaphore.downTimeout, { semaphore: first, timeout: Number(args[1]) });
    case "waitTimeout": return enter(completion.waitForCompletionTimeout, { completion: first, timeout: Number(args[1]) });
    case "waitInterruptibleTimeout": return enter(completion.waitForCompletionInterruptibleTimeout, { completion: first, timeout: Number(args[1]) });
    case "lockNested": return enter(mutex.mutexLock, { mutex: first, subclass: Number(args[1]) });
    case "eventTimeout": case "eventInterruptibleTimeout": {
      if (locals.timeout.left < 0) locals.timeout = newTimeout(Number(args[1]));
      const wait = name === "eventTimeout" ? waitEventTimeout : waitEventInterruptibleTimeout;
      const left = wait(k, task, first, sceneOf(k).flag, locals.timeout);
      if (typeof left === "number") locals.timeout = newTimeout(-1);
      return left;
    }
    case "eventExclusive": return waitEventInterruptibleExclusive(k, task, first, sceneOf(k).flag);
    case "synchronizeRcu": return enter(rcu.synchronizeRcu, {});
    case "rcuBarrier": return enter(rcu.rcuBarrier, {});
    case "stop": return enter(kthreadStop, { tid: first });
    case "park": return enter(kthreadPark, { tid: first });
    case "parkme": return enter(kthreadParkme, {});
    case "allowSignal": return void allowSignal(k, task, first);
    case "flushSignals": return void flushSignals(k, task);
    case "again": if (!kthreadShouldStop(k, task)) locals.at = first - 1; return undefined;
    case "tell": sceneOf(k).told.push(`${task.comm} ${String(args[0])} at ${ticks(k)}`); return undefined;
    case "return": return first;
    default: throw new Error(`no act ${name}`);
  }
}

/** Takes act after act, telling each one's number. */
export const actor = steps<Locals>("scene.actor", {
  next: (k, task, frame) => {
    const { locals } = frame;
    const act = locals.acts.at(locals.at);
    if (act === undefined) return 0;
    if (act[0] === "return") return Number(act[1]);
    const result = perform(k, task, locals, act);
    // A sleep or a spin comes back to the same act.
    if (typeof result === "object" && (result.act === "sleep" || result.act === "to")) return result;
    locals.at++;
    if (typeof result === "object") return result;
    if (result !== undefined) tell(k, task, act, result);
    return to("next");
  },
  entered: (k, task, { locals, ret }) => {
    const act = locals.acts[locals.at - 1];
    if (act[0] !== "run") tell(k, task, act, ret);
    return to("next");
  },
});

function tell(k: Kernel, task: Task, [name]: Act, result: number | bigint): void {
  sceneOf(k).told.push(`${task.comm} ${name}=${result}`);
}

export function scene(options = {}): CoreMachine {
  const m = new CoreMachine({ ramMiB: 16, swapMiB: 8, cpus: 1, ...options });
  m.kernel.state.labs.set("scene", { told: [], flag: false } satisfies Scene);
  return m;
}

/** A kernel thread that does the acts; its tid. */
export function act(m: CoreMachine, name: string, ...acts: Act[]): number {
  const tid = kthreadRun(m.kernel, actor, { acts, at: 0, untilNs: -1, timeout: newTimeout(-1) }, name);
  expect(tid).toBeGreaterThan(0);
  return tid;
}

export const told = (m: CoreMachine): string[] => sceneOf(m.kernel).told;

export const dmesg = (m: CoreMachine): string[] => m.kernel.state.log.records.map(({ text }) => text);

/**
 * Plays a scene with small and large budgets, and once with a snapshot and a restore at each pause: all end with the same bytes.
 * Answers what was told.
 */
export function sameHowever(play: (m: CoreMachine, pause: () => void) => void, options = {}): string[] {
  const ends = [1, 100, 1_000_000, 1_000_000].map((budget, at) => {
    const m = scene(options);
    m.budget = budget;
    play(m, () => {
      if (at === 3) m.kernel = copy(m.kernel);
    });
    expect(m.broken()).toEqual([]);
    return m.kernel;
  });
  for (const end of ends.slice(1)) expectSame(end, ends[0]);
  return sceneOf(ends[0]).told;
}
