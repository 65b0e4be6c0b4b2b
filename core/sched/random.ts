/** The kernel's random numbers: one seeded generator, part of the state (get_random_bytes). */
import { fillBytes, nextU32, seedRng } from "../lib/rng.ts";
import type { Kernel } from "../kernel.ts";

export function randomU32(k: Kernel): number {
  return nextU32(k.state.rng);
}

export function randomBytes(k: Kernel, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  fillBytes(k.state.rng, bytes);
  return bytes;
}

/** The kernel's names for drivers: fills a buffer; a number of 32 bits, and one below `ceil` (get_random_u32, prandom_u32_max). */
export function getRandomBytes(k: Kernel, into: Uint8Array): void {
  fillBytes(k.state.rng, into);
}

export const getRandomU32 = randomU32;
export const prandomU32Max = (k: Kernel, ceil: number): number => Math.floor(randomU32(k) * ceil / 2 ** 32);

/** Starts the generator anew from `seed`, as a fork of a session with a seed of its own does. */
export function reseed(k: Kernel, seed: number): void {
  k.state.rng = seedRng(seed);
  k.state.machine = { ...k.state.machine, seed };
}
