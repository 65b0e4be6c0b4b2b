/** Who may send whom a signal, and sending it to one, a group or all (kill(2)). */
import { EINVAL, EPERM, ESRCH } from "../abi/errno.ts";
import { CAP_KILL } from "../abi/capability.ts";
import { SIGCONT, _NSIG } from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { charge } from "../sched/cost.ts";
import { capable } from "../sched/cred.ts";
import { sendSignal, sendSignalToTask, type SignalInfo } from "../sched/signal.ts";
import { groupOf, taskOf, type Task, type ThreadGroup } from "../sched/task.ts";
import { INIT_PID } from "./limits.ts";
import { groupsOfPgrp } from "./pid.ts";

export function isSignal(signal: number): boolean {
  return signal >= 0 && signal <= _NSIG;
}

/** The sender's real or effective uid is the target's real or saved one (kill_ok_by_cred). */
function mayByUid(senderUid: number, senderEuid: number, target: Task): boolean {
  const { uid, suid } = target.cred;
  return senderEuid === suid || senderEuid === uid || senderUid === suid || senderUid === uid;
}

/** 0, or -EPERM; a SIGCONT reaches everyone of the sender's session. */
export function mayKill(k: Kernel, sender: Task, target: Task, signal: number): number {
  if (sender.tgid === target.tgid || mayByUid(sender.cred.uid, sender.cred.euid, target) || capable(sender, CAP_KILL)) return 0;
  return signal === SIGCONT && groupOf(k, sender).sid === groupOf(k, target).sid ? 0 : -EPERM;
}

/** Whether somebody outside, acting as `uid`, may send `signal` to a group: 0, -EINVAL or -EPERM. */
export function checkKill(k: Kernel, uid: number, group: ThreadGroup, signal: number): number {
  if (!isSignal(signal)) return -EINVAL;
  return uid === 0 || mayByUid(uid, uid, taskOf(k, group.threads[0])) ? 0 : -EPERM;
}

/** Sends to one group, if the sender may; signal 0 only asks. -EINVAL, -EPERM. */
export function killGroup(k: Kernel, sender: Task, group: ThreadGroup, signal: number, info: SignalInfo): number {
  if (!isSignal(signal)) return -EINVAL;
  const denied = mayKill(k, sender, taskOf(k, group.threads[0]), signal);
  if (denied !== 0 || signal === 0) return denied;
  return sendSignal(k, group.tgid, signal, info);
}

function infoOf(sender: Task): SignalInfo {
  return { code: 0, pid: sender.tgid, uid: sender.cred.uid };
}

/** Sends to one thread, if the sender may; `tgid` 0 takes a thread of any process. -ESRCH, -EINVAL, -EPERM. */
export function killTask(k: Kernel, sender: Task, tgid: number, tid: number, signal: number, info: SignalInfo): number {
  const task = k.state.sched.tasks.get(tid);
  if (task === undefined || (tgid > 0 && task.tgid !== tgid)) return -ESRCH;
  if (!isSignal(signal)) return -EINVAL;
  const denied = mayKill(k, sender, task, signal);
  return denied !== 0 || signal === 0 ? denied : sendSignalToTask(k, task, signal, info);
}

/** kill(2): to a process, the own process group (0), all that one may (-1), or process group -pid. */
export function kill(k: Kernel, sender: Task, pid: number, signal: number): number {
  const info = infoOf(sender);
  if (pid > 0) {
    const task = k.state.sched.tasks.get(pid);
    return task === undefined ? -ESRCH : killGroup(k, sender, groupOf(k, task), signal, info);
  }
  if (pid === -0x8000_0000) return -ESRCH;
  if (pid === -1) return killAll(k, sender, signal, info);
  return killMany(k, sender, groupsOfPgrp(k, pid === 0 ? groupOf(k, sender).pgid : -pid), signal, info);
}

/** A process group: success when one got it, else what the last one answered. */
function killMany(k: Kernel, sender: Task, groups: ThreadGroup[], signal: number, info: SignalInfo): number {
  let success = false;
  let result = -ESRCH;
  for (const group of groups) {
    result = killGroup(k, sender, group, signal, info);
    success ||= result === 0;
  }
  return success ? 0 : result;
}

/** Looking at one process of many and asking whether one may signal it, ns. */
const LOOK_NS = 50;

/** Everyone but init and the sender, in the order in which they were made; whom one may not signal is passed over in silence. */
function killAll(k: Kernel, sender: Task, signal: number, info: SignalInfo): number {
  let sent = false;
  let result = 0;
  charge(k, k.state.sched.groups.size * LOOK_NS);
  for (const group of [...k.state.sched.groups.values()]) {
    if (group.tgid === INIT_PID || group.tgid === sender.tgid) continue;
    sent = true;
    const one = killGroup(k, sender, group, signal, info);
    if (one !== -EPERM) result = one;
  }
  return sent ? result : -ESRCH;
}
