/** eventfd(2), signalfd(2) and timerfd_create(2). */
import { EFAULT, EINVAL, EPERM } from "../abi/errno.ts";
import { CAP_WAKE_ALARM } from "../abi/capability.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE, eventfdFlags } from "../abi/eventfd.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import { SFD_CLOEXEC, SFD_NONBLOCK, signalfdFlags } from "../abi/signalfd.ts";
import {
  CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, clockIds, itimerspecLayout,
  NSEC_PER_SEC, TFD_CLOEXEC, TFD_NONBLOCK, TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET, timerfdFlags,
} from "../abi/time.ts";
import { createEventfd } from "../fs/eventfd.ts";
import { fput, type Addr, type OpenFile } from "../fs/file.ts";
import { createSignalfd, isSignalfd, setSignalfd } from "../fs/signalfd.ts";
import { createTimerfd, getTimerfd, isTimerfd, setTimerfd, type TimerSetting } from "../fs/timerfd.ts";
import { fdInstall, fget } from "../fs/fd_table.ts";
import type { Kernel } from "../kernel.ts";
import { getU64 } from "../lib/bytes.ts";
import { copyFromUser, copyToUser } from "../mm/usercopy.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { choice, fd, fdNumber, flags, structIn, structOut, uint } from "./args.ts";
import { structCodec } from "./codec.ts";
import { sigsetIn, sigsetSize } from "./file_args.ts";
import type { Rows } from "./row.ts";

type File = OpenFile | number;

/** The lowest descriptor for a fresh file, or the errno that made it none. */
export function installNew(k: Kernel, task: Task, file: File, cloexec: boolean): number {
  if (typeof file === "number") return file;
  const fd = fdInstall(k, task, file, { cloexec });
  if (fd < 0) fput(k, file);
  return fd;
}

function sysEventfd2(k: Kernel, task: Task, [initval, how]: [number, number]): number {
  if ((how & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) !== 0) return -EINVAL;
  return installNew(k, task, createEventfd(k, initval, how), (how & EFD_CLOEXEC) !== 0);
}

function sysSignalfd4(k: Kernel, task: Task, [fdnum, mask, length, how]: [number, Addr, number | bigint, number]): number {
  if (length !== 8) return -EINVAL;
  const bytes = copyFromUser(k, task, mask, 8);
  if (typeof bytes === "number") return -EFAULT;
  if ((how & ~(SFD_CLOEXEC | SFD_NONBLOCK)) !== 0) return -EINVAL;
  const set = BigInt(getU64(bytes, 0));
  if (fdnum === -1) return installNew(k, task, createSignalfd(k, set, how), (how & SFD_CLOEXEC) !== 0);
  const file = fget(k, task, fdnum);
  if (typeof file === "number") return file;
  if (!isSignalfd(file)) return -EINVAL;
  setSignalfd(k, file, set);
  return fdnum;
}

const timerClocks = [CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM];

function sysTimerfdCreate(k: Kernel, task: Task, [clock, how]: [number, number]): number {
  if ((how & ~(TFD_CLOEXEC | TFD_NONBLOCK)) !== 0 || !timerClocks.includes(clock)) return -EINVAL;
  if ((clock === CLOCK_REALTIME_ALARM || clock === CLOCK_BOOTTIME_ALARM) && !capable(task, CAP_WAKE_ALARM)) return -EPERM;
  return installNew(k, task, createTimerfd(k, clock, how), (how & TFD_CLOEXEC) !== 0);
}

/** A time in ns; null when it is none (negative, or a thousand million ns and more). */
function toNs({ tv_sec, tv_nsec }: { tv_sec: number | bigint; tv_nsec: number | bigint }): bigint | null {
  if (tv_sec < 0 || tv_nsec < 0 || tv_nsec >= NSEC_PER_SEC) return null;
  return BigInt(tv_sec) * BigInt(NSEC_PER_SEC) + BigInt(tv_nsec);
}

function encodeSetting({ valueNs, intervalNs }: TimerSetting): Uint8Array {
  const timespec = (ns: number): { tv_sec: number; tv_nsec: number } => ({ tv_sec: Math.floor(ns / NSEC_PER_SEC), tv_nsec: ns % NSEC_PER_SEC });
  return encodeStruct(itimerspecLayout, { it_interval: timespec(intervalNs), it_value: timespec(valueNs) });
}

function sysTimerfdSettime(k: Kernel, task: Task, [file, how, value, old]: [File, number, Addr, Addr]): number {
  const bytes = copyFromUser(k, task, value, itimerspecLayout.size);
  if (typeof bytes === "number") return -EFAULT;
  const { it_interval, it_value } = decodeStruct(itimerspecLayout, bytes);
  const intervalNs = toNs(it_interval);
  const valueNs = toNs(it_value);
  if ((how & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0 || intervalNs === null || valueNs === null) return -EINVAL;
  if (typeof file === "number") return file;
  if (!isTimerfd(file)) return -EINVAL;
  // A period beyond 2^53 ns is as good as none.
  const next = { valueNs, intervalNs: Number(intervalNs > 0x1f_ffff_ffff_ffffn ? 0n : intervalNs) };
  const before = setTimerfd(k, file, next, (how & TFD_TIMER_ABSTIME) !== 0, how);
  return old !== 0 && copyToUser(k, task, old, encodeSetting(before)) < itimerspecLayout.size ? -EFAULT : 0;
}

function sysTimerfdGettime(k: Kernel, task: Task, [file, current]: [File, Addr]): number {
  if (typeof file === "number") return file;
  if (!isTimerfd(file)) return -EINVAL;
  return copyToUser(k, task, current, encodeSetting(getTimerfd(k, file))) < itimerspecLayout.size ? -EFAULT : 0;
}

const itimerspec = structCodec("itimerspec", itimerspecLayout);

export const eventfdRows: Rows = {
  eventfd: { x86_64: 284, args: [uint("initval")], run: (k, task, [initval]: [number]) => sysEventfd2(k, task, [initval, 0]) },
  eventfd2: { x86_64: 290, args: [uint("initval"), flags("flags", eventfdFlags)], run: sysEventfd2 },
  signalfd: {
    x86_64: 282, args: [fdNumber("fd", -1), sigsetIn("mask"), sigsetSize("sizemask")],
    run: (k, task, [fdnum, mask, length]: [number, Addr, number | bigint]) => sysSignalfd4(k, task, [fdnum, mask, length, 0]),
  },
  signalfd4: {
    x86_64: 289, args: [fdNumber("fd", -1), sigsetIn("mask"), sigsetSize("sizemask"), flags("flags", signalfdFlags)], run: sysSignalfd4,
  },
  timerfd_create: { x86_64: 283, args: [choice("clockid", clockIds), flags("flags", timerfdFlags)], run: sysTimerfdCreate },
  timerfd_settime: {
    x86_64: 286, args: [fd("fd"), flags("flags", timerfdFlags), structIn("new_value", itimerspec), structOut("old_value", itimerspec)],
    run: sysTimerfdSettime,
  },
  timerfd_gettime: { x86_64: 287, args: [fd("fd"), structOut("curr_value", itimerspec)], run: sysTimerfdGettime },
};
