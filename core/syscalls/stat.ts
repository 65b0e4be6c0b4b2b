/** stat(2) and its kin, access(2), readlink(2), statfs(2), and where a process stands in the tree. */
import { EACCES, EFAULT, EINVAL, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, ERANGE, EROFS } from "../abi/errno.ts";
import { CAP_SYS_CHROOT } from "../abi/capability.ts";
import {
  accessModes, AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_STATX_DONT_SYNC, AT_STATX_FORCE_SYNC, AT_STATX_SYNC_TYPE,
  AT_SYMLINK_NOFOLLOW, atFlags, faccessatFlags, statxFlags, W_OK, X_OK,
} from "../abi/fcntl.ts";
import { PATH_MAX } from "../abi/limits.ts";
import { MS_NOEXEC } from "../abi/mount.ts";
import { formatFlags } from "../abi/flags.ts";
import { newDecodeDev } from "../abi/dev_t.ts";
import { decodeStruct } from "../abi/layout.ts";
import {
  formatMode, isBlockDevice, isCharDevice, isDirectory, isRegular, isSymlink, statfsLayout, statLayout, statxAttributes, statxLayout, statxMask,
} from "../abi/stat.ts";
import { wantWrite } from "../fs/create.ts";
import { pathText } from "../fs/d_path.ts";
import { fgetRaw } from "../fs/fd_table.ts";
import type { Addr, OpenFile } from "../fs/file.ts";
import { fsOf, setCwd, setRoot, walkContext } from "../fs/fs_struct.ts";
import { inodeOf } from "../fs/inode.ts";
import { computedType, mountOf, sbOf } from "../fs/mount.ts";
import { nodePermission, type Node } from "../fs/namei.ts";
import { nameBytes } from "../fs/names.ts";
import { hasCapability, MAY_EXEC } from "../fs/permission.ts";
import { statBytes, statfsBytes, statxBytes } from "../fs/stat.ts";
import { getname, nodeOfFile, pathAt, userPathAt } from "../fs/user_path.ts";
import type { Kernel } from "../kernel.ts";
import { copyToUser } from "../mm/usercopy.ts";
import type { Cred } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { dirfd, fdNumber, flags, int, path, size, structOut, uint } from "./args.ts";
import { structCodec, type Codec } from "./codec.ts";
import { textOut } from "./file_args.ts";
import type { Rows } from "./row.ts";
import { showDevice } from "./strace.ts";

function copyOut(k: Kernel, task: Task, addr: Addr, bytes: Uint8Array): number {
  return copyToUser(k, task, addr, bytes) < bytes.length ? -EFAULT : 0;
}

function statNode(k: Kernel, task: Task, node: Node | number, statbuf: Addr): number {
  return typeof node === "number" ? node : copyOut(k, task, statbuf, statBytes(k, node.inode));
}

function sysFstat(k: Kernel, task: Task, [fd, statbuf]: [number, Addr]): number {
  const file = fgetRaw(k, task, fd);
  return typeof file === "number" ? file : copyOut(k, task, statbuf, statBytes(k, inodeOf(k, file.inode)));
}

