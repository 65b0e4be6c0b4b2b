/** The path walk (path_resolution(7)): from a path to a place in the tree. Pure: a view walks as a task does. */
import { EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV } from "../abi/errno.ts";
import { RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV } from "../abi/fcntl.ts";
import { MAXSYMLINKS, NAME_MAX } from "../abi/limits.ts";
import { MS_NOSYMFOLLOW } from "../abi/mount.ts";
import { isDirectory, isSymlink, S_ISVTX, S_IWOTH } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import type { WalkContext } from "./fs_type.ts";
import { dentryOf, inodeOf, type Inode, type PathRef } from "./inode.ts";
import { computedType, mountedAt, mountOf, sbOf } from "./mount.ts";
import { transientInode } from "./new_inode.ts";
import { inodePermission, MAY_EXEC } from "./permission.ts";

/** A place with its inode; that of a computed file system lives only as long as the walk. */
export interface Node {
  mnt: number;
  dentry: number | string;
  inode: Inode;
}

/** A path up to its last component, which is still to be looked up in `dir`. */
export interface Last {
  dir: Node;
  name: string;
  /** "root" when the path has no component at all. */
  type: "normal" | "dot" | "dotdot" | "root";
  /** The path ended in a slash. */
  slash: boolean;
}

export interface WalkOptions {
  /** Follow a symbolic link in the last component; default true. */
  follow?: boolean;
  /** The last component must be a directory (ENOTDIR). */
  directory?: boolean;
}

/** A walk under way: how many links were followed. */
export interface Walk {
  k: Kernel;
  ctx: WalkContext;
  links: number;
}

export function isNode(found: Node | Last | number | null): found is Node {
  return typeof found === "object" && found !== null && "inode" in found;
}

/** The node at a place that the state names; -ENOENT when a computed one is no more. */
export function nodeAt(k: Kernel, ctx: WalkContext, at: PathRef): Node | number {
  const { mnt, dentry } = at;
  if (typeof dentry === "number") return { mnt, dentry, inode: inodeOf(k, dentryOf(k, dentry).inode) };
  if (mnt === k.state.fs.anonMount) return anonymousNode(k, at);
  const sb = sbOf(k, mnt);
  const computed = computedType(k, sb)?.inode(k, dentry, ctx) ?? null;
  return computed === null ? -ENOENT : { mnt, dentry, inode: transientInode(k, sb, dentry, computed) };
}

/** A pipe or socket, which /proc/PID/fd jumps to: its place names its inode. */
function anonymousNode(k: Kernel, { mnt, dentry }: PathRef): Node | number {
  const inode = k.state.fs.inodes.get(Number(dentry));
  return inode === undefined ? -ENOENT : { mnt, dentry, inode };
}

/** Whether `ctx` may do `mask` (MAY_ bits) with a node: 0 or -EACCES and the like. */
export function nodePermission(k: Kernel, ctx: WalkContext, node: Node, mask: number): number {
  if (typeof node.dentry === "string" && node.mnt !== k.state.fs.anonMount) {
    const own = computedType(k, sbOf(k, node.mnt))?.permission;
    if (own !== undefined) return own(k, node.dentry, node.inode, mask, ctx);
  }
  return inodePermission(ctx.cred, node.inode, mask);
}

/** The place that `path` names, from `base` if it is relative; a negative errno. An empty path is -ENOENT. */
export function walkPath(k: Kernel, ctx: WalkContext, base: PathRef, path: string, options: WalkOptions = {}): Node | number {
  if (path === "") return -ENOENT;
  const walk: Walk = { k, ctx, links: 0 };
  const last = walkToLast(walk, base, path);
  if (typeof last === "number") return last;
  const found = finish(walk, last, (options.follow ?? true) || last.slash);
  if (typeof found === "number") return found;
  return (options.directory === true || last.slash) && !isDirectory(found.inode.mode) ? -ENOTDIR : found;
}

