/** Removing and renaming names (unlink(2), rmdir(2), rename(2)). */
import { EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, EXDEV } from "../abi/errno.ts";
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT } from "../abi/fcntl.ts";
import { IN_ATTRIB, IN_DELETE, IN_MOVE_SELF, IN_MOVED_FROM, IN_MOVED_TO } from "../abi/inotify.ts";
import { isDirectory, S_IFCHR } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { createChild, directoryChanged, mayCreate, wantWrite } from "./create.ts";
import { dput, moveDentry, removeEntry, unhash } from "./dcache.ts";
import type { WalkContext } from "./fs_type.ts";
import { dentryOf, type Dentry } from "./inode.ts";
import { mountedAt } from "./mount.ts";
import { lookupChild, nodePermission, type Last, type Node } from "./namei.ts";
import { notifyChild, notifyInode } from "./notify.ts";
import { checkSticky, MAY_EXEC, MAY_WRITE } from "./permission.ts";
import { currentTime } from "./times.ts";

/** Whether `ctx` may take `victim` out of `dir` as a directory or as something else (may_delete). */
function mayDelete(k: Kernel, ctx: WalkContext, dir: Node, victim: Node, asDirectory: boolean): number {
  const denied = nodePermission(k, ctx, dir, MAY_WRITE | MAY_EXEC) || checkSticky(ctx.cred, dir.inode, victim.inode);
  if (denied !== 0) return denied;
  const isDir = isDirectory(victim.inode.mode);
  if (asDirectory) {
    if (!isDir) return -ENOTDIR;
    if (victim.mnt !== dir.mnt) return -EBUSY;
  } else if (isDir) return -EISDIR;
  return dir.inode.nlink === 0 ? -ENOENT : 0;
}

/** A mount hangs on it, or in an unfollowed lookup the name already led into one. */
function isMountpoint(k: Kernel, dir: Node, node: Node): boolean {
  return node.mnt !== dir.mnt || mountedAt(k, node.mnt, node.dentry) !== null;
}

/** A stored dentry of a node whose directory stores its entries, or null. */
function storedDentry(k: Kernel, node: Node): Dentry | null {
  return typeof node.dentry === "number" ? dentryOf(k, node.dentry) : null;
}

/** unlink(2) of what `last` names. */
export function vfsUnlink(k: Kernel, ctx: WalkContext, last: Last): number {
  if (last.type !== "normal") return -EISDIR;
  const readOnly = wantWrite(k, last.dir.mnt);
  if (readOnly !== 0) return readOnly;
  const victim = lookupChild(k, ctx, last.dir, last.name);
  if (typeof victim === "number") return victim;
  if (victim === null) return -ENOENT;
  if (last.slash) return isDirectory(victim.inode.mode) ? -EISDIR : -ENOTDIR;
  const denied = mayDelete(k, ctx, last.dir, victim, false);
  if (denied !== 0) return denied;
  const dentry = storedDentry(k, victim);
  if (dentry === null) return -EPERM;
  if (isMountpoint(k, last.dir, victim)) return -EBUSY;
  dropLink(k, last.dir, victim, dentry);
  return 0;
}

/** One name of an inode goes. */
function dropLink(k: Kernel, dir: Node, victim: Node, dentry: Dentry): void {
  const { inode } = victim;
  inode.nlink--;
  inode.ctimeNs = currentTime(k);
  directoryChanged(k, dir.inode, -1);
  notifyInode(k, inode, IN_ATTRIB);
  // As Linux: the inode says that it goes before its directory does.
  removeEntry(k, dentry);
  notifyChild(k, dir.inode, inode, dentry.name, IN_DELETE);
}

