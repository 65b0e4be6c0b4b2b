/** Run queues: which tasks may run on which CPU, who of them has it, and who makes way for whom (kernel/sched/core.c). */
import { SCHED_RR } from "../abi/clone.ts";
import type { Kernel } from "../kernel.ts";
import { now, ticksAt, tickTimeNs } from "../time/clock.ts";
import { NEVER } from "../time/wheel.ts";
import { advanceCpu } from "./burst.ts";
import { charge, costs } from "./cost.ts";
import { insertFair, isFair, nextFree, pickFair, placeEntity, updateCurr, updateMinVruntime, wakeupPreempts, weightOf } from "./fair.ts";
import { sampleLoad } from "./loadavg.ts";
import { permitted, selectCpu } from "./placement.ts";
import type { Cpu } from "./state.ts";
import { taskOf, type Task } from "./task.ts";

/** A SCHED_RR task has the CPU for so many ms before the next one of its priority. */
export const RR_TIMESLICE_MS = 100;

export const rrTicks = (k: Kernel): number => Math.floor((RR_TIMESLICE_MS * k.state.machine.hz) / 1000);

/** Whether others wait for the CPU. */
export function waiting(cpu: Cpu): boolean {
  return cpu.fair.length > 0 || cpu.rt.length > 0;
}

/** The task on the CPU; null when it is idle. */
export function currOf(k: Kernel, cpu: Cpu): Task | null {
  return cpu.curr === 0 ? null : k.state.sched.tasks.get(cpu.curr) ?? null; // null also of one that is just vanishing
}

/** Lets a task run from now on, on the CPU that is best for it. One that has its CPU still, keeps it. */
export function enqueue(k: Kernel, task: Task): void {
  sampleLoad(k);
  task.state = "runnable";
  const from = k.state.sched.cpus[task.cpu];
  if (from.curr === task.tid) return;
  const cpu = selectCpu(k, task);
  if (cpu !== from) moveTo(task, from, cpu);
  send(k, cpu, task, now(k));
}

/** A task becomes runnable on a CPU at `atNs`: at once where that CPU's clock stands there or later, else when it gets there. */
function send(k: Kernel, cpu: Cpu, task: Task, atNs: number): void {
  task.readyNs = atNs;
  cpu.wakeups++;
  if (cpu.id === k.turn.cpu) cpu.localWakeups++;
  if (cpu.clockNs >= atNs) {
    activate(k, cpu, task);
    return;
  }
  const { arriving } = cpu;
  let at = arriving.length;
  while (at > 0 && taskOf(k, arriving[at - 1]).readyNs > atNs) at--;
  arriving.splice(at, 0, task.tid);
  if (at === 0) cpu.arrivalNs = atNs;
}

/** Puts those whose time has come on the queue. */
export function takeArrivals(k: Kernel, cpu: Cpu, atNs: number): void {
  while (cpu.arrivalNs <= atNs) {
    const task = taskOf(k, cpu.arriving.shift() ?? 0);
    cpu.arrivalNs = cpu.arriving.length === 0 ? NEVER : taskOf(k, cpu.arriving[0]).readyNs;
    activate(k, cpu, task);
  }
}

/** The first tick after `atNs`. */
export function nextTickNs(k: Kernel, atNs: number): number {
  return tickTimeNs(k, ticksAt(k, atNs) + 1);
}

function activate(k: Kernel, cpu: Cpu, task: Task): void {
  const curr = currOf(k, cpu);
  if (curr !== null) {
    updateCurr(k, cpu, curr);
    if (!waiting(cpu)) cpu.tickNs = nextTickNs(k, Math.max(task.readyNs, cpu.clockNs));
  }
  if (isFair(task)) placeEntity(k, cpu, task);
  insert(k, cpu, task, false);
  task.se.waitingNs = task.readyNs;
  if (curr !== null && preempts(k, curr, task)) {
    if (isFair(task)) cpu.next = task.tid;
    reschedule(cpu, task.readyNs);
  }
}

/** Puts a task on the queue of its class; a real-time one in front of those of its priority when it was pushed aside. */
function insert(k: Kernel, cpu: Cpu, task: Task, first: boolean): void {
  if (isFair(task)) {
    insertFair(k, cpu, task);
    cpu.load += weightOf(task);
    return;
  }
  let at = cpu.rt.findIndex((tid) => {
    const { rtPriority } = taskOf(k, tid);
    return first ? rtPriority <= task.rtPriority : rtPriority < task.rtPriority;
  });
  if (at < 0) at = cpu.rt.length;
  cpu.rt.splice(at, 0, task.tid);
}

