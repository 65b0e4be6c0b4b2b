/** What a kernel costs to boot and to keep. */
import { alternated, node } from "../run.ts";
import { time, type Row } from "../table.ts";

export function memory(): Row[] {
  const { ours } = alternated({ ours: () => node("ours/boot.ts", ["--expose-gc"]) });
  const row = (what: string, mine: string, aim: string): Row => ({ what, ours: mine, peer: "", ratio: "", aim });
  return [
    row("boot", time(ours.bootMs * 1e6), "0.5 ms"),
    row("an idle kernel with ten processes, heap", `${ours.idleKiB.toFixed(0)} KiB`, "195 KiB"),
    row("its snapshot", `${ours.snapshotKiB.toFixed(0)} KiB`, ""),
  ];
}
