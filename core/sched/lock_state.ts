/** What the kernel keeps of locks: a record each, by id, and what the lock checker has learnt of their order. */

/** What all locks have. */
interface LockBase {
  id: number;
  /** Name of its class, as the source names it: "&dev->lock". Locks of one name are one class to the checker. */
  name: string;
  /** The module whose memory it lies in, "" for the kernel's own. */
  module: string;
}

export interface Mutex extends LockBase {
  kind: "mutex";
  /** Tid of the owner, 0 for none. */
  owner: number;
  /** Tids that wait, the first in line first; the one that the last unlock woke, 0 for none. */
  waiters: number[];
  handoff: number;
  queue: number;
}

export interface Semaphore extends LockBase {
  kind: "semaphore";
  count: number;
  waiters: number[];
  /** Waiters that `up` has given their unit and that have not run since. */
  given: number[];
  queue: number;
}

export interface RwSemaphore extends LockBase {
  kind: "rwsem";
  writer: number;
  readers: number[];
  /** In the order in which they came: no reader passes a writer that waits. */
  waiters: { tid: number; write: boolean }[];
  queue: number;
}

/** Held by a task across its steps, or by nobody. -1: by an interrupt, within its event. */
export interface SpinLock extends LockBase {
  kind: "spinlock";
  owner: number;
  /** The owner is a task, and an interrupt took the lock from another CPU while it waited its turn: whom to give it back. */
  suspended: number;
  /** Whether interrupts were off before spinLockIrqsave. */
  flags: boolean;
  /** How often others have looked for it in vain since it was taken. */
  spun: number;
  queue: number;
}

export interface RwLock extends LockBase {
  kind: "rwlock";
  /** As a spinlock's owner, and whom an interrupt suspended. */
  writer: number;
  suspended: number;
  readers: number[];
  flags: boolean;
  spun: number;
  queue: number;
}

export interface Completion extends LockBase {
  kind: "completion";
  /** Waits that end at once; DONE_ALL after complete_all. */
  done: number;
  queue: number;
}

export type Lock = Mutex | Semaphore | RwSemaphore | SpinLock | RwLock | Completion;

/** A thread made by kthread_create: what its makers ask of it, and what it answered. */
export interface KthreadRecord {
  shouldStop: boolean;
  shouldPark: boolean;
  parked: boolean;
  /** It has run at least once since kthread_create. */
  woken: boolean;
  /** Bound to its CPU: sched_setaffinity is refused (PF_NO_SETAFFINITY). */
  bound: boolean;
  exited: boolean;
  result: number;
  /** Who will still look at it after its end (get_task_struct). */
  refs: number;
  /** Where kthread_stop and kthread_park wait for it, and where it lies parked. */
  stopQueue: number;
  parkQueue: number;
}

/** A lock that a task holds, in the order in which it took them. */
export interface HeldLock {
  lock: number;
  name: string;
  kind: Lock["kind"] | "rcu";
  /** 0 exclusive, 1 shared, 2 shared and may be taken again inside itself. */
  read: number;
  trylock: boolean;
  /** The function that took it, as %pS prints it. */
  at: string;
}

/** One class was taken while another was held: from whom, and by which way. */
export interface LockEdge {
  to: string;
  trace: string[];
}

export interface LockdepState {
  /** Held locks by tid; a task that holds none is absent. 0: of the interrupt under way. */
  held: Map<number, HeldLock[]>;
  /** What was ever taken inside each class. */
  edges: Map<string, LockEdge[]>;
  /** In which contexts each class was taken: bits of USED_. */
  usage: Map<string, number>;
  /** Reports that were made: each is made once. */
  reported: string[];
  /** Depth of rcu_read_lock by tid. */
  rcuDepth: Map<number, number>;
  /** When might_sleep reported last, ns; -1 for never. */
  mightSleepNs: number;
  /** The timer of khungtaskd's next round, 0 while nobody sleeps uninterruptibly. */
  hungTimer: number;
  /** The timer of the watchdog's next look, 0 while nobody spins without end. */
  softTimer: number;
}

/** A callback that waits for a grace period. */
export interface RcuHead {
  callback: string;
  arg: number;
}

export interface RcuState {
  /** Grace periods that have ended, and the one under way or last started. */
  completed: number;
  started: number;
  /** Readers that the one under way waits for: tids. */
  readers: number[];
  /** The timer of its shortest length, 0 for none. */
  timer: number;
  /** Callbacks by the grace period that they wait for, and those whose has ended, which wait for the softirq. */
  callbacks: Map<number, RcuHead[]>;
  ready: RcuHead[];
  /** How many callbacks there were, and how many have run. */
  queued: number;
  invoked: number;
  /** Where synchronize_rcu and rcu_barrier sleep; 0 until somebody has. */
  queue: number;
}

export interface LocksState {
  locks: Map<number, Lock>;
  next: number;
}

export const locksInit = (): LocksState => ({ locks: new Map(), next: 1 });

export const lockdepInit = (): LockdepState => ({
  held: new Map(), edges: new Map(), usage: new Map(), reported: [], rcuDepth: new Map(), mightSleepNs: -1, hungTimer: 0, softTimer: 0,
});

export const rcuInit = (): RcuState => ({ completed: 0, started: 0, readers: [], timer: 0, callbacks: new Map(), ready: [], queued: 0, invoked: 0, queue: 0 });

export const kthreadsInit = (): Map<number, KthreadRecord> => new Map();
