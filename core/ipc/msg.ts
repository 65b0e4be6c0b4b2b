/** System V message queues (ipc/msg.c). */
import {
  E2BIG, EACCES, EAGAIN, EFAULT, EIDRM, EINVAL, ENOMEM, ENOMSG, EPERM, ERESTARTNOHAND,
} from "../abi/errno.ts";
import { CAP_SYS_RESOURCE } from "../abi/capability.ts";
import {
  IPC_INFO, IPC_NOWAIT, IPC_RMID, IPC_SET, IPC_STAT, MSG_COPY, MSG_EXCEPT, MSG_INFO, MSG_NOERROR, MSG_STAT, MSG_STAT_ANY,
  MSGMAX, MSGMNB, MSGMNI, msqidDsLayout,
} from "../abi/ipc.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import type { Kernel } from "../kernel.ts";
import { getI64, putU64 } from "../lib/bytes.ts";
import { kfree, kmalloc, readKernel, writeKernel } from "../mm/kmalloc.ts";
import { copyFromUser, copyToUser, type Addr } from "../mm/usercopy.ts";
import { capable } from "../sched/cred.ts";
import { enter, steps, type StepResult, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { newWaitQueue, sleepOn, wake } from "../sched/wait_queue.ts";
import { msgInfoLayout } from "./layouts.ts";
import {
  freeId, highestIndex, ipcFind, ipcGet, ipcOwned, ipcPermitted, newPerm, seconds, setPerm, takeId, type IpcPerm,
} from "./perm.ts";

export interface Message {
  type: number | bigint;
  size: number;
  /** Kernel object that holds the text; 0 for an empty one. */
  object: number;
}

export interface MsgQueue {
  id: number;
  perm: IpcPerm;
  stime: number;
  rtime: number;
  ctime: number;
  /** Bytes of all messages, and the most that there may be. */
  bytes: number;
  maxBytes: number;
  lastSender: number;
  lastReceiver: number;
  messages: Message[];
  senders: number;
  receivers: number;
}

/** struct msg_msg: what a message takes besides its text. */
const HEADER = 48;
/** The least that a message takes: its records here are larger than Linux's, and RAM is what bounds them. */
const SMALLEST = 256;

/** msgget(2): the queue's id. */
export function msgget(k: Kernel, task: Task, key: number, flag: number): number {
  const { ipc } = k.state;
  return ipcGet(task, ipc.msg, key >>> 0, flag, () => 0, () => {
    const id = takeId(ipc.msgIds, ipc.msg.size, MSGMNI);
    if (id < 0) return id;
    ipc.msg.set(id, {
      id, perm: newPerm(task, key >>> 0, flag, id), stime: 0, rtime: 0, ctime: seconds(k), bytes: 0, maxBytes: MSGMNB,
      lastSender: 0, lastReceiver: 0, messages: [], senders: newWaitQueue(k), receivers: newWaitQueue(k),
    });
    return id;
  });
}

interface SendLocals {
  queue: number;
  type: number | bigint;
  size: number;
  object: number;
  flag: number;
}

/** msgsnd(2): the message is copied before the queue is looked at, and waits for room unless IPC_NOWAIT. */
export function msgsnd(k: Kernel, task: Task, id: number, msgp: Addr, size: number | bigint, flag: number): SyscallResult {
  const head = copyFromUser(k, task, msgp, 8);
  if (typeof head === "number") return -EFAULT;
  const type = getI64(head, 0);
  if (size > MSGMAX || id < 0 || type < 1) return -EINVAL;
  const length = size as number;
  const text = copyFromUser(k, task, offsetBy(msgp, 8), length);
  if (typeof text === "number") return -EFAULT;
  const queue = ipcFind(k.state.ipc.msg, id);
  if (typeof queue === "number") return queue;
  const object = kmalloc(k, Math.max(SMALLEST, HEADER + length), "kernel");
  if (object === 0) return -ENOMEM;
  writeKernel(k, object, HEADER, text);
  const locals: SendLocals = { queue: id, type, size: length, object, flag };
  const sent = trySend(k, task, queue, locals);
  if (typeof sent === "number") return sent;
  return enter(sendSteps, locals);
}

function offsetBy(addr: Addr, by: number): Addr {
  return typeof addr === "bigint" ? addr + BigInt(by) : addr + by;
}

/** Sends, refuses (and frees the message), or says "full". */
function trySend(k: Kernel, task: Task, queue: MsgQueue, { type, size, object, flag }: SendLocals): number | "full" {
  let error = 0;
  if (!ipcPermitted(task, queue.perm, 0o222)) error = -EACCES;
  else if (size + queue.bytes > queue.maxBytes || queue.messages.length + 1 > queue.maxBytes) {
    if ((flag & IPC_NOWAIT) === 0) return "full";
    error = -EAGAIN;
  }
  if (error < 0) {
    kfree(k, object);
    return error;
  }
  queue.messages.push({ type, size, object });
  queue.bytes += size;
  queue.lastSender = task.tgid;
  queue.stime = seconds(k);
  wake(k, queue.receivers, { nr: Infinity });
  return 0;
}

const freeUnsent = (k: Kernel, _task: Task, { locals }: { locals: SendLocals }): void => {
  if (locals.object !== 0) kfree(k, locals.object);
};

const sendSteps = steps<SendLocals>("msg.send", {
  wait: (k, task, { locals }): StepResult => {
    const queue = k.state.ipc.msg.get(locals.queue);
    if (queue === undefined) return -EIDRM;
    const sent = trySend(k, task, queue, locals);
    if (sent === "full") return sleepOn(queue.senders, { wchan: "do_msgsnd", interrupted: -ERESTARTNOHAND });
    locals.object = 0; // the queue has it, or it is freed
    return sent;
  },
}, { undo: { wait: freeUnsent } });

interface ReceiveLocals {
  queue: number;
  msgp: number | bigint;
  size: number;
  type: number | bigint;
  flag: number;
}

/** msgrcv(2): the size of the text; waits for a message that fits unless IPC_NOWAIT. */
export function msgrcv(
  k: Kernel, task: Task, id: number, msgp: Addr, size: number | bigint, type: number | bigint, flag: number,
): SyscallResult {
  if (id < 0 || size > 0x7fff_ffff_ffff_ffffn) return -EINVAL;
  if ((flag & MSG_COPY) !== 0 && ((flag & MSG_EXCEPT) !== 0 || (flag & IPC_NOWAIT) === 0)) return -EINVAL;
  const queue = ipcFind(k.state.ipc.msg, id);
  if (typeof queue === "number") return queue;
  const locals: ReceiveLocals = { queue: id, msgp, size: Number(size), type, flag };
  const received = tryReceive(k, task, queue, locals);
  return received === "none" ? enter(receiveSteps, locals) : received;
}

const receiveSteps = steps<ReceiveLocals>("msg.receive", {
  wait: (k, task, { locals }): StepResult => {
    const queue = k.state.ipc.msg.get(locals.queue);
    if (queue === undefined) return -EIDRM;
    const received = tryReceive(k, task, queue, locals);
    return received === "none" ? sleepOn(queue.receivers, { wchan: "do_msgrcv", interrupted: -ERESTARTNOHAND }) : received;
  },
});

function tryReceive(k: Kernel, task: Task, queue: MsgQueue, { msgp, size, type, flag }: ReceiveLocals): number | "none" {
  if (!ipcPermitted(task, queue.perm, 0o444)) return -EACCES;
  const at = findMessage(queue.messages, type, flag);
  if (at < 0) return (flag & IPC_NOWAIT) === 0 ? "none" : -ENOMSG;
  const message = queue.messages[at];
  if (size < message.size && (flag & MSG_NOERROR) === 0) return -E2BIG;
  const length = Math.min(size, message.size);
  const bytes = new Uint8Array(8 + length);
  putU64(bytes, 0, message.type);
  bytes.set(readKernel(k, message.object, HEADER, length), 8);
  if ((flag & MSG_COPY) === 0) {
    queue.messages.splice(at, 1);
    queue.bytes -= message.size;
    queue.lastReceiver = task.tgid;
    queue.rtime = seconds(k);
    kfree(k, message.object);
    wake(k, queue.senders, { nr: Infinity });
  }
  // As Linux: a message that cannot be copied out is lost.
  return copyToUser(k, task, msgp, bytes) === bytes.length ? length : -EFAULT;
}

/** Index of the message that `type` asks for: any, of this type, of another, the lowest up to -type, or by number; -1 for none. */
function findMessage(messages: Message[], type: number | bigint, flag: number): number {
  if ((flag & MSG_COPY) !== 0) return type >= 0 && type < messages.length ? Number(type) : -1;
  if (type === 0) return messages.length > 0 ? 0 : -1;
  if (type > 0) return messages.findIndex((message) => (message.type === type) !== ((flag & MSG_EXCEPT) !== 0));
  let lowest = -1;
  messages.forEach((message, at) => {
    if (message.type <= -type && (lowest < 0 || message.type < messages[lowest].type)) lowest = at;
  });
  return lowest;
}

/** msgctl(2) */
export function msgctl(k: Kernel, task: Task, id: number, cmd: number, buf: Addr): number {
  if (id < 0 || cmd < 0) return -EINVAL;
  switch (cmd) {
    case IPC_INFO: case MSG_INFO: return info(k, task, cmd, buf);
    case IPC_STAT: case MSG_STAT: case MSG_STAT_ANY: return status(k, task, id, cmd, buf);
    case IPC_SET: case IPC_RMID: return change(k, task, id, cmd, buf);
    default: return -EINVAL;
  }
}

function answer(k: Kernel, task: Task, buf: Addr, bytes: Uint8Array, ret: number): number {
  return copyToUser(k, task, buf, bytes) === bytes.length ? ret : -EFAULT;
}

function info(k: Kernel, task: Task, cmd: number, buf: Addr): number {
  const { msg } = k.state.ipc;
  let count = 0;
  let total = 0;
  for (const queue of msg.values()) {
    count += queue.messages.length;
    total += queue.bytes;
  }
  const now = cmd === MSG_INFO ? { msgpool: msg.size, msgmap: count, msgtql: total } : { msgpool: 0x7d00 * MSGMNB / 1024, msgmap: MSGMNB, msgtql: MSGMNB };
  const bytes = encodeStruct(msgInfoLayout, { ...now, msgmax: MSGMAX, msgmnb: MSGMNB, msgmni: MSGMNI, msgssz: 16, msgseg: 0xffff });
  return answer(k, task, buf, bytes, highestIndex(msg));
}

function status(k: Kernel, task: Task, id: number, cmd: number, buf: Addr): number {
  const queue = ipcFind(k.state.ipc.msg, id, cmd !== IPC_STAT);
  if (typeof queue === "number") return queue;
  if (cmd !== MSG_STAT_ANY && !ipcPermitted(task, queue.perm, 0o444)) return -EACCES;
  const bytes = encodeStruct(msqidDsLayout, {
    msg_perm: { ...queue.perm }, msg_stime: queue.stime, msg_rtime: queue.rtime, msg_ctime: queue.ctime, msg_cbytes: queue.bytes,
    msg_qnum: queue.messages.length, msg_qbytes: queue.maxBytes, msg_lspid: queue.lastSender, msg_lrpid: queue.lastReceiver,
  });
  return answer(k, task, buf, bytes, cmd === IPC_STAT ? 0 : queue.id);
}

function change(k: Kernel, task: Task, id: number, cmd: number, buf: Addr): number {
  const bytes = cmd === IPC_SET ? copyFromUser(k, task, buf, msqidDsLayout.size) : null;
  if (typeof bytes === "number") return bytes;
  const queue = ipcFind(k.state.ipc.msg, id);
  if (typeof queue === "number") return queue;
  if (!ipcOwned(task, queue.perm)) return -EPERM;
  if (bytes === null) {
    remove(k, queue);
    return 0;
  }
  const wanted = decodeStruct(msqidDsLayout, bytes);
  if (wanted.msg_qbytes > MSGMNB && !capable(task, CAP_SYS_RESOURCE)) return -EPERM;
  const error = setPerm(queue.perm, wanted.msg_perm);
  if (error < 0) return error;
  queue.maxBytes = Number(wanted.msg_qbytes);
  queue.ctime = seconds(k);
  wake(k, queue.receivers, { nr: Infinity });
  wake(k, queue.senders, { nr: Infinity });
  return 0;
}

function remove(k: Kernel, queue: MsgQueue): void {
  for (const { object } of queue.messages) kfree(k, object);
  k.state.ipc.msg.delete(queue.id);
  freeId(k.state.ipc.msgIds, queue.id);
  wake(k, queue.receivers, { nr: Infinity });
  wake(k, queue.senders, { nr: Infinity });
}
