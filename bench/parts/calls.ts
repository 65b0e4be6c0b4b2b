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
      row("getpid by registers", ours.getpidBare, peer.getpid, "1×"),
      row("getpid, one of a batch of 1,000", ours.getpidBatch, peer.getpid),
      row("getpid, an input of its own", ours.getpidSingle, peer.getpid),
      row("1 byte to /dev/null by registers", ours.devNullBare, peer.devNull),
      row("1 byte to /dev/null, one of a batch", ours.devNullBatch, peer.devNull),
      row("4 KiB through a pipe and back by registers", ours.pipeBare, peer.pipe),
      row("4 KiB through a pipe and back as base64", ours.pipeBatch, peer.pipe),
    ];
  } finally {
    c.remove();
  }
}
