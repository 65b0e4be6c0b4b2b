/** Bytes over a TCP connection: the loopback carries a segment as far as the peer's window at once (tcp.c). */
import { EAGAIN, EFAULT, EINVAL, ENOTCONN, ENOTTY, EPIPE } from "../abi/errno.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLRDNORM, POLLWRNORM } from "../abi/epoll.ts";
import { FIONREAD, SIOCATMARK, SIOCOUTQNSD, TIOCOUTQ } from "../abi/ioctl.ts";
import { MSG_NOSIGNAL, MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_WAITALL } from "../abi/socket.ts";
import { SIGPIPE } from "../abi/signal.ts";
import type { Addr } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { putUser32 } from "../mm/usercopy.ts";
import { charge, costs } from "../sched/cost.ts";
import { sendSignalToTask } from "../sched/signal.ts";
import type { Task } from "../sched/task.ts";
import { append, copyOut, drop, frontLength, move } from "./byte_queue.ts";
import { loopbackXmit } from "./loopback.ts";
import { borrow, put, room, type Message } from "./message.ts";
import { flushFin, peerOf, resetArrived } from "./tcp_close.ts";
import { dataReady, takeError, tcpOf, underPressure, writeSpace, type Socket } from "./socket.ts";
import {
  RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LISTEN,
  TCP_SYN_RECV, TCP_SYN_SENT,
} from "./tcp_states.ts";
import { announceUrgent, atMark, inQueue, markUrgent, peekRange, readLimit, receiveUrgent, skipped, urgentWaits } from "./tcp_urgent.ts";
import { adjustWindow, bytesCame, LEAST, MSS, readable, windowOf, worthTelling } from "./tcp_window.ts";

/** Bytes copied from the user at once, as a page fragment of 32 KiB holds. */
const PIECE = 32_768;

/** Bytes that may wait to be sent. */
function sendLimit(k: Kernel, socket: Socket): number {
  return underPressure(k) ? Math.min(LEAST, socket.options.sndbuf) : socket.options.sndbuf;
}

/** Why a connection cannot be written: 0, -EAGAIN while it is not established yet, or an errno (sk_stream_wait_connect). */
function sendState(socket: Socket): number {
  if (socket.sk !== TCP_ESTABLISHED && socket.sk !== TCP_CLOSE_WAIT) {
    const err = takeError(socket);
    if (err !== 0) return err;
    return socket.sk === TCP_SYN_SENT || socket.sk === TCP_SYN_RECV ? -EAGAIN : -EPIPE;
  }
  if (socket.err !== 0 || (socket.shutdown & SEND_SHUTDOWN) !== 0) return takeError(socket) || -EPIPE;
  return 0;
}

/** Protocol.sendmsg; EPIPE comes with SIGPIPE unless MSG_NOSIGNAL. An address is ignored, as Linux ignores it. */
export function tcpSendmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  const state = sendState(socket);
  if (state === -EAGAIN) return blocked(socket, msg, "sk_stream_wait_connect");
  if (state !== 0) return failed(k, task, msg, flags, state);
  charge(k, costs(k).tcpSendNs);
  const { send } = tcpOf(socket);
  while (msg.copied < msg.total) {
    const free = sendLimit(k, socket) - send.length;
    if (free <= 0) return blocked(socket, msg, "sk_stream_wait_memory");
    const bytes = borrow(k, task, msg, Math.min(free, room(msg), PIECE));
    if (bytes === null) return msg.copied > 0 ? msg.copied : -EFAULT;
    if ((flags & MSG_OOB) !== 0) markUrgent(socket, bytes);
    transmit(k, socket, bytes);
    if (socket.sk === TCP_CLOSE) break;
  }
  return msg.copied;
}

function blocked(socket: Socket, msg: Message, wchan: string): number {
  msg.wait = socket.writeWait;
  msg.wchan = wchan;
  return -EAGAIN;
}

function failed(k: Kernel, task: Task, msg: Message, flags: number, err: number): number {
  if (msg.copied > 0) return msg.copied;
  if (err === -EPIPE && (flags & MSG_NOSIGNAL) === 0) sendSignalToTask(k, task, SIGPIPE);
  return err;
}

