/** Flags of getrandom(2). */
import type { FlagTable } from "./flags.ts";

export const GRND_NONBLOCK = 0x1;
export const GRND_RANDOM = 0x2;
export const GRND_INSECURE = 0x4;

export const grndFlags: FlagTable = { prefix: "GRND_", flags: { GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE } };
