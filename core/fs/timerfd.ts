/** timerfd_create(2): a timer whose expiries are counted and read. */
import { EAGAIN, EFAULT, EINVAL } from "../abi/errno.ts";
import { O_NONBLOCK, O_RDWR } from "../abi/fcntl.ts";
import { POLLIN } from "../abi/epoll.ts";
import { CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_REALTIME, CLOCK_REALTIME_ALARM } from "../abi/time.ts";
import type { Kernel } from "../kernel.ts";
import { putU64 } from "../lib/bytes.ts";
import { copyToUser } from "../mm/usercopy.ts";
import { newWaitQueue, sleepOn, wake, type WaitQueue } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { armTimer, cancelTimer, timerCallback } from "../time/timer.ts";
import { anonFile } from "./anon_inode.ts";
import { fileOf, fileOperations, type OpenFile } from "./file.ts";

interface Timerfd {
  clock: number;
  /** Next or last expiry in kernel time, ns; meaningful while armed or expired. */
  expiresNs: number;
  /** 0 for a single expiry. */
  intervalNs: number;
  /** Id of the timer under way, 0 for none. */
  timer: number;
  /** Expiries that nobody has read. */
  ticks: number;
  /** The timer went off and was not armed again: a periodic one is when somebody looks. */
  expired: boolean;
  settimeFlags: number;
  wait: WaitQueue;
}

/** What is left until the next expiry, 0 when disarmed, and the period; ns. */
export interface TimerSetting {
  valueNs: number;
  intervalNs: number;
}

const timerfdOf = (file: OpenFile): Timerfd => file.data as Timerfd;

export const isTimerfd = (file: OpenFile): boolean => file.ops === "timerfd";

/** A disarmed timer on `clock` as a file; -ENFILE. */
export function createTimerfd(k: Kernel, clock: number, flags: number): OpenFile | number {
  const data: Timerfd = {
    clock, expiresNs: 0, intervalNs: 0, timer: 0, ticks: 0, expired: false, settimeFlags: 0, wait: newWaitQueue(k),
  };
  return anonFile(k, { ops: "timerfd", name: "timerfd", flags: O_RDWR | (flags & O_NONBLOCK), data });
}

/** Later than any kernel that is used: about a month of kernel time. */
const NEVER_NS = Number.MAX_SAFE_INTEGER / 4;

/**
 * Kernel time at which a timer that is set to `valueNs`, from now or on its own clock, goes off. One long past counts from
 * there: a periodic timer tells every period that it missed.
 */
function expiry(k: Kernel, clock: number, valueNs: bigint, absolute: boolean): number {
  let until = valueNs + (absolute ? 0n : BigInt(now(k)));
  if (absolute && (clock === CLOCK_REALTIME || clock === CLOCK_REALTIME_ALARM)) until -= k.state.time.realtimeOffsetNs;
  if (absolute && (clock === CLOCK_BOOTTIME || clock === CLOCK_BOOTTIME_ALARM)) until -= BigInt(k.state.time.suspendedNs);
  return until > NEVER_NS ? NEVER_NS : Number(until);
}

/**
 * Sets the timer: `valueNs` from now, or on its clock when `absolute`; 0 disarms. Answers what was set before.
 * Differs from Linux: a real-time clock that jumps does not move a timer that is under way.
 */
export function setTimerfd(
  k: Kernel, file: OpenFile, { valueNs, intervalNs }: { valueNs: bigint; intervalNs: number }, absolute: boolean, flags: number,
): TimerSetting {
  const timer = timerfdOf(file);
  const before = getTimerfd(k, file);
  if (timer.timer !== 0) cancelTimer(k, timer.timer);
  timer.timer = 0;
  timer.ticks = 0;
  timer.expired = false;
  timer.intervalNs = intervalNs;
  timer.settimeFlags = flags;
  if (valueNs > 0n) arm(k, file, expiry(k, timer.clock, valueNs, absolute));
  return before;
}

/** What timerfd_gettime tells. */
export function getTimerfd(k: Kernel, file: OpenFile): TimerSetting {
  forward(k, file);
  return remaining(k, timerfdOf(file));
}

/** The same without arming anything: a periodic timer that went off is due at its next period. */
function remaining(k: Kernel, { timer, expired, expiresNs, intervalNs }: Timerfd): TimerSetting {
  const periodic = expired && intervalNs > 0;
  if (timer === 0 && !periodic) return { valueNs: 0, intervalNs };
  const left = expiresNs - k.state.time.nowNs;
  return { valueNs: periodic ? intervalNs - ((-left) % intervalNs) : Math.max(1, left), intervalNs };
}

function arm(k: Kernel, file: OpenFile, expiresNs: number): void {
  const timer = timerfdOf(file);
  timer.expiresNs = expiresNs;
  timer.timer = armTimer(k, { expiresNs: Math.max(now(k), expiresNs), callback: "timerfd", arg: file.id });
}

/** A periodic timer that went off: the periods since then count as expiries, and it is armed for the next. */
function forward(k: Kernel, file: OpenFile): void {
  const timer = timerfdOf(file);
  if (!timer.expired || timer.intervalNs === 0) return;
  const periods = Math.floor((now(k) - timer.expiresNs) / timer.intervalNs) + 1;
  timer.ticks += periods - 1;
  timer.expired = false;
  arm(k, file, timer.expiresNs + periods * timer.intervalNs);
}

timerCallback("timerfd", (k, id) => {
  const timer = timerfdOf(fileOf(k, id));
  timer.timer = 0;
  timer.expired = true;
  timer.ticks++;
  wake(k, timer.wait, { key: POLLIN });
});

fileOperations("timerfd", {
  read(k, task, file, buf, count) {
    if (count < 8) return -EINVAL;
    const timer = timerfdOf(file);
    if (timer.ticks === 0) return (file.flags & O_NONBLOCK) !== 0 ? -EAGAIN : sleepOn(timer.wait, { wchan: "timerfd_read" });
    forward(k, file);
    const bytes = new Uint8Array(8);
    putU64(bytes, 0, timer.ticks);
    timer.ticks = 0;
    timer.expired = false;
    return copyToUser(k, task, buf, bytes) < 8 ? -EFAULT : 8;
  },
  poll: (_k, _task, file) => ({ mask: timerfdOf(file).ticks > 0 ? POLLIN : 0, queues: [timerfdOf(file).wait] }),
  release(k, _task, file) {
    if (timerfdOf(file).timer !== 0) cancelTimer(k, timerfdOf(file).timer);
    return 0;
  },
  llseek: (_k, _task, file) => file.pos,
  fdinfo(k, file) {
    const { clock, ticks, settimeFlags } = timerfdOf(file);
    const { valueNs, intervalNs } = remaining(k, timerfdOf(file));
    const pair = (ns: number): string => `(${Math.floor(ns / 1e9)}, ${ns % 1e9})`;
    return `clockid: ${clock}\nticks: ${ticks}\nsettime flags: 0${settimeFlags.toString(8)}\n`
      + `it_value: ${pair(valueNs)}\nit_interval: ${pair(intervalNs)}\n`;
  },
});