/** rmdir(2) of what `last` names. */
export function vfsRmdir(k: Kernel, ctx: WalkContext, last: Last): number {
  if (last.type === "dotdot") return -ENOTEMPTY;
  if (last.type === "dot") return -EINVAL;
  if (last.type === "root") return -EBUSY;
  const readOnly = wantWrite(k, last.dir.mnt);
  if (readOnly !== 0) return readOnly;
  const victim = lookupChild(k, ctx, last.dir, last.name);
  if (typeof victim === "number") return victim;
  if (victim === null) return -ENOENT;
  const denied = mayDelete(k, ctx, last.dir, victim, true);
  if (denied !== 0) return denied;
  const dentry = storedDentry(k, victim);
  if (dentry === null) return -EPERM;
  if (isMountpoint(k, last.dir, victim)) return -EBUSY;
  if (victim.inode.entries !== null && victim.inode.entries.size > 0) return -ENOTEMPTY;
  dropDirectory(k, last.dir, victim, dentry);
  return 0;
}

function dropDirectory(k: Kernel, dir: Node, victim: Node, dentry: Dentry): void {
  victim.inode.nlink = 0;
  dir.inode.nlink--;
  directoryChanged(k, dir.inode, -1);
  removeEntry(k, dentry);
  notifyChild(k, dir.inode, victim.inode, dentry.name, IN_DELETE);
}

/** Whether `above` is `below` or a directory that it lies in. */
function contains(k: Kernel, above: number, below: number): boolean {
  for (let at = below; ;) {
    if (at === above) return true;
    const { parent } = dentryOf(k, at);
    if (parent === at) return false;
    at = parent;
  }
}

/** renameat2(2): `from` becomes `to`. `flags` were checked to be known and compatible. */
export function vfsRename(k: Kernel, ctx: WalkContext, from: Last, to: Last, flags: number): number {
  if (from.dir.mnt !== to.dir.mnt) return -EXDEV;
  if (from.type !== "normal") return -EBUSY;
  if (to.type !== "normal") return (flags & RENAME_NOREPLACE) !== 0 ? -EEXIST : -EBUSY;
  const readOnly = wantWrite(k, from.dir.mnt);
  if (readOnly !== 0) return readOnly;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  const source = lookupChild(k, ctx, from.dir, from.name);
  if (typeof source === "number") return source;
  if (source === null) return -ENOENT;
  const target = lookupChild(k, ctx, to.dir, to.name);
  if (typeof target === "number") return target;
  if (target !== null && (flags & RENAME_NOREPLACE) !== 0) return -EEXIST;
  if (target === null && exchange) return -ENOENT;
  if (exchange && target !== null && !isDirectory(target.inode.mode) && to.slash) return -ENOTDIR;
  if (!isDirectory(source.inode.mode) && (from.slash || (!exchange && to.slash))) return -ENOTDIR;
  if (typeof source.dentry === "number" && typeof to.dir.dentry === "number" && contains(k, source.dentry, to.dir.dentry)) return -EINVAL;
  if (target !== null && typeof target.dentry === "number" && typeof from.dir.dentry === "number"
    && contains(k, target.dentry, from.dir.dentry)) return exchange ? -EINVAL : -ENOTEMPTY;
  return moveName(k, ctx, { from, to, source, target, flags });
}

interface Move {
  from: Last;
  to: Last;
  source: Node;
  target: Node | null;
  flags: number;
}

/** The checks of vfs_rename, and the rename itself. */
function moveName(k: Kernel, ctx: WalkContext, move: Move): number {
  const { from, to, source, target, flags } = move;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  const stored = storedDentry(k, source);
  if (target !== null && (stored === null ? target.dentry === source.dentry : target.inode === source.inode)) return 0;
  const isDir = isDirectory(source.inode.mode);
  const targetIsDir = target !== null && isDirectory(target.inode.mode);
  const denied = mayDelete(k, ctx, from.dir, source, isDir)
    || (target === null ? mayCreate(k, ctx, to.dir) : mayDelete(k, ctx, to.dir, target, exchange ? targetIsDir : isDir));
  if (denied !== 0) return denied;
  if (stored === null || typeof from.dir.dentry !== "number" || typeof to.dir.dentry !== "number") return -EPERM;
  if (from.dir.dentry !== to.dir.dentry) {
    // A directory that moves gets another "..": that is a write to it.
    const locked = (isDir ? nodePermission(k, ctx, source, MAY_WRITE) : 0)
      || (exchange && targetIsDir && target !== null ? nodePermission(k, ctx, target, MAY_WRITE) : 0);
    if (locked !== 0) return locked;
  }
  if (isMountpoint(k, from.dir, source) || (target !== null && isMountpoint(k, to.dir, target))) return -EBUSY;
  if (exchange && target !== null) return exchangeNames(k, move, stored, target);
  if (target?.inode.entries != null && target.inode.entries.size > 0) return -ENOTEMPTY;
  return replaceName(k, ctx, move, stored);
}

