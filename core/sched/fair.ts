/** The fair class (kernel/sched/fair.c of 6.1): virtual time by weight, slices, where those who wake are placed, and whom they preempt. */
import { SCHED_BATCH, SCHED_IDLE, SCHED_NORMAL } from "../abi/clone.ts";
import { mayRun } from "./burst.ts";
import { taskOf, type Task } from "./task.ts";
import type { Kernel } from "../kernel.ts";
import type { Cpu } from "./state.ts";

/** The weight of nice 0. */
export const NICE_0_LOAD = 1024;
/** Weights of nice -20 to 19 (sched_prio_to_weight): a step of one is 1.25 times, so that it moves the share of two tasks by a tenth. */
const PRIO_TO_WEIGHT = [
  88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
  9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
  1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
  110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
];
const WEIGHT_IDLEPRIO = 3;

/** For one CPU, ns; more of them multiply all three by 1 + log2 of their number, at most that of eight. */
const SCHED_LATENCY_NS = 6_000_000;
const SCHED_MIN_GRANULARITY_NS = 750_000;
const SCHED_WAKEUP_GRANULARITY_NS = 1_000_000;
/** With more tasks than this, the latency is stretched so that each gets its least slice. */
const SCHED_NR_LATENCY = 8;

function scale(k: Kernel): number {
  return 32 - Math.clz32(Math.min(k.state.machine.cpus, 8));
}

export const schedLatencyNs = (k: Kernel): number => SCHED_LATENCY_NS * scale(k);
export const minGranularityNs = (k: Kernel): number => SCHED_MIN_GRANULARITY_NS * scale(k);
export const wakeupGranularityNs = (k: Kernel): number => SCHED_WAKEUP_GRANULARITY_NS * scale(k);

export function weightOf({ policy, nice }: Task): number {
  return policy === SCHED_IDLE ? WEIGHT_IDLEPRIO : PRIO_TO_WEIGHT[nice + 20];
}

/** Whether the task belongs to this class, and not to the real-time one above it. */
export function isFair({ policy }: Task): boolean {
  return policy === SCHED_NORMAL || policy === SCHED_BATCH || policy === SCHED_IDLE;
}

/** Real time as the virtual time of this task. */
const virtualNs = (ns: number, task: Task): number => (ns * NICE_0_LOAD) / weightOf(task);

/** Counts the CPU time that the running task has had since the last look into its virtual time (update_curr). */
export function updateCurr(k: Kernel, cpu: Cpu, task: Task): void {
  const { se } = task;
  const execNs = task.utimeNs + task.stimeNs;
  const delta = execNs - se.countedNs;
  if (delta <= 0) return;
  se.countedNs = execNs;
  if (!isFair(task)) return;
  se.vruntime += virtualNs(delta, task);
  updateMinVruntime(k, cpu, se.vruntime);
}

/** `running`: the virtual time of the task on the CPU, Infinity for none of this class. */
export function updateMinVruntime(k: Kernel, cpu: Cpu, running: number): void {
  const first = cpu.fair.length === 0 ? Infinity : taskOf(k, cpu.fair[0]).se.vruntime;
  const least = Math.min(running, first);
  if (least !== Infinity && least > cpu.minVruntime) cpu.minVruntime = least;
}

/** What a task gets of each round before others have their turn, ns (sched_slice). `more`: tasks that are not on the queue yet. */
export function schedSlice(k: Kernel, cpu: Cpu, task: Task, more = 0): number {
  const curr = k.state.sched.tasks.get(cpu.curr);
  const running = cpu.fair.length + (curr !== undefined && isFair(curr) ? 1 : 0) + more;
  const period = running > SCHED_NR_LATENCY ? running * minGranularityNs(k) : schedLatencyNs(k);
  const weight = weightOf(task);
  const load = more === 0 ? cpu.load : cpu.load + weight;
  return Math.max((period * weight) / Math.max(load, weight), minGranularityNs(k));
}

