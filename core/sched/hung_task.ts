/**
 * khungtaskd: tells of tasks that have slept uninterruptibly for too long (kernel/hung_task.c). Its rounds are computed;
 * a timer is armed only while somebody sleeps so.
 */
import { UTS_RELEASE, UTS_VERSION } from "../abi/release.ts";
import type { Kernel } from "../kernel.ts";
import { ticks, ticksAt, tickTimeNs } from "../time/clock.ts";
import { initialJiffies } from "../time/jiffies.ts";
import { armTimer, cancelTimer, timerCallback } from "../time/timer.ts";
import { calcWheelIndex } from "../time/wheel.ts";
import { printTrace } from "./dump_stack.ts";
import { heldBy, lockLine } from "./lockdep_held.ts";
import { debugLocks } from "./lockdep.ts";
import { printk } from "./printk.ts";
import { SLOWPATH } from "./soft_lockup.ts";
import { stackOf } from "./stack_trace.ts";
import { printTainted } from "./taint.ts";
import { groupOf, taskOf, type Task } from "./task.ts";

const ERR = 3;
const INFO = 6;
const WARNING = 4;

/** A sysctl of kernel.hung_task_…, as written or as it begins. */
function sysctl(k: Kernel, name: string, initial: number): number {
  const written = k.state.drivers.sysctl.get(`kernel/hung_task_${name}`);
  return written === undefined ? initial : Number(written);
}

const timeoutSecs = (k: Kernel): number => sysctl(k, "timeout_secs", 120);

/** The jiffy of boot, whose place in the timer wheel the rounds follow. */
const bootJiffies = (k: Kernel): number => initialJiffies(k.state.machine.hz);

/** Ticks between two rounds: the thread's sleep, as the timer wheel rounds it up. Ticks of the first one after `tick`. */
function nextRound(k: Kernel, tick: number): number {
  const boot = bootJiffies(k);
  const { hz } = k.state.machine;
  const sleep = timeoutSecs(k) * hz;
  const first = calcWheelIndex(boot + sleep, boot, hz).expiry - boot;
  const period = calcWheelIndex(boot + first + sleep, boot + first, hz).expiry - boot - first;
  return tick < first ? first : first + (Math.floor((tick - first) / period) + 1) * period;
}

const roundNs = (k: Kernel, tick: number): number => tickTimeNs(k, tick);

/** A sleep that a round may tell of: neither parked threads, nor those that a fatal signal wakes, nor what stands for spinning. */
function mayHang(k: Kernel, task: Task): boolean {
  return task.sleep?.mode === "uninterruptible" && task.sleep.wchan !== SLOWPATH && k.state.sched.kthreads.get(task.tid)?.parked !== true;
}

/** An uninterruptible sleep begins that may last: the next round looks at it. */
export function watchSleep(k: Kernel): void {
  const { lockdep } = k.state.sched;
  if (lockdep.hungTimer !== 0 || timeoutSecs(k) === 0) return;
  lockdep.hungTimer = armTimer(k, { expiresNs: roundNs(k, nextRound(k, ticks(k))), callback: "khungtaskd", arg: 0 });
}

/** kernel.hung_task_timeout_secs is written: the rounds begin anew at once. */
export function setHungTaskTimeout(k: Kernel, seconds: number): number {
  const { lockdep, tasks } = k.state.sched;
  k.state.drivers.sysctl.set("kernel/hung_task_timeout_secs", String(seconds));
  if (lockdep.hungTimer !== 0) cancelTimer(k, lockdep.hungTimer);
  lockdep.hungTimer = 0;
  if ([...tasks.values()].some((task) => mayHang(k, task))) watchSleep(k);
  return 0;
}

timerCallback("khungtaskd", (k) => {
  const { lockdep, tasks } = k.state.sched;
  lockdep.hungTimer = 0;
  if (timeoutSecs(k) === 0) return;
  const asleep = [...tasks.values()].filter((task) => mayHang(k, task));
  let told = false;
  for (const task of asleep) told = check(k, task) || told;
  if (told && debugLocks(k)) showAllLocks(k);
  if (asleep.length > 0) watchSleep(k);
});

/** Tells of a task that an earlier round saw in this same sleep: whether it did. */
function check(k: Kernel, task: Task): boolean {
  const sinceTick = ticksAt(k, task.sleep?.sinceNs ?? 0);
  const seenTick = nextRound(k, sinceTick);
  const nowTick = ticks(k);
  const warnings = sysctl(k, "warnings", 10);
  if (seenTick >= nowTick || warnings === 0) return false;
  if (warnings > 0) k.state.drivers.sysctl.set("kernel/hung_task_warnings", String(warnings - 1));
  const seconds = Math.floor((nowTick - seenTick) / k.state.machine.hz);
  printk(k, ERR, `INFO: task ${task.comm}:${task.tid} blocked for more than ${seconds} seconds.`);
  printk(k, ERR, `      ${printTainted(k.state.modules.taint)} ${UTS_RELEASE} ${UTS_VERSION.split(" ")[0]}`);
  printk(k, ERR, '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.');
  showTask(k, task);
  return true;
}

/** sched_show_task */
function showTask(k: Kernel, task: Task): void {
  const { parent } = groupOf(k, task);
  const flags = (task.kind === "kthread" ? 0x4000 : 0).toString(16).padStart(8, "0");
  printk(k, INFO, `task:${task.comm.padEnd(15)} state:D stack:0     pid:${String(task.tid).padEnd(5)} ppid:${String(parent).padEnd(6)} flags:0x${flags}`);
  const under = stackOf(k, task);
  printTrace(k, ["__schedule+0x34d/0x9e0", "schedule+0x5a/0xd0", ...under], INFO, task);
}

/** debug_show_all_locks */
function showAllLocks(k: Kernel): void {
  printk(k, WARNING, "");
  printk(k, WARNING, "Showing all locks held in the system:");
  for (const tid of [...k.state.sched.lockdep.held.keys()].sort((a, b) => a - b)) {
    if (!k.state.sched.tasks.has(tid)) continue;
    const held = heldBy(k, tid);
    printk(k, WARNING, `${held.length} lock${held.length > 1 ? "s" : ""} held by ${taskOf(k, tid).comm}/${tid}:`);
    held.forEach((one, at) => printk(k, WARNING, ` #${at}: ${lockLine(k, one)}`));
  }
  printk(k, WARNING, "");
  printk(k, WARNING, "=============================================");
  printk(k, WARNING, "");
}
