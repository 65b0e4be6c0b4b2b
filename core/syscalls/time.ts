/** Clocks and sleeping: clock_gettime(2), nanosleep(2), gettimeofday(2), times(2). */
import { EFAULT, EINVAL, EOPNOTSUPP, EPERM, ERESTARTNOHAND, ERESTART_RESTARTBLOCK } from "../abi/errno.ts";
import { CAP_SYS_TIME } from "../abi/capability.ts";
import { encodeStruct } from "../abi/layout.ts";
import { USER_HZ } from "../abi/limits.ts";
import { tmsLayout } from "../abi/sysinfo.ts";
import {
  clockIds, CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_TAI, CLOCK_THREAD_CPUTIME_ID, NSEC_PER_SEC, timerFlags, TIMER_ABSTIME, timezoneLayout, USEC_PER_SEC,
} from "../abi/time.ts";
import type { Kernel } from "../kernel.ts";
import { getI32, getI64, putU64 } from "../lib/bytes.ts";
import { copyFromUser, type Addr } from "../mm/usercopy.ts";
import { clockNs, clockResolution, cpuClockNs, fullCpuClock, isCpuClock, isOwnThreadClock, setRealtime } from "../process/clocks.ts";
import { nextLook } from "../process/cpu_timer.ts";
import { groupTimes } from "../process/cputime.ts";
import { capable } from "../sched/cred.ts";
import { enter, steps, type SyscallResult } from "../sched/steps.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { signalPending, sleepUntil } from "../sched/wait_queue.ts";
import { now, realtimeNs } from "../time/clock.ts";
import { jiffies, jiffiesToClockT } from "../time/jiffies.ts";
import { choice, flags, structIn, structOut } from "./args.ts";
import { structCodec } from "./codec.ts";
import { give, nsOf, readTimespec, remainderOut, timeBytes, timespec, timeval } from "./codecs/time.ts";
import type { Rows } from "./row.ts";
import { scalarOut } from "./vectors.ts";

interface SleepLocals {
  /** Absolute kernel time. */
  untilNs: number;
  /** Where what is left goes when a signal ends the sleep; 0 for nowhere. */
  rem: Addr;
  absolute: boolean;
}

const sleepSteps = steps<SleepLocals>("nanosleep", {
  sleep: (k, task, { locals }) => {
    const { untilNs, rem, absolute } = locals;
    const left = untilNs - now(k);
    if (left <= 0) return 0;
    if (!signalPending(task)) return sleepUntil(untilNs, { wchan: "hrtimer_nanosleep" });
    if (absolute) return -ERESTARTNOHAND;
    if (rem !== 0 && give(k, task, rem, timeBytes(NSEC_PER_SEC, left)) !== 0) return -EFAULT;
    task.restartNs = untilNs;
    return -ERESTART_RESTARTBLOCK;
  },
});

function sleep(k: Kernel, task: Task, ns: number, rem: Addr): SyscallResult {
  const untilNs = task.restartNs >= 0 ? task.restartNs : now(k) + ns;
  return enter(sleepSteps, { untilNs, rem, absolute: false });
}

function sysNanosleep(k: Kernel, task: Task, [req, rem]: [Addr, Addr]): SyscallResult {
  const ns = readTimespec(k, task, req);
  return ns < 0 ? ns : sleep(k, task, ns, rem);
}

/** How far the clocks that one may sleep on are ahead of kernel time, ns; null for one that cannot be slept on. */
function sleepOffset(k: Kernel, clock: number): bigint | null {
  if (clock === CLOCK_MONOTONIC) return 0n;
  if (clock === CLOCK_BOOTTIME) return BigInt(k.state.time.suspendedNs);
  return clock === CLOCK_REALTIME || clock === CLOCK_TAI ? k.state.time.realtimeOffsetNs : null;
}

interface CpuSleepLocals {
  /** A full id of a CPU clock, and the time on it at which the sleep ends. */
  clock: number;
  untilNs: number;
  rem: Addr;
  /** What was left at the last look, and how long ago that was. */
  leftNs: number;
  lookNs: number;
}