/** Whether a task that becomes runnable takes the CPU from `curr` (check_preempt_curr). */
function preempts(k: Kernel, curr: Task, task: Task): boolean {
  if (isFair(task)) return isFair(curr) && wakeupPreempts(k, curr, task);
  return isFair(curr) || task.rtPriority > curr.rtPriority;
}

/** The task on the CPU is to make way from `atNs` on (resched_curr). */
export function reschedule(cpu: Cpu, atNs: number): void {
  if (atNs < cpu.reschedNs) cpu.reschedNs = atNs;
}

/** Takes a task off its run queue; one that has its CPU leaves it by itself as its step ends. */
export function dequeue(k: Kernel, task: Task): void {
  const cpu = k.state.sched.cpus[task.cpu];
  if (cpu.curr === task.tid) {
    leaveCpu(k, cpu, task);
    return;
  }
  sampleLoad(k);
  remove(k, cpu, task);
}

function remove(k: Kernel, cpu: Cpu, task: Task): void {
  forget(cpu, task);
  let at = cpu.arriving.indexOf(task.tid);
  if (at >= 0) {
    cpu.arriving.splice(at, 1);
    cpu.arrivalNs = cpu.arriving.length === 0 ? NEVER : taskOf(k, cpu.arriving[0]).readyNs;
    return;
  }
  at = cpu.fair.indexOf(task.tid);
  if (at >= 0) {
    cpu.fair.splice(at, 1);
    cpu.load -= weightOf(task);
    return;
  }
  at = cpu.rt.indexOf(task.tid);
  if (at >= 0) cpu.rt.splice(at, 1);
}

function forget(cpu: Cpu, { tid }: Task): void {
  if (cpu.next === tid) cpu.next = 0;
  if (cpu.skip === tid) cpu.skip = 0;
}

/** The task on a CPU sleeps, ends or goes elsewhere: the CPU is free. */
export function leaveCpu(k: Kernel, cpu: Cpu, task: Task): void {
  sampleLoad(k);
  updateCurr(k, cpu, task);
  if (isFair(task)) cpu.load -= weightOf(task);
  forget(cpu, task);
  cpu.curr = 0;
  cpu.held = false;
  cpu.reschedNs = NEVER;
  if (cpu.fair.length > 0) updateMinVruntime(k, cpu, Infinity);
}

/** The task on a CPU goes back to the queue: a real-time one before those of its priority, or, when it had its turn, behind them. */
export function putPrev(k: Kernel, cpu: Cpu, task: Task): void {
  updateCurr(k, cpu, task);
  cpu.curr = 0;
  cpu.held = false;
  cpu.reschedNs = NEVER;
  task.se.waitingNs = cpu.clockNs;
  if (isFair(task)) {
    cpu.load -= weightOf(task);
    insert(k, cpu, task, false);
    return;
  }
  insert(k, cpu, task, cpu.skip !== task.tid);
  if (cpu.skip === task.tid) cpu.skip = 0;
}

/** Gives an idle CPU to the one of the waiting who may run and has the best claim; null when there is none. */
export function pickNext(k: Kernel, cpu: Cpu): Task | null {
  let task: Task | null = null;
  const first = cpu.rt.length === 0 ? -1 : nextFree(k, cpu, cpu.rt, 0);
  if (first >= 0) {
    task = taskOf(k, cpu.rt[first]);
    cpu.rt.splice(first, 1);
  } else {
    const at = pickFair(k, cpu);
    if (at < 0) return null;
    task = taskOf(k, cpu.fair[at]);
    if (at === 0) cpu.fair.shift();
    else cpu.fair.splice(at, 1);
  }
  setCurr(cpu, task);
  // While nobody waited, there were no ticks.
  if (cpu.tickNs <= cpu.clockNs && waiting(cpu)) cpu.tickNs = nextTickNs(k, cpu.clockNs);
  return task;
}

function setCurr(cpu: Cpu, task: Task): void {
  const { se } = task;
  forget(cpu, task);
  cpu.curr = task.tid;
  const waited = Math.max(0, cpu.clockNs - se.waitingNs);
  se.runDelayNs += waited;
  cpu.runDelayNs += waited;
  se.runs++;
  cpu.runs++;
  se.pickedNs = task.utimeNs + task.stimeNs;
  se.countedNs = se.pickedNs;
}

/** The cost of another task on a CPU than the one before, and of one whose caches are elsewhere; the newcomer pays. */
export function chargeSwitch(k: Kernel, cpu: Cpu, task: Task): void {
  const { se } = task;
  if (cpu.last !== task.tid) {
    if (cpu.last !== 0) charge(k, costs(k).contextSwitchNs);
    cpu.last = task.tid;
    cpu.contextSwitches++;
  }
  if (se.lastCpu !== cpu.id) {
    if (se.lastCpu >= 0) {
      charge(k, costs(k).migrationNs);
      se.migrations++;
    }
    se.lastCpu = cpu.id;
  }
}

