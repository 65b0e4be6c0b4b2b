/** What must hold of locks, their holders and kernel threads between two inputs. */
import type { Kernel } from "../kernel.ts";
import type { Lock } from "./lock_state.ts";
import { LOCKING } from "./stack_trace.ts";

/** What is broken, a sentence each. */
export function lockInvariants(k: Kernel): string[] {
  const wrong: string[] = [];
  const { tasks, locks, lockdep, kthreads, rcu } = k.state.sched;
  for (const [id, lock] of locks.locks) {
    if (lock.id !== id) wrong.push(`lock ${lock.id} is kept as ${id}`);
    wrong.push(...oneLock(k, lock));
  }
  for (const [tid, held] of lockdep.held) {
    if (held.length === 0) wrong.push(`task ${tid} has an empty list of held locks`);
    if (tid === 0) wrong.push(`an interrupt left with ${held.map(({ name }) => name).join()}`);
    else if (!tasks.has(tid)) wrong.push(`task ${tid} holds locks and does not exist`);
    for (const { lock, name } of held) if (lock !== 0 && !locks.locks.has(lock)) wrong.push(`task ${tid} holds ${name}, which is freed`);
  }
  for (const tid of [...lockdep.rcuDepth.keys(), ...rcu.readers]) if (!tasks.has(tid)) wrong.push(`task ${tid} reads under RCU and does not exist`);
  if (rcu.started - rcu.completed > 1 || rcu.started < rcu.completed) wrong.push(`grace period ${rcu.started} was started, ${rcu.completed} has ended`);
  for (const [tid, { exited, refs }] of kthreads) {
    if (!exited && tasks.get(tid)?.kind !== "kthread") wrong.push(`kernel thread ${tid} has not ended and does not exist`);
    if (refs < 1) wrong.push(`kernel thread ${tid} is kept for ${refs}`);
  }
  return wrong;
}

function oneLock(k: Kernel, lock: Lock): string[] {
  const wrong: string[] = [];
  switch (lock.kind) {
    case "mutex":
      if (lock.owner === 0 && lock.waiters.length > 0 && asleep(k, lock.waiters[0])) wrong.push(`mutex ${lock.name} is free, and its first waiter sleeps`);
      return [...wrong, ...waiting(k, lock.name, lock.waiters)];
    case "semaphore":
      if (lock.count > 0 && lock.waiters.length > 0) wrong.push(`semaphore ${lock.id} has ${lock.count} units and waiters`);
      return [...wrong, ...waiting(k, lock.name, lock.waiters)];
    case "rwsem":
      if (lock.writer !== 0 && lock.readers.length > 0) wrong.push(`${lock.name} has a writer and readers`);
      if (lock.writer === 0 && lock.readers.length === 0 && lock.waiters.length > 0) wrong.push(`${lock.name} is free and has waiters`);
      return [...wrong, ...waiting(k, lock.name, lock.waiters.map(({ tid }) => tid))];
    case "spinlock":
      if (lock.owner === -1) wrong.push(`an interrupt left with spinlock ${lock.name}`);
      return wrong;
    case "rwlock":
      if (lock.writer !== 0 && lock.readers.length > 0) wrong.push(`${lock.name} has a writer and readers`);
      return wrong;
    case "completion":
      return lock.done < 0 || lock.done > 0xffff_ffff ? [`completion ${lock.id} is done ${lock.done} times`] : [];
  }
}

const asleep = (k: Kernel, tid: number): boolean => k.state.sched.tasks.get(tid)?.state === "sleeping";

/** Who stands in a lock's line stands in its function, too. */
function waiting(k: Kernel, name: string, tids: readonly number[]): string[] {
  const wrong: string[] = [];
  if (new Set(tids).size !== tids.length) wrong.push(`a task waits for ${name} twice`);
  for (const tid of tids) {
    const frames = k.state.sched.tasks.get(tid)?.frames ?? [];
    if (frames[frames.length - 1]?.code.startsWith(LOCKING) !== true) wrong.push(`task ${tid} waits for ${name} and is elsewhere`);
  }
  return wrong;
}
