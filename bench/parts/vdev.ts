/** A lab's transfer on an emulated machine, in the host's time, beside what its report measured on a real one. */
import { alternated, node } from "../run.ts";
import { times, type Row } from "../table.ts";

/** The master's time for 64 MB by synchronous read and write, ms, in the first lab's report; by mmap it was 439. */
const REPORT_MS = 606.385;

export function vdev(): Row[] {
  const { ours } = alternated({ ours: () => node("ours/vdev.ts") });
  const row = (what: string, mine: number, aim: string): Row =>
    ({ what, ours: `${mine.toFixed(0)} ms`, peer: `${REPORT_MS.toFixed(0)} ms`, ratio: times(mine, REPORT_MS), aim });
  return [
    row("64 MB by read and write of 512 bytes", ours.fcntlMs, "1×"),
    row("64 MB by mmap, beside read and write", ours.mmapMs, "0.5×"),
  ];
}