/** Sleeps until somebody has used so much CPU time; it is looked at tick by tick, ever more rarely while nothing is used. */
const cpuSleepSteps = steps<CpuSleepLocals>("nanosleep.cpu", {
  sleep: (k, task, { locals }) => {
    const left = locals.untilNs - (cpuClockNs(k, locals.clock) ?? Infinity);
    if (left <= 0) return 0;
    if (!signalPending(task)) {
      const look = nextLook(k, left, k.state.machine.cpus, left === locals.leftNs, locals.lookNs);
      locals.leftNs = left;
      locals.lookNs = look.lookNs;
      return sleepUntil(look.atNs, { wchan: "do_cpu_nanosleep" });
    }
    if (locals.rem === NO_REST) return -ERESTARTNOHAND;
    if (locals.rem !== 0 && give(k, task, locals.rem, timeBytes(NSEC_PER_SEC, left)) !== 0) return -EFAULT;
    task.restartNs = locals.untilNs;
    return -ERESTART_RESTARTBLOCK;
  },
});

/** In place of an address: an absolute sleep leaves nothing. */
const NO_REST = -1;

function cpuSleep(k: Kernel, task: Task, clock: number, ns: number, absolute: boolean, remain: Addr): SyscallResult {
  const full = fullCpuClock(k, task, clock);
  if (full === null || isOwnThreadClock(task, full)) return -EINVAL;
  const used = cpuClockNs(k, full) ?? 0;
  const untilNs = absolute ? ns : task.restartNs >= 0 ? task.restartNs : used + ns;
  return enter(cpuSleepSteps, { clock: full, untilNs, rem: absolute ? NO_REST : remain, leftNs: -1, lookNs: 0 });
}

const ALARM_CLOCKS = [CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM];

function sysClockNanosleep(k: Kernel, task: Task, [clock, bits, request, remain]: [number, number, Addr, Addr]): SyscallResult {
  const offset = sleepOffset(k, clock);
  // A thread cannot wait for what only it can do; that is said before the time is read for the plain id, and after for a full one.
  const ofCpu = isCpuClock(clock) && clock !== CLOCK_THREAD_CPUTIME_ID;
  if (offset === null && !ofCpu && !ALARM_CLOCKS.includes(clock)) {
    return clock >= 0 && clockNs(k, task, clock) === -EINVAL ? -EINVAL : -EOPNOTSUPP;
  }
  const ns = readTimespec(k, task, request);
  if (ns < 0) return ns;
  const absolute = (bits & TIMER_ABSTIME) !== 0;
  if (offset === null) return ofCpu ? cpuSleep(k, task, clock, ns, absolute, remain) : -EOPNOTSUPP;
  if (!absolute) return sleep(k, task, ns, remain);
  return enter(sleepSteps, { untilNs: Number(BigInt(Math.floor(ns)) - offset), rem: 0, absolute: true });
}

function sysClockGettime(k: Kernel, task: Task, [clock, tp]: [number, Addr]): number {
  const ns = clockNs(k, task, clock);
  return ns < 0 ? Number(ns) : give(k, task, tp, timeBytes(NSEC_PER_SEC, ns));
}

function sysClockGetres(k: Kernel, task: Task, [clock, res]: [number, Addr]): number {
  const ns = clockResolution(k, task, clock);
  return ns < 0 || res === 0 ? Math.min(ns, 0) : give(k, task, res, timeBytes(NSEC_PER_SEC, ns));
}

/** A time before the machine booted, or centuries ahead, is refused as Linux refuses it. */
function settable(k: Kernel, ns: bigint): boolean {
  return ns >= BigInt(now(k)) && ns < (1n << 63n) - 30n * 365n * 86_400n * 1_000_000_000n;
}

function sysClockSettime(k: Kernel, task: Task, [clock, tp]: [number, Addr]): number {
  if (clock > CLOCK_REALTIME) return -EINVAL;
  const bytes = copyFromUser(k, task, tp, 16);
  if (typeof bytes === "number") return -EFAULT;
  // Whosoever's CPU time a negative id means, nobody sets it.
  if (clock < 0) return clockNs(k, task, clock) === -EINVAL ? -EINVAL : -EPERM;
  const [seconds, fraction] = [getI64(bytes, 0), getI64(bytes, 8)];
  if (nsOf(seconds, fraction, NSEC_PER_SEC) < 0) return -EINVAL;
  return setTime(k, task, BigInt(seconds) * BigInt(NSEC_PER_SEC) + BigInt(fraction));
}

function setTime(k: Kernel, task: Task, ns: bigint): number {
  if (!capable(task, CAP_SYS_TIME)) return -EPERM;
  if (!settable(k, ns)) return -EINVAL;
  setRealtime(k, ns);
  return 0;
}

