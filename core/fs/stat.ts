/** What stat(2), statx(2) and statfs(2) tell of an inode and its file system. */
import { newEncodeDev, MAJOR, MINOR } from "../abi/dev_t.ts";
import { PROC_SUPER_MAGIC } from "../abi/fsmagic.ts";
import { NAME_MAX, PAGE_SIZE } from "../abi/limits.ts";
import { MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME, ST_RELATIME, ST_VALID } from "../abi/mount.ts";
import {
  encodeStatfs, encodeStatx, isSymlink, STATX_ATTR_APPEND, STATX_ATTR_AUTOMOUNT, STATX_ATTR_IMMUTABLE,
  STATX_ATTR_MOUNT_ROOT, STATX_ATTR_NODUMP, STATX_BASIC_STATS, STATX_BTIME, STATX_MNT_ID,
} from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { putU32, putU64 } from "../lib/bytes.ts";
import type { Inode } from "./inode.ts";
import { mountOf, sbOf } from "./mount.ts";
import type { Node } from "./namei.ts";
import { heldPages, sbOfInode } from "./page_cache.ts";

/** A link's text above this many bytes takes a page (SHORT_SYMLINK_LEN). */
const SHORT_SYMLINK = 128;
const SECTORS_A_PAGE = PAGE_SIZE / 512;

/** 512-byte blocks that a file takes. */
export function blocksOf(inode: Inode): number {
  const pages = isSymlink(inode.mode) && inode.target.length >= SHORT_SYMLINK ? 1 : heldPages(inode);
  return pages * SECTORS_A_PAGE;
}

/** The size of a block as the file system says: procfs counts in KiB. */
export function blockSize(k: Kernel, inode: Inode): number {
  return sbOfInode(k, inode).magic === PROC_SUPER_MAGIC ? 1024 : PAGE_SIZE;
}

const NS = 1_000_000_000n;

/** Seconds and ns; times before 1970 keep their ns positive. */
function timespec(ns: bigint): { tv_sec: number; tv_nsec: number } {
  const rest = ((ns % NS) + NS) % NS;
  return { tv_sec: Number((ns - rest) / NS), tv_nsec: Number(rest) };
}

// The time that was split last: the three of a file are often one.
let splitNs = 0n;
let split = timespec(0n);

function putTime(bytes: Uint8Array, at: number, ns: bigint): void {
  if (ns !== splitNs) {
    split = timespec(ns);
    splitNs = ns;
  }
  putU64(bytes, at, split.tv_sec);
  putU32(bytes, at + 8, split.tv_nsec);
}

/** The 144 bytes of struct stat, by its offsets (abi/stat.ts): it is asked for too often to go through the layout. */
export function statBytes(k: Kernel, inode: Inode): Uint8Array {
  const bytes = new Uint8Array(144);
  putU64(bytes, 0, newEncodeDev(sbOfInode(k, inode).dev));
  putU64(bytes, 8, inode.ino);
  putU64(bytes, 16, inode.nlink);
  putU32(bytes, 24, inode.mode);
  putU32(bytes, 28, inode.uid);
  putU32(bytes, 32, inode.gid);
  putU64(bytes, 40, newEncodeDev(inode.rdev));
  putU64(bytes, 48, inode.size);
  putU64(bytes, 56, blockSize(k, inode));
  putU64(bytes, 64, blocksOf(inode));
  putTime(bytes, 72, inode.atimeNs);
  putTime(bytes, 88, inode.mtimeNs);
  putTime(bytes, 104, inode.ctimeNs);
  return bytes;
}

const ATTRIBUTES_MASK = STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE | STATX_ATTR_NODUMP | STATX_ATTR_AUTOMOUNT | STATX_ATTR_MOUNT_ROOT;

/** The 256 bytes of struct statx. As Linux, all basic fields come whatever was asked for; the birth time of stored files too. */
export function statxBytes(k: Kernel, { mnt, dentry, inode }: Node): Uint8Array {
  const sb = sbOfInode(k, inode);
  const mount = mountOf(k, mnt);
  const time = (ns: bigint): { tv_sec: number; tv_nsec: number } => timespec(ns);
  const stored = inode.key === "" && typeof sb.root === "number";
  return encodeStatx({
    stx_mask: STATX_BASIC_STATS | STATX_MNT_ID | (stored ? STATX_BTIME : 0), stx_blksize: blockSize(k, inode),
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
