/** Jiffies: the kernel's own count of ticks, which starts 300 s before its 32-bit wrap, and times in it (include/linux/jiffies.h). */
import { USER_HZ } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { NS_PER_SEC, ticks, tickTimeNs } from "./clock.ts";

/** What jiffies shows at boot: -300 s as 32 bits, widened, so that whoever keeps only those bits sees them wrap after five minutes. */
export function initialJiffies(hz: number): number {
  return 2 ** 32 - 300 * hz;
}

/** The kernel's jiffies of the running CPU. */
export function jiffies(k: Kernel): number {
  return initialJiffies(k.state.machine.hz) + ticks(k);
}

/** Kernel time at which jiffies becomes `at`, ns. */
export function jiffyNs(k: Kernel, at: number): number {
  return tickTimeNs(k, at - initialJiffies(k.state.machine.hz));
}

export const timeAfter = (a: number, b: number): boolean => a > b;
export const timeBefore = (a: number, b: number): boolean => a < b;
export const timeAfterEq = (a: number, b: number): boolean => a >= b;
export const timeBeforeEq = (a: number, b: number): boolean => a <= b;
export const timeInRange = (a: number, b: number, c: number): boolean => a >= b && a <= c;

/** Of the low 32 bits alone, as in an `u32` stamp: right as long as the two lie less than 2^31 apart, across the wrap too. */
export const timeAfter32 = (a: number, b: number): boolean => ((b | 0) - (a | 0) | 0) < 0;
export const timeBefore32 = (a: number, b: number): boolean => timeAfter32(b, a);

/** No timeout at all. Linux has LONG_MAX, which a number cannot hold. */
export const MAX_SCHEDULE_TIMEOUT = Number.MAX_SAFE_INTEGER;
/** The longest timeout in jiffies, about half of that; a longer one is this. */
export const MAX_JIFFY_OFFSET = 2 ** 52 - 2;

const MS_PER_SEC = 1000;
const US_PER_SEC = 1_000_000;

/** Rounds up; a negative time is endless, as in Linux. */
function toJiffies(k: Kernel, count: number, perSecond: number): number {
  if (count < 0) return MAX_JIFFY_OFFSET;
  const seconds = Math.floor(count / perSecond);
  const { hz } = k.state.machine;
  return Math.min(seconds * hz + Math.ceil(((count - seconds * perSecond) * hz) / perSecond), MAX_JIFFY_OFFSET);
}

/** An `unsigned int` of milliseconds; one with its top bit set is endless. */
export const msecsToJiffies = (k: Kernel, ms: number): number => toJiffies(k, ms | 0, MS_PER_SEC);

/** An `unsigned int` of microseconds; more than the longest timeout in them is endless. */
export const usecsToJiffies = (k: Kernel, us: number): number => toJiffies(k, us, US_PER_SEC);

/** Rounds down, unlike its coarser fellows. */
export function nsecsToJiffies(k: Kernel, ns: number): number {
  const seconds = Math.floor(ns / NS_PER_SEC);
  const { hz } = k.state.machine;
  return seconds * hz + Math.floor(((ns - seconds * NS_PER_SEC) * hz) / NS_PER_SEC);
}

function fromJiffies(k: Kernel, count: number, perSecond: number): number {
  const { hz } = k.state.machine;
  const seconds = Math.floor(count / hz);
  return seconds * perSecond + ((count - seconds * hz) * perSecond) / hz;
}

/** Rounds up where a jiffy is no whole number of milliseconds. */
export const jiffiesToMsecs = (k: Kernel, count: number): number => Math.ceil(fromJiffies(k, count, MS_PER_SEC));
/** Rounds down where a jiffy is no whole number of microseconds. */
export const jiffiesToUsecs = (k: Kernel, count: number): number => Math.floor(fromJiffies(k, count, US_PER_SEC));
export const jiffiesToNsecs = (k: Kernel, count: number): number => Math.floor(fromJiffies(k, count, NS_PER_SEC));
/** In ticks of USER_HZ, as files and times(2) show them. */
export const jiffiesToClockT = (k: Kernel, count: number): number => Math.floor(fromJiffies(k, count, USER_HZ));

/** CPUs round to whole seconds each by so much later than the one before, so that they do not all wake at once. */
const SKEW_JIFFIES = 3;

/**
 * To a whole second: down when it is in the first quarter of one and `up` is not asked for. A result that is not in the future
 * leaves the time as it was (round_jiffies_common).
 */
function roundCommon(k: Kernel, at: number, cpu: number, up: boolean): number {
  const { hz } = k.state.machine;
  const skewed = at + cpu * SKEW_JIFFIES;
  const rest = skewed % hz;
  const rounded = (rest < Math.floor(hz / 4) && !up ? skewed - rest : skewed - rest + hz) - cpu * SKEW_JIFFIES;
  return rounded > jiffies(k) ? rounded : at;
}

export const roundJiffies = (k: Kernel, at: number, cpu = k.turn.cpu): number => roundCommon(k, at, cpu, false);
export const roundJiffiesUp = (k: Kernel, at: number, cpu = k.turn.cpu): number => roundCommon(k, at, cpu, true);

/** Of a time from now on. */
export function roundJiffiesRelative(k: Kernel, count: number, cpu = k.turn.cpu): number {
  const from = jiffies(k);
  return roundCommon(k, count + from, cpu, false) - from;
}

export function roundJiffiesUpRelative(k: Kernel, count: number, cpu = k.turn.cpu): number {
  const from = jiffies(k);
  return roundCommon(k, count + from, cpu, true) - from;
}
