/** Super blocks and mounts: which file systems exist, and where they hang in the tree (mount(8)). */
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { MKDEV } from "../abi/dev_t.ts";
import { DEBUGFS_MAGIC, PIPEFS_MAGIC, PROC_SUPER_MAGIC, RAMFS_MAGIC, SYSFS_MAGIC, TMPFS_MAGIC } from "../abi/fsmagic.ts";
import { S_IFDIR } from "../abi/stat.ts";
import { dput, freeTree, rootDentry } from "./dcache.ts";
import { fileSystemTypes, type FileSystemType } from "./fs_type.ts";
import { dentryOf, type PathRef } from "./inode.ts";
import { newInode } from "./new_inode.ts";

/** A file system in memory; several mounts may show it. */
export interface SuperBlock {
  id: number;
  /** Name of the file-system type. */
  type: string;
  magic: number;
  /** The kernel's dev_t: major 0 and a minor of its own. */
  dev: number;
  /** The root: a dentry, or "" in a file system whose inodes are computed. */
  root: number | string;
  /** Mounts that show it. */
  refs: number;
  nextIno: number;
  /** Pages and inodes that it may hold; 0 is no limit. */
  maxPages: number;
  usedPages: number;
  maxInodes: number;
  usedInodes: number;
  /** Computed inodes that are open: key → inode id. */
  open: Map<string, number>;
  /** Modes and owners that chmod and chown gave to computed inodes, by key. */
  attributes: Map<string, { mode: number; uid: number; gid: number }>;
  /** What /proc/mounts shows after "rw", such as "mode=755". */
  options: string;
}

export interface Mount {
  id: number;
  /** The mount that it hangs in; its own id for the root. */
  parent: number;
  /** Where it hangs in `parent`. */
  mountpoint: number | string;
  sb: number;
  /** What it shows as its root; below the file system's root for a bind mount. */
  root: number | string;
  /** MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_RELATIME … */
  flags: number;
  /** The device or other name that mount(2) was given. */
  source: string;
  /** Open files, working directories, and mounts inside it. */
  refs: number;
  /** umount2(2) with MNT_EXPIRE has been asked for once: the second time it goes. */
  expiring: boolean;
  /** Taken out of the tree; goes with its last holder. */
  detached: boolean;
}

/** File systems that keep their inodes, and what statfs(2) calls them. */
const storedTypes: { [type: string]: number } = {
  rootfs: TMPFS_MAGIC, tmpfs: TMPFS_MAGIC, devtmpfs: TMPFS_MAGIC, ramfs: RAMFS_MAGIC, anonfs: PIPEFS_MAGIC,
};
const computedMagic: { [type: string]: number } = { proc: PROC_SUPER_MAGIC, sysfs: SYSFS_MAGIC, debugfs: DEBUGFS_MAGIC };

/** /proc/sys/fs/mount-max is 100000; a kernel here holds fewer. */
export const MOUNT_MAX = 1024;

export function sbOf(k: Kernel, mnt: number): SuperBlock {
  return must(k.state.fs.superBlocks, mountOf(k, mnt).sb);
}

export function mountOf(k: Kernel, mnt: number): Mount {
  return must(k.state.fs.mounts, mnt);
}

/** The type of a file system whose inodes are computed; null for one that stores them. */
export function computedType(_k: Kernel, sb: SuperBlock): FileSystemType | null {
  return typeof sb.root === "string" ? must(fileSystemTypes, sb.type) : null;
}

/** Whether mount(2) knows the type. */
export function isFileSystemType(type: string): boolean {
  return (Object.hasOwn(storedTypes, type) && type !== "anonfs" && type !== "rootfs") || fileSystemTypes.has(type);
}

/** A fresh file system. `maxPages` and `maxInodes`: 0 for none. `mode`, `uid`, `gid`: of its root. */
export function newSuperBlock(
  k: Kernel, type: string, { mode = 0o755, uid = 0, gid = 0, maxPages = 0, maxInodes = 0, options = "" } = {},
): SuperBlock {
  const { fs } = k.state;
  const stored = Object.hasOwn(storedTypes, type);
  const sb: SuperBlock = {
    id: fs.nextSuperBlock++, type, magic: stored ? storedTypes[type] : (computedMagic[type] ?? fileSystemTypes.get(type)?.magic ?? 0),
    dev: MKDEV(0, fs.nextAnonDev++), root: "", refs: 0, nextIno: 1, maxPages, usedPages: 0, maxInodes, usedInodes: 0,
    open: new Map(), attributes: new Map(), options,
  };
  fs.superBlocks.set(sb.id, sb);
  if (stored) {
    const root = newInode(k, sb, { mode: S_IFDIR | mode, uid, gid, rdev: 0 });
    root.nlink = 2;
    sb.root = rootDentry(k, root).id;
  }
  return sb;
}

