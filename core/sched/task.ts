/** Tasks and thread groups: what the scheduler, signals and /proc know of a process. */
import { must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import type { Cred } from "./cred.ts";
import type { Frame } from "./steps.ts";
import type { PendingSignal, SignalAction } from "./signal.ts";
import type { Rlimit } from "./rlimit.ts";
import type { PosixTimer } from "../process/posix_timer.ts";
import type { CpuTimer } from "../process/cpu_timer.ts";

/**
 * parked: in user mode, waiting for its caller (ps shows S); runnable: on a run queue or running;
 * sleeping: `sleep` says on what; stopped: by a signal; zombie: waits to be reaped.
 */
export type TaskState = "parked" | "runnable" | "sleeping" | "stopped" | "zombie";

export type SleepMode = "interruptible" | "killable" | "uninterruptible";

export interface Sleep {
  queues: number[];
  mode: SleepMode;
  /** Absolute kernel time at which the sleep ends by itself; -1 for never. */
  untilNs: number;
  /** The timer armed for `untilNs`, 0 for none. */
  timer: number;
  sinceNs: number;
  /** The kernel function that sleeps, as /proc/PID/wchan shows it. */
  wchan: string;
  /** The CPU that waits for a disk with it, -1 for none. */
  ioCpu: number;
}

/** What the scheduler keeps of a task (struct sched_entity, sched_rt_entity, sched_info). */
export interface SchedEntity {
  /** CPU time weighed by nice, against that of the others of its run queue; ns of nice 0, with a fraction. */
  vruntime: number;
  /** CPU time that is in vruntime, and CPU time when it was last put on a CPU, ns. */
  countedNs: number;
  pickedNs: number;
  /** It has not been on a run queue yet: it begins behind those who are. */
  fresh: boolean;
  /** What is left of the burst of the frame at this depth with this code, ns; 0 for none. */
  burstNs: number;
  burstFrame: number;
  burstCode: string;
  /** Ticks left of a SCHED_RR slice. */
  rrTicks: number;
  /** The CPU that it last ran on, -1 before. */
  lastCpu: number;
  /** Since when it waits for its CPU; how long it has waited in all, ns; how often it got one (schedstat). */
  waitingNs: number;
  runDelayNs: number;
  runs: number;
  migrations: number;
  /** When it was last moved to another CPU to balance the load. */
  movedNs: number;
}

export interface Task {
  tid: number;
  tgid: number;
  comm: string;
  /** driven: a caller makes its system calls; program: its frames do; kthread: no user memory. */
  kind: "driven" | "program" | "kthread";
  state: TaskState;
  cred: Cred;
  /** Ids of the descriptor table, of the cwd/root/umask record and of the address space; 0 for none. */
  files: number;
  fs: number;
  mm: number;
  /** The call stack of kernel code that may sleep; the last one runs. */
  frames: Frame[];
  sleep: Sleep | null;
  /** The last sleep ended because its time was up. */
  timedOut: boolean;
  /** Signals sent to this thread alone; the group has its own. */
  pending: PendingSignal[];
  blocked: bigint;
  /** Signals that sigtimedwait lets through to itself for a while, though they are blocked: they neither vanish nor kill. */
  realBlocked: bigint;
  /** The mask that sigsuspend, ppoll and pselect put aside; null when none. */
  savedMask: bigint | null;
  /** An unblocked signal waits: an interruptible sleep must not begin. Kept by signal.ts. */
  signalPending: boolean;
  /** A caller interrupts the call: as a handler without SA_RESTART. */
  interrupted: boolean;
  /** What a fault of `load`, `store` and PUT memory does. */
  onFault: "signal" | "report";
  /** Names of signals whose counted handlers ran since the call began. */
  delivered: string[];
  /** As sigaltstack set it; a size of 0 is none. */
  altStack: { sp: number | bigint; flags: number; size: number };
  /** Deadline of a call that ended with ERESTART_RESTARTBLOCK, -1 for none. */
  restartNs: number;
  /** The fault that ended a user access of the call under way (load, store, PUT memory). */
  fault: { signal: string; siCode: string; addr: number | bigint; /** Bytes that a store had stored before it; -1 of a load. */ stored: number } | null;
  /** File ids whose release waits until the task leaves the kernel. */
  work: number[];
  /** The CPU whose run queue it is on, or was last. */
  cpu: number;
  /** Kernel time from which the task may run. */
  readyNs: number;
  se: SchedEntity;
  nice: number;
  /** Bit mask of the CPUs that it may run on. */
  affinity: number;
  utimeNs: number;
  stimeNs: number;
  startNs: number;
  /** When the command began that the task belongs to: what it forks counts as driven no longer than it does. */
  graceNs: number;
  voluntarySwitches: number;
  involuntarySwitches: number;
  minFlt: number;
  majFlt: number;
  preemptCount: number;
  /** A worker of a work queue, or a rescuer (PF_WQ_WORKER). */
  worker: boolean;
  /** Where a driven call's buffers lie while it lasts: outside the address space's maps, ended by an unmapped page. */
  scratch: Scratch | null;
  /** Addresses that the kernel clears or walks at exit (set_tid_address, set_robust_list), 0 for none. */
  clearTid: number | bigint;
  robustList: number | bigint;
  /** Where rseq(2) was registered, 0 for nowhere. */
  rseq: number | bigint;
  /** Signal sent to the parent at exit; 0 for a thread. */
  exitSignal: number;
  parentDeathSignal: number;
  /** Plain marks of prctl and personality. */
  personality: number;
  dumpable: number;
  noNewPrivs: boolean;
  keepCaps: boolean;
  timerSlackNs: number;
  /** Policy of sched_setscheduler and its real-time priority. */
  policy: number;
  rtPriority: number;
  resetOnFork: boolean;
  /** The thread pointer and its fellow (arch_prctl). */
  fsBase: number | bigint;
  gsBase: number | bigint;
  /** On its way out (PF_EXITING): no signal reaches it any more. */
  exiting: boolean;
  /** wait status of this thread's own end. */
  exitCode: number;
  /** What execve made of a driven process: it runs this once the call is answered; null for none. */
  program: { code: string; locals: unknown } | null;
}

export interface Scratch {
  base: number;
  bytes: Uint8Array;
}

export interface ThreadGroup {
  tgid: number;
  /** Tgid of the parent; 0 for init and kthreadd. */
  parent: number;
  pgid: number;
  sid: number;
  /** Tids, the leader first. */
  threads: number[];
  children: number[];
  /** Made by a caller: reaped at once when the caller deletes it. Who made it, as the service names members. */
  member: string;
  created: boolean;
  rlimits: Rlimit[];
  /** Id of the table of signal actions; shared under CLONE_SIGHAND. */
  sighand: number;
  pending: PendingSignal[];
  /** wait status once the group is dead; -1 while alive. */
  exitStatus: number;
  /** The group is on its way out with this status; -1 when not. */
  exiting: number;
  /** A stop or continue that a waiting parent has not seen: 0 none, else the wait status. */
  waitNotice: number;
  stopSignal: number;
  /** Wait queue of wait4 callers of this group. */
  childWait: number;
  /** Where a stopped thread sleeps. */
  stopWait: number;
  /** Woken by every signal that is queued, blocked ones too (signalfd). */
  signalWait: number;
  /** The thread that executes a program and wants to be alone, 0 for none; and where it waits for the others to end. */
  execTask: number;
  threadWait: number;
  execed: boolean;
  childReaper: boolean;
  /** What reaped children and dead threads have used; times in ns. */
  childUtimeNs: number;
  childStimeNs: number;
  childMinFlt: number;
  childMajFlt: number;
  childVoluntary: number;
  childInvoluntary: number;
  deadUtimeNs: number;
  deadStimeNs: number;
  deadMinFlt: number;
  deadMajFlt: number;
  deadVoluntary: number;
  deadInvoluntary: number;
  maxRssPages: number;
  childMaxRssPages: number;
  /** Timer id and period of ITIMER_REAL, 0 for none. */
  realTimer: number;
  realPeriodNs: number;
  realUntilNs: number;
  /** A vfork parent's tid that waits for exec or exit, 0 for none. */
  vforkParent: number;
  vforkWait: number;
  oomScoreAdj: number;
  /** The last one that a privileged writer set: others may not go below it. */
  oomScoreAdjMin: number;
  /** MEMBARRIER_CMD_REGISTER_ commands that were made. */
  membarriers: number;
  /** ITIMER_VIRTUAL and ITIMER_PROF. */
  virtualTimer: CpuTimer;
  profTimer: CpuTimer;
  posixTimers: PosixTimer[];
  nextPosixTimer: number;
  /** SIGKILL came from the caller that made it: nobody waits for it. */
  deleted: boolean;
  /** argv and environment as /proc shows them. */
  cmdline: string[];
  environ: string[];
  exe: string;
}

/** `graceNs` of the service's own programs. */
export const FOREVER = Number.MAX_SAFE_INTEGER;

/** Signal actions by number; absent is SIG_DFL. `counts`: deliveries to counted handlers by number. */
export interface SignalHandlers {
  refs: number;
  actions: Map<number, SignalAction>;
  counts: Map<number, number>;
}

/** A thread of the kernel is not `fresh`: it has run before, as it was made, and waited to be woken. */
export function newEntity(fresh: boolean): SchedEntity {
  return {
    vruntime: 0, countedNs: 0, pickedNs: 0, fresh, burstNs: 0, burstFrame: 0, burstCode: "", rrTicks: 0, lastCpu: -1,
    waitingNs: 0, runDelayNs: 0, runs: 0, migrations: 0, movedNs: 0,
  };
}

export function taskOf(k: Kernel, tid: number): Task {
  return must(k.state.sched.tasks, tid);
}

export function groupOf(k: Kernel, task: Task): ThreadGroup {
  return must(k.state.sched.groups, task.tgid);
}

export function handlersOf(k: Kernel, group: ThreadGroup): SignalHandlers {
  return must(k.state.sched.handlers, group.sighand);
}

/** The task whose step runs now, or null in timer context. */
export function current(k: Kernel): Task | null {
  return k.turn.current === 0 ? null : taskOf(k, k.turn.current);
}
