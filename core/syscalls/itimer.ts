/** Timers that send signals: alarm(2), setitimer(2), timer_create(2). */
import { EAGAIN, EFAULT, EINVAL, EOPNOTSUPP } from "../abi/errno.ts";
import { INT_MAX } from "../abi/limits.ts";
import { SIGALRM, _NSIG } from "../abi/signal.ts";
import {
  clockIds, CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_TAI, ITIMER_PROF, ITIMER_REAL, itimers, NSEC_PER_SEC, timerFlags, TIMER_ABSTIME, USEC_PER_SEC,
} from "../abi/time.ts";
import { decodeStruct } from "../abi/layout.ts";
import type { Kernel } from "../kernel.ts";
import { getI64 } from "../lib/bytes.ts";
import { copyFromUser, putUser32, type Addr } from "../mm/usercopy.ts";
import { clockNs, fullCpuClock, isCpuClock } from "../process/clocks.ts";
import { getItimer, setItimer, type Itimer } from "../process/itimer.ts";
import { dropPosixTimer, getPosixTimer, setPosixTimer, type PosixTimer } from "../process/posix_timer.ts";
import { queuedSignals, queueLimit } from "../sched/signal.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { choice, flags, int, structIn, structOut, uint } from "./args.ts";
import { sigevent, sigeventLayout, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID } from "./codecs/sigevent.ts";
import { give, itimerspec, itimerval, nsOf, readItimer, timeBytes } from "./codecs/time.ts";
import type { Rows } from "./row.ts";
import { scalarOut } from "./vectors.ts";

/** Whole seconds that were left; never 0 of a timer that was running. */
function sysAlarm(k: Kernel, task: Task, [seconds]: [number]): number {
  const group = groupOf(k, task);
  const old = getItimer(k, group, ITIMER_REAL);
  setItimer(k, group, ITIMER_REAL, { valueNs: seconds * NSEC_PER_SEC, intervalNs: 0 });
  const whole = Math.floor(old.valueNs / NSEC_PER_SEC);
  const rest = old.valueNs % NSEC_PER_SEC;
  return (whole === 0 && rest > 0) || rest >= NSEC_PER_SEC / 2 ? whole + 1 : whole;
}

function itimerBytes({ valueNs, intervalNs }: Itimer): Uint8Array {
  return timeBytes(USEC_PER_SEC, intervalNs, valueNs);
}

function isItimer(which: number): boolean {
  return which >= ITIMER_REAL && which <= ITIMER_PROF;
}

function sysGetitimer(k: Kernel, task: Task, [which, value]: [number, Addr]): number {
  return isItimer(which) ? give(k, task, value, itimerBytes(getItimer(k, groupOf(k, task), which))) : -EINVAL;
}

function sysSetitimer(k: Kernel, task: Task, [which, value, oldValue]: [number, Addr, Addr]): number {
  // As Linux: no value disarms the timer.
  const wanted = value === 0 ? { valueNs: 0, intervalNs: 0 } : readItimer(k, task, value, USEC_PER_SEC);
  if (typeof wanted === "number") return wanted;
  if (!isItimer(which)) return -EINVAL;
  const group = groupOf(k, task);
  const old = getItimer(k, group, which);
  setItimer(k, group, which, wanted);
  return oldValue === 0 ? 0 : give(k, task, oldValue, itimerBytes(old));
}

const TIMER_CLOCKS = [CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI];
/** They have timers, but not without a clock that wakes a machine. */
const ALARM_CLOCKS = [CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM];

/** Whom the timer tells, from a struct sigevent or, without one, by SIGALRM; -EINVAL. */
function readEvent(k: Kernel, task: Task, bytes: Uint8Array | null, id: number): Pick<PosixTimer, "signal" | "value" | "tid"> | number {
  if (bytes === null) return { signal: SIGALRM, value: id, tid: 0 };
  const { sigev_notify, sigev_signo, sigev_value, sigev_tid } = decodeStruct(sigeventLayout, bytes);
  if (sigev_notify === SIGEV_NONE) return { signal: 0, value: sigev_value, tid: 0 };
  const forThread = sigev_notify === SIGEV_THREAD_ID;
  if (forThread && k.state.sched.tasks.get(sigev_tid)?.tgid !== task.tgid) return -EINVAL;
  if (!forThread && sigev_notify !== SIGEV_SIGNAL && sigev_notify !== SIGEV_THREAD) return -EINVAL;
  if (sigev_signo <= 0 || sigev_signo > _NSIG) return -EINVAL;
  return { signal: sigev_signo, value: sigev_value, tid: forThread ? sigev_tid : 0 };
}

