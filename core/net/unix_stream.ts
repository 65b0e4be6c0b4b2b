/** Bytes over a unix stream: each write is a buffer of its own, which carries descriptors and credentials (af_unix.c). */
import { EAGAIN, EFAULT, EINVAL, EISCONN, ENOTCONN, EOPNOTSUPP, EPIPE } from "../abi/errno.ts";
import { SIGPIPE } from "../abi/signal.ts";
import { MSG_NOSIGNAL, MSG_OOB, MSG_PEEK, MSG_WAITALL } from "../abi/socket.ts";
import { getFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { sendSignalToTask } from "../sched/signal.ts";
import type { Task } from "../sched/task.ts";
import { newControl, put, room, take, type Message } from "./message.ts";
import { countInFlight, credOf, detachFiles, noCred } from "./scm.ts";
import { streamPiece, streamTruesize } from "./skbuff.ts";
import { movePeekOffset, takeError, unixOf, type Socket, type UnixMessage } from "./socket.ts";
import { RCV_SHUTDOWN, SEND_SHUTDOWN, TCP_ESTABLISHED } from "./tcp_states.ts";
import { enqueueMessage, mayAllocate, removeMessage } from "./unix_queue.ts";
import { unixSockaddr } from "./unix_addr.ts";

/** Protocol.sendmsg: EISCONN or EOPNOTSUPP with an address, ENOTCONN, EPIPE with SIGPIPE unless MSG_NOSIGNAL. */
export function streamSendmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  // Differs from Linux: out-of-band data of unix streams is refused.
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  if (msg.name !== null && msg.name.length > 0) return socket.sk === TCP_ESTABLISHED ? -EISCONN : -EOPNOTSUPP;
  const unix = unixOf(socket);
  if (unix.peer === 0) return -ENOTCONN;
  if ((socket.shutdown & SEND_SHUTDOWN) !== 0) return brokenPipe(k, task, msg, flags);
  const peer = k.state.net.sockets.get(unix.peer);
  while (msg.copied < msg.total) {
    // Only a buffer that has to be allocated meets a pending error.
    if (socket.err !== 0) return sentOr(msg, takeError(socket));
    if (!mayAllocate(k, socket)) {
      msg.wait = socket.writeWait;
      msg.wchan = "sock_alloc_send_pskb";
      return -EAGAIN;
    }
    const size = Math.min(room(msg), streamPiece(socket.options.sndbuf));
    const first = msg.copied === 0;
    const bytes = take(k, task, msg, size);
    if (bytes === null) return sentOr(msg, -EFAULT);
    if (peer === undefined || unixOf(peer).dead || (peer.shutdown & RCV_SHUTDOWN) !== 0) {
      msg.copied -= size;
      return brokenPipe(k, task, msg, flags);
    }
    enqueueMessage(k, socket, peer, makeMessage(k, task, socket, peer, msg, bytes, streamTruesize(size), first));
  }
  return msg.copied;
}

/** A buffer of the queue; descriptors go with the first one of a send, the sender's identity when one of both asks for such. */
export function makeMessage(
  k: Kernel, task: Task, socket: Socket, other: Socket, { control }: Message, bytes: Uint8Array, truesize: number, first: boolean,
): UnixMessage {
  const files = first && control !== null ? control.files : [];
  for (const id of files) getFile(k, k.tables.hooks.file(k, id));
  if (files.length > 0) countInFlight(k, task.cred.uid, files.length);
  const wanted = socket.options.passCred || other.options.passCred || other.file === 0;
  return {
    bytes, consumed: 0, truesize, sender: socket.id, from: unixOf(socket).name, cred: { ...(control?.cred ?? (wanted ? credOf(task) : noCred())) },
    files: [...files], filesUid: task.cred.uid, connection: 0,
  };
}

function sentOr(msg: Message, err: number): number {
  return msg.copied > 0 ? msg.copied : err;
}

function brokenPipe(k: Kernel, task: Task, msg: Message, flags: number): number {
  if (msg.copied === 0 && (flags & MSG_NOSIGNAL) === 0) sendSignalToTask(k, task, SIGPIPE);
  return sentOr(msg, -EPIPE);
}

