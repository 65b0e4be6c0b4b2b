/** The disk as /proc and /sys tell of it: a partition for swap, or nothing (block/genhd.c). */
import { MAJOR, MINOR, VDA } from "../abi/dev_t.ts";
import type { Kernel } from "../kernel.ts";
import { diskStats } from "../mm/disk.ts";

const NS_PER_MS = 1_000_000;
const SECTORS_PER_PAGE = 8;

export const DISK_NAME = "vda";

export function hasDisk({ state: { machine } }: Kernel): boolean {
  return machine.swapMiB > 0;
}

/** Its size in blocks of 1 KiB. */
function diskBlocks({ state: { machine } }: Kernel): number {
  return machine.swapMiB * 1024;
}

/** Its size in sectors of 512 bytes. */
export function diskSectors(k: Kernel): number {
  return diskBlocks(k) * 2;
}

/**
 * Requests, merges, sectors and ms of reads and of writes; in flight, ms at work, ms of all; then discards and flushes, of which
 * there are none. Differs from Linux: a request's time is what the disk had to do with it, without its wait in the line.
 */
export function diskCounts(k: Kernel): number[] {
  const { reads, writes, inFlight, pageNs } = diskStats(k);
  const ms = (requests: number): number => Math.floor((requests * pageNs) / NS_PER_MS);
  const all = ms(reads + writes);
  return [
    reads, 0, reads * SECTORS_PER_PAGE, ms(reads), writes, 0, writes * SECTORS_PER_PAGE, ms(writes), inFlight, all, ms(reads) + ms(writes),
    0, 0, 0, 0, 0, 0,
  ];
}

/** /proc/partitions */
export function partitionsText(k: Kernel): string {
  if (!hasDisk(k)) return "";
  return `major minor  #blocks  name\n\n${String(MAJOR(VDA)).padStart(4)}  ${String(MINOR(VDA)).padStart(7)} ${String(diskBlocks(k)).padStart(10)} ${DISK_NAME}\n`;
}

/** /proc/diskstats */
export function diskstatsText(k: Kernel): string {
  return hasDisk(k) ? `${String(MAJOR(VDA)).padStart(4)} ${String(MINOR(VDA)).padStart(7)} ${DISK_NAME} ${diskCounts(k).join(" ")}\n` : "";
}
