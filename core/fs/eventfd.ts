/** eventfd(2): a 64-bit counter that a write adds to and a read takes. */
import { EAGAIN, EFAULT, EINVAL } from "../abi/errno.ts";
import { EFD_NONBLOCK, EFD_SEMAPHORE } from "../abi/eventfd.ts";
import { O_NONBLOCK, O_RDWR, RWF_NOWAIT } from "../abi/fcntl.ts";
import { POLLERR, POLLIN, POLLOUT } from "../abi/epoll.ts";
import type { Kernel } from "../kernel.ts";
import { getU64, putU64 } from "../lib/bytes.ts";
import { copyFromUser } from "../mm/usercopy.ts";
import { newWaitQueue, sleepOn, wake, type WaitQueue } from "../sched/wait_queue.ts";
import { anonFile } from "./anon_inode.ts";
import { fileOperations, type OpenFile } from "./file.ts";
import { copyToIter, iovIter, iovTotal } from "./iov.ts";

interface Eventfd {
  /** 0 … 2^64-1; the last one only the kernel itself can reach. */
  count: bigint;
  semaphore: boolean;
  wait: WaitQueue;
  /** For /proc/PID/fdinfo. */
  id: number;
}

const ULLONG_MAX = 0xffff_ffff_ffff_ffffn;

const eventfdOf = (file: OpenFile): Eventfd => file.data as Eventfd;

/** A file whose counter starts at `initial` (32 bits); -ENFILE. `flags`: EFD_ bits. */
export function createEventfd(k: Kernel, initial: number, flags: number): OpenFile | number {
  const data: Eventfd = { count: BigInt(initial), semaphore: (flags & EFD_SEMAPHORE) !== 0, wait: newWaitQueue(k), id: 0 };
  const file = anonFile(k, { ops: "eventfd", name: "eventfd", flags: O_RDWR | (flags & EFD_NONBLOCK), data });
  if (typeof file === "object") data.id = file.id;
  return file;
}

/** Adds to the counter from inside the kernel (eventfd_signal); it stops at its largest value. */
export function eventfdSignal(k: Kernel, file: OpenFile, by: number): void {
  const event = eventfdOf(file);
  const room = ULLONG_MAX - event.count;
  event.count += BigInt(by) > room ? room : BigInt(by);
  wake(k, event.wait, { key: POLLIN });
}

fileOperations("eventfd", {
  nowait: true,
  readIter(k, task, file, iov, _at, flags) {
    if (iovTotal(iov) < 8) return -EINVAL;
    const event = eventfdOf(file);
    if (event.count === 0n) {
      const nonblock = (file.flags & O_NONBLOCK) !== 0 || (flags & RWF_NOWAIT) !== 0;
      return nonblock ? -EAGAIN : sleepOn(event.wait, { wchan: "eventfd_read" });
    }
    const value = event.semaphore ? 1n : event.count;
    event.count -= value;
    wake(k, event.wait, { key: POLLOUT });
    const bytes = new Uint8Array(8);
    putU64(bytes, 0, value);
    // As Linux: the count is taken before a bad buffer is found out.
    return copyToIter(k, task, iovIter(iov), bytes) < 8 ? -EFAULT : 8;
  },
  write(k, task, file, buf, count) {
    if (count < 8) return -EINVAL;
    const bytes = copyFromUser(k, task, buf, 8);
    if (typeof bytes === "number") return -EFAULT;
    const value = BigInt(getU64(bytes, 0));
    if (value === ULLONG_MAX) return -EINVAL;
    const event = eventfdOf(file);
    if (ULLONG_MAX - event.count <= value) return (file.flags & O_NONBLOCK) !== 0 ? -EAGAIN : sleepOn(event.wait, { wchan: "eventfd_write" });
    event.count += value;
    wake(k, event.wait, { key: POLLIN });
    return 8;
  },
  poll(_k, _task, file) {
    const { count, wait } = eventfdOf(file);
    const mask = (count > 0n ? POLLIN : 0) | (count === ULLONG_MAX ? POLLERR : 0) | (ULLONG_MAX - 1n > count ? POLLOUT : 0);
    return { mask, queues: [wait] };
  },
  // noop_llseek: a seek answers where the file stands.
  llseek: (_k, _task, file) => file.pos,
  fdinfo: (_k, file) => `eventfd-count: ${eventfdOf(file).count.toString(16).padStart(16)}\neventfd-id: ${eventfdOf(file).id}\n`,
});
