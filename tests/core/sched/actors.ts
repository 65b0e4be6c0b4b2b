/** Threads and programs for tests of the scheduler: hogs, sleepers, players, and what they note. */
import { CoreMachine } from "../../helpers/core.ts";
import { createProgram, kthread } from "../../../core/process/create.ts";
import type { Kernel } from "../../../core/kernel.ts";
import { affinityChanged, reweigh, schedYield } from "../../../core/sched/run_queue.ts";
import { NEXT, run, steps, to, type StepTable } from "../../../core/sched/steps.ts";
import type { Task } from "../../../core/sched/task.ts";
import { sleepUntil } from "../../../core/sched/wait_queue.ts";
import { now } from "../../../core/time/clock.ts";

export const MS = 1_000_000;

/** What the actors note, in the state like everything else. */
interface Notes {
  seen: [string, number][];
}

export function machine(options = {}): CoreMachine {
  const made = new CoreMachine({ ramMiB: 16, swapMiB: 8, ...options });
  made.kernel.state.labs.set("test", { seen: [] } satisfies Notes);
  return made;
}

export function seen(k: Kernel): [string, number][] {
  return (k.state.labs.get("test") as Notes).seen;
}

export function note(k: Kernel, what: string): void {
  seen(k).push([what, now(k)]);
}

export interface Where {
  nice?: number;
  /** A bit mask. */
  cpus?: number;
  policy?: number;
  rtPriority?: number;
}

export function placed(k: Kernel, task: Task | number, { nice = 0, cpus, policy = 0, rtPriority = 0 }: Where): Task {
  if (typeof task === "number") throw new Error(`no task: ${task}`);
  if (cpus !== undefined) {
    task.affinity = cpus;
    affinityChanged(k, task);
  }
  reweigh(k, task, () => {
    task.nice = nice;
    task.policy = policy;
    task.rtPriority = rtPriority;
  });
  return task;
}

/** A thread of the kernel with this code. */
export function thread<L>(m: CoreMachine, name: string, table: StepTable<L>, locals: L, where: Where = {}): Task {
  return placed(m.kernel, kthread(m.kernel, name, table, locals), where);
}

/** A process of its own with this code. */
export function program<L>(m: CoreMachine, name: string, table: StepTable<L>, locals: L, where: Where = {}): Task {
  return placed(m.kernel, createProgram(m.kernel, { comm: name, uid: 0, member: "test", home: "/", code: table.name, locals }), where);
}

/** CPU time of a task, ns. */
export const used = ({ utimeNs, stimeNs }: Task): number => utimeNs + stimeNs;

/** Computes for ever, `ns` at a time. */
export const hog = steps<{ ns: number }>("test.sched.hog", {
  work: (_k, _task, { locals }) => run(locals.ns),
  again: () => to("work"),
});

/** Computes for ever and lets others run after each time. */
export const yielding = steps<{ ns: number }>("test.sched.yielding", {
  work: (_k, _task, { locals }) => run(locals.ns),
  yield: (k, task) => {
    schedYield(k, task);
    return to("work");
  },
});

/** Computes once, and notes when it is done. */
export const once = steps<{ ns: number; what: string }>("test.sched.once", {
  work: (_k, _task, { locals }) => run(locals.ns),
  tell: (k, _task, { locals }) => {
    note(k, locals.what);
    return 0;
  },
});

/** Wakes every so often, works a little, and notes how long after its time it ran. */
export const sleeper = steps<{ everyNs: number; workNs: number; dueNs: number; worstNs: number; turns: number }>("test.sched.sleeper", {
  begin: (k, _task, { locals }) => {
    locals.dueNs = now(k) + locals.everyNs;
    return NEXT;
  },
  sleep: (k, _task, { locals }) => (now(k) >= locals.dueNs ? NEXT : sleepUntil(locals.dueNs)),
  woken: (k, _task, { locals }) => {
    locals.worstNs = Math.max(locals.worstNs, now(k) - locals.dueNs);
    locals.turns++;
    return NEXT;
  },
  work: (_k, _task, { locals }) => run(locals.workNs),
  again: () => to("begin"),
});

export const newSleeper = (everyNs: number, workNs: number): { everyNs: number; workNs: number; dueNs: number; worstNs: number; turns: number } =>
  ({ everyNs, workNs, dueNs: 0, worstNs: 0, turns: 0 });
