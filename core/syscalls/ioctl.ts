/** ioctl(2): what every file knows, and then the file's own. */
import { EBADF, EFAULT, EINVAL, EISDIR, ENOTTY, EOPNOTSUPP, EPERM, EXDEV } from "../abi/errno.ts";
import { FASYNC, O_NONBLOCK } from "../abi/fcntl.ts";
import {
  FIBMAP, FICLONE, FIGETBSZ, FIOASYNC, FIOCLEX, FIOGETOWN, FIONBIO, FIONCLEX, FIONREAD, FIOQSIZE, FIOSETOWN, FS_IOC_FIEMAP, SIOCGPGRP, SIOCSPGRP,
} from "../abi/ioctl.ts";
import { CAP_SYS_RAWIO } from "../abi/capability.ts";
import { isDirectory, isRegular, isSocket, isSymlink } from "../abi/stat.ts";
import { fget, setCloexec } from "../fs/fd_table.ts";
import { opsOf, type Addr, type OpenFile } from "../fs/file.ts";
import { fileIoctl } from "../fs/held.ts";
import { inodeOf, type Inode } from "../fs/inode.ts";
import { blocksOf, blockSize } from "../fs/stat.ts";
import type { Kernel } from "../kernel.ts";
import { getI32, putU32, putU64 } from "../lib/bytes.ts";
import { copyFromUser, copyToUser } from "../mm/usercopy.ts";
import { capable } from "../sched/cred.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { fdNumber, int32 } from "./args.ts";
import { ownerNumber, setOwner } from "./fcntl.ts";
import { ioctlArg, ioctlRequest } from "./file_args.ts";
import type { Rows } from "./row.ts";

/** The int at `arg`, or null when it cannot be read. */
function readInt(k: Kernel, task: Task, arg: Addr): number | null {
  const bytes = copyFromUser(k, task, arg, 4);
  return typeof bytes === "number" ? null : getI32(bytes, 0);
}

function writeInt(k: Kernel, task: Task, arg: Addr, value: number): number {
  const bytes = new Uint8Array(4);
  putU32(bytes, 0, value);
  return copyToUser(k, task, arg, bytes) < 4 ? -EFAULT : 0;
}

function setNonblock(k: Kernel, task: Task, file: OpenFile, arg: Addr): number {
  const on = readInt(k, task, arg);
  if (on === null) return -EFAULT;
  file.flags = on !== 0 ? file.flags | O_NONBLOCK : file.flags & ~O_NONBLOCK;
  return 0;
}

function setAsync(k: Kernel, task: Task, file: OpenFile, arg: Addr): number {
  const on = readInt(k, task, arg);
  if (on === null) return -EFAULT;
  if ((on !== 0) === ((file.flags & FASYNC) !== 0)) return 0;
  const error = opsOf(k, file).fasync?.(k, task, file, on !== 0) ?? -ENOTTY;
  return error < 0 ? error : 0;
}

/** FIOQSIZE: the bytes that a file takes where it is stored. */
function sizeInBytes(k: Kernel, task: Task, file: OpenFile, arg: Addr): number {
  const inode = inodeOf(k, file.inode);
  const { mode } = inode;
  if (!isDirectory(mode) && !isRegular(mode) && !isSymlink(mode)) return -ENOTTY;
  const bytes = new Uint8Array(8);
  putU64(bytes, 0, blocksOf(inode) * 512);
  return copyToUser(k, task, arg, bytes) < 8 ? -EFAULT : 0;
}

/** FICLONE: no file system here shares blocks, so it fails however good its arguments are. */
function cloneFrom(k: Kernel, task: Task, into: OpenFile, inode: Inode, fd: number): number {
  const from = fget(k, task, fd);
  if (typeof from === "number") return -EBADF;
  const source = inodeOf(k, from.inode);
  if (isDirectory(source.mode) || isDirectory(inode.mode)) return -EISDIR;
  if (!isRegular(source.mode) || !isRegular(inode.mode)) return -EINVAL;
  if (!from.canRead || !into.canWrite) return -EBADF;
  return source.sb === inode.sb ? -EOPNOTSUPP : -EXDEV;
}

function sysIoctl(k: Kernel, task: Task, [fd, request, arg]: [number, number, Addr]): SyscallResult {
  const file = fget(k, task, fd);
  if (typeof file === "number") return file;
  const inode = inodeOf(k, file.inode);
  switch (request) {
    case FIOCLEX: case FIONCLEX:
      setCloexec(k, task, fd, request === FIOCLEX);
      return 0;
    case FIONBIO: return setNonblock(k, task, file, arg);
    case FIOASYNC: return setAsync(k, task, file, arg);
    case FIOQSIZE: return sizeInBytes(k, task, file, arg);
    case FIGETBSZ: return writeInt(k, task, arg, blockSize(k, inode));
    case FICLONE: return cloneFrom(k, task, file, inode, int32(arg));
    case FS_IOC_FIEMAP: return -EOPNOTSUPP;
  }
  if (isSocket(inode.mode)) {
    if (request === FIOSETOWN || request === SIOCSPGRP) {
      const who = readInt(k, task, arg);
      return who === null ? -EFAULT : setOwner(k, task, file, who);
    }
    if (request === FIOGETOWN || request === SIOCGPGRP) return writeInt(k, task, arg, ownerNumber(file));
  }
  if (request === FIBMAP && isRegular(inode.mode)) return capable(task, CAP_SYS_RAWIO) ? -EINVAL : -EPERM;
  if (request === FIONREAD && isRegular(inode.mode)) return writeInt(k, task, arg, Number(BigInt.asIntN(32, BigInt(inode.size) - BigInt(file.pos))));
  return fileIoctl(k, task, file, request, arg);
}

export const ioctlRows: Rows = {
  ioctl: { x86_64: 16, args: [fdNumber("fd"), ioctlRequest("request"), ioctlArg("arg")], run: sysIoctl },
};
