/** /dev/random and /dev/urandom: the kernel's random numbers, always ready (random(4)). */
import { EFAULT, EINVAL, EPERM } from "../abi/errno.ts";
import { CAP_SYS_ADMIN } from "../abi/capability.ts";
import { POLLIN, POLLRDNORM } from "../abi/epoll.ts";
import type { Kernel } from "../kernel.ts";
import { capable } from "../sched/cred.ts";
import { randomBytes } from "../sched/random.ts";
import { enter, steps, to, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { signalPending } from "../sched/wait_queue.ts";
import { fileOperations, type Addr, type FileOperations } from "../fs/file.ts";
import { copyFromUserPartial, copyToUser, getUser32, putUser32 } from "../mm/usercopy.ts";

/** One step makes this many bytes. */
const CHUNK = 1 << 16;
/** Bits of the pool, which is always full. */
const POOL_BITS = 256;

const RNDGETENTCNT = 0x8004_5200;
const RNDADDTOENTCNT = 0x4004_5201;
const RNDADDENTROPY = 0x4008_5203;
const RNDZAPENTCNT = 0x5204;
const RNDCLEARPOOL = 0x5206;
const RNDRESEEDCRNG = 0x5207;

interface RandomLocals {
  buf: Addr;
  count: number;
  done: number;
}

const fillUser = steps<RandomLocals>("random.read", {
  fill: (k, task, { locals }) => {
    const wanted = Math.min(CHUNK, locals.count - locals.done);
    const copied = copyToUser(k, task, Number(locals.buf) + locals.done, randomBytes(k, wanted));
    if (copied > 0) locals.done += copied;
    if (copied < wanted) return locals.done > 0 ? locals.done : -EFAULT;
    // As Linux: a signal ends a long read at a page.
    return locals.done === locals.count || signalPending(task) ? locals.done : to("fill");
  },
});

/** Random bytes into a user buffer (get_random_bytes_user): how many, or -EFAULT. getrandom(2) uses it too. */
export function randomToUser(k: Kernel, task: Task, buf: Addr, count: number): SyscallResult {
  if (count === 0) return 0;
  return count <= CHUNK ? copyToUser(k, task, buf, randomBytes(k, count)) : enter(fillUser, { buf, count, done: 0 });
}

function ioctl(k: Kernel, task: Task, request: number, arg: Addr): number {
  switch (request) {
    case RNDGETENTCNT: return putUser32(k, task, arg, POOL_BITS) ? 0 : -EFAULT;
    case RNDADDTOENTCNT: {
      if (!capable(task, CAP_SYS_ADMIN)) return -EPERM;
      const bits = getUser32(k, task, arg);
      return bits === null ? -EFAULT : (bits | 0) < 0 ? -EINVAL : 0;
    }
    case RNDADDENTROPY: case RNDZAPENTCNT: case RNDCLEARPOOL: case RNDRESEEDCRNG: return capable(task, CAP_SYS_ADMIN) ? 0 : -EPERM;
    default: return -EINVAL;
  }
}

const random: FileOperations = {
  read: (k, task, _file, buf, count) => randomToUser(k, task, buf, count),
  // What is written stirs the pool, whose numbers come from the seed all the same: a session repeats to the byte.
  write: (k, task, _file, buf, count) => {
    const taken = copyFromUserPartial(k, task, buf, Math.min(count, CHUNK)).length;
    return count > 0 && taken === 0 ? -EFAULT : taken < Math.min(count, CHUNK) ? taken : count;
  },
  ioctl: (k, task, _file, request, arg) => ioctl(k, task, request, arg),
  llseek: (_k, _task, file) => file.pos,
  spliceRead: (k, _file, _pos, count) => randomBytes(k, Math.min(count, CHUNK)),
  spliceWrite: (_k, _task, _file, bytes) => bytes.length,
};

fileOperations("random", { ...random, poll: () => ({ mask: POLLIN | POLLRDNORM, queues: [] }) });
fileOperations("urandom", random);