/**
 * Sets where a task joins the queue (place_entity): a new one a slice behind those who are there, so that forking wins nothing;
 * one that slept half a latency before them at most, so that it is soon on and a long sleep saves nothing up.
 */
export function placeEntity(k: Kernel, cpu: Cpu, task: Task): void {
  const { se } = task;
  if (se.fresh) {
    se.fresh = false;
    se.vruntime = cpu.minVruntime + virtualNs(schedSlice(k, cpu, task, 1), task);
    return;
  }
  const credit = task.policy === SCHED_IDLE ? minGranularityNs(k) : schedLatencyNs(k);
  se.vruntime = Math.max(se.vruntime, cpu.minVruntime - credit / 2);
}

/** Puts a task into the queue, behind those of equal virtual time. */
export function insertFair(k: Kernel, cpu: Cpu, task: Task): void {
  const { fair } = cpu;
  let from = 0;
  let until = fair.length;
  while (from < until) {
    const middle = (from + until) >>> 1;
    if (taskOf(k, fair[middle]).se.vruntime <= task.se.vruntime) from = middle + 1;
    else until = middle;
  }
  if (from === fair.length) fair.push(task.tid);
  else fair.splice(from, 0, task.tid);
}

/** 1 when `task` is so far behind `other`, which it would push aside, that it may; 0 when it is a little; -1 when it is not (wakeup_preempt_entity). */
function preempts(k: Kernel, other: Task, task: Task): number {
  const ahead = other.se.vruntime - task.se.vruntime;
  if (ahead <= 0) return -1;
  return ahead > virtualNs(wakeupGranularityNs(k), task) ? 1 : 0;
}

/** Whether a task that becomes runnable takes the CPU from the one that has it (check_preempt_wakeup). */
export function wakeupPreempts(k: Kernel, curr: Task, task: Task): boolean {
  if (curr.policy === SCHED_IDLE && task.policy !== SCHED_IDLE) return true;
  // As Linux: batch and idle tasks wait for the tick.
  return task.policy === SCHED_NORMAL && preempts(k, curr, task) === 1;
}

/** Whether the running task has had enough while others wait (check_preempt_tick). */
export function tickPreempts(k: Kernel, cpu: Cpu, curr: Task): boolean {
  if (cpu.fair.length === 0) return false;
  updateCurr(k, cpu, curr);
  const slice = schedSlice(k, cpu, curr);
  const ranNs = curr.utimeNs + curr.stimeNs - curr.se.pickedNs;
  if (ranNs > slice) return true;
  if (ranNs < minGranularityNs(k)) return false;
  return curr.se.vruntime - taskOf(k, cpu.fair[0]).se.vruntime > slice;
}

/**
 * Whom of the waiting to take, as an index into the queue (pick_next_entity): the one with the least virtual time, unless it has just
 * yielded, or one that preempted has a better claim; -1 when there is none that the limit lets run.
 */
export function pickFair(k: Kernel, cpu: Cpu): number {
  const { fair } = cpu;
  let at = nextFree(k, cpu, fair, 0);
  if (at < 0 || fair.length === 1) return at;
  const left = taskOf(k, fair[at]);
  if (cpu.skip === left.tid) {
    const second = nextFree(k, cpu, fair, at + 1);
    if (second >= 0 && preempts(k, taskOf(k, fair[second]), left) < 1) at = second;
  }
  if (cpu.next !== 0 && cpu.next !== fair[at]) {
    const buddy = fair.indexOf(cpu.next);
    if (buddy >= 0 && mayRun(k, cpu, taskOf(k, cpu.next)) && preempts(k, taskOf(k, cpu.next), left) < 1) at = buddy;
  }
  return at;
}

/** The first of a queue, from an index on, that the limit of autonomous work lets run; -1 for none. */
export function nextFree(k: Kernel, cpu: Cpu, queue: number[], from: number): number {
  for (let at = from; at < queue.length; at++) if (mayRun(k, cpu, taskOf(k, queue[at]))) return at;
  return -1;
}