/** Hands bytes to the peer as far as its window goes; the rest waits in the send queue. */
function transmit(k: Kernel, socket: Socket, bytes: Uint8Array): void {
  const { send } = tcpOf(socket);
  k.state.net.memory += bytes.length;
  tcpOf(socket).written += bytes.length;
  const peer = send.length === 0 ? peerOf(k, socket) : null;
  if (peer !== null && windowOf(k, peer) >= bytes.length && !refuses(peer)) {
    loopbackXmit(k, Math.ceil(bytes.length / MSS), bytes.length);
    const urgent = announceUrgent(k, socket, peer, bytes.length);
    append(tcpOf(peer).receive, bytes);
    arrived(k, peer, urgent);
    return;
  }
  append(send, bytes);
  push(k, socket);
}

/** Bytes have come to `peer`, an urgent one among them. */
function arrived(k: Kernel, peer: Socket, urgent: boolean): void {
  if (urgent) dataReady(k, peer);
  else bytesCame(k, peer);
}

/** A closed or fully shut receiver answers data with a RST, and drops the connection itself (tcp_rcv_state_process). */
function refuses(peer: Socket): boolean {
  return (peer.sk === TCP_FIN_WAIT1 || peer.sk === TCP_FIN_WAIT2) && (peer.shutdown & RCV_SHUTDOWN) !== 0;
}

/** Sends what waits, as far as the peer's window goes, and the FIN behind it. */
export function push(k: Kernel, socket: Socket): void {
  const { send } = tcpOf(socket);
  if (send.length > 0) {
    const peer = peerOf(k, socket);
    if (peer === null) return resetArrived(k, socket);
    if (refuses(peer)) {
      loopbackXmit(k, 1);
      resetArrived(k, peer);
      return resetArrived(k, socket);
    }
    const window = Math.min(send.length, windowOf(k, peer));
    if (window <= 0) return;
    const urgent = announceUrgent(k, socket, peer, window);
    const moved = move(send, tcpOf(peer).receive, window);
    loopbackXmit(k, Math.ceil(moved / MSS), moved);
    arrived(k, peer, urgent);
    if (writeable(k, socket)) writeSpace(k, socket);
  }
  flushFin(k, socket);
}

/** A third of the send buffer is free (sk_stream_is_writeable). */
function writeable(k: Kernel, socket: Socket): boolean {
  const queued = tcpOf(socket).send.length;
  return sendLimit(k, socket) - queued >= queued >> 1;
}

/** Protocol.recvmsg. MSG_PEEK leaves the bytes, MSG_TRUNC drops them uncopied, MSG_WAITALL fills the whole message. */
export function tcpRecvmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  if (socket.sk === TCP_LISTEN) return -ENOTCONN;
  if ((flags & MSG_OOB) !== 0) return receiveUrgent(k, task, socket, msg, flags);
  const tcp = tcpOf(socket);
  const target = Math.max(1, Math.min(msg.total, (flags & MSG_WAITALL) !== 0 ? msg.total : socket.options.rcvLowat));
  if ((flags & MSG_PEEK) !== 0) return peek(k, task, socket, msg, target, (flags & MSG_TRUNC) !== 0);
  // What is taken makes room, and more may come for it before there is a reason to sleep.
  while (tcp.receive.length > 0) {
    if (msg.total === 0 || (msg.copied > 0 && atMark(socket))) return msg.copied;
    const err = drain(k, task, socket, msg, (flags & MSG_TRUNC) !== 0);
    if (err !== 0) return msg.copied > 0 ? msg.copied : err;
    if (msg.copied >= target) return msg.copied;
  }
  tcp.finUnread = false;
  return whyEmpty(socket, msg);
}

/** The receive queue is empty: what Linux's loop says then, in its order. */
function whyEmpty(socket: Socket, msg: Message): number {
  const tcp = tcpOf(socket);
  if (msg.copied > 0) {
    if (socket.err !== 0 || socket.sk === TCP_CLOSE || (socket.shutdown & RCV_SHUTDOWN) !== 0) return msg.copied;
  } else {
    if (tcp.done) return 0;
    if (socket.err !== 0) return takeError(socket);
    if ((socket.shutdown & RCV_SHUTDOWN) !== 0) return 0;
    if (socket.sk === TCP_CLOSE) return -ENOTCONN;
  }
  msg.wait = socket.readWait;
  msg.wchan = "sk_wait_data";
  return -EAGAIN;
}

