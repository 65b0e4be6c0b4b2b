/** Making tasks that nobody forks: the kernel's own threads, processes that a caller drives, and those that run a program. */
import { EAGAIN } from "../abi/errno.ts";
import { O_LARGEFILE, O_RDWR } from "../abi/fcntl.ts";
import { TASK_COMM_LEN } from "../abi/limits.ts";
import { SIGCHLD } from "../abi/signal.ts";
import { exitFiles, fdInstall, newFdTable } from "../fs/fd_table.ts";
import { exitFs, fsOf, newFsStruct, setCwd, treeRoot, walkContext } from "../fs/fs_struct.ts";
import { walkPath } from "../fs/namei.ts";
import { bytesName } from "../fs/names.ts";
import { vfsOpen } from "../fs/open.ts";
import { newSpace } from "../mm/space.ts";
import { dropSpace } from "../mm/fork.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { utf8Encode } from "../lib/bytes.ts";
import { copyCred, credOf, type Cred } from "../sched/cred.ts";
import { emit } from "../sched/events.ts";
import { defaultRlimits } from "../sched/rlimit.ts";
import { enqueue } from "../sched/run_queue.ts";
import { NEXT, pushFrame, steps, type StepTable } from "../sched/steps.ts";
import { newWaitQueue } from "../sched/wait_queue.ts";
import { newEntity, type SignalHandlers, type Task, type ThreadGroup } from "../sched/task.ts";
import { now } from "../time/clock.ts";
import { enterExit } from "./exit.ts";
import { INIT_PID, KTHREADD_PID, maxThreads, PROCESS_LIMIT } from "./limits.ts";
import { allocPid } from "./pid.ts";
import { removeGroup } from "./reap.ts";

export { INIT_PID, KTHREADD_PID, maxThreads, PROCESS_LIMIT };

/** A name as a task bears it: at most 15 bytes, one character each. */
export function commOf(name: string): string {
  const bytes = utf8Encode(name);
  // Most are plain and short: as many bytes as characters.
  return bytes.length === name.length && bytes.length < TASK_COMM_LEN ? name : bytesName(bytes.subarray(0, TASK_COMM_LEN - 1));
}

/** A task with every field as of one that has done nothing yet; it is in no table. */
export function blankTask(k: Kernel, { tid, tgid, comm, kind, cred }: Pick<Task, "tid" | "tgid" | "comm" | "kind" | "cred">): Task {
  return {
    tid, tgid, comm: commOf(comm), kind, state: kind === "kthread" ? "sleeping" : "parked", cred,
    files: 0, fs: 0, mm: 0, frames: [], sleep: null, timedOut: false,
    pending: [], blocked: 0n, realBlocked: 0n, savedMask: null, signalPending: false, interrupted: false, onFault: "signal", delivered: [],
    altStack: { sp: 0, flags: 0, size: 0 }, restartNs: -1, fault: null, work: [],
    cpu: 0, readyNs: 0, se: newEntity(kind !== "kthread"), nice: 0, affinity: 2 ** k.state.machine.cpus - 1, utimeNs: 0, stimeNs: 0, startNs: now(k), graceNs: now(k),
    voluntarySwitches: 0, involuntarySwitches: 0, minFlt: 0, majFlt: 0, preemptCount: 0, worker: false, scratch: null,
    clearTid: 0, robustList: 0, rseq: 0, exitSignal: 0, parentDeathSignal: 0, personality: 0, dumpable: 1, noNewPrivs: false, keepCaps: false,
    timerSlackNs: 50_000, policy: 0, rtPriority: 0, resetOnFork: false, fsBase: 0, gsBase: 0,
    exiting: false, exitCode: 0, program: null,
  };
}

/** A thread group of one task, without relations; it is in no table. */
export function blankGroup(k: Kernel, tgid: number, parent: number): ThreadGroup {
  return {
    tgid, parent, pgid: tgid, sid: tgid, threads: [tgid], children: [], member: "", created: false,
    rlimits: defaultRlimits(Math.floor(maxThreads(k) / 2)), sighand: 0, pending: [],
    exitStatus: -1, exiting: -1, waitNotice: 0, stopSignal: 0, childWait: newWaitQueue(k), stopWait: newWaitQueue(k),
    signalWait: newWaitQueue(k), threadWait: newWaitQueue(k), execTask: 0,
    execed: false, childReaper: false,
    childUtimeNs: 0, childStimeNs: 0, childMinFlt: 0, childMajFlt: 0, childVoluntary: 0, childInvoluntary: 0,
    deadUtimeNs: 0, deadStimeNs: 0, deadMinFlt: 0, deadMajFlt: 0, deadVoluntary: 0, deadInvoluntary: 0,
    maxRssPages: 0, childMaxRssPages: 0, realTimer: 0, realPeriodNs: 0, realUntilNs: 0, vforkParent: 0, vforkWait: newWaitQueue(k),
    virtualTimer: { expiresNs: -1, periodNs: 0, timer: 0, lookNs: 0 }, profTimer: { expiresNs: -1, periodNs: 0, timer: 0, lookNs: 0 },
    posixTimers: [], nextPosixTimer: 0, deleted: false,
    oomScoreAdj: 0, oomScoreAdjMin: 0, membarriers: 0, cmdline: [], environ: [], exe: "",
  };
}

/** A fresh table of signal actions with one user; its id. */
export function newHandlers(k: Kernel): number {
  const id = k.state.sched.nextHandlers++;
  const handlers: SignalHandlers = { refs: 1, actions: new Map(), counts: new Map() };
  k.state.sched.handlers.set(id, handlers);
  return id;
}

