/** Nice values, scheduling policies and the CPUs that a task may use (sched(7)). */
import { EACCES, EINVAL, EPERM } from "../abi/errno.ts";
import { CAP_SYS_NICE } from "../abi/capability.ts";
import { SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_NORMAL, SCHED_RR } from "../abi/clone.ts";
import { RLIMIT_NICE, RLIMIT_RTPRIO } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { capable } from "../sched/cred.ts";
import { rlimit } from "../sched/rlimit.ts";
import { schedSlice } from "../sched/fair.ts";
import { affinityChanged, reweigh, rrTicks } from "../sched/run_queue.ts";
import type { Task } from "../sched/task.ts";
import { jiffiesToNsecs, nsecsToJiffies } from "../time/jiffies.ts";

const MAX_RT_PRIORITY = 99;

/** The caller's effective user owns the target (check_same_owner). */
export function sameOwner(task: Task, target: Task): boolean {
  const { euid } = task.cred;
  return euid === target.cred.euid || euid === target.cred.uid;
}

function mayNice(k: Kernel, task: Task, target: Task, nice: number): boolean {
  return 20 - nice <= rlimit(k, target, RLIMIT_NICE) || capable(task, CAP_SYS_NICE);
}

/** Sets a nice value: 0, -EPERM for somebody else's task, -EACCES for a better one than is allowed. */
export function setNice(k: Kernel, task: Task, target: Task, nice: number): number {
  const mine = task.cred.euid === target.cred.uid || task.cred.euid === target.cred.euid;
  if (!mine && !capable(task, CAP_SYS_NICE)) return -EPERM;
  if (nice < target.nice && !mayNice(k, task, target, nice)) return -EACCES;
  reweigh(k, target, () => { target.nice = nice; });
  return 0;
}

export function isRealTime(policy: number): boolean {
  return policy === SCHED_FIFO || policy === SCHED_RR;
}

function isPolicy(policy: number): boolean {
  return isRealTime(policy) || policy === SCHED_NORMAL || policy === SCHED_BATCH || policy === SCHED_IDLE;
}

/** What an unprivileged caller may not do to a policy. */
function denied(k: Kernel, task: Task, target: Task, policy: number, priority: number, reset: boolean): boolean {
  if (capable(task, CAP_SYS_NICE)) return false;
  if (isRealTime(policy)) {
    const allowed = rlimit(k, target, RLIMIT_RTPRIO);
    if (policy !== target.policy && allowed === 0) return true;
    if (priority > target.rtPriority && priority > allowed) return true;
  }
  if (target.policy === SCHED_IDLE && policy !== SCHED_IDLE && !mayNice(k, task, target, target.nice)) return true;
  return !sameOwner(task, target) || (target.resetOnFork && !reset);
}

/** Sets policy and real-time priority: 0, -EINVAL, -EPERM. Differs from Linux: there is no SCHED_DEADLINE (-EINVAL). */
export function setPolicy(k: Kernel, task: Task, target: Task, policy: number, priority: number, reset: boolean): number {
  if (!isPolicy(policy) || priority < 0 || priority > MAX_RT_PRIORITY || isRealTime(policy) !== (priority !== 0)) return -EINVAL;
  if (denied(k, task, target, policy, priority, reset)) return -EPERM;
  reweigh(k, target, () => {
    target.policy = policy;
    target.rtPriority = priority;
  });
  target.resetOnFork = reset;
  return 0;
}

/** How long a task has the CPU while others of its kind wait, ns in whole jiffies; 0 of SCHED_FIFO (sched_rr_get_interval). */
export function rrInterval(k: Kernel, target: Task): number {
  if (target.policy === SCHED_FIFO) return 0;
  if (target.policy === SCHED_RR) return jiffiesToNsecs(k, rrTicks(k));
  const cpu = k.state.sched.cpus[target.cpu];
  return jiffiesToNsecs(k, nsecsToJiffies(k, schedSlice(k, cpu, target, target.state === "runnable" ? 0 : 1)));
}

/** Lets a task run on the CPUs of `mask` only, those that there are: 0, -EINVAL when none of them is, -EPERM. */
export function setAffinity(k: Kernel, task: Task, target: Task, mask: number): number {
  // Of kernel threads only those may be moved that kthread_create made and nobody bound (PF_NO_SETAFFINITY).
  if (target.kind === "kthread" && k.state.sched.kthreads.get(target.tid)?.bound !== false) return -EINVAL;
  if (!sameOwner(task, target) && !capable(task, CAP_SYS_NICE)) return -EPERM;
  const usable = mask & (2 ** k.state.machine.cpus - 1);
  if (usable === 0) return -EINVAL;
  target.affinity = usable;
  affinityChanged(k, target);
  return 0;
}
