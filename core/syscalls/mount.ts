/** mount(2), umount2(2), and files that only memory has (memfd_create(2)). */
import { EAGAIN, EBUSY, EFAULT, EINVAL, ELOOP, ENFILE, ENODEV, ENOSPC, ENOTDIR, EPERM } from "../abi/errno.ts";
import { CAP_SYS_ADMIN } from "../abi/capability.ts";
import { AT_FDCWD, F_SEAL_SEAL, O_LARGEFILE, O_RDWR } from "../abi/fcntl.ts";
import {
  MNT_DETACH, MNT_EXPIRE, MNT_FORCE, mountFlags, MS_BIND, MS_MOVE, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_NOSYMFOLLOW, MS_PRIVATE, MS_RDONLY,
  MS_RELATIME, MS_REMOUNT, MS_SHARED, MS_SLAVE, MS_UNBINDABLE, UMOUNT_NOFOLLOW, umountFlags,
} from "../abi/mount.ts";
import { isDirectory, S_IFREG } from "../abi/stat.ts";
import { allocFile, filesLeft, type Addr } from "../fs/file.ts";
import {
  attachMount, detachMount, hangsBelow, isFileSystemType, MOUNT_MAX, mountOf, moveMount, newSuperBlock, sbOf, tmpfsLimits, type Mount,
} from "../fs/mount.ts";
import type { Node } from "../fs/namei.ts";
import { newInode } from "../fs/new_inode.ts";
import { getname, userPathAt } from "../fs/user_path.ts";
import type { Kernel } from "../kernel.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { flags, path } from "./args.ts";
import { installNew } from "./eventfd.ts";
import type { Rows } from "./row.ts";

const KEPT = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW;
const PROPAGATION = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE;

/** A string argument that may be NULL: "" then. */
function optionalName(k: Kernel, task: Task, addr: Addr): string | number {
  return addr === 0 ? "" : getname(k, task, addr, true);
}

interface MountRequest {
  source: string;
  sourceAddr: Addr;
  /** Null when none was given. */
  type: string | null;
  flags: number;
  data: string;
}

/** Flags of old programs carry this in their upper half. */
const MS_MGC_VAL = 0xc0ed;

function sysMount(k: Kernel, task: Task, [sourceAddr, target, typeAddr, given, dataAddr]: [Addr, Addr, Addr, number, Addr]): number {
  const how = given >>> 16 === MS_MGC_VAL ? given & 0xffff : given;
  const type = optionalName(k, task, typeAddr);
  const source = optionalName(k, task, sourceAddr);
  const data = optionalName(k, task, dataAddr);
  if (typeof type === "number" || typeof source === "number" || typeof data === "number") return -EFAULT;
  const node = userPathAt(k, task, AT_FDCWD, target);
  if (typeof node === "number") return node;
  if (!capable(task, CAP_SYS_ADMIN)) return -EPERM;
  const request = { source, sourceAddr, type: typeAddr === 0 ? null : type, flags: how, data };
  if ((how & MS_REMOUNT) !== 0) return remount(k, node, how);
  if ((how & PROPAGATION) !== 0) return node.dentry === mountOf(k, node.mnt).root ? 0 : -EINVAL;
  if ((how & MS_MOVE) !== 0 && (how & MS_BIND) === 0) return move(k, task, node, request);
  if (k.state.fs.mounts.size >= MOUNT_MAX) return -ENOSPC;
  return (how & MS_BIND) !== 0 ? bind(k, task, node, request) : mountNew(k, node, request);
}

function remount(k: Kernel, { mnt, dentry }: Node, how: number): number {
  const mount = mountOf(k, mnt);
  if (dentry !== mount.root) return -EINVAL;
  if ((how & MS_RDONLY) !== 0 && writersOn(k, mount)) return -EBUSY;
  mount.flags = (mount.flags & ~KEPT) | (how & KEPT);
  return 0;
}

/** Whether somebody has a regular file of the mount open for writing. */
function writersOn(k: Kernel, mount: Mount): boolean {
  for (const file of k.state.fs.files.values()) if (file.path.mnt === mount.id && file.canWrite && file.ops === "regular") return true;
  return false;
}

/** Shows a part of the tree at a second place; a directory on a directory, a file on a file. */
function bind(k: Kernel, task: Task, node: Node, { sourceAddr, source }: MountRequest): number {
  if (source === "") return -EINVAL;
  const from = userPathAt(k, task, AT_FDCWD, sourceAddr);
  if (typeof from === "number") return from;
  if (isDirectory(from.inode.mode) !== isDirectory(node.inode.mode)) return -ENOTDIR;
  const origin = mountOf(k, from.mnt);
  attachMount(k, sbOf(k, from.mnt), node, { flags: origin.flags, source: origin.source, root: from.dentry });
  return 0;
}

/** Hangs a mount somewhere else; not the root, and not inside itself. */
function move(k: Kernel, task: Task, node: Node, { sourceAddr, source }: MountRequest): number {
  if (source === "") return -EINVAL;
  const from = userPathAt(k, task, AT_FDCWD, sourceAddr);
  if (typeof from === "number") return from;
  const mount = mountOf(k, from.mnt);
  if (from.dentry !== mount.root || mount.parent === mount.id || isDirectory(from.inode.mode) !== isDirectory(node.inode.mode)) return -EINVAL;
  if (hangsBelow(k, node.mnt, mount)) return -ELOOP;
  moveMount(k, mount, node);
  return 0;
}

