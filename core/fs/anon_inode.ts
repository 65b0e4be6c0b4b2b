/** Files that no path leads to: eventfd, epoll, timerfd … share one inode (fs/anon_inodes.c). */
import { ENFILE } from "../abi/errno.ts";
import { O_RDONLY, O_RDWR } from "../abi/fcntl.ts";
import type { Kernel } from "../kernel.ts";
import { allocFile, filesLeft, type OpenFile } from "./file.ts";

/** An open file named "anon_inode:[name]" with one reference; -ENFILE. `flags`: O_NONBLOCK and the access mode. */
export function anonFile(
  k: Kernel, { ops, name, flags, data }: { ops: string; name: string; flags: number; data: object | null },
): OpenFile | number {
  if (!filesLeft(k)) return -ENFILE;
  const { fs } = k.state;
  const file = allocFile(k, {
    ops, flags, inode: fs.anonInode, path: { mnt: fs.anonMount, dentry: String(fs.anonInode) }, canRead: true, canWrite: (flags & O_RDWR) !== O_RDONLY,
    name: `anon_inode:[${name}]`, data,
  });
  // As Linux: only files that are opened by a path have positions to read at.
  file.positioned = false;
  return file;
}
