/** Processes: fork(2), clone(2), execve(2), _exit(2), their ids, groups and sessions. */
import { E2BIG, EBADF, EFAULT, EINVAL, ENOENT, ENOMEM, ENOTDIR, EPERM, ESRCH } from "../abi/errno.ts";
import {
  cloneArgsLayout, cloneFlags, CLONE_ARGS_SIZE_VER0, CLONE_CLEAR_SIGHAND, CLONE_DETACHED, CLONE_FILES, CLONE_FS, CLONE_INTO_CGROUP,
  CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_PARENT,
  CLONE_PARENT_SETTID, CLONE_PIDFD, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VFORK, CLONE_VM, CSIGNAL, unshareFlags,
} from "../abi/clone.ts";
import { CAP_SYS_ADMIN, CAP_SYS_PTRACE } from "../abi/capability.ts";
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, atFlags } from "../abi/fcntl.ts";
import { formatFlags } from "../abi/flags.ts";
import { decodeStruct } from "../abi/layout.ts";
import { PAGE_SIZE, PATH_MAX } from "../abi/limits.ts";
import { isDirectory } from "../abi/stat.ts";
import { SIGCHLD, _NSIG } from "../abi/signal.ts";
import { exitedStatus } from "../abi/wait.ts";
import { fgetRaw, mayUnshareFiles, unshareFiles } from "../fs/fd_table.ts";
import { fsOf, unshareFs } from "../fs/fs_struct.ts";
import { inodeOf, type PathRef } from "../fs/inode.ts";
import { bytesName } from "../fs/names.ts";
import type { Kernel } from "../kernel.ts";
import { accessOk, copyFromUser, putUser64, strncpyBytesFromUser, type Addr } from "../mm/usercopy.ts";
import { execve, readStrings } from "../process/exec.ts";
import { exitGroup, exitThread } from "../process/exit.ts";
import { cloneTask } from "../process/fork.ts";
import { findGroupOfTask, findTask } from "../process/pid.ts";
import { setpgid, setsid } from "../process/session.ts";
import { capable } from "../sched/cred.ts";
import type { SyscallResult } from "../sched/steps.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { addr, dirfd, flags, int, path, size, structIn, uint32, ulong, type ArgType } from "./args.ts";
import { structCodec } from "./codec.ts";
import type { Rows } from "./row.ts";
import { scalarOut, strings } from "./vectors.ts";

type Word = number | bigint;

const NONE = { parentTid: 0, childTid: 0, tls: 0, pidfd: 0 };

function sysClone(k: Kernel, task: Task, [given, , parentTid, childTid, tls]: [number, Addr, Addr, Addr, Addr]): SyscallResult {
  const bits = given >>> 0;
  const request = { flags: (bits & ~CSIGNAL) >>> 0, exitSignal: bits & CSIGNAL, parentTid, childTid, tls, pidfd: parentTid };
  // pidfds come back where parent_tid points to: both cannot.
  if ((bits & CLONE_PIDFD) !== 0 && (bits & CLONE_PARENT_SETTID) !== 0) return -EINVAL;
  return cloneTask(k, task, request);
}

/** Nested pid namespaces that Linux knows. */
const PID_LEVELS = 32;
const CLONE3_BITS = BigInt(0xffff_ff00) | BigInt(CLONE_NEWTIME) | BigInt(CLONE_CLEAR_SIGHAND) | BigInt(CLONE_INTO_CGROUP);

function sysClone3(k: Kernel, task: Task, [args, length]: [Addr, Word]): SyscallResult {
  if (length > PAGE_SIZE) return -E2BIG;
  if (length < CLONE_ARGS_SIZE_VER0) return -EINVAL;
  const bytes = copyFromUser(k, task, args, Number(length));
  if (typeof bytes === "number") return bytes;
  if (bytes.subarray(cloneArgsLayout.size).some((byte) => byte !== 0)) return -E2BIG;
  const whole = new Uint8Array(cloneArgsLayout.size);
  whole.set(bytes.subarray(0, cloneArgsLayout.size));
  const wanted = decodeStruct(cloneArgsLayout, whole);
  const bits = BigInt(wanted.flags);
  if ((wanted.set_tid === 0) !== (wanted.set_tid_size === 0) || wanted.set_tid_size > PID_LEVELS) return -EINVAL;
  if (BigInt(wanted.exit_signal) > BigInt(CSIGNAL) || wanted.exit_signal > _NSIG) return -EINVAL;
  if ((bits & ~CLONE3_BITS) !== 0n || (bits & BigInt(CLONE_DETACHED)) !== 0n) return -EINVAL;
  const flag = (one: number): boolean => (bits & BigInt(one)) !== 0n;
  if (flag(CLONE_SIGHAND) && flag(CLONE_CLEAR_SIGHAND)) return -EINVAL;
  if ((flag(CLONE_THREAD) || flag(CLONE_PARENT)) && wanted.exit_signal !== 0) return -EINVAL;
  if ((wanted.stack === 0) !== (wanted.stack_size === 0) || !accessOk(wanted.stack, wanted.stack_size)) return -EINVAL;
  // Differs from Linux: pids are not chosen, and there are no cgroups and no time namespaces to enter.
  if (wanted.set_tid !== 0) return -EPERM;
  if (flag(CLONE_INTO_CGROUP) || flag(CLONE_NEWTIME)) return flag(CLONE_INTO_CGROUP) ? -EBADF : -EPERM;
  return cloneTask(k, task, {
    flags: Number(bits), exitSignal: Number(wanted.exit_signal), parentTid: wanted.parent_tid, childTid: wanted.child_tid, tls: wanted.tls, pidfd: wanted.pidfd,
  });
}

