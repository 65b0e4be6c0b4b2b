/** Where kernel time comes from: host time moves a real clock, and a timer asks for the next kernel timer to be fired. */
import { performance } from "node:perf_hooks";
import { nextTimerNs } from "./core.ts";
import type { Live } from "./session.ts";

/** setTimeout takes no more. */
const MAX_TIMEOUT_MS = 0x7fff_ffff;

export function hostNs(): number {
  return Math.round(performance.now() * 1e6);
}

/** The kernel time of an input that comes now. */
export function timeOfInput(live: Live, host: number): number {
  // While a move is under way, `atNs` is where it goes.
  return live.clockMode === "real" ? Math.max(live.nowNs, live.atNs) + Math.max(0, host - live.hostNs) : live.nowNs;
}

/** Sees to it that `due` is called when the next timer of a real clock is due; an earlier appointment stands. */
export function armTimer(live: Live, due: () => void): void {
  if (live.clockMode !== "real") return;
  const next = nextTimerNs(live.kernel);
  if (next === null) return;
  const atNs = live.hostNs + Math.max(0, next - live.nowNs);
  if (live.timer !== null) {
    if (live.timerAtNs <= atNs) return;
    clearTimeout(live.timer);
  }
  const inMs = Math.min(MAX_TIMEOUT_MS, Math.max(1, Math.ceil((atNs - hostNs()) / 1e6)));
  live.timerAtNs = atNs;
  live.timer = setTimeout(() => {
    live.timer = null;
    due();
  }, inMs);
  live.timer.unref();
}

export function disarmTimer(live: Live): void {
  if (live.timer !== null) clearTimeout(live.timer);
  live.timer = null;
}