/** Moves queued bytes into the message; 0, or -EFAULT with those that could be copied taken. */
function drain(k: Kernel, task: Task, socket: Socket, msg: Message, discard: boolean): number {
  const { receive } = tcpOf(socket);
  charge(k, costs(k).tcpReceiveNs);
  let err = 0;
  const queued = receive.length;
  let left = Math.min(room(msg), readLimit(k, socket));
  while (left > 0 && err === 0) {
    const count = frontLength(receive, left);
    let moved = count;
    if (discard) msg.copied += moved;
    else {
      moved = put(k, task, msg, receive.chunks[0], receive.start, count);
      if (moved < count) err = -EFAULT;
      if (moved < 0) break;
    }
    left -= moved;
    drop(receive, moved);
    tcpOf(socket).taken += moved;
    k.state.net.memory -= moved;
  }
  // As Linux: a FIN that came behind bytes goes with the last of them.
  if (receive.length === 0) tcpOf(socket).finUnread = false;
  adjustWindow(k, socket, queued - receive.length);
  openWindow(k, socket);
  return err;
}

/** Room came free: the peer's waiting bytes follow, not in dribs. */
function openWindow(k: Kernel, socket: Socket): void {
  const peer = peerOf(k, socket);
  if (peer === null) return;
  const waiting = tcpOf(peer).send.length;
  if (waiting > 0 && windowOf(k, socket) >= Math.min(waiting, worthTelling(k, socket))) push(k, peer);
}

function peek(k: Kernel, task: Task, socket: Socket, msg: Message, target: number, uncopied: boolean): number {
  const { receive } = tcpOf(socket);
  const { skip, count: there } = peekRange(socket);
  const over = socket.err !== 0 || socket.sk === TCP_CLOSE || (socket.shutdown & RCV_SHUTDOWN) !== 0;
  if (there === 0 || (there < target && !over)) {
    const answer = whyEmpty(socket, msg);
    if (there === 0 || answer === -EAGAIN) return answer;
  }
  if (uncopied) return Math.min(room(msg), there);
  return put(k, task, msg, copyOut(receive, Math.min(room(msg), there), skip));
}

/** Protocol.poll (tcp_poll). */
export function tcpPoll(k: Kernel, socket: Socket): number {
  const { sk, shutdown } = socket;
  const tcp = tcpOf(socket);
  if (sk === TCP_LISTEN) return tcp.acceptQueue.length > 0 ? POLLIN | POLLRDNORM : 0;
  let mask = 0;
  if (shutdown === SHUTDOWN_MASK || sk === TCP_CLOSE) mask |= POLLHUP;
  if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= POLLIN | POLLRDNORM | POLLRDHUP;
  if (sk !== TCP_SYN_SENT && sk !== TCP_SYN_RECV) {
    if (readable(k, socket, skipped(socket))) mask |= POLLIN | POLLRDNORM;
    if (urgentWaits(socket)) mask |= POLLPRI;
    if ((shutdown & SEND_SHUTDOWN) !== 0 || writeable(k, socket)) mask |= POLLOUT | POLLWRNORM;
  }
  return socket.err !== 0 ? mask | POLLERR : mask;
}

/** Protocol.ioctl: SIOCINQ, SIOCOUTQ, SIOCOUTQNSD and SIOCATMARK. */
export function tcpIoctl(k: Kernel, task: Task, socket: Socket, request: number, arg: Addr): number {
  const { send } = tcpOf(socket);
  let value: number;
  switch (request) {
    case FIONREAD: value = inQueue(socket); break;
    case TIOCOUTQ: case SIOCOUTQNSD: value = send.length; break;
    case SIOCATMARK: value = Number(atMark(socket)); break;
    default: return -ENOTTY;
  }
  if (socket.sk === TCP_LISTEN && request !== SIOCATMARK) return -EINVAL;
  return putUser32(k, task, arg, value) ? 0 : -EFAULT;
}
