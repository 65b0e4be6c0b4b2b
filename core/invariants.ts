/** What must hold of a kernel between two inputs, whatever was fed to it: the rooms' own rules and those of the spine. */
import type { Kernel } from "./kernel.ts";
import { deviceInvariants } from "./drivers/invariants.ts";
import { fsInvariants } from "./fs/invariants.ts";
import { irqInvariants } from "./irq/invariants.ts";
import { mmInvariants } from "./mm/invariants.ts";
import { moduleInvariants } from "./module/invariants.ts";
import { netInvariants } from "./net/invariants.ts";
import { processInvariants } from "./process/invariants.ts";
import { plainDataProblems } from "./plain.ts";
import { lockInvariants } from "./sched/lock_invariants.ts";
import { LOG_BYTES } from "./sched/printk.ts";
import { isFair, weightOf } from "./sched/fair.ts";
import { drivenFrame } from "./syscalls/driven.ts";
import { KEPT_BYTES, KEPT_PER_PROCESS } from "./syscalls/kept.ts";
import { SLEEPING_BOUND, TRACE_LINES } from "./syscalls/state.ts";

/** What is broken, a sentence each; empty for a sound kernel. Pure, and slow: it looks at everything. */
export function invariants(k: Kernel): string[] {
  return [
    ...plainDataProblems(k.state),
    ...sleepers(k), ...runQueues(k), ...lockInvariants(k), ...clocks(k), ...groups(k), ...timers(k), ...calls(k), ...log(k),
    ...mmInvariants(k), ...fsInvariants(k), ...netInvariants(k), ...processInvariants(k), ...deviceInvariants(k), ...irqInvariants(k), ...moduleInvariants(k),
  ];
}

/** Wait queues hold exactly the tasks that sleep on them. */
function sleepers(k: Kernel): string[] {
  const wrong: string[] = [];
  const { tasks, waitQueues } = k.state.sched;
  const expected = new Map<number, number[]>();
  for (const task of tasks.values()) {
    const { sleep } = task;
    if (sleep === null) continue;
    if (task.state !== "sleeping") wrong.push(`task ${task.tid} is ${task.state} and has a sleep`);
    for (const queue of sleep.queues) expected.set(queue, [...(expected.get(queue) ?? []), task.tid]);
    const timer = sleep.timer === 0 ? null : k.state.time.timers.get(sleep.timer);
    if (timer === undefined) wrong.push(`task ${task.tid} sleeps with timer ${sleep.timer}, which is not armed`);
    if (timer !== null && timer !== undefined && (!["sleep.timeout", "sleep.io"].includes(timer.callback) || timer.arg !== task.tid || timer.expiresNs !== sleep.untilNs)) {
      wrong.push(`task ${task.tid} sleeps with timer ${sleep.timer} of somebody else`);
    }
  }
  for (const [queue, waiters] of waitQueues) {
    if (waiters.length === 0) wrong.push(`wait queue ${queue} has a record and nobody on it`);
    const found = waiters.map(({ tid }) => tid).filter((tid) => tid !== 0).sort((a, b) => a - b).join();
    const should = (expected.get(queue) ?? []).sort((a, b) => a - b).join();
    if (found !== should) wrong.push(`wait queue ${queue} holds tasks ${found}; asleep on it are ${should}`);
    expected.delete(queue);
  }
  for (const [queue, tids] of expected) wrong.push(`tasks ${tids.join()} sleep on queue ${queue}, which does not hold them`);
  return wrong;
}