/** Enters a task and its group into the tables, as a child of `group.parent`. */
export function addGroup(k: Kernel, group: ThreadGroup, task: Task): void {
  const { sched } = k.state;
  sched.tasks.set(task.tid, task);
  sched.groups.set(group.tgid, group);
  if (group.parent !== 0) must(sched.groups, group.parent).children.push(group.tgid);
  sched.forks++;
}

/** Tells of a new process; of kernel threads nothing is told. */
export function announce(k: Kernel, { tgid, comm, kind, cred }: Task): void {
  if (kind === "kthread") return;
  const { parent, member } = must(k.state.sched.groups, tgid);
  emit(k, { event: "process", data: { pid: tgid, what: "created", comm, parent, uid: cred.uid, member } });
}

export interface NewTask {
  comm: string;
  kind: Task["kind"];
  cred: Cred;
  /** Tgid of the parent, 0 for none. */
  parent: number;
  /** The parent's process group and session when absent. */
  pgid?: number;
  sid?: number;
  member?: string;
  created?: boolean;
}

/** A process of one thread without files, directories and memory. It may not run before its caller gives it frames. */
export function createTask(k: Kernel, given: NewTask): Task {
  const tid = allocPid(k);
  const parent = given.parent === 0 ? null : must(k.state.sched.groups, given.parent);
  const task = blankTask(k, { tid, tgid: tid, comm: given.comm, kind: given.kind, cred: copyCred(given.cred) });
  task.exitSignal = SIGCHLD;
  const group = blankGroup(k, tid, given.parent);
  group.pgid = given.pgid ?? parent?.pgid ?? tid;
  group.sid = given.sid ?? parent?.sid ?? tid;
  group.sighand = newHandlers(k);
  group.member = given.member ?? "";
  group.created = given.created ?? false;
  addGroup(k, group, task);
  return task;
}

export interface NewProcess {
  comm: string;
  uid: number;
  /** Tgid; init when absent. Such a process leads a session of its own, as a login shell does. */
  parent?: number;
  member: string;
  /** Working directory. */
  home: string;
}

/**
 * A process that a caller drives: an address space, descriptors 0 to 2 on /dev/null, `home` as its directory, umask 022.
 * A negative errno, and no process, when `home` or /dev/null cannot be reached.
 */
export function createDriven(k: Kernel, given: NewProcess): Task | number {
  return createUser(k, given, "driven");
}

/** A process that runs the step table `code` with `locals`, and ends when that ends. As createDriven else. */
export function createProgram(k: Kernel, given: NewProcess & { code: string; locals: unknown }): Task | number {
  const task = createUser(k, given, "program");
  if (typeof task === "number") return task;
  pushFrame(task, given.code, given.locals);
  enqueue(k, task);
  return task;
}

function createUser(k: Kernel, { comm, uid, parent, member, home }: NewProcess, kind: "driven" | "program"): Task | number {
  if (k.state.sched.tasks.size >= PROCESS_LIMIT) return -EAGAIN;
  const task = createTask(k, { comm, kind, cred: credOf(uid), parent: parent ?? INIT_PID, member, created: kind === "driven" });
  const group = must(k.state.sched.groups, task.tgid);
  if (parent === undefined) group.pgid = group.sid = task.tgid;
  group.cmdline = [comm];
  task.files = newFdTable(k);
  task.fs = newFsStruct(k);
  task.mm = newSpace(k);
  const error = openStandard(k, task) || enterHome(k, task, home);
  if (error === 0) {
    announce(k, task);
    return task;
  }
  exitFiles(k, task);
  exitFs(k, task);
  dropSpace(k, task);
  removeGroup(k, group);
  return error;
}

function openStandard(k: Kernel, task: Task): number {
  const opened = vfsOpen(k, task, treeRoot(k), "/dev/null", { flags: O_RDWR | O_LARGEFILE, mode: 0 });
  if (typeof opened === "number") return opened;
  opened.file.refs += 2;
  for (let fd = 0; fd < 3; fd++) fdInstall(k, task, opened.file);
  return typeof opened.result === "number" ? opened.result : 0;
}

function enterHome(k: Kernel, task: Task, home: string): number {
  const context = walkContext(k, task);
  const node = walkPath(k, context, context.root, home, { directory: true });
  if (typeof node === "number") return node;
  setCwd(k, fsOf(k, task), { mnt: node.mnt, dentry: node.dentry });
  return 0;
}

interface KthreadLocals {
  code: string;
  locals: unknown;
}

/** The bottom of a kernel thread: its code, and its end when that returns. */
steps<KthreadLocals>("kthread", {
  run: (_k, _task, { locals }) => {
    const { code, locals: begun } = locals;
    locals.locals = null; // a record has one owner: from here on, the entered frame
    return { act: "enter", code, locals: begun };
  },
  exit: (_k, task, frame) => {
    task.exitCode = Number(BigInt.asUintN(8, BigInt(frame.ret))) << 8;
    return enterExit({ status: task.exitCode, group: false });
  },
  never: () => NEXT,
});

/**
 * A thread of the kernel, a child of kthreadd. With `entry` it runs that from now on and is gone when it returns;
 * without, it sleeps until somebody gives it frames. -EAGAIN when there are too many tasks.
 */
export function kthread<L>(k: Kernel, name: string, entry?: StepTable<L>, locals?: L): Task | number {
  const { sched } = k.state;
  if (sched.tasks.size >= PROCESS_LIMIT) return -EAGAIN;
  const parent = sched.groups.has(KTHREADD_PID) ? KTHREADD_PID : 0;
  const task = createTask(k, { comm: name, kind: "kthread", cred: credOf(0), parent, pgid: 0, sid: 0 });
  if (entry === undefined) return task;
  pushFrame(task, "kthread", { code: entry.name, locals: locals ?? {} } satisfies KthreadLocals);
  enqueue(k, task);
  return task;
}
