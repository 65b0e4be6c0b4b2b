/** File modes, and the structures that stat(2), statx(2) and statfs(2) fill (arch/x86/include/uapi/asm/stat.h). */
import type { FlagTable } from "./flags.ts";
import { formatPermissions, parseNumber } from "./flags.ts";
import { encodeStruct, layout, type Encoded } from "./layout.ts";
import { timespecLayout } from "./time.ts";

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o60000;
export const S_IFDIR = 0o40000;
export const S_IFCHR = 0o20000;
export const S_IFIFO = 0o10000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;
export const S_IRWXU = 0o700;
export const S_IRUSR = 0o400;
export const S_IWUSR = 0o200;
export const S_IXUSR = 0o100;
export const S_IRWXG = 0o70;
export const S_IRGRP = 0o40;
export const S_IWGRP = 0o20;
export const S_IXGRP = 0o10;
export const S_IRWXO = 0o7;
export const S_IROTH = 0o4;
export const S_IWOTH = 0o2;
export const S_IXOTH = 0o1;
export const S_IRWXUGO = 0o777;
export const S_IALLUGO = 0o7777;
export const S_IRUGO = 0o444;
export const S_IWUGO = 0o222;
export const S_IXUGO = 0o111;

export const isRegular = (mode: number): boolean => (mode & S_IFMT) === S_IFREG;
export const isDirectory = (mode: number): boolean => (mode & S_IFMT) === S_IFDIR;
export const isSymlink = (mode: number): boolean => (mode & S_IFMT) === S_IFLNK;
export const isCharDevice = (mode: number): boolean => (mode & S_IFMT) === S_IFCHR;
export const isBlockDevice = (mode: number): boolean => (mode & S_IFMT) === S_IFBLK;
export const isFifo = (mode: number): boolean => (mode & S_IFMT) === S_IFIFO;
export const isSocket = (mode: number): boolean => (mode & S_IFMT) === S_IFSOCK;

const fileTypes: Readonly<Record<string, number>> = { S_IFSOCK, S_IFLNK, S_IFREG, S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO };
const modeBits: Readonly<Record<string, number>> = {
  S_ISUID, S_ISGID, S_ISVTX, S_IRWXU, S_IRUSR, S_IWUSR, S_IXUSR, S_IRWXG, S_IRGRP, S_IWGRP, S_IXGRP, S_IRWXO, S_IROTH, S_IWOTH, S_IXOTH,
};

/** A mode with its file type as strace writes it: `S_IFCHR|0666`, `S_IFREG|S_ISUID|0755`; an unknown type is left a number. */
export function formatMode(mode: number): string {
  const type = mode & S_IFMT;
  const bits = (mode & S_ISUID ? "|S_ISUID" : "") + (mode & S_ISGID ? "|S_ISGID" : "") + (mode & S_ISVTX ? "|S_ISVTX" : "");
  const rest = formatPermissions(mode & ~(S_IFMT | S_ISUID | S_ISGID | S_ISVTX));
  if (type === 0) return bits === "" ? rest : `${bits.slice(1)}|${rest}`;
  for (const name in fileTypes) if (fileTypes[name] === type) return `${name}${bits}|${rest}`;
  return formatPermissions(mode);
}

/** A mode given as `"0644"`, `"644"` (both octal), `"0x1a4"` or names and numbers joined by `|`; undefined if it is none. */
export function parseMode(text: string): number | undefined {
  let mode = 0;
  for (const part of text.split("|")) {
    const name = part.trim();
    const bits = Object.hasOwn(fileTypes, name) ? fileTypes[name]
      : Object.hasOwn(modeBits, name) ? modeBits[name]
      : parseNumber(/^[0-7]+$/.test(name) ? `0${name}` : name);
    if (bits === undefined || bits < 0) return undefined;
    mode |= bits;
  }
  return mode;
}

export const statLayout = layout(144, {
  st_dev: [0, "u64"],
  st_ino: [8, "u64"],
  st_nlink: [16, "u64"],
  st_mode: [24, "u32"],
  st_uid: [28, "u32"],
  st_gid: [32, "u32"],
  st_rdev: [40, "u64"],
  st_size: [48, "i64"],
  st_blksize: [56, "i64"],
  st_blocks: [64, "i64"],
  st_atim: [72, timespecLayout],
  st_mtim: [88, timespecLayout],
  st_ctim: [104, timespecLayout],
});
/** The 144 bytes of struct stat. */
export const encodeStat = (stat: Encoded<typeof statLayout>): Uint8Array => encodeStruct(statLayout, stat);

