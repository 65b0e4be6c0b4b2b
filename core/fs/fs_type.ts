/**
 * What a file system must answer whose inodes are computed when somebody looks (procfs, sysfs, debugfs) and never stored.
 * Inside such a file system a place is named by its path without a leading slash: "" is the root, "kernel/debug" a
 * directory in it; this `key` is what the state keeps of it.
 */
import type { Kernel } from "../kernel.ts";
import type { Cred } from "../sched/cred.ts";
import type { PathRef } from "./inode.ts";

/** Who looks: permissions come from `cred`, /proc/self from `tid` (0 for a view, which is nobody's). */
export interface WalkContext {
  cred: Cred;
  tid: number;
  root: PathRef;
  cwd: PathRef;
  /** RESOLVE_ flags of openat2(2); with RESOLVE_BENEATH and RESOLVE_IN_ROOT `root` is where the walk may not leave. */
  resolve?: number;
}

/** An inode as it looks now. Times are those of the boot unless said otherwise. */
export interface ComputedInode {
  ino: number;
  /** File type and permissions, S_IFDIR | 0o555. */
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  /** Bytes; 0 for most of procfs, 4096 for sysfs attributes. */
  size: number;
  /** Name of the file operations that an open file of it gets; "" for directories and links. */
  ops: string;
  /** Kernel's dev_t of a device node, 0 for others. */
  rdev: number;
  /** ns since 1970; the time of boot when absent. */
  timeNs?: bigint;
}

export interface DirectoryEntry {
  name: string;
  ino: number;
  /** Mode bits of the file type (S_IFREG …); permissions do not matter. */
  mode: number;
}

export interface FileSystemType {
  /** As mount(2) and /proc/filesystems name it. */
  name: string;
  /** f_type of statfs(2). */
  magic: number;
  /** The inode at `key`, or null when there is none (any more). Permissions are checked by the walk. */
  inode(k: Kernel, key: string, ctx: WalkContext): ComputedInode | null;
  /** The entries of a directory without "." and "..", in the order getdents gives; null when it is gone. */
  list(k: Kernel, key: string, ctx: WalkContext): DirectoryEntry[] | null;
  /** The text of a symbolic link, or a negative errno. */
  readlink(k: Kernel, key: string, ctx: WalkContext): string | number;
  /** Where a link such as /proc/PID/fd/3 jumps without any text; null when `readlink` is to be followed; or a negative errno. */
  follow?(k: Kernel, key: string, ctx: WalkContext): PathRef | null | number;
  /** Instead of the usual rules: 0, or -EACCES and the like. `mask`: MAY_EXEC 1, MAY_WRITE 2, MAY_READ 4. */
  permission?(k: Kernel, key: string, inode: ComputedInode, mask: number, ctx: WalkContext): number;
  /** What a `view` shows of a regular file, without changing anything: bytes, or a negative errno (-EINVAL when only open and read can tell). */
  view(k: Kernel, key: string, ctx: WalkContext): Uint8Array | number;
  /** What a lookup answers at once for a name that is not there, so that making it fails with the same (procfs: -ENOENT). */
  missing?: number;
  /** chmod, chown are refused with EPERM unless true (procfs: false; sysfs, debugfs: kept by the VFS). */
  attributes: boolean;
}

/** File-system types with computed inodes, by name. */
export const fileSystemTypes = new Map<string, FileSystemType>();

/** Registers a type of file system; its module does this when it is loaded. */
export function fileSystemType(type: FileSystemType): void {
  fileSystemTypes.set(type.name, type);
}
