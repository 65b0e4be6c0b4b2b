/** Opening what a path names, creating it on the way (open(2)). */
import { EACCES, EEXIST, EINVAL, EISDIR, ELOOP, ENFILE, ENODEV, ENOENT, ENOTDIR, ENXIO, EOPNOTSUPP, EPERM, ETXTBSY } from "../abi/errno.ts";
import {
  __O_TMPFILE, O_ACCMODE, O_CLOEXEC, O_CREAT, O_DIRECT, O_DIRECTORY, O_EXCL, O_NOATIME, O_NOCTTY, O_NOFOLLOW, O_PATH, O_RDWR,
  O_TRUNC, O_WRONLY, RESOLVE_BENEATH, RESOLVE_IN_ROOT,
} from "../abi/fcntl.ts";
import { IN_MODIFY, IN_OPEN } from "../abi/inotify.ts";
import { MS_NODEV, MS_NOEXEC } from "../abi/mount.ts";
import {
  isDirectory, isRegular, isSymlink, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK,
} from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "../sched/cost.ts";
import { enter, enterKept, NEXT, steps, type EnterAction, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { doTruncate } from "./attr.ts";
import { createChild, createInode, mayCreate, wantWrite } from "./create.ts";
import { pathPut, unhashedDentry } from "./dcache.ts";
import { installFd, putFd } from "./fd_table.ts";
import { allocFile, fileOf, filesLeft, forgetFile, fput, opsOf, type OpenFile } from "./file.ts";
import { walkContext } from "./fs_struct.ts";
import type { WalkContext } from "./fs_type.ts";
import { dentryOf, inodeOf, type Inode, type PathRef } from "./inode.ts";
import { breakLease } from "./leases.ts";
import { mountOf, sbOf } from "./mount.ts";
import { followToLast, isNode, lookupChild, nodePermission, parentOf, startWalk, walkPath, walkToLast, type Last, type Node, type Walk } from "./namei.ts";
import { openedInode } from "./new_inode.ts";
import { notifyFile } from "./notify.ts";
import { MAY_EXEC, MAY_READ, MAY_WRITE, ownerOrCapable } from "./permission.ts";
import { chargePath } from "./user_path.ts";

/** What open(2) is asked for. */
export interface OpenHow {
  /** O_ flags, O_LARGEFILE set. */
  flags: number;
  /** Permissions of a file to be created, umask applied. */
  mode: number;
  /** RESOLVE_ flags of openat2(2). */
  resolve?: number;
}

/** An open file, and what its own open answered: 0, an errno, or an action when it sleeps. */
export interface Opened {
  file: OpenFile;
  result: SyscallResult;
  /** The file is emptied once the sleep is over. */
  truncate?: boolean;
}

/** MAY_ bits that the access mode asks for; 3 asks for both and grants neither. */
function accessMode(flags: number): number {
  const access = flags & O_ACCMODE;
  const asked = access === 0 ? MAY_READ : access === O_WRONLY ? MAY_WRITE : MAY_READ | MAY_WRITE;
  return (flags & O_TRUNC) !== 0 ? asked | MAY_WRITE : asked;
}

/**
 * Opens `path` from `base` for a task, as far as it goes without sleeping. Errors in Linux's order (fs/namei.c, path_openat);
 * `flags` were checked by build_open_flags.
 */
export function vfsOpen(k: Kernel, task: Task, base: PathRef, path: string, how: OpenHow): Opened | number {
  if (!filesLeft(k)) return -ENFILE;
  charge(k, costs(k).openNs);
  chargePath(k, path);
  const ctx = restricted(walkContext(k, task), base, how.resolve ?? 0);
  const { flags } = how;
  if ((flags & O_PATH) !== 0) return openPathOnly(k, ctx, base, path, flags);
  if ((flags & __O_TMPFILE) === __O_TMPFILE) return openTmpfile(k, task, ctx, base, path, how);
  const walk = startWalk(k, ctx);
  const last = path === "" ? -ENOENT : walkToLast(walk, base, path);
  if (typeof last === "number") return last;
  const found = (flags & O_CREAT) !== 0 ? findOrCreate(walk, last, how) : findExisting(walk, last, flags);
  return typeof found === "number" ? found : openFound(k, task, ctx, found, flags);
}

/** The walk that openat2(2) asks for: within `base`, if the flags say so. */
function restricted(ctx: WalkContext, base: PathRef, resolve: number): WalkContext {
  if (resolve === 0) return ctx;
  return { ...ctx, resolve, root: (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0 ? base : ctx.root };
}

/** What the walk of an open came to. */
interface Found {
  node: Node;
  /** The file was made by this open: no permission is needed, nothing is truncated. */
  created: boolean;
  /** The path ended in a slash or O_DIRECTORY was given. */
  directory: boolean;
}

function findExisting(walk: Walk, first: Last, flags: number): Found | number {
  const { k, ctx } = walk;
  let last = first;
  let directory = (flags & O_DIRECTORY) !== 0;
  let follow = (flags & O_NOFOLLOW) === 0;
  for (;;) {
    directory ||= last.slash;
    const node = lookupLast(k, ctx, last);
    if (node === null) return -ENOENT;
    if (typeof node === "number") return node;
    // A slash anywhere at the end of a name or a link asks for what the links lead to.
    follow ||= last.slash;
    if (!isSymlink(node.inode.mode) || !follow) return { node, created: false, directory };
    const target = followToLast(walk, last, node);
    if (typeof target === "number") return target;
    if (isNode(target)) return { node: target, created: false, directory };
    last = target;
  }
}

function lookupLast(k: Kernel, ctx: WalkContext, last: Last): Node | number | null {
  if (last.type === "dotdot") return parentOf(k, ctx, last.dir);
  return last.type === "normal" ? lookupChild(k, ctx, last.dir, last.name) : last.dir;
}

/** O_CREAT: what is there, or a new regular file. */
function findOrCreate(walk: Walk, first: Last, { flags, mode }: OpenHow): Found | number {
  const { k, ctx } = walk;
  let last = first;
  const exclusive = (flags & O_EXCL) !== 0;
  const found = (node: Node): Found => ({ node, created: false, directory: (flags & O_DIRECTORY) !== 0 });
  for (;;) {
    if (last.type !== "normal") {
      const node = lookupLast(k, ctx, last);
      return typeof node === "number" || node === null ? (node ?? -ENOENT) : exclusive ? -EEXIST : found(node);
    }
    if (last.slash) return -EISDIR;
    const node = last.dir.inode.nlink === 0 ? -ENOENT : lookupChild(k, ctx, last.dir, last.name);
    if (typeof node === "number") return node;
    if (node === null) return createFile(k, ctx, last, mode, (flags & O_DIRECTORY) !== 0);
    if (isSymlink(node.inode.mode) && !exclusive && (flags & O_NOFOLLOW) === 0) {
      const target = followToLast(walk, last, node);
      if (typeof target === "number") return target;
      if (isNode(target)) return found(target);
      last = target;
      continue;
    }
    if (exclusive) return -EEXIST;
    return isDirectory(node.inode.mode) ? -EISDIR : found(node);
  }
}

function createFile(k: Kernel, ctx: WalkContext, last: Last, mode: number, directory: boolean): Found | number {
  const failure = wantWrite(k, last.dir.mnt) || mayCreate(k, ctx, last.dir);
  if (failure !== 0) return failure;
  const node = createChild(k, ctx.cred, last.dir, last.name, S_IFREG | mode);
  // As Linux: a file system without creation refuses it here as a matter of access.
  return typeof node === "number" ? (node === -EPERM ? -EACCES : node) : { node, created: true, directory };
}

/** may_open and do_dentry_open: rights, the open file, its own open, O_TRUNC. */
function openFound(k: Kernel, task: Task, ctx: WalkContext, { node, created, directory }: Found, flags: number): Opened | number {
  const { inode } = node;
  if ((flags & O_CREAT) !== 0 && isDirectory(inode.mode)) return -EISDIR;
  if (directory && !isDirectory(inode.mode)) return -ENOTDIR;
  const truncate = !created && isRegular(inode.mode) && (flags & O_TRUNC) !== 0;
  const denied = (truncate ? wantWrite(k, node.mnt) : 0) || mayOpen(k, ctx, node, created ? 0 : accessMode(flags), flags);
  if (denied !== 0) return denied;
  const opened = openNode(k, task, node, flags);
  if (typeof opened === "object" && truncate) {
    if (opened.result === 0) truncateOpened(k, task, opened);
    else opened.truncate = true;
  }
  return opened;
}

function truncateOpened(k: Kernel, task: Task, opened: Opened): void {
  const inode = inodeOf(k, opened.file.inode);
  // The content of a computed file is its operations' matter.
  if (inode.pages === null) return;
  opened.result = inode.writers < 0 ? -ETXTBSY : doTruncate(k, task, inode, 0);
  notifyFile(k, opened.file, IN_MODIFY);
}

/** Whether a place may be opened: 0 or the errno (may_open). */
export function mayOpen(k: Kernel, ctx: WalkContext, node: Node, mask: number, flags: number): number {
  const { inode, mnt } = node;
  switch (inode.mode & S_IFMT) {
    case S_IFLNK: return -ELOOP;
    case S_IFDIR:
      if ((mask & MAY_WRITE) !== 0) return -EISDIR;
      if ((mask & MAY_EXEC) !== 0) return -EACCES;
      break;
    case S_IFBLK:
    case S_IFCHR:
      if ((mountOf(k, mnt).flags & MS_NODEV) !== 0) return -EACCES;
      break;
    case S_IFREG:
      if ((mask & MAY_EXEC) !== 0 && (mountOf(k, mnt).flags & MS_NOEXEC) !== 0) return -EACCES;
  }
  const readOnly = (mask & MAY_WRITE) !== 0 && (isRegular(inode.mode) || isDirectory(inode.mode)) ? wantWrite(k, mnt) : 0;
  const denied = readOnly || (mask === 0 ? 0 : nodePermission(k, ctx, node, mask));
  if (denied !== 0) return denied;
  return (flags & O_NOATIME) !== 0 && !ownerOrCapable(ctx.cred, inode) ? -EPERM : 0;
}

/** The operations that a file opens with, by its type; a character device's are replaced by its driver's (char_dev.ts). */
function openingOps(inode: Inode): string {
  if (inode.ops !== "") return inode.ops;
  switch (inode.mode & S_IFMT) {
    case S_IFREG: return "regular";
    case S_IFDIR: return "directory";
    case S_IFCHR: return "chrdev";
    case S_IFIFO: return "fifo";
    // As Linux: a socket's name is for bind and connect.
    case S_IFSOCK: return "";
    // Differs from Linux: the one disk is for swap alone, and no program reads it: its node opens like one without a device.
    default: return "";
  }
}

/** Opens a node whose rights were checked (do_dentry_open). */
export function openNode(k: Kernel, task: Task, node: Node, flags: number): Opened | number {
  const ops = openingOps(node.inode);
  if (ops === "") return -ENXIO;
  if (!k.tables.fileOperations.has(ops)) return -ENODEV;
  const access = flags & O_ACCMODE;
  const canWrite = access === O_WRONLY || access === O_RDWR;
  const inode = node.inode.id === 0 ? openedInode(k, sbOf(k, node.mnt), node.inode) : node.inode;
  if (canWrite && isRegular(inode.mode)) {
    if (inode.writers < 0) return -ETXTBSY;
    inode.writers++;
  }
  const file = allocFile(k, {
    ops, flags: flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC), inode: inode.id,
    path: { mnt: node.mnt, dentry: node.dentry }, canRead: access === 0 || access === O_RDWR, canWrite,
  });
  const result = breakLease(k, inode, flags) || (opsOf(k, file).open?.(k, task, file, inode) ?? 0);
  if (typeof result === "number" && result < 0) {
    forgetFile(k, file);
    return result;
  }
  return { file, result: typeof result === "object" ? result : opened(k, file, flags) };
}

/** After a file's own open: what it cannot do, and O_DIRECT, which no file here offers. */
function opened(k: Kernel, file: OpenFile, flags: number): number {
  if (opsOf(k, file).llseek === undefined) file.seekable = false;
  if ((flags & O_DIRECT) !== 0 && opsOf(k, file).directIo !== true) return -EINVAL;
  notifyFile(k, file, IN_OPEN);
  return 0;
}

/** O_PATH: names the place and no more. */
function openPathOnly(k: Kernel, ctx: WalkContext, base: PathRef, path: string, flags: number): Opened | number {
  const node = walkPath(k, ctx, base, path, { follow: (flags & O_NOFOLLOW) === 0, directory: (flags & O_DIRECTORY) !== 0 });
  if (typeof node === "number") return node;
  const inode = node.inode.id === 0 ? openedInode(k, sbOf(k, node.mnt), node.inode) : node.inode;
  const file = allocFile(k, {
    ops: "path", flags: flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW), inode: inode.id,
    path: { mnt: node.mnt, dentry: node.dentry }, canRead: false, canWrite: false,
  });
  return { file, result: 0 };
}

/** O_TMPFILE: a regular file without a name in the file system of the directory `path`. */
function openTmpfile(k: Kernel, task: Task, ctx: WalkContext, base: PathRef, path: string, { flags, mode }: OpenHow): Opened | number {
  const dir = walkPath(k, ctx, base, path, { directory: true });
  if (typeof dir === "number") return dir;
  const denied = wantWrite(k, dir.mnt) || nodePermission(k, ctx, dir, MAY_WRITE | MAY_EXEC);
  if (denied !== 0) return denied;
  if (typeof dir.dentry === "string") return -EOPNOTSUPP;
  const inode = createInode(k, ctx.cred, dir, S_IFREG | mode);
  if (typeof inode === "number") return inode;
  inode.nlink = 0;
  const dentry = unhashedDentry(k, dentryOf(k, dir.dentry), (flags & O_EXCL) !== 0 ? `#${inode.ino}` : "", inode);
  // The file is the dentry's only holder: the walk's own hold ends when it is open.
  const place = { mnt: dir.mnt, dentry: dentry.id };
  dentry.refs++;
  mountOf(k, dir.mnt).refs++;
  const result = openNode(k, task, { ...place, inode }, flags);
  pathPut(k, place);
  return result;
}

interface OpenLocals {
  file: number;
  fd: number;
  cloexec: boolean;
  truncate: boolean;
  /** Step table that the file's open entered, "" when it slept. */
  code: string;
  inner: unknown;
}

