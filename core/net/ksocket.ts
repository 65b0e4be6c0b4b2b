/**
 * Sockets for kernel code (net/socket.c: kernel_bind … kernel_sock_shutdown), on socket ids.
 *
 * Plain functions: sockCreateKern, kernelBind, kernelListen, kernelGetsockname, kernelGetpeername, kernelSetsockopt,
 * kernelShutdown, sockRelease. Step tables, entered with `enter(kernelAccept, { … })`, the answer in `frame.ret`:
 *
 *     accept: (k) => enter(kernelAccept, { socket: listener, flags: 0 }),          // the new socket's id, or an errno
 *     receive: (k) => enter(kernelRecvmsg, kernelReceive(k, conn, 512, 0)),
 *     got: (k, task, frame) => { const bytes = kernelReceived(k, task); … }         // when frame.ret > 0
 *     send: (k) => enter(kernelSendmsg, kernelSend(k, conn, bytes, 0)),   // bytes sent, or an errno
 *
 * Their sleeps are interruptible: a signal makes them answer -ERESTARTSYS, or the partial count. When the socket is released
 * meanwhile they answer -ENOTCONN (accept -EINVAL). MSG_DONTWAIT in `flags`
 * (O_NONBLOCK for accept and connect) keeps them from sleeping. SIGPIPE goes to the running task as on Linux; MSG_NOSIGNAL
 * keeps it away. Code that wants no frame at all uses `sendNow`, `receiveNow`, `receiveInto` and `receiveUser`.
 */
import { EAGAIN, EINVAL, ENOTCONN } from "../abi/errno.ts";
import { O_NONBLOCK } from "../abi/fcntl.ts";
import { AF_UNIX, MSG_DONTWAIT, SHUT_RD, SHUT_RDWR } from "../abi/socket.ts";
import type { Addr } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { putU32 } from "../lib/bytes.ts";
import { NEXT, steps } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { sleepOn, type SleepAction } from "../sched/wait_queue.ts";
import { socketCreate, socketRelease } from "./create.ts";
import { endpoint, inetSockaddr, type Endpoint } from "./inet_addr.ts";
import { kernelMessage, kernelRoom, userMessage, type Message } from "./message.ts";
import { protocolOf } from "./proto.ts";
import { dropControl } from "./scm.ts";
import { setOption } from "./sock_options.ts";
import { socketOf } from "./socket.ts";
import { acceptOrSleep, connectSocket, deadline, newTransfer, receiveOrSleep, sendOrSleep, type Transfer } from "./wait.ts";

/** A socket that a module holds: its id, or an errno as of socket(2). */
export function sockCreateKern(k: Kernel, task: Task, family: number, type: number, protocol: number): number {
  return socketCreate(k, task, family, type, protocol);
}

/** The module's socket is closed; nothing sleeps, an unread byte is answered by a RST. */
export function sockRelease(k: Kernel, task: Task | null, socket: number): void {
  socketRelease(k, task, socket);
}

/** 0, -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL …; `addr` in host order, INADDR_ANY 0. */
export function kernelBind(k: Kernel, task: Task, socket: number, { addr, port }: Endpoint): number {
  const bound = socketOf(k, socket);
  return protocolOf(bound).bind(k, task, bound, inetSockaddr(addr, port));
}

/** 0 or an errno; the backlog is not clamped to somaxconn, which only the system call does. */
export function kernelListen(k: Kernel, task: Task, socket: number, backlog: number): number {
  const bound = socketOf(k, socket);
  return protocolOf(bound).listen(k, task, bound, backlog);
}

/** Sets an option that is an int: 0 or an errno as of setsockopt(2). */
export function kernelSetsockopt(k: Kernel, task: Task, socket: number, level: number, option: number, value: number): number {
  const bytes = new Uint8Array(4);
  putU32(bytes, 0, value);
  return setOption(k, task, socketOf(k, socket), level, option, bytes);
}

/** 0 or an errno; `how`: SHUT_RD, SHUT_WR, SHUT_RDWR. */
export function kernelShutdown(k: Kernel, socket: number, how: number): number {
  if (how < SHUT_RD || how > SHUT_RDWR) return -EINVAL;
  const shut = socketOf(k, socket);
  return protocolOf(shut).shutdown(k, shut, how + 1);
}

/** The own address and port, or an errno. */
export function kernelGetsockname(k: Kernel, socket: number): Endpoint | number {
  return name(k, socket, false);
}

/** The peer's address and port; -ENOTCONN without one. */
export function kernelGetpeername(k: Kernel, socket: number): Endpoint | number {
  return name(k, socket, true);
}

function name(k: Kernel, id: number, peer: boolean): Endpoint | number {
  const socket = socketOf(k, id);
  const bytes = protocolOf(socket).getname(k, socket, peer);
  return typeof bytes === "number" || socket.family === AF_UNIX ? (typeof bytes === "number" ? bytes : -EINVAL) : endpoint(bytes);
}

/** Whether a receive would find bytes, an end or an error; for the poll operation of a driver. */
export function socketPoll(k: Kernel, socket: number): { mask: number; queues: number[] } {
  const polled = socketOf(k, socket);
  return { mask: protocolOf(polled).poll(k, polled), queues: [polled.readWait, polled.writeWait] };
}

/** The socket still exists: a module's id may have been released by another of its users. */
export function socketExists(k: Kernel, socket: number): boolean {
  return k.state.net.sockets.get(socket)?.held ?? false;
}

