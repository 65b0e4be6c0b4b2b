/** Timers and context switches beside Node's own loop, and beside two threads of the host that pass a futex to and fro. */
import { alternated, compiled, node } from "../run.ts";
import { time, times, type Row } from "../table.ts";

export function sched(): Row[] {
  const c = compiled("peers/futex.c");
  try {
    const { ours, loop, futex } = alternated({ ours: () => node("ours/sched.ts"), loop: () => node("peers/immediate.ts"), futex: c.run });
    const row = (what: string, mine: number, its: number): Row =>
      ({ what: `${what} (${Math.round(1e9 / mine).toLocaleString("en")} a second)`, ours: time(mine), peer: time(its), ratio: times(mine, its), aim: "" });
    return [
      row("an exact timer armed and fired, to setImmediate", ours.hrtimer, loop.immediate),
      row("a kernel timer armed and fired, to setImmediate", ours.timer, loop.immediate),
      row("a context switch on one CPU, to a futex in C", ours.together, futex.together),
      row("the same between two CPUs", ours.apart, futex.anywhere),
      row("the same, to setImmediate", ours.together, loop.immediate),
      row("a switch that the tick forces, to a futex in C", ours.preempted, futex.together),
    ];
  } finally {
    c.remove();
  }
}
