/** open(2), fcntl(2), and the flags of the calls around files (uapi/asm-generic/fcntl.h with the x86-64 values). */
import type { ChoiceTable, FlagTable } from "./flags.ts";

export const O_RDONLY = 0;
export const O_WRONLY = 0o1;
export const O_RDWR = 0o2;
export const O_ACCMODE = 0o3;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DSYNC = 0o10000;
export const FASYNC = 0o20000;
export const O_DIRECT = 0o40000;
export const O_LARGEFILE = 0o100000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
export const O_NOATIME = 0o1000000;
export const O_CLOEXEC = 0o2000000;
export const __O_SYNC = 0o4000000;
/** __O_SYNC with O_DSYNC, so that a kernel that knows only the latter still syncs. */
export const O_SYNC = 0o4010000;
export const O_PATH = 0o10000000;
export const __O_TMPFILE = 0o20000000;
/** __O_TMPFILE with O_DIRECTORY, so that an old kernel refuses it. */
export const O_TMPFILE = 0o20200000;

export const F_DUPFD = 0;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_GETLK = 5;
export const F_SETLK = 6;
export const F_SETLKW = 7;
export const F_SETOWN = 8;
export const F_GETOWN = 9;
export const F_SETSIG = 10;
export const F_GETSIG = 11;
export const F_GETLK64 = 12;
export const F_SETLK64 = 13;
export const F_SETLKW64 = 14;
export const F_SETOWN_EX = 15;
export const F_GETOWN_EX = 16;
export const F_GETOWNER_UIDS = 17;
export const F_OFD_GETLK = 36;
export const F_OFD_SETLK = 37;
export const F_OFD_SETLKW = 38;
export const F_SETLEASE = 1024;
export const F_GETLEASE = 1025;
export const F_NOTIFY = 1026;
export const F_CANCELLK = 1029;
export const F_DUPFD_CLOEXEC = 1030;
export const F_SETPIPE_SZ = 1031;
export const F_GETPIPE_SZ = 1032;
export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
export const F_GET_RW_HINT = 1035;
export const F_SET_RW_HINT = 1036;
export const F_GET_FILE_RW_HINT = 1037;
export const F_SET_FILE_RW_HINT = 1038;
export const FD_CLOEXEC = 1;
export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;
export const F_OWNER_TID = 0;
export const F_OWNER_PID = 1;
export const F_OWNER_PGRP = 2;
export const F_SEAL_SEAL = 0x1;
export const F_SEAL_SHRINK = 0x2;
export const F_SEAL_GROW = 0x4;
export const F_SEAL_WRITE = 0x8;
export const F_SEAL_FUTURE_WRITE = 0x10;
export const DN_ACCESS = 0x1;
export const DN_MODIFY = 0x2;
export const DN_CREATE = 0x4;
export const DN_DELETE = 0x8;
export const DN_RENAME = 0x10;
export const DN_ATTRIB = 0x20;
export const DN_MULTISHOT = 0x80000000;
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;
export const LOCK_MAND = 0x20;
export const LOCK_READ = 0x40;
export const LOCK_WRITE = 0x80;
export const LOCK_RW = 0xc0;

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_EACCESS = 0x200;
export const AT_REMOVEDIR = 0x200;
export const AT_SYMLINK_FOLLOW = 0x400;
export const AT_NO_AUTOMOUNT = 0x800;
export const AT_EMPTY_PATH = 0x1000;
export const AT_STATX_SYNC_TYPE = 0x6000;
export const AT_STATX_SYNC_AS_STAT = 0x0;
export const AT_STATX_FORCE_SYNC = 0x2000;
export const AT_STATX_DONT_SYNC = 0x4000;
export const AT_RECURSIVE = 0x8000;

export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;
export const F_OK = 0;
export const X_OK = 1;
export const W_OK = 2;
export const R_OK = 4;
export const FALLOC_FL_KEEP_SIZE = 0x1;
export const FALLOC_FL_PUNCH_HOLE = 0x2;
export const FALLOC_FL_NO_HIDE_STALE = 0x4;
export const FALLOC_FL_COLLAPSE_RANGE = 0x8;
export const FALLOC_FL_ZERO_RANGE = 0x10;
export const FALLOC_FL_INSERT_RANGE = 0x20;
export const FALLOC_FL_UNSHARE_RANGE = 0x40;
export const RENAME_NOREPLACE = 0x1;
export const RENAME_EXCHANGE = 0x2;
export const RENAME_WHITEOUT = 0x4;
export const POSIX_FADV_NORMAL = 0;
export const POSIX_FADV_RANDOM = 1;
export const POSIX_FADV_SEQUENTIAL = 2;
export const POSIX_FADV_WILLNEED = 3;
export const POSIX_FADV_DONTNEED = 4;
export const POSIX_FADV_NOREUSE = 5;
export const SPLICE_F_MOVE = 0x1;
export const SPLICE_F_NONBLOCK = 0x2;
export const SPLICE_F_MORE = 0x4;
export const SPLICE_F_GIFT = 0x8;
export const RWF_HIPRI = 0x1;
export const RWF_DSYNC = 0x2;
export const RWF_SYNC = 0x4;
export const RWF_NOWAIT = 0x8;
export const RWF_APPEND = 0x10;
export const SYNC_FILE_RANGE_WAIT_BEFORE = 0x1;
export const SYNC_FILE_RANGE_WRITE = 0x2;
export const SYNC_FILE_RANGE_WAIT_AFTER = 0x4;
export const XATTR_CREATE = 0x1;
export const XATTR_REPLACE = 0x2;
export const CLOSE_RANGE_UNSHARE = 0x2;
export const CLOSE_RANGE_CLOEXEC = 0x4;
export const RESOLVE_NO_XDEV = 0x1;
export const RESOLVE_NO_MAGICLINKS = 0x2;
export const RESOLVE_NO_SYMLINKS = 0x4;
export const RESOLVE_BENEATH = 0x8;
export const RESOLVE_IN_ROOT = 0x10;
export const RESOLVE_CACHED = 0x20;

