/** Processes by descriptor: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2). */
import { EBADF, EFAULT, EINVAL, EPERM, ESRCH } from "../abi/errno.ts";
import { O_NONBLOCK } from "../abi/fcntl.ts";
import { decodeStruct } from "../abi/layout.ts";
import { SI_TKILL, siginfoKillLayout } from "../abi/signal.ts";
import { fgetRaw } from "../fs/fd_table.ts";
import { getFile, type Addr, type OpenFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { copyFromUser } from "../mm/usercopy.ts";
import { killGroup } from "../process/kill.ts";
import { createPidfd, groupOfPidfd } from "../process/pidfd.ts";
import type { SignalInfo } from "../sched/signal.ts";
import { taskOf, type Task } from "../sched/task.ts";
import { fd, flags, int, signal, structIn } from "./args.ts";
import { siginfo } from "./codecs/siginfo.ts";
import { installNew } from "./eventfd.ts";
import { mayAttach } from "./process_vm.ts";
import type { Rows } from "./row.ts";

const PIDFD_NONBLOCK = O_NONBLOCK;
const pidfdFlags = { prefix: "PIDFD_", flags: { PIDFD_NONBLOCK } };
const noFlags = { prefix: "PIDFD_", flags: {} };

function sysPidfdOpen(k: Kernel, task: Task, [pid, how]: [number, number]): number {
  if ((how & ~PIDFD_NONBLOCK) !== 0 || pid <= 0) return -EINVAL;
  const named = k.state.sched.tasks.get(pid);
  if (named === undefined) return -ESRCH;
  const group = k.state.sched.groups.get(pid);
  // As Linux 6.1: a thread that leads no process has none.
  return group === undefined ? -EINVAL : installNew(k, task, createPidfd(k, group, how), true);
}

/** The siginfo of the caller's; -EFAULT. */
function givenInfo(k: Kernel, task: Task, addr: Addr): SignalInfo & { number: number; code: number } | number {
  const bytes = copyFromUser(k, task, addr, siginfoKillLayout.size);
  if (typeof bytes === "number") return -EFAULT;
  const { si_signo, si_code, si_pid, si_uid, si_value } = decodeStruct(siginfoKillLayout, bytes);
  return { number: si_signo, code: si_code, pid: si_pid, uid: si_uid, value: si_value };
}

function sysPidfdSendSignal(k: Kernel, task: Task, [file, sig, addr, how]: [OpenFile | number, number, Addr, number]): number {
  if (how !== 0) return -EINVAL;
  if (typeof file === "number") return file;
  const group = groupOfPidfd(k, file);
  if (group === -EBADF) return -EBADF;
  let info: SignalInfo = { code: 0, pid: task.tgid, uid: task.cred.uid };
  if (addr !== 0) {
    const given = givenInfo(k, task, addr);
    if (typeof given === "number") return given;
    const { number, ...rest } = given;
    if (number !== sig) return -EINVAL;
    // Only to itself may a process pretend that a signal comes from the kernel or from kill.
    if ((typeof group === "number" || group.tgid !== task.tid) && (rest.code >= 0 || rest.code === SI_TKILL)) return -EPERM;
    info = rest;
  }
  return typeof group === "number" ? group : killGroup(k, task, group, sig, info);
}

function sysPidfdGetfd(k: Kernel, task: Task, [file, wanted, how]: [OpenFile | number, number, number]): number {
  if (how !== 0) return -EINVAL;
  if (typeof file === "number") return file;
  const group = groupOfPidfd(k, file);
  if (typeof group === "number") return group;
  const target = taskOf(k, group.threads[0]);
  if (!mayAttach(task, target)) return -EPERM;
  const found = target.exiting ? -ESRCH : fgetRaw(k, target, wanted);
  if (typeof found === "number") return found;
  getFile(k, found);
  return installNew(k, task, found, true);
}

export const pidfdRows: Rows = {
  pidfd_send_signal: { x86_64: 424, args: [fd("pidfd"), signal("sig"), structIn("info", siginfo), flags("flags", noFlags)], run: sysPidfdSendSignal },
  pidfd_open: { x86_64: 434, args: [int("pid"), flags("flags", pidfdFlags)], run: sysPidfdOpen },
  pidfd_getfd: { x86_64: 438, args: [fd("pidfd"), int("targetfd"), flags("flags", noFlags)], run: sysPidfdGetfd },
};
