/** Descriptors of processes (pidfd_open(2)): they name one process, whoever gets its number after it, and tell of its end. */
import { EBADF, ENFILE, ESRCH } from "../abi/errno.ts";
import { O_NONBLOCK, O_RDWR } from "../abi/fcntl.ts";
import { POLLIN, POLLRDNORM } from "../abi/epoll.ts";
import { anonFile } from "../fs/anon_inode.ts";
import { fileOf, fileOperations, type OpenFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { taskOf, type ThreadGroup } from "../sched/task.ts";
import { newWaitQueue, wake, type WaitQueue } from "../sched/wait_queue.ts";

interface Pidfd {
  pid: number;
  /** When that process began: another one of the same number began later. */
  startNs: number;
  /** Where those sleep that poll it. */
  wait: WaitQueue;
}

const OPS = "pidfd";

export const isPidfd = (file: OpenFile): boolean => file.ops === OPS;
const pidfdOf = (file: OpenFile): Pidfd => file.data as Pidfd;

/** A file for a process that is there; -ENFILE. `flags`: O_NONBLOCK. */
export function createPidfd(k: Kernel, group: ThreadGroup, flags: number): OpenFile | number {
  const data: Pidfd = { pid: group.tgid, startNs: taskOf(k, group.threads[0]).startNs, wait: newWaitQueue(k) };
  const file = anonFile(k, { ops: OPS, name: OPS, flags: O_RDWR | (flags & O_NONBLOCK), data });
  if (typeof file === "number") return -ENFILE;
  const { pidfds } = k.state.process;
  pidfds.set(group.tgid, [...(pidfds.get(group.tgid) ?? []), file.id]);
  return file;
}

/** The process that a pidfd names, a zombie too: -EBADF for another file, -ESRCH when it was waited for. */
export function groupOfPidfd(k: Kernel, file: OpenFile): ThreadGroup | number {
  if (!isPidfd(file)) return -EBADF;
  const { pid, startNs } = pidfdOf(file);
  const group = k.state.sched.groups.get(pid);
  return group === undefined || taskOf(k, group.threads[0]).startNs !== startNs ? -ESRCH : group;
}

/** The process has ended: pollers of its descriptors are woken (do_notify_pidfd). */
export function notifyPidfds(k: Kernel, { tgid }: ThreadGroup): void {
  for (const id of k.state.process.pidfds.get(tgid) ?? []) wake(k, pidfdOf(fileOf(k, id)).wait, { nr: Infinity });
}

fileOperations(OPS, {
  poll(k, _task, file) {
    const group = groupOfPidfd(k, file);
    const ended = typeof group === "number" || group.exitStatus >= 0;
    return { mask: ended ? POLLIN | POLLRDNORM : 0, queues: [pidfdOf(file).wait] };
  },
  release(k, _task, file) {
    const { pidfds } = k.state.process;
    const { pid } = pidfdOf(file);
    const left = pidfds.get(pid)!.filter((id) => id !== file.id);
    if (left.length === 0) pidfds.delete(pid);
    else pidfds.set(pid, left);
    return 0;
  },
  llseek: (_k, _task, file) => file.pos,
  fdinfo(k, file) {
    const group = groupOfPidfd(k, file);
    const pid = typeof group === "number" ? -1 : group.tgid;
    return `Pid:\t${pid}\nNSpid:\t${pid}\n`;
  },
});