function replaceName(k: Kernel, ctx: WalkContext, { from, to, source, target, flags }: Move, dentry: Dentry): number {
  const isDir = isDirectory(source.inode.mode);
  if ((flags & RENAME_WHITEOUT) !== 0) {
    // A whiteout is a character device 0:0 in the old place; the old name must be free for it first.
    const whiteout = createChild(k, ctx.cred, from.dir, `${from.name}\0`, S_IFCHR, 0);
    if (typeof whiteout === "number") return whiteout;
    unhash(k, dentry);
    const white = dentryOf(k, whiteout.dentry as number);
    unhash(k, white);
    moveDentry(k, white, dentryOf(k, from.dir.dentry as number), from.name);
    directoryChanged(k, from.dir.inode, -1);
  } else {
    unhash(k, dentry);
    directoryChanged(k, from.dir.inode, -1);
  }
  const gone = target === null ? null : storedDentry(k, target);
  if (target !== null && gone !== null) {
    if (isDir) {
      target.inode.nlink = 0;
      to.dir.inode.nlink--;
    } else target.inode.nlink--;
    target.inode.ctimeNs = currentTime(k);
    directoryChanged(k, to.dir.inode, -1);
    // Held until all is told: then it goes, if nobody else has it.
    gone.refs++;
    removeEntry(k, gone);
  }
  if (isDir) {
    from.dir.inode.nlink--;
    to.dir.inode.nlink++;
  }
  moveDentry(k, dentry, dentryOf(k, to.dir.dentry as number), to.name);
  directoryChanged(k, to.dir.inode, 1);
  source.inode.ctimeNs = currentTime(k);
  notifyMove(k, from, to, source, target);
  if (gone !== null) dput(k, gone);
  return 0;
}

function exchangeNames(k: Kernel, { from, to, source }: Move, one: Dentry, target: Node): number {
  const other = dentryOf(k, target.dentry as number);
  const fromDir = dentryOf(k, from.dir.dentry as number);
  const toDir = dentryOf(k, to.dir.dentry as number);
  unhash(k, one);
  unhash(k, other);
  const difference = Number(isDirectory(source.inode.mode)) - Number(isDirectory(target.inode.mode));
  from.dir.inode.nlink -= difference;
  to.dir.inode.nlink += difference;
  moveDentry(k, one, toDir, to.name);
  moveDentry(k, other, fromDir, from.name);
  directoryChanged(k, from.dir.inode, 0);
  directoryChanged(k, to.dir.inode, 0);
  source.inode.ctimeNs = currentTime(k);
  target.inode.ctimeNs = source.inode.ctimeNs;
  notifyMove(k, from, to, source, null);
  notifyMove(k, to, from, target, null);
  return 0;
}

/** Tells of a rename, and to the inode whose name was taken, `replaced`, that it lost one. */
function notifyMove(k: Kernel, from: Last, to: Last, node: Node, replaced: Node | null): void {
  const cookie = k.state.fs.nextMoveCookie++;
  notifyChild(k, from.dir.inode, node.inode, from.name, IN_MOVED_FROM, cookie);
  notifyChild(k, to.dir.inode, node.inode, to.name, IN_MOVED_TO, cookie);
  if (replaced !== null) notifyInode(k, replaced.inode, IN_ATTRIB);
  notifyInode(k, node.inode, IN_MOVE_SELF);
}
