/** Datagrams and packets between unix sockets (af_unix.c). */
import {
  EAGAIN, ECONNREFUSED, EFAULT, EMSGSIZE, ENOTCONN, EOPNOTSUPP, EPERM, EPIPE,
} from "../abi/errno.ts";
import { POLLOUT, POLLWRBAND, POLLWRNORM } from "../abi/epoll.ts";
import { MSG_DONTWAIT, MSG_OOB, MSG_PEEK, MSG_TRUNC, SOCK_SEQPACKET } from "../abi/socket.ts";
import { getFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { now } from "../time/clock.ts";
import { newControl, put, room, take, type Message } from "./message.ts";
import { detachFiles } from "./scm.ts";
import { dgramTruesize } from "./skbuff.ts";
import { movePeekOffset, socketOf, takeError, unixOf, writeSpace, type Socket } from "./socket.ts";
import { RCV_SHUTDOWN, SEND_SHUTDOWN, TCP_CLOSE, TCP_ESTABLISHED } from "./tcp_states.ts";
import { timestamp } from "./timestamp.ts";
import { findUnix, unixName, unixSockaddr } from "./unix_addr.ts";
import { autobind } from "./unix_bind.ts";
import { dgramDisconnected, setPeer, wakePeers } from "./unix_peer.ts";
import { enqueueMessage, mayAllocate, queueFull, removeMessage, unixWritable } from "./unix_queue.ts";
import { makeMessage, senderName } from "./unix_stream.ts";

/** Whether `other` takes datagrams from `socket`: it is connected to nobody, or to it (unix_may_send). */
export function maySend(socket: Socket, other: Socket): boolean {
  const { peer } = unixOf(other);
  return peer === 0 || peer === socket.id;
}

/** Protocol.sendmsg of a datagram socket. */
export function dgramSendmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const unix = unixOf(socket);
  const name = msg.name === null || msg.name.length === 0 ? null : unixName(msg.name);
  if (typeof name === "number") return name;
  if (name === null && unix.peer === 0) return -ENOTCONN;
  if (socket.options.passCred && unix.name === null) autobind(k, socket);
  if (msg.total > socket.options.sndbuf - 32) return -EMSGSIZE;
  const err = takeError(socket);
  if (err !== 0) return err;
  if ((socket.shutdown & SEND_SHUTDOWN) !== 0) return -EPIPE;
  if (!mayAllocate(k, socket)) return notNow(msg, socket.writeWait, "sock_alloc_send_pskb");
  const sent = deliver(k, task, socket, msg, name);
  // As Linux: the buffer that was allocated for nothing is freed, and frees room (sock_wfree).
  if (sent < 0 && (sent !== -EAGAIN || (flags & MSG_DONTWAIT) !== 0) && unixWritable(k, socket)) writeSpace(k, socket);
  return sent;
}

function notNow(msg: Message, queue: number, wchan: string): number {
  msg.wait = queue;
  msg.wchan = wchan;
  return -EAGAIN;
}

function deliver(k: Kernel, task: Task, socket: Socket, msg: Message, name: string | null): number {
  const bytes = take(k, task, msg, msg.total);
  if (bytes === null) return -EFAULT;
  const other = name === null ? socketOf(k, unixOf(socket).peer) : findUnix(k, task, name, socket.type);
  const refused = typeof other === "number" ? other : refusal(k, socket, other);
  if (typeof other === "number" || refused !== 0) {
    rewind(msg);
    return refused;
  }
  const receiver = unixOf(other);
  // Between two that are connected to each other only the send buffer limits.
  if (other !== socket && receiver.peer !== socket.id && queueFull(receiver)) {
    rewind(msg);
    return notNow(msg, receiver.peerWait, "unix_wait_for_peer");
  }
  enqueueMessage(k, socket, other, makeMessage(k, task, socket, other, msg, bytes, dgramTruesize(msg.total), true));
  return msg.total;
}

/** A send that waits begins again from its first byte. */
function rewind(msg: Message): void {
  msg.copied = 0;
  msg.index = 0;
  msg.offset = 0;
}

/** Why `other` takes nothing from `socket`: 0 or a negative errno. A connection to a dead socket ends with ECONNREFUSED. */
function refusal(k: Kernel, socket: Socket, other: Socket): number {
  if (!maySend(socket, other)) return -EPERM;
  if (unixOf(other).dead) {
    if (socket.type === SOCK_SEQPACKET) return -EPIPE;
    setPeer(k, socket, 0);
    socket.sk = TCP_CLOSE;
    dgramDisconnected(k, socket, null);
    return -ECONNREFUSED;
  }
  return (other.shutdown & RCV_SHUTDOWN) !== 0 ? -EPIPE : 0;
}

/** Protocol.beforeSend of a packet socket. */
export function seqpacketBeforeSend(_k: Kernel, socket: Socket): number {
  return takeError(socket) || (socket.sk === TCP_ESTABLISHED ? 0 : -ENOTCONN);
}

/** Protocol.sendmsg of a packet socket: an address is ignored. */
export function seqpacketSendmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  const refused = seqpacketBeforeSend(k, socket);
  if (refused !== 0) return refused;
  msg.name = null;
  return dgramSendmsg(k, task, socket, msg, flags);
}

/** Protocol.recvmsg: one datagram; what does not fit is lost and told by MSG_TRUNC. */
export function dgramRecvmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const unix = unixOf(socket);
  const err = takeError(socket);
  if (err !== 0) return err;
  const peeking = (flags & MSG_PEEK) !== 0;
  let index = 0;
  let skip = peeking ? Math.max(0, socket.options.peekOff) : 0;
  while (skip > 0 && index < unix.queue.length && skip >= unix.queue[index].bytes.length) skip -= unix.queue[index++].bytes.length;
  const message = unix.queue[index];
  if (message === undefined) return nothing(socket, msg, flags);
  const from = senderName(k, message);
  if (from !== null) msg.name = unixSockaddr(from);
  const length = message.bytes.length - skip;
  const count = Math.min(length, room(msg));
  if (count < length) msg.outFlags |= MSG_TRUNC;
  msg.control = newControl();
  if (socket.options.passCred) msg.control.cred = { ...message.cred };
  msg.control.others = timestamp(k, socket, now(k));
  const copied = put(k, task, msg, message.bytes.subarray(skip, skip + count));
  if (!peeking) {
    removeMessage(k, unix, message, index);
    wakePeers(k, unix, POLLOUT | POLLWRNORM | POLLWRBAND);
    movePeekOffset(socket, -message.bytes.length);
  } else movePeekOffset(socket, Math.max(0, copied));
  const files = peeking ? message.files : detachFiles(k, message);
  if (peeking) for (const id of files) getFile(k, k.tables.hooks.file(k, id));
  msg.control.files.push(...files);
  if (copied < count) return -EFAULT;
  return (flags & MSG_TRUNC) !== 0 ? length : count;
}

/**
 * An empty queue: the end of a packet connection, or "not now"; a shut datagram socket ends a wait, but
 * is as empty as ever to those that do not wait.
 */
function nothing(socket: Socket, msg: Message, flags: number): number {
  if ((socket.shutdown & RCV_SHUTDOWN) !== 0 && (socket.type === SOCK_SEQPACKET || (flags & MSG_DONTWAIT) === 0)) return 0;
  return notNow(msg, socket.readWait, "__skb_wait_for_more_packets");
}

/** Protocol.recvmsg of a packet socket. */
export function seqpacketRecvmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  return socket.sk === TCP_ESTABLISHED ? dgramRecvmsg(k, task, socket, msg, flags) : -ENOTCONN;
}

