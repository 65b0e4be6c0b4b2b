/** The few functions that a lower room must call upward, listed in one place; tables.ts fills them in. */
import type { Kernel } from "./kernel.ts";
import type { PendingSignal } from "./sched/signal.ts";
import type { Task, ThreadGroup } from "./sched/task.ts";
import type { SyscallResult } from "./sched/steps.ts";
import type { OpenFile } from "./fs/file.ts";

export interface Hooks {
  /** The last frame of a task ended with `ret`: finish its call, its program or its thread. */
  taskReturned(k: Kernel, task: Task, ret: number | bigint): void;
  /** Tells pollers and parents that a signal changed what a parked process is doing (dies, stops, counts a handler). */
  signalParked(k: Kernel, task: Task): void;
  /** A task that a caller drives died with this wait status inside its call, if it was in one. */
  callEnded(k: Kernel, task: Task, status: number): void;
  /** A task ends: what semop owes to be undone is undone. */
  exitIpc(k: Kernel, task: Task): void;
  /** A timer's signal was taken from its queue: a periodic timer is armed again, its overruns are told. */
  timerSignalTaken(k: Kernel, group: ThreadGroup, signal: PendingSignal): void;
  /** What runs when the file at this absolute path, which begins with `head`, is executed with these arguments; null when it is no program of ours. */
  execProgram(k: Kernel, path: string, argv: string[], envp: string[], head: Uint8Array): { code: string; locals: unknown } | null;
  /** Releases an open file whose last reference is gone; a number, or steps when its release sleeps. */
  releaseFile(k: Kernel, task: Task, fileId: number): SyscallResult;

  getFile(k: Kernel, fileId: number): void;
  fput(k: Kernel, fileId: number): void;
  file(k: Kernel, fileId: number): OpenFile;
  /** The page-cache frame at `pgoff` (pages) of a regular file, allocated when absent; beyond the end is SIGBUS. */
  filePage(k: Kernel, fileId: number, pgoff: number): { pfn: number } | "sigbus" | "oom";
  /** What /proc/PID/maps shows of a mapped file. */
  fileMapName(k: Kernel, fileId: number): { major: number; minor: number; ino: number; path: string };
  /** Frames that the page cache holds a reference to, one item a reference; for the invariants. */
  pageCacheFrames(k: Kernel): Iterable<number>;
  /** Takes a file's pages from `fromPgoff` on out of every mapping (truncate); with `endPgoff`, those before it, and private copies stay (a hole is punched). */
  unmapFileRange(k: Kernel, inodeId: number, fromPgoff: number, endPgoff?: number): void;

  tryModuleGet(k: Kernel, name: string): boolean;
  modulePut(k: Kernel, name: string): void;

  /** An interrupt begins on the running CPU, and ends, with the softirqs that it raised (irq_enter, irq_exit). */
  irqEnter(k: Kernel): void;
  irqExit(k: Kernel): void;
  /** Marks softirq `nr` pending on the running CPU (raise_softirq). */
  raiseSoftirq(k: Kernel, nr: number): void;
  /** Runs what is pending on the running CPU, when the context lets softirqs run (do_softirq). */
  doSoftirq(k: Kernel): void;
  /** A worker of a work queue goes to sleep, and may run again: its pool sees that another one works meanwhile. */
  workerSleeping(k: Kernel, task: Task): void;
  workerRunning(k: Kernel, task: Task): void;
  /** A kernel thread that sleeps until it is given frames, or a negative errno. */
  createKthread(k: Kernel, name: string): Task | number;
}
