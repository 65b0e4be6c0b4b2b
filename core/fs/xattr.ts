/** Extended attributes (xattr(7)): names with values beside a file's content. */
import { E2BIG, EEXIST, EINVAL, ENODATA, ENOSPC, EOPNOTSUPP, EPERM, ERANGE } from "../abi/errno.ts";
import { CAP_SYS_ADMIN } from "../abi/capability.ts";
import { XATTR_CREATE, XATTR_REPLACE } from "../abi/fcntl.ts";
import { XATTR_NAME_MAX, XATTR_SIZE_MAX } from "../abi/limits.ts";
import { isDirectory, isRegular, S_ISVTX } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import type { WalkContext } from "./fs_type.ts";
import { xattrBytes, type Inode } from "./inode.ts";
import { sbOf } from "./mount.ts";
import { nodePermission, type Node } from "./namei.ts";
import { nameBytes } from "./names.ts";
import { hasCapability, MAY_READ, MAY_WRITE, ownerOrCapable } from "./permission.ts";
import { currentTime } from "./times.ts";

/** Bytes of names and values that one inode may hold, as in one block of a disk; and those of a whole kernel. */
const INODE_BYTES = 4096;
const KERNEL_BYTES = 1 << 20;

/** Prefixes of the names that a file system keeps. */
const PREFIXES = ["user.", "trusted.", "security."];
/** There are no access-control lists. */
const POSIX_ACLS = ["system.posix_acl_access", "system.posix_acl_default"];

/** Whether the inode lies in a file system that keeps attributes: not a pipe, a socket, or one of the kernel's own. */
function storesXattrs(k: Kernel, inode: Inode): boolean {
  if (inode.id === 0 || inode.key !== "" || inode.id === k.state.fs.anonInode) return false;
  return inode.sb !== sbOf(k, k.state.fs.anonMount).id || isRegular(inode.mode);
}

/** xattr_permission: 0 or an errno. */
function xattrPermission(k: Kernel, ctx: WalkContext, node: Node, name: string, mask: number): number {
  const { mode } = node.inode;
  if (name.startsWith("security.")) return mask === MAY_WRITE && !hasCapability(ctx.cred, CAP_SYS_ADMIN) ? -EPERM : 0;
  if (name.startsWith("system.")) return 0;
  if (name.startsWith("trusted.")) return hasCapability(ctx.cred, CAP_SYS_ADMIN) ? 0 : mask === MAY_WRITE ? -EPERM : -ENODATA;
  if (name.startsWith("user.")) {
    if (!isRegular(mode) && !isDirectory(mode)) return mask === MAY_WRITE ? -EPERM : -ENODATA;
    const sticky = isDirectory(mode) && (mode & S_ISVTX) !== 0;
    if (sticky && mask === MAY_WRITE && !ownerOrCapable(ctx.cred, node.inode)) return -EPERM;
  }
  return nodePermission(k, ctx, node, mask);
}

/** Whether `ctx` may read or write the attribute: 0 or an errno. Differs from Linux 6.1: tmpfs has no user.* there. */
function mayAccess(k: Kernel, ctx: WalkContext, node: Node, name: string, mask: number): number {
  const denied = xattrPermission(k, ctx, node, name, mask);
  if (denied !== 0) return denied;
  if (!storesXattrs(k, node.inode)) return -EOPNOTSUPP;
  if (PREFIXES.includes(name)) return -EINVAL;
  if (PREFIXES.some((prefix) => name.startsWith(prefix))) return 0;
  return POSIX_ACLS.includes(name) && mask === MAY_READ ? -ENODATA : -EOPNOTSUPP;
}

const checkName = (name: string): number => (name.length === 0 || name.length > XATTR_NAME_MAX ? -ERANGE : 0);

/** setxattr(2): `flags` XATTR_CREATE or XATTR_REPLACE or none. */
export function setXattr(k: Kernel, ctx: WalkContext, node: Node, name: string, value: Uint8Array, flags: number): number {
  const wrong = checkName(name) || (value.length > XATTR_SIZE_MAX ? -E2BIG : mayAccess(k, ctx, node, name, MAY_WRITE));
  if (wrong !== 0) return wrong;
  const { inode } = node;
  const before = inode.xattrs?.get(name);
  if (before !== undefined && flags === XATTR_CREATE) return -EEXIST;
  if (before === undefined && flags === XATTR_REPLACE) return -ENODATA;
  const grown = name.length + value.length - (before === undefined ? 0 : name.length + before.length);
  const { fs } = k.state;
  if (xattrBytes(inode) + grown > INODE_BYTES || fs.xattrBytes + grown > KERNEL_BYTES) return -ENOSPC;
  fs.xattrBytes += grown;
  (inode.xattrs ??= new Map()).set(name, value.slice());
  inode.ctimeNs = currentTime(k);
  return 0;
}

/** The value of an attribute, or an errno: -ENODATA when there is none. */
export function getXattr(k: Kernel, ctx: WalkContext, node: Node, name: string): Uint8Array | number {
  const wrong = checkName(name) || mayAccess(k, ctx, node, name, MAY_READ);
  return wrong !== 0 ? wrong : (node.inode.xattrs?.get(name) ?? -ENODATA);
}

/** removexattr(2). */
export function removeXattr(k: Kernel, ctx: WalkContext, node: Node, name: string): number {
  const wrong = checkName(name) || mayAccess(k, ctx, node, name, MAY_WRITE);
  if (wrong !== 0) return wrong;
  const { inode } = node;
  const { xattrs } = inode;
  const value = xattrs?.get(name);
  if (xattrs === null || value === undefined) return -ENODATA;
  k.state.fs.xattrBytes -= name.length + value.length;
  xattrs.delete(name);
  if (xattrs.size === 0) inode.xattrs = null;
  inode.ctimeNs = currentTime(k);
  return 0;
}

/** The names, each with a NUL behind it; trusted ones only for those who may see them. */
export function listXattrs(ctx: WalkContext, inode: Inode): Uint8Array {
  const names = [...(inode.xattrs?.keys() ?? [])].filter((name) => !name.startsWith("trusted.") || hasCapability(ctx.cred, CAP_SYS_ADMIN));
  return nameBytes(names.map((name) => `${name}\0`).join(""));
}
