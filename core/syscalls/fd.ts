/** Descriptors that lead to the same open file: dup(2) and its kin. */
import { EBADF, EBUSY, EINVAL, EMFILE } from "../abi/errno.ts";
import { O_CLOEXEC, openFlags } from "../abi/fcntl.ts";
import { NR_OPEN, RLIMIT_NOFILE } from "../abi/limits.ts";
import { dupFile, fgetRaw, isTaken, replaceFd } from "../fs/fd_table.ts";
import type { Kernel } from "../kernel.ts";
import { rlimit } from "../sched/rlimit.ts";
import type { Task } from "../sched/task.ts";
import { fdNumber, flags } from "./args.ts";
import type { Rows } from "./row.ts";

function sysDup(k: Kernel, task: Task, [oldfd]: [number]): number {
  const file = fgetRaw(k, task, oldfd);
  if (typeof file === "number") return file;
  return rlimit(k, task, RLIMIT_NOFILE) === 0 ? -EMFILE : dupFile(k, task, file, 0, false);
}

function sysDup3(k: Kernel, task: Task, [oldfd, newfd, how]: [number, number, number]): number {
  if ((how & ~O_CLOEXEC) !== 0 || oldfd === newfd) return -EINVAL;
  if (newfd < 0 || newfd >= rlimit(k, task, RLIMIT_NOFILE) || newfd >= NR_OPEN) return -EBADF;
  const file = fgetRaw(k, task, oldfd);
  if (typeof file === "number") return file;
  // As Linux: an open under way has the number and will put its file there.
  if (isTaken(k, task, newfd)) return -EBUSY;
  file.refs++;
  replaceFd(k, task, newfd, file, (how & O_CLOEXEC) !== 0);
  return newfd;
}

function sysDup2(k: Kernel, task: Task, [oldfd, newfd]: [number, number]): number {
  if (oldfd !== newfd) return sysDup3(k, task, [oldfd, newfd, 0]);
  const file = fgetRaw(k, task, oldfd);
  return typeof file === "number" ? file : newfd;
}

export const fdRows: Rows = {
  dup: { x86_64: 32, args: [fdNumber("oldfd")], run: sysDup },
  dup2: { x86_64: 33, args: [fdNumber("oldfd"), fdNumber("newfd")], run: sysDup2 },
  dup3: { x86_64: 292, args: [fdNumber("oldfd"), fdNumber("newfd"), flags("flags", openFlags)], run: sysDup3 },
};
