/** Clocks and timers: their numbers and the structures that carry times. */
import type { ChoiceTable, FlagTable } from "./flags.ts";
import { layout } from "./layout.ts";

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_PROCESS_CPUTIME_ID = 2;
export const CLOCK_THREAD_CPUTIME_ID = 3;
export const CLOCK_MONOTONIC_RAW = 4;
export const CLOCK_REALTIME_COARSE = 5;
export const CLOCK_MONOTONIC_COARSE = 6;
export const CLOCK_BOOTTIME = 7;
export const CLOCK_REALTIME_ALARM = 8;
export const CLOCK_BOOTTIME_ALARM = 9;
export const CLOCK_SGI_CYCLE = 10;
export const CLOCK_TAI = 11;
export const TIMER_ABSTIME = 1;
export const ITIMER_REAL = 0;
export const ITIMER_VIRTUAL = 1;
export const ITIMER_PROF = 2;
export const TFD_NONBLOCK = 0o4000;
export const TFD_CLOEXEC = 0o2000000;
export const TFD_TIMER_ABSTIME = 0x1;
export const TFD_TIMER_CANCEL_ON_SET = 0x2;

export const NSEC_PER_SEC = 1_000_000_000;
export const NSEC_PER_MSEC = 1_000_000;
export const NSEC_PER_USEC = 1_000;
export const USEC_PER_SEC = 1_000_000;

export const clockIds: ChoiceTable = {
  prefix: "CLOCK_",
  values: {
    CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
    CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM, CLOCK_SGI_CYCLE,
    CLOCK_TAI,
  },
};
/** clock_nanosleep(2), timer_settime(2) */
export const timerFlags: FlagTable = { prefix: "TIMER_", flags: { TIMER_ABSTIME } };
export const itimers: ChoiceTable = { prefix: "ITIMER_", values: { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF } };
/** timerfd_create(2) and timerfd_settime(2) */
export const timerfdFlags: FlagTable = {
  prefix: "TFD_",
  flags: { TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET, TFD_CLOEXEC, TFD_NONBLOCK },
};

export const timespecLayout = layout(16, { tv_sec: [0, "i64"], tv_nsec: [8, "i64"] });
export const timevalLayout = layout(16, { tv_sec: [0, "i64"], tv_usec: [8, "i64"] });
export const timezoneLayout = layout(8, { tz_minuteswest: [0, "i32"], tz_dsttime: [4, "i32"] });
/** timerfd_settime(2), timer_settime(2) */
export const itimerspecLayout = layout(32, { it_interval: [0, timespecLayout], it_value: [16, timespecLayout] });
/** setitimer(2) */
export const itimervalLayout = layout(32, { it_interval: [0, timevalLayout], it_value: [16, timevalLayout] });

export const UTIME_NOW = 0x3fffffff;
export const UTIME_OMIT = 0x3ffffffe;
