/**
 * Threads of a program as its C library makes them (pthreads(7)): clone(2) on a mapped stack, joining, mutexes and condition
 * variables whose words lie in the program's own memory; futex(2) is asked only when somebody has to wait or to be woken.
 * They are entered: `enter(pthreadCreate, …)` answers the thread, a positive number, or a negative errno, in `ret`.
 */
import { EAGAIN } from "../abi/errno.ts";
import {
  CLONE_CHILD_CLEARTID, CLONE_FILES, CLONE_FS, CLONE_PARENT_SETTID, CLONE_SETTLS, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM,
} from "../abi/clone.ts";
import {
  FUTEX_BITSET_MATCH_ANY, FUTEX_CLOCK_REALTIME, FUTEX_PRIVATE_FLAG, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAKE,
} from "../abi/futex.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import { MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, MAP_STACK, PROT_NONE, PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import { putU64 } from "../lib/bytes.ts";
import { enter, NEXT, to, type StepResult, type StepTable } from "../sched/steps.ts";
import { load32, store, store32 } from "./labs/user_memory.ts";
import { flush, programSteps, THREAD, THREAD_VARIABLES, type Proc, type ThreadFrame } from "./proc.ts";

/** RLIMIT_STACK's default, which a thread without attributes gets; and the guard below it. */
const STACK_SIZE = 8 << 20;
const GUARD_SIZE = PAGE_SIZE;
const FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

/** struct pthread lies at the stack's upper end; a thread is known by its address. */
const STRUCT_SIZE = PAGE_SIZE - THREAD_VARIABLES;
const TID = 0x2d0;
const ROBUST_LIST = 0x2e0;
const ROBUST_LIST_SIZE = 24;

interface ThreadLocals extends ThreadFrame {
  /** What the thread runs. */
  code: string;
  inner: unknown;
  mapping: number;
}

const pthreadOf = (mapping: number): number => mapping + GUARD_SIZE + STACK_SIZE - STRUCT_SIZE;

const create: StepTable<ThreadLocals> = programSteps<ThreadLocals>(THREAD, {
  map: (p) => p.sys("mmap", 0, GUARD_SIZE + STACK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0),
  unprotect: (p, l) => {
    if (p.ret < 0) return -EAGAIN;
    l.mapping = p.ret;
    l.variables = pthreadOf(l.mapping) - THREAD_VARIABLES;
    return p.sys("mprotect", l.mapping + GUARD_SIZE, STACK_SIZE, PROT_READ | PROT_WRITE);
  },
  clone: (p, { mapping }) => {
    const pthread = pthreadOf(mapping);
    return p.sys("clone", FLAGS, pthread, pthread + TID, pthread + TID, pthread);
  },
  cloned: (p, { mapping }) => (p.ret === 0 ? to("start") : p.ret < 0 ? p.sys("munmap", mapping, GUARD_SIZE + STACK_SIZE) : pthreadOf(mapping)),
  failed: () => -EAGAIN,

  // The thread.
  start: (p, { mapping }) => {
    const head = pthreadOf(mapping) + ROBUST_LIST;
    const list = new Uint8Array(ROBUST_LIST_SIZE);
    putU64(list, 0, head);
    store(p, head, list);
    return p.sys("set_robust_list", head, ROBUST_LIST_SIZE);
  },
  run: (_p, l) => {
    const { code, inner } = l;
    l.inner = null; // a record has one owner: from here on, the entered frame
    return { act: "enter", code, locals: inner };
  },
  exit: (p) => p.sys("exit", 0),
});

/** pthread_create: a thread that runs the table with these locals. Answers it, or -EAGAIN. */
export function pthreadCreate<L>(table: StepTable<L>, locals: L): StepResult {
  return enter(create, { code: table.name, inner: locals, mapping: 0, variables: 0 });
}

const join = programSteps<{ thread: number }>("pthread.join", {
  wait: (p, { thread }) => {
    // The kernel clears the word as the thread ends, and wakes who waits for it.
    const tid = word(p, thread + TID);
    return tid === 0 ? to("free") : p.sys("futex", thread + TID, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, tid, 0, 0, FUTEX_BITSET_MATCH_ANY);
  },
  waited: () => to("wait"),
  free: (p, { thread }) => p.sys("munmap", thread + STRUCT_SIZE - STACK_SIZE - GUARD_SIZE, GUARD_SIZE + STACK_SIZE),
  freed: () => 0,
});

/** pthread_join: waits for a thread's end, and gives its stack back. Differs from glibc: none is kept for the next thread. */
export function pthreadJoin(thread: number): StepResult {
  return enter(join, { thread });
}

/** A word of the program's memory; where it cannot be read, the program is about to die of it. */
function word(p: Proc, addr: number): number {
  return load32(p, addr) || 0;
}

/** A mutex's word: free, held, held and somebody waits. */
const FREE = 0;
const HELD = 1;
const WAITED_FOR = 2;

const lockSlow = programSteps<{ mutex: number }>("pthread.mutex_lock", {
  take: (p, { mutex }) => {
    const found = word(p, mutex);
    store32(p, mutex, WAITED_FOR);
    return found === FREE ? 0 : p.sys("futex", mutex, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, WAITED_FOR, 0);
  },
  woken: () => to("take"),
});

/** pthread_mutex_lock: the next step has the mutex, whose word lies at `mutex`, 0 at first. */
export function mutexLock(p: Proc, mutex: number): StepResult {
  if (word(p, mutex) !== FREE) return enter(lockSlow, { mutex });
  store32(p, mutex, HELD);
  return NEXT;
}

/** pthread_mutex_unlock */
export function mutexUnlock(p: Proc, mutex: number): StepResult {
  const found = word(p, mutex);
  store32(p, mutex, FREE);
  return found === WAITED_FOR ? p.sys("futex", mutex, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1) : NEXT;
}

/** A condition variable: a word that every broadcast counts, and how many wait. */
export const COND_SIZE = 8;
const WAITERS = 4;

interface CondLocals {
  cond: number;
  mutex: number;
  seen: number;
}

const condWaitSteps = programSteps<CondLocals>("pthread.cond_wait", {
  leave: (p, l) => {
    l.seen = word(p, l.cond);
    store32(p, l.cond + WAITERS, word(p, l.cond + WAITERS) + 1);
    return mutexUnlock(p, l.mutex);
  },
  wait: (p, { cond, seen }) =>
    p.sys("futex", cond, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME, seen, 0, 0, FUTEX_BITSET_MATCH_ANY),
  woken: (p, { cond, mutex }) => {
    store32(p, cond + WAITERS, word(p, cond + WAITERS) - 1);
    // As glibc: others that were woken wait for the mutex too.
    return enter(lockSlow, { mutex });
  },
  locked: () => 0,
});

/** pthread_cond_wait: gives the mutex up, sleeps until a broadcast, or for no reason, and has the mutex again. */
export function condWait(cond: number, mutex: number): StepResult {
  return enter(condWaitSteps, { cond, mutex, seen: 0 });
}

/** pthread_cond_broadcast */
export function condBroadcast(p: Proc, cond: number): StepResult {
  if (word(p, cond + WAITERS) === 0) return NEXT;
  store32(p, cond, word(p, cond) + 1);
  return p.sys("futex", cond, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 0x7fff_ffff);
}

const exitSteps = programSteps<{ status: number }>("program.exit", {
  flush: () => enter(flush, { ret: 0 }),
  exit: (p, { status }) => p.sys("exit_group", status & 255),
});

/** exit(3), by whatever thread: what the streams hold is written, then the program ends. */
export function exitProgram(status: number): StepResult {
  return enter(exitSteps, { status });
}
