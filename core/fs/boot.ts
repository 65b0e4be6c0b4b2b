/** The tree that a machine boots with: a tmpfs for everything, and the kernel's own file systems at their usual places. */
import { EISDIR, ENOTDIR } from "../abi/errno.ts";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RELATIME } from "../abi/mount.ts";
import { isDirectory, S_IFDIR } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { assert } from "../lib/assert.ts";
import { credOf } from "../sched/cred.ts";
import { createChild } from "./create.ts";
import { pathGet } from "./dcache.ts";
import { treeRoot } from "./fs_struct.ts";
import type { WalkContext } from "./fs_type.ts";
import { attachMount, newSuperBlock, tmpfsLimits } from "./mount.ts";
import { lookupChild, nodeAt, walkPath, type Node } from "./namei.ts";
import { newInode } from "./new_inode.ts";
import { writeBytes } from "./page_cache.ts";
import "./debugfs/debugfs.ts";
import "./directory.ts";
import "./proc/procfs.ts";
import "./regular.ts";
import "./sysfs/sysfs.ts";

/** Directories of the root, with their modes. */
const directories: { [path: string]: number } = {
  "/bin": 0o755, "/dev": 0o755, "/etc": 0o755, "/home": 0o755, "/lib": 0o755, "/mnt": 0o755, "/proc": 0o555, "/root": 0o700,
  "/run": 0o755, "/sbin": 0o755, "/sys": 0o555, "/tmp": 0o1777, "/usr": 0o755, "/var": 0o755, "/var/tmp": 0o1777,
};

/** Makes the tree: /, /dev, /proc, /sys, /sys/kernel/debug, /tmp. */
export function bootFs(k: Kernel): void {
  const limits = tmpfsLimits(k);
  const size = `size=${limits.maxPages * 4}k,nr_inodes=${limits.maxInodes}`;
  const root = newSuperBlock(k, "rootfs", { ...limits, options: `${size},inode64` });
  k.state.fs.rootMount = attachMount(k, root, null, { source: "rootfs" }).id;
  makeAnonymous(k);
  for (const [path, mode] of Object.entries(directories)) makeDirectories(k, path, S_IFDIR | mode, 0);
  const put = (type: string, path: string, flags: number, source: string, options = {}): void => {
    const at = kernelWalk(k, path);
    assert(typeof at === "object", `${path} is not there to mount ${type} on`);
    attachMount(k, newSuperBlock(k, type, options), at, { flags: flags | MS_RELATIME, source });
  };
  put("devtmpfs", "/dev", 0, "devtmpfs", { ...limits, options: `${size},mode=755,inode64` });
  put("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "proc");
  put("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, "sysfs");
  put("debugfs", "/sys/kernel/debug", MS_NOSUID | MS_NODEV | MS_NOEXEC, "debugfs");
  put("tmpfs", "/tmp", 0, "tmpfs", { ...limits, mode: 0o1777, options: "inode64" });
}

/** The file system of pipes, sockets and anonymous files, and the inode that the latter share. */
function makeAnonymous(k: Kernel): void {
  const { fs } = k.state;
  const sb = newSuperBlock(k, "anonfs");
  const mount = attachMount(k, sb, null, { source: "none" });
  fs.anonMount = mount.id;
  // As Linux: neither a file type nor anything but reading and writing by the owner.
  const inode = newInode(k, sb, { mode: 0o600, uid: 0, gid: 0, ino: fs.nextAnonIno++ });
  inode.refs = 1;
  fs.anonInode = inode.id;
  pathGet(k, { mnt: mount.id, dentry: "" });
}

/** How the kernel itself walks: from the tree's root, with all rights. */
export function kernelContext(k: Kernel): WalkContext {
  return { cred: credOf(0), tid: 0, root: treeRoot(k), cwd: treeRoot(k) };
}

/** What an absolute path names, for the kernel itself; a negative errno. */
export function kernelWalk(k: Kernel, path: string): Node | number {
  const ctx = kernelContext(k);
  return walkPath(k, ctx, ctx.root, path);
}

/**
 * Makes the directory `path` and what leads to it; what is there already stays as it is. The last part gets `mode` and
 * belongs to `uid` and the group of that number, the others are root's, 0755. Answers its node; a negative errno.
 */
export function makeDirectories(k: Kernel, path: string, mode: number, uid: number): Node | number {
  const ctx = kernelContext(k);
  let at = nodeAt(k, ctx, ctx.root);
  const parts = path.split("/").filter((part) => part !== "");
  for (const [index, part] of parts.entries()) {
    if (typeof at === "number") return at;
    const known: Node | number | null = lookupChild(k, ctx, at, part);
    const last = index === parts.length - 1;
    const owner = last ? uid : 0;
    at = known ?? createChild(k, credOf(owner), at, part, last ? mode : S_IFDIR | 0o755);
    if (typeof at === "object" && !isDirectory(at.inode.mode)) return -ENOTDIR;
  }
  return at;
}

/**
 * Puts a file with this content at an absolute path, for the kernel itself: its directory must be there. What was there
 * keeps its name and gets the new content. Answers its node; a negative errno.
 */
export function kernelFile(k: Kernel, path: string, mode: number, content: Uint8Array): Node | number {
  const slash = path.lastIndexOf("/");
  const dir = kernelWalk(k, slash === 0 ? "/" : path.slice(0, slash));
  if (typeof dir === "number") return dir;
  const ctx = kernelContext(k);
  const name = path.slice(slash + 1);
  const node = lookupChild(k, ctx, dir, name) ?? createChild(k, ctx.cred, dir, name, mode);
  if (typeof node === "number") return node;
  if (node.inode.pages === null) return -EISDIR;
  node.inode.size = 0;
  const written = writeBytes(k, node.inode, 0, content);
  return written < 0 ? written : node;
}
