/** Entering and leaving a system call: arguments by type, restarts, signals on the way out (entry_64.S, signal.c). */
import { ENOSYS, ERESTART_RESTARTBLOCK } from "../abi/errno.ts";
import type { OpenFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "../sched/cost.ts";
import { sysExitLocks } from "../sched/lock_exit.ts";
import { deliverSignals, isRestart } from "../sched/signal_delivery.ts";
import { enter, NEXT, steps, to, type EnterAction, type Frame, type StepResult, type SyscallResult } from "../sched/steps.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { doTaskWork, taskWork } from "../sched/task_work.ts";
import { interruptedBy, sleepForbidden, sleepOn } from "../sched/wait_queue.ts";
import { exitGroup } from "../process/exit.ts";
import type { SyscallEntry } from "./row.ts";

type Registers = (number | bigint)[];
type Held = (number | null)[] | null;

interface SyscallLocals {
  nr: number;
  regs: Registers;
  /** File ids that fd arguments named when the call entered, by argument; null before it has slept. */
  held: Held;
  /** What the first attempt answered, when that was more than a number to return. */
  pending: number | bigint | EnterAction | null;
  result: number | bigint;
}

/** Calls the function with its arguments taken from the registers; fd arguments from `held` when it slept before. */
function invoke(k: Kernel, task: Task, { run, takes }: SyscallEntry, regs: Registers, held: Held): SyscallResult {
  // Made as long as it gets: one that grows takes room for sixteen.
  const args = new Array<unknown>(takes.length);
  for (let at = 0; at < args.length; at++) {
    const fileId = held === null ? null : held[at];
    const take = takes[at];
    args[at] = fileId === null ? take(regs[at] ?? 0, k, task) : k.tables.hooks.file(k, fileId);
  }
  return run(k, task, args);
}

/** Takes a reference to every file that an fd argument names, so that it is the same when the step runs again. */
function hold(k: Kernel, task: Task, { takes, fds }: SyscallEntry, regs: Registers): (number | null)[] {
  return takes.map((take, at) => {
    if (!fds[at]) return null;
    const file = take(regs[at] ?? 0, k, task);
    if (typeof file !== "object" || file === null) return null;
    const { id } = file as OpenFile;
    k.tables.hooks.getFile(k, id);
    return id;
  });
}

/**
 * Makes a system call as far as it goes without sleeping. A number: it is over, and nothing waits on the way out.
 * An action: the step that called answers it, and finds the result in `frame.ret` of its next step.
 */
export function syscall(k: Kernel, task: Task, nr: number, regs: Registers): number | bigint | EnterAction {
  charge(k, costs(k).syscallNs);
  task.restartNs = -1;
  const entry = k.tables.syscallEntries[nr];
  const result = entry === undefined ? -ENOSYS : invoke(k, task, entry, regs, null);
  if (typeof result !== "object") {
    if (k.state.sched.lockdep.held.size !== 0) sysExitLocks(k, task);
    if (task.work.length === 0 && !task.signalPending && !isRestart(result)) return result;
    return enter(syscallSteps, { nr, regs: [...regs], held: null, pending: result, result: 0 });
  }
  // A sleep is not carried over: whoever wakes the queue before this task's next step would be missed.
  const pending = result.act === "enter" ? result : null;
  return enter(syscallSteps, { nr, regs: [...regs], held: null, pending, result: 0 });
}

/** A system call made by a step of a program: goes on with the next step at once when the call is over. */
export function sys(k: Kernel, task: Task, frame: Frame, name: string, regs: Registers): StepResult {
  const result = syscall(k, task, k.tables.syscallNumbers.get(name) ?? -1, regs);
  if (typeof result === "object") return result;
  frame.ret = result;
  return NEXT;
}

/** Goes on with another step within this one, which then costs what both do. */
function goOn(k: Kernel, frame: Frame<SyscallLocals>, step: string): void {
  charge(k, costs(k).stepNs);
  frame.step = step;
}

function call(k: Kernel, task: Task, frame: Frame<SyscallLocals>): StepResult {
  const { nr, regs, held } = frame.locals;
  const entry = k.tables.syscallEntries[nr];
  const result = entry === undefined ? -ENOSYS : invoke(k, task, entry, regs, held);
  if (typeof result !== "object") return finish(k, task, frame, result);
  if (held === null && entry !== undefined) frame.locals.held = hold(k, task, entry, regs);
  if (result.act === "sleep" && sleepForbidden(task, result)) return finish(k, task, frame, interruptedBy(result));
  return result;
}

/** The call has its result: files are put, and when nothing waits on the way out it is over. */
function finish(k: Kernel, task: Task, frame: Frame<SyscallLocals>, result: number | bigint): StepResult {
  const { locals } = frame;
  goOn(k, frame, "result");
  locals.result = result;
  if (k.state.sched.lockdep.held.size !== 0) sysExitLocks(k, task);
  for (const fileId of locals.held ?? []) if (fileId !== null) k.tables.hooks.fput(k, fileId);
  locals.held = null;
  return task.work.length === 0 && !task.signalPending && task.savedMask === null && !isRestart(result) ? result : NEXT;
}

export const syscallSteps = steps<SyscallLocals>("syscall", {
  start: (k, task, frame) => {
    const { pending, nr, regs } = frame.locals;
    goOn(k, frame, "call");
    if (pending === null) return call(k, task, frame);
    frame.locals.pending = null;
    if (typeof pending !== "object") return finish(k, task, frame, pending);
    const entry = k.tables.syscallEntries[nr];
    if (entry !== undefined) frame.locals.held = hold(k, task, entry, regs);
    return pending;
  },
  call,
  nested: (k, task, frame) => finish(k, task, frame, frame.ret),
  result: (k, task, frame) => finish(k, task, frame, frame.locals.result),
  work: (k, task) => {
    const action = doTaskWork(k, task);
    return typeof action === "object" && action.act === "next" ? to("signals") : action;
  },
  moreWork: (_k, task) => (task.work.length > 0 ? to("work") : NEXT),
  signals: (k, task, frame) => {
    const { locals } = frame;
    const delivery = deliverSignals(k, task, locals.result);
    switch (delivery.then) {
      case "return": return delivery.ret;
      case "restart":
        if (locals.result !== -ERESTART_RESTARTBLOCK) task.restartNs = -1;
        return to("call");
      case "stop":
        locals.result = delivery.ret;
        return sleepOn(groupOf(k, task).stopWait, { mode: "killable", wchan: "do_signal_stop" });
      case "die": return exitGroup(delivery.status);
    }
  },
});

/** What a parked process does when a signal comes: die, stop, or count a handler. */
export const signalSteps = steps<object>("signals", {
  deliver: (k, task) => {
    if (task.work.length > 0) return enter(taskWork, {});
    const delivery = deliverSignals(k, task, 0);
    switch (delivery.then) {
      case "stop": return sleepOn(groupOf(k, task).stopWait, { mode: "killable", wchan: "do_signal_stop" });
      case "die": return exitGroup(delivery.status);
      default: return 0;
    }
  },
  again: () => to("deliver"),
});
