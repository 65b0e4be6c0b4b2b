/** Root, working directory and umask of a process (struct fs_struct). */
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import type { Task } from "../sched/task.ts";
import { pathGet, pathPut } from "./dcache.ts";
import type { WalkContext } from "./fs_type.ts";
import type { PathRef } from "./inode.ts";

export interface FsStruct {
  id: number;
  /** Tasks that share it (CLONE_FS). */
  refs: number;
  root: PathRef;
  cwd: PathRef;
  umask: number;
}

/** The root of the whole tree. */
export function treeRoot(k: Kernel): PathRef {
  const mount = must(k.state.fs.mounts, k.state.fs.rootMount);
  return { mnt: mount.id, dentry: mount.root };
}

/** A record for a fresh process: the tree's root, umask 022; answers its id, for `task.fs`. */
export function newFsStruct(k: Kernel): number {
  return addFsStruct(k, treeRoot(k), treeRoot(k), 0o022).id;
}

function addFsStruct(k: Kernel, root: PathRef, cwd: PathRef, umask: number): FsStruct {
  const fs: FsStruct = { id: k.state.fs.nextFsStruct++, refs: 1, root: { ...root }, cwd: { ...cwd }, umask };
  pathGet(k, root);
  pathGet(k, cwd);
  k.state.fs.fsStructs.set(fs.id, fs);
  return fs;
}

export function fsOf(k: Kernel, task: Task): FsStruct {
  return must(k.state.fs.fsStructs, task.fs);
}

/** Gives `child` the parent's record, shared under CLONE_FS, else a copy. */
export function forkFs(k: Kernel, parent: Task, child: Task, share: boolean): void {
  const fs = fsOf(k, parent);
  if (share) fs.refs++;
  child.fs = share ? fs.id : addFsStruct(k, fs.root, fs.cwd, fs.umask).id;
}

/** The task no longer holds its record. */
export function exitFs(k: Kernel, task: Task): void {
  if (task.fs === 0) return;
  const fs = fsOf(k, task);
  task.fs = 0;
  if (--fs.refs > 0) return;
  k.state.fs.fsStructs.delete(fs.id);
  pathPut(k, fs.root);
  pathPut(k, fs.cwd);
}

/** A record of its own for one that shared it (unshare CLONE_FS). */
export function unshareFs(k: Kernel, task: Task): void {
  const fs = fsOf(k, task);
  if (fs.refs === 1) return;
  fs.refs--;
  task.fs = addFsStruct(k, fs.root, fs.cwd, fs.umask).id;
}

export function setCwd(k: Kernel, fs: FsStruct, to: PathRef): void {
  const old = fs.cwd;
  pathGet(k, to);
  fs.cwd = { mnt: to.mnt, dentry: to.dentry };
  pathPut(k, old);
}

export function setRoot(k: Kernel, fs: FsStruct, to: PathRef): void {
  const old = fs.root;
  pathGet(k, to);
  fs.root = { mnt: to.mnt, dentry: to.dentry };
  pathPut(k, old);
}

/** How a task walks. A kernel thread walks from the tree's root. */
export function walkContext(k: Kernel, task: Task): WalkContext {
  if (task.fs === 0) return { cred: task.cred, tid: task.tid, root: treeRoot(k), cwd: treeRoot(k) };
  const { root, cwd } = fsOf(k, task);
  return { cred: task.cred, tid: task.tid, root, cwd };
}
