/** Fixed-point arithmetic of the load average: 11 bits of fraction (include/linux/sched/loadavg.h). */

export const FSHIFT = 11;
export const FIXED_1 = 1 << FSHIFT;
/** Weights of the old load after 5 seconds, for 1, 5 and 15 minutes. */
export const EXP_1 = 1884;
export const EXP_5 = 2014;
export const EXP_15 = 2037;
/** Jiffies between two samples: 5 seconds and one tick. */
export const loadFreq = (hz: number): number => 5 * hz + 1;

/** One step of the average: `load` decays by `exp` towards `active` (tasks × FIXED_1), rounded up while it rises. */
export function calcLoad(load: number, exp: number, active: number): number {
  // Products pass 32 bits, where shifts would cut them.
  const sum = load * exp + active * (FIXED_1 - exp) + (active >= load ? FIXED_1 - 1 : 0);
  return Math.floor(sum / FIXED_1);
}

/** `x`^`n` for a fraction x of `fractionBits` bits, rounded at each step as Linux does; for FIXED_1-like values below 2^26. */
export function fixedPowerInt(x: number, fractionBits: number, n: number): number {
  const one = 1 << fractionBits;
  const times = (a: number, b: number): number => Math.floor((a * b + one / 2) / one);
  let result = one;
  let power = x;
  for (let left = n; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = times(result, power);
    power = times(power, power);
  }
  return result;
}

/** `n` steps at once, for a time in which nothing changed. */
export const calcLoadN = (load: number, exp: number, active: number, n: number): number =>
  calcLoad(load, fixedPowerInt(exp, FSHIFT, n), active);

/** A load as /proc/loadavg prints it, "0.05": half a hundredth is added, itself cut, then the rest is cut. */
export function formatLoad(load: number): string {
  const rounded = load + Math.floor(FIXED_1 / 200);
  const whole = Math.floor(rounded / FIXED_1);
  const hundredths = Math.floor(((rounded - whole * FIXED_1) * 100) / FIXED_1);
  return `${whole}.${String(hundredths).padStart(2, "0")}`;
}
