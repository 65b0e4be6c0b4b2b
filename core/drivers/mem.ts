/** The memory devices of drivers/char/mem.c: null, zero, full (null(4), full(4)). */
import { EFAULT, EINVAL, ENOSPC } from "../abi/errno.ts";
import { SEEK_HOLE } from "../abi/fcntl.ts";
import type { Kernel } from "../kernel.ts";
import { steps, type SyscallResult, enter, to } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { signalPending } from "../sched/wait_queue.ts";
import { fileOperations, type Addr, type FileOperations, type OpenFile, type Position } from "../fs/file.ts";
import { zeroMmap } from "../mm/shmem_ops.ts";
import { clearUser } from "../mm/usercopy.ts";

/** One step clears this many bytes; what is larger goes on in further steps. */
const CHUNK = 1 << 20;

/** Every position is the start. */
function nullLseek(_k: Kernel, _task: Task, file: OpenFile, _offset: number | bigint, whence: number): number {
  if (whence < 0 || whence > SEEK_HOLE) return -EINVAL;
  file.pos = 0;
  return 0;
}

interface ZeroLocals {
  buf: number;
  count: number;
  done: number;
}

const readZero = steps<ZeroLocals>("mem.readZero", {
  clear: (k, task, { locals }) => {
    const wanted = Math.min(CHUNK, locals.count - locals.done);
    const cleared = clearUser(k, task, locals.buf + locals.done, wanted);
    if (cleared > 0) locals.done += cleared;
    if (cleared < wanted) return locals.done > 0 ? locals.done : -EFAULT;
    // As Linux: a signal ends a long read early.
    return locals.done === locals.count || signalPending(task) ? locals.done : to("clear");
  },
});

/** Zeros as far as the buffer can be written. */
function readZeros(k: Kernel, task: Task, _file: OpenFile, buf: Addr, count: number, _at: Position): SyscallResult {
  if (count === 0) return 0;
  if (count <= CHUNK || typeof buf !== "number") return clearUser(k, task, buf, count);
  return enter(readZero, { buf, count, done: 0 });
}

const discard: FileOperations["write"] = (_k, _task, _file, _buf, count) => count;

fileOperations("null", {
  read: () => 0,
  write: discard,
  llseek: nullLseek,
  spliceWrite: (_k, _task, _file, bytes) => bytes.length,
});

fileOperations("zero", { read: readZeros, write: discard, llseek: nullLseek, mmap: zeroMmap });

fileOperations("full", { read: readZeros, write: () => -ENOSPC, llseek: nullLseek });
