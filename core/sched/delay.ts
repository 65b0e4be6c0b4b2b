/** Delays that keep the CPU (linux/delay.h): for moments in which the code may not sleep. */
import type { Kernel } from "../kernel.ts";
import { charge } from "./cost.ts";

const NS_PER_US = 1000;
const NS_PER_MS = 1_000_000;

/** Spins for `ns`. */
export const ndelay = (k: Kernel, ns: number): void => charge(k, ns);
export const udelay = (k: Kernel, us: number): void => charge(k, us * NS_PER_US);
/** Others on the CPU wait as long; msleep is better wherever the code may sleep. */
export const mdelay = (k: Kernel, ms: number): void => charge(k, ms * NS_PER_MS);