/** Run queues hold exactly the tasks that may run, each once and on its own CPU, and each has something to do. */
function runQueues(k: Kernel): string[] {
  const wrong: string[] = [];
  const { tasks, cpus } = k.state.sched;
  const queued = new Set<number>();
  for (const cpu of cpus) {
    for (const tid of [...(cpu.curr === 0 ? [] : [cpu.curr]), ...cpu.rt, ...cpu.fair, ...cpu.arriving]) {
      const task = tasks.get(tid);
      if (queued.has(tid)) wrong.push(`task ${tid} stands on a run queue twice`);
      queued.add(tid);
      if (task === undefined) wrong.push(`CPU ${cpu.id} queues task ${tid}, which does not exist`);
      else if (task.state !== "runnable") wrong.push(`CPU ${cpu.id} queues task ${tid}, which is ${task.state}`);
      else if (task.cpu !== cpu.id) wrong.push(`CPU ${cpu.id} queues task ${tid} of CPU ${task.cpu}`);
    }
  }
  for (const task of tasks.values()) {
    if (task.state === "runnable" && !queued.has(task.tid)) wrong.push(`task ${task.tid} is runnable on no run queue`);
    if (task.state === "runnable" && task.frames.length === 0) wrong.push(`task ${task.tid} is runnable with nothing to do`);
    if (task.state === "parked" && task.frames.length > 0) wrong.push(`task ${task.tid} is parked inside ${task.frames[0].code}`);
  }
  return wrong;
}

/** Tasks, groups and the family tree name each other. */
function groups(k: Kernel): string[] {
  const wrong: string[] = [];
  const { tasks, groups: all } = k.state.sched;
  for (const [tid, task] of tasks) {
    if (task.tid !== tid) wrong.push(`task ${task.tid} is kept as ${tid}`);
    if (all.get(task.tgid)?.threads.includes(tid) !== true) wrong.push(`task ${tid} is no thread of group ${task.tgid}`);
  }
  for (const [tgid, group] of all) {
    if (group.tgid !== tgid) wrong.push(`group ${group.tgid} is kept as ${tgid}`);
    if (new Set(group.threads).size !== group.threads.length) wrong.push(`group ${tgid} names a thread twice`);
    for (const tid of group.threads) if (tasks.get(tid)?.tgid !== tgid) wrong.push(`thread ${tid} of group ${tgid} is none of its tasks`);
    for (const child of group.children) if (all.get(child)?.parent !== tgid) wrong.push(`group ${tgid} calls ${child} its child`);
    if (group.parent !== 0 && all.get(group.parent)?.children.filter((child) => child === tgid).length !== 1) {
      wrong.push(`group ${tgid} is no child of ${group.parent}`);
    }
    if (!k.state.sched.handlers.has(group.sighand) && group.exitStatus < 0) wrong.push(`group ${tgid} has no signal actions`);
  }
  return wrong;
}

/** Where a CPU's time went adds up to its clock; its queue is in order, and its weight that of those on it. */
function clocks(k: Kernel): string[] {
  const wrong: string[] = [];
  const { tasks, cpus } = k.state.sched;
  for (const cpu of cpus) {
    const sum = cpu.userNs + cpu.niceNs + cpu.systemNs + cpu.idleNs + cpu.iowaitNs + cpu.irqNs + cpu.softirqNs;
    if (sum !== cpu.clockNs) wrong.push(`CPU ${cpu.id} stands at ${cpu.clockNs} and accounts for ${sum}`);
    const fair = [...(cpu.curr === 0 ? [] : [cpu.curr]), ...cpu.fair].map((tid) => tasks.get(tid)).filter((task) => task !== undefined);
    const load = fair.filter(isFair).reduce((total, task) => total + weightOf(task), 0);
    if (load !== cpu.load) wrong.push(`CPU ${cpu.id} has a load of ${cpu.load}, its tasks one of ${load}`);
    for (let at = 1; at < cpu.fair.length; at++) {
      if ((tasks.get(cpu.fair[at - 1])?.se.vruntime ?? 0) > (tasks.get(cpu.fair[at])?.se.vruntime ?? 0)) wrong.push(`the queue of CPU ${cpu.id} is out of order at ${at}`);
    }
  }
  return wrong;
}