/** The directory that `path` ends in and its last component, for those that make or remove names. */
export function walkParent(k: Kernel, ctx: WalkContext, base: PathRef, path: string): Last | number {
  if (path === "") return -ENOENT;
  return walkToLast({ k, ctx, links: 0 }, base, path);
}

/** Begins a walk that open(2) drives itself, because a link in the last component may lead to where it creates. */
export function startWalk(k: Kernel, ctx: WalkContext): Walk {
  return { k, ctx, links: 0 };
}

/** Follows a link that the last component turned out to be: up to the last component of its text, or to where it jumps. */
export function followToLast(walk: Walk, last: Last, link: Node): Last | Node | number {
  return readAndGo(walk, last.dir, link);
}

/** What `name` is in the directory `dir`, mounts on it included: null when there is nothing. Links are not followed. */
export function lookupChild(k: Kernel, ctx: WalkContext, dir: Node, name: string): Node | number | null {
  if (name.length > NAME_MAX) return -ENAMETOOLONG;
  if (dir.inode.entries !== null) {
    const id = dir.inode.entries.get(name);
    if (id === undefined) return null;
    const dentry = dentryOf(k, id);
    if (dentry.mounted > 0) return downIntoMounts(k, ctx, dir.mnt, id);
    return { mnt: dir.mnt, dentry: id, inode: inodeOf(k, dentry.inode) };
  }
  const sb = sbOf(k, dir.mnt);
  const key = dir.dentry === "" ? name : `${dir.dentry}/${name}`;
  const type = computedType(k, sb);
  const computed = type?.inode(k, key, ctx) ?? null;
  if (computed === null) return type?.missing ?? null;
  if (mountedAt(k, dir.mnt, key) !== null) return downIntoMounts(k, ctx, dir.mnt, key);
  return { mnt: dir.mnt, dentry: key, inode: transientInode(k, sb, key, computed) };
}

/** Whether openat2(2) asked for one of these restrictions. */
function restricts(ctx: WalkContext, flags: number): boolean {
  return ctx.resolve !== undefined && (ctx.resolve & flags) !== 0;
}

/** From a place to the root of whatever is mounted on top of it. */
function downIntoMounts(k: Kernel, ctx: WalkContext, mnt: number, dentry: number | string): Node | number {
  let at: PathRef = { mnt, dentry };
  for (let mount = mountedAt(k, mnt, dentry); mount !== null; mount = mountedAt(k, at.mnt, at.dentry)) {
    at = { mnt: mount.id, dentry: mount.root };
  }
  if (at.mnt !== mnt && restricts(ctx, RESOLVE_NO_XDEV)) return -EXDEV;
  return nodeAt(k, ctx, at);
}

/** The directory above, out of mounts too; the root that `ctx` sees is its own parent. */
export function parentOf(k: Kernel, ctx: WalkContext, dir: Node): Node | number {
  let { mnt, dentry } = dir;
  for (;;) {
    if (mnt === ctx.root.mnt && dentry === ctx.root.dentry) return restricts(ctx, RESOLVE_BENEATH) ? -EXDEV : dir;
    const mount = mountOf(k, mnt);
    if (dentry !== mount.root) break;
    if (mount.parent === mnt) return dir;
    if (restricts(ctx, RESOLVE_NO_XDEV)) return -EXDEV;
    dentry = mount.mountpoint;
    mnt = mount.parent;
  }
  const up = typeof dentry === "number" ? dentryOf(k, dentry).parent : parentKey(dentry);
  return downIntoMounts(k, ctx, mnt, up);
}

/** "a/b" of "a/b/c". */
export function parentKey(key: string): string {
  const slash = key.lastIndexOf("/");
  return slash < 0 ? "" : key.slice(0, slash);
}

