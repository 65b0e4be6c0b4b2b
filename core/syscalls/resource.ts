/** Limits, usage, priorities and scheduling of processes: prlimit(2), getrusage(2), getpriority(2), sched_setscheduler(2) … */
import { EFAULT, EINVAL, EPERM, ESRCH } from "../abi/errno.ts";
import { SCHED_BATCH, SCHED_DEADLINE, SCHED_IDLE, SCHED_NORMAL, schedPolicies } from "../abi/clone.ts";
import { layout } from "../abi/layout.ts";
import { rlimitNames, RLIM_INFINITY } from "../abi/limits.ts";
import {
  PRIO_PGRP, PRIO_PROCESS, PRIO_USER, priorityWhich, rlimitLayout, RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD, rusageLayout, rusageWho,
} from "../abi/resource.ts";
import { NSEC_PER_SEC } from "../abi/time.ts";
import type { Kernel } from "../kernel.ts";
import { getI32, getU64, putU32, putU64 } from "../lib/bytes.ts";
import { copyFromUser, type Addr } from "../mm/usercopy.ts";
import { childrenUsage, groupUsage, taskUsage } from "../process/cputime.ts";
import { findTask, groupsOfPgrp } from "../process/pid.ts";
import { isRealTime, rrInterval, setAffinity, setNice, setPolicy } from "../process/priority.ts";
import { isResource, mayPrlimit, setRlimit } from "../process/rlimits.ts";
import { schedYield } from "../sched/run_queue.ts";
import type { Rlimit } from "../sched/rlimit.ts";
import { groupOf, taskOf, type Task } from "../sched/task.ts";
import { choice, int, structIn, structOut, uint, type ArgType } from "./args.ts";
import { structCodec } from "./codec.ts";
import { cpuSet } from "./codecs/integers.ts";
import { rusageBytes } from "./codecs/rusage.ts";
import { give, timeBytes, timespec } from "./codecs/time.ts";
import type { Rows } from "./row.ts";

function limitBytes({ cur, max }: Rlimit): Uint8Array {
  const bytes = new Uint8Array(rlimitLayout.size);
  putU64(bytes, 0, cur < 0 ? RLIM_INFINITY : cur);
  putU64(bytes, 8, max < 0 ? RLIM_INFINITY : max);
  return bytes;
}

function readLimit(k: Kernel, task: Task, addr: Addr): Rlimit | number {
  const bytes = copyFromUser(k, task, addr, rlimitLayout.size);
  if (typeof bytes === "number") return -EFAULT;
  const word = (at: number): number | bigint => (getU64(bytes, at) === RLIM_INFINITY ? -1 : getU64(bytes, at));
  return { cur: word(0), max: word(8) };
}

function sysGetrlimit(k: Kernel, task: Task, [resource, rlim]: [number, Addr]): number {
  return isResource(resource) ? give(k, task, rlim, limitBytes(groupOf(k, task).rlimits[resource])) : -EINVAL;
}

function sysSetrlimit(k: Kernel, task: Task, [resource, rlim]: [number, Addr]): number {
  const wanted = readLimit(k, task, rlim);
  if (typeof wanted === "number") return wanted;
  return isResource(resource) ? setRlimit(task, groupOf(k, task), resource, wanted) : -EINVAL;
}

function sysPrlimit64(k: Kernel, task: Task, [pid, resource, newLimit, oldLimit]: [number, number, Addr, Addr]): number {
  const wanted = newLimit === 0 ? null : readLimit(k, task, newLimit);
  if (typeof wanted === "number") return wanted;
  const target = findTask(k, task, pid);
  if (target === null) return -ESRCH;
  if (!mayPrlimit(task, target)) return -EPERM;
  if (!isResource(resource)) return -EINVAL;
  const group = groupOf(k, target);
  const old = limitBytes(group.rlimits[resource]);
  const result = wanted === null ? 0 : setRlimit(task, group, resource, wanted);
  return result === 0 && oldLimit !== 0 ? give(k, task, oldLimit, old) : result;
}

function sysGetrusage(k: Kernel, task: Task, [who, usage]: [number, Addr]): number {
  switch (who) {
    case RUSAGE_SELF: return give(k, task, usage, rusageBytes(groupUsage(k, groupOf(k, task))));
    case RUSAGE_CHILDREN: return give(k, task, usage, rusageBytes(childrenUsage(groupOf(k, task))));
    case RUSAGE_THREAD: return give(k, task, usage, rusageBytes(taskUsage(k, task)));
    default: return -EINVAL;
  }
}

