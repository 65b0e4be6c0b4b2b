/** Inodes: what a file is, whatever its names; and dentries, its names in directories (inode(7)). */
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";

/** A place in the tree: a mount, and in its file system a dentry (stored) or a key (computed, see fs_type.ts). */
export interface PathRef {
  mnt: number;
  dentry: number | string;
}

/** The id of an inode in `state.fs.inodes`. An open file of a computed file system has one too, as long as it is open. */
export type InodeKey = number;

export interface Inode {
  id: InodeKey;
  /** Super block. */
  sb: number;
  /** Inode number as stat(2) tells. */
  ino: number;
  /** File type and permissions. */
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  /** Bytes. */
  size: number;
  /** The kernel's dev_t of a device node. */
  rdev: number;
  /** ns since 1970, at the granularity of a jiffy. */
  atimeNs: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
  btimeNs: bigint;
  /** Dentries and open files that name it; with the last one it is gone. */
  refs: number;
  /** Open files that may write, less those that deny it (execve): above 0, execve is ETXTBSY; below, open for writing is. */
  writers: number;
  /** Name of the file operations of an open file; "" means by the file type. */
  ops: string;
  /** The place in a computed file system; "" for stored ones. */
  key: string;
  /** A regular file's page cache: page offset → frame; an absent page is a hole. */
  pages: Map<number, number> | null;
  /** Pages that fallocate set aside and nobody wrote yet: they read as a hole. Null for none. */
  reserved: Map<number, number> | null;
  /** F_SEAL_ bits. */
  seals: number;
  /** How long its data is likely to stay (F_SET_RW_HINT). */
  writeHint: number;
  /** A directory: name → dentry, in the order of creation. */
  entries: Map<string, number> | null;
  /** A directory's next cookie (d_off). */
  nextCookie: number;
  /** A symbolic link's text. */
  target: string;
  /** The pipe behind a FIFO while it is open, 0 for none. */
  pipe: number;
  /** Extended attributes (user.*, trusted.*, security.*), null for none. */
  xattrs: Map<string, Uint8Array> | null;
}

export interface Dentry {
  id: number;
  name: string;
  /** The directory's dentry; its own id for a root. */
  parent: number;
  inode: InodeKey;
  /** Cookie of the entry in its directory (d_off). */
  cookie: number;
  /** Open files, working directories, mounts and children (unlinked ones too) that hold it. */
  refs: number;
  /** Taken out of its directory; lives on while held. */
  unhashed: boolean;
  /** Mounts on top of it. */
  mounted: number;
}

export function inodeOf(k: Kernel, id: InodeKey): Inode {
  return must(k.state.fs.inodes, id);
}

export function dentryOf(k: Kernel, id: number): Dentry {
  return must(k.state.fs.dentries, id);
}

/** What its extended attributes take: names and values, in bytes. */
export function xattrBytes({ xattrs }: Inode): number {
  let bytes = 0;
  if (xattrs !== null) for (const [name, value] of xattrs) bytes += name.length + value.length;
  return bytes;
}
