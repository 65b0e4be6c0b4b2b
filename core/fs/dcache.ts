/** Dentries and the life of inodes: a name pins its inode, an open file or a working directory pins its name. */
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { dentryOf, inodeOf, xattrBytes, type Dentry, type Inode, type PathRef } from "./inode.ts";
import { endMount } from "./mount.ts";
import { inodeGone } from "./notify.ts";
import { freePages } from "./page_cache.ts";

/** One more holder of a place: its mount and its dentry stay. */
export function pathGet(k: Kernel, path: PathRef): void {
  must(k.state.fs.mounts, path.mnt).refs++;
  if (typeof path.dentry === "number") dentryOf(k, path.dentry).refs++;
}

/** A holder of a place is gone. */
export function pathPut(k: Kernel, path: PathRef): void {
  const mount = must(k.state.fs.mounts, path.mnt);
  if (typeof path.dentry === "number") dput(k, dentryOf(k, path.dentry));
  assert(mount.refs > 0, `mount ${mount.id} has no reference left`);
  // A mount that was detached while held goes with its last holder.
  if (--mount.refs === 0 && mount.detached) endMount(k, mount);
}

/** Gives `inode` a name in the directory `parent`; the newest entry comes last. */
export function addEntry(k: Kernel, parent: Dentry, name: string, inode: Inode): Dentry {
  const dentry = newDentry(k, parent, name, inode);
  hash(k, dentry);
  return dentry;
}

/** A name outside any directory, as of an O_TMPFILE; held once. */
export function unhashedDentry(k: Kernel, parent: Dentry, name: string, inode: Inode): Dentry {
  const dentry = newDentry(k, parent, name, inode);
  dentry.unhashed = true;
  return dentry;
}

function newDentry(k: Kernel, parent: Dentry, name: string, inode: Inode): Dentry {
  const dentry: Dentry = {
    id: k.state.fs.nextDentry++, name, parent: parent.id, inode: inode.id, cookie: 0, refs: 0, unhashed: false, mounted: 0,
  };
  k.state.fs.dentries.set(dentry.id, dentry);
  parent.refs++;
  inode.refs++;
  return dentry;
}

/** The root of a file system: a dentry that is its own parent, held by its super block. */
export function rootDentry(k: Kernel, inode: Inode): Dentry {
  const id = k.state.fs.nextDentry++;
  const dentry: Dentry = { id, name: "/", parent: id, inode: inode.id, cookie: 0, refs: 1, unhashed: false, mounted: 0 };
  k.state.fs.dentries.set(id, dentry);
  inode.refs++;
  return dentry;
}

/** Enters a dentry into its parent directory. */
export function hash(k: Kernel, dentry: Dentry): void {
  const dir = inodeOf(k, dentryOf(k, dentry.parent).inode);
  assert(dir.entries !== null, `dentry ${dentry.id} is to be entered into something that is no directory`);
  dentry.cookie = dir.nextCookie++;
  dentry.unhashed = false;
  dir.entries.set(dentry.name, dentry.id);
}

/** Takes a name out of its directory; what holds it keeps its inode. */
export function removeEntry(k: Kernel, dentry: Dentry): void {
  unhash(k, dentry);
  if (dentry.refs === 0) freeDentry(k, dentry);
}

/** As removeEntry, for a dentry that will be entered elsewhere. */
export function unhash(k: Kernel, dentry: Dentry): void {
  inodeOf(k, dentryOf(k, dentry.parent).inode).entries?.delete(dentry.name);
  dentry.unhashed = true;
}

/** Moves an unhashed dentry below another directory under another name. */
export function moveDentry(k: Kernel, dentry: Dentry, parent: Dentry, name: string): void {
  const old = dentryOf(k, dentry.parent);
  dentry.parent = parent.id;
  dentry.name = name;
  parent.refs++;
  hash(k, dentry);
  dput(k, old);
}

/** A holder of a dentry is gone; an unhashed one goes with its last holder. */
export function dput(k: Kernel, dentry: Dentry): void {
  assert(dentry.refs > 0, `dentry ${dentry.id} has no reference left`);
  if (--dentry.refs === 0 && dentry.unhashed) freeDentry(k, dentry);
}

function freeDentry(k: Kernel, dentry: Dentry): void {
  k.state.fs.dentries.delete(dentry.id);
  dropInode(k, inodeOf(k, dentry.inode));
  if (dentry.parent !== dentry.id) dput(k, dentryOf(k, dentry.parent));
}

/** Forgets a whole tree of names with all that it held: its file system goes. */
export function freeTree(k: Kernel, root: Dentry): void {
  for (const id of [...(inodeOf(k, root.inode).entries?.values() ?? [])]) {
    const child = dentryOf(k, id);
    freeTree(k, child);
    if (k.state.fs.dentries.has(id)) removeEntry(k, child);
  }
  if (root.parent === root.id) {
    root.unhashed = true;
    dput(k, root);
  }
}

/** A name or an open file of an inode is gone; with the last one its content is freed. */
export function dropInode(k: Kernel, inode: Inode): void {
  assert(inode.refs > 0, `inode ${inode.id} has no reference left`);
  if (--inode.refs > 0) return;
  assert(inode.pipe === 0, `inode ${inode.id} goes while its pipe is open`);
  inodeGone(k, inode);
  const sb = must(k.state.fs.superBlocks, inode.sb);
  freePages(k, sb, inode, 0);
  k.state.fs.xattrBytes -= xattrBytes(inode);
  // The root of a computed file system has the key "" too.
  if (typeof sb.root === "number") sb.usedInodes--;
  else if (sb.open.get(inode.key) === inode.id) sb.open.delete(inode.key);
  k.state.fs.inodes.delete(inode.id);
}
