/** Flags of eventfd2(2). */
import type { FlagTable } from "./flags.ts";

export const EFD_SEMAPHORE = 0o1;
export const EFD_NONBLOCK = 0o4000;
export const EFD_CLOEXEC = 0o2000000;

export const eventfdFlags: FlagTable = { prefix: "EFD_", flags: { EFD_SEMAPHORE, EFD_CLOEXEC, EFD_NONBLOCK } };
