/** The clocks of clock_gettime(2): which there are, what they show, and whose CPU time a negative id means. */
import { EINVAL } from "../abi/errno.ts";
import {
  CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME,
  CLOCK_REALTIME_COARSE, CLOCK_TAI, CLOCK_THREAD_CPUTIME_ID,
} from "../abi/time.ts";
import type { Kernel } from "../kernel.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { boottimeNs, now, realtimeNs, tickNs } from "../time/clock.ts";
import { groupTimes, type CpuTimes } from "./cputime.ts";

/** Low bits of a negative id: whose time, and which of it; the rest is the pid, inverted. */
const PER_THREAD = 4;
const CLOCK_MASK = 3;
const USER_ONLY = 1;
const FINE = 2;
const FILE_CLOCK = 3;

/** Whose CPU time a clock id names; null when it names no such clock, or nobody. */
export function cpuClockTimes(k: Kernel, task: Task, clock: number): { times: CpuTimes; userOnly: boolean } | null {
  if (clock === CLOCK_PROCESS_CPUTIME_ID) return { times: groupTimes(k, groupOf(k, task)), userOnly: false };
  if (clock === CLOCK_THREAD_CPUTIME_ID) return { times: task, userOnly: false };
  if (clock >= 0 || (clock & CLOCK_MASK) === FILE_CLOCK) return null;
  const pid = ~(clock >> 3);
  const target = pid === 0 ? task : k.state.sched.tasks.get(pid);
  if (target === undefined) return null;
  const userOnly = (clock & CLOCK_MASK) === USER_ONLY;
  if ((clock & PER_THREAD) !== 0) return target.tgid === task.tgid ? { times: target, userOnly } : null;
  if (target.tid !== target.tgid && pid !== 0) return null;
  return { times: groupTimes(k, groupOf(k, target)), userOnly };
}

/** What a clock shows, ns; -EINVAL for one that there is not. Clocks that wake a machine need an RTC, which this one has not. */
export function clockNs(k: Kernel, task: Task, clock: number): number | bigint {
  switch (clock) {
    case CLOCK_REALTIME: case CLOCK_TAI: return realtimeNs(k);
    case CLOCK_MONOTONIC: case CLOCK_MONOTONIC_RAW: return now(k);
    case CLOCK_BOOTTIME: return boottimeNs(k);
    case CLOCK_MONOTONIC_COARSE: return now(k) - (now(k) % tickNs(k));
    case CLOCK_REALTIME_COARSE: return realtimeNs(k) - BigInt(now(k) % tickNs(k));
    default: {
      const found = cpuClockTimes(k, task, clock);
      if (found === null) return -EINVAL;
      return found.userOnly ? found.times.utimeNs : found.times.utimeNs + found.times.stimeNs;
    }
  }
}

/** How fine a clock is, ns; -EINVAL. */
export function clockResolution(k: Kernel, task: Task, clock: number): number {
  const ticked = clock < 0 && (clock & CLOCK_MASK) < FINE;
  if (clock === CLOCK_MONOTONIC_COARSE || clock === CLOCK_REALTIME_COARSE) return tickNs(k);
  const shown = clockNs(k, task, clock);
  if (shown === -EINVAL) return -EINVAL;
  return ticked ? tickNs(k) : 1;
}

/** Sets CLOCK_REALTIME; CLOCK_MONOTONIC goes on as it was. */
export function setRealtime(k: Kernel, ns: bigint): void {
  k.state.time.realtimeOffsetNs = ns - BigInt(now(k));
}
