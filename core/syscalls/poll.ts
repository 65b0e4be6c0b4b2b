/** poll(2), select(2) and their forms with a signal mask. */
import { EBADF, EFAULT, EINVAL, ENOMEM, ERESTARTNOHAND, ERESTART_RESTARTBLOCK } from "../abi/errno.ts";
import {
  POLLERR, POLLHUP, POLLIN, pollfdLayout, POLLNVAL, POLLOUT, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRBAND, POLLWRNORM,
} from "../abi/epoll.ts";
import { RLIMIT_NOFILE } from "../abi/limits.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import { NSEC_PER_SEC, timespecLayout, timevalLayout } from "../abi/time.ts";
import { fdTableStats, fget, fgetRaw } from "../fs/fd_table.ts";
import { opsOf, type Addr, type OpenFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { getI32, getU16, getU64, putU16 } from "../lib/bytes.ts";
import { copyFromUser, copyToUser } from "../mm/usercopy.ts";
import { rlimit } from "../sched/rlimit.ts";
import { restoreMask, setBlocked } from "../sched/signal.ts";
import { enter, steps, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { signalPending, sleepOn, type WaitQueue } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { int, structInOut, ulong } from "./args.ts";
import { structCodec } from "./codec.ts";
import { fdSet, pollfd, showReady, sigsetIn, sigsetSize } from "./file_args.ts";
import type { Rows } from "./row.ts";
import { count, structArray } from "./vectors.ts";

const DEFAULT_MASK = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

/** What a file says now; its queues are added to `queues`. A file without poll is always ready. */
function pollFile(k: Kernel, task: Task, file: OpenFile, queues: WaitQueue[]): number {
  const poll = opsOf(k, file).poll;
  if (poll === undefined) return DEFAULT_MASK;
  const { mask, queues: of } = poll(k, task, file);
  for (const queue of of) if (!queues.includes(queue)) queues.push(queue);
  return mask;
}

/**
 * When a wait of `timeoutNs` ends, kept over restarts of the call (ERESTART_RESTARTBLOCK); -1 for never.
 * A second look at the same wait finds the time that the first one set.
 */
function deadline(k: Kernel, task: Task, timeoutNs: number): number {
  if (timeoutNs < 0) return -1;
  if (task.restartNs < 0) task.restartNs = now(k) + timeoutNs;
  return task.restartNs;
}

/** Sleeps on all queues until `untilNs`; `interrupted` is what a signal makes of the call. */
function waitOn(queues: WaitQueue[], untilNs: number, wchan: string, interrupted: number): SyscallResult {
  return sleepOn(queues, { ...(untilNs < 0 ? {} : { untilNs }), wchan, interrupted });
}

/** One look at all descriptors of poll, and a sleep when none is ready; the array is written back when the call ends. */
function pollOnce(k: Kernel, task: Task, fds: Addr, nfds: number, untilNs: number): SyscallResult {
  const bytes = copyFromUser(k, task, fds, nfds * pollfdLayout.size);
  if (typeof bytes === "number") return -EFAULT;
  const queues: WaitQueue[] = [];
  let ready = 0;
  for (let at = 0; at < bytes.length; at += pollfdLayout.size) {
    const fd = getI32(bytes, at);
    const events = getU16(bytes, at + 4);
    const file = fd < 0 ? null : fget(k, task, fd);
    const mask = file === null ? 0 : typeof file === "number" ? POLLNVAL : pollFile(k, task, file, queues) & (events | POLLERR | POLLHUP);
    putU16(bytes, at + 6, mask);
    if (mask !== 0) ready++;
  }
  // As Linux: a signal that the call's own mask lets in ends it even when it would not wait.
  if (ready === 0 && signalPending(task)) return -ERESTART_RESTARTBLOCK;
  if (ready === 0 && !(untilNs >= 0 && now(k) >= untilNs)) return waitOn(queues, untilNs, "do_poll", -ERESTART_RESTARTBLOCK);
  return copyToUser(k, task, fds, bytes) < bytes.length ? -EFAULT : ready;
}

/** Descriptors that one poll may name, whatever RLIMIT_NOFILE says. */
const POLL_MAX = 65_536;

function checkCount(k: Kernel, task: Task, nfds: number): number {
  return nfds > rlimit(k, task, RLIMIT_NOFILE) ? -EINVAL : nfds > POLL_MAX ? -ENOMEM : 0;
}

function sysPoll(k: Kernel, task: Task, [fds, nfds, timeoutMs]: [Addr, number, number]): SyscallResult {
  const wrong = checkCount(k, task, nfds);
  return wrong !== 0 ? wrong : pollOnce(k, task, fds, nfds, deadline(k, task, timeoutMs < 0 ? -1 : timeoutMs * 1_000_000));
}

const fdSetBytes = (nfds: number): number => Math.ceil(nfds / 64) * 8;
const inSet = (set: Uint8Array | null, fd: number): boolean => set !== null && (set[fd >> 3] >> (fd & 7) & 1) === 1;

/** What makes a descriptor readable, writable or exceptional for select. */
const SELECT_IN = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR;
const SELECT_OUT = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR;
const SELECT_EX = POLLPRI;

interface SelectLocals {
  nfds: number;
  /** Addresses of the three sets, 0 for none. */
  sets: Addr[];
  untilNs: number;
}

/** One look at all descriptors of select; the sets are written back when the call ends well. */
function selectOnce(k: Kernel, task: Task, { nfds, sets, untilNs }: SelectLocals): SyscallResult {
  const given: (Uint8Array | null)[] = [];
  for (const set of sets) {
    const bytes = set === 0 ? null : copyFromUser(k, task, set, fdSetBytes(nfds));
    if (typeof bytes === "number") return -EFAULT;
    given.push(bytes);
  }
  const told = given.map((set) => (set === null ? null : new Uint8Array(set.length)));
  const queues: WaitQueue[] = [];
  let ready = 0;
  for (let fd = 0; fd < nfds; fd++) {
    if (!given.some((set) => inSet(set, fd))) continue;
    const file = fget(k, task, fd);
    if (typeof file === "number" && typeof fgetRaw(k, task, fd) === "number") return -EBADF;
    // As Linux: what cannot be polled at all (O_PATH) is ready for everything.
    const mask = typeof file === "number" ? ~0 : pollFile(k, task, file, queues);
    for (const [which, bits] of [SELECT_IN, SELECT_OUT, SELECT_EX].entries()) {
      const set = told[which];
      if (set === null || (mask & bits) === 0 || !inSet(given[which], fd)) continue;
      set[fd >> 3] |= 1 << (fd & 7);
      ready++;
    }
  }
  if (ready === 0 && signalPending(task)) return -ERESTARTNOHAND;
  if (ready === 0 && !(untilNs >= 0 && now(k) >= untilNs)) return waitOn(queues, untilNs, "do_select", -ERESTARTNOHAND);
  for (const [which, set] of told.entries()) {
    if (set !== null && copyToUser(k, task, sets[which], set) < set.length) return -EFAULT;
  }
  return ready;
}

/** A time by pointer: ns, -1 when the pointer is NULL, or an errno: -EFAULT, -EINVAL when it is no time. */
function readTimeout(k: Kernel, task: Task, addr: Addr, timeval: boolean): { ns: number } | number {
  if (addr === 0) return { ns: -1 };
  const bytes = copyFromUser(k, task, addr, timespecLayout.size);
  if (typeof bytes === "number") return -EFAULT;
  const { tv_sec, tv_nsec } = decodeStruct(timespecLayout, bytes);
  let seconds = Number(tv_sec);
  let ns = Number(tv_nsec) * (timeval ? 1000 : 1);
  // As Linux: select takes more than a million microseconds.
  if (timeval && ns >= 0) {
    seconds += Math.floor(ns / NSEC_PER_SEC);
    ns %= NSEC_PER_SEC;
  }
  if (seconds < 0 || ns < 0 || ns >= NSEC_PER_SEC) return -EINVAL;
  return { ns: Math.min(Number.MAX_SAFE_INTEGER / 4, seconds * NSEC_PER_SEC + ns) };
}

/** How the wait of a call with a signal mask or a time that is written back goes on. */
interface TimedLocals {
  poll: { fds: Addr; nfds: number } | null;
  select: SelectLocals | null;
  untilNs: number;
  /** Where what is left of the time is written, 0 for nowhere. */
  timeout: Addr;
  timeval: boolean;
  masked: boolean;
}

const timedWait = steps<TimedLocals>("fs.timed_poll_wait", {
  look: (k, task, { locals }) => (locals.poll !== null
    ? pollOnce(k, task, locals.poll.fds, locals.poll.nfds, locals.untilNs)
    : selectOnce(k, task, locals.select as SelectLocals)),
});

/** Each frame owns its locals. */
function copyTimed(locals: TimedLocals): TimedLocals {
  const { poll, select } = locals;
  return { ...locals, poll: poll === null ? null : { ...poll }, select: select === null ? null : { ...select, sets: [...select.sets] } };
}

/** The wait, and what follows it: the mask is put back, what is left of the time is told. */
const timed = steps<TimedLocals>("fs.timed_poll", {
  wait: (_k, _task, { locals }) => enter(timedWait, copyTimed(locals)),
  end(k, task, { locals, ret }) {
    const interrupted = ret === -ERESTARTNOHAND || ret === -ERESTART_RESTARTBLOCK;
    // After a signal the mask stays until it is delivered.
    if (locals.masked && !interrupted) restoreMask(k, task);
    const { untilNs, timeout, timeval } = locals;
    if (timeout === 0 || untilNs < 0) return interrupted ? -ERESTARTNOHAND : ret;
    const left = Math.max(0, untilNs - now(k));
    const bytes = timeval
      ? encodeStruct(timevalLayout, { tv_sec: Math.floor(left / NSEC_PER_SEC), tv_usec: Math.floor((left % NSEC_PER_SEC) / 1000) })
      : encodeStruct(timespecLayout, { tv_sec: Math.floor(left / NSEC_PER_SEC), tv_nsec: left % NSEC_PER_SEC });
    copyToUser(k, task, timeout, bytes);
    return interrupted ? -ERESTARTNOHAND : ret;
  },
});

/** Sets the mask of a call for its length: 0, -EINVAL for another size than 8, -EFAULT. NULL sets nothing. */
export function setUserMask(k: Kernel, task: Task, addr: Addr, length: number | bigint): number {
  if (addr === 0) return 0;
  if (length !== 8) return -EINVAL;
  const bytes = copyFromUser(k, task, addr, 8);
  if (typeof bytes === "number") return -EFAULT;
  task.savedMask ??= task.blocked;
  setBlocked(k, task, BigInt(getU64(bytes, 0)));
  return 0;
}

/** The call fails before it waits: its mask is put back. */
function unmasked(k: Kernel, task: Task, errno: number): number {
  restoreMask(k, task);
  return errno;
}

function timedCall(
  k: Kernel, given: Omit<TimedLocals, "untilNs">, timeoutNs: number,
): SyscallResult {
  const untilNs = timeoutNs < 0 ? -1 : now(k) + timeoutNs;
  const locals: TimedLocals = { ...given, untilNs };
  if (locals.select !== null) locals.select = { ...locals.select, untilNs };
  return enter(timed, locals);
}

function sysPpoll(k: Kernel, task: Task, [fds, nfds, timeout, sigmask, length]: [Addr, number, Addr, Addr, number | bigint]): SyscallResult {
  const time = readTimeout(k, task, timeout, false);
  if (typeof time === "number") return time;
  const wrong = setUserMask(k, task, sigmask, length);
  if (wrong !== 0) return wrong;
  const tooMany = checkCount(k, task, nfds);
  if (tooMany !== 0) return unmasked(k, task, tooMany);
  return timedCall(k, { poll: { fds, nfds }, select: null, timeout, timeval: false, masked: sigmask !== 0 }, time.ns);
}

/** Descriptors that a table has room for at least: that of a process which has had more than a few. */
const TABLE_ROOM = 1024;

/** select looks at no more descriptors than the table has room for; Linux's own is smaller while few have been open. */
function selectCount(k: Kernel, task: Task, nfds: number): number {
  return nfds < 0 ? -EINVAL : Math.min(nfds, Math.max(TABLE_ROOM, fdTableStats(k, task).size));
}

function sysSelect(k: Kernel, task: Task, [nfds, readfds, writefds, exceptfds, timeout]: [number, Addr, Addr, Addr, Addr]): SyscallResult {
  const time = readTimeout(k, task, timeout, true);
  if (typeof time === "number") return time;
  const number = selectCount(k, task, nfds);
  if (number < 0) return number;
  const select = { nfds: number, sets: [readfds, writefds, exceptfds], untilNs: -1 };
  return timedCall(k, { poll: null, select, timeout, timeval: true, masked: false }, time.ns);
}

function sysPselect6(
  k: Kernel, task: Task, [nfds, readfds, writefds, exceptfds, timeout, packed]: [number, Addr, Addr, Addr, Addr, Addr],
): SyscallResult {
  // The last register leads to a pair: the mask's address and its size.
  const pair = packed === 0 ? null : copyFromUser(k, task, packed, 16);
  if (typeof pair === "number") return -EFAULT;
  const time = readTimeout(k, task, timeout, false);
  if (typeof time === "number") return time;
  const mask = pair === null ? 0 : getU64(pair, 0);
  const wrong = pair === null ? 0 : setUserMask(k, task, mask, getU64(pair, 8));
  if (wrong !== 0) return wrong;
  const number = selectCount(k, task, nfds);
  if (number < 0) return unmasked(k, task, number);
  const select = { nfds: number, sets: [readfds, writefds, exceptfds], untilNs: -1 };
  return timedCall(k, { poll: null, select, timeout, timeval: false, masked: mask !== 0 }, time.ns);
}

const fds = [structArray("fds", pollfd, "nfds", { way: "inout" }), count("nfds", "fds", pollfd.size)];
const sets = [int("nfds"), fdSet("readfds", "nfds"), fdSet("writefds", "nfds"), fdSet("exceptfds", "nfds")];
const timespec = structCodec("timespec", timespecLayout);

export const pollRows: Rows = {
  poll: { x86_64: 7, args: [...fds, int("timeout")], run: sysPoll, showResult: showReady },
  ppoll: { x86_64: 271, args: [...fds, structInOut("tmo_p", timespec), sigsetIn("sigmask"), sigsetSize("sigsetsize")], run: sysPpoll, showResult: showReady },
  select: { x86_64: 23, args: [...sets, structInOut("timeout", structCodec("timeval", timevalLayout))], run: sysSelect },
  pselect6: { x86_64: 270, args: [...sets, structInOut("timeout", timespec), ulong("sigmask")], run: sysPselect6 },
};
