/** What a kernel costs to boot and to keep, and its page faults beside those of the host. */
import { alternated, compiled, node } from "../run.ts";
import { time, times, type Row } from "../table.ts";

export function memory(): Row[] {
  const c = compiled("peers/touch.c");
  try {
    const { boot, ours, host } = alternated({
      boot: () => node("ours/boot.ts", ["--expose-gc"]), ours: () => node("ours/memory.ts", ["--expose-gc"]), host: c.run,
    });
    const row = (what: string, mine: string, aim: string): Row => ({ what, ours: mine, peer: "", ratio: "", aim });
    const faults = (what: string, mine: number, its: number): Row =>
      ({ what: `${what} (${Math.round(1e9 / mine).toLocaleString("en")} a second)`, ours: time(mine), peer: time(its), ratio: times(mine, its), aim: "4×" });
    return [
      row("boot", time(boot.bootMs * 1e6), "0.5 ms"),
      row("an idle kernel with ten processes, heap", `${boot.idleKiB.toFixed(0)} KiB`, "195 KiB"),
      row("its snapshot", `${boot.snapshotKiB.toFixed(0)} KiB`, ""),
      faults("a first store to a page, to the host's", ours.minor, host.minor),
      faults("a store to a page that a child shares, to the host's", ours.cow, host.cow),
      row("host bytes behind a page of zeros", `${ours.zero.toFixed(0)} B`, ""),
      row("host bytes behind a page with one byte", `${ours.byte.toFixed(0)} B`, ""),
      row(`${ours.largePages.toLocaleString("en")} such pages of a machine of 1 GiB`, `${ours.largeMiB.toFixed(0)} MiB`, "300 MB"),
    ];
  } finally {
    c.remove();
  }
}
