/** What must hold of processes between two inputs, whatever was fed to the kernel. */
import type { Kernel } from "../kernel.ts";
import { UNBLOCKABLE, bit } from "../sched/signal.ts";
import { groupOf, type Task, type ThreadGroup } from "../sched/task.ts";
import { PROCESS_LIMIT } from "./limits.ts";

/**
 * What is broken, a sentence each. Pure, and slow: it looks at every task. That families, run queues and wait queues name each
 * other rightly is a rule of the scheduler, kept beside this one.
 */
export function processInvariants(k: Kernel): string[] {
  return [...families(k), ...handlers(k), ...tasks(k), ...zombies(k), ...pendingFlags(k), ...futexes(k), ...timers(k)];
}

/** A process is led by its first thread, the dead have no children, and nobody is above the limits. */
function families(k: Kernel): string[] {
  const wrong: string[] = [];
  for (const group of k.state.sched.groups.values()) {
    const { tgid, threads, children } = group;
    if (threads[0] !== tgid) wrong.push(`process ${tgid} is led by thread ${threads[0]}`);
    if (group.exitStatus >= 0 && children.length > 0) wrong.push(`dead process ${tgid} has children ${children.join()}`);
    if (group.pgid !== 0 && !sessionHolds(k, group)) wrong.push(`process ${tgid} of session ${group.sid} is in process group ${group.pgid} of another`);
  }
  const { size } = k.state.sched.tasks;
  if (size > PROCESS_LIMIT) wrong.push(`there are ${size} tasks`);
  return wrong;
}

/** A process group lies within one session. */
function sessionHolds(k: Kernel, { pgid, sid }: ThreadGroup): boolean {
  for (const other of k.state.sched.groups.values()) if (other.pgid === pgid && other.sid !== sid) return false;
  return true;
}

/** Tables of signal actions are used as often as they say, and none is left behind. */
function handlers(k: Kernel): string[] {
  const wrong: string[] = [];
  const uses = new Map<number, number>();
  for (const { sighand } of k.state.sched.groups.values()) uses.set(sighand, (uses.get(sighand) ?? 0) + 1);
  for (const [id, { refs }] of k.state.sched.handlers) {
    if (refs !== (uses.get(id) ?? 0)) wrong.push(`signal actions ${id} count ${refs} users and have ${uses.get(id) ?? 0}`);
  }
  for (const id of uses.keys()) if (!k.state.sched.handlers.has(id)) wrong.push(`nobody keeps signal actions ${id}`);
  return wrong;
}

function tasks(k: Kernel): string[] {
  const wrong: string[] = [];
  for (const task of k.state.sched.tasks.values()) {
    if (task.utimeNs < 0 || task.stimeNs < 0) wrong.push(`task ${task.tid} has used ${task.utimeNs} and ${task.stimeNs} ns`);
    if (task.kind === "kthread" && task.mm !== 0) wrong.push(`kernel thread ${task.tid} has an address space`);
    if (task.realBlocked !== 0n && task.sleep === null && task.state !== "runnable") wrong.push(`task ${task.tid} waits for signals and does not sleep`);
    if ((task.blocked & UNBLOCKABLE) !== 0n) wrong.push(`task ${task.tid} blocks SIGKILL or SIGSTOP`);
    if (task.scratch !== null && task.frames.length === 0) wrong.push(`task ${task.tid} keeps a scratch area outside a call`);
  }
  return wrong;
}

