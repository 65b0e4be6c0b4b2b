/** Work items, tasklets and simrupt's events a second of host time, ns each; one line of JSON. */
import { initWork } from "../../core/irq/work.ts";
import { queueWork } from "../../core/irq/queue_work.ts";
import { taskletCallback, taskletInit, taskletSchedule } from "../../core/irq/tasklet.ts";
import { allocWorkqueue, WQ_UNBOUND } from "../../core/irq/workqueue.ts";
import { steps } from "../../core/sched/steps.ts";
import type { Kernel } from "../../core/kernel.ts";
import { batch, bootKernel, call, feed, newBench, newProcess } from "./kernel.ts";

const ITEMS = 200_000;
const EVENTS = 4_000;

/** Counts down in the state, and queues itself again. */
interface Left {
  left: number;
  wq: number;
  tasklet: number;
}

const left = (k: Kernel): Left => k.state.labs.get("bench") as Left;

steps<{ work: number }>("bench.item", {
  run: (k, _task, { locals }) => {
    const state = left(k);
    if (--state.left > 0) queueWork(k, state.wq, locals.work);
    return 0;
  },
});

taskletCallback("bench.tasklet", (k) => {
  const state = left(k);
  if (--state.left > 0) taskletSchedule(k, state.tasklet);
});

/** ns of host time for each of `count`, while the clock is moved until all are done. */
function timed(k: Kernel, count: number, begin: () => void): number {
  left(k).left = count;
  const began = process.hrtime.bigint();
  begin();
  while (left(k).left > 0) feed(k, { type: "advance", byNs: 10_000_000 });
  return Number(process.hrtime.bigint() - began) / count;
}

function bench(): { k: Kernel; state: Left } {
  const k = bootKernel({ ramMiB: 16 });
  const state: Left = { left: 0, wq: 0, tasklet: 0 };
  k.state.labs.set("bench", state);
  return { k, state };
}

function items(flags: number): number {
  const { k, state } = bench();
  state.wq = allocWorkqueue(k, "bench", flags, 0);
  const work = initWork(k, "bench.item");
  const once = (): number => timed(k, ITEMS, () => void queueWork(k, state.wq, work));
  once();
  return once();
}

function tasklets(): number {
  const { k, state } = bench();
  state.tasklet = taskletInit(k, "bench.tasklet");
  const once = (): number => timed(k, ITEMS, () => taskletSchedule(k, state.tasklet));
  once();
  return once();
}

/** An event of simrupt: timer, softirq, tasklet, work item, fifo, and six lines of log. */
function simrupt(): number {
  const made = newBench({ ramMiB: 16 });
  feed(made.k, { type: "program", callId: "insmod", program: "insmod", args: { name: "simrupt" }, uid: 0, member: "bench", home: "/root" });
  call({ k: made.k, pid: newProcess(made.k) }, "openat", { pathname: "/dev/simrupt", flags: "O_RDONLY" });
  batch(made, [{ call: "getpid" }]);
  const run = (): number => {
    const began = process.hrtime.bigint();
    feed(made.k, { type: "advance", byNs: EVENTS * 104_000_000 });
    return Number(process.hrtime.bigint() - began) / EVENTS;
  };
  run();
  return run();
}

console.log(JSON.stringify({ bound: items(0), unbound: items(WQ_UNBOUND), tasklet: tasklets(), simrupt: simrupt() }));
