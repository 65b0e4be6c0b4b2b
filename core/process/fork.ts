/** Making a process or a thread out of the running one (clone(2), kernel/fork.c). */
import { EAGAIN, EFAULT, EINVAL, ENFILE, ENOMEM, EPERM, isErrno } from "../abi/errno.ts";
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from "../abi/capability.ts";
import {
  CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_CLEAR_SIGHAND, CLONE_DETACHED, CLONE_FILES, CLONE_FS, CLONE_NEWCGROUP, CLONE_NEWIPC,
  CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_PARENT, CLONE_PARENT_SETTID, CLONE_PIDFD, CLONE_SETTLS,
  CLONE_SIGHAND, CLONE_THREAD, CLONE_VFORK, CLONE_VM, SCHED_FIFO, SCHED_RR,
} from "../abi/clone.ts";
import { RLIMIT_NPROC, TASK_SIZE } from "../abi/limits.ts";
import { exitFiles, forkFiles, installFd, putFd, roomForFiles, takeFd } from "../fs/fd_table.ts";
import { filesLeft } from "../fs/file.ts";
import { exitFs, forkFs } from "../fs/fs_struct.ts";
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { forkSpace, shareSpace } from "../mm/fork.ts";
import { putUser32, type Addr } from "../mm/usercopy.ts";
import { charge, costs } from "../sched/cost.ts";
import { capable, copyCred } from "../sched/cred.ts";
import { rlimit } from "../sched/rlimit.ts";
import { enqueue } from "../sched/run_queue.ts";
import { enter, steps, type SyscallResult } from "../sched/steps.ts";
import { FOREVER, groupOf, handlersOf, type Task, type ThreadGroup } from "../sched/task.ts";
import { sleepOn } from "../sched/wait_queue.ts";
import { copyFrames } from "./clone_frames.ts";
import { addGroup, announce, blankGroup, blankTask, newHandlers } from "./create.ts";
import { INIT_PID, PROCESS_LIMIT } from "./limits.ts";
import { sampleLoad } from "../sched/loadavg.ts";
import { allocPid } from "./pid.ts";
import { createPidfd } from "./pidfd.ts";
import { putHandlers, removeGroup } from "./reap.ts";

export interface CloneRequest {
  /** CLONE_ bits without the exit signal; those above 32 bits only from clone3. */
  flags: number;
  exitSignal: number;
  /** Where the parent, and where the child, finds the child's tid. */
  parentTid: Addr;
  childTid: Addr;
  /** Where the parent finds the child's pidfd (CLONE_PIDFD). */
  pidfd: Addr;
  /** The thread pointer of CLONE_SETTLS. */
  tls: Addr;
}

const NAMESPACES = [CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET];

function has(flags: number, flag: number): boolean {
  return flag > 0xffff_ffff ? Math.floor(flags / flag) % 2 === 1 : ((flags >>> 0) & flag) !== 0;
}

