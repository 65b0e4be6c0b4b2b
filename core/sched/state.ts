/** What the scheduler keeps: tasks, groups, wait queues and one clock a CPU. */
import type { Machine } from "../machine.ts";
import { NEVER } from "../time/wheel.ts";
import { FIRST_FREE_QUEUE } from "./boot_queues.ts";
import { kthreadsInit, lockdepInit, locksInit, rcuInit, type KthreadRecord, type LockdepState, type LocksState, type RcuState } from "./lock_state.ts";
import type { SignalHandlers, Task, ThreadGroup } from "./task.ts";
import type { Waiter } from "./wait_queue.ts";

/** A CPU: its clock, its run queue, and where its time went. All times in ns. */
export interface Cpu {
  id: number;
  /** Kernel time up to which its time is accounted for; of a task in a burst, where the burst goes on from. */
  clockNs: number;
  /** Tid of the task that has the CPU, 0 when it is idle. */
  curr: number;
  /** Tids that wait for the CPU: real-time ones by priority, then order; the others by vruntime, then order. */
  rt: number[];
  fair: number[];
  /** Tids that other CPUs woke, by the time at which they arrive here; and the first of these times, NEVER for none. */
  arriving: number[];
  arrivalNs: number;
  /** From when on `curr` is to make way for another one (need_resched), NEVER for not. */
  reschedNs: number;
  /** The next tick that looks at `curr`, while others wait. */
  tickNs: number;
  /** When it may next give of its load to a CPU that is not idle. */
  balanceNs: number;
  /** Until when recent interrupts would have kept the CPU if each took twice its time: far ahead, they must wait. */
  irqLoadNs: number;
  /** The burst of `curr` stands still at the limit of autonomous work. */
  held: boolean;
  /** Never falls: where those begin who join the fair queue. Sum of the weights of its tasks, `curr` included. */
  minVruntime: number;
  load: number;
  /** Tids that the next choice favours and passes over, 0 for none. */
  next: number;
  skip: number;
  /** Tid that ran last, 0 before any has: another one costs a context switch. */
  last: number;
  /** The clock is the sum of these. */
  userNs: number;
  niceNs: number;
  systemNs: number;
  idleNs: number;
  /** Idle while a task that ran here waited for a disk. */
  iowaitNs: number;
  irqNs: number;
  softirqNs: number;
  /** Tasks that wait for a disk since they ran here. */
  ioWaiters: number;
  contextSwitches: number;
  /** Tasks that became runnable here; those of them that this CPU woke itself. */
  wakeups: number;
  localWakeups: number;
  /** How long tasks have waited for the CPU in all, and how often one got it (schedstat). */
  runDelayNs: number;
  runs: number;
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

function newCpu(id: number): Cpu {
  return {
    id, clockNs: 0, curr: 0, rt: [], fair: [], arriving: [], arrivalNs: NEVER, reschedNs: NEVER, tickNs: 0, balanceNs: 0, irqLoadNs: 0, held: false,
    minVruntime: 0, load: 0, next: 0, skip: 0, last: 0,
    userNs: 0, niceNs: 0, systemNs: 0, idleNs: 0, iowaitNs: 0, irqNs: 0, softirqNs: 0, ioWaiters: 0, contextSwitches: 0,
    wakeups: 0, localWakeups: 0, runDelayNs: 0, runs: 0,
  };
}

export function schedInit(machine: Machine): SchedState {
  return {
    tasks: new Map(), groups: new Map(), handlers: new Map(), waitQueues: new Map(),
    nextPid: 1, nextWaitQueue: FIRST_FREE_QUEUE, nextHandlers: 1,
    cpus: Array.from({ length: machine.cpus }, (_, id) => newCpu(id)),
    forks: 0,
    locks: locksInit(), lockdep: lockdepInit(), rcu: rcuInit(), kthreads: kthreadsInit(),
  };
}
