/** Time stamps of files. */
import type { Kernel } from "../kernel.ts";
import { now, tickNs } from "../time/clock.ts";
import type { Inode } from "./inode.ts";

/** The time that a changed file is stamped with: the real time at the last tick, ns since 1970 (current_time). */
export function currentTime(k: Kernel): bigint {
  const tick = tickNs(k);
  return BigInt(Math.floor(now(k) / tick) * tick) + k.state.time.realtimeOffsetNs;
}

const DAY_NS = 86_400_000_000_000n;

/**
 * A file was read: its access time moves when it is not after the last change, or a day old (relatime).
 * Differs from Linux: every mount is relatime, the root too.
 */
export function fileAccessed(k: Kernel, inode: Inode): void {
  if (inode.atimeNs > inode.mtimeNs && inode.atimeNs > inode.ctimeNs && currentTime(k) - inode.atimeNs < DAY_NS) return;
  inode.atimeNs = currentTime(k);
}

/** A file's content changed. */
export function fileModified(k: Kernel, inode: Inode): void {
  const time = currentTime(k);
  inode.mtimeNs = time;
  inode.ctimeNs = time;
}
