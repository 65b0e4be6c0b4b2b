/** Times as arguments: struct timespec and struct timeval, read with Linux's checks and written from nanoseconds. */
import { EFAULT, EINTR, EINVAL } from "../../abi/errno.ts";
import { itimerspecLayout, itimervalLayout, timespecLayout, timevalLayout } from "../../abi/time.ts";
import type { Kernel } from "../../kernel.ts";
import { getI64, putU64 } from "../../lib/bytes.ts";
import { copyFromUser, copyToUser, type Addr } from "../../mm/usercopy.ts";
import type { Task } from "../../sched/task.ts";
import { hex, structOut, type ArgType } from "../args.ts";
import { structCodec, type Codec } from "../codec.ts";

export const timespec = structCodec("timespec", timespecLayout);
export const timeval = structCodec("timeval", timevalLayout);
export const itimerspec = structCodec("itimerspec", itimerspecLayout);
export const itimerval = structCodec("itimerval", itimervalLayout);

const NS_PER_SEC = 1_000_000_000;
/** KTIME_MAX: longer times are for ever. */
const KTIME_MAX_NS = 2 ** 63;

/** Seconds and a fraction as ns, -EINVAL when one is out of range (timespec64_valid). */
export function nsOf(seconds: number | bigint, fraction: number | bigint, perSecond: number): number {
  if (seconds < 0 || fraction < 0 || fraction >= perSecond) return -EINVAL;
  return Math.min(Number(seconds) * NS_PER_SEC + Number(fraction) * (NS_PER_SEC / perSecond), KTIME_MAX_NS);
}

/** The time at `addr` in ns; -EFAULT, -EINVAL. */
export function readTimespec(k: Kernel, task: Task, addr: Addr): number {
  const bytes = copyFromUser(k, task, addr, timespecLayout.size);
  return typeof bytes === "number" ? -EFAULT : nsOf(getI64(bytes, 0), getI64(bytes, 8), NS_PER_SEC);
}

/** Two pairs of words, as itimerspec and itimerval are: the period and the time to go, ns; -EFAULT, -EINVAL. */
export function readItimer(k: Kernel, task: Task, addr: Addr, perSecond: number): { valueNs: number; intervalNs: number } | number {
  const bytes = copyFromUser(k, task, addr, itimerspecLayout.size);
  if (typeof bytes === "number") return -EFAULT;
  const intervalNs = nsOf(getI64(bytes, 0), getI64(bytes, 8), perSecond);
  const valueNs = nsOf(getI64(bytes, 16), getI64(bytes, 24), perSecond);
  return intervalNs < 0 || valueNs < 0 ? -EINVAL : { valueNs, intervalNs };
}

/** Seconds and a fraction, two words each, of several times in ns. */
export function timeBytes(perSecond: number, ...times: (number | bigint)[]): Uint8Array {
  const bytes = new Uint8Array(16 * times.length);
  times.forEach((ns, at) => {
    const seconds = typeof ns === "bigint" ? Number(ns / 1_000_000_000n) : Math.floor(ns / NS_PER_SEC);
    const rest = typeof ns === "bigint" ? Number(ns % 1_000_000_000n) : ns % NS_PER_SEC;
    putU64(bytes, at * 16, seconds);
    putU64(bytes, at * 16 + 8, Math.floor(rest / (NS_PER_SEC / perSecond)));
  });
  return bytes;
}

/** Writes bytes whole: 0, or -EFAULT. */
export function give(k: Kernel, task: Task, addr: Addr, bytes: Uint8Array): number {
  return copyToUser(k, task, addr, bytes) < bytes.length ? -EFAULT : 0;
}

/** What a sleep leaves when a signal ends it: written and returned with EINTR only. */
export function remainderOut(name: string, codec: Codec): ArgType {
  const plain = structOut(name, codec);
  return {
    ...plain,
    show(register, view) {
      if (register === 0) return "NULL";
      return view.ret === -EINTR ? plain.show(register, view.returning(0)) : hex(register);
    },
    output: (register, view) => (view.ret === -EINTR ? plain.output?.(register, view.returning(0)) : undefined),
  };
}
