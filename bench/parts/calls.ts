/** System calls of the core beside raw system calls of the host, made in a loop of C. */
import { alternated, compiled, node } from "../run.ts";
import { time, times, type Row } from "../table.ts";

export function calls(): Row[] {
  const c = compiled("peers/syscalls.c");
  try {
    const { ours, peer } = alternated({ ours: () => node("ours/calls.ts"), peer: c.run });
    const row = (what: string, mine: number, its: number, aim = ""): Row =>
      ({ what, ours: time(mine), peer: time(its), ratio: times(mine, its), aim });
    return [
      row("getpid between entry and return", ours.getpidBare, peer.getpid, "100 ns"),
      row("getpid, one of a batch of 1,000", ours.getpidBatch, peer.getpid),
      row("getpid, an input of its own", ours.getpidSingle, peer.getpid),
      row("write of 1 byte to /dev/null, batch", ours.devNullBatch, peer.devNull),
      row("4 KiB through a pipe and back, batch", ours.pipeBatch, peer.pipe),
    ];
  } finally {
    c.remove();
  }
}
