/** futex(2): waiting for a word of memory to change. */
import { ENOSYS } from "../abi/errno.ts";
import {
  FUTEX_BITSET_MATCH_ANY, FUTEX_CLOCK_REALTIME, FUTEX_CMD_MASK, FUTEX_CMP_REQUEUE, FUTEX_LOCK_PI, FUTEX_LOCK_PI2, futexOperations, FUTEX_PRIVATE_FLAG,
  FUTEX_REQUEUE, FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP,
} from "../abi/futex.ts";
import type { Kernel } from "../kernel.ts";
import type { Addr } from "../mm/usercopy.ts";
import { futexLockPi, futexUnlockPi } from "../process/futex_pi.ts";
import { futexRequeue, futexWait, futexWake, futexWakeOp } from "../process/futex.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { now } from "../time/clock.ts";
import { addr, flags, int32, structIn, uint, uint32, type ArgType } from "./args.ts";
import { readTimespec, timespec } from "./codecs/time.ts";
import type { Rows } from "./row.ts";

type Args = [uaddr: Addr, op: number, val: number, timeout: Addr, uaddr2: Addr, val3: number];

/** When a wait ends: FUTEX_WAIT counts from now, the others name a time; -1 for never, or an errno. */
function deadline(k: Kernel, task: Task, op: number, timeout: Addr): number | { errno: number } {
  if (timeout === 0) return -1;
  if (task.restartNs >= 0) return task.restartNs;
  const ns = readTimespec(k, task, timeout);
  if (ns < 0) return { errno: ns };
  if ((op & FUTEX_CMD_MASK) === FUTEX_WAIT) return now(k) + ns;
  // FUTEX_LOCK_PI has always meant the clock on the wall.
  const offset = (op & FUTEX_CLOCK_REALTIME) !== 0 || (op & FUTEX_CMD_MASK) === FUTEX_LOCK_PI ? Number(k.state.time.realtimeOffsetNs) : 0;
  return Math.max(0, ns - offset);
}

function wait(k: Kernel, task: Task, [uaddr, op, val, timeout]: Args, bitset: number): SyscallResult {
  const untilNs = deadline(k, task, op, timeout);
  if (typeof untilNs === "object") return untilNs.errno;
  return futexWait(k, task, uaddr, (op & FUTEX_PRIVATE_FLAG) === 0, val, { untilNs, bitset });
}

function sysFutex(k: Kernel, task: Task, args: Args): SyscallResult {
  const [uaddr, op, val, timeout, uaddr2, val3] = args;
  const command = op & FUTEX_CMD_MASK;
  const shared = (op & FUTEX_PRIVATE_FLAG) === 0;
  if ((op & FUTEX_CLOCK_REALTIME) !== 0 && command !== FUTEX_WAIT_BITSET && command !== FUTEX_LOCK_PI2) {
    const bad = command === FUTEX_WAIT || command === FUTEX_LOCK_PI ? deadline(k, task, op, timeout) : 0;
    return typeof bad === "object" ? bad.errno : -ENOSYS;
  }
  const second = int32(timeout);
  switch (command) {
    case FUTEX_WAIT: return wait(k, task, args, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET: return wait(k, task, args, val3);
    case FUTEX_WAKE: return futexWake(k, task, uaddr, shared, int32(val));
    case FUTEX_WAKE_BITSET: return futexWake(k, task, uaddr, shared, int32(val), val3);
    case FUTEX_REQUEUE: return futexRequeue(k, task, uaddr, uaddr2, shared, int32(val), second, null);
    case FUTEX_CMP_REQUEUE: return futexRequeue(k, task, uaddr, uaddr2, shared, int32(val), second, val3);
    case FUTEX_WAKE_OP: return futexWakeOp(k, task, uaddr, uaddr2, shared, int32(val), second, val3);
    case FUTEX_LOCK_PI: case FUTEX_LOCK_PI2: {
      const untilNs = deadline(k, task, op, timeout);
      return typeof untilNs === "object" ? untilNs.errno : futexLockPi(k, task, uaddr, shared, { untilNs });
    }
    case FUTEX_TRYLOCK_PI: return futexLockPi(k, task, uaddr, shared, { tryOnly: true });
    case FUTEX_UNLOCK_PI: return futexUnlockPi(k, task, uaddr, shared);
    default: return -ENOSYS;
  }
}

/** `timeout` of the waits, and a plain number (val2) of the others. */
function timeoutOrCount(name: string): ArgType {
  const plain = structIn(name, timespec);
  const waits = (op: number): boolean => [FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_LOCK_PI, FUTEX_LOCK_PI2].includes(op & FUTEX_CMD_MASK);
  return {
    ...plain,
    show: (register, view) => (waits(int32(view.reg("futex_op"))) ? plain.show(register, view) : String(uint32(register))),
  };
}

export const futexRows: Rows = {
  futex: {
    x86_64: 202,
    args: [addr("uaddr"), flags("futex_op", futexOperations), uint("val"), timeoutOrCount("timeout"), addr("uaddr2"), uint("val3")],
    run: sysFutex, partial: "FUTEX_LOCK_PI hands over in order and raises no priority; no FUTEX_WAIT_REQUEUE_PI",
  },
};
