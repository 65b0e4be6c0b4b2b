/** Telling inotify(7) watches what happened to an inode or in a directory; a look at an empty map where nobody watches. */
import { IN_ACCESS, IN_DELETE_SELF, IN_ISDIR, IN_MODIFY, IN_ONESHOT } from "../abi/inotify.ts";
import { isDirectory, isRegular } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import type { OpenFile } from "./file.ts";
import { tellDirectory } from "./dnotify.ts";
import { dentryOf, inodeOf, type Inode, type PathRef } from "./inode.ts";
import { queueEvent, removeWatch } from "./inotify.ts";

/** Nobody watches anything. */
function unwatched({ state: { fs } }: Kernel): boolean {
  return fs.watched.size === 0 && fs.dnotify.size === 0;
}

/** Something happened to an inode itself: its own watches hear of it, without a name. */
export function notifyInode(k: Kernel, inode: Inode, mask: number): void {
  if (unwatched(k)) return;
  tell(k, inode, isDirectory(inode.mode) ? mask | IN_ISDIR : mask, "", 0);
}

/** Something happened to the entry `name` of a directory: the directory's watches hear of it. */
export function notifyChild(k: Kernel, dir: Inode, child: Inode, name: string, mask: number, cookie = 0): void {
  if (unwatched(k)) return;
  tell(k, dir, isDirectory(child.mode) ? mask | IN_ISDIR : mask, name, cookie);
}

/** Something was done through an open file: both the file's own watches and its directory's hear of it. */
export function notifyFile(k: Kernel, file: OpenFile, mask: number): void {
  if (!unwatched(k)) notifyPlace(k, file.path, inodeOf(k, file.inode), mask);
}

/** Something was done to what a path led to: both its own watches and its directory's hear of it. */
export function notifyPlace(k: Kernel, { dentry: at }: PathRef, inode: Inode, mask: number): void {
  if (unwatched(k)) return;
  // As Linux (6.18, and 6.1 of late): reading and writing a FIFO or device is no news to those who watch its directory.
  const told = (mask & (IN_ACCESS | IN_MODIFY)) === 0 || isRegular(inode.mode) || isDirectory(inode.mode);
  if (told && typeof at === "number") {
    const dentry = dentryOf(k, at);
    // A file without a name is told by its number.
    const name = dentry.name || `#${inode.ino}`;
    if (dentry.parent !== dentry.id) notifyChild(k, inodeOf(k, dentryOf(k, dentry.parent).inode), inode, name, mask);
  }
  notifyInode(k, inode, mask);
}

function tell(k: Kernel, inode: Inode, mask: number, name: string, cookie: number): void {
  if (k.state.fs.dnotify.size > 0) tellDirectory(k, inode, mask, name);
  for (const id of [...(k.state.fs.watched.get(inode.id) ?? [])]) {
    const watch = must(k.state.fs.watches, id);
    if ((watch.mask & mask & 0xfff) === 0) continue;
    queueEvent(k, watch, mask, name, cookie);
    if ((watch.mask & IN_ONESHOT) !== 0) removeWatch(k, watch);
  }
}

/** An inode is freed: its watches hear of it and go. */
export function inodeGone(k: Kernel, inode: Inode): void {
  if (k.state.fs.watched.size === 0) return;
  notifyInode(k, inode, IN_DELETE_SELF);
  for (const id of [...(k.state.fs.watched.get(inode.id) ?? [])]) removeWatch(k, must(k.state.fs.watches, id));
}
