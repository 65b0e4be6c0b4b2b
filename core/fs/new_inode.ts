/** Making inodes: stored ones for files that are created, and those that stand for an open file of a computed file system. */
import type { Kernel } from "../kernel.ts";
import { F_SEAL_SEAL } from "../abi/fcntl.ts";
import { isDirectory, isRegular } from "../abi/stat.ts";
import type { ComputedInode } from "./fs_type.ts";
import type { Inode } from "./inode.ts";
import type { SuperBlock } from "./mount.ts";
import { currentTime } from "./times.ts";

export interface NewInode {
  /** File type and permissions. */
  mode: number;
  uid: number;
  gid: number;
  /** The kernel's dev_t of a device node. */
  rdev?: number;
  /** File operations; "" for those of the file type. */
  ops?: string;
  ino?: number;
}

/** Whether the file system may hold another inode (nr_inodes); ENOSPC if not. */
export function inodesLeft(sb: SuperBlock): boolean {
  return sb.maxInodes === 0 || sb.usedInodes < sb.maxInodes;
}

/** A fresh inode without a name yet; its times are now. */
export function newInode(k: Kernel, sb: SuperBlock, { mode, uid, gid, rdev = 0, ops = "", ino }: NewInode): Inode {
  const time = currentTime(k);
  const inode: Inode = {
    id: k.state.fs.nextInode++, sb: sb.id, ino: ino ?? sb.nextIno++, mode, uid, gid, nlink: isDirectory(mode) ? 2 : 1, size: 0, rdev,
    atimeNs: time, mtimeNs: time, ctimeNs: time, btimeNs: time, refs: 0, writers: 0, ops, key: "",
    pages: isRegular(mode) ? new Map() : null, reserved: null, seals: isRegular(mode) ? F_SEAL_SEAL : 0, writeHint: 0,
    entries: isDirectory(mode) ? new Map() : null, nextCookie: FIRST_COOKIE, target: "", pipe: 0, xattrs: null,
  };
  // tmpfs counts 20 bytes an entry, "." and ".." included.
  if (isDirectory(mode)) inode.size = 2 * DIRENT_BYTES;
  k.state.fs.inodes.set(inode.id, inode);
  sb.usedInodes++;
  return inode;
}

/** What an entry adds to the size of its directory (BOGO_DIRENT_SIZE). */
export const DIRENT_BYTES = 20;
/** d_off 0 is before ".", 1 before "..", 2 before the first entry. */
export const FIRST_COOKIE = 2;

/** An inode record of a computed one, for the length of a walk; it has id 0 and is not in the state. */
export function transientInode(k: Kernel, sb: SuperBlock, key: string, computed: ComputedInode): Inode {
  const kept = sb.attributes.get(key);
  const time = computed.timeNs ?? k.state.time.realtimeOffsetNs;
  return {
    id: 0, sb: sb.id, ino: computed.ino, mode: kept === undefined ? computed.mode : (computed.mode & 0o170000) | kept.mode,
    uid: kept?.uid ?? computed.uid, gid: kept?.gid ?? computed.gid, nlink: computed.nlink, size: computed.size, rdev: computed.rdev,
    atimeNs: time, mtimeNs: time, ctimeNs: time, btimeNs: time, refs: 0, writers: 0, ops: computed.ops, key,
    pages: null, reserved: null, seals: 0, writeHint: 0, entries: null, nextCookie: 0, target: "", pipe: 0, xattrs: null,
  };
}

/** The inode in the state that stands for a computed one while it is open; opened twice, it is the same. */
export function openedInode(k: Kernel, sb: SuperBlock, inode: Inode): Inode {
  const known = k.state.fs.inodes.get(sb.open.get(inode.key) ?? 0);
  if (known !== undefined && known.ino === inode.ino) return known;
  inode.id = k.state.fs.nextInode++;
  k.state.fs.inodes.set(inode.id, inode);
  sb.open.set(inode.key, inode.id);
  return inode;
}
