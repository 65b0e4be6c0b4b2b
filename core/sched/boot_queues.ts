/** Wait queues that every kernel has: their ids are the first ones. */

export const LOG_WAIT = 1;
export const MODULE_WAIT = 2;
export const FIRST_FREE_QUEUE = 3;
