/** The clocks of clock_gettime(2): which there are, what they show, and whose CPU time a negative id means. */
import { EINVAL } from "../abi/errno.ts";
import {
  CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME,
  CLOCK_REALTIME_COARSE, CLOCK_TAI, CLOCK_THREAD_CPUTIME_ID,
} from "../abi/time.ts";
import type { Kernel } from "../kernel.ts";
import { taskTimes } from "../sched/cpu_time.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { boottimeNs, now, realtimeNs, tickNs, tickStartNs } from "../time/clock.ts";
import { groupTimes } from "./cputime.ts";

/** Low bits of a negative id: whose time, and which of it; the rest is the pid, inverted. */
const PER_THREAD = 4;
const WHICH = 3;
const USER_ONLY = 1;
/** All time, counted to the nanosecond; the two before it are counted in ticks. */
const FINE = 2;
/** A clock behind a descriptor; none of our devices is one. */
const FILE_CLOCK = 3;
const LOW_BITS = 7;

/** Whether an id is that of somebody's CPU time, be it nobody's. */
export function isCpuClock(clock: number): boolean {
  return clock === CLOCK_PROCESS_CPUTIME_ID || clock === CLOCK_THREAD_CPUTIME_ID || (clock < 0 && (clock & LOW_BITS) !== FILE_CLOCK);
}

/** The id of a CPU clock that names its process or thread in full, so that it means the same to whoever asks; null when it is nobody's. */
export function fullCpuClock(k: Kernel, task: Task, clock: number): number | null {
  if (clock === CLOCK_PROCESS_CPUTIME_ID) return cpuClock(task.tgid, FINE);
  if (clock === CLOCK_THREAD_CPUTIME_ID) return cpuClock(task.tid, FINE | PER_THREAD);
  const which = clock & WHICH;
  if (clock >= 0 || which === FILE_CLOCK) return null;
  const pid = ~(clock >> 3);
  const thread = (clock & PER_THREAD) !== 0;
  if (pid === 0) return cpuClock(thread ? task.tid : task.tgid, clock & LOW_BITS);
  const target = k.state.sched.tasks.get(pid);
  if (target === undefined || (thread ? target.tgid !== task.tgid : target.tid !== target.tgid)) return null;
  return clock;
}

function cpuClock(pid: number, low: number): number {
  return (~pid << 3) | low;
}

/** CPU time that a full id means, ns; null when its process or thread is gone. */
export function cpuClockNs(k: Kernel, clock: number): number | null {
  const target = k.state.sched.tasks.get(~(clock >> 3));
  if (target === undefined) return null;
  const { utimeNs, stimeNs } = (clock & PER_THREAD) !== 0 ? taskTimes(k, target) : groupTimes(k, groupOf(k, target));
  return (clock & WHICH) === USER_ONLY ? utimeNs : utimeNs + stimeNs;
}

/** Whether a full id is the CPU time of this one thread. */
export function isOwnThreadClock(task: Task, clock: number): boolean {
  return (clock & PER_THREAD) !== 0 && ~(clock >> 3) === task.tid;
}

/** What a clock shows, ns; -EINVAL for one that there is not. Clocks that wake a machine need an RTC, which this one has not. */
export function clockNs(k: Kernel, task: Task, clock: number): number | bigint {
  switch (clock) {
    case CLOCK_REALTIME: case CLOCK_TAI: return realtimeNs(k);
    case CLOCK_MONOTONIC: case CLOCK_MONOTONIC_RAW: return now(k);
    case CLOCK_BOOTTIME: return boottimeNs(k);
    case CLOCK_MONOTONIC_COARSE: return tickStartNs(k, now(k));
    case CLOCK_REALTIME_COARSE: return BigInt(tickStartNs(k, now(k))) + k.state.time.realtimeOffsetNs;
    default: {
      const full = fullCpuClock(k, task, clock);
      return (full === null ? null : cpuClockNs(k, full)) ?? -EINVAL;
    }
  }
}

/** How fine a clock is, ns; -EINVAL. */
export function clockResolution(k: Kernel, task: Task, clock: number): number {
  if (clockNs(k, task, clock) === -EINVAL) return -EINVAL;
  const ticked = clock === CLOCK_MONOTONIC_COARSE || clock === CLOCK_REALTIME_COARSE || (clock < 0 && (clock & WHICH) !== FINE);
  return ticked ? Math.round(tickNs(k)) : 1;
}

/** Sets CLOCK_REALTIME; CLOCK_MONOTONIC goes on as it was. */
export function setRealtime(k: Kernel, ns: bigint): void {
  k.state.time.realtimeOffsetNs = ns - BigInt(now(k));
}
