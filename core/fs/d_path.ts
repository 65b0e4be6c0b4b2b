/** From a place back to its path, as getcwd(2), /proc/PID/fd and /proc/PID/maps show it. */
import type { Kernel } from "../kernel.ts";
import type { OpenFile } from "./file.ts";
import type { WalkContext } from "./fs_type.ts";
import { dentryOf, inodeOf, type PathRef } from "./inode.ts";
import { mountOf } from "./mount.ts";
import { parentKey } from "./namei.ts";

/** The path of a place, seen from `root`; `reachable` is false when it lies outside, `deleted` when it was removed. */
export interface PathText {
  path: string;
  reachable: boolean;
  deleted: boolean;
}

/** Climbs from `at` to `root`, or to the top of the tree when `at` is not below it. */
export function pathText(k: Kernel, at: PathRef, root: PathRef): PathText {
  let { mnt, dentry } = at;
  let path = "";
  const deleted = typeof dentry === "number" && dentryOf(k, dentry).unhashed;
  for (;;) {
    if (mnt === root.mnt && dentry === root.dentry) return { path: path || "/", reachable: true, deleted };
    const mount = mountOf(k, mnt);
    if (dentry === mount.root) {
      if (mount.parent === mnt) return { path: path || "/", reachable: false, deleted };
      dentry = mount.mountpoint;
      mnt = mount.parent;
      continue;
    }
    if (typeof dentry === "number") {
      const { name, parent, inode } = dentryOf(k, dentry);
      if (parent === dentry) return { path: path || "/", reachable: false, deleted };
      path = `/${name || `#${inodeOf(k, inode).ino}`}${path}`;
      dentry = parent;
    } else {
      path = `/${dentry.slice(dentry.lastIndexOf("/") + 1)}${path}`;
      dentry = parentKey(dentry);
    }
  }
}

/** As d_path: " (deleted)" behind what was removed. */
export function placePath(k: Kernel, at: PathRef, root: PathRef): string {
  const { path, deleted } = pathText(k, at, root);
  return deleted ? `${path} (deleted)` : path;
}

/** What readlink of /proc/PID/fd/N tells of an open file. */
export function pathOf(k: Kernel, file: OpenFile, ctx: Pick<WalkContext, "root">): string {
  if (file.name !== "") return file.name.endsWith(":") ? `${file.name}[${inodeOf(k, file.inode).ino}]` : file.name;
  if (file.path.mnt === k.state.fs.anonMount) return `pipe:[${inodeOf(k, file.inode).ino}]`;
  return placePath(k, file.path, ctx.root);
}
