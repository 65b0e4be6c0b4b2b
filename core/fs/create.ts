/** Making names: files, directories, device nodes, FIFOs, sockets, symbolic and hard links (mknod(2), mkdir(2), link(2) …). */
import { EEXIST, EMLINK, ENAMETOOLONG, ENOENT, ENOSPC, EPERM, EROFS, EXDEV } from "../abi/errno.ts";
import { CAP_FSETID, CAP_MKNOD } from "../abi/capability.ts";
import { IN_ATTRIB, IN_CREATE } from "../abi/inotify.ts";
import { MS_RDONLY } from "../abi/mount.ts";
import {
  isBlockDevice, isCharDevice, isDirectory, isRegular, S_IFDIR, S_IFLNK, S_ISGID, S_ISUID, S_IXGRP,
} from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import type { Cred } from "../sched/cred.ts";
import { addEntry } from "./dcache.ts";
import type { WalkContext } from "./fs_type.ts";
import { dentryOf, type Inode } from "./inode.ts";
import { mountOf, sbOf } from "./mount.ts";
import { lookupChild, nodePermission, type Last, type Node } from "./namei.ts";
import { DIRENT_BYTES, inodesLeft, newInode } from "./new_inode.ts";
import { notifyChild, notifyInode } from "./notify.ts";
import { hasCapability, inGroup, inodePermission, MAY_EXEC, MAY_READ, MAY_WRITE, ownerOrCapable } from "./permission.ts";
import { currentTime } from "./times.ts";

/** tmpfs has no limit of its own; an inode counts its links in 32 bits. */
const LINK_MAX = 0xffff_ffff;

/** -EROFS on a read-only mount, else 0 (mnt_want_write). */
export function wantWrite(k: Kernel, mnt: number): number {
  return (mountOf(k, mnt).flags & MS_RDONLY) !== 0 ? -EROFS : 0;
}

/** A directory gained or lost an entry. */
export function directoryChanged(k: Kernel, dir: Inode, entries: number): void {
  dir.size += entries * DIRENT_BYTES;
  dir.mtimeNs = currentTime(k);
  dir.ctimeNs = dir.mtimeNs;
}

/**
 * Whether `last` names something that can be made: 0; -EEXIST when it is there, or is "." or ".."; -ENOENT for a trailing
 * slash that does not name a directory to be; -EROFS (filename_create).
 */
export function checkNew(k: Kernel, ctx: WalkContext, last: Last, wantDirectory: boolean): number {
  if (last.type !== "normal") return -EEXIST;
  const child = lookupChild(k, ctx, last.dir, last.name);
  if (typeof child === "number") return child;
  if (child !== null) return -EEXIST;
  if (last.slash && !wantDirectory) return -ENOENT;
  return wantWrite(k, last.dir.mnt);
}

/** Whether `ctx` may enter something into a directory: 0, -ENOENT for a removed one, -EACCES (may_create). */
export function mayCreate(k: Kernel, ctx: WalkContext, dir: Node): number {
  if (dir.inode.nlink === 0) return -ENOENT;
  return nodePermission(k, ctx, dir, MAY_WRITE | MAY_EXEC);
}

/** Owner, group and mode that a new inode gets in `dir` (inode_init_owner); `mode` with its file type. */
function ownerOf(cred: Cred, dir: Inode, mode: number): { uid: number; gid: number; mode: number } {
  if ((dir.mode & S_ISGID) === 0) return { uid: cred.fsuid, gid: cred.fsgid, mode };
  const gid = dir.gid;
  if (isDirectory(mode)) return { uid: cred.fsuid, gid, mode: mode | S_ISGID };
  const runsAsGroup = (mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP);
  const kept = !runsAsGroup || inGroup(cred, gid) || hasCapability(cred, CAP_FSETID);
  return { uid: cred.fsuid, gid, mode: kept ? mode : mode & ~S_ISGID };
}

/** Makes an inode in the file system of `dir`, without a name: -ENOSPC when that is full. */
export function createInode(k: Kernel, cred: Cred, dir: Node, mode: number, rdev = 0): Inode | number {
  const sb = sbOf(k, dir.mnt);
  if (!inodesLeft(sb)) return -ENOSPC;
  return newInode(k, sb, { ...ownerOf(cred, dir.inode, mode), rdev });
}