const UNSHARE_BITS = CLONE_THREAD | CLONE_FS | CLONE_NEWNS | CLONE_SIGHAND | CLONE_VM | CLONE_FILES | CLONE_SYSVSEM | CLONE_NEWUTS | CLONE_NEWIPC
  | CLONE_NEWNET | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWCGROUP | CLONE_NEWTIME;
const NAMESPACE_BITS = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWCGROUP | CLONE_NEWTIME;

function sysUnshare(k: Kernel, task: Task, [bits]: [number]): number {
  if ((bits & ~UNSHARE_BITS) !== 0) return -EINVAL;
  const shared = (bits & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) !== 0 && groupOf(k, task).threads.length > 1;
  if (shared || (bits & CLONE_NEWUSER) !== 0) return -EINVAL;
  if ((bits & NAMESPACE_BITS) !== 0) return capable(task, CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
  if ((bits & CLONE_FILES) !== 0 && !mayUnshareFiles(k, task)) return -ENOMEM;
  if ((bits & CLONE_FS) !== 0) unshareFs(k, task);
  if ((bits & CLONE_FILES) !== 0) unshareFiles(k, task);
  return 0;
}

/** The directory that a relative path starts at, or what an empty path names; -EBADF, -ENOTDIR. */
function baseOf(k: Kernel, task: Task, fd: number, name: string): PathRef | number {
  if (fd === AT_FDCWD || name.startsWith("/")) return fsOf(k, task).cwd;
  const file = fgetRaw(k, task, fd);
  if (typeof file === "number") return -EBADF;
  if (name !== "" && !isDirectory(inodeOf(k, file.inode).mode)) return -ENOTDIR;
  return file.path;
}

function sysExecveat(k: Kernel, task: Task, [fd, pathname, argv, envp, bits]: [number, Addr, Addr, Addr, number]): SyscallResult {
  const name = strncpyBytesFromUser(k, task, pathname, PATH_MAX);
  if (typeof name === "number") return name;
  const text = bytesName(name);
  if (text === "" && (bits & AT_EMPTY_PATH) === 0) return -ENOENT;
  const args = readStrings(k, task, argv);
  if (typeof args === "number") return args;
  const environment = readStrings(k, task, envp);
  if (typeof environment === "number") return environment;
  if ((bits & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const base = baseOf(k, task, fd, text);
  if (typeof base === "number") return base;
  const shown = fd === AT_FDCWD || text.startsWith("/") ? text : text === "" ? `/dev/fd/${fd}` : `/dev/fd/${fd}/${text}`;
  return execve(k, task, {
    base, path: text, name: shown, follow: (bits & AT_SYMLINK_NOFOLLOW) === 0, argv: args, envp: environment,
  });
}

function sysGetpgid(k: Kernel, task: Task, [pid]: [number]): number {
  return findGroupOfTask(k, task, pid)?.pgid ?? -ESRCH;
}

function sysGetsid(k: Kernel, task: Task, [pid]: [number]): number {
  return findGroupOfTask(k, task, pid)?.sid ?? -ESRCH;
}

function sysSetTidAddress(_k: Kernel, task: Task, [tidptr]: [Addr]): number {
  task.clearTid = tidptr;
  return task.tid;
}

/** struct robust_list_head */
const ROBUST_HEAD_SIZE = 24;

function sysSetRobustList(_k: Kernel, task: Task, [head, length]: [Addr, Word]): number {
  if (length !== ROBUST_HEAD_SIZE) return -EINVAL;
  task.robustList = head;
  return 0;
}

function sysGetRobustList(k: Kernel, task: Task, [pid, head, length]: [number, Addr, Addr]): number {
  const target = findTask(k, task, pid);
  if (target === null) return -ESRCH;
  const foreign = target.tgid !== task.tgid && target.cred.uid !== task.cred.uid;
  if (foreign && !capable(task, CAP_SYS_PTRACE)) return -EPERM;
  if (!putUser64(k, task, length, ROBUST_HEAD_SIZE)) return -EFAULT;
  return putUser64(k, task, head, target.robustList) ? 0 : -EFAULT;
}

/** clone's flags are 64 bits wide in the register, and 32 count. */
function cloneFlagBits(name: string): ArgType {
  return { ...flags(name, cloneFlags), take: uint32, show: (register) => formatFlags(cloneFlags, uint32(register)) };
}

/** The number that the parent finds; written where the flags ask for it. */
function parentTidOut(name: string): ArgType {
  const plain = scalarOut(name, "i32");
  return {
    ...plain,
    output: (register, view) => ((uint32(view.reg("flags")) & (CLONE_PARENT_SETTID | CLONE_PIDFD)) !== 0 ? plain.output?.(register, view) : undefined),
  };
}

const cloneArgs = structCodec("clone_args", cloneArgsLayout);

export const processRows: Rows = {
  getpid: { x86_64: 39, args: [], run: (_k, task) => task.tgid },
  clone: {
    x86_64: 56,
    args: [cloneFlagBits("flags"), addr("stack"), parentTidOut("parent_tid"), addr("child_tid"), ulong("tls")],
    run: sysClone, partial: "the child is driven by the caller; no namespaces",
  },
  fork: {
    x86_64: 57, args: [], run: (k, task) => cloneTask(k, task, { flags: 0, exitSignal: SIGCHLD, ...NONE }),
  },
  vfork: {
    x86_64: 58, args: [], run: (k, task) => cloneTask(k, task, { flags: CLONE_VFORK | CLONE_VM, exitSignal: SIGCHLD, ...NONE }),
  },
  execve: {
    x86_64: 59, args: [path("pathname"), strings("argv"), strings("envp")],
    run: (k, task, [pathname, argv, envp]: [Addr, Addr, Addr]) => sysExecveat(k, task, [AT_FDCWD, pathname, argv, envp, 0]),
    partial: "runs the programs that /bin lists, else ENOEXEC",
  },
  exit: { x86_64: 60, args: [int("status")], run: (_k, _task, [status]: [number]) => exitThread(exitedStatus(status)) },
  setpgid: { x86_64: 109, args: [int("pid"), int("pgid")], run: (k, task, [pid, pgid]: [number, number]) => setpgid(k, task, pid, pgid) },
  getppid: { x86_64: 110, args: [], run: (k, task) => groupOf(k, task).parent },
  getpgrp: { x86_64: 111, args: [], run: (k, task) => groupOf(k, task).pgid },
  setsid: { x86_64: 112, args: [], run: setsid },
  getpgid: { x86_64: 121, args: [int("pid")], run: sysGetpgid },
  getsid: { x86_64: 124, args: [int("pid")], run: sysGetsid },
  gettid: { x86_64: 186, args: [], run: (_k, task) => task.tid },
  set_tid_address: { x86_64: 218, args: [addr("tidptr")], run: sysSetTidAddress },
  exit_group: { x86_64: 231, args: [int("status")], run: (_k, _task, [status]: [number]) => exitGroup(exitedStatus(status)) },
  unshare: { x86_64: 272, args: [flags("flags", unshareFlags)], run: sysUnshare, partial: "CLONE_FS and CLONE_FILES; there are no namespaces" },
  set_robust_list: { x86_64: 273, args: [addr("head"), size("len")], run: sysSetRobustList },
  get_robust_list: { x86_64: 274, args: [int("pid"), scalarOut("head_ptr", "u64"), scalarOut("len_ptr", "u64")], run: sysGetRobustList },
  execveat: {
    x86_64: 322, args: [dirfd("dirfd"), path("pathname"), strings("argv"), strings("envp"), flags("flags", atFlags)], run: sysExecveat,
    partial: "runs the programs that /bin lists, else ENOEXEC",
  },
  clone3: {
    x86_64: 435, args: [structIn("cl_args", cloneArgs), size("size", "cl_args")], run: sysClone3,
    partial: "the child is driven by the caller; no namespaces, no cgroups, no chosen pids",
  },
};
