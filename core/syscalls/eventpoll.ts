/** epoll(7): the calls. */
import { EFAULT, EINTR, EINVAL } from "../abi/errno.ts";
import { EPOLL_CLOEXEC, EPOLL_CTL_DEL, epollCreateFlags, epollEventLayout, epollOperations } from "../abi/epoll.ts";
import { decodeStruct } from "../abi/layout.ts";
import { NSEC_PER_SEC, timespecLayout } from "../abi/time.ts";
import { fget } from "../fs/fd_table.ts";
import { createEpoll, EPOLL_EVENT_BYTES, epollCtl, epollWait, isEpoll, sendEvents, type EpollRequest } from "../fs/eventpoll.ts";
import { fileOf, type Addr, type OpenFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { accessOk, copyFromUser } from "../mm/usercopy.ts";
import { restoreMask } from "../sched/signal.ts";
import { enter, steps, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { sleepOn } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { choice, fd, fdNumber, flags, int, structIn } from "./args.ts";
import { structCodec } from "./codec.ts";
import { installNew } from "./eventfd.ts";
import { epollEvent, sigsetIn, sigsetSize } from "./file_args.ts";
import { setUserMask } from "./poll.ts";
import type { Rows } from "./row.ts";
import { structArray } from "./vectors.ts";

type File = OpenFile | number;

function sysEpollCreate1(k: Kernel, task: Task, [how]: [number]): number {
  if ((how & ~EPOLL_CLOEXEC) !== 0) return -EINVAL;
  return installNew(k, task, createEpoll(k), (how & EPOLL_CLOEXEC) !== 0);
}

function sysEpollCtl(k: Kernel, task: Task, [epoll, op, fdnum, event]: [File, number, number, Addr]): number {
  let request: EpollRequest = { events: 0, data: 0 };
  if (op !== EPOLL_CTL_DEL) {
    const bytes = copyFromUser(k, task, event, EPOLL_EVENT_BYTES);
    if (typeof bytes === "number") return -EFAULT;
    request = decodeStruct(epollEventLayout, bytes);
  }
  if (typeof epoll === "number") return epoll;
  const file = fget(k, task, fdnum);
  if (typeof file === "number") return file;
  return epollCtl(k, epoll, op, file, fdnum, request);
}

interface WaitLocals {
  epoll: number;
  events: Addr;
  max: number;
  /** -1 for never. */
  untilNs: number;
}

/** As many as an array of 2 GiB holds. */
const MAX_EVENTS = Math.floor(0x7fff_ffff / EPOLL_EVENT_BYTES);

/** Checks in Linux's order; the epoll file, or an errno. */
function checkWait(file: File, events: Addr, max: number): OpenFile | number {
  if (max <= 0 || max > MAX_EVENTS) return -EINVAL;
  if (!accessOk(events, max * EPOLL_EVENT_BYTES)) return -EFAULT;
  if (typeof file === "number") return file;
  return isEpoll(file) ? file : -EINVAL;
}

/** One look: events told, 0 when the time is up, or a sleep. As Linux, a signal ends it with EINTR, SA_RESTART or not. */
function waitOnce(k: Kernel, task: Task, { epoll, events, max, untilNs }: WaitLocals): SyscallResult {
  const file = fileOf(k, epoll);
  const told = sendEvents(k, task, file, events, max);
  if (told !== 0 || (untilNs >= 0 && now(k) >= untilNs)) return told;
  return sleepOn(epollWait(file), { untilNs, exclusive: true, wchan: "ep_poll", interrupted: -EINTR });
}

const waiting = steps<WaitLocals>("fs.epoll_wait", {
  look: (k, task, { locals }) => waitOnce(k, task, locals),
});

/** A wait with a signal mask of its own, which is put back unless a signal came. */
const maskedWait = steps<WaitLocals>("fs.epoll_pwait", {
  wait: (_k, _task, { locals }) => enter(waiting, { ...locals }),
  end(k, task, { ret }) {
    if (ret !== -EINTR) restoreMask(k, task);
    return ret;
  },
});

function waitFor(k: Kernel, task: Task, file: File, events: Addr, max: number, timeoutNs: number, masked: boolean): SyscallResult {
  const epoll = checkWait(file, events, max);
  if (typeof epoll === "number") {
    if (masked) restoreMask(k, task);
    return epoll;
  }
  const locals: WaitLocals = { epoll: epoll.id, events, max, untilNs: timeoutNs < 0 ? -1 : now(k) + timeoutNs };
  if (masked) return enter(maskedWait, locals);
  const result = waitOnce(k, task, locals);
  return typeof result === "object" ? enter(waiting, locals) : result;
}

const milliseconds = (timeout: number): number => (timeout < 0 ? -1 : timeout * 1_000_000);

function sysEpollWait(k: Kernel, task: Task, [file, events, max, timeout]: [File, Addr, number, number]): SyscallResult {
  return waitFor(k, task, file, events, max, milliseconds(timeout), false);
}

function sysEpollPwait(
  k: Kernel, task: Task, [file, events, max, timeout, sigmask, length]: [File, Addr, number, number, Addr, number | bigint],
): SyscallResult {
  const wrong = setUserMask(k, task, sigmask, length);
  return wrong !== 0 ? wrong : waitFor(k, task, file, events, max, milliseconds(timeout), sigmask !== 0);
}

function sysEpollPwait2(
  k: Kernel, task: Task, [file, events, max, timeout, sigmask, length]: [File, Addr, number, Addr, Addr, number | bigint],
): SyscallResult {
  let timeoutNs = -1;
  if (timeout !== 0) {
    const bytes = copyFromUser(k, task, timeout, timespecLayout.size);
    if (typeof bytes === "number") return -EFAULT;
    const { tv_sec, tv_nsec } = decodeStruct(timespecLayout, bytes);
    if (tv_sec < 0 || tv_nsec < 0 || tv_nsec >= NSEC_PER_SEC) return -EINVAL;
    timeoutNs = Math.min(Number.MAX_SAFE_INTEGER / 4, Number(tv_sec) * NSEC_PER_SEC + Number(tv_nsec));
  }
  const wrong = setUserMask(k, task, sigmask, length);
  return wrong !== 0 ? wrong : waitFor(k, task, file, events, max, timeoutNs, sigmask !== 0);
}

const events = structArray("events", epollEvent, "maxevents", {
  way: "out", filled: (view) => (typeof view.ret === "number" && view.ret > 0 ? view.ret : 0),
});
const waits = [fd("epfd"), events, int("maxevents")];

export const eventpollRows: Rows = {
  epoll_create: {
    x86_64: 213, args: [int("size")],
    run: (k, task, [size]: [number]) => (size <= 0 ? -EINVAL : sysEpollCreate1(k, task, [0])),
  },
  epoll_create1: { x86_64: 291, args: [flags("flags", epollCreateFlags)], run: sysEpollCreate1 },
  epoll_ctl: {
    x86_64: 233, args: [fd("epfd"), choice("op", epollOperations), fdNumber("fd"), structIn("event", epollEvent)], run: sysEpollCtl,
  },
  epoll_wait: { x86_64: 232, args: [...waits, int("timeout")], run: sysEpollWait },
  epoll_pwait: { x86_64: 281, args: [...waits, int("timeout"), sigsetIn("sigmask"), sigsetSize("sigsetsize")], run: sysEpollPwait },
  epoll_pwait2: {
    x86_64: 441,
    args: [...waits, structIn("timeout", structCodec("timespec", timespecLayout)), sigsetIn("sigmask"), sigsetSize("sigsetsize")],
    run: sysEpollPwait2,
  },
};
