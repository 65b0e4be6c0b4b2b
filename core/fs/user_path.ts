/** Paths as system calls take them: a string in user memory and the directory that a relative one starts at. */
import { EBADF, EFAULT, ENAMETOOLONG, ENOENT, ENOTDIR } from "../abi/errno.ts";
import { AT_FDCWD } from "../abi/fcntl.ts";
import { PATH_MAX } from "../abi/limits.ts";
import { isDirectory } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { accessOk, readUser } from "../mm/usercopy.ts";
import { charge, costs } from "../sched/cost.ts";
import type { Task } from "../sched/task.ts";
import { fgetRaw } from "./fd_table.ts";
import type { Addr, OpenFile } from "./file.ts";
import { fsOf, walkContext } from "./fs_struct.ts";
import type { WalkContext } from "./fs_type.ts";
import { inodeOf, type PathRef } from "./inode.ts";
import { nodeAt, walkParent, walkPath, type Last, type Node } from "./namei.ts";
import { bytesName } from "./names.ts";

// Where a path is read to before it becomes a string; its content means nothing between calls.
const buffer = new Uint8Array(PATH_MAX);

/** A first piece of a path: most end in it. */
const SHORT = 128;

/** A path from user memory, one character a byte: -EFAULT, -ENAMETOOLONG, and -ENOENT for "" unless `empty` (getname). */
export function getname(k: Kernel, task: Task, addr: Addr, empty = false): string | number {
  if (!accessOk(addr, 1)) return -EFAULT;
  let length = 0;
  while (length < PATH_MAX) {
    const piece = buffer.subarray(length, Math.min(PATH_MAX, length === 0 ? SHORT : PATH_MAX));
    const { done, fault } = readUser(k, task, (addr as number) + length, piece);
    for (let at = 0; at < done; at++) {
      if (piece[at] === 0) return pathOfBytes(k, length + at, empty);
    }
    if (fault !== null) return -EFAULT;
    length += done;
  }
  return -ENAMETOOLONG;
}

function pathOfBytes(k: Kernel, length: number, empty: boolean): string | number {
  if (length === 0) return empty ? "" : -ENOENT;
  charge(k, length * costs(k).copyPerByteNs);
  return bytesName(buffer.subarray(0, length));
}

/** Charges a walk: a component each for what stands between slashes. */
export function chargePath(k: Kernel, path: string): void {
  let components = 1;
  for (let at = 0; at < path.length; at++) if (path.charCodeAt(at) === 47) components++;
  charge(k, components * costs(k).pathComponentNs);
}

/** Where a walk of `path` begins: -EBADF for a bad `dirfd`, -ENOTDIR for one that is no directory; an absolute path needs none. */
export function basePath(k: Kernel, task: Task, dirfd: number, path: string): PathRef | number {
  if (path.startsWith("/") || dirfd === AT_FDCWD) return fsOf(k, task).cwd;
  const file = fgetRaw(k, task, dirfd);
  if (typeof file === "number") return -EBADF;
  return path !== "" && !isDirectory(inodeOf(k, file.inode).mode) ? -ENOTDIR : file.path;
}

/** The node that an open file is of. */
export function nodeOfFile(k: Kernel, file: OpenFile): Node {
  return { mnt: file.path.mnt, dentry: file.path.dentry, inode: inodeOf(k, file.inode) };
}

export interface LookupOptions {
  follow?: boolean;
  directory?: boolean;
  /** An empty path is `dirfd` itself (AT_EMPTY_PATH). */
  empty?: boolean;
  /** Walks with other credentials than the task's own (access(2)). */
  ctx?: WalkContext;
}

/** What the path at `addr` names, from `dirfd` on; a negative errno. */
export function userPathAt(k: Kernel, task: Task, dirfd: number, addr: Addr, options: LookupOptions = {}): Node | number {
  const path = getname(k, task, addr, options.empty);
  return typeof path === "number" ? path : pathAt(k, task, dirfd, path, options);
}

/** As userPathAt, with the path already taken from user memory. */
export function pathAt(k: Kernel, task: Task, dirfd: number, path: string, options: LookupOptions = {}): Node | number {
  const base = basePath(k, task, dirfd, path);
  if (typeof base === "number") return base;
  const ctx = options.ctx ?? walkContext(k, task);
  if (path === "" && options.empty === true) {
    if (dirfd === AT_FDCWD) return nodeAt(k, ctx, base);
    const file = fgetRaw(k, task, dirfd);
    return typeof file === "number" ? file : nodeOfFile(k, file);
  }
  chargePath(k, path);
  return walkPath(k, ctx, base, path, options);
}

/** The directory and last component of the path at `addr`, for what makes or removes names. */
export function userParentAt(k: Kernel, task: Task, dirfd: number, addr: Addr): Last | number {
  const path = getname(k, task, addr);
  return typeof path === "number" ? path : parentAt(k, task, dirfd, path);
}

export function parentAt(k: Kernel, task: Task, dirfd: number, path: string): Last | number {
  const base = basePath(k, task, dirfd, path);
  if (typeof base === "number") return base;
  chargePath(k, path);
  return walkParent(k, walkContext(k, task), base, path);
}
