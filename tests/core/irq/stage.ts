/** A kernel for tests of bottom halves and work queues: work functions that note what they do, and a thread that waits for work. */
import { queueWork } from "../../../core/irq/queue_work.ts";
import { taskletCallback } from "../../../core/irq/tasklet.ts";
import { initWork, type WorkLocals } from "../../../core/irq/work.ts";
import { wqWorkerComm } from "../../../core/irq/workqueue.ts";
import type { Kernel } from "../../../core/kernel.ts";
import { kthread } from "../../../core/process/create.ts";
import { inServingSoftirq } from "../../../core/sched/preempt.ts";
import { NEXT, run, steps, to, type StepTable } from "../../../core/sched/steps.ts";
import type { Task } from "../../../core/sched/task.ts";
import { sleepUntil, timedOut } from "../../../core/sched/wait_queue.ts";
import { now } from "../../../core/time/clock.ts";
import { CoreMachine } from "../../helpers/core.ts";

export const MS = 1_000_000;

/** What happened, in the state like everything else: text and kernel time. */
interface Notes {
  seen: [string, number][];
}

const notes = (k: Kernel): Notes => k.state.labs.get("test") as Notes;

export function note(k: Kernel, what: string): void {
  notes(k).seen.push([what, now(k)]);
}

export function stage(options = {}): CoreMachine {
  const m = new CoreMachine({ ramMiB: 16, swapMiB: 0, ...options });
  m.kernel.state.labs.set("test", { seen: [] } satisfies Notes);
  return m;
}

export function seen(m: CoreMachine): string[] {
  return notes(m.kernel).seen.map(([what]) => what);
}

/** Kernel time of the first note that begins so, ns. */
export function timeOf(m: CoreMachine, what: string): number {
  const found = notes(m.kernel).seen.find(([text]) => text.startsWith(what));
  if (found === undefined) throw new Error(`nobody noted ${what}: ${seen(m).join()}`);
  return found[1];
}

export function forget(m: CoreMachine): void {
  notes(m.kernel).seen.length = 0;
}

export function log(m: CoreMachine): string[] {
  return m.kernel.state.log.records.map(({ text }) => text);
}

/** Notes its argument and ends. */
steps<WorkLocals>("test.tell_func", {
  tell: (k, _task, { locals }) => {
    note(k, `${locals.arg}`);
    return 0;
  },
});

/** Notes who runs it and where. */
steps<WorkLocals>("test.who_func", {
  tell: (k, task) => {
    note(k, `${wqWorkerComm(k, task)} nice ${task.nice} cpu ${k.turn.cpu}`);
    return 0;
  },
});

/** Sleeps `arg` ms, then notes it. */
steps<WorkLocals & { untilNs?: number }>("test.sleep_func", {
  begin: (k, _task, { locals }) => {
    note(k, `begin ${locals.arg}`);
    locals.untilNs = now(k) + locals.arg * MS;
    return NEXT;
  },
  sleep: (_k, task, { locals }) => (timedOut(task) ? NEXT : sleepUntil(locals.untilNs ?? 0, { mode: "uninterruptible" })),
  end: (k, _task, { locals }) => {
    note(k, `end ${locals.arg}`);
    return 0;
  },
});

/** Computes for `arg` ms. */
steps<WorkLocals>("test.busy_func", {
  begin: (k, _task, { locals }) => {
    note(k, `begin ${locals.arg}`);
    return NEXT;
  },
  run: (_k, _task, { locals }) => run(locals.arg * MS),
  end: (k, _task, { locals }) => {
    note(k, `end ${locals.arg}`);
    return 0;
  },
});

/** Queues itself again on queue `arg` until it has run three times. */
steps<WorkLocals>("test.again_func", {
  tell: (k, _task, { locals }) => {
    note(k, "again");
    if (seen3(k) < 3) note(k, `requeue ${queueWork(k, locals.arg, locals.work)}`);
    return 0;
  },
});

const seen3 = (k: Kernel): number => notes(k).seen.filter(([text]) => text === "again").length;

/** Queues another item on queue `arg`, which is somebody else's. */
steps<WorkLocals>("test.chain_func", {
  queue: (k, _task, { locals }) => {
    note(k, "chain");
    queueWork(k, locals.arg, initWork(k, "test.tell_func", { arg: 99 }));
    return 0;
  },
});

taskletCallback("test.tell_tasklet", (k, data) => note(k, `tasklet ${data} ${inServingSoftirq(k) ? "softirq" : "elsewhere"} cpu ${k.turn.cpu}`));

interface CallLocals {
  code: string;
  locals: unknown;
  what: string;
}

const callTable = steps<CallLocals>("test.irq_call", {
  call: (_k, _task, { locals }) => {
    const { code, locals: inner } = locals;
    locals.locals = null;
    return { act: "enter", code, locals: inner };
  },
  tell: (k, _task, { locals, ret }) => {
    note(k, `${locals.what}=${ret}`);
    return 0;
  },
});

/** Calls code that may sleep in a thread of its own, which notes what it answers. */
export function inThread<L>(m: CoreMachine, what: string, table: StepTable<L>, locals: L): Task {
  const task = kthread(m.kernel, what, callTable, { code: table.name, locals, what });
  if (typeof task === "number") throw new Error(`no thread: ${task}`);
  return task;
}

interface DoLocals {
  what: string;
}

const acts = new Map<string, (k: Kernel) => void>();
let named = 0;

const actTable = steps<DoLocals>("test.irq_act", {
  act: (k, _task, { locals }) => {
    acts.get(locals.what)?.(k);
    return 0;
  },
  never: () => to("act"),
});

/** Does something in the context of a task, with no time going by. */
export function asTask(m: CoreMachine, act: (k: Kernel) => void): void {
  const what = `act${named++}`;
  acts.set(what, act);
  const task = kthread(m.kernel, what, actTable, { what });
  if (typeof task === "number") throw new Error(`no thread: ${task}`);
  m.advance(0.001);
}
