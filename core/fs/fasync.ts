/** SIGIO: who wants to hear when a file becomes readable or writable, and telling them (fcntl(2), F_SETOWN). */
import { FASYNC, F_OWNER_PGRP, F_OWNER_TID } from "../abi/fcntl.ts";
import {
  POLL_ERR, POLL_HUP, POLL_IN, POLL_MSG, POLL_OUT, POLL_PRI, SIGIO, SIGRTMIN, SI_SIGIO,
} from "../abi/signal.ts";
import { POLLERR, POLLHUP, POLLIN, POLLMSG, POLLOUT, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRBAND, POLLWRNORM } from "../abi/epoll.ts";
import type { Kernel } from "../kernel.ts";
import { sendSignal, sendSignalToTask } from "../sched/signal.ts";
import { taskOf, type Task } from "../sched/task.ts";
import type { FileOwner, OpenFile } from "./file.ts";

/** Puts a file on a list of those that want SIGIO, or takes it off. Answers 1 when that changed something, else 0. */
export function fasyncHelper(_k: Kernel, file: OpenFile, on: boolean, list: number[]): number {
  const at = list.indexOf(file.id);
  if (on === at >= 0) return 0;
  if (on) {
    list.push(file.id);
    file.flags |= FASYNC;
  } else {
    list.splice(at, 1);
    file.flags &= ~FASYNC;
  }
  return 1;
}

/** The poll bits that go with a POLL_ code. */
const bands: { [code: number]: number } = {
  [POLL_IN]: POLLIN | POLLRDNORM, [POLL_OUT]: POLLOUT | POLLWRNORM | POLLWRBAND, [POLL_MSG]: POLLIN | POLLRDNORM | POLLMSG,
  [POLL_ERR]: POLLERR, [POLL_PRI]: POLLPRI | POLLRDBAND, [POLL_HUP]: POLLHUP | POLLERR,
};

/** Tells the owners of the files on `list`: the file's signal (F_SETSIG), else `signal`. `code`: POLL_IN and its like. */
export function killFasync(k: Kernel, list: number[], signal: number, code: number): void {
  for (const id of list) {
    const file = k.state.fs.files.get(id);
    if (file?.owner != null && file.owner.pid !== 0) tellOwner(k, file, file.owner, signal, code);
  }
}

function tellOwner(k: Kernel, file: OpenFile, owner: FileOwner, signal: number, code: number): void {
  for (const task of ownerTasks(k, owner)) {
    if (!maySignal(owner, task)) continue;
    // As Linux: only a real-time signal chosen with F_SETSIG says which file and what; SIGIO says nothing.
    const chosen = file.signal === 0 ? signal : file.signal;
    const info = file.signal >= SIGRTMIN ? { code, value: bands[code] ?? 0 } : { code: chosen === SIGIO ? SI_SIGIO : code };
    if (owner.type === F_OWNER_TID) sendSignalToTask(k, task, chosen, info);
    else sendSignal(k, task.tgid, chosen, info);
  }
}

/** One task a process: its leader, or the thread meant. */
function ownerTasks(k: Kernel, { type, pid }: FileOwner): Task[] {
  const { tasks, groups } = k.state.sched;
  if (type !== F_OWNER_PGRP) {
    const task = tasks.get(pid);
    return task === undefined ? [] : [task];
  }
  return [...groups.values()].filter((group) => group.pgid === pid).map((group) => taskOf(k, group.threads[0]));
}

/** sigio_perm: who set the owner must be allowed to signal it. */
function maySignal({ uid, euid }: FileOwner, { cred }: Task): boolean {
  return euid === 0 || [cred.uid, cred.suid].some((target) => target === uid || target === euid);
}