/** The tasks that `which` and `who` name; -EINVAL. */
function prioritised(k: Kernel, task: Task, which: number, who: number): Task[] | number {
  if (which === PRIO_PROCESS) {
    const target = findTask(k, task, who);
    return target === null ? [] : [target];
  }
  if (which === PRIO_PGRP) {
    const groups = groupsOfPgrp(k, who === 0 ? groupOf(k, task).pgid : who);
    return groups.flatMap(({ threads }) => threads.map((tid) => taskOf(k, tid)));
  }
  if (which !== PRIO_USER) return -EINVAL;
  const uid = who === 0 ? task.cred.uid : who >>> 0;
  return [...k.state.sched.tasks.values()].filter(({ cred }) => cred.uid === uid);
}

/** The kernel's own form: 40 for the best nice value to 1 for the worst, so that no error looks like one. */
function sysGetpriority(k: Kernel, task: Task, [which, who]: [number, number]): number {
  const targets = prioritised(k, task, which, who);
  if (typeof targets === "number") return targets;
  return targets.length === 0 ? -ESRCH : Math.max(...targets.map(({ nice }) => 20 - nice));
}

function sysSetpriority(k: Kernel, task: Task, [which, who, prio]: [number, number, number]): number {
  const targets = prioritised(k, task, which, who);
  if (typeof targets === "number") return targets;
  const nice = Math.min(Math.max(prio, -20), 19);
  let result = -ESRCH;
  for (const target of targets) {
    const one = setNice(k, task, target, nice);
    // As Linux: what fails stays the answer, whatever succeeds after it.
    if (one !== 0) result = one;
    else if (result === -ESRCH) result = 0;
  }
  return result;
}

const RESET_ON_FORK = 0x4000_0000;
const schedParamLayout = layout(4, { sched_priority: [0, "i32"] });

function readPriority(k: Kernel, task: Task, param: Addr): number | null {
  const bytes = copyFromUser(k, task, param, schedParamLayout.size);
  return typeof bytes === "number" ? null : getI32(bytes, 0);
}

function sysSchedSetscheduler(k: Kernel, task: Task, [pid, policy, param]: [number, number, Addr]): number {
  if (policy < 0 || param === 0 || pid < 0) return -EINVAL;
  const priority = readPriority(k, task, param);
  if (priority === null) return -EFAULT;
  const target = findTask(k, task, pid);
  if (target === null) return -ESRCH;
  return setPolicy(k, task, target, policy & ~RESET_ON_FORK, priority, (policy & RESET_ON_FORK) !== 0);
}

function sysSchedSetparam(k: Kernel, task: Task, [pid, param]: [number, Addr]): number {
  if (param === 0 || pid < 0) return -EINVAL;
  const priority = readPriority(k, task, param);
  if (priority === null) return -EFAULT;
  const target = findTask(k, task, pid);
  return target === null ? -ESRCH : setPolicy(k, task, target, target.policy, priority, target.resetOnFork);
}

function sysSchedGetscheduler(k: Kernel, task: Task, [pid]: [number]): number {
  if (pid < 0) return -EINVAL;
  const target = findTask(k, task, pid);
  return target === null ? -ESRCH : target.policy | (target.resetOnFork ? RESET_ON_FORK : 0);
}

function sysSchedGetparam(k: Kernel, task: Task, [pid, param]: [number, Addr]): number {
  if (param === 0 || pid < 0) return -EINVAL;
  const target = findTask(k, task, pid);
  if (target === null) return -ESRCH;
  const bytes = new Uint8Array(schedParamLayout.size);
  putU32(bytes, 0, target.rtPriority);
  return give(k, task, param, bytes);
}

const TIME_SHARING = [SCHED_NORMAL, SCHED_BATCH, SCHED_IDLE, SCHED_DEADLINE];

function priorityBound(policy: number, bound: number): number {
  return isRealTime(policy) ? bound : TIME_SHARING.includes(policy) ? 0 : -EINVAL;
}

function sysSchedRrGetInterval(k: Kernel, task: Task, [pid, tp]: [number, Addr]): number {
  if (pid < 0) return -EINVAL;
  const target = findTask(k, task, pid);
  if (target === null) return -ESRCH;
  return give(k, task, tp, timeBytes(NSEC_PER_SEC, rrInterval(k, target)));
}

