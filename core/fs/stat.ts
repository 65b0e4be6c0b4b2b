/** What stat(2), statx(2) and statfs(2) tell of an inode and its file system. */
import { newEncodeDev, MAJOR, MINOR } from "../abi/dev_t.ts";
import { NAME_MAX, PAGE_SIZE } from "../abi/limits.ts";
import { MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME, ST_RELATIME, ST_VALID } from "../abi/mount.ts";
import {
  encodeStat, encodeStatfs, encodeStatx, isSymlink, STATX_ATTR_APPEND, STATX_ATTR_AUTOMOUNT, STATX_ATTR_IMMUTABLE,
  STATX_ATTR_MOUNT_ROOT, STATX_ATTR_NODUMP, STATX_BASIC_STATS, STATX_BTIME, STATX_MNT_ID,
} from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import type { Inode } from "./inode.ts";
import { mountOf, sbOf } from "./mount.ts";
import type { Node } from "./namei.ts";
import { heldPages, sbOfInode } from "./page_cache.ts";

/** A link's text above this many bytes takes a page (SHORT_SYMLINK_LEN). */
const SHORT_SYMLINK = 128;
const SECTORS_A_PAGE = PAGE_SIZE / 512;

/** 512-byte blocks that a file takes. */
function blocksOf(inode: Inode): number {
  const pages = isSymlink(inode.mode) && inode.target.length >= SHORT_SYMLINK ? 1 : heldPages(inode);
  return pages * SECTORS_A_PAGE;
}

const NS = 1_000_000_000n;

/** Seconds and ns; times before 1970 keep their ns positive. */
function timespec(ns: bigint): { tv_sec: number; tv_nsec: number } {
  const rest = ((ns % NS) + NS) % NS;
  return { tv_sec: Number((ns - rest) / NS), tv_nsec: Number(rest) };
}

/** The 144 bytes of struct stat. */
export function statBytes(k: Kernel, inode: Inode): Uint8Array {
  return encodeStat({
    st_dev: newEncodeDev(sbOfInode(k, inode).dev), st_ino: inode.ino, st_nlink: inode.nlink, st_mode: inode.mode,
    st_uid: inode.uid, st_gid: inode.gid, st_rdev: newEncodeDev(inode.rdev), st_size: inode.size, st_blksize: PAGE_SIZE,
    st_blocks: blocksOf(inode), st_atim: timespec(inode.atimeNs), st_mtim: timespec(inode.mtimeNs), st_ctim: timespec(inode.ctimeNs),
  });
}

const ATTRIBUTES_MASK = STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE | STATX_ATTR_NODUMP | STATX_ATTR_AUTOMOUNT | STATX_ATTR_MOUNT_ROOT;

/** The 256 bytes of struct statx. As Linux, all basic fields come whatever was asked for; the birth time of stored files too. */
export function statxBytes(k: Kernel, { mnt, dentry, inode }: Node): Uint8Array {
  const sb = sbOfInode(k, inode);
  const mount = mountOf(k, mnt);
  const time = (ns: bigint): { tv_sec: number; tv_nsec: number } => timespec(ns);
  const stored = inode.key === "" && typeof sb.root === "number";
  return encodeStatx({
    stx_mask: STATX_BASIC_STATS | STATX_MNT_ID | (stored ? STATX_BTIME : 0), stx_blksize: PAGE_SIZE,
    stx_attributes: mount.root === dentry ? STATX_ATTR_MOUNT_ROOT : 0, stx_attributes_mask: ATTRIBUTES_MASK,
    stx_nlink: inode.nlink, stx_uid: inode.uid, stx_gid: inode.gid, stx_mode: inode.mode, stx_ino: inode.ino, stx_size: inode.size,
    stx_blocks: blocksOf(inode), stx_atime: time(inode.atimeNs), stx_mtime: time(inode.mtimeNs), stx_ctime: time(inode.ctimeNs),
    ...(stored ? { stx_btime: time(inode.btimeNs) } : {}),
    stx_rdev_major: MAJOR(inode.rdev), stx_rdev_minor: MINOR(inode.rdev),
    stx_dev_major: MAJOR(sb.dev), stx_dev_minor: MINOR(sb.dev), stx_mnt_id: mnt,
  });
}

/** The 120 bytes of struct statfs of the file system that a mount shows. */
export function statfsBytes(k: Kernel, mnt: number): Uint8Array {
  const sb = sbOf(k, mnt);
  const kept = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME;
  const { flags } = mountOf(k, mnt);
  return encodeStatfs({
    f_type: sb.magic, f_bsize: PAGE_SIZE,
    f_blocks: sb.maxPages, f_bfree: Math.max(0, sb.maxPages - sb.usedPages), f_bavail: Math.max(0, sb.maxPages - sb.usedPages),
    f_files: sb.maxInodes, f_ffree: Math.max(0, sb.maxInodes - sb.usedInodes),
    f_fsid: [sb.dev, 0], f_namelen: NAME_MAX, f_frsize: PAGE_SIZE,
    f_flags: ST_VALID | (flags & kept) | ((flags & MS_RELATIME) !== 0 ? ST_RELATIME : 0),
  });
}