/**
 * Enters a new inode of `mode` as `name` into `dir`, where it is not; rights were checked. Answers its node; -EPERM in a
 * file system without creation, -ENOSPC.
 */
export function createChild(k: Kernel, cred: Cred, dir: Node, name: string, mode: number, rdev = 0): Node | number {
  if (typeof dir.dentry === "string") return -EPERM;
  const inode = createInode(k, cred, dir, mode, rdev);
  if (typeof inode === "number") return inode;
  const dentry = addEntry(k, dentryOf(k, dir.dentry), name, inode);
  if (isDirectory(mode)) dir.inode.nlink++;
  directoryChanged(k, dir.inode, 1);
  notifyChild(k, dir.inode, inode, name, IN_CREATE);
  return { mnt: dir.mnt, dentry: dentry.id, inode };
}

/** mknod(2) and creation of a FIFO, socket or file at `last`. `mode` with its file type, umask applied. */
export function vfsMknod(k: Kernel, ctx: WalkContext, last: Last, mode: number, rdev: number): Node | number {
  const failure = checkNew(k, ctx, last, false) || mayCreate(k, ctx, last.dir);
  if (failure !== 0) return failure;
  if ((isCharDevice(mode) || isBlockDevice(mode)) && !hasCapability(ctx.cred, CAP_MKNOD)) return -EPERM;
  return createChild(k, ctx.cred, last.dir, last.name, mode, rdev);
}

/** mkdir(2). `mode` without a file type, umask applied. */
export function vfsMkdir(k: Kernel, ctx: WalkContext, last: Last, mode: number): Node | number {
  const failure = checkNew(k, ctx, last, true) || mayCreate(k, ctx, last.dir);
  if (failure !== 0) return failure;
  return createChild(k, ctx.cred, last.dir, last.name, S_IFDIR | (mode & 0o1777));
}

/** symlink(2). */
export function vfsSymlink(k: Kernel, ctx: WalkContext, last: Last, target: string): Node | number {
  const failure = checkNew(k, ctx, last, false) || mayCreate(k, ctx, last.dir);
  if (failure !== 0) return failure;
  if (target.length >= 4096) return -ENAMETOOLONG;
  const link = createChild(k, ctx.cred, last.dir, last.name, S_IFLNK | 0o777);
  if (typeof link === "number") return link;
  link.inode.target = target;
  link.inode.size = target.length;
  return link;
}

/** link(2) of the node `old` as `last`. */
export function vfsLink(k: Kernel, ctx: WalkContext, old: Node, last: Last): number {
  const taken = checkNew(k, ctx, last, false);
  if (taken !== 0) return taken;
  if (old.mnt !== last.dir.mnt) return -EXDEV;
  if (!mayLink(ctx.cred, old.inode)) return -EPERM;
  const denied = mayCreate(k, ctx, last.dir);
  if (denied !== 0) return denied;
  const { inode } = old;
  if (typeof last.dir.dentry === "string" || isDirectory(inode.mode)) return -EPERM;
  if (inode.nlink === 0 && !linkable(k, old)) return -ENOENT;
  if (inode.nlink >= LINK_MAX) return -EMLINK;
  // An O_TMPFILE that has had a name is a file like any other: without its last one it cannot be linked again.
  if (inode.nlink === 0) dentryOf(k, old.dentry as number).name = `#${inode.ino}`;
  inode.nlink++;
  inode.ctimeNs = currentTime(k);
  addEntry(k, dentryOf(k, last.dir.dentry), last.name, inode);
  directoryChanged(k, last.dir.inode, 1);
  notifyInode(k, inode, IN_ATTRIB);
  notifyChild(k, last.dir.inode, inode, last.name, IN_CREATE);
  return 0;
}

/** An O_TMPFILE may get its first name, an unlinked file none. */
function linkable(k: Kernel, node: Node): boolean {
  return typeof node.dentry === "number" && dentryOf(k, node.dentry).name === "";
}

/** protected_hardlinks, which is on: who does not own a file links it only if it is plain and he may read and write it. */
function mayLink(cred: Cred, inode: Inode): boolean {
  if (ownerOrCapable(cred, inode)) return true;
  if (!isRegular(inode.mode) || (inode.mode & S_ISUID) !== 0) return false;
  if ((inode.mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP)) return false;
  return inodePermission(cred, inode, MAY_READ | MAY_WRITE) === 0;
}
