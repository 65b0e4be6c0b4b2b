/** Delivering signals as a task leaves the kernel. Handlers run no code here: a delivery is counted and told (signal(7)). */
import { ERESTARTNOHAND, ERESTARTNOINTR, ERESTARTSYS, ERESTART_RESTARTBLOCK, EINTR } from "../abi/errno.ts";
import { defaultAction, SA_RESETHAND, SA_RESTART, SIGKILL, SIGSTOP, signalName } from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { isOrphanedPgrp } from "./pgrp.ts";
import {
  actionOf, dequeueSignal, notify, notifyParent, recalcSignalPending, restoreMask, UNBLOCKABLE, type PendingSignal, type SignalAction,
} from "./signal.ts";
import { groupOf, taskOf, type Task, type ThreadGroup } from "./task.ts";

/** What delivery decides about a call that answered `ret`. */
export type Delivery =
  | { then: "return"; ret: number | bigint }
  | { then: "restart" }
  | { then: "stop"; ret: number | bigint }
  | { then: "die"; status: number };

/** Delivers all open signals as the task leaves the kernel with `ret`, and decides whether its call ends, restarts or dies. */
export function deliverSignals(k: Kernel, task: Task, ret: number | bigint): Delivery {
  const group = groupOf(k, task);
  let result = ret;
  let handled = false;
  if (task.interrupted) {
    task.interrupted = false;
    result = isRestart(result) && result !== -ERESTARTNOINTR ? -EINTR : result;
    handled = true;
    recalcSignalPending(k, task);
  }
  while (task.signalPending) {
    if (group.exiting >= 0) return { then: "die", status: group.exiting };
    const signal = dequeueSignal(k, task, ~(task.blocked & ~UNBLOCKABLE));
    if (signal === null) {
      if (group.stopSignal !== 0) return { then: "stop", ret: result };
      recalcSignalPending(k, task);
      break;
    }
    const action = actionOf(k, group, signal.number);
    if (action.handler === "count") {
      if (!handled) result = handlerResult(result, action);
      handled = true;
      runHandler(k, task, group, signal, action);
      continue;
    }
    if (action.handler === "ignore") continue;
    const kind = signal.number === SIGKILL ? "term" : defaultAction(signal.number);
    if (kind === "ign" || kind === "cont" || (group.tgid === 1 && signal.number !== SIGKILL)) continue;
    if (kind === "stop") {
      // A group that nobody could continue is not stopped from its terminal.
      if (signal.number !== SIGSTOP && isOrphanedPgrp(k, group.pgid)) continue;
      stopGroup(k, group, signal.number);
      return { then: "stop", ret: result };
    }
    // Differs from Linux: no core file is written, whatever RLIMIT_CORE allows, so the status never has the core bit.
    return { then: "die", status: signal.number };
  }
  restoreMask(k, task);
  if (task.signalPending) {
    // What the call's own mask held back comes as the first handler returns, when the call's fate is settled.
    const later = deliverSignals(k, task, 0);
    if (later.then !== "return") return later.then === "stop" ? { then: "stop", ret: result } : later;
  }
  if (isRestart(result)) return { then: "restart" };
  return { then: "return", ret: result };
}

/** Whether a call that answers this is to be made again. */
export function isRestart(ret: number | bigint): boolean {
  return ret === -ERESTARTSYS || ret === -ERESTARTNOINTR || ret === -ERESTARTNOHAND || ret === -ERESTART_RESTARTBLOCK;
}

/** A handler ran: which restarts survive it. */
function handlerResult(ret: number | bigint, action: SignalAction): number | bigint {
  if (ret === -ERESTARTNOHAND || ret === -ERESTART_RESTARTBLOCK) return -EINTR;
  if (ret === -ERESTARTSYS && (action.flags & SA_RESTART) === 0) return -EINTR;
  return ret;
}

function runHandler(k: Kernel, task: Task, group: ThreadGroup, signal: PendingSignal, action: SignalAction): void {
  const { counts, actions } = must(k.state.sched.handlers, group.sighand);
  counts.set(signal.number, (counts.get(signal.number) ?? 0) + 1);
  if (task.delivered.length < 64) task.delivered.push(signalName(signal.number));
  if ((action.flags & SA_RESETHAND) !== 0) actions.delete(signal.number);
}

function stopGroup(k: Kernel, group: ThreadGroup, signal: number): void {
  if (group.stopSignal !== 0) return;
  group.stopSignal = signal;
  group.waitNotice = (signal << 8) | 0x7f;
  for (const tid of group.threads) notify(k, taskOf(k, tid));
  notifyParent(k, group, 5 /* CLD_STOPPED */, signal);
}
