/** What the scheduler keeps: tasks, groups, wait queues and one clock a CPU. */
import type { Machine } from "../machine.ts";
import { FIRST_FREE_QUEUE } from "./boot_queues.ts";
import { kthreadsInit, lockdepInit, locksInit, rcuInit, type KthreadRecord, type LockdepState, type LocksState, type RcuState } from "./lock_state.ts";
import type { SignalHandlers, Task, ThreadGroup } from "./task.ts";
import type { Waiter } from "./wait_queue.ts";

export interface Cpu {
  id: number;
  /** Kernel time up to which this CPU has worked. */
  clockNs: number;
  /** Tids that may run, the next one first. */
  queue: number[];
  /** Tid that ran last, 0 for idle: another one costs a context switch. */
  last: number;
  busyNs: number;
  contextSwitches: number;
}

export interface SchedState {
  tasks: Map<number, Task>;
  groups: Map<number, ThreadGroup>;
  handlers: Map<number, SignalHandlers>;
  /** Queues with somebody on them; an id that is absent is an empty queue. */
  waitQueues: Map<number, Waiter[]>;
  nextPid: number;
  nextWaitQueue: number;
  nextHandlers: number;
  cpus: Cpu[];
  /** Tasks ever created, for /proc/stat. */
  forks: number;
  locks: LocksState;
  lockdep: LockdepState;
  rcu: RcuState;
  /** Threads made by kthread_create, by tid, as long as somebody may ask for their end. */
  kthreads: Map<number, KthreadRecord>;
}

export const PID_MAX = 32768;

export function schedInit(machine: Machine): SchedState {
  return {
    tasks: new Map(), groups: new Map(), handlers: new Map(), waitQueues: new Map(),
    nextPid: 1, nextWaitQueue: FIRST_FREE_QUEUE, nextHandlers: 1,
    cpus: Array.from({ length: machine.cpus }, (_, id) => ({
      id, clockNs: 0, queue: [], last: 0, busyNs: 0, contextSwitches: 0,
    })),
    forks: 0,
    locks: locksInit(), lockdep: lockdepInit(), rcu: rcuInit(), kthreads: kthreadsInit(),
  };
}
