/** What one send or receive moves: the user's buffers or the kernel's own, an address, and what travels beside the bytes. */
import { EFAULT } from "../abi/errno.ts";
import type { Iovec } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { copyBytes } from "../lib/bytes.ts";
import { copyFromUser, copyFromUserInto, copyToUser } from "../mm/usercopy.ts";
import type { Task } from "../sched/task.ts";
import type { WaitQueue } from "../sched/wait_queue.ts";
import type { UnixCred } from "./socket.ts";

/** One piece of ancillary data as it is written for the receiver. */
export interface ControlMessage {
  level: number;
  type: number;
  data: Uint8Array;
}

/** Ancillary data, read or to be written. */
export interface Control {
  /** File ids; the holder of this record holds a reference to each. */
  files: number[];
  cred: UnixCred | null;
  /** What a receiver is told besides. */
  others: ControlMessage[];
  /** What a sender of IP asks for this once. */
  ip: IpControl | null;
}

/** -1 for a ttl and tos, 0 for a source address and device that are not given. */
export interface IpControl {
  ttl: number;
  tos: number;
  source: number;
  device: number;
}

export function newControl(): Control {
  return { files: [], cred: null, others: [], ip: null };
}

/** Plain data, for it lies in the locals of a send or receive that sleeps. */
export interface Message {
  /** User buffers, or null when the bytes are the kernel's. */
  iov: Iovec[] | null;
  bytes: Uint8Array | null;
  /** Bytes of all buffers, and how many were moved so far. */
  total: number;
  copied: number;
  /** Where the next byte goes: a buffer's index, and the offset in it. */
  index: number;
  offset: number;
  /** Send: where to, null for the connected peer. Receive: where from, null when not told. */
  name: Uint8Array | null;
  control: Control | null;
  /** MSG_ flags that a receive answers in msg_flags. */
  outFlags: number;
  /** Set with a -EAGAIN: what to wait for, and in which function of Linux's. */
  wait: WaitQueue;
  wchan: string;
}

/** A message over user buffers of `total` bytes. */
export function userMessage(iov: Iovec[], total: number): Message {
  return { iov, bytes: null, total, copied: 0, index: 0, offset: 0, name: null, control: null, outFlags: 0, wait: 0, wchan: "0" };
}

/** A message over the kernel's own bytes: to send, or room to receive into. */
export function kernelMessage(bytes: Uint8Array): Message {
  return {
    iov: null, bytes, total: bytes.length, copied: 0, index: 0, offset: 0, name: null, control: null, outFlags: 0, wait: 0, wchan: "0",
  };
}

/** A message that receives up to `count` bytes of the kernel's: room is made for those that come. */
export function kernelRoom(count: number): Message {
  return { ...kernelMessage(new Uint8Array(0)), total: count };
}

/** Puts kernel bytes behind those that a message has; its own array grows when they do not fit. */
function putKernel(msg: Message, bytes: Uint8Array, from: number, count: number): number {
  let into = msg.bytes ?? NOTHING;
  const end = msg.copied + count;
  if (into.length < end) {
    const held = into;
    msg.bytes = into = new Uint8Array(end);
    if (held.length > 0) into.set(held);
  }
  copyBytes(bytes, from, into, msg.copied, count);
  msg.copied = end;
  return count;
}

/** The next `count` bytes of a message to send, the caller's to keep; null when they cannot be read (EFAULT). */
export function take(k: Kernel, task: Task, msg: Message, count: number): Uint8Array | null {
  if (msg.iov === null) {
    const bytes = (msg.bytes ?? NOTHING).slice(msg.copied, msg.copied + count);
    msg.copied += count;
    return bytes;
  }
  if (count === 0) return new Uint8Array(0);
  const { iov } = msg;
  const first = iov[msg.index];
  if (first !== undefined && first.len - msg.offset >= count) {
    const bytes = copyFromUser(k, task, at(first, msg.offset), count);
    if (typeof bytes === "number") return null;
    msg.offset += count;
    msg.copied += count;
    return bytes;
  }
  return gather(k, task, msg, iov, count);
}

const NOTHING = new Uint8Array(0);

/** Where small pieces of user memory lie for a moment; nothing of the state. */
const passing = new Uint8Array(4096);
/** The view of them that was lent last: messages are often as long as the one before. */
let lent = passing;

/** As `take`, but the bytes last only until the next call, for a protocol that copies them: small ones cost no memory. */
export function borrow(k: Kernel, task: Task, msg: Message, count: number): Uint8Array | null {
  if (msg.iov === null) {
    const { copied } = msg;
    const bytes = msg.bytes ?? NOTHING;
    msg.copied += count;
    return count === bytes.length ? bytes : bytes.subarray(copied, copied + count);
  }
  const first = msg.iov[msg.index];
  if (first === undefined || count === 0 || count > passing.length || first.len - msg.offset < count) return take(k, task, msg, count);
  if (lent.length !== count) lent = passing.subarray(0, count);
  const bytes = lent;
  if (copyFromUserInto(k, task, at(first, msg.offset), bytes) < count) return null;
  msg.offset += count;
  msg.copied += count;
  return bytes;
}

/** `take` across several buffers; moves on only when all of it could be read. */
function gather(k: Kernel, task: Task, msg: Message, iov: Iovec[], count: number): Uint8Array | null {
  const all = new Uint8Array(count);
  let { index, offset } = msg;
  for (let filled = 0; filled < count;) {
    const buffer = iov[index];
    const piece = Math.min(buffer.len - offset, count - filled);
    if (piece > 0) {
      const bytes = copyFromUser(k, task, at(buffer, offset), piece);
      if (typeof bytes === "number") return null;
      all.set(bytes, filled);
    }
    filled += piece;
    offset += piece;
    if (offset === buffer.len) {
      index++;
      offset = 0;
    }
  }
  msg.index = index;
  msg.offset = offset;
  msg.copied += count;
  return all;
}

/** Puts `count` bytes from `from` on into a message that receives; there is room. Answers how many, or -EFAULT when not even one could be written. */
export function put(k: Kernel, task: Task, msg: Message, bytes: Uint8Array, from = 0, count = bytes.length): number {
  if (msg.iov === null) return putKernel(msg, bytes, from, count);
  let done = 0;
  while (done < count) {
    const buffer = msg.iov[msg.index];
    const room = Math.min(buffer.len - msg.offset, count - done);
    if (room === 0) {
      msg.index++;
      msg.offset = 0;
      continue;
    }
    const copied = copyToUser(k, task, at(buffer, msg.offset), bytes, from + done, room);
    if (copied < 0) break;
    done += copied;
    msg.offset += copied;
    msg.copied += copied;
    if (copied < room) break;
  }
  return done === 0 && count > 0 ? -EFAULT : done;
}

function at({ addr }: Iovec, offset: number): number | bigint {
  if (offset === 0) return addr;
  return typeof addr === "number" ? addr + offset : addr + BigInt(offset);
}

/** Bytes that the message still has to move. */
export function room(msg: Message): number {
  return msg.total - msg.copied;
}
