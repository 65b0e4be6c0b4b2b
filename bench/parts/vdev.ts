/** A lab's transfer on an emulated machine, in the host's time, beside what its report measured on a real one. */
import { alternated, node } from "../run.ts";
import { times, type Row } from "../table.ts";

/** The master's times for 64 MB, ms, in the first lab's report: synchronous read and write, and mmap. */
const REPORT = { fcntlMs: 606.385, mmapMs: 439.006 };

export function vdev(): Row[] {
  const { ours } = alternated({ ours: () => node("ours/vdev.ts") });
  const row = (what: string, mine: number, its: number): Row =>
    ({ what, ours: `${mine.toFixed(0)} ms`, peer: `${its.toFixed(0)} ms`, ratio: times(mine, its), aim: "" });
  return [
    row("64 MB by read and write of 512 bytes", ours.fcntlMs, REPORT.fcntlMs),
    row("64 MB by mmap", ours.mmapMs, REPORT.mmapMs),
  ];
}
