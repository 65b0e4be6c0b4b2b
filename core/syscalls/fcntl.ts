/** fcntl(2): duplicates, flags, owners, pipe sizes, seals; its record locks are in locks.ts. */
import { EBADF, EBUSY, EFAULT, EINVAL, EPERM, ESRCH } from "../abi/errno.ts";
import {
  F_ADD_SEALS, F_DUPFD, F_DUPFD_CLOEXEC, F_GET_RW_HINT, F_GET_SEALS, F_GETFD, F_GETFL, F_GETLEASE, F_GETLK, F_GETOWN,
  F_GETOWN_EX, F_GETOWNER_UIDS, F_GETPIPE_SZ, F_GETSIG, F_NOTIFY, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_OWNER_PGRP, F_OWNER_PID,
  F_OWNER_TID, F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, F_SET_RW_HINT, F_SETFD, F_SETFL,
  F_SETLEASE, F_SETLK, F_SETLKW, F_SETOWN, F_SETOWN_EX, F_SETPIPE_SZ, F_SETSIG, FASYNC, FD_CLOEXEC, fcntlCommands,
  fdFlags, O_APPEND, O_DIRECT, O_NOATIME, O_NONBLOCK, O_PATH, openFlags, sealFlags,
} from "../abi/fcntl.ts";
import { formatFlags } from "../abi/flags.ts";
import { fOwnerExLayout } from "../abi/flock.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import { signalName } from "../abi/signal.ts";
import { isFifo, isRegular } from "../abi/stat.ts";
import { cloexecOf, dupFile, fgetRaw, setCloexec } from "../fs/fd_table.ts";
import { opsOf, type Addr, type OpenFile } from "../fs/file.ts";
import { dirNotify } from "../fs/dnotify.ts";
import { inodeOf } from "../fs/inode.ts";
import { getLease, setLease } from "../fs/leases.ts";
import { ownerOrCapable } from "../fs/permission.ts";
import { getPipeSize, setPipeSize } from "../fs/pipe.ts";
import type { Kernel } from "../kernel.ts";
import { getU64, putU32, putU64 } from "../lib/bytes.ts";
import { isMappedWritable } from "../mm/unmap_mapping.ts";
import { copyFromUser, copyToUser } from "../mm/usercopy.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { choice, fdNumber, int32, shownIf, uint32, type CallView } from "./args.ts";
import { fcntlArg } from "./file_args.ts";
import { getLock, setLock } from "./locks.ts";
import type { Rows } from "./row.ts";

/** What an O_PATH descriptor allows. */
const PATH_COMMANDS = [F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL];

function sysFcntl(k: Kernel, task: Task, [fd, cmd, arg]: [number, number, Addr]): SyscallResult {
  const file = fgetRaw(k, task, fd);
  if (typeof file === "number") return file;
  if ((file.flags & O_PATH) !== 0 && !PATH_COMMANDS.includes(cmd)) return -EBADF;
  switch (cmd) {
    case F_DUPFD: return duplicate(k, task, file, arg, false);
    case F_DUPFD_CLOEXEC: return duplicate(k, task, file, arg, true);
    case F_GETFD: return cloexecOf(k, task, fd) ? FD_CLOEXEC : 0;
    case F_SETFD:
      setCloexec(k, task, fd, (uint32(arg) & FD_CLOEXEC) !== 0);
      return 0;
    case F_GETFL: return file.flags;
    case F_SETFL: return setFlags(k, task, file, uint32(arg));
    case F_GETLK: case F_OFD_GETLK: return getLock(k, task, file, arg, cmd === F_OFD_GETLK);
    case F_SETLK: case F_SETLKW: return setLock(k, task, file, arg, false, cmd === F_SETLKW);
    case F_OFD_SETLK: case F_OFD_SETLKW: return setLock(k, task, file, arg, true, cmd === F_OFD_SETLKW);
    case F_GETOWN: return ownerNumber(file);
    case F_SETOWN: return setOwner(k, task, file, int32(arg));
    case F_GETOWN_EX: return getOwnerEx(k, task, file, arg);
    case F_SETOWN_EX: return setOwnerEx(k, task, file, arg);
    case F_GETOWNER_UIDS: return getOwnerUids(k, task, file, arg);
    case F_GETSIG: return file.signal;
    case F_SETSIG: return setSignal(file, arg);
    case F_GETLEASE: return getLease(k, file);
    case F_SETLEASE: return setLease(k, task, file, int32(arg));
    case F_NOTIFY: return dirNotify(k, task, file, uint32(arg));
    case F_GETPIPE_SZ: return getPipeSize(k, file);
    case F_SETPIPE_SZ: return setPipeSize(k, task, file, uint32(arg));
    case F_ADD_SEALS: return addSeals(k, file, uint32(arg));
    case F_GET_SEALS: return isRegular(inodeOf(k, file.inode).mode) && inodeOf(k, file.inode).pages !== null ? inodeOf(k, file.inode).seals : -EINVAL;
    case F_GET_RW_HINT: return getWriteHint(k, task, file, arg);
    case F_SET_RW_HINT: return setWriteHint(k, task, file, arg);
    default: return -EINVAL;
  }
}