function sysSchedYield(k: Kernel, task: Task): number {
  schedYield(k, task);
  return 0;
}

/** Bytes of the kernel's own CPU mask. */
const CPU_MASK_SIZE = 8;

function sysSchedSetaffinity(k: Kernel, task: Task, [pid, length, mask]: [number, number, Addr]): number {
  const bytes = copyFromUser(k, task, mask, Math.min(length, CPU_MASK_SIZE));
  if (typeof bytes === "number") return -EFAULT;
  const target = findTask(k, task, pid);
  return target === null ? -ESRCH : setAffinity(k, task, target, bytes[0] ?? 0);
}

function sysSchedGetaffinity(k: Kernel, task: Task, [pid, length, mask]: [number, number, Addr]): number {
  // As Linux: the bits are counted in an unsigned int.
  if ((length * 8) >>> 0 < k.state.machine.cpus || length % 8 !== 0) return -EINVAL;
  const target = findTask(k, task, pid);
  if (target === null) return -ESRCH;
  const bytes = new Uint8Array(CPU_MASK_SIZE);
  bytes[0] = target.affinity;
  return give(k, task, mask, bytes) === 0 ? CPU_MASK_SIZE : -EFAULT;
}

/** cpusetsize: that of the mask given, and 8 where the mask is left out. */
function cpusetSize(name: string): ArgType {
  const plain = uint(name);
  return { ...plain, decode: (value, context) => (value === undefined ? CPU_MASK_SIZE : plain.decode(value, context)) };
}

const rlimit64 = structCodec("rlimit", rlimitLayout);
const schedParam = structCodec("sched_param", schedParamLayout);

export const resourceRows: Rows = {
  sched_yield: { x86_64: 24, args: [], run: sysSchedYield },
  getrlimit: { x86_64: 97, args: [choice("resource", rlimitNames), structOut("rlim", rlimit64)], run: sysGetrlimit },
  getrusage: { x86_64: 98, args: [choice("who", rusageWho), structOut("usage", structCodec("rusage", rusageLayout))], run: sysGetrusage },
  getpriority: { x86_64: 140, args: [choice("which", priorityWhich), int("who")], run: sysGetpriority },
  setpriority: { x86_64: 141, args: [choice("which", priorityWhich), int("who"), int("prio")], run: sysSetpriority },
  sched_setparam: { x86_64: 142, args: [int("pid"), structIn("param", schedParam)], run: sysSchedSetparam },
  sched_getparam: { x86_64: 143, args: [int("pid"), structOut("param", schedParam)], run: sysSchedGetparam },
  sched_setscheduler: {
    x86_64: 144, args: [int("pid"), choice("policy", schedPolicies), structIn("param", schedParam)], run: sysSchedSetscheduler,
    partial: "no SCHED_DEADLINE; a real-time task is not throttled",
  },
  sched_getscheduler: { x86_64: 145, args: [int("pid")], run: sysSchedGetscheduler },
  sched_get_priority_max: {
    x86_64: 146, args: [choice("policy", schedPolicies)], run: (_k, _task, [policy]: [number]) => priorityBound(policy, 99),
  },
  sched_get_priority_min: {
    x86_64: 147, args: [choice("policy", schedPolicies)], run: (_k, _task, [policy]: [number]) => priorityBound(policy, 1),
  },
  sched_rr_get_interval: { x86_64: 148, args: [int("pid"), structOut("tp", timespec)], run: sysSchedRrGetInterval },
  setrlimit: { x86_64: 160, args: [choice("resource", rlimitNames), structIn("rlim", rlimit64)], run: sysSetrlimit },
  sched_setaffinity: { x86_64: 203, args: [int("pid"), cpusetSize("cpusetsize"), structIn("mask", cpuSet)], run: sysSchedSetaffinity },
  sched_getaffinity: { x86_64: 204, args: [int("pid"), cpusetSize("cpusetsize"), structOut("mask", cpuSet)], run: sysSchedGetaffinity },
  prlimit64: {
    x86_64: 302, args: [int("pid"), choice("resource", rlimitNames), structIn("new_limit", rlimit64), structOut("old_limit", rlimit64)],
    run: sysPrlimit64, partial: "RLIMIT_CPU and RLIMIT_RTTIME are kept and told",
  },
};