function sysTimerCreate(k: Kernel, task: Task, [clock, sevp, timerid]: [number, Addr, Addr]): number {
  const given = sevp === 0 ? null : copyFromUser(k, task, sevp, sigeventLayout.size);
  if (typeof given === "number") return given;
  const alarm = ALARM_CLOCKS.includes(clock);
  const ofCpu = isCpuClock(clock);
  if (!alarm && !ofCpu && !TIMER_CLOCKS.includes(clock)) return clock >= 0 && clockNs(k, task, clock) === -EINVAL ? -EINVAL : -EOPNOTSUPP;
  const group = groupOf(k, task);
  if (queuedSignals(k, task.cred.uid) >= queueLimit(k, task)) return -EAGAIN;
  const id = group.nextPosixTimer;
  // As Linux: a number is spent even where the rest fails.
  group.nextPosixTimer = id === INT_MAX ? 0 : id + 1;
  const event = readEvent(k, task, given, id);
  if (typeof event === "number") return event;
  if (!putUser32(k, task, timerid, id)) return -EFAULT;
  const own = ofCpu ? fullCpuClock(k, task, clock) : clock;
  if (alarm) return -EOPNOTSUPP;
  if (own === null) return -EINVAL;
  group.posixTimers.push({
    id, clock: own, ...event,
    periodNs: 0, untilNs: -1, timer: 0, lookNs: 0, overrun: 0,
  });
  return 0;
}

function findTimer(k: Kernel, task: Task, id: number): PosixTimer | null {
  return groupOf(k, task).posixTimers.find((timer) => timer.id === id) ?? null;
}

function specBytes({ valueNs, intervalNs }: Itimer): Uint8Array {
  return timeBytes(NSEC_PER_SEC, intervalNs, valueNs);
}

/** Times end here, ns: 292 years. */
const KTIME_MAX = (1n << 63n) - 1n;

function sysTimerSettime(k: Kernel, task: Task, [id, bits, value, oldValue]: [number, number, Addr, Addr]): number {
  if (value === 0) return -EINVAL;
  const bytes = copyFromUser(k, task, value, 32);
  if (typeof bytes === "number") return -EFAULT;
  const intervalNs = nsOf(getI64(bytes, 0), getI64(bytes, 8), NSEC_PER_SEC);
  const [seconds, fraction] = [getI64(bytes, 16), getI64(bytes, 24)];
  if (intervalNs < 0 || nsOf(seconds, fraction, NSEC_PER_SEC) < 0) return -EINVAL;
  const timer = findTimer(k, task, id);
  if (timer === null) return -EINVAL;
  const group = groupOf(k, task);
  const old = specBytes(getPosixTimer(k, timer));
  const valueNs = BigInt(seconds) * BigInt(NSEC_PER_SEC) + BigInt(fraction);
  setPosixTimer(k, group, timer, valueNs > KTIME_MAX ? KTIME_MAX : valueNs, intervalNs, (bits & TIMER_ABSTIME) !== 0);
  return oldValue === 0 ? 0 : give(k, task, oldValue, old);
}

function sysTimerGettime(k: Kernel, task: Task, [id, value]: [number, Addr]): number {
  const timer = findTimer(k, task, id);
  return timer === null ? -EINVAL : give(k, task, value, specBytes(getPosixTimer(k, timer)));
}

function sysTimerGetoverrun(k: Kernel, task: Task, [id]: [number]): number {
  return findTimer(k, task, id)?.overrun ?? -EINVAL;
}

function sysTimerDelete(k: Kernel, task: Task, [id]: [number]): number {
  const timer = findTimer(k, task, id);
  if (timer === null) return -EINVAL;
  dropPosixTimer(k, groupOf(k, task), timer);
  return 0;
}

const SPACED = "signals come 100 µs apart at least; a shorter period shows as overruns";

export const itimerRows: Rows = {
  getitimer: { x86_64: 36, args: [choice("which", itimers), structOut("curr_value", itimerval)], run: sysGetitimer },
  alarm: { x86_64: 37, args: [uint("seconds")], run: sysAlarm },
  setitimer: {
    x86_64: 38, args: [choice("which", itimers), structIn("new_value", itimerval), structOut("old_value", itimerval)], run: sysSetitimer,
    partial: SPACED,
  },
  timer_create: {
    x86_64: 222, args: [choice("clockid", clockIds), structIn("sevp", sigevent), scalarOut("timerid", "i32")], run: sysTimerCreate,
  },
  timer_settime: {
    x86_64: 223, args: [int("timerid"), flags("flags", timerFlags), structIn("new_value", itimerspec), structOut("old_value", itimerspec)],
    run: sysTimerSettime, partial: SPACED,
  },
  timer_gettime: { x86_64: 224, args: [int("timerid"), structOut("curr_value", itimerspec)], run: sysTimerGettime },
  timer_getoverrun: { x86_64: 225, args: [int("timerid")], run: sysTimerGetoverrun },
  timer_delete: { x86_64: 226, args: [int("timerid")], run: sysTimerDelete },
};
