/** What work queues keep: items, queues, the pools that run them and their workers. All refer to each other by id. */
import type { Machine } from "../machine.ts";

export interface Work {
  id: number;
  /** Name of the step table that it runs, entered with `{ work, arg }`. */
  func: string;
  arg: number;
  /** The module whose memory it lies in, "" for the kernel itself. */
  owner: string;
  /** WORK_STRUCT_PENDING: it cannot be queued again. `where` it is then; nowhere while it is being cancelled. */
  pending: boolean;
  where: "nowhere" | "timer" | "list" | "inactive" | "scheduled";
  /** The queue and pool association that it was queued by last, 0 for none. */
  pwq: number;
  /** Tid of the worker that executes it, 0 for none. */
  runner: number;
  /** How often it was queued, and the last of these that has ended. */
  instance: number;
  done: number;
  /** The flush epoch that it was queued in. */
  epoch: number;
  canceling: boolean;
  /** Of a delayed one: its kernel timer, 0 for none, and where it is queued when that fires. */
  timer: number;
  wq: number;
  cpu: number;
  /** Where those wait who flush or cancel it; 0 until somebody does. */
  wait: number;
}

/** One queue's share of one pool (pool_workqueue). */
export interface Pwq {
  id: number;
  wq: number;
  pool: number;
  /** Items on the pool's list or under way, and those that wait for one of them to end. */
  active: number;
  inactive: number[];
}

export interface Workqueue {
  id: number;
  name: string;
  /** WQ_ bits. */
  flags: number;
  maxActive: number;
  owner: string;
  /** By CPU; of an unbound queue the one. */
  pwqs: number[];
  /** Items of each flush epoch that have not ended, the oldest epoch first, and the epoch of those queued now. */
  inFlight: Map<number, number>;
  epoch: number;
  /** How many drain it: only its own items may queue more. */
  drainers: number;
  destroying: boolean;
  /** Where flushers wait. */
  wait: number;
  /** Tid of the rescuer (WQ_MEM_RECLAIM), 0 for none, and the pwqs that ask for it. */
  rescuer: number;
  maydays: number[];
}

export interface Worker {
  tid: number;
  /** Number in the name kworker/POOL:NUMBER. */
  number: number;
  pool: number;
  /** WORKER_ bits. */
  flags: number;
  /** The item under way, 0 for none, with what it was when it began. */
  work: number;
  func: string;
  pwq: number;
  instance: number;
  epoch: number;
  /** CPU time of the thread when the item began or woke last, ns. */
  beganNs: number;
  /** It sleeps inside an item, and does not count as running. */
  sleeping: boolean;
  /** Items that must run here and next: they were found to be under way here already. */
  scheduled: number[];
  /** Name of the queue that it worked for last, "" for none. */
  desc: string;
  /** Kernel time at which it became idle. */
  idleNs: number;
  /** The queue whose rescuer it is, 0 for an ordinary worker. */
  rescues: number;
}

export interface WorkerPool {
  id: number;
  /** -1 for one that is bound to no CPU. */
  cpu: number;
  nice: number;
  worklist: number[];
  /** Tids; the idle ones again, the last to become idle first. */
  workers: number[];
  idle: number[];
  /** Workers that run and are counted: a pool of a CPU has one as long as it has work. */
  running: number;
  /** Tid of the worker that makes another one, 0 for none. */
  manager: number;
  /** Kernel timer for the death of idle workers, 0 until it is needed, and when it fires. */
  idleTimer: number;
  idleUntilNs: number;
  /** Timer that looks for items that hog the CPU; 0 for none. */
  hogTimer: number;
}

export interface WorkqueueState {
  works: Map<number, Work>;
  nextWork: number;
  queues: Map<number, Workqueue>;
  nextQueue: number;
  pwqs: Map<number, Pwq>;
  nextPwq: number;
  pools: WorkerPool[];
  /** By tid. */
  workers: Map<number, Worker>;
  /** How often each function was found to hog a CPU. */
  hogs: Map<string, number>;
  /** Ids of the kernel's own queues by the names of system_wq and its fellows. */
  system: { [name: string]: number };
}

/** An ordinary and an urgent pool a CPU, and one of each for queues that are bound to none. */
export function workqueueInit(machine: Machine): WorkqueueState {
  const pools: WorkerPool[] = [];
  const add = (cpu: number, nice: number): void => void pools.push({
    id: pools.length, cpu, nice, worklist: [], workers: [], idle: [], running: 0, manager: 0, idleTimer: 0, idleUntilNs: 0, hogTimer: 0,
  });
  for (let cpu = 0; cpu < machine.cpus; cpu++) for (const nice of [0, HIGHPRI_NICE]) add(cpu, nice);
  for (const nice of [0, HIGHPRI_NICE]) add(-1, nice);
  return {
    works: new Map(), nextWork: 1, queues: new Map(), nextQueue: 1, pwqs: new Map(), nextPwq: 1, pools, workers: new Map(), hogs: new Map(), system: {},
  };
}

export const HIGHPRI_NICE = -20;