function sysNewfstatat(k: Kernel, task: Task, [at, pathname, statbuf, how]: [number, Addr, Addr, number]): number {
  if ((how & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const options = { follow: (how & AT_SYMLINK_NOFOLLOW) === 0, empty: (how & AT_EMPTY_PATH) !== 0 };
  return statNode(k, task, userPathAt(k, task, at, pathname, options), statbuf);
}

const STATX_RESERVED = 0x8000_0000;

function sysStatx(k: Kernel, task: Task, [at, pathname, how, mask, statxbuf]: [number, Addr, number, number, Addr]): number {
  if ((mask & STATX_RESERVED) !== 0) return -EINVAL;
  if ((how & AT_STATX_SYNC_TYPE) === (AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC)) return -EINVAL;
  if ((how & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) !== 0) return -EINVAL;
  const node = userPathAt(k, task, at, pathname, { follow: (how & AT_SYMLINK_NOFOLLOW) === 0, empty: (how & AT_EMPTY_PATH) !== 0 });
  return typeof node === "number" ? node : copyOut(k, task, statxbuf, statxBytes(k, node));
}

/** access(2) asks for the real user, whose capabilities are none unless it is root. */
function realCred({ cred }: Task): Cred {
  return { ...cred, fsuid: cred.uid, fsgid: cred.gid, capEffective: cred.uid === 0 ? cred.capPermitted : 0n };
}

function accessAt(k: Kernel, task: Task, at: number, pathname: Addr, mode: number, how: number): number {
  if ((mode & ~7) !== 0 || (how & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const ctx = walkContext(k, task);
  if ((how & AT_EACCESS) === 0) ctx.cred = realCred(task);
  const node = userPathAt(k, task, at, pathname, { follow: (how & AT_SYMLINK_NOFOLLOW) === 0, empty: (how & AT_EMPTY_PATH) !== 0, ctx });
  if (typeof node === "number") return node;
  const { inode, mnt } = node;
  if ((mode & X_OK) !== 0 && isRegular(inode.mode) && (mountOf(k, mnt).flags & MS_NOEXEC) !== 0) return -EACCES;
  const denied = mode === 0 ? 0 : nodePermission(k, ctx, node, mode);
  if (denied !== 0) return denied;
  const stored = isRegular(inode.mode) || isDirectory(inode.mode) || isSymlink(inode.mode);
  return (mode & W_OK) !== 0 && stored && wantWrite(k, mnt) !== 0 ? -EROFS : 0;
}

function sysReadlinkat(k: Kernel, task: Task, [at, pathname, buf, bufsiz]: [number, Addr, Addr, number]): number {
  if (bufsiz <= 0) return -EINVAL;
  const name = getname(k, task, pathname, true);
  if (typeof name === "number") return name;
  const node = pathAt(k, task, at, name, { follow: false, empty: true });
  if (typeof node === "number") return node;
  // As Linux: an empty path is for a descriptor of a link.
  if (!isSymlink(node.inode.mode)) return name === "" ? -ENOENT : -EINVAL;
  const text = typeof node.dentry === "number" ? node.inode.target
    : (computedType(k, sbOf(k, node.mnt))?.readlink(k, node.dentry, walkContext(k, task)) ?? -EINVAL);
  if (typeof text === "number") return text;
  const bytes = nameBytes(text.slice(0, bufsiz));
  return copyOut(k, task, buf, bytes) < 0 ? -EFAULT : bytes.length;
}

function sysStatfs(k: Kernel, task: Task, [pathname, buf]: [Addr, Addr]): number {
  const node = userPathAt(k, task, AT_FDCWD, pathname);
  return typeof node === "number" ? node : copyOut(k, task, buf, statfsBytes(k, node.mnt));
}

function sysFstatfs(k: Kernel, task: Task, [fd, buf]: [number, Addr]): number {
  const file = fgetRaw(k, task, fd);
  return typeof file === "number" ? file : copyOut(k, task, buf, statfsBytes(k, file.path.mnt));
}

function sysGetcwd(k: Kernel, task: Task, [buf, length]: [Addr, number | bigint]): number {
  const { cwd, root } = fsOf(k, task);
  const { path: text, reachable, deleted } = pathText(k, cwd, root);
  if (deleted) return -ENOENT;
  const bytes = nameBytes(`${reachable ? "" : "(unreachable)"}${text}\0`);
  if (bytes.length > PATH_MAX) return -ENAMETOOLONG;
  if (bytes.length > length) return -ERANGE;
  return copyOut(k, task, buf, bytes) < 0 ? -EFAULT : bytes.length;
}

/** Whether a node may become a working directory: 0 or an errno. */
function mayEnter(k: Kernel, task: Task, node: Node): number {
  return nodePermission(k, walkContext(k, task), node, MAY_EXEC);
}

function sysChdir(k: Kernel, task: Task, [pathname]: [Addr]): number {
  const node = userPathAt(k, task, AT_FDCWD, pathname, { directory: true });
  if (typeof node === "number") return node;
  const denied = mayEnter(k, task, node);
  if (denied === 0) setCwd(k, fsOf(k, task), node);
  return denied;
}

function sysFchdir(k: Kernel, task: Task, [fd]: [number]): number {
  const file: OpenFile | number = fgetRaw(k, task, fd);
  if (typeof file === "number") return file;
  const node = nodeOfFile(k, file);
  if (!isDirectory(node.inode.mode)) return -ENOTDIR;
  const denied = mayEnter(k, task, node);
  if (denied === 0) setCwd(k, fsOf(k, task), node);
  return denied;
}

function sysChroot(k: Kernel, task: Task, [pathname]: [Addr]): number {
  const node = userPathAt(k, task, AT_FDCWD, pathname, { directory: true });
  if (typeof node === "number") return node;
  const denied = mayEnter(k, task, node);
  if (denied !== 0) return denied;
  if (!hasCapability(task.cred, CAP_SYS_CHROOT)) return -EPERM;
  setRoot(k, fsOf(k, task), node);
  return 0;
}

/** As strace abbreviates it: what a file is, and its size or the device that it stands for. */
const statCodec: Codec = {
  ...structCodec("stat", statLayout, ["st_dev", "st_rdev"]),
  show(bytes) {
    const { st_mode, st_rdev, st_size } = decodeStruct(statLayout, bytes);
    const device = isCharDevice(st_mode) || isBlockDevice(st_mode);
    return `{st_mode=${formatMode(st_mode)}, ${device ? `st_rdev=${showDevice(newDecodeDev(Number(st_rdev)))}` : `st_size=${st_size}`}, ...}`;
  },
};
const statxCodec: Codec = {
  ...structCodec("statx", statxLayout),
  show(bytes) {
    const { stx_mask, stx_attributes, stx_mode, stx_size } = decodeStruct(statxLayout, bytes);
    const attributes = stx_attributes === 0 ? "0" : formatFlags(statxAttributes, Number(stx_attributes));
    return `{stx_mask=${formatFlags(statxMask, stx_mask)}, stx_attributes=${attributes}, stx_mode=${formatMode(stx_mode)}, stx_size=${stx_size}, ...}`;
  },
};
const stat = structOut("statbuf", statCodec);
const statfs = structOut("buf", structCodec("statfs", statfsLayout));

export const statRows: Rows = {
  stat: {
    x86_64: 4, args: [path("pathname"), stat],
    run: (k, task, [pathname, statbuf]: [Addr, Addr]) => statNode(k, task, userPathAt(k, task, AT_FDCWD, pathname), statbuf),
  },
  lstat: {
    x86_64: 6, args: [path("pathname"), stat],
    run: (k, task, [pathname, statbuf]: [Addr, Addr]) => statNode(k, task, userPathAt(k, task, AT_FDCWD, pathname, { follow: false }), statbuf),
  },
  fstat: { x86_64: 5, args: [fdNumber("fd"), stat], run: sysFstat },
  newfstatat: { x86_64: 262, args: [dirfd("dirfd"), path("pathname"), stat, flags("flags", atFlags)], run: sysNewfstatat },
  statx: {
    x86_64: 332,
    args: [dirfd("dirfd"), path("pathname"), flags("flags", statxFlags), flags("mask", statxMask), structOut("statxbuf", statxCodec)],
    run: sysStatx,
  },
  access: {
    x86_64: 21, args: [path("pathname"), flags("mode", accessModes)],
    run: (k, task, [pathname, mode]: [Addr, number]) => accessAt(k, task, AT_FDCWD, pathname, mode, 0),
  },
  faccessat: {
    x86_64: 269, args: [dirfd("dirfd"), path("pathname"), flags("mode", accessModes)],
    run: (k, task, [at, pathname, mode]: [number, Addr, number]) => accessAt(k, task, at, pathname, mode, 0),
  },
  faccessat2: {
    x86_64: 439, args: [dirfd("dirfd"), path("pathname"), flags("mode", accessModes), flags("flags", faccessatFlags)],
    run: (k, task, [at, pathname, mode, how]: [number, Addr, number, number]) => accessAt(k, task, at, pathname, mode, how),
  },
  readlink: {
    x86_64: 89, args: [path("pathname"), textOut("buf", "bufsiz"), int("bufsiz")],
    run: (k, task, [pathname, buf, bufsiz]: [Addr, Addr, number]) => sysReadlinkat(k, task, [AT_FDCWD, pathname, buf, bufsiz]),
  },
  readlinkat: { x86_64: 267, args: [dirfd("dirfd"), path("pathname"), textOut("buf", "bufsiz"), int("bufsiz")], run: sysReadlinkat },
  statfs: { x86_64: 137, args: [path("path"), statfs], run: sysStatfs },
  fstatfs: { x86_64: 138, args: [fdNumber("fd"), statfs], run: sysFstatfs },
  getcwd: { x86_64: 79, args: [textOut("buf", "size"), size("size")], run: sysGetcwd },
  chdir: { x86_64: 80, args: [path("path")], run: sysChdir },
  fchdir: { x86_64: 81, args: [fdNumber("fd")], run: sysFchdir },
  chroot: { x86_64: 161, args: [path("path")], run: sysChroot },
  umask: {
    x86_64: 95, args: [uint("mask")],
    run: (k, task, [mask]: [number]) => {
      const fs = fsOf(k, task);
      const old = fs.umask;
      fs.umask = mask & 0o777;
      return old;
    },
  },
};
