/** Moving between a kfifo and user memory (kfifo_to_user, kfifo_from_user). */
import { EFAULT } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { kfifoIn, kfifoLen, kfifoOutPeek, kfifoSkipCount, kfifoSize, type Kfifo } from "../lib/kfifo.ts";
import type { Task } from "../sched/task.ts";
import { copyFromUserPartial, copyToUser, type Addr } from "./usercopy.ts";

/** What a move came to: 0 or -EFAULT, and the bytes that were moved all the same. */
export interface Moved {
  error: number;
  copied: number;
}

/**
 * Takes at most `count` bytes in whole elements, or the next record's first ones, to user memory. After a fault the elements
 * that arrived are gone from the fifo; a record is then still there.
 */
export function kfifoToUser(k: Kernel, task: Task, fifo: Kfifo, to: Addr, count: number): Moved {
  const bytes = kfifoOutPeek(fifo, Math.floor(count / fifo.esize));
  const sent = bytes.length === 0 ? 0 : Math.max(0, copyToUser(k, task, to, bytes));
  if (fifo.recsize !== 0) {
    if (sent < bytes.length) return { error: -EFAULT, copied: 0 };
    kfifoSkipCount(fifo, 1);
    return { error: 0, copied: sent };
  }
  const elements = Math.floor(sent / fifo.esize);
  kfifoSkipCount(fifo, elements);
  return { error: sent < bytes.length ? -EFAULT : 0, copied: elements * fifo.esize };
}

/** Puts at most `count` bytes of user memory in, as many whole elements as fit; a record whole or not at all. */
export function kfifoFromUser(k: Kernel, task: Task, fifo: Kfifo, from: Addr, count: number): Moved {
  const room = kfifoSize(fifo) - kfifoLen(fifo);
  if (fifo.recsize !== 0 && count + fifo.recsize > room) return { error: 0, copied: 0 };
  const wanted = fifo.recsize !== 0 ? count : Math.min(Math.floor(count / fifo.esize), room) * fifo.esize;
  const bytes = copyFromUserPartial(k, task, from, wanted);
  const error = bytes.length < wanted ? -EFAULT : 0;
  if (fifo.recsize !== 0) return { error, copied: error === 0 ? kfifoIn(fifo, bytes) : 0 };
  return { error, copied: kfifoIn(fifo, bytes) * fifo.esize };
}