/** Answers the id of the accepted socket, which the caller holds; flags: O_NONBLOCK. */
export const kernelAccept = steps<{ socket: number; flags: number; untilNs?: number }>("net.kernel_accept", {
  begin: (k, _task, { locals }) => {
    const rcvTimeoNs = k.state.net.sockets.get(locals.socket)?.options.rcvTimeoNs ?? 0;
    locals.untilNs = (locals.flags & O_NONBLOCK) !== 0 ? 0 : deadline(k, rcvTimeoNs);
    return NEXT;
  },
  accept: (k, task, { locals }) => {
    const result = acceptOrSleep(k, task, locals.socket, locals.untilNs ?? -1);
    if (typeof result === "number" && result >= 0) socketOf(k, result).held = true;
    return result;
  },
});

/** Answers 0 or an errno; -EINPROGRESS with O_NONBLOCK in `flags`. */
export const kernelConnect = steps<{ socket: number; to: Endpoint; flags: number }>("net.kernel_connect", {
  connect: (k, task, { locals }) => {
    if (!socketExists(k, locals.socket)) return -ENOTCONN;
    const { addr, port } = locals.to;
    return connectSocket(k, task, socketOf(k, locals.socket), inetSockaddr(addr, port), (locals.flags & O_NONBLOCK) !== 0);
  },
  connected: (_k, _task, { ret }) => ret,
});

/** Locals for kernelSendmsg: the bytes are the frame's own from now on; `to` for a datagram. */
export function kernelSend(k: Kernel, socket: number, bytes: Uint8Array, flags: number, to?: Endpoint): Transfer {
  const msg = kernelMessage(bytes);
  if (to !== undefined) msg.name = inetSockaddr(to.addr, to.port);
  return newTransfer(k, socket, msg, flags, k.state.net.sockets.get(socket)?.options.sndTimeoNs ?? 0);
}

/** Sends all bytes, waiting for room; answers how many were sent, or an errno when none were. */
export const kernelSendmsg = steps<Transfer>("net.kernel_sendmsg", {
  send: (k, task, { locals }) => sendOrSleep(k, task, locals),
});

/** Locals for kernelRecvmsg: at most `count` bytes. */
export function kernelReceive(k: Kernel, socket: number, count: number, flags: number): Transfer {
  return newTransfer(k, socket, kernelRoom(count), flags, k.state.net.sockets.get(socket)?.options.rcvTimeoNs ?? 0);
}

/** Waits for bytes (for all of them with MSG_WAITALL); answers how many came, 0 at the end. `kernelReceived` has them. */
export const kernelRecvmsg = steps<Transfer>("net.kernel_recvmsg", {
  receive: (k, task, { locals }) => {
    const got = receiveOrSleep(k, task, locals);
    // A signal that ends the sleep gives the partial count, so what has come is laid out before it.
    const over = typeof got === "number";
    const here = over ? got : locals.msg.copied;
    const { bytes } = locals.msg;
    if (here > 0 && bytes !== null) k.state.net.received.set(task.tid, over && bytes.length === here ? bytes : bytes.slice(0, here));
    return got;
  },
});

/** The bytes of the task's last kernelRecvmsg that answered more than 0; they are the caller's. */
export function kernelReceived(k: Kernel, task: Task): Uint8Array {
  const bytes = k.state.net.received.get(task.tid) ?? new Uint8Array(0);
  k.state.net.received.delete(task.tid);
  return bytes;
}

/** Sends what there is room for, without waiting: how many bytes, -EAGAIN for none, or an errno. */
export function sendNow(k: Kernel, task: Task, id: number, bytes: Uint8Array, flags: number): number {
  if (!socketExists(k, id)) return -ENOTCONN;
  const socket = socketOf(k, id);
  const msg = kernelMessage(bytes);
  const sent = protocolOf(socket).sendmsg(k, task, socket, msg, flags);
  return sent === -EAGAIN && msg.copied > 0 ? msg.copied : sent;
}

/**
 * What has come, at most `count` bytes (none at the end), an errno, or a sleep until something comes. It changes nothing
 * before it sleeps, so a step may answer it and look again when it is woken.
 */
export function receiveNow(k: Kernel, task: Task, id: number, count: number, flags: number): Uint8Array | number | SleepAction {
  const into = new Uint8Array(count);
  const got = receiveInto(k, task, id, into, flags);
  return typeof got === "number" && got >= 0 ? into.subarray(0, got) : got;
}

/** The same into the caller's own bytes; how many came. */
export function receiveInto(k: Kernel, task: Task, id: number, into: Uint8Array, flags: number): number | SleepAction {
  return receive(k, task, id, kernelMessage(into), flags);
}

/** The same straight into user memory; how many came. What cannot be copied stays; -EFAULT when that is all of it. */
export function receiveUser(k: Kernel, task: Task, id: number, buf: Addr, count: number, flags: number): number | SleepAction {
  return receive(k, task, id, userMessage([{ addr: buf, len: count }], count), flags);
}

function receive(k: Kernel, task: Task, id: number, msg: Message, flags: number): number | SleepAction {
  if (!socketExists(k, id)) return -ENOTCONN;
  const socket = socketOf(k, id);
  const got = protocolOf(socket).recvmsg(k, task, socket, msg, flags);
  dropControl(k, msg);
  if (got !== -EAGAIN) return got;
  // What SO_RCVLOWAT would wait with is taken already: it is the answer.
  if (msg.copied > 0) return msg.copied;
  return (flags & MSG_DONTWAIT) !== 0 ? got : sleepOn(msg.wait, { wchan: msg.wchan });
}

export type { Endpoint };