/** The rest of an open whose file sleeps in its own open: a FIFO without a partner, a driver that waits, a file with a lease. */
const openSleeping = steps<OpenLocals>("fs.open", {
  open(k, task, frame) {
    const { locals } = frame;
    if (locals.code !== "") return enterKept(locals);
    const file = fileOf(k, locals.file);
    const inode = inodeOf(k, file.inode);
    const result = breakLease(k, inode, file.flags) || (opsOf(k, file).open?.(k, task, file, inode) ?? 0);
    if (typeof result === "object") return result;
    frame.ret = result;
    return NEXT;
  },
  install(k, task, { locals, ret }) {
    const file = fileOf(k, locals.file);
    if (ret < 0) {
      giveUp(k, task, locals);
      return ret;
    }
    const end: Opened = { file, result: opened(k, file, file.flags) };
    if (end.result === 0 && locals.truncate) truncateOpened(k, task, end);
    return finishOpen(k, task, file, Number(end.result), locals.fd, locals.cloexec);
  },
}, { undo: { open: (k, task, { locals }) => giveUp(k, task, locals) } });

/** The open was interrupted or refused: nobody ever had the file. */
function giveUp(k: Kernel, task: Task, { file, fd }: OpenLocals): void {
  putFd(k, task, fd);
  forgetFile(k, fileOf(k, file));
}

/** Puts an opened file behind its descriptor, or lets go of both. */
function finishOpen(k: Kernel, task: Task, file: OpenFile, result: number, fd: number, cloexec: boolean): number {
  if (result < 0) {
    putFd(k, task, fd);
    fput(k, file);
    return result;
  }
  installFd(k, task, fd, file, cloexec);
  return fd;
}

/** The descriptor of an opened file; goes on sleeping when its own open does. `fd` was taken before. */
export function installOpened(k: Kernel, task: Task, { file, result, truncate = false }: Opened, fd: number, cloexec: boolean): number | EnterAction {
  if (typeof result !== "object") return finishOpen(k, task, file, Number(result), fd, cloexec);
  const inner = result.act === "enter" ? { code: result.code, inner: result.locals } : { code: "", inner: null };
  return enter(openSleeping, { file: file.id, fd, cloexec, truncate, ...inner });
}