function duplicate(k: Kernel, task: Task, file: OpenFile, from: Addr, cloexec: boolean): number {
  return dupFile(k, task, file, uint32(from), cloexec);
}

/** Flags that F_SETFL may change, beside FASYNC. */
const SETFL_MASK = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;

/** F_SETFL: -EPERM for O_NOATIME on another's file, -EINVAL for O_DIRECT where it is not offered. */
function setFlags(k: Kernel, task: Task, file: OpenFile, flags: number): number {
  const inode = inodeOf(k, file.inode);
  const ops = opsOf(k, file);
  if ((flags & ~file.flags & O_NOATIME) !== 0 && !ownerOrCapable(task.cred, inode)) return -EPERM;
  if ((flags & O_DIRECT) !== 0 && !isFifo(inode.mode) && ops.directIo !== true) return -EINVAL;
  if (((flags ^ file.flags) & FASYNC) !== 0 && ops.fasync !== undefined) {
    const error = ops.fasync(k, task, file, (flags & FASYNC) !== 0);
    if (error < 0) return error;
  }
  file.flags = (flags & SETFL_MASK) | (file.flags & ~SETFL_MASK);
  return 0;
}

export function ownerNumber({ owner }: OpenFile): number {
  if (owner === null || owner.pid === 0) return 0;
  return owner.type === F_OWNER_PGRP ? -owner.pid : owner.pid;
}

/** Whether such a process, thread or group exists. */
function exists(k: Kernel, type: number, pid: number): boolean {
  const { tasks, groups } = k.state.sched;
  if (type === F_OWNER_PGRP) return [...groups.values()].some((group) => group.pgid === pid);
  return type === F_OWNER_PID ? groups.has(pid) : tasks.has(pid);
}

function giveTo(k: Kernel, task: Task, file: OpenFile, type: number, pid: number): number {
  if (pid !== 0 && !exists(k, type, pid)) return -ESRCH;
  const { uid, euid } = pid === 0 ? (file.owner ?? { uid: 0, euid: 0 }) : task.cred;
  file.owner = { type, pid, uid, euid };
  return 0;
}

/** F_SETOWN: a process, or a group as a negative number; 0 for nobody. Also FIOSETOWN. */
export function setOwner(k: Kernel, task: Task, file: OpenFile, who: number): number {
  if (who === -0x8000_0000) return -EINVAL;
  return who < 0 ? giveTo(k, task, file, F_OWNER_PGRP, -who) : giveTo(k, task, file, F_OWNER_PID, who);
}

function getOwnerEx(k: Kernel, task: Task, { owner }: OpenFile, arg: Addr): number {
  const bytes = encodeStruct(fOwnerExLayout, { type: owner?.type ?? F_OWNER_TID, pid: owner?.pid ?? 0 });
  return copyToUser(k, task, arg, bytes) < bytes.length ? -EFAULT : 0;
}

