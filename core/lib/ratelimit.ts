/** Rate-limited messages: so many in so many jiffies, then a count of those that were left out (lib/ratelimit.c). */

export interface Ratelimit {
  intervalJiffies: number;
  burst: number;
  /** The jiffy at which the interval began, -1 before the first message. */
  begin: number;
  printed: number;
  missed: number;
}

/** DEFAULT_RATELIMIT_INTERVAL and DEFAULT_RATELIMIT_BURST. */
export function newRatelimit(hz: number, { seconds = 5, burst = 10 } = {}): Ratelimit {
  return { intervalJiffies: seconds * hz, burst, begin: -1, printed: 0, missed: 0 };
}

/** Whether a message may be said at jiffy `now`; `suppressed` were left out before the interval that begins with it. */
export function ratelimitOk(state: Ratelimit, now: number): { ok: boolean; suppressed: number } {
  let suppressed = 0;
  if (state.begin < 0) state.begin = now;
  if (now > state.begin + state.intervalJiffies) {
    suppressed = state.missed;
    state.begin = now;
    state.printed = state.missed = 0;
  }
  if (state.printed < state.burst) {
    state.printed++;
    return { ok: true, suppressed };
  }
  state.missed++;
  return { ok: false, suppressed };
}