/** Every armed timer stands in the heap, the heap is one, and no timer is overdue. */
function timers(k: Kernel): string[] {
  const wrong: string[] = [];
  const { heap, timers: armed, nowNs, limitNs } = k.state.time;
  const entries = new Set(heap.map(([, sequence, id]) => `${sequence},${id}`));
  for (const [id, timer] of armed) {
    if (timer.id !== id) wrong.push(`timer ${timer.id} is kept as ${id}`);
    if (!entries.has(`${timer.sequence},${id}`)) wrong.push(`timer ${id} (${timer.callback}) is not in the heap`);
    if (!k.tables.timerCallbacks.has(timer.callback)) wrong.push(`timer ${id} calls ${timer.callback}, which nobody registered`);
  }
  for (let at = 1; at < heap.length; at++) {
    const parent = heap[(at - 1) >> 1];
    if (parent[0] > heap[at][0] || (parent[0] === heap[at][0] && parent[1] > heap[at][1])) wrong.push(`the heap of timers is out of order at ${at}`);
  }
  if (!Number.isSafeInteger(nowNs) || nowNs < 0) wrong.push(`the clock shows ${nowNs}`);
  if (!Number.isSafeInteger(limitNs)) wrong.push(`autonomous work may run up to ${limitNs}`);
  return wrong;
}

/** Calls that sleep are the driven frames of tasks; what is kept of ended ones is counted right. */
function calls(k: Kernel): string[] {
  const wrong: string[] = [];
  const { sleeping, open, kept, keptOf, leaving, keptBytes, trace } = k.state.calls;
  const known = new Map([...sleeping, ...open.map(({ callId, tid }) => [callId, tid] as const)]);
  for (const [callId, tid] of sleeping) {
    const task = k.state.sched.tasks.get(tid);
    if (task === undefined || drivenFrame(task)?.callId !== callId) wrong.push(`call ${callId} is said to sleep in task ${tid}, which is not in it`);
  }
  for (const task of k.state.sched.tasks.values()) {
    const driven = drivenFrame(task);
    if (driven !== null && known.get(driven.callId) !== task.tid) wrong.push(`nobody knows call ${driven.callId} of task ${task.tid}`);
  }
  if (sleeping.size > SLEEPING_BOUND) wrong.push(`${sleeping.size} calls sleep`);
  const sum = [...kept.values()].reduce((total, { size }) => total + size, 0);
  if (sum !== keptBytes) wrong.push(`kept answers have ${sum} bytes, counted are ${keptBytes}`);
  if (keptBytes > KEPT_BYTES && kept.size > 1) wrong.push(`kept answers have ${keptBytes} bytes`);
  let owned = leaving.size;
  for (const [tgid, own] of keptOf) {
    owned += own.length;
    if (own.length === 0 || own.length > KEPT_PER_PROCESS) wrong.push(`${own.length} answers are kept of process ${tgid}`);
    if (!k.state.sched.groups.has(tgid)) wrong.push(`process ${tgid} has ended, and its answers do not leave`);
    for (const callId of own) if (kept.get(callId)?.tgid !== tgid) wrong.push(`process ${tgid} is said to have answered ${callId}`);
  }
  for (const callId of leaving.keys()) if (!kept.has(callId)) wrong.push(`${callId} leaves and is not kept`);
  if (owned !== kept.size) wrong.push(`${kept.size} answers are kept, of processes ${owned}`);
  if (trace.length > TRACE_LINES + 1000) wrong.push(`the trace has ${trace.length} lines`);
  return wrong;
}

/** The log's count of bytes, its bound, and its numbering without a gap. */
function log(k: Kernel): string[] {
  const wrong: string[] = [];
  const { records, bytes, nextSequence } = k.state.log;
  const sum = records.reduce((total, { text }) => total + text.length, 0);
  if (sum !== bytes) wrong.push(`the log has ${sum} bytes, counted are ${bytes}`);
  if (bytes > LOG_BYTES) wrong.push(`the log has ${bytes} bytes`);
  records.forEach(({ sequence }, at) => {
    if (sequence !== nextSequence - records.length + at) wrong.push(`log record ${sequence} stands where ${nextSequence - records.length + at} belongs`);
  });
  return wrong;
}
