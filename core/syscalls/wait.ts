/** Waiting for children: wait4(2), waitid(2). */
import { EAGAIN, EBADF, ECHILD, EFAULT, EINVAL, ESRCH } from "../abi/errno.ts";
import { O_NONBLOCK } from "../abi/fcntl.ts";
import { encodeStruct } from "../abi/layout.ts";
import { rusageLayout } from "../abi/resource.ts";
import { siginfoChildLayout, SIGCHLD } from "../abi/signal.ts";
import {
  P_ALL, P_PGID, P_PID, P_PIDFD, waitidTypes, waitOptions, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WSTOPPED, WUNTRACED, __WALL, __WCLONE,
  __WNOTHREAD,
} from "../abi/wait.ts";
import { fget } from "../fs/fd_table.ts";
import type { Kernel } from "../kernel.ts";
import { putUser32, type Addr } from "../mm/usercopy.ts";
import { groupOfPidfd } from "../process/pidfd.ts";
import { lookForChild, type WaitFor } from "../process/wait.ts";
import type { SyscallResult } from "../sched/steps.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { sleepOn } from "../sched/wait_queue.ts";
import { choice, flags, int, structOut } from "./args.ts";
import { structCodec } from "./codec.ts";
import { rusageBytes } from "./codecs/rusage.ts";
import { give } from "./codecs/time.ts";
import { foundOut, waitStatus } from "./codecs/wait_status.ts";
import type { Rows } from "./row.ts";

const WAIT4_OPTIONS = WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
const WAITID_OPTIONS = WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
const INT_MIN = -0x8000_0000;

function sleep(k: Kernel, task: Task): SyscallResult {
  return sleepOn(groupOf(k, task).childWait, { wchan: "do_wait" });
}

function sysWait4(k: Kernel, task: Task, [pid, wstatus, options, rusage]: [number, Addr, number, Addr]): SyscallResult {
  if ((options & ~WAIT4_OPTIONS) !== 0) return -EINVAL;
  if (pid === INT_MIN) return -ESRCH;
  const result = lookForChild(k, task, { ...wait4Target(k, task, pid), options: options | WEXITED });
  if (result === null) return -ECHILD;
  if (result === "none") return (options & WNOHANG) !== 0 ? 0 : sleep(k, task);
  // As Linux: a child is gone even where its status cannot be stored.
  if (wstatus !== 0 && !putUser32(k, task, wstatus, result.wstatus)) return -EFAULT;
  return rusage !== 0 && give(k, task, rusage, rusageBytes(result.usage)) !== 0 ? -EFAULT : result.pid;
}

function wait4Target(k: Kernel, task: Task, pid: number): Omit<WaitFor, "options"> {
  if (pid === -1) return { type: P_ALL, id: 0 };
  if (pid < 0) return { type: P_PGID, id: -pid };
  return pid === 0 ? { type: P_PGID, id: groupOf(k, task).pgid } : { type: P_PID, id: pid };
}

function waitidTarget(k: Kernel, task: Task, type: number, id: number): Omit<WaitFor, "options"> & { nonblock?: boolean } | number {
  switch (type) {
    case P_ALL: return { type, id: 0 };
    case P_PID: return id <= 0 ? -EINVAL : { type, id };
    case P_PGID: return id < 0 ? -EINVAL : { type, id: id === 0 ? groupOf(k, task).pgid : id };
    case P_PIDFD: return id < 0 ? -EINVAL : pidfdTarget(k, task, id);
    default: return -EINVAL;
  }
}

/** The process that a descriptor names; -EBADF. One that is gone is nobody's child. */
function pidfdTarget(k: Kernel, task: Task, fd: number): Omit<WaitFor, "options"> & { nonblock: boolean } | number {
  const file = fget(k, task, fd);
  if (typeof file === "number") return file;
  const group = groupOfPidfd(k, file);
  if (group === -EBADF) return group;
  return { type: P_PID, id: typeof group === "number" ? -1 : group.tgid, nonblock: (file.flags & O_NONBLOCK) !== 0 };
}

/** As Linux: the answer `ret` comes with a siginfo of zeros, and a bad place for that is EFAULT. */
function withoutInfo(k: Kernel, task: Task, infop: Addr, ret: number): number {
  return infop !== 0 && give(k, task, infop, new Uint8Array(INFO_BYTES)) !== 0 ? -EFAULT : ret;
}

function sysWaitid(k: Kernel, task: Task, [type, id, infop, options, rusage]: [number, number, Addr, number, Addr]): SyscallResult {
  const known = (options & ~WAITID_OPTIONS) === 0 && (options & (WEXITED | WSTOPPED | WCONTINUED)) !== 0;
  const target = known ? waitidTarget(k, task, type, id) : -EINVAL;
  if (typeof target === "number") return withoutInfo(k, task, infop, target);
  const result = lookForChild(k, task, { type: target.type, id: target.id, options });
  if (result === null) return withoutInfo(k, task, infop, -ECHILD);
  if (result === "none") {
    if ((options & WNOHANG) !== 0) return withoutInfo(k, task, infop, 0);
    return target.nonblock === true ? withoutInfo(k, task, infop, -EAGAIN) : sleep(k, task);
  }
  const { pid, uid, code, status, usage } = result;
  if (rusage !== 0 && give(k, task, rusage, rusageBytes(usage)) !== 0) return -EFAULT;
  if (infop === 0) return 0;
  const bytes = encodeStruct(siginfoChildLayout, { si_signo: SIGCHLD, si_code: code, si_pid: pid, si_uid: uid, si_status: status });
  return give(k, task, infop, bytes.subarray(0, INFO_BYTES));
}

/** waitid writes the fields up to si_status only. */
const INFO_BYTES = 28;

const rusage = structCodec("rusage", rusageLayout);

export const waitRows: Rows = {
  wait4: { x86_64: 61, args: [int("pid"), waitStatus("wstatus"), flags("options", waitOptions), foundOut("rusage", rusage)], run: sysWait4 },
  waitid: {
    x86_64: 247,
    args: [
      choice("idtype", waitidTypes), int("id"), structOut("infop", structCodec("siginfo_t", siginfoChildLayout)), flags("options", waitOptions),
      structOut("rusage", rusage),
    ],
    run: sysWaitid,
  },
};