/** What tmpfs takes without looking at it: flags that mount(2) has of its own, and huge pages. */
const ACCEPTED = /^(ro|rw|sync|async|dirsync|lazytime|nolazytime|mand|nomand|inode32|inode64|huge=(never|always|within_size|advise)|mpol=\S+)$/;

/** mode=, size= and nr_inodes= of a tmpfs; null for anything else. */
function tmpfsOptions(k: Kernel, data: string): { mode: number; uid: number; gid: number; maxPages: number; maxInodes: number; options: string } | null {
  const set = { mode: 0o1777, uid: 0, gid: 0, ...tmpfsLimits(k), options: data };
  for (const option of data.split(",").filter((one) => one !== "")) {
    if (ACCEPTED.test(option)) continue;
    const [, name, digits, unit] = /^(mode|size|nr_inodes|uid|gid)=([0-9]+)([kmg%]?)$/i.exec(option) ?? [];
    if (name === undefined) return null;
    const scale = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }[unit.toLowerCase()] ?? 1;
    if (name === "uid" || name === "gid") set[name] = Number(digits);
    if (name === "mode" && !/^[0-7]+$/.test(digits)) return null;
    if (name === "mode") set.mode = Number.parseInt(digits, 8) & 0o7777;
    if (name === "nr_inodes") set.maxInodes = Math.min(set.maxInodes, Number(digits) * scale);
    if (name === "size") {
      const bytes = unit === "%" ? (k.state.machine.ramMiB * 2 ** 20 * Number(digits)) / 100 : Number(digits) * scale;
      set.maxPages = Math.min(k.state.machine.ramMiB * 256, Math.ceil(bytes / 4096));
    }
  }
  return set;
}

function mountNew(k: Kernel, node: Node, { type, source, flags: how, data }: MountRequest): number {
  if (type === null) return -EINVAL;
  if (!isFileSystemType(type)) return -ENODEV;
  if (!isDirectory(node.inode.mode)) return -ENOTDIR;
  const options = type === "tmpfs" ? tmpfsOptions(k, data) : { options: "" };
  if (options === null) return -EINVAL;
  // A machine has one device tree, however often it is shown; others begin empty.
  const known = type === "devtmpfs" ? [...k.state.fs.superBlocks.values()].find((sb) => sb.type === type) : undefined;
  attachMount(k, known ?? newSuperBlock(k, type, options), node, { flags: (how & KEPT) | MS_RELATIME, source: source === "" ? "none" : source });
  return 0;
}

function sysUmount2(k: Kernel, task: Task, [target, how]: [Addr, number]): number {
  if ((how & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) !== 0) return -EINVAL;
  const node = userPathAt(k, task, AT_FDCWD, target, { follow: (how & UMOUNT_NOFOLLOW) === 0 });
  if (typeof node === "number") return node;
  const mount = mountOf(k, node.mnt);
  if (!capable(task, CAP_SYS_ADMIN)) return -EPERM;
  if (node.dentry !== mount.root || mount.parent === mount.id) return -EINVAL;
  if ((how & MNT_EXPIRE) !== 0 && (how & (MNT_FORCE | MNT_DETACH)) !== 0) return -EINVAL;
  if ((how & MNT_DETACH) === 0 && mount.refs > 0) return -EBUSY;
  if ((how & MNT_EXPIRE) !== 0 && !mount.expiring) {
    mount.expiring = true;
    return -EAGAIN;
  }
  detachMount(k, mount);
  return 0;
}

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_NAME_MAX = 249;

/** A file without a place in the tree, which may be mapped and sealed. */
function sysMemfdCreate(k: Kernel, task: Task, [nameAddr, how]: [Addr, number]): number {
  if ((how & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING)) !== 0) return -EINVAL;
  const name = getname(k, task, nameAddr, true);
  if (typeof name === "number") return -EFAULT;
  if (name.length > MFD_NAME_MAX) return -EINVAL;
  if (!filesLeft(k)) return -ENFILE;
  const { fs } = k.state;
  const { fsuid, fsgid } = task.cred;
  const inode = newInode(k, sbOf(k, fs.anonMount), { mode: S_IFREG | 0o777, uid: fsuid, gid: fsgid });
  inode.nlink = 0;
  inode.seals = (how & MFD_ALLOW_SEALING) !== 0 ? 0 : F_SEAL_SEAL;
  const file = allocFile(k, {
    ops: "regular", flags: O_RDWR | O_LARGEFILE, inode: inode.id, path: { mnt: fs.anonMount, dentry: String(inode.id) },
    canRead: true, canWrite: true, name: `/memfd:${name} (deleted)`,
  });
  inode.writers++;
  return installNew(k, task, file, (how & MFD_CLOEXEC) !== 0);
}

export const mountRows: Rows = {
  mount: {
    x86_64: 165, args: [path("source"), path("target"), path("filesystemtype"), flags("mountflags", mountFlags), path("data")],
    run: sysMount, partial: "mounts do not propagate, MS_REC binds one mount only",
  },
  umount2: { x86_64: 166, args: [path("target"), flags("flags", umountFlags)], run: sysUmount2 },
  memfd_create: {
    x86_64: 319, args: [path("name"), flags("flags", { prefix: "MFD_", flags: { MFD_CLOEXEC, MFD_ALLOW_SEALING } })], run: sysMemfdCreate,
    partial: "MFD_HUGETLB is refused",
  },
};
