/** /proc/PID/stat and schedstat: numbers about one process on one line. */
import { USER_HZ } from "../../abi/limits.ts";
import { isTaskIdle } from "../../irq/idle.ts";
import { wqWorkerComm } from "../../irq/workqueue.ts";
import type { Kernel } from "../../kernel.ts";
import { taskTimes } from "../../sched/cpu_time.ts";
import { isFair } from "../../sched/fair.ts";
import { bit } from "../../sched/signal.ts";
import { groupOf, handlersOf, taskOf, type Task, type ThreadGroup } from "../../sched/task.ts";
import { NS_PER_SEC } from "../../time/clock.ts";
import { statmNumbers } from "../../mm/proc.ts";
import type { WalkContext } from "../fs_type.ts";
import { ptraceMayAccess } from "./access.ts";
import { procPidFile } from "./registry.ts";

/** Bits of the flags field. */
const PF_KTHREAD = 0x200000;
const PF_NOFREEZE = 0x8000;
const PF_RANDOMIZE = 0x400000;
const PF_EXITING = 0x4;
const PF_FORKNOEXEC = 0x40;

const PAGE_SIZE = 4096;
/** RLIM_INFINITY as an unsigned long. */
const NO_LIMIT = "18446744073709551615";
const NANOSECONDS_PER_TICK = NS_PER_SEC / USER_HZ;

/** R running, S sleeping, D beyond signals, T stopped, Z zombie, I a thread of the kernel that rests. */
export function stateLetter(k: Kernel, task: Task): string {
  switch (task.state) {
    case "runnable": return "R";
    case "stopped": return "T";
    case "zombie": return "Z";
    case "parked": return "S";
    case "sleeping":
      if (isTaskIdle(k, task)) return "I";
      return task.sleep?.wchan === "do_signal_stop" ? "T" : task.sleep === null || task.sleep.mode === "interruptible" ? "S" : "D";
  }
}

const ticks = (ns: number): number => Math.floor(ns / NANOSECONDS_PER_TICK);

/** User and system time, faults: of a whole process with its dead threads, or of one thread. */
export function usageOf(k: Kernel, task: Task, whole: boolean): { utimeNs: number; stimeNs: number; minFlt: number; majFlt: number } {
  const group = groupOf(k, task);
  const usage = { utimeNs: whole ? group.deadUtimeNs : 0, stimeNs: whole ? group.deadStimeNs : 0, minFlt: whole ? group.deadMinFlt : 0, majFlt: whole ? group.deadMajFlt : 0 };
  for (const tid of whole ? group.threads : [task.tid]) {
    const one = taskOf(k, tid);
    const { minFlt, majFlt } = one;
    const { utimeNs, stimeNs } = taskTimes(k, one);
    usage.utimeNs += utimeNs;
    usage.stimeNs += stimeNs;
    usage.minFlt += minFlt;
    usage.majFlt += majFlt;
  }
  return usage;
}

function flagsOf(task: Task, group: ThreadGroup): number {
  return (task.kind === "kthread" ? PF_KTHREAD | PF_NOFREEZE : PF_RANDOMIZE) | (group.execed ? 0 : PF_FORKNOEXEC)
    | (task.state === "zombie" ? PF_EXITING : 0);
}

/** Masks of pending, blocked, ignored and caught signals; the first two cut to 31 bits as this file has them. */
export function signalMasks(k: Kernel, task: Task): { pending: bigint; shared: bigint; blocked: bigint; ignored: bigint; caught: bigint } {
  const group = groupOf(k, task);
  const mask = (numbers: Iterable<number>): bigint => {
    let set = 0n;
    for (const number of numbers) set |= bit(number);
    return set;
  };
  const { actions } = handlersOf(k, group);
  const named = (handler: "ignore" | "count"): bigint =>
    mask([...actions].filter(([, action]) => action.handler === handler).map(([number]) => number));
  const ignored = task.kind === "kthread" ? (1n << 64n) - 1n : named("ignore");
  return {
    pending: mask(task.pending.map(({ number }) => number)), shared: mask(group.pending.map(({ number }) => number)),
    blocked: task.blocked, ignored, caught: named("count"),
  };
}

const low31 = (set: bigint): bigint => set & 0x7fffffffn;

/** As this file counts: 20 above the nice value, or below 0 of a real-time task. */
const priorityOf = (task: Task): number => (isFair(task) ? 20 + task.nice : -1 - task.rtPriority);

/** The line of `stat`; `whole` sums the threads. */
function statText(k: Kernel, task: Task, ctx: WalkContext, whole: boolean): string {
  const group = groupOf(k, task);
  const usage = usageOf(k, task, whole);
  const signals = signalMasks(k, task);
  const space = k.state.mm.spaces.get(task.mm);
  const [vsize, rss] = space === undefined ? [0, 0] : statmNumbers(k, task);
  const limit = group.rlimits[5]?.cur ?? -1;
  // As Linux: where the process is asleep and how it ended are for those who may trace it.
  const permitted = ptraceMayAccess(k, ctx, task);
  const fields: (number | bigint | string)[] = [
    task.tid, `(${wqWorkerComm(k, task)})`, stateLetter(k, task), group.parent, group.pgid, group.sid, 0, -1, flagsOf(task, group),
    usage.minFlt, whole ? group.childMinFlt : 0, usage.majFlt, whole ? group.childMajFlt : 0,
    ticks(usage.utimeNs), ticks(usage.stimeNs), whole ? ticks(group.childUtimeNs) : 0, whole ? ticks(group.childStimeNs) : 0,
    priorityOf(task), task.nice, group.threads.length, 0, ticks(task.startNs), vsize * PAGE_SIZE, rss, limit < 0 ? NO_LIMIT : limit,
    0, 0, 0, 0, 0,
    low31(signals.pending | signals.shared), low31(task.blocked), low31(signals.ignored), low31(signals.caught),
    permitted && task.sleep !== null && task.state === "sleeping" ? 1 : 0, 0, 0,
    task.exitSignal, task.cpu, task.rtPriority, task.policy, 0, 0, 0, 0, 0, permitted ? (space?.startBrk ?? 0) : 0, 0, 0, 0, 0,
    permitted && group.exitStatus >= 0 ? group.exitStatus : 0,
  ];
  return `${fields.join(" ")}\n`;
}

procPidFile("stat", statText);

/** Time on a CPU, time waited for one, ns, and how often it was given one. */
procPidFile("schedstat", (k, task) => {
  const { utimeNs, stimeNs } = taskTimes(k, task);
  return `${utimeNs + stimeNs} ${task.se.runDelayNs} ${task.se.runs}\n`;
});
