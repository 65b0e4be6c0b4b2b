/** inotify(7): the calls. */
import { EINVAL } from "../abi/errno.ts";
import { AT_FDCWD } from "../abi/fcntl.ts";
import {
  IN_ALL_EVENTS, IN_CLOEXEC, IN_DONT_FOLLOW, IN_EXCL_UNLINK, IN_ISDIR, IN_MASK_ADD, IN_MASK_CREATE, IN_NONBLOCK, IN_ONESHOT, IN_ONLYDIR,
  IN_Q_OVERFLOW, IN_IGNORED, IN_UNMOUNT, inotifyInitFlags, inotifyMask,
} from "../abi/inotify.ts";
import type { Addr, OpenFile } from "../fs/file.ts";
import { walkContext } from "../fs/fs_struct.ts";
import { addWatch, createInotify, dropWatch, isInotify } from "../fs/inotify.ts";
import { nodePermission } from "../fs/namei.ts";
import { MAY_READ } from "../fs/permission.ts";
import { userPathAt } from "../fs/user_path.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { fd, flags, int, path } from "./args.ts";
import { installNew } from "./eventfd.ts";
import type { Rows } from "./row.ts";

type File = OpenFile | number;

function sysInotifyInit1(k: Kernel, task: Task, [how]: [number]): number {
  if ((how & ~(IN_CLOEXEC | IN_NONBLOCK)) !== 0) return -EINVAL;
  return installNew(k, task, createInotify(k, how), (how & IN_CLOEXEC) !== 0);
}

const ALL_BITS = IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE
  | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT;

function sysInotifyAddWatch(k: Kernel, task: Task, [file, pathname, mask]: [File, Addr, number]): number {
  if ((mask & ~ALL_BITS) !== 0 || mask === 0) return -EINVAL;
  if (typeof file === "number") return file;
  if ((mask & IN_MASK_ADD) !== 0 && (mask & IN_MASK_CREATE) !== 0) return -EINVAL;
  if (!isInotify(file)) return -EINVAL;
  const node = userPathAt(k, task, AT_FDCWD, pathname, { follow: (mask & IN_DONT_FOLLOW) === 0, directory: (mask & IN_ONLYDIR) !== 0 });
  if (typeof node === "number") return node;
  const denied = nodePermission(k, walkContext(k, task), node, MAY_READ);
  if (denied !== 0) return denied;
  // Differs from Linux: files that are computed (procfs, sysfs) tell nothing, and cannot be watched.
  return node.inode.id === 0 ? -EINVAL : addWatch(k, file, node.inode, mask);
}

function sysInotifyRmWatch(k: Kernel, _task: Task, [file, wd]: [File, number]): number {
  if (typeof file === "number") return file;
  return isInotify(file) ? dropWatch(k, file, wd) : -EINVAL;
}

export const inotifyRows: Rows = {
  inotify_init: { x86_64: 253, args: [], run: (k, task) => sysInotifyInit1(k, task, [0]) },
  inotify_init1: { x86_64: 294, args: [flags("flags", inotifyInitFlags)], run: sysInotifyInit1 },
  inotify_add_watch: {
    x86_64: 254, args: [fd("fd"), path("pathname"), flags("mask", inotifyMask)], run: sysInotifyAddWatch,
    partial: "files of procfs, sysfs and debugfs cannot be watched",
  },
  inotify_rm_watch: { x86_64: 255, args: [fd("fd"), int("wd")], run: sysInotifyRmWatch },
};
