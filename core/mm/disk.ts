/** The disk behind swap: one request after another, each of a page. */
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "../sched/cost.ts";
import { waitForIo } from "../sched/io.ts";
import { now } from "../time/clock.ts";

function submit(k: Kernel): void {
  const { mm } = k.state;
  charge(k, costs(k).diskRequestNs);
  mm.diskFreeNs = Math.max(now(k), mm.diskFreeNs) + costs(k).diskPageNs;
}

/** A page is read: the running task goes on when it is there. */
export function readDiskPage(k: Kernel): void {
  submit(k);
  waitForIo(k, k.state.mm.diskFreeNs);
}

/** A page is written; nobody need wait for it. */
export function writeDiskPage(k: Kernel): void {
  submit(k);
}

/** The running task goes on when the disk has done all that was asked of it. */
export function waitForDisk(k: Kernel): void {
  waitForIo(k, k.state.mm.diskFreeNs);
}

export interface DiskStats {
  reads: number;
  writes: number;
  /** Pages that the disk has yet to do. */
  inFlight: number;
  /** What one page takes, ns. */
  pageNs: number;
}

/** What the disk has done since boot, a page a request. */
export function diskStats(k: Kernel): DiskStats {
  const { events, diskFreeNs } = k.state.mm;
  const pageNs = costs(k).diskPageNs;
  const behind = Math.max(0, diskFreeNs - now(k));
  return { reads: events.pswpin, writes: events.pswpout, inFlight: pageNs === 0 ? 0 : Math.ceil(behind / pageNs), pageNs };
}