/** A tick looks at a real-time task on the CPU (task_tick_rt): whether its slice is over and another one of its priority waits. */
export function rtTick(k: Kernel, cpu: Cpu, curr: Task): boolean {
  const { se } = curr;
  if (curr.policy !== SCHED_RR || --se.rrTicks > 0) return false;
  se.rrTicks = rrTicks(k);
  if (!cpu.rt.some((tid) => taskOf(k, tid).rtPriority === curr.rtPriority)) return false;
  cpu.skip = curr.tid;
  return true;
}

/** Moves a waiting task's record from one CPU to another: its place among the others is kept as far as it can be. */
export function moveTo(task: Task, from: Cpu, to: Cpu): void {
  if (!task.se.fresh) task.se.vruntime += to.minVruntime - from.minVruntime;
  task.cpu = to.id;
}

/** Takes a waiting task over to another CPU, where it waits on (load balancing, a new affinity). */
export function migrate(k: Kernel, task: Task, to: Cpu): void {
  const from = k.state.sched.cpus[task.cpu];
  const sinceNs = task.se.waitingNs;
  advanceCpu(k, to, k.state.time.nowNs);
  remove(k, from, task);
  moveTo(task, from, to);
  task.se.movedNs = Math.max(from.clockNs, to.clockNs);
  if (!waiting(to)) to.tickNs = nextTickNs(k, to.clockNs);
  insert(k, to, task, false);
  task.se.waitingNs = sinceNs;
  const curr = currOf(k, to);
  if (curr !== null && preempts(k, curr, task)) reschedule(to, Math.max(to.clockNs, k.state.time.nowNs));
}

/** The task's affinity has changed: one that is where it may not be goes elsewhere, at once (set_cpus_allowed). */
export function affinityChanged(k: Kernel, task: Task): void {
  const cpu = k.state.sched.cpus[task.cpu];
  if (task.state !== "runnable" || permitted(task, cpu)) return;
  if (cpu.curr === task.tid) {
    reschedule(cpu, now(k));
    return;
  }
  dequeue(k, task);
  enqueue(k, task);
}

/** Orders what tasks may claim of a CPU, by class and then within it. */
const claimOf = (task: Task): number => (isFair(task) ? weightOf(task) : 1_000_000 + task.rtPriority);

/** Changes the policy or nice value of a task, wherever it stands, by `change` (__sched_setscheduler, set_user_nice). */
export function reweigh(k: Kernel, task: Task, change: () => void): void {
  const cpu = k.state.sched.cpus[task.cpu];
  const has = cpu.curr === task.tid;
  advanceCpu(k, cpu, k.state.time.nowNs); // what it has computed so far counts as it was
  const waits = !has && task.state === "runnable" && !cpu.arriving.includes(task.tid);
  if (has) {
    updateCurr(k, cpu, task);
    if (isFair(task)) cpu.load -= weightOf(task);
  } else if (waits) {
    remove(k, cpu, task);
  }
  const wasFair = isFair(task);
  const claim = claimOf(task);
  change();
  if (task.policy === SCHED_RR && task.se.rrTicks <= 0) task.se.rrTicks = rrTicks(k);
  // As Linux: who comes down from the real-time class joins the others where they are, not where it was before.
  if (!wasFair && isFair(task)) task.se.vruntime = Math.max(task.se.vruntime, cpu.minVruntime);
  if (has) {
    if (isFair(task)) cpu.load += weightOf(task);
    if (waiting(cpu) && claimOf(task) < claim) reschedule(cpu, Math.max(now(k), cpu.clockNs));
  } else if (waits) {
    insert(k, cpu, task, false);
    const curr = currOf(k, cpu);
    if (curr !== null && preempts(k, curr, task)) reschedule(cpu, Math.max(now(k), cpu.clockNs));
  }
}

/**
 * The running task lets others run first as its step ends (sched_yield): a real-time one goes behind those of its priority, a fair one
 * is passed over once, if somebody is not far behind it.
 */
export function schedYield(k: Kernel, task: Task): void {
  const cpu = k.state.sched.cpus[task.cpu];
  if (cpu.curr !== task.tid || !waiting(cpu)) return;
  cpu.skip = task.tid;
  reschedule(cpu, cpu.clockNs);
}

/** Whether others should run first; they do as the step ends, for code here is preempted between its steps (cond_resched). */
export function condResched(k: Kernel): number {
  const cpu = k.state.sched.cpus[k.turn.cpu];
  return Number(cpu.reschedNs <= cpu.clockNs);
}
