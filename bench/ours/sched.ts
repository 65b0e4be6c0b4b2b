/** Timers that arm themselves again and threads that wake each other, ns of host time each; one line of JSON. */
import { kthread } from "../../core/process/create.ts";
import type { Kernel } from "../../core/kernel.ts";
import { run, steps, to } from "../../core/sched/steps.ts";
import { sleepOn, wake } from "../../core/sched/wait_queue.ts";
import { now } from "../../core/time/clock.ts";
import { jiffies } from "../../core/time/jiffies.ts";
import { modTimer, timerFunction, timerSetup } from "../../core/time/timer_list.ts";
import { armTimer, timerCallback } from "../../core/time/timer.ts";
import { bootKernel, feed } from "./kernel.ts";

const COUNT = 200_000;
/** Timers that are armed at once. */
const TIMERS = 100;
/** Wait queues of the players; nobody else has them. */
const QUEUES = [900_001, 900_002];

interface Left {
  left: number;
}

const left = (k: Kernel): Left => k.state.labs.get("bench") as Left;

timerCallback("bench.hrtimer", (k, arg) => {
  if (--left(k).left > 0) armTimer(k, { expiresNs: now(k) + 1_000_000 + arg * 997, callback: "bench.hrtimer", arg });
});
timerFunction("bench.timer", (k, arg, timer) => {
  if (--left(k).left > 0) modTimer(k, timer, jiffies(k) + 1 + (arg % 90));
});

/** Two that wake each other; on one CPU each stroke is a context switch. */
const player = steps<{ me: number }>("bench.player", {
  play: (k, _task, { locals }) => {
    const state = left(k);
    if (state.left <= 0) return 0;
    state.left--;
    wake(k, QUEUES[1 - locals.me]);
    return sleepOn(QUEUES[locals.me]);
  },
});

/** Computes; with a second one, every tick or two is a switch. */
const hog = steps<{ me: number }>("bench.hog", {
  work: () => run(10_000_000_000),
  again: () => to("work"),
});

function kernel(cpus: number): Kernel {
  const k = bootKernel({ ramMiB: 16, cpus });
  k.state.labs.set("bench", { left: 0 } satisfies Left);
  return k;
}

/** ns of host time for each of COUNT, while the clock is moved until all are done. */
function timed(k: Kernel, begin: () => void): number {
  left(k).left = COUNT;
  const began = process.hrtime.bigint();
  begin();
  while (left(k).left > 0) feed(k, { type: "advance", byNs: 10_000_000 });
  return Number(process.hrtime.bigint() - began) / COUNT;
}

function best(measure: () => number): number {
  measure();
  return Math.min(measure(), measure(), measure());
}

function hrtimers(): number {
  const k = kernel(2);
  return timed(k, () => {
    for (let arg = 0; arg < TIMERS; arg++) armTimer(k, { expiresNs: now(k) + 1_000_000 + arg * 997, callback: "bench.hrtimer", arg });
  });
}

function timers(): number {
  const k = kernel(2);
  const ids = Array.from({ length: TIMERS }, (_, arg) => timerSetup(k, "bench.timer", { arg }));
  return timed(k, () => {
    for (const id of ids) modTimer(k, id, jiffies(k) + 1);
  });
}

function switches(cpus: number): number {
  const k = kernel(cpus);
  return timed(k, () => {
    for (const me of [0, 1]) kthread(k, `player${me}`, player, { me });
  });
}

/** ns of host time for a switch that a tick forces. */
function preemptions(): number {
  const k = kernel(1);
  for (const me of [0, 1]) kthread(k, `hog${me}`, hog, { me });
  feed(k, { type: "advance", byNs: 0 });
  const began = process.hrtime.bigint();
  const before = k.state.sched.cpus[0].contextSwitches;
  feed(k, { type: "advance", byNs: 200_000_000_000 });
  return Number(process.hrtime.bigint() - began) / (k.state.sched.cpus[0].contextSwitches - before);
}

console.log(JSON.stringify({
  hrtimer: best(hrtimers), timer: best(timers), together: best(() => switches(1)), apart: best(() => switches(2)), preempted: best(preemptions),
}));