/** Protocol.recvmsg: EINVAL when not connected; stops behind a buffer with descriptors, and before another writer's under SO_PASSCRED. */
export function streamRecvmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  if (socket.sk !== TCP_ESTABLISHED) return -EINVAL;
  if ((flags & MSG_OOB) !== 0) return -EINVAL;
  const unix = unixOf(socket);
  const target = Math.max(1, Math.min(msg.total, (flags & MSG_WAITALL) !== 0 ? msg.total : socket.options.rcvLowat));
  const peeking = (flags & MSG_PEEK) !== 0;
  let index = 0;
  let skip = peeking ? Math.max(0, socket.options.peekOff) : 0;
  if (peeking && msg.copied > 0) return msg.copied;
  for (;;) {
    const message = unix.queue[index];
    if (message === undefined) return emptied(socket, msg, target, peeking);
    const length = message.bytes.length - message.consumed;
    if (skip >= length && length > 0) {
      skip -= length;
      index++;
      continue;
    }
    if (msg.control?.cred != null && socket.options.passCred && !sameCred(msg.control.cred, message)) return msg.copied;
    tellSender(k, socket, msg, message);
    const count = Math.min(length - skip, room(msg));
    const from = message.consumed + skip;
    const copied = put(k, task, msg, message.bytes.subarray(from, from + count));
    if (copied < 0) return sentOr(msg, -EFAULT);
    if (peeking) {
      movePeekOffset(socket, copied);
      if (message.files.length > 0) return peekFiles(k, msg, message);
      index++;
      skip = 0;
    } else {
      if (consume(k, unix, socket, msg, message, copied)) return msg.copied;
      index = 0;
    }
    if (room(msg) === 0 || copied < count) return msg.copied;
  }
}

/** Bytes of the first buffer were read; true when the receive ends with it. */
function consume(k: Kernel, unix: Socket["unix"] & object, socket: Socket, msg: Message, message: UnixMessage, count: number): boolean {
  message.consumed += count;
  movePeekOffset(socket, -count);
  const withFiles = message.files.length > 0;
  if (withFiles && msg.control !== null) msg.control.files.push(...detachFiles(k, message));
  if (message.consumed < message.bytes.length) return true;
  removeMessage(k, unix, message);
  return withFiles;
}

function sameCred(cred: { pid: number; uid: number; gid: number }, { cred: other }: UnixMessage): boolean {
  return cred.pid === other.pid && cred.uid === other.uid && cred.gid === other.gid;
}

/** Address and credentials of the first buffer stand for the whole receive. */
function tellSender(k: Kernel, socket: Socket, msg: Message, message: UnixMessage): void {
  msg.control ??= newControl();
  if (msg.control.cred === null && socket.options.passCred) msg.control.cred = { ...message.cred };
  const from = senderName(k, message);
  if (msg.name === null && from !== null) msg.name = unixSockaddr(from);
}

/** The sender's name as it is now; of one that is gone, as it was. */
export function senderName(k: Kernel, { sender, from }: UnixMessage): string | null {
  return k.state.net.sockets.get(sender)?.unix?.name ?? from;
}

/** A peek hands out further references to a buffer's descriptors. */
function peekFiles(k: Kernel, msg: Message, message: UnixMessage): number {
  for (const id of message.files) getFile(k, k.tables.hooks.file(k, id));
  msg.control?.files.push(...message.files);
  return msg.copied;
}

function emptied(socket: Socket, msg: Message, target: number, peeking: boolean): number {
  if (msg.copied >= target || (peeking && msg.copied > 0)) return msg.copied;
  if (socket.err !== 0) return sentOr(msg, takeError(socket));
  if ((socket.shutdown & RCV_SHUTDOWN) !== 0) {
    // As Linux: with SO_PASSCRED even the end has a sender, of pid 0 and root's ids.
    if (socket.options.passCred) msg.control ??= { ...newControl(), cred: { pid: 0, uid: 0, gid: 0 } };
    return msg.copied;
  }
  msg.wait = socket.readWait;
  msg.wchan = "unix_stream_read_generic";
  return -EAGAIN;
}
