/** Changing what an inode says of itself: mode, owner, times, size (chmod(2), chown(2), utimensat(2), truncate(2)). The caller tells watches. */
import { EACCES, EFBIG, EPERM } from "../abi/errno.ts";
import { CAP_CHOWN, CAP_FSETID } from "../abi/capability.ts";
import { F_SEAL_GROW, F_SEAL_SHRINK } from "../abi/fcntl.ts";
import { RLIMIT_FSIZE } from "../abi/limits.ts";
import { SIGXFSZ } from "../abi/signal.ts";
import { isDirectory, S_IALLUGO, S_IFMT, S_ISGID, S_ISUID, S_IXGRP } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import type { Cred } from "../sched/cred.ts";
import { rlimit } from "../sched/rlimit.ts";
import { sendSignalToTask } from "../sched/signal.ts";
import type { Task } from "../sched/task.ts";
import type { Inode } from "./inode.ts";
import { computedType } from "./mount.ts";
import { MAX_FILE_SIZE, sbOfInode, setSize } from "./page_cache.ts";
import { hasCapability, inGroup, inodePermission, MAY_WRITE, ownerOrCapable, withoutPrivileges } from "./permission.ts";
import { currentTime } from "./times.ts";

/** Keeps what was changed of a computed inode, which is made anew at every look. */
function keepAttributes(k: Kernel, inode: Inode): void {
  const sb = sbOfInode(k, inode);
  if (computedType(k, sb) === null) return;
  sb.attributes.set(inode.key, { mode: inode.mode & S_IALLUGO, uid: inode.uid, gid: inode.gid });
  const open = k.state.fs.inodes.get(sb.open.get(inode.key) ?? 0);
  if (open === undefined || open === inode) return;
  open.mode = inode.mode;
  open.uid = inode.uid;
  open.gid = inode.gid;
}

/** Whether attributes of this inode can be changed at all: procfs refuses. */
function changeable(k: Kernel, inode: Inode): boolean {
  return computedType(k, sbOfInode(k, inode))?.attributes ?? true;
}

/** chmod(2): 0, or -EPERM for those who do not own the file. */
export function vfsChmod(k: Kernel, cred: Cred, inode: Inode, mode: number): number {
  if (!ownerOrCapable(cred, inode) || !changeable(k, inode)) return -EPERM;
  let bits = mode & S_IALLUGO;
  if ((bits & S_ISGID) !== 0 && !inGroup(cred, inode.gid) && !hasCapability(cred, CAP_FSETID)) bits &= ~S_ISGID;
  inode.mode = (inode.mode & S_IFMT) | bits;
  changed(k, inode);
  return 0;
}

/** chown(2): `uid` and `gid` of -1 stay. -EPERM: only the superuser gives files away, an owner may give one to a group of his. */
export function vfsChown(k: Kernel, cred: Cred, inode: Inode, uid: number, gid: number): number {
  const owner = cred.fsuid === inode.uid;
  const may = hasCapability(cred, CAP_CHOWN);
  if (uid !== -1 && !may && !(owner && uid === inode.uid)) return -EPERM;
  if (gid !== -1 && !may && !(owner && (gid === inode.gid || inGroup(cred, gid)))) return -EPERM;
  if (!changeable(k, inode)) return -EPERM;
  // As Linux: a change of owner takes the rights away that the file's bits gave, of the superuser's doing too.
  const lost = isDirectory(inode.mode) ? 0 : inode.mode & (S_ISUID | ((inode.mode & S_IXGRP) !== 0 ? S_ISGID : 0));
  if (lost !== 0 && !ownerOrCapable(cred, inode)) return -EPERM;
  if (uid !== -1) inode.uid = uid;
  if (gid !== -1) inode.gid = gid;
  inode.mode &= ~lost;
  changed(k, inode);
  return 0;
}

function changed(k: Kernel, inode: Inode): void {
  inode.ctimeNs = currentTime(k);
  keepAttributes(k, inode);
}

/** A time for utimensat: a value in ns, now, or as it is. */
export type SetTime = bigint | "now" | "omit";

/**
 * utimensat(2). Both times now: the owner may, and who may write (-EACCES); given times: the owner only (-EPERM).
 * Both left as they are: nothing is checked.
 */
export function vfsUtimes(k: Kernel, cred: Cred, inode: Inode, atime: SetTime, mtime: SetTime): number {
  if (atime === "omit" && mtime === "omit") return 0;
  if (atime === "now" && mtime === "now") {
    if (!ownerOrCapable(cred, inode) && inodePermission(cred, inode, MAY_WRITE) !== 0) return -EACCES;
  } else if (!ownerOrCapable(cred, inode)) return -EPERM;
  const time = currentTime(k);
  if (atime !== "omit") inode.atimeNs = atime === "now" ? time : atime;
  if (mtime !== "omit") inode.mtimeNs = mtime === "now" ? time : mtime;
  inode.ctimeNs = time;
  return 0;
}

/** Sets a regular file's size; rights were checked. -EFBIG beyond RLIMIT_FSIZE (with SIGXFSZ) or the largest size, -EPERM when sealed. */
export function doTruncate(k: Kernel, task: Task, inode: Inode, length: number | bigint): number {
  if (length > inode.size) {
    if (length > rlimit(k, task, RLIMIT_FSIZE)) {
      sendSignalToTask(k, task, SIGXFSZ);
      return -EFBIG;
    }
    if (length > MAX_FILE_SIZE) return -EFBIG;
  }
  const size = Number(length);
  if ((size < inode.size && (inode.seals & F_SEAL_SHRINK) !== 0) || (size > inode.size && (inode.seals & F_SEAL_GROW) !== 0)) return -EPERM;
  inode.mode = withoutPrivileges(task.cred, inode.mode);
  if (inode.pages !== null) setSize(k, inode, size);
  inode.mtimeNs = currentTime(k);
  inode.ctimeNs = inode.mtimeNs;
  return 0;
}
