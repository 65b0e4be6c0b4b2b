/** The end of a thread, and with the last one of its process (exit(2), exit_group(2), kernel/exit.c). */
import { WEXITSTATUS, WIFSIGNALED, WTERMSIG } from "../abi/wait.ts";
import { signalName } from "../abi/signal.ts";
import { exitFiles } from "../fs/fd_table.ts";
import { exitFs } from "../fs/fs_struct.ts";
import type { Json } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import { dropSpace } from "../mm/fork.ts";
import { charge, costs } from "../sched/cost.ts";
import { emit } from "../sched/events.ts";
import { exitLocks } from "../sched/lock_exit.ts";
import { killThreads, recalcSignalPending, retargetSignals } from "../sched/signal.ts";
import { enter, EXIT, NEXT, steps, to, type EnterAction } from "../sched/steps.ts";
import { groupOf, taskOf, type Task, type ThreadGroup } from "../sched/task.ts";
import { doTaskWork } from "../sched/task_work.ts";
import { wake } from "../sched/wait_queue.ts";
import { keepUsage } from "./cputime.ts";
import { exitFutexes } from "./futex_exit.ts";
import { exitTimers } from "./itimer.ts";
import { sampleLoad } from "../sched/loadavg.ts";
import { notifyExit, orphanedByExit } from "./notify.ts";
import { reap } from "./reap.ts";
import { reparentChildren } from "./reparent.ts";

interface ExitLocals {
  /** wait status, as abi/wait.ts makes it. */
  status: number;
  /** The other threads end too. */
  group: boolean;
}

/** Files that the call under way held: the task dies inside it, as of an oops, and it never returns to put them. */
function putHeldFiles(k: Kernel, task: Task): void {
  for (const { code, locals } of task.frames) {
    if (code === "fs.held" || code === "fs.ioctl") k.tables.hooks.fput(k, (locals as { file: number }).file);
    if (code !== "syscall") continue;
    const call = locals as { held: (number | null)[] | null };
    for (const fileId of call.held ?? []) if (fileId !== null) k.tables.hooks.fput(k, fileId);
    call.held = null;
  }
}

function leave(k: Kernel, task: Task, group: ThreadGroup): void {
  putHeldFiles(k, task);
  exitFutexes(k, task);
  if (group.vforkParent !== 0 && task.tid === task.tgid) {
    group.vforkParent = 0;
    wake(k, group.vforkWait, { nr: Infinity });
  }
  const space = k.state.mm.spaces.get(task.mm);
  if (space !== undefined) group.maxRssPages = Math.max(group.maxRssPages, space.peakRss);
  if (task.mm !== 0) dropSpace(k, task);
  k.tables.hooks.exitIpc(k, task);
  exitFiles(k, task);
  exitFs(k, task);
}

export const exitSteps = steps<ExitLocals>("exit", {
  begin: (k, task, { locals }) => {
    const group = groupOf(k, task);
    // A thread that makes room for one that executes a program takes nobody with it.
    const whole = locals.group && (group.execTask === 0 || group.execTask === task.tid);
    if (group.exiting >= 0) locals.status = group.exiting;
    else if (whole) group.exiting = locals.status;
    if (whole) killThreads(k, group, task);
    sampleLoad(k);
    task.exitCode = locals.status;
    task.exiting = true;
    task.interrupted = false;
    recalcSignalPending(k, task);
    const last = group.threads.every((tid) => taskOf(k, tid).exiting);
    charge(k, last && task.kind !== "kthread" ? costs(k).exitNs : costs(k).threadExitNs);
    if (last) exitTimers(k, group);
    else retargetSignals(k, group);
    leave(k, task, group);
    exitLocks(k, task);
    return NEXT;
  },
  // What the files' last holders left to do is done before anybody is told of the death.
  work: (k, task) => {
    const action = doTaskWork(k, task);
    return typeof action === "object" && action.act === "next" ? to("notify") : action;
  },
  moreWork: (_k, task) => (task.work.length > 0 ? to("work") : NEXT),
  notify: (k, task) => {
    const group = groupOf(k, task);
    k.tables.hooks.callEnded(k, task, task.exitCode);
    task.state = "zombie";
    task.scratch = null;
    task.program = null;
    if (task.tid !== task.tgid) dropThread(k, task, group);
    if (group.threads.every((tid) => taskOf(k, tid).state === "zombie")) endGroup(k, group);
    return EXIT;
  },
});

/** A thread that is not the leader leaves nothing behind. */
function dropThread(k: Kernel, task: Task, group: ThreadGroup): void {
  keepUsage(group, task);
  group.threads.splice(group.threads.indexOf(task.tid), 1);
  k.state.sched.tasks.delete(task.tid);
  wake(k, group.threadWait, { nr: Infinity });
}

/** The last thread is gone: children go to another parent, and the own parent learns of it. */
function endGroup(k: Kernel, group: ThreadGroup): void {
  const leader = taskOf(k, group.threads[0]);
  const status = group.exiting >= 0 ? group.exiting : leader.exitCode;
  group.exitStatus = status;
  group.stopSignal = 0;
  group.waitNotice = 0;
  group.pending = [];
  leader.pending = [];
  if (leader.kind !== "kthread") {
    const how: { [key: string]: Json } = WIFSIGNALED(status) ? { signaled: signalName(WTERMSIG(status)) } : { exited: WEXITSTATUS(status) };
    emit(k, { event: "process", data: { pid: group.tgid, what: "exited", ...how } });
  }
  reparentChildren(k, group);
  orphanedByExit(k, group);
  if (notifyExit(k, group)) reap(k, group);
}

/** Enters the end of the running task. */
export function enterExit(locals: ExitLocals): EnterAction {
  return enter(exitSteps, locals);
}

/** Ends the process with this wait status; nothing runs after it. */
export function exitGroup(status: number): EnterAction {
  return enterExit({ status, group: true });
}

/** Ends this thread alone (exit(2)). */
export function exitThread(status: number): EnterAction {
  return enterExit({ status, group: false });
}
