/** signalfd(2): signals that are read instead of delivered. They are those of whoever reads, not of whoever made the file. */
import { EAGAIN, EFAULT, EINVAL } from "../abi/errno.ts";
import { POLLIN } from "../abi/epoll.ts";
import { O_NONBLOCK, O_RDWR } from "../abi/fcntl.ts";
import { encodeStruct } from "../abi/layout.ts";
import { signalfdSiginfoLayout } from "../abi/signalfd.ts";
import type { Kernel } from "../kernel.ts";
import { copyToUser } from "../mm/usercopy.ts";
import { dequeueSignal, pendingSet, UNBLOCKABLE, type PendingSignal } from "../sched/signal.ts";
import { groupOf } from "../sched/task.ts";
import { newWaitQueue, sleepOn, wake, type WaitQueue } from "../sched/wait_queue.ts";
import { anonFile } from "./anon_inode.ts";
import { fileOperations, type OpenFile } from "./file.ts";

interface Signalfd {
  mask: bigint;
  /** Woken when the mask changes. */
  wait: WaitQueue;
}

export const isSignalfd = (file: OpenFile): boolean => file.ops === "signalfd";
const signalfdOf = (file: OpenFile): Signalfd => file.data as Signalfd;

/** A file that takes the signals of `mask`; SIGKILL and SIGSTOP are never among them. -ENFILE. */
export function createSignalfd(k: Kernel, mask: bigint, flags: number): OpenFile | number {
  const data: Signalfd = { mask: mask & ~UNBLOCKABLE, wait: newWaitQueue(k) };
  return anonFile(k, { ops: "signalfd", name: "signalfd", flags: O_RDWR | (flags & O_NONBLOCK), data });
}

/** Takes other signals from now on. */
export function setSignalfd(k: Kernel, file: OpenFile, mask: bigint): void {
  signalfdOf(file).mask = mask & ~UNBLOCKABLE;
  wake(k, signalfdOf(file).wait, { nr: Infinity });
}

const RECORD_BYTES = signalfdSiginfoLayout.size;

function record({ number, code, pid, uid, addr, value, status }: PendingSignal): Uint8Array {
  const int = Number(BigInt.asIntN(32, BigInt(value)));
  return encodeStruct(signalfdSiginfoLayout, {
    ssi_signo: number, ssi_code: code, ssi_pid: pid, ssi_uid: uid, ssi_status: status, ssi_int: int, ssi_ptr: value, ssi_addr: addr,
  });
}

fileOperations("signalfd", {
  read(k, task, file, buf, count) {
    const room = Math.floor(count / RECORD_BYTES);
    if (room === 0) return -EINVAL;
    const { mask, wait } = signalfdOf(file);
    let done = 0;
    while (done < room) {
      const signal = dequeueSignal(k, task, mask);
      if (signal === null) break;
      if (copyToUser(k, task, (buf as number) + done * RECORD_BYTES, record(signal)) < RECORD_BYTES) return done > 0 ? done * RECORD_BYTES : -EFAULT;
      done++;
    }
    if (done > 0) return done * RECORD_BYTES;
    return (file.flags & O_NONBLOCK) !== 0 ? -EAGAIN : sleepOn([groupOf(k, task).signalWait, wait], { wchan: "signalfd_dequeue" });
  },
  poll(k, task, file) {
    const { mask, wait } = signalfdOf(file);
    if (task === null) return { mask: 0, queues: [wait] };
    return { mask: (pendingSet(k, task) & mask) !== 0n ? POLLIN : 0, queues: [groupOf(k, task).signalWait, wait] };
  },
  llseek: (_k, _task, file) => file.pos,
  fdinfo: (_k, file) => `sigmask:\t${signalfdOf(file).mask.toString(16).padStart(16, "0")}\n`,
});
