/**
 * The watchdog of CPUs that spin for ever (kernel/watchdog.c). Here such a task sleeps instead, and its CPU stays free; the
 * watchdog says all the same what it would.
 */
import type { Kernel } from "../kernel.ts";
import { now } from "../time/clock.ts";
import { armTimer, timerCallback } from "../time/timer.ts";
import { printContext, printTrace } from "./dump_stack.ts";
import { printk } from "./printk.ts";
import { stackOf } from "./stack_trace.ts";
import { addTaint, modulesLinkedIn, TAINT_SOFTLOCKUP } from "./taint.ts";
import type { Task } from "./task.ts";

const EMERG = 0;
const WARNING = 4;
const NS_PER_SEC = 1_000_000_000;
/** A CPU is stuck after twice kernel.watchdog_thresh; the watchdog looks every few seconds and finds it a little later. */
const PERIOD_NS = 26 * NS_PER_SEC;
const STUCK_NS = 20 * NS_PER_SEC;

/** What a spinning task is shown to stand in. */
export const SLOWPATH = "native_queued_spin_lock_slowpath";

const spins = (task: Task): boolean => task.sleep?.wchan === SLOWPATH;

/** A task spins, and nobody knows for how long. */
export function watchSpin(k: Kernel): void {
  const { lockdep } = k.state.sched;
  if (lockdep.softTimer === 0) lockdep.softTimer = armTimer(k, { expiresNs: now(k) + PERIOD_NS, callback: "watchdog", arg: 0 });
}

timerCallback("watchdog", (k) => {
  const { lockdep, tasks } = k.state.sched;
  lockdep.softTimer = 0;
  for (const task of tasks.values()) {
    const stuckNs = spins(task) ? now(k) - (task.sleep?.sinceNs ?? 0) : 0;
    if (stuckNs >= STUCK_NS) report(k, task, Math.round(stuckNs / NS_PER_SEC));
  }
  if ([...tasks.values()].some(spins)) watchSpin(k);
});

function report(k: Kernel, task: Task, seconds: number): void {
  printk(k, EMERG, `watchdog: BUG: soft lockup - CPU#${task.cpu} stuck for ${seconds}s! [${task.comm}:${task.tid}]`);
  printk(k, WARNING, modulesLinkedIn(k));
  printContext(k, WARNING, task);
  printk(k, WARNING, `RIP: 0010:${SLOWPATH}+0x6e/0x2c0`);
  printTrace(k, ["_raw_spin_lock+0x2d/0x40", ...stackOf(k, task)], WARNING, task);
  addTaint(k, TAINT_SOFTLOCKUP);
}