function setOwnerEx(k: Kernel, task: Task, file: OpenFile, arg: Addr): number {
  const bytes = copyFromUser(k, task, arg, fOwnerExLayout.size);
  if (typeof bytes === "number") return -EFAULT;
  const { type, pid } = decodeStruct(fOwnerExLayout, bytes);
  if (type !== F_OWNER_TID && type !== F_OWNER_PID && type !== F_OWNER_PGRP) return -EINVAL;
  return giveTo(k, task, file, type, pid);
}

function getOwnerUids(k: Kernel, task: Task, { owner }: OpenFile, arg: Addr): number {
  const bytes = new Uint8Array(8);
  putU32(bytes, 0, owner?.uid ?? 0);
  putU32(bytes, 4, owner?.euid ?? 0);
  return copyToUser(k, task, arg, bytes) < 8 ? -EFAULT : 0;
}

/** F_GET_RW_HINT: how long what is written is likely to stay, as somebody has said of the file. */
function getWriteHint(k: Kernel, task: Task, file: OpenFile, arg: Addr): number {
  const bytes = new Uint8Array(8);
  putU64(bytes, 0, inodeOf(k, file.inode).writeHint);
  return copyToUser(k, task, arg, bytes) < 8 ? -EFAULT : 0;
}

function setWriteHint(k: Kernel, task: Task, file: OpenFile, arg: Addr): number {
  const bytes = copyFromUser(k, task, arg, 8);
  if (typeof bytes === "number") return -EFAULT;
  const hint = getU64(bytes, 0);
  if (hint > RWH_WRITE_LIFE_EXTREME) return -EINVAL;
  inodeOf(k, file.inode).writeHint = Number(hint);
  return 0;
}

function setSignal(file: OpenFile, arg: Addr): number {
  if (typeof arg === "bigint" || arg > 64) return -EINVAL;
  file.signal = arg;
  return 0;
}

/** The largest hint: RWH_WRITE_LIFE_NOT_SET 0, NONE, SHORT, MEDIUM, LONG, EXTREME. */
const RWH_WRITE_LIFE_EXTREME = 5;
const ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;

/** F_ADD_SEALS: -EPERM for a file that is not writable or may not be sealed, -EBUSY while somebody may write to it through a mapping and F_SEAL_WRITE is asked for. */
function addSeals(k: Kernel, file: OpenFile, seals: number): number {
  const inode = inodeOf(k, file.inode);
  if (!file.canWrite) return -EPERM;
  if ((seals & ~ALL_SEALS) !== 0 || inode.pages === null) return -EINVAL;
  if ((inode.seals & F_SEAL_SEAL) !== 0) return -EPERM;
  if ((seals & F_SEAL_WRITE) !== 0 && (inode.seals & F_SEAL_WRITE) === 0 && isMappedWritable(k, inode.id)) return -EBUSY;
  inode.seals |= seals;
  return 0;
}

/** Commands that take nothing. */
const BARE = [F_GETFD, F_GETFL, F_GETOWN, F_GETSIG, F_GETLEASE, F_GETPIPE_SZ, F_GET_SEALS];
const commandArg = shownIf(fcntlArg("arg", "cmd"), (view) => !BARE.includes(int32(view.reg("cmd"))));

/** As strace: flags and signals are named behind the number. */
function showAnswer(ret: number | bigint, view: CallView): string {
  const value = Number(ret);
  switch (int32(view.reg("cmd"))) {
    case F_GETFL: return `${showHex(value)} (flags ${formatFlags(openFlags, value)})`;
    case F_GETFD: return value === 0 ? "0" : `${showHex(value)} (flags ${formatFlags(fdFlags, value)})`;
    case F_GET_SEALS: return value === 0 ? "0" : `${showHex(value)} (seals ${formatFlags(sealFlags, value)})`;
    case F_GETSIG: return value === 0 ? "0" : `${value} (${signalName(value)})`;
    default: return ret.toString();
  }
}

/** As C's `%#x`: a zero has no prefix. */
function showHex(value: number): string {
  return value === 0 ? "0" : `0x${value.toString(16)}`;
}

export const fcntlRows: Rows = {
  fcntl: {
    x86_64: 72, args: [fdNumber("fd"), choice("cmd", fcntlCommands), commandArg], run: sysFcntl, showResult: showAnswer,
  },
};