const TIMEZONE_SIZE = timezoneLayout.size;

function sysGettimeofday(k: Kernel, task: Task, [tv, tz]: [Addr, Addr]): number {
  if (tv !== 0 && give(k, task, tv, timeBytes(USEC_PER_SEC, realtimeNs(k))) !== 0) return -EFAULT;
  return tz === 0 ? 0 : give(k, task, tz, new Uint8Array(TIMEZONE_SIZE));
}

function sysSettimeofday(k: Kernel, task: Task, [tv, tz]: [Addr, Addr]): number {
  let ns: bigint | null = null;
  if (tv !== 0) {
    const bytes = copyFromUser(k, task, tv, 16);
    if (typeof bytes === "number") return -EFAULT;
    const [seconds, micros] = [getI64(bytes, 0), getI64(bytes, 8)];
    if (micros < 0 || micros > USEC_PER_SEC || seconds < 0) return -EINVAL;
    ns = BigInt(seconds) * BigInt(NSEC_PER_SEC) + BigInt(micros) * 1000n;
  }
  if (tz !== 0) {
    const bytes = copyFromUser(k, task, tz, TIMEZONE_SIZE);
    if (typeof bytes === "number") return -EFAULT;
    if (!capable(task, CAP_SYS_TIME)) return -EPERM;
    if (Math.abs(getI32(bytes, 0)) > 15 * 60) return -EINVAL;
  }
  if (ns !== null) return setTime(k, task, ns);
  return capable(task, CAP_SYS_TIME) ? 0 : -EPERM;
}

function sysTime(k: Kernel, task: Task, [tloc]: [Addr]): number {
  const seconds = Number(realtimeNs(k) / BigInt(NSEC_PER_SEC));
  if (tloc === 0) return seconds;
  const bytes = new Uint8Array(8);
  putU64(bytes, 0, seconds);
  return give(k, task, tloc, bytes) === 0 ? seconds : -EFAULT;
}

/** In ticks of USER_HZ, as is what the call answers: the ticks since some moment in the past. */
function sysTimes(k: Kernel, task: Task, [buf]: [Addr]): number {
  const ticks = (ns: number): number => Math.floor(ns / (NSEC_PER_SEC / USER_HZ));
  if (buf !== 0) {
    const group = groupOf(k, task);
    const { utimeNs, stimeNs } = groupTimes(k, group);
    const bytes = encodeStruct(tmsLayout, {
      tms_utime: ticks(utimeNs), tms_stime: ticks(stimeNs), tms_cutime: ticks(group.childUtimeNs), tms_cstime: ticks(group.childStimeNs),
    });
    if (give(k, task, buf, bytes) !== 0) return -EFAULT;
  }
  return jiffiesToClockT(k, jiffies(k));
}

const timezone = structCodec("timezone", timezoneLayout);

export const timeRows: Rows = {
  nanosleep: { x86_64: 35, args: [structIn("req", timespec), remainderOut("rem", timespec)], run: sysNanosleep },
  gettimeofday: { x86_64: 96, args: [structOut("tv", timeval), structOut("tz", timezone)], run: sysGettimeofday },
  times: { x86_64: 100, args: [structOut("buf", structCodec("tms", tmsLayout))], run: sysTimes },
  settimeofday: {
    x86_64: 164, args: [structIn("tv", timeval), structIn("tz", timezone)], run: sysSettimeofday, partial: "the time zone is checked and forgotten",
  },
  time: { x86_64: 201, args: [scalarOut("tloc", "i64")], run: sysTime },
  clock_settime: { x86_64: 227, args: [choice("clockid", clockIds), structIn("tp", timespec)], run: sysClockSettime },
  clock_gettime: { x86_64: 228, args: [choice("clockid", clockIds), structOut("tp", timespec)], run: sysClockGettime },
  clock_getres: { x86_64: 229, args: [choice("clockid", clockIds), structOut("res", timespec)], run: sysClockGetres },
  clock_nanosleep: {
    x86_64: 230,
    args: [choice("clockid", clockIds), flags("flags", timerFlags), structIn("request", timespec), remainderOut("remain", timespec)],
    run: sysClockNanosleep, partial: "setting CLOCK_REALTIME does not move an absolute sleep",
  },
};