/** The directory of the last component of `path`, all links before it followed. */
export function walkToLast(walk: Walk, base: PathRef, path: string): Last | number {
  const { k, ctx } = walk;
  let position = 0;
  while (path[position] === "/") position++;
  if (position > 0 && ctx.resolve !== undefined) {
    const outside = mayJumpToRoot(ctx, base);
    if (outside !== 0) return outside;
  }
  const start = nodeAt(k, ctx, position > 0 ? ctx.root : base);
  if (typeof start === "number") return start;
  if (position === path.length) return { dir: start, name: "", type: "root", slash: false };
  let dir = start;
  for (;;) {
    const denied = nodePermission(k, ctx, dir, MAY_EXEC);
    if (denied !== 0) return denied;
    let end = path.indexOf("/", position);
    if (end < 0) end = path.length;
    const name = path.slice(position, end);
    position = end;
    while (path[position] === "/") position++;
    const type = name === "." ? "dot" : name === ".." ? "dotdot" : "normal";
    const last: Last = { dir, name, type, slash: position > end };
    if (position === path.length) return last;
    const next = finish(walk, last, true);
    if (typeof next === "number") return next;
    if (!isDirectory(next.inode.mode)) return -ENOTDIR;
    dir = next;
  }
}

/** nd_jump_root: an absolute path, or a link's absolute text, within what openat2(2) allows. */
function mayJumpToRoot(ctx: WalkContext, from: PathRef): number {
  if (restricts(ctx, RESOLVE_BENEATH)) return -EXDEV;
  return restricts(ctx, RESOLVE_NO_XDEV) && from.mnt !== ctx.root.mnt ? -EXDEV : 0;
}

/** Looks the last component up; -ENOENT when it is not there. */
function finish(walk: Walk, last: Last, follow: boolean): Node | number {
  const { k, ctx } = walk;
  if (last.type === "dotdot") return parentOf(k, ctx, last.dir);
  if (last.type !== "normal") return last.dir;
  const child = lookupChild(k, ctx, last.dir, last.name);
  if (child === null) return -ENOENT;
  if (typeof child === "number" || !follow || !isSymlink(child.inode.mode)) return child;
  const target = readAndGo(walk, last.dir, child);
  if (typeof target === "number" || isNode(target)) return target;
  const found = finish(walk, target, true);
  if (typeof found !== "number" && target.slash && !isDirectory(found.inode.mode)) return -ENOTDIR;
  return found;
}

/** Follows one link: a jump leads to its node, a text up to its last component. */
function readAndGo(walk: Walk, dir: Node, link: Node): Last | Node | number {
  const { k, ctx } = walk;
  if (walk.links++ >= MAXSYMLINKS || restricts(ctx, RESOLVE_NO_SYMLINKS)) return -ELOOP;
  if (!mayFollow(ctx, dir.inode, link.inode)) return -EACCES;
  if ((mountOf(k, link.mnt).flags & MS_NOSYMFOLLOW) !== 0) return -ELOOP;
  if (typeof link.dentry === "number") return walkToLast(walk, dir, link.inode.target);
  const type = computedType(k, sbOf(k, link.mnt));
  const jump = type?.follow?.(k, link.dentry, ctx) ?? null;
  if (typeof jump === "number") return jump;
  if (jump !== null && restricts(ctx, RESOLVE_NO_MAGICLINKS)) return -ELOOP;
  if (jump !== null && (restricts(ctx, RESOLVE_BENEATH | RESOLVE_IN_ROOT) || (restricts(ctx, RESOLVE_NO_XDEV) && jump.mnt !== link.mnt))) return -EXDEV;
  if (jump !== null) return nodeAt(k, ctx, jump);
  const text = type?.readlink(k, link.dentry, ctx) ?? -ENOENT;
  return typeof text === "number" ? text : walkToLast(walk, dir, text);
}

/** protected_symlinks, which is on: in a sticky directory that all may write, only one's own links and its owner's are followed. */
function mayFollow(ctx: WalkContext, dir: Inode, link: Inode): boolean {
  if ((dir.mode & (S_ISVTX | S_IWOTH)) !== (S_ISVTX | S_IWOTH)) return true;
  return ctx.cred.fsuid === link.uid || dir.uid === link.uid;
}