/** What copy_process refuses before it has made anything. */
function checkFlags(k: Kernel, task: Task, { flags, tls }: CloneRequest): number {
  if (has(flags, CLONE_FS) && (has(flags, CLONE_NEWNS) || has(flags, CLONE_NEWUSER))) return -EINVAL;
  if (has(flags, CLONE_THREAD) && !has(flags, CLONE_SIGHAND)) return -EINVAL;
  if (has(flags, CLONE_SIGHAND) && !has(flags, CLONE_VM)) return -EINVAL;
  if (has(flags, CLONE_PARENT) && task.tgid === INIT_PID) return -EINVAL;
  if (has(flags, CLONE_THREAD) && (has(flags, CLONE_NEWUSER) || has(flags, CLONE_NEWPID))) return -EINVAL;
  if (has(flags, CLONE_PIDFD) && has(flags, CLONE_THREAD)) return -EINVAL;
  // Differs from Linux: there are no namespaces.
  if (has(flags, CLONE_NEWUSER)) return -EINVAL;
  const { cred } = task;
  if (cred.uid !== 0 && !capable(task, CAP_SYS_RESOURCE) && !capable(task, CAP_SYS_ADMIN)
    && userTasks(k, cred.uid) + 1 > rlimit(k, task, RLIMIT_NPROC)) return -EAGAIN;
  if (k.state.sched.tasks.size >= PROCESS_LIMIT) return -EAGAIN;
  if (!has(flags, CLONE_FILES) && !roomForFiles(k, task)) return -ENOMEM;
  if (NAMESPACES.some((flag) => has(flags, flag))) return capable(task, CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
  return has(flags, CLONE_SETTLS) && (typeof tls === "bigint" || tls >= TASK_SIZE) ? -EPERM : 0;
}

function userTasks(k: Kernel, uid: number): number {
  let count = 0;
  for (const task of k.state.sched.tasks.values()) if (task.cred.uid === uid) count++;
  return count;
}

/** The child's task, without files, directories and memory. */
function copyTask(k: Kernel, parent: Task, tid: number, { flags, childTid, tls }: CloneRequest): Task {
  const child = blankTask(k, {
    tid, tgid: has(flags, CLONE_THREAD) ? parent.tgid : tid, comm: parent.comm, kind: parent.kind, cred: copyCred(parent.cred),
  });
  child.state = "parked";
  child.cpu = parent.cpu;
  if (parent.kind === "program" && parent.graceNs !== FOREVER) child.graceNs = parent.graceNs;
  child.affinity = parent.affinity;
  child.blocked = parent.blocked;
  child.personality = parent.personality;
  child.dumpable = parent.dumpable;
  child.noNewPrivs = parent.noNewPrivs;
  child.keepCaps = parent.keepCaps;
  child.timerSlackNs = parent.timerSlackNs;
  child.fsBase = has(flags, CLONE_SETTLS) ? tls : parent.fsBase;
  child.gsBase = parent.gsBase;
  inheritPolicy(parent, child);
  // A thread needs a signal stack of its own; a vfork child borrows all of its parent's.
  if (!has(flags, CLONE_VM) || has(flags, CLONE_VFORK)) child.altStack = { ...parent.altStack };
  if (!has(flags, CLONE_VM)) child.rseq = parent.rseq;
  if (has(flags, CLONE_CHILD_CLEARTID)) child.clearTid = childTid;
  return child;
}

/** SCHED_RESET_ON_FORK takes privileged scheduling away from the child. */
function inheritPolicy(parent: Task, child: Task): void {
  const realTime = parent.policy === SCHED_FIFO || parent.policy === SCHED_RR;
  if (parent.resetOnFork && realTime) return;
  child.nice = parent.resetOnFork ? Math.max(parent.nice, 0) : parent.nice;
  child.policy = parent.policy;
  child.rtPriority = parent.rtPriority;
}

/** Enters a thread into its group. */
function addThread(k: Kernel, child: Task): void {
  k.state.sched.tasks.set(child.tid, child);
  groupOf(k, child).threads.push(child.tid);
  k.state.sched.forks++;
}

/** A group for a forked process: limits, process group, session and what /proc shows are the parent's. */
function copyGroup(k: Kernel, parent: Task, child: Task, { flags, exitSignal }: CloneRequest): ThreadGroup {
  const from = groupOf(k, parent);
  const sibling = has(flags, CLONE_PARENT);
  const group = blankGroup(k, child.tid, sibling ? from.parent : from.tgid);
  child.exitSignal = sibling ? must(k.state.sched.tasks, from.tgid).exitSignal : exitSignal;
  group.pgid = from.pgid;
  group.sid = from.sid;
  group.member = from.member;
  group.rlimits = from.rlimits.map((limit) => ({ ...limit }));
  group.oomScoreAdj = from.oomScoreAdj;
  group.oomScoreAdjMin = from.oomScoreAdjMin;
  group.membarriers = from.membarriers;
  group.cmdline = [...from.cmdline];
  group.environ = [...from.environ];
  group.exe = from.exe;
  group.sighand = has(flags, CLONE_SIGHAND) ? shareHandlers(k, from) : copyHandlers(k, from, has(flags, CLONE_CLEAR_SIGHAND));
  return group;
}

function shareHandlers(k: Kernel, from: ThreadGroup): number {
  handlersOf(k, from).refs++;
  return from.sighand;
}

function copyHandlers(k: Kernel, from: ThreadGroup, clear: boolean): number {
  const id = newHandlers(k);
  const { actions, counts } = must(k.state.sched.handlers, id);
  for (const [signal, action] of handlersOf(k, from).actions) {
    if (!clear || action.handler === "ignore") actions.set(signal, { ...action });
  }
  // A handler counts in its process's memory, which the child gets as it is.
  for (const [signal, count] of handlersOf(k, from).counts) counts.set(signal, count);
  return id;
}

/** Makes the child: its tid, a wait for a vfork child, or an errno with nothing left behind. */
export function cloneTask(k: Kernel, parent: Task, request: CloneRequest): SyscallResult {
  const { flags } = request;
  if (has(flags, CLONE_PIDFD) && has(flags, CLONE_DETACHED)) return -EINVAL;
  const refused = checkFlags(k, parent, request);
  if (refused !== 0) return refused;
  const pidfd = has(flags, CLONE_PIDFD) ? pidfdPlace(k, parent, request.pidfd) : -1;
  if (isErrno(pidfd) && has(flags, CLONE_PIDFD)) return pidfd;
  const thread = has(flags, CLONE_THREAD);
  sampleLoad(k);
  charge(k, thread ? costs(k).threadNs : costs(k).forkNs);
  const child = copyTask(k, parent, allocPid(k), request);
  if (thread) addThread(k, child);
  else addGroup(k, copyGroup(k, parent, child, request), child);
  forkFiles(k, parent, child, has(flags, CLONE_FILES));
  forkFs(k, parent, child, has(flags, CLONE_FS));
  const error = has(flags, CLONE_VM) ? shareMemory(k, parent, child) : forkSpace(k, parent, child);
  if (error !== 0) {
    exitFiles(k, child);
    exitFs(k, child);
    removeGroup(k, groupOf(k, child));
    return error;
  }
  if (pidfd >= 0) givePidfd(k, parent, child, pidfd);
  if (has(flags, CLONE_PARENT_SETTID)) putUser32(k, parent, request.parentTid, child.tid);
  if (has(flags, CLONE_CHILD_SETTID)) putUser32(k, child, request.childTid, child.tid);
  if (child.kind === "program") {
    copyFrames(k, parent, child, thread);
    enqueue(k, child);
  }
  if (!thread) announce(k, child);
  // Differs from Linux: a thread is not waited for; its process may itself have a parent that waits.
  return has(flags, CLONE_VFORK) && !thread ? waitForVfork(parent, groupOf(k, child), child) : child.tid;
}

/** The descriptor that the child's pidfd is to get, told at `at`; -EMFILE, -ENFILE, -EFAULT. */
function pidfdPlace(k: Kernel, task: Task, at: Addr): number {
  if (!filesLeft(k)) return -ENFILE;
  const fd = takeFd(k, task);
  if (fd < 0) return fd;
  putFd(k, task, fd);
  return putUser32(k, task, at, fd) ? fd : -EFAULT;
}

/** The parent alone gets a descriptor of the child (CLONE_PIDFD). */
function givePidfd(k: Kernel, parent: Task, child: Task, fd: number): void {
  const file = createPidfd(k, groupOf(k, child), 0);
  assert(typeof file === "object", "no room for a pidfd");
  assert(takeFd(k, parent) === fd, "another descriptor for a pidfd");
  installFd(k, parent, fd, file, true);
}

function shareMemory(k: Kernel, parent: Task, child: Task): number {
  shareSpace(k, parent, child);
  return 0;
}

function waitForVfork(parent: Task, group: ThreadGroup, child: Task): SyscallResult {
  group.vforkParent = parent.tid;
  return enter(vforkSteps, { child: child.tid });
}

/** The vfork child that this task waits for; null once it has a memory of its own, or is gone. */
function childOf(k: Kernel, task: Task, child: number): ThreadGroup | null {
  const group = k.state.sched.groups.get(child);
  return group !== undefined && group.vforkParent === task.tid ? group : null;
}

const vforkSteps = steps<{ child: number }>("vfork.wait", {
  wait: (k, task, { locals }) => {
    const group = childOf(k, task, locals.child);
    if (group === null) return locals.child;
    return sleepOn(group.vforkWait, { mode: "killable", wchan: "kernel_clone", interrupted: locals.child });
  },
}, {
  undo: {
    wait: (k, task, { locals }) => {
      const group = childOf(k, task, locals.child);
      if (group !== null) group.vforkParent = 0;
    },
  },
});

/** The group stops sharing its table of actions and gets a copy (execve). */
export function unshareHandlers(k: Kernel, group: ThreadGroup): void {
  if (handlersOf(k, group).refs === 1) return;
  const own = copyHandlers(k, group, false);
  putHandlers(k, group);
  group.sighand = own;
}
