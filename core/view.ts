/** A pure look at a file of the kernel, as `cat` or `ls` would show it to a uid; nothing changes and nothing sleeps. */
import { EINVAL } from "./abi/errno.ts";
import { isDirectory, isRegular, isSymlink } from "./abi/stat.ts";
import { treeRoot } from "./fs/fs_struct.ts";
import type { WalkContext } from "./fs/fs_type.ts";
import { dentryOf, inodeOf } from "./fs/inode.ts";
import { computedType, sbOf } from "./fs/mount.ts";
import { nodePermission, walkPath, type Node } from "./fs/namei.ts";
import { bytesName, nameBytes } from "./fs/names.ts";
import { peekBytes } from "./fs/page_cache.ts";
import { MAY_READ } from "./fs/permission.ts";
import type { Kernel } from "./kernel.ts";
import { utf8DecodeLossy, utf8Encode } from "./lib/bytes.ts";
import { credOf } from "./sched/cred.ts";

export interface Viewer {
  uid: number;
}

export interface ViewOptions {
  /** Bytes; of a regular file. */
  offset?: number;
  length?: number;
  /** Show a link itself instead of what it leads to. */
  link?: boolean;
}

export interface DirectoryItem {
  name: string;
  ino: number;
  /** File type and permissions. */
  mode: number;
}

export type Seen =
  /** `computed`: a view of the kernel and no stored file. */
  | { kind: "file"; bytes: Uint8Array; mode: number; uid: number; gid: number; size: number; computed: boolean }
  | { kind: "directory"; entries: DirectoryItem[]; mode: number; uid: number; gid: number }
  | { kind: "link"; target: string; mode: number; uid: number; gid: number }
  /** A negative errno; -EINVAL for devices, FIFOs, sockets and files that a look would consume. */
  | { errno: number };

/** What `path` shows to a viewer; `/proc/self` is nobody's. */
export function view(k: Kernel, viewer: Viewer, path: string, { offset = 0, length = Infinity, link = false }: ViewOptions = {}): Seen {
  const root = treeRoot(k);
  const ctx: WalkContext = { cred: credOf(viewer.uid), tid: 0, root, cwd: root };
  const node = walkPath(k, ctx, root, bytesName(utf8Encode(path)), { follow: !link });
  if (typeof node === "number") return { errno: node };
  const { mode, uid, gid } = node.inode;
  if (isSymlink(mode)) {
    const target = targetOf(k, ctx, node);
    return typeof target === "number" ? { errno: target } : { kind: "link", target: text(target), mode, uid, gid };
  }
  if (!isDirectory(mode) && !isRegular(mode)) return { errno: -EINVAL };
  const denied = nodePermission(k, ctx, node, MAY_READ);
  if (denied < 0) return { errno: denied };
  if (isDirectory(mode)) {
    const entries = entriesOf(k, ctx, node);
    return typeof entries === "number" ? { errno: entries } : { kind: "directory", entries, mode, uid, gid };
  }
  const bytes = bytesOf(k, ctx, node, offset, length);
  if (typeof bytes === "number") return { errno: bytes };
  return { kind: "file", bytes, mode, uid, gid, size: node.inode.size, computed: typeof node.dentry === "string" };
}

/** Names are kept a character a byte; people read UTF-8. */
function text(name: string): string {
  return utf8DecodeLossy(nameBytes(name));
}

function targetOf(k: Kernel, ctx: WalkContext, { mnt, dentry, inode }: Node): string | number {
  const type = computedType(k, sbOf(k, mnt));
  return type === null || typeof dentry === "number" ? inode.target : type.readlink(k, dentry, ctx);
}

function entriesOf(k: Kernel, ctx: WalkContext, { mnt, dentry, inode }: Node): DirectoryItem[] | number {
  const type = computedType(k, sbOf(k, mnt));
  if (type !== null && typeof dentry === "string") {
    return type.list(k, dentry, ctx)?.map(({ name, ino, mode }) => {
      const child = walkPath(k, ctx, { mnt, dentry }, name, { follow: false });
      return { name, ino, mode: typeof child === "number" ? mode : child.inode.mode };
    }) ?? -EINVAL;
  }
  return [...(inode.entries ?? [])].map(([name, id]) => {
    const child = inodeOf(k, dentryOf(k, id).inode);
    return { name: text(name), ino: child.ino, mode: child.mode };
  });
}

function bytesOf(k: Kernel, ctx: WalkContext, { mnt, dentry, inode }: Node, offset: number, length: number): Uint8Array | number {
  const type = computedType(k, sbOf(k, mnt));
  if (type !== null && typeof dentry === "string") {
    const whole = type.view(k, dentry, ctx);
    return typeof whole === "number" ? whole : whole.subarray(offset, offset + length);
  }
  const from = Math.min(offset, inode.size);
  return peekBytes(k, inode, from, Math.min(length, inode.size - from));
}
