/** open(2) and its kin, and closing. */
import { EAGAIN, EFAULT, EINVAL, ENOMEM, E2BIG } from "../abi/errno.ts";
import {
  __O_SYNC, __O_TMPFILE, AT_FDCWD, CLOSE_RANGE_CLOEXEC, CLOSE_RANGE_UNSHARE, closeRangeFlags, FASYNC, O_ACCMODE, O_APPEND, O_CLOEXEC,
  O_CREAT, O_DIRECT, O_DIRECTORY, O_DSYNC, O_EXCL, O_LARGEFILE, O_NOATIME, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY,
  O_TRUNC, O_WRONLY, openFlags, RESOLVE_BENEATH, RESOLVE_CACHED, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from "../abi/fcntl.ts";
import { openHowLayout } from "../abi/flock.ts";
import { decodeStruct } from "../abi/layout.ts";
import { S_IALLUGO } from "../abi/stat.ts";
import { closeFd, mayUnshareFiles, openFds, putFd, setCloexec, takeFd, unshareFiles } from "../fs/fd_table.ts";
import type { Addr } from "../fs/file.ts";
import { fsOf } from "../fs/fs_struct.ts";
import { installOpened, vfsOpen } from "../fs/open.ts";
import { basePath, getname } from "../fs/user_path.ts";
import type { Kernel } from "../kernel.ts";
import { copyFromUser } from "../mm/usercopy.ts";
import { charge, costs } from "../sched/cost.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { dirfd, fdNumber, flags, int32, mode, path, shownIf, size, structIn, uint } from "./args.ts";
import { structCodec } from "./codec.ts";
import type { Rows } from "./row.ts";

const VALID_OPEN_FLAGS = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | __O_SYNC | O_DSYNC | FASYNC
  | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | __O_TMPFILE;
const O_PATH_FLAGS = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;

/** Checks flags as openat2 takes them (build_open_flags): the flags to open with, or -EINVAL. */
function buildOpenFlags(asked: number, permissions: number): number {
  const creates = (asked & (O_CREAT | __O_TMPFILE)) !== 0;
  if (creates ? (permissions & ~S_IALLUGO) !== 0 : permissions !== 0) return -EINVAL;
  // As Linux since 6.4: a directory cannot be made this way.
  if ((asked & (O_DIRECTORY | O_CREAT)) === (O_DIRECTORY | O_CREAT)) return -EINVAL;
  if ((asked & __O_TMPFILE) !== 0) {
    if ((asked & (__O_TMPFILE | O_DIRECTORY | O_CREAT)) !== (__O_TMPFILE | O_DIRECTORY)) return -EINVAL;
    if ((asked & O_ACCMODE) === O_RDONLY) return -EINVAL;
  }
  if ((asked & O_PATH) !== 0 && (asked & ~O_PATH_FLAGS) !== 0) return -EINVAL;
  return (asked & __O_SYNC) !== 0 ? asked | O_DSYNC : asked;
}

/** Opens the path at `pathname`: a descriptor, an errno, or steps. `asked` and `permissions` as openat2 takes them. */
function openAt(k: Kernel, task: Task, at: number, pathname: Addr, asked: number, permissions: number, resolve = 0): SyscallResult {
  const built = buildOpenFlags(asked, permissions);
  if (built < 0) return built;
  const name = getname(k, task, pathname);
  if (typeof name === "number") return name;
  const fd = takeFd(k, task);
  if (fd < 0) return fd;
  // A path that begins at a root of its own needs its directory even when it is absolute.
  const base = basePath(k, task, at, (resolve & RESOLVE_IN_ROOT) !== 0 ? "." : name);
  const umask = fsOf(k, task).umask;
  const opened = typeof base === "number" ? base : vfsOpen(k, task, base, name, { flags: built & ~O_CLOEXEC, mode: permissions & ~umask, resolve });
  if (typeof opened === "number") {
    putFd(k, task, fd);
    return opened;
  }
  return installOpened(k, task, opened, fd, (asked & O_CLOEXEC) !== 0);
}

/** openat(2) ignores what it does not know, and what does not go together with O_PATH. */
function sysOpenat(k: Kernel, task: Task, [at, pathname, given, permissions]: [number, Addr, number, number]): SyscallResult {
  let asked = (given | O_LARGEFILE) & VALID_OPEN_FLAGS;
  if ((asked & O_PATH) !== 0) asked &= O_PATH_FLAGS;
  const creates = (asked & (O_CREAT | __O_TMPFILE)) !== 0;
  return openAt(k, task, at, pathname, asked, creates ? permissions & S_IALLUGO : 0);
}

const SCOPES = RESOLVE_BENEATH | RESOLVE_IN_ROOT;
const RESOLVE_ALL = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | SCOPES | RESOLVE_CACHED;

/** openat2(2). RESOLVE_CACHED finds everything: all names are in memory. */
function sysOpenat2(k: Kernel, task: Task, [at, pathname, how, length]: [number, Addr, Addr, number | bigint]): SyscallResult {
  if (length < openHowLayout.size) return -EINVAL;
  if (length > 4096) return -E2BIG;
  const bytes = copyFromUser(k, task, how, Number(length));
  if (typeof bytes === "number") return -EFAULT;
  for (let byte = openHowLayout.size; byte < bytes.length; byte++) if (bytes[byte] !== 0) return -E2BIG;
  const { flags: asked, mode: permissions, resolve } = decodeStruct(openHowLayout, bytes);
  if (typeof asked === "bigint" || typeof permissions === "bigint" || (asked & ~VALID_OPEN_FLAGS) !== 0 || asked > 0xffff_ffff) return -EINVAL;
  if (typeof resolve === "bigint" || resolve > RESOLVE_ALL || (resolve & SCOPES) === SCOPES) return -EINVAL;
  const opening = (asked & O_PATH) !== 0 ? asked : asked | O_LARGEFILE;
  const wrong = buildOpenFlags(opening, permissions);
  if (wrong < 0) return wrong;
  // As Linux: what creates or truncates is never done from the cache alone.
  if ((resolve & RESOLVE_CACHED) !== 0 && (asked & (O_TRUNC | O_CREAT | __O_TMPFILE)) !== 0) return -EAGAIN;
  return openAt(k, task, at, pathname, opening, permissions, resolve);
}

function sysClose(k: Kernel, task: Task, [fd]: [number]): number {
  charge(k, costs(k).closeNs);
  return closeFd(k, task, fd);
}

function sysCloseRange(k: Kernel, task: Task, [first, last, how]: [number, number, number]): number {
  if ((how & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) !== 0 || first > last) return -EINVAL;
  if ((how & CLOSE_RANGE_UNSHARE) !== 0 && !mayUnshareFiles(k, task)) return -ENOMEM;
  if ((how & CLOSE_RANGE_UNSHARE) !== 0) unshareFiles(k, task);
  for (const fd of openFds(k, task)) {
    if (fd < first || fd > last) continue;
    if ((how & CLOSE_RANGE_CLOEXEC) !== 0) setCloexec(k, task, fd, true);
    else closeFd(k, task, fd);
  }
  return 0;
}

const createMode = shownIf(mode("mode"), (view) => (int32(view.reg("flags")) & (O_CREAT | __O_TMPFILE)) !== 0);

export const openRows: Rows = {
  open: {
    x86_64: 2, args: [path("pathname"), flags("flags", openFlags), createMode],
    run: (k, task, [pathname, given, permissions]: [Addr, number, number]) => sysOpenat(k, task, [AT_FDCWD, pathname, given, permissions]),
  },
  openat: { x86_64: 257, args: [dirfd("dirfd"), path("pathname"), flags("flags", openFlags), createMode], run: sysOpenat },
  creat: {
    x86_64: 85, args: [path("pathname"), mode("mode")],
    run: (k, task, [pathname, permissions]: [Addr, number]) => sysOpenat(k, task, [AT_FDCWD, pathname, O_CREAT | O_WRONLY | O_TRUNC, permissions]),
  },
  openat2: {
    x86_64: 437, args: [dirfd("dirfd"), path("pathname"), structIn("how", structCodec("open_how", openHowLayout)), size("size", "how")],
    run: sysOpenat2,
  },
  close: { x86_64: 3, args: [fdNumber("fd")], run: sysClose },
  close_range: { x86_64: 436, args: [uint("first"), uint("last"), flags("flags", closeRangeFlags)], run: sysCloseRange },
};
