/** The capability sets of Linux 6.1: 41 capabilities, 0 to CAP_CHECKPOINT_RESTORE. */

export const CAPABILITY_COUNT = 41;
export const ALL_CAPABILITIES = (1n << BigInt(CAPABILITY_COUNT)) - 1n;
