/** Time stamps of files. */
import type { Kernel } from "../kernel.ts";
import { now, tickStartNs } from "../time/clock.ts";
import type { Inode } from "./inode.ts";

// The last answer: of many calls in one tick only the first makes bigints.
let lastNs = -1;
let offsetNs = 0n;
let answer = 0n;

/** The time that a changed file is stamped with: the real time at the last tick, ns since 1970 (current_time). */
export function currentTime(k: Kernel): bigint {
  const startNs = tickStartNs(k, now(k));
  const { realtimeOffsetNs } = k.state.time;
  if (startNs !== lastNs || realtimeOffsetNs !== offsetNs) {
    lastNs = startNs;
    offsetNs = realtimeOffsetNs;
    answer = BigInt(startNs) + realtimeOffsetNs;
  }
  return answer;
}

const DAY_NS = 86_400_000_000_000n;

/**
 * A file was read: its access time moves when it is not after the last change, or a day old (relatime).
 * Differs from Linux: every mount is relatime, the root too.
 */
export function fileAccessed(k: Kernel, inode: Inode): void {
  const time = currentTime(k);
  if (inode.atimeNs === time) return;
  if (inode.atimeNs > inode.mtimeNs && inode.atimeNs > inode.ctimeNs && time - inode.atimeNs < DAY_NS) return;
  inode.atimeNs = time;
}

/** A file's content changed. */
export function fileModified(k: Kernel, inode: Inode): void {
  const time = currentTime(k);
  inode.mtimeNs = time;
  inode.ctimeNs = time;
}