export const openFlags: FlagTable = {
  prefix: "O_",
  choices: { mask: O_ACCMODE, values: { O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE } },
  flags: {
    O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, O_APPEND, O_NONBLOCK, O_SYNC, __O_SYNC, O_DSYNC, O_DIRECT, O_LARGEFILE, O_NOFOLLOW,
    O_NOATIME, O_CLOEXEC, O_PATH, O_TMPFILE, __O_TMPFILE, O_DIRECTORY, FASYNC,
  },
  aliases: { O_NDELAY: O_NONBLOCK, O_ASYNC: FASYNC, O_RSYNC: O_SYNC, O_FSYNC: O_SYNC },
};
/** pipe2(2) and dup3(2), which have no access mode. */
export const pipe2Flags: FlagTable = { prefix: "O_", flags: openFlags.flags, aliases: openFlags.aliases ?? {} };
export const fdFlags: FlagTable = { prefix: "FD_", flags: { FD_CLOEXEC } };
export const fcntlCommands: ChoiceTable = {
  prefix: "F_",
  values: {
    F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_SETOWN, F_GETOWN, F_SETSIG, F_GETSIG, F_GETLK64, F_SETLK64,
    F_SETLKW64, F_SETOWN_EX, F_GETOWN_EX, F_GETOWNER_UIDS, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_SETLEASE, F_GETLEASE, F_NOTIFY, F_CANCELLK,
    F_DUPFD_CLOEXEC, F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS,
  },
  aliases: { F_GET_RW_HINT, F_SET_RW_HINT, F_GET_FILE_RW_HINT, F_SET_FILE_RW_HINT },
};
export const lockTypes: ChoiceTable = { prefix: "F_", values: { F_RDLCK, F_WRLCK, F_UNLCK } };
export const ownerTypes: ChoiceTable = { prefix: "F_OWNER_", values: { F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP } };
export const sealFlags: FlagTable = {
  prefix: "F_SEAL_",
  flags: { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE },
};
export const notifyFlags: FlagTable = {
  prefix: "DN_",
  flags: { DN_ACCESS, DN_MODIFY, DN_CREATE, DN_DELETE, DN_RENAME, DN_ATTRIB, DN_MULTISHOT },
};
/** flock(2) */
export const flockOperations: FlagTable = { prefix: "LOCK_", flags: { LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN, LOCK_MAND, LOCK_RW, LOCK_READ, LOCK_WRITE } };
export const whence: ChoiceTable = { prefix: "SEEK_", values: { SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE } };
/** access(2) */
export const accessModes: FlagTable = { prefix: "", unknown: "?_OK", flags: { F_OK, R_OK, W_OK, X_OK } };

/** newfstatat(2), linkat(2), unlinkat(2), fchownat(2), name_to_handle_at(2) … */
export const atFlags: FlagTable = {
  prefix: "AT_",
  flags: { AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_NO_AUTOMOUNT, AT_EMPTY_PATH, AT_RECURSIVE },
};
export const faccessatFlags: FlagTable = { prefix: "AT_", flags: { AT_SYMLINK_NOFOLLOW, AT_EACCESS, AT_EMPTY_PATH } };
export const statxFlags: FlagTable = {
  prefix: "AT_STATX_",
  choices: {
    mask: AT_STATX_SYNC_TYPE,
    values: {
      AT_STATX_SYNC_AS_STAT, AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC, "AT_STATX_FORCE_SYNC|AT_STATX_DONT_SYNC": AT_STATX_SYNC_TYPE,
    },
  },
  flags: atFlags.flags,
};
export const directoryFds: ChoiceTable = { prefix: "AT_", values: { AT_FDCWD } };
export const renameFlags: FlagTable = { prefix: "RENAME_", unknown: "RENAME_??", flags: { RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT } };
export const fallocFlags: FlagTable = {
  prefix: "FALLOC_FL_",
  flags: {
    FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_NO_HIDE_STALE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_ZERO_RANGE,
    FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE,
  },
};
export const fadviseAdvice: ChoiceTable = {
  prefix: "POSIX_FADV_",
  values: {
    POSIX_FADV_NORMAL, POSIX_FADV_RANDOM, POSIX_FADV_SEQUENTIAL, POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE,
  },
};
export const spliceFlags: FlagTable = {
  prefix: "SPLICE_F_",
  flags: { SPLICE_F_MOVE, SPLICE_F_NONBLOCK, SPLICE_F_MORE, SPLICE_F_GIFT },
};
export const rwfFlags: FlagTable = { prefix: "RWF_", flags: { RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND } };
export const syncFileRangeFlags: FlagTable = {
  prefix: "SYNC_FILE_RANGE_",
  flags: { SYNC_FILE_RANGE_WAIT_BEFORE, SYNC_FILE_RANGE_WRITE, SYNC_FILE_RANGE_WAIT_AFTER },
};
export const xattrFlags: FlagTable = { prefix: "XATTR_", flags: { XATTR_CREATE, XATTR_REPLACE } };
export const closeRangeFlags: FlagTable = { prefix: "CLOSE_RANGE_", flags: { CLOSE_RANGE_UNSHARE, CLOSE_RANGE_CLOEXEC } };
export const resolveFlags: FlagTable = {
  prefix: "RESOLVE_",
  flags: { RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_CACHED },
};
