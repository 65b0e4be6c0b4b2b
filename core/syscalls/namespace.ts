/** Making, removing and renaming names, and changing what files say of themselves. */
import { EBADF, EFAULT, EFBIG, EINVAL, EISDIR, ENOENT, ENODEV, EOPNOTSUPP, EPERM, ESPIPE, ETXTBSY } from "../abi/errno.ts";
import { CAP_DAC_READ_SEARCH } from "../abi/capability.ts";
import {
  AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, atFlags, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_UNSHARE_RANGE, FALLOC_FL_ZERO_RANGE, fallocFlags, O_WRONLY, RENAME_EXCHANGE,
  RENAME_NOREPLACE, RENAME_WHITEOUT, renameFlags,
} from "../abi/fcntl.ts";
import { decodeStruct, layout } from "../abi/layout.ts";
import { IN_ATTRIB, IN_MODIFY } from "../abi/inotify.ts";
import { isDirectory, isFifo, isRegular, S_IALLUGO, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from "../abi/stat.ts";
import { timespecLayout, timevalLayout, UTIME_NOW, UTIME_OMIT } from "../abi/time.ts";
import { doTruncate, vfsChmod, vfsChown, vfsUtimes, type SetTime } from "../fs/attr.ts";
import { vfsLink, vfsMkdir, vfsMknod, vfsSymlink, wantWrite } from "../fs/create.ts";
import { fget } from "../fs/fd_table.ts";
import { opsOf, type Addr, type OpenFile } from "../fs/file.ts";
import { fsOf, walkContext } from "../fs/fs_struct.ts";
import { inodeOf } from "../fs/inode.ts";
import { breakLease } from "../fs/leases.ts";
import { nodePermission, type Last, type Node } from "../fs/namei.ts";
import { notifyFile, notifyPlace } from "../fs/notify.ts";
import { MAX_FILE_SIZE } from "../fs/page_cache.ts";
import { hasCapability, MAY_WRITE } from "../fs/permission.ts";
import { vfsRename, vfsRmdir, vfsUnlink } from "../fs/remove.ts";
import { getname, nodeOfFile, userParentAt, userPathAt } from "../fs/user_path.ts";
import type { Kernel } from "../kernel.ts";
import { copyFromUser } from "../mm/usercopy.ts";
import { charge, costs } from "../sched/cost.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { dirfd, fd, fdNumber, flags, mode, off, path, structIn, uint } from "./args.ts";
import { structCodec } from "./codec.ts";
import { deviceNumber, structPair } from "./file_args.ts";
import type { Rows } from "./row.ts";

const done = (made: Node | number): number => (typeof made === "number" ? made : 0);

function mkdirAt(k: Kernel, task: Task, at: number, pathname: Addr, permissions: number): number {
  const last = userParentAt(k, task, at, pathname);
  if (typeof last === "number") return last;
  return done(vfsMkdir(k, walkContext(k, task), last, permissions & ~fsOf(k, task).umask));
}

function mknodAt(k: Kernel, task: Task, at: number, pathname: Addr, given: number, dev: number): number {
  const type = given & S_IFMT;
  if (type === S_IFDIR) return -EPERM;
  if (![0, S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK].includes(type)) return -EINVAL;
  const last = userParentAt(k, task, at, pathname);
  if (typeof last === "number") return last;
  const permissions = given & S_IALLUGO & ~fsOf(k, task).umask;
  const device = type === S_IFCHR || type === S_IFBLK;
  return done(vfsMknod(k, walkContext(k, task), last, (type || S_IFREG) | permissions, device ? dev : 0));
}

function unlinkAt(k: Kernel, task: Task, at: number, pathname: Addr, how: number): number {
  if ((how & ~AT_REMOVEDIR) !== 0) return -EINVAL;
  const last = userParentAt(k, task, at, pathname);
  if (typeof last === "number") return last;
  const ctx = walkContext(k, task);
  return (how & AT_REMOVEDIR) !== 0 ? vfsRmdir(k, ctx, last) : vfsUnlink(k, ctx, last);
}

function renameAt(k: Kernel, task: Task, [oldAt, oldpath, newAt, newpath, how]: [number, Addr, number, Addr, number]): number {
  if ((how & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) !== 0) return -EINVAL;
  if ((how & RENAME_EXCHANGE) !== 0 && (how & (RENAME_NOREPLACE | RENAME_WHITEOUT)) !== 0) return -EINVAL;
  const from = userParentAt(k, task, oldAt, oldpath);
  if (typeof from === "number") return from;
  const to = userParentAt(k, task, newAt, newpath);
  return typeof to === "number" ? to : vfsRename(k, walkContext(k, task), from, to, how);
}

function linkAt(k: Kernel, task: Task, [oldAt, oldpath, newAt, newpath, how]: [number, Addr, number, Addr, number]): number {
  if ((how & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  if ((how & AT_EMPTY_PATH) !== 0 && !hasCapability(task.cred, CAP_DAC_READ_SEARCH)) return -ENOENT;
  const old = userPathAt(k, task, oldAt, oldpath, { follow: (how & AT_SYMLINK_FOLLOW) !== 0, empty: (how & AT_EMPTY_PATH) !== 0 });
  if (typeof old === "number") return old;
  const last: Last | number = userParentAt(k, task, newAt, newpath);
  return typeof last === "number" ? last : vfsLink(k, walkContext(k, task), old, last);
}

function symlinkAt(k: Kernel, task: Task, target: Addr, at: number, linkpath: Addr): number {
  const text = getname(k, task, target);
  if (typeof text === "number") return text;
  const last = userParentAt(k, task, at, linkpath);
  return typeof last === "number" ? last : done(vfsSymlink(k, walkContext(k, task), last, text));
}

/** Does something to a node's attributes on a mount that may be written, and tells watches. */
function change(k: Kernel, node: Node | number, act: (node: Node) => number): number {
  if (typeof node === "number") return node;
  const result = wantWrite(k, node.mnt) || act(node);
  if (result === 0) notifyPlace(k, node, node.inode, IN_ATTRIB);
  return result;
}

/** A descriptor's node, for fchmod and the like: not of an O_PATH one. */
function openNode(k: Kernel, task: Task, fdnum: number): Node | number {
  const file = fget(k, task, fdnum);
  return typeof file === "number" ? file : nodeOfFile(k, file);
}

const chmodNode = (k: Kernel, task: Task, node: Node | number, bits: number): number =>
  change(k, node, ({ inode }) => vfsChmod(k, task.cred, inode, bits));

/** Ids of -1 stay as they are; they arrive unsigned. */
const idOf = (id: number): number => (id === 0xffff_ffff ? -1 : id);

function chownNode(k: Kernel, task: Task, node: Node | number, owner: number, group: number): number {
  if (typeof node === "number") return node;
  const [uid, gid] = [idOf(owner), idOf(group)];
  const { mode } = node.inode;
  const result = wantWrite(k, node.mnt) || vfsChown(k, task.cred, node.inode, uid, gid);
  // As Linux: nobody is told of a change that changes nothing.
  if (result === 0 && (uid !== -1 || gid !== -1 || node.inode.mode !== mode)) notifyPlace(k, node, node.inode, IN_ATTRIB);
  return result;
}

function sysFchownat(k: Kernel, task: Task, [at, pathname, owner, group, how]: [number, Addr, number, number, number]): number {
  if ((how & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const node = userPathAt(k, task, at, pathname, { follow: (how & AT_SYMLINK_NOFOLLOW) === 0, empty: (how & AT_EMPTY_PATH) !== 0 });
  return chownNode(k, task, node, owner, group);
}

const NS = 1_000_000_000n;

/** One time of utimensat: ns, UTIME_NOW or UTIME_OMIT; null when it is none. */
function timeOf(seconds: number | bigint, ns: number | bigint): SetTime | null {
  if (ns === UTIME_NOW) return "now";
  if (ns === UTIME_OMIT) return "omit";
  return ns < 0 || ns >= NS ? null : BigInt(seconds) * NS + BigInt(ns);
}

/** As Linux: a time that is none is refused once the file has been found. */
function setTimes(k: Kernel, task: Task, node: Node | number, atime: SetTime | null, mtime: SetTime | null): number {
  if (typeof node !== "number" && (atime === null || mtime === null)) return -EINVAL;
  if (atime === null || mtime === null) return node as number;
  return change(k, node, ({ inode }) => vfsUtimes(k, task.cred, inode, atime, mtime));
}

function sysUtimensat(k: Kernel, task: Task, [at, pathname, times, how]: [number, Addr, Addr, number]): number {
  let set: (SetTime | null)[] = ["now", "now"];
  if (times !== 0) {
    const bytes = copyFromUser(k, task, times, 2 * timespecLayout.size);
    if (typeof bytes === "number") return -EFAULT;
    set = [0, timespecLayout.size].map((from) => {
      const { tv_sec, tv_nsec } = decodeStruct(timespecLayout, bytes, from);
      return timeOf(tv_sec, tv_nsec);
    });
    // As Linux: nothing is looked at when nothing is to be set.
    if (set[0] === "omit" && set[1] === "omit") return 0;
  }
  const [atime, mtime] = set;
  if (pathname === 0 && at !== AT_FDCWD) {
    if (how !== 0) return -EINVAL;
    return setTimes(k, task, openNode(k, task, at), atime, mtime);
  }
  if ((how & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const node = userPathAt(k, task, at, pathname, { follow: (how & AT_SYMLINK_NOFOLLOW) === 0, empty: (how & AT_EMPTY_PATH) !== 0 });
  return setTimes(k, task, node, atime, mtime);
}

/** utimes(2), futimesat(2): two struct timeval, or NULL for now. */
function timesAt(k: Kernel, task: Task, at: number, pathname: Addr, times: Addr): number {
  let set: SetTime[] = ["now", "now"];
  if (times !== 0) {
    const bytes = copyFromUser(k, task, times, 2 * timevalLayout.size);
    if (typeof bytes === "number") return -EFAULT;
    set = [];
    for (const from of [0, timevalLayout.size]) {
      const { tv_sec, tv_usec } = decodeStruct(timevalLayout, bytes, from);
      if (tv_usec < 0 || tv_usec >= 1_000_000) return -EINVAL;
      set.push(BigInt(tv_sec) * NS + BigInt(tv_usec) * 1000n);
    }
  }
  return setTimes(k, task, userPathAt(k, task, at, pathname), set[0], set[1]);
}

const utimbufLayout = layout(16, { actime: [0, "i64"], modtime: [8, "i64"] });

function sysUtime(k: Kernel, task: Task, [filename, times]: [Addr, Addr]): number {
  let set: SetTime[] = ["now", "now"];
  if (times !== 0) {
    const bytes = copyFromUser(k, task, times, utimbufLayout.size);
    if (typeof bytes === "number") return -EFAULT;
    const { actime, modtime } = decodeStruct(utimbufLayout, bytes);
    set = [BigInt(actime) * NS, BigInt(modtime) * NS];
  }
  return setTimes(k, task, userPathAt(k, task, AT_FDCWD, filename), set[0], set[1]);
}

function sysTruncate(k: Kernel, task: Task, [pathname, length]: [Addr, number | bigint]): SyscallResult {
  if (length < 0) return -EINVAL;
  const node = userPathAt(k, task, AT_FDCWD, pathname);
  if (typeof node === "number") return node;
  const { inode } = node;
  if (isDirectory(inode.mode)) return -EISDIR;
  if (!isRegular(inode.mode)) return -EINVAL;
  const denied = wantWrite(k, node.mnt) || nodePermission(k, walkContext(k, task), node, MAY_WRITE);
  if (denied !== 0) return denied;
  if (inode.writers < 0) return -ETXTBSY;
  const leased = breakLease(k, inode, O_WRONLY);
  if (leased !== 0) return leased;
  const result = doTruncate(k, task, inode, length);
  if (result === 0) notifyPlace(k, node, inode, IN_MODIFY);
  return result;
}

function sysFtruncate(k: Kernel, task: Task, [file, length]: [OpenFile | number, number | bigint]): number {
  if (length < 0) return -EINVAL;
  if (typeof file === "number") return file;
  const inode = inodeOf(k, file.inode);
  if (!isRegular(inode.mode) || !file.canWrite) return -EINVAL;
  charge(k, costs(k).truncateNs);
  const result = doTruncate(k, task, inode, length);
  if (result === 0) notifyFile(k, file, IN_MODIFY);
  return result;
}

const FALLOC_SUPPORTED = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE
  | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE;

/** What vfs_fallocate refuses whatever the file is: 0 or an errno. */
function checkFallocate(how: number, offset: number | bigint, length: number | bigint): number {
  if (offset < 0 || length <= 0) return -EINVAL;
  if ((how & ~FALLOC_SUPPORTED) !== 0) return -EOPNOTSUPP;
  if ((how & FALLOC_FL_PUNCH_HOLE) !== 0 && (how & FALLOC_FL_ZERO_RANGE) !== 0) return -EOPNOTSUPP;
  if ((how & FALLOC_FL_PUNCH_HOLE) !== 0 && (how & FALLOC_FL_KEEP_SIZE) === 0) return -EOPNOTSUPP;
  if ((how & FALLOC_FL_COLLAPSE_RANGE) !== 0 && (how & ~FALLOC_FL_COLLAPSE_RANGE) !== 0) return -EINVAL;
  if ((how & FALLOC_FL_INSERT_RANGE) !== 0 && (how & ~FALLOC_FL_INSERT_RANGE) !== 0) return -EINVAL;
  return (how & FALLOC_FL_UNSHARE_RANGE) !== 0 && (how & ~(FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE)) !== 0 ? -EINVAL : 0;
}

function sysFallocate(k: Kernel, task: Task, [file, how, offset, length]: [OpenFile | number, number, number | bigint, number | bigint]): number {
  if (typeof file === "number") return file;
  const wrong = checkFallocate(how, offset, length);
  if (wrong !== 0) return wrong;
  if (!file.canWrite) return -EBADF;
  const inode = inodeOf(k, file.inode);
  if (isFifo(inode.mode)) return -ESPIPE;
  if (isDirectory(inode.mode)) return -EISDIR;
  if (!isRegular(inode.mode)) return -ENODEV;
  // A sum that is rounded is far beyond it.
  if (Number(offset) + Number(length) > MAX_FILE_SIZE) return -EFBIG;
  charge(k, costs(k).fallocateNs);
  const result = opsOf(k, file).fallocate?.(k, task, file, how, Number(offset), Number(length)) ?? -EOPNOTSUPP;
  if (result === 0) notifyFile(k, file, IN_MODIFY);
  return result;
}

/** syncfs(2), sync(2): there is nothing that could be lost. */
function sysSyncfs(k: Kernel, task: Task, [fdnum]: [number]): number {
  const file = fget(k, task, fdnum);
  return typeof file === "number" ? file : 0;
}

const utimbuf = structCodec("utimbuf", utimbufLayout);
const timeval = structCodec("timeval", timevalLayout);
const timespec = structCodec("timespec", timespecLayout);
const at = (k: Kernel, task: Task, dir: number, pathname: Addr, follow = true): Node | number => userPathAt(k, task, dir, pathname, { follow });

export const namespaceRows: Rows = {
  mkdir: { x86_64: 83, args: [path("pathname"), mode("mode")], run: (k, task, [name, bits]: [Addr, number]) => mkdirAt(k, task, AT_FDCWD, name, bits) },
  mkdirat: {
    x86_64: 258, args: [dirfd("dirfd"), path("pathname"), mode("mode")],
    run: (k, task, [dir, name, bits]: [number, Addr, number]) => mkdirAt(k, task, dir, name, bits),
  },
  mknod: {
    x86_64: 133, args: [path("pathname"), mode("mode"), deviceNumber("dev")],
    run: (k, task, [name, bits, dev]: [Addr, number, number]) => mknodAt(k, task, AT_FDCWD, name, bits, dev),
  },
  mknodat: {
    x86_64: 259, args: [dirfd("dirfd"), path("pathname"), mode("mode"), deviceNumber("dev")],
    run: (k, task, [dir, name, bits, dev]: [number, Addr, number, number]) => mknodAt(k, task, dir, name, bits, dev),
  },
  rmdir: { x86_64: 84, args: [path("pathname")], run: (k, task, [name]: [Addr]) => unlinkAt(k, task, AT_FDCWD, name, AT_REMOVEDIR) },
  unlink: { x86_64: 87, args: [path("pathname")], run: (k, task, [name]: [Addr]) => unlinkAt(k, task, AT_FDCWD, name, 0) },
  unlinkat: {
    x86_64: 263, args: [dirfd("dirfd"), path("pathname"), flags("flags", { ...atFlags, flags: { AT_REMOVEDIR } })],
    run: (k, task, [dir, name, how]: [number, Addr, number]) => unlinkAt(k, task, dir, name, how),
  },
  rename: {
    x86_64: 82, args: [path("oldpath"), path("newpath")],
    run: (k, task, [from, to]: [Addr, Addr]) => renameAt(k, task, [AT_FDCWD, from, AT_FDCWD, to, 0]),
  },
  renameat: {
    x86_64: 264, args: [dirfd("olddirfd"), path("oldpath"), dirfd("newdirfd"), path("newpath")],
    run: (k, task, [oldAt, from, newAt, to]: [number, Addr, number, Addr]) => renameAt(k, task, [oldAt, from, newAt, to, 0]),
  },
  renameat2: {
    x86_64: 316, args: [dirfd("olddirfd"), path("oldpath"), dirfd("newdirfd"), path("newpath"), flags("flags", renameFlags)], run: renameAt,
  },
  link: {
    x86_64: 86, args: [path("oldpath"), path("newpath")],
    run: (k, task, [from, to]: [Addr, Addr]) => linkAt(k, task, [AT_FDCWD, from, AT_FDCWD, to, 0]),
  },
  linkat: {
    x86_64: 265, args: [dirfd("olddirfd"), path("oldpath"), dirfd("newdirfd"), path("newpath"), flags("flags", atFlags)], run: linkAt,
  },
  symlink: {
    x86_64: 88, args: [path("target"), path("linkpath")],
    run: (k, task, [target, name]: [Addr, Addr]) => symlinkAt(k, task, target, AT_FDCWD, name),
  },
  symlinkat: {
    x86_64: 266, args: [path("target"), dirfd("newdirfd"), path("linkpath")],
    run: (k, task, [target, dir, name]: [Addr, number, Addr]) => symlinkAt(k, task, target, dir, name),
  },
  chmod: {
    x86_64: 90, args: [path("pathname"), mode("mode")],
    run: (k, task, [name, bits]: [Addr, number]) => chmodNode(k, task, at(k, task, AT_FDCWD, name), bits),
  },
  fchmod: { x86_64: 91, args: [fdNumber("fd"), mode("mode")], run: (k, task, [fdnum, bits]: [number, number]) => chmodNode(k, task, openNode(k, task, fdnum), bits) },
  fchmodat: {
    x86_64: 268, args: [dirfd("dirfd"), path("pathname"), mode("mode")],
    run: (k, task, [dir, name, bits]: [number, Addr, number]) => chmodNode(k, task, at(k, task, dir, name), bits),
  },
  chown: {
    x86_64: 92, args: [path("pathname"), uint("owner"), uint("group")],
    run: (k, task, [name, owner, group]: [Addr, number, number]) => chownNode(k, task, at(k, task, AT_FDCWD, name), owner, group),
  },
  lchown: {
    x86_64: 94, args: [path("pathname"), uint("owner"), uint("group")],
    run: (k, task, [name, owner, group]: [Addr, number, number]) => chownNode(k, task, at(k, task, AT_FDCWD, name, false), owner, group),
  },
  fchown: {
    x86_64: 93, args: [fdNumber("fd"), uint("owner"), uint("group")],
    run: (k, task, [fdnum, owner, group]: [number, number, number]) => chownNode(k, task, openNode(k, task, fdnum), owner, group),
  },
  fchownat: {
    x86_64: 260, args: [dirfd("dirfd"), path("pathname"), uint("owner"), uint("group"), flags("flags", atFlags)], run: sysFchownat,
  },
  utime: { x86_64: 132, args: [path("filename"), structIn("times", utimbuf)], run: sysUtime },
  utimes: {
    x86_64: 235, args: [path("filename"), structPair("times", timeval)],
    run: (k, task, [name, times]: [Addr, Addr]) => timesAt(k, task, AT_FDCWD, name, times),
  },
  futimesat: {
    x86_64: 261, args: [dirfd("dirfd"), path("pathname"), structPair("times", timeval)],
    run: (k, task, [dir, name, times]: [number, Addr, Addr]) => timesAt(k, task, dir, name, times),
  },
  utimensat: { x86_64: 280, args: [dirfd("dirfd"), path("pathname"), structPair("times", timespec), flags("flags", atFlags)], run: sysUtimensat },
  truncate: { x86_64: 76, args: [path("path"), off("length")], run: sysTruncate },
  ftruncate: { x86_64: 77, args: [fd("fd"), off("length")], run: sysFtruncate },
  fallocate: { x86_64: 285, args: [fd("fd"), flags("mode", fallocFlags), off("offset"), off("len")], run: sysFallocate },
  sync: { x86_64: 162, args: [], run: () => 0 },
  syncfs: { x86_64: 306, args: [fdNumber("fd")], run: sysSyncfs },
};
