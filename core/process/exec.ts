/** Running another program in the same process (execve(2), fs/exec.c). */
import { E2BIG, EACCES, EAGAIN, EFAULT, EINVAL, ELOOP, ENOEXEC, ENOMEM, ETXTBSY } from "../abi/errno.ts";
import { MS_NOEXEC, MS_NOSUID } from "../abi/mount.ts";
import { MAX_ARG_STRLEN, RLIMIT_STACK, TASK_COMM_LEN } from "../abi/limits.ts";
import { SIGCHLD, SIGKILL } from "../abi/signal.ts";
import { isRegular, isSymlink, S_ISGID, S_ISUID, S_IXGRP } from "../abi/stat.ts";
import { placePath } from "../fs/d_path.ts";
import { closeOnExec, mayUnshareFiles, unshareFiles } from "../fs/fd_table.ts";
import { fsOf, treeRoot, walkContext } from "../fs/fs_struct.ts";
import type { PathRef } from "../fs/inode.ts";
import { computedType, mountOf, sbOf } from "../fs/mount.ts";
import { nodePermission, walkPath, type Node } from "../fs/namei.ts";
import { bytesName } from "../fs/names.ts";
import { readBytes } from "../fs/page_cache.ts";
import { MAY_EXEC } from "../fs/permission.ts";
import type { Kernel } from "../kernel.ts";
import { dropSpace } from "../mm/fork.ts";
import { newSpace } from "../mm/space.ts";
import { getUser64, strncpyBytesFromUser, type Addr } from "../mm/usercopy.ts";
import { charge, costs } from "../sched/cost.ts";
import { emit } from "../sched/events.ts";
import { rlimit } from "../sched/rlimit.ts";
import { enqueue } from "../sched/run_queue.ts";
import { killThreads } from "../sched/signal.ts";
import { enter, NEXT, pushFrame, steps, to, type SyscallResult } from "../sched/steps.ts";
import { groupOf, handlersOf, type Task, type ThreadGroup } from "../sched/task.ts";
import { doTaskWork } from "../sched/task_work.ts";
import { sleepOn, wake } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { programSteps } from "./clone_frames.ts";
import { execCred } from "./cred.ts";
import { layArguments } from "./exec_stack.ts";
import { exitGroup } from "./exit.ts";
import { unshareHandlers } from "./fork.ts";
import { exitFutexes } from "./futex_exit.ts";
import { dropPosixTimers, flushTimerSignals } from "./posix_timer.ts";

/** Strings of argv or envp; the kernel would allow more than fit into its stack limit. */
const STRINGS_LIMIT = 4096;
/** Interpreters of interpreters. */
const DEPTH_LIMIT = 5;
const HEAD_SIZE = 256;

function nextWord(addr: Addr): Addr {
  return typeof addr === "bigint" ? addr + 8n : addr + 8;
}

/** A NULL-terminated array of strings; -EFAULT, or -E2BIG for too many or a long one. */
export function readStrings(k: Kernel, task: Task, addr: Addr): string[] | number {
  const strings: string[] = [];
  if (addr === 0) return strings;
  let total = 0;
  for (let at = addr; ; at = nextWord(at)) {
    const pointer = getUser64(k, task, at);
    if (pointer === null) return -EFAULT;
    if (pointer === 0) return strings;
    const bytes = strncpyBytesFromUser(k, task, pointer, MAX_ARG_STRLEN);
    if (typeof bytes === "number") return bytes === -EFAULT ? -EFAULT : -E2BIG;
    total += bytes.length + 9;
    if (strings.length >= STRINGS_LIMIT || total > Math.min(rlimit(k, task, RLIMIT_STACK) / 4, 1 << 20)) return -E2BIG;
    strings.push(bytesName(bytes));
  }
}

function openExec(k: Kernel, task: Task, base: PathRef, path: string, follow: boolean): Node | number {
  const context = walkContext(k, task);
  const node = path === "" ? walkPath(k, context, base, ".", {}) : walkPath(k, context, base, path, { follow });
  if (typeof node === "number") return node;
  if (!follow && isSymlink(node.inode.mode)) return -ELOOP;
  if (!isRegular(node.inode.mode) || (mountOf(k, node.mnt).flags & MS_NOEXEC) !== 0) return -EACCES;
  const denied = nodePermission(k, context, node, MAY_EXEC);
  if (denied !== 0) return denied;
  return node.inode.writers > 0 ? -ETXTBSY : node;
}

