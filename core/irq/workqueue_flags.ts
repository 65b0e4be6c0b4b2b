/** Flags and limits of work queues (include/linux/workqueue.h). */

export const WQ_UNBOUND = 1 << 1;
export const WQ_FREEZABLE = 1 << 2;
export const WQ_MEM_RECLAIM = 1 << 3;
export const WQ_HIGHPRI = 1 << 4;
export const WQ_CPU_INTENSIVE = 1 << 5;
export const WQ_SYSFS = 1 << 6;
export const WQ_POWER_EFFICIENT = 1 << 7;
export const WQ_ORDERED = 1 << 17;
export const WQ_LEGACY = 1 << 18;
export const WQ_ORDERED_EXPLICIT = 1 << 19;

/** Items of a queue that may be under way at a time, for each CPU: at most, and when nothing is said. */
export const WQ_MAX_ACTIVE = 512;
export const WQ_DFL_ACTIVE = WQ_MAX_ACTIVE / 2;
/** Bytes of a name, its NUL included. */
export const WQ_NAME_LEN = 24;
