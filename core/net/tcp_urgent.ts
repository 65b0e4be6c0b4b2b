/** Urgent data of TCP: one byte of the stream that is marked, announced by SIGURG and POLLPRI, and received by itself (tcp(7)). */
import { EAGAIN, EFAULT, EINVAL, ENOTCONN } from "../abi/errno.ts";
import { MSG_OOB, MSG_PEEK, MSG_TRUNC, SOL_SOCKET, SO_OOBINLINE } from "../abi/socket.ts";
import { POLL_PRI, SIGURG } from "../abi/signal.ts";
import { killFasync } from "../fs/fasync.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { drop } from "./byte_queue.ts";
import { put, room, type Message } from "./message.ts";
import { tcpOf, type Socket } from "./socket.ts";
import { RCV_SHUTDOWN, TCP_CLOSE } from "./tcp_states.ts";

/** SO_OOBINLINE: the marked byte is read with the others. */
function inline({ options }: Socket): boolean {
  return (options.stored.get(`${SOL_SOCKET}:${SO_OOBINLINE}`) ?? 0) !== 0;
}

/** The next byte to read is the marked one (SIOCATMARK). */
export function atMark(socket: Socket): boolean {
  const { urgent, taken } = tcpOf(socket);
  return urgent !== null && urgent.at === taken;
}

/** Marks the last of `bytes`, which are written next, as urgent. */
export function markUrgent(socket: Socket, bytes: Uint8Array): void {
  const tcp = tcpOf(socket);
  if (bytes.length > 0) tcp.urgentOut = { at: tcp.written + bytes.length - 1, byte: bytes[bytes.length - 1] };
}

/** `count` further bytes are about to cross to the peer: an urgent one among them is announced (tcp_check_urg). */
export function announceUrgent(k: Kernel, socket: Socket, peer: Socket, count: number): boolean {
  const own = tcpOf(socket);
  const { urgentOut } = own;
  if (urgentOut === null) return false;
  const { taken, receive, urgent } = tcpOf(peer);
  if (urgentOut.at >= taken + receive.length + count) return false;
  own.urgentOut = null;
  if (urgent !== null && urgentOut.at <= urgent.at) return false;
  // As Linux: an earlier urgent byte that is next to be read is skipped now, before its mark is forgotten.
  if (atMark(peer) && !inline(peer) && receive.length > 0) take(k, peer);
  tcpOf(peer).urgent = urgentOut;
  if (peer.file !== 0) killFasync(k, [peer.file], SIGURG, POLL_PRI);
  return true;
}

function take(k: Kernel, socket: Socket): void {
  const tcp = tcpOf(socket);
  drop(tcp.receive, 1);
  tcp.taken++;
  k.state.net.memory--;
}

/** Bytes that a read may take in one go: up to the mark, where the next one begins behind it or, inline, with it. */
export function readLimit(k: Kernel, socket: Socket): number {
  const tcp = tcpOf(socket);
  if (tcp.urgent === null) return tcp.receive.length;
  if (tcp.urgent.at > tcp.taken) return Math.min(tcp.receive.length, tcp.urgent.at - tcp.taken);
  if (!inline(socket)) take(k, socket);
  tcp.urgent = null;
  return tcp.receive.length;
}

/** Where a peek begins, and how many bytes it may see. */
export function peekRange(socket: Socket): { skip: number; count: number } {
  const { urgent, taken, receive } = tcpOf(socket);
  if (urgent === null) return { skip: 0, count: receive.length };
  if (urgent.at > taken) return { skip: 0, count: Math.min(receive.length, urgent.at - taken) };
  const skip = inline(socket) ? 0 : Math.min(1, receive.length);
  return { skip, count: receive.length - skip };
}

/** A marked byte that a read would skip; it does not make a socket readable. */
export function skipped(socket: Socket): number {
  return atMark(socket) && !inline(socket) ? 1 : 0;
}

/** FIONREAD: bytes up to the mark. */
export function inQueue(socket: Socket): number {
  const { urgent, taken, receive } = tcpOf(socket);
  return urgent === null || inline(socket) ? receive.length : Math.min(receive.length, urgent.at - taken);
}

/** There is an urgent byte to be received by itself (POLLPRI). */
export function urgentWaits({ tcp }: Socket): boolean {
  return tcp !== null && tcp.urgent !== null && tcp.urgent.byte >= 0;
}

/** recv(2) with MSG_OOB: the urgent byte, -EINVAL without one; it never waits (tcp_recv_urg). */
export function receiveUrgent(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  const { urgent, done } = tcpOf(socket);
  if (urgent === null || urgent.byte < 0 || inline(socket)) return -EINVAL;
  if (socket.sk === TCP_CLOSE && !done) return -ENOTCONN;
  if (room(msg) === 0) return (socket.shutdown & RCV_SHUTDOWN) !== 0 ? 0 : -EAGAIN;
  const { byte } = urgent;
  if ((flags & MSG_PEEK) === 0) urgent.byte = -1;
  msg.outFlags |= MSG_OOB;
  if ((flags & MSG_TRUNC) !== 0) return 1;
  return put(k, task, msg, Uint8Array.of(byte)) === 1 ? 1 : -EFAULT;
}