/** `#!interpreter [argument]`: null when the file is no script, an errno when it is a broken one. */
function scriptLine(bytes: Uint8Array): { interpreter: string; argument: string | null } | null | number {
  if (bytes[0] !== 0x23 || bytes[1] !== 0x21) return null;
  const text = bytesName(bytes);
  const end = text.indexOf("\n");
  const line = (end < 0 ? text : text.slice(0, end)).slice(2).replace(/^[ \t]+|[ \t\0]+$/g, "");
  if (line === "" || (end < 0 && bytes.length === 256 && !/[ \t\0]/.test(line))) return -ENOEXEC;
  const gap = line.search(/[ \t]/);
  if (gap < 0) return { interpreter: line, argument: null };
  return { interpreter: line.slice(0, gap), argument: line.slice(gap).replace(/^[ \t]+/, "") };
}

interface Found {
  code: string;
  locals: unknown;
  /** With the interpreter of a script and its argument before it. */
  argv: string[];
}

/** What the kernel reads of a file to tell how it is run (BINPRM_BUF_SIZE). */
function headOf(k: Kernel, task: Task, { mnt, dentry, inode }: Node): Uint8Array {
  if (typeof dentry === "number") return readBytes(k, inode, 0, HEAD_SIZE);
  const seen = computedType(k, sbOf(k, mnt))?.view(k, dentry, walkContext(k, task)) ?? -ENOEXEC;
  return typeof seen === "number" ? new Uint8Array(0) : seen.slice(0, HEAD_SIZE);
}

/** Finds what to run, through interpreters of scripts; an errno in Linux's order. */
function findProgram(k: Kernel, task: Task, node: Node, given: string, argv: string[], envp: string[]): Found | number {
  let at = node;
  let name = given;
  let args = argv;
  for (let depth = 0; depth < DEPTH_LIMIT; depth++) {
    const path = placePath(k, { mnt: at.mnt, dentry: at.dentry }, treeRoot(k));
    const head = headOf(k, task, at);
    const program = k.tables.hooks.execProgram(k, path, args, envp, head);
    if (program !== null) return { ...program, argv: args };
    const line = scriptLine(head);
    if (line === null) return -ENOEXEC;
    if (typeof line === "number") return line;
    args = [line.interpreter, ...(line.argument === null ? [] : [line.argument]), name, ...args.slice(1)];
    name = line.interpreter;
    const next = openExec(k, task, fsOf(k, task).cwd, name, true);
    if (typeof next === "number") return next;
    at = next;
  }
  return -ELOOP;
}

export interface ExecRequest {
  base: PathRef;
  /** As given; "" runs `base` itself (AT_EMPTY_PATH). */
  path: string;
  /** What the process is named after, and what the interpreter of a script is told to run. */
  name: string;
  follow: boolean;
  argv: string[];
  envp: string[];
}

interface ExecLocals {
  name: string;
  argv: string[];
  envp: string[];
  /** Absolute path of what was named. */
  exe: string;
  /** Owner and group that a set-ID program runs as, -1 for no change. */
  setUid: number;
  setGid: number;
  program: { code: string; locals: unknown };
}

/**
 * Replaces the running program. A number is an errno and nothing has changed; else the process runs one of the programs of
 * /bin with a fresh memory. Differs from Linux: only the first thread of a process may do it (-EINVAL), and there are no ELF
 * programs yet (-ENOEXEC).
 */
export function execve(k: Kernel, task: Task, { base, path, name, follow, argv: given, envp }: ExecRequest): SyscallResult {
  const node = openExec(k, task, base, path, follow);
  if (typeof node === "number") return node;
  const argv = given.length === 0 ? [""] : given;
  const found = findProgram(k, task, node, name, argv, envp);
  if (typeof found === "number") return found;
  if (task.tid !== task.tgid) return -EINVAL;
  if (groupOf(k, task).exiting >= 0) return -EAGAIN;
  if (!mayUnshareFiles(k, task)) return -ENOMEM;
  return enter(execSteps, {
    name, argv: found.argv, envp, program: { code: found.code, locals: found.locals }, exe: placePath(k, { mnt: node.mnt, dentry: node.dentry }, treeRoot(k)), ...setIds(k, task, node),
  });
}