export const STATX_TYPE = 0x1;
export const STATX_MODE = 0x2;
export const STATX_NLINK = 0x4;
export const STATX_UID = 0x8;
export const STATX_GID = 0x10;
export const STATX_ATIME = 0x20;
export const STATX_MTIME = 0x40;
export const STATX_CTIME = 0x80;
export const STATX_INO = 0x100;
export const STATX_SIZE = 0x200;
export const STATX_BLOCKS = 0x400;
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_BTIME = 0x800;
export const STATX_MNT_ID = 0x1000;
export const STATX_DIOALIGN = 0x2000;
export const STATX_ALL = 0xfff;
export const STATX_ATTR_COMPRESSED = 0x4;
export const STATX_ATTR_IMMUTABLE = 0x10;
export const STATX_ATTR_APPEND = 0x20;
export const STATX_ATTR_NODUMP = 0x40;
export const STATX_ATTR_ENCRYPTED = 0x800;
export const STATX_ATTR_AUTOMOUNT = 0x1000;
export const STATX_ATTR_MOUNT_ROOT = 0x2000;
export const STATX_ATTR_VERITY = 0x100000;
export const STATX_ATTR_DAX = 0x200000;

export const statxMask: FlagTable = {
  prefix: "STATX_",
  flags: {
    STATX_ALL, STATX_BASIC_STATS, STATX_TYPE, STATX_MODE, STATX_NLINK, STATX_UID, STATX_GID, STATX_ATIME, STATX_MTIME, STATX_CTIME,
    STATX_INO, STATX_SIZE, STATX_BLOCKS, STATX_BTIME, STATX_MNT_ID, STATX_DIOALIGN,
  },
};
export const statxAttributes: FlagTable = {
  prefix: "STATX_ATTR_",
  flags: {
    STATX_ATTR_COMPRESSED, STATX_ATTR_IMMUTABLE, STATX_ATTR_APPEND, STATX_ATTR_NODUMP, STATX_ATTR_ENCRYPTED, STATX_ATTR_AUTOMOUNT,
    STATX_ATTR_MOUNT_ROOT, STATX_ATTR_VERITY, STATX_ATTR_DAX,
  },
};

const statxTimestampLayout = layout(16, { tv_sec: [0, "i64"], tv_nsec: [8, "u32"] });

export const statxLayout = layout(256, {
  stx_mask: [0, "u32"],
  stx_blksize: [4, "u32"],
  stx_attributes: [8, "u64"],
  stx_nlink: [16, "u32"],
  stx_uid: [20, "u32"],
  stx_gid: [24, "u32"],
  stx_mode: [28, "u16"],
  stx_ino: [32, "u64"],
  stx_size: [40, "u64"],
  stx_blocks: [48, "u64"],
  stx_attributes_mask: [56, "u64"],
  stx_atime: [64, statxTimestampLayout],
  stx_btime: [80, statxTimestampLayout],
  stx_ctime: [96, statxTimestampLayout],
  stx_mtime: [112, statxTimestampLayout],
  stx_rdev_major: [128, "u32"],
  stx_rdev_minor: [132, "u32"],
  stx_dev_major: [136, "u32"],
  stx_dev_minor: [140, "u32"],
  stx_mnt_id: [144, "u64"],
  stx_dio_mem_align: [152, "u32"],
  stx_dio_offset_align: [156, "u32"],
});
/** The 256 bytes of struct statx. */
export const encodeStatx = (statx: Encoded<typeof statxLayout>): Uint8Array => encodeStruct(statxLayout, statx);

export const statfsLayout = layout(120, {
  f_type: [0, "i64"],
  f_bsize: [8, "i64"],
  f_blocks: [16, "u64"],
  f_bfree: [24, "u64"],
  f_bavail: [32, "u64"],
  f_files: [40, "u64"],
  f_ffree: [48, "u64"],
  f_fsid: [56, { array: "i32", count: 2 }],
  f_namelen: [64, "i64"],
  f_frsize: [72, "i64"],
  f_flags: [80, "i64"],
});
/** The 120 bytes of struct statfs. */
export const encodeStatfs = (statfs: Encoded<typeof statfsLayout>): Uint8Array => encodeStruct(statfsLayout, statfs);
