/** devtmpfs: device nodes appear in /dev as devices do, with the modes that udev would give them (drivers/base/devtmpfs.c). */
import { IN_CREATE, IN_DELETE } from "../abi/inotify.ts";
import { S_IFCHR, S_IFDIR } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { directoryChanged } from "./create.ts";
import { addEntry, removeEntry } from "./dcache.ts";
import { dentryOf, inodeOf, type Dentry } from "./inode.ts";
import type { SuperBlock } from "./mount.ts";
import { newInode } from "./new_inode.ts";
import { notifyChild } from "./notify.ts";
import { currentTime } from "./times.ts";

const DEFAULT_MODE = 0o600;

/** The one file system of device nodes; null before the tree is made. */
function superBlock(k: Kernel): SuperBlock | null {
  for (const sb of k.state.fs.superBlocks.values()) if (sb.type === "devtmpfs") return sb;
  return null;
}

function childOf(k: Kernel, parent: Dentry, name: string): Dentry | null {
  const id = inodeOf(k, parent.inode).entries?.get(name);
  return id === undefined ? null : dentryOf(k, id);
}

function enter(k: Kernel, sb: SuperBlock, parent: Dentry, name: string, mode: number, rdev: number): Dentry {
  const dir = inodeOf(k, parent.inode);
  const inode = newInode(k, sb, { mode, uid: 0, gid: 0, rdev });
  const dentry = addEntry(k, parent, name, inode);
  if (rdev === 0) dir.nlink++;
  directoryChanged(k, dir, 1);
  notifyChild(k, dir, inode, name, IN_CREATE);
  return dentry;
}

function leave(k: Kernel, dentry: Dentry): void {
  const dir = inodeOf(k, dentryOf(k, dentry.parent).inode);
  const inode = inodeOf(k, dentry.inode);
  if (inode.entries !== null) {
    dir.nlink--;
    inode.nlink = 0;
  } else inode.nlink--;
  inode.ctimeNs = currentTime(k);
  directoryChanged(k, dir, -1);
  notifyChild(k, dir, inode, dentry.name, IN_DELETE);
  removeEntry(k, dentry);
}

/** The mode that machine.udev asks for, or the driver's own. */
function nodeMode(k: Kernel, path: string, mode: number): number {
  const { udev } = k.state.machine;
  if (Object.hasOwn(udev, path)) return Number.parseInt(udev[path], 8) & 0o7777;
  return mode === 0 ? DEFAULT_MODE : mode;
}

/**
 * Makes the node `path` below /dev with the directories on the way. `mode` 0 is 0600, `type` S_IFCHR or S_IFBLK. Answers its
 * inode id, or 0 when a file of that name is there already: it stays as it is.
 */
export function devtmpfsCreate(k: Kernel, path: string, mode: number, dev: number, type: number = S_IFCHR): number {
  const sb = superBlock(k);
  if (sb === null) return 0;
  let parent = dentryOf(k, sb.root as number);
  const parts = path.split("/");
  for (const part of parts.slice(0, -1)) parent = childOf(k, parent, part) ?? enter(k, sb, parent, part, S_IFDIR | 0o755, 0);
  const name = parts[parts.length - 1];
  if (childOf(k, parent, name) !== null || inodeOf(k, parent.inode).entries === null) return 0;
  return enter(k, sb, parent, name, type | nodeMode(k, path, mode), dev).inode;
}

/** Removes a node that devtmpfsCreate made, and directories that it leaves empty. One that somebody put in its place stays. */
export function devtmpfsRemove(k: Kernel, path: string, inode: number): void {
  const sb = superBlock(k);
  if (sb === null) return;
  let dentry: Dentry | null = dentryOf(k, sb.root as number);
  for (const part of path.split("/")) {
    dentry = childOf(k, dentry, part);
    if (dentry === null) return;
  }
  if (dentry.inode !== inode) return;
  for (let up = path.split("/").length - 1; ; up--) {
    const parent: Dentry = dentryOf(k, dentry.parent);
    leave(k, dentry);
    if (up === 0 || inodeOf(k, parent.inode).entries?.size !== 0) return;
    dentry = parent;
  }
}