/** A zombie has no frames, memory, files, timers or work left. */
function zombies(k: Kernel): string[] {
  const wrong: string[] = [];
  for (const task of k.state.sched.tasks.values()) {
    if (task.state !== "zombie") {
      if (groupOf(k, task).exitStatus >= 0) wrong.push(`task ${task.tid} of dead process ${task.tgid} is ${task.state}`);
      continue;
    }
    const { tid, frames, mm, files, fs, work, sleep } = task;
    if (frames.length > 0) wrong.push(`zombie ${tid} has frames`);
    if (mm !== 0 || files !== 0 || fs !== 0) wrong.push(`zombie ${tid} has memory, files or a directory`);
    if (work.length > 0 || sleep !== null) wrong.push(`zombie ${tid} has work or a sleep`);
  }
  for (const group of k.state.sched.groups.values()) {
    if (group.exitStatus >= 0 && (group.realTimer !== 0 || group.posixTimers.length > 0)) wrong.push(`dead process ${group.tgid} has timers`);
    if (group.exitStatus >= 0 && group.threads.length !== 1) wrong.push(`dead process ${group.tgid} has ${group.threads.length} threads`);
  }
  return wrong;
}

/**
 * `signalPending` says that a signal, a stop or a caller's interruption waits for the task. A signal sent to the whole process
 * is told to one thread that does not block it; the others see it when they look the next time, as on Linux.
 */
function pendingFlags(k: Kernel): string[] {
  const wrong: string[] = [];
  for (const group of k.state.sched.groups.values()) {
    let told = false;
    let takers = false;
    for (const tid of group.threads) {
      const task = k.state.sched.tasks.get(tid);
      if (task === undefined || task.exiting) continue;
      const open = ({ number }: { number: number }): boolean => (task.blocked & ~UNBLOCKABLE & bit(number)) === 0n;
      const own = task.pending.some(open) || task.interrupted || group.stopSignal !== 0;
      const shared = group.pending.some(open);
      told ||= shared && task.signalPending;
      takers ||= shared;
      if (task.signalPending ? !own && !shared : own) wrong.push(`task ${task.tid} says signalPending ${task.signalPending}`);
      if (task.signalPending && idle(task, group)) wrong.push(`task ${task.tid} rests though a signal waits for it`);
    }
    if (takers && !told) wrong.push(`no thread of process ${group.tgid} was told of its signals`);
  }
  return wrong;
}

/** A task that could take its signal and does not: parked, or in a sleep that a signal ends. */
function idle(task: Task, group: ThreadGroup): boolean {
  if (task.state === "parked") return group.stopSignal === 0;
  return task.sleep?.mode === "interruptible";
}

/** Whoever is on the list of futexes sleeps in futex(2), once. */
function futexes(k: Kernel): string[] {
  const wrong: string[] = [];
  const seen = new Set<number>();
  for (const { tid, queue } of k.state.process.futexWaiters) {
    const task = k.state.sched.tasks.get(tid);
    if (task?.frames.some(({ code }) => code === "futex.wait" || code === "futex.lock_pi") !== true) wrong.push(`task ${tid} is said to wait on a futex`);
    if (task?.sleep !== undefined && task.sleep !== null && !task.sleep.queues.includes(queue)) wrong.push(`task ${tid} waits on another futex queue`);
    if (seen.has(tid)) wrong.push(`task ${tid} waits on two futexes`);
    seen.add(tid);
  }
  return wrong;
}

/** Timers that processes name are armed, and none is armed for a process that has forgotten it. */
function timers(k: Kernel): string[] {
  const wrong: string[] = [];
  const named = new Set<number>();
  for (const { tgid, realTimer, virtualTimer, profTimer, posixTimers } of k.state.sched.groups.values()) {
    for (const id of [realTimer, virtualTimer.timer, profTimer.timer, ...posixTimers.map(({ timer }) => timer)]) {
      if (id === 0) continue;
      named.add(id);
      if (!k.state.time.timers.has(id)) wrong.push(`process ${tgid} names timer ${id}, which is not armed`);
    }
  }
  for (const { id, callback } of k.state.time.timers.values()) {
    if ((callback.startsWith("itimer.") || callback === "posix.timer") && !named.has(id)) wrong.push(`timer ${id} (${callback}) belongs to nobody`);
  }
  return wrong;
}
