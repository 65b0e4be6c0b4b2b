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

/** Starts the generator anew from `seed`, as a fork of a session with a seed of its own does. */
export function reseed(k: Kernel, seed: number): void {
  k.state.rng = seedRng(seed);
  k.state.machine = { ...k.state.machine, seed };
}