/** The tmpfs defaults: half of the memory, and as many inodes as pages. */
export function tmpfsLimits(k: Kernel): { maxPages: number; maxInodes: number } {
  const half = k.state.machine.ramMiB * 128;
  return { maxPages: half, maxInodes: half };
}

/** Whether a mount hangs at a place below another, or is that one. */
export function hangsBelow(k: Kernel, mnt: number, above: Mount): boolean {
  for (let mount = mountOf(k, mnt); ; mount = mountOf(k, mount.parent)) {
    if (mount === above) return true;
    if (mount.parent === mount.id) return false;
  }
}

/** Hangs a mount, which hangs somewhere, at `at` instead (MS_MOVE). */
export function moveMount(k: Kernel, mount: Mount, at: PathRef): void {
  const parent = mountOf(k, mount.parent);
  if (typeof mount.mountpoint === "number") {
    const dentry = dentryOf(k, mount.mountpoint);
    dentry.mounted--;
    dput(k, dentry);
  }
  hang(k, at);
  parent.refs--;
  if (parent.refs === 0 && parent.detached) endMount(k, parent);
  mount.parent = at.mnt;
  mount.mountpoint = at.dentry;
}

/** A place and its mount are held by what hangs there. */
function hang(k: Kernel, at: PathRef): void {
  mountOf(k, at.mnt).refs++;
  if (typeof at.dentry !== "number") return;
  const dentry = dentryOf(k, at.dentry);
  dentry.refs++;
  dentry.mounted++;
}

/** Shows a file system at `at`; for the root of the tree, `at` is null. */
export function attachMount(
  k: Kernel, sb: SuperBlock, at: PathRef | null, { flags = 0, source = "none", root = sb.root } = {},
): Mount {
  const { fs } = k.state;
  const id = fs.nextMount++;
  const mount: Mount = {
    id, parent: at?.mnt ?? id, mountpoint: at?.dentry ?? 0, sb: sb.id, root, flags, source, refs: 0, expiring: false, detached: false,
  };
  fs.mounts.set(id, mount);
  sb.refs++;
  if (typeof root === "number") dentryOf(k, root).refs++;
  if (at !== null) hang(k, at);
  return mount;
}

/** Takes a mount out of the tree. Its holders keep it until they are gone; nothing new reaches it. */
export function detachMount(k: Kernel, mount: Mount): void {
  assert(mount.parent !== mount.id, "the root mount stays");
  const parent = mountOf(k, mount.parent);
  if (typeof mount.mountpoint === "number") {
    const dentry = dentryOf(k, mount.mountpoint);
    dentry.mounted--;
    dput(k, dentry);
  }
  parent.refs--;
  if (parent.refs === 0 && parent.detached) endMount(k, parent);
  mount.detached = true;
  mount.parent = mount.id;
  if (mount.refs === 0) endMount(k, mount);
}

/** A detached mount has no holder left: its file system goes with its last mount. */
export function endMount(k: Kernel, mount: Mount): void {
  k.state.fs.mounts.delete(mount.id);
  const sb = must(k.state.fs.superBlocks, mount.sb);
  if (typeof mount.root === "number") dput(k, dentryOf(k, mount.root));
  if (--sb.refs > 0) return;
  if (typeof sb.root === "number") freeTree(k, dentryOf(k, sb.root));
  k.state.fs.superBlocks.delete(sb.id);
}

/** The mount on top of a place, or null. */
export function mountedAt(k: Kernel, mnt: number, dentry: number | string): Mount | null {
  let found: Mount | null = null;
  for (const mount of k.state.fs.mounts.values()) {
    // The newest of several covers the others.
    if (mount.parent === mnt && mount.mountpoint === dentry && mount.id !== mnt && !mount.detached) found = mount;
  }
  return found;
}