/** Set-user-ID and set-group-ID programs run as their owner, unless that is forbidden. */
function setIds(k: Kernel, task: Task, { mnt, inode }: Node): { setUid: number; setGid: number } {
  const may = !task.noNewPrivs && (mountOf(k, mnt).flags & MS_NOSUID) === 0;
  const group = S_ISGID | S_IXGRP;
  return {
    setUid: may && (inode.mode & S_ISUID) !== 0 ? inode.uid : -1,
    setGid: may && (inode.mode & group) === group ? inode.gid : -1,
  };
}

function becomeNew(k: Kernel, task: Task, group: ThreadGroup, { name, argv, envp, exe, setUid, setGid }: ExecLocals): boolean {
  exitFutexes(k, task);
  dropSpace(k, task);
  task.mm = newSpace(k);
  if (group.vforkParent !== 0) {
    group.vforkParent = 0;
    wake(k, group.vforkWait, { nr: Infinity });
  }
  unshareFiles(k, task);
  closeOnExec(k, task);
  unshareHandlers(k, group);
  const { actions, counts } = handlersOf(k, group);
  counts.clear();
  for (const [signal, action] of [...actions]) if (action.handler === "count") actions.delete(signal);
  dropPosixTimers(k, group);
  flushTimerSignals(k, task, group);
  task.altStack = { sp: 0, flags: 0, size: 0 };
  group.membarriers = 0;
  task.fsBase = 0;
  task.gsBase = 0;
  task.rseq = 0;
  task.exitSignal = SIGCHLD;
  task.comm = name.slice(name.lastIndexOf("/") + 1).slice(0, TASK_COMM_LEN - 1);
  execCred(task, setUid, setGid);
  group.execed = true;
  group.cmdline = [...argv];
  group.environ = [...envp];
  group.exe = exe;
  return layArguments(k, task, { argv, envp, exe });
}

const execSteps = steps<ExecLocals>("exec", {
  begin: (k, task) => {
    charge(k, costs(k).forkNs);
    const group = groupOf(k, task);
    group.execTask = task.tid;
    killThreads(k, group, task);
    return NEXT;
  },
  alone: (k, task) => {
    const group = groupOf(k, task);
    if (group.threads.length === 1) {
      group.execTask = 0;
      return NEXT;
    }
    if (group.exiting >= 0) return -EAGAIN;
    return sleepOn(group.threadWait, { mode: "killable", wchan: "de_thread", interrupted: -EAGAIN });
  },
  // Nothing below may fail.
  become: (k, task, { locals }) => {
    // As Linux: there is no program left that could be told of an error.
    return becomeNew(k, task, groupOf(k, task), locals) ? NEXT : exitGroup(SIGKILL);
  },
  work: (k, task) => {
    const action = doTaskWork(k, task);
    return typeof action === "object" && action.act === "next" ? to("run") : action;
  },
  moreWork: (_k, task) => (task.work.length > 0 ? to("work") : NEXT),
  run: (k, task, { locals }) => {
    const { program, exe } = locals;
    emit(k, { event: "process", data: { pid: task.tgid, what: "exec", comm: task.comm, exe } });
    if (task.kind === "driven") {
      task.program = program;
      return 0;
    }
    // The frames of the old program go, this one too, whose answer nobody hears; a bottom that a caller waits for stays.
    task.frames = task.frames.filter(({ code }, at) => at === 0 && code === "program.run");
    pushFrame(task, programSteps.name, program);
    task.scratch = null;
    return to("run");
  },
}, {
  undo: {
    alone: (k, task) => {
      groupOf(k, task).execTask = 0;
    },
  },
});

/** The call that executed a program is answered: the process goes on by itself. False when it made no such call. */
export function startProgram(k: Kernel, task: Task): boolean {
  const { program } = task;
  if (program === null) return false;
  task.program = null;
  task.kind = "program";
  task.graceNs = now(k);
  pushFrame(task, programSteps.name, program);
  enqueue(k, task);
  return true;
}
