/** Interval timers of a process (setitimer(2)): real time, its user time, its CPU time. */
import { SI_KERNEL, SIGALRM, SIGPROF, SIGVTALRM } from "../abi/signal.ts";
import { ITIMER_PROF, ITIMER_REAL } from "../abi/time.ts";
import type { Kernel } from "../kernel.ts";
import { sendSignal, type PendingSignal } from "../sched/signal.ts";
import type { ThreadGroup } from "../sched/task.ts";
import { now, tickNs } from "../time/clock.ts";
import { armTimer, cancelTimer, timerCallback } from "../time/timer.ts";
import { nextLook, type CpuTimer } from "./cpu_timer.ts";
import { groupTimes } from "./cputime.ts";
import { dropPosixTimers, LEAST_NS, posixSignalTaken } from "./posix_timer.ts";

/** Time to go and period, ns; 0 and 0 when disarmed. */
export interface Itimer {
  valueNs: number;
  intervalNs: number;
}

function cpuTimerOf(group: ThreadGroup, which: number): CpuTimer {
  return which === ITIMER_PROF ? group.profTimer : group.virtualTimer;
}

function usedNs(k: Kernel, group: ThreadGroup, which: number): number {
  const { utimeNs, stimeNs } = groupTimes(k, group);
  return which === ITIMER_PROF ? utimeNs + stimeNs : utimeNs;
}

/** What is left of a timer; of one that is about to fire the least that its clock can tell, as Linux says. */
export function getItimer(k: Kernel, group: ThreadGroup, which: number): Itimer {
  if (which === ITIMER_REAL) {
    const left = group.realTimer === 0 ? 0 : Math.max(group.realUntilNs - now(k), 1000);
    return { valueNs: left, intervalNs: group.realPeriodNs };
  }
  const timer = cpuTimerOf(group, which);
  const toGo = timer.expiresNs - usedNs(k, group, which);
  const left = timer.expiresNs < 0 ? 0 : toGo < 0 ? Math.round(tickNs(k)) : toGo;
  return { valueNs: left, intervalNs: timer.periodNs };
}

/** Arms a timer `valueNs` from now, or disarms it when that is 0. */
export function setItimer(k: Kernel, group: ThreadGroup, which: number, { valueNs, intervalNs }: Itimer): void {
  if (which === ITIMER_REAL) {
    cancelReal(k, group);
    group.realPeriodNs = valueNs === 0 ? 0 : intervalNs;
    if (valueNs > 0) armReal(k, group, now(k) + valueNs);
    return;
  }
  const timer = cpuTimerOf(group, which);
  if (timer.timer !== 0) cancelTimer(k, timer.timer);
  timer.timer = 0;
  // As Linux: these keep their period though they are disarmed, and have a tick more, since CPU time is told in ticks.
  timer.periodNs = intervalNs;
  timer.expiresNs = valueNs === 0 ? -1 : usedNs(k, group, which) + valueNs + Math.round(tickNs(k));
  if (valueNs > 0) lookLater(k, group, which, false);
}

function cancelReal(k: Kernel, group: ThreadGroup): void {
  if (group.realTimer !== 0) cancelTimer(k, group.realTimer);
  group.realTimer = 0;
}

function armReal(k: Kernel, group: ThreadGroup, untilNs: number): void {
  group.realUntilNs = untilNs;
  group.realTimer = armTimer(k, { expiresNs: untilNs, callback: "itimer.real", arg: group.tgid });
}

timerCallback("itimer.real", (k, tgid) => {
  const group = k.state.sched.groups.get(tgid);
  if (group === undefined) return;
  group.realTimer = 0;
  sendSignal(k, tgid, SIGALRM, { code: SI_KERNEL });
});

/** A timer's signal was taken: a periodic timer is armed again only now, so that no flood of signals can build up. */
export function timerSignalTaken(k: Kernel, group: ThreadGroup, signal: PendingSignal): void {
  if (posixSignalTaken(k, group, signal)) return;
  if (signal.number !== SIGALRM || group.realPeriodNs === 0 || group.realTimer !== 0) return;
  const late = Math.max(0, now(k) - group.realUntilNs);
  const periods = Math.max(Math.floor(late / group.realPeriodNs) + 1, Math.ceil(LEAST_NS / group.realPeriodNs));
  armReal(k, group, group.realUntilNs + periods * group.realPeriodNs);
}

function lookLater(k: Kernel, group: ThreadGroup, which: number, idle: boolean): void {
  const timer = cpuTimerOf(group, which);
  const look = nextLook(k, timer.expiresNs - usedNs(k, group, which), group.threads.length, idle, timer.lookNs);
  timer.lookNs = look.lookNs;
  timer.timer = armTimer(k, { expiresNs: look.atNs, callback: "itimer.cpu", arg: group.tgid * 4 + which });
}

timerCallback("itimer.cpu", (k, arg) => {
  const which = arg % 4;
  const group = k.state.sched.groups.get(Math.floor(arg / 4));
  if (group === undefined) return;
  const timer = cpuTimerOf(group, which);
  const used = usedNs(k, group, which);
  timer.timer = 0;
  if (used < timer.expiresNs) {
    lookLater(k, group, which, group.threads.every((tid) => k.state.sched.tasks.get(tid)?.state !== "runnable"));
    return;
  }
  const missed = timer.periodNs === 0 ? 0 : Math.floor((used - timer.expiresNs) / timer.periodNs) + 1;
  timer.expiresNs = missed === 0 ? -1 : timer.expiresNs + missed * timer.periodNs;
  if (missed > 0) lookLater(k, group, which, false);
  sendSignal(k, group.tgid, which === ITIMER_PROF ? SIGPROF : SIGVTALRM, { code: SI_KERNEL });
});

/** A process ends: all its timers go. */
export function exitTimers(k: Kernel, group: ThreadGroup): void {
  cancelReal(k, group);
  group.realPeriodNs = 0;
  for (const timer of [group.virtualTimer, group.profTimer]) {
    if (timer.timer !== 0) cancelTimer(k, timer.timer);
    timer.timer = 0;
    timer.expiresNs = -1;
  }
  dropPosixTimers(k, group);
}
