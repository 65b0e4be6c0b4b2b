/** Unix sockets: streams, datagrams and packets between processes of one machine (af_unix.c). */
import {
  EAGAIN, ECONNREFUSED, ECONNRESET, EFAULT, EINVAL, EISCONN, ENOTCONN, ENOTTY, EOPNOTSUPP, EPERM,
} from "../abi/errno.ts";
import {
  POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM,
} from "../abi/epoll.ts";
import { FIONREAD, SIOCATMARK, TIOCOUTQ } from "../abi/ioctl.ts";
import { AF_UNIX, AF_UNSPEC, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM } from "../abi/socket.ts";
import type { Addr } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { putUser32 } from "../mm/usercopy.ts";
import { newWaitQueue } from "../sched/wait_queue.ts";
import type { Task } from "../sched/task.ts";
import { familyOf } from "./inet_addr.ts";
import { protocol, type Protocol } from "./proto.ts";
import { credOf, noCred } from "./scm.ts";
import { streamTruesize } from "./skbuff.ts";
import { newSocket, socketOf, stateChange, unixOf, type Socket } from "./socket.ts";
import { RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from "./tcp_states.ts";
import { findUnix, unixName, unixSockaddr } from "./unix_addr.ts";
import { autobind, unbind, unixBind } from "./unix_bind.ts";
import { collectGarbage } from "./unix_gc.ts";
import { dgramRecvmsg, dgramSendmsg, maySend, seqpacketBeforeSend, seqpacketRecvmsg, seqpacketSendmsg } from "./unix_dgram.ts";
import { dgramDisconnected, setPeer, wakePeers } from "./unix_peer.ts";
import { enqueueMessage, purgeMessages, queueFull, removeMessage, unixWritable } from "./unix_queue.ts";
import { streamRecvmsg, streamSendmsg } from "./unix_stream.ts";

/** net.unix.max_dgram_qlen: the backlog of a socket that does not listen. */
const DGRAM_QUEUE = 10;

/** A fresh unix socket of a type, held by nobody yet. */
export function unixSocket(k: Kernel, uid: number, type: number): Socket {
  const proto = type === SOCK_STREAM ? "unix_stream" : type === SOCK_DGRAM ? "unix_dgram" : "unix_seqpacket";
  const socket = newSocket(k, { family: AF_UNIX, type, protocol: 0, proto, uid });
  socket.unix = {
    name: null, inode: 0, peer: 0, peerRefs: 0, dead: false, queue: [], allocated: 0, backlog: DGRAM_QUEUE,
    peerWait: newWaitQueue(k), peerWake: [], cred: noCred(), peerCred: noCred(),
  };
  return socket;
}

/** socketpair(2): two sockets that the caller holds, connected to each other. */
export function unixPair(k: Kernel, task: Task, type: number): [Socket, Socket] {
  const pair: [Socket, Socket] = [unixSocket(k, task.cred.euid, type), unixSocket(k, task.cred.euid, type)];
  for (const [at, socket] of pair.entries()) {
    setPeer(k, socket, pair[1 - at].id);
    unixOf(socket).cred = credOf(task);
    unixOf(socket).peerCred = credOf(task);
    socket.held = true;
    socket.sk = TCP_ESTABLISHED;
    socket.state = "connected";
  }
  return pair;
}

function unixListen(k: Kernel, task: Task, socket: Socket, backlog: number): number {
  if (socket.type === SOCK_DGRAM) return -EOPNOTSUPP;
  const unix = unixOf(socket);
  if (unix.name === null) return -EINVAL;
  if (socket.sk !== TCP_CLOSE && socket.sk !== TCP_LISTEN) return -EINVAL;
  if (backlog > unix.backlog) wakePeers(k, unix, 0);
  unix.backlog = backlog;
  socket.sk = TCP_LISTEN;
  unix.cred = credOf(task);
  // As Linux: who listens is his own peer until somebody connects, which SO_PEERCRED tells.
  unix.peerCred = credOf(task);
  return 0;
}

/** connect(2) of a stream; -EAGAIN while the listener's queue is full. */
function streamConnect(k: Kernel, task: Task, socket: Socket, addr: Uint8Array): number {
  const name = unixName(addr);
  if (typeof name === "number") return name;
  if (socket.options.passCred) autobind(k, socket);
  const other = findUnix(k, task, name, socket.type);
  if (typeof other === "number") return other;
  if (other.sk !== TCP_LISTEN || (other.shutdown & RCV_SHUTDOWN) !== 0) return -ECONNREFUSED;
  if (queueFull(unixOf(other))) return -EAGAIN;
  if (socket.sk !== TCP_CLOSE) return socket.sk === TCP_ESTABLISHED ? -EISCONN : -EINVAL;
  meet(k, task, socket, other);
  return 0;
}

/** The connection's new end waits in the listener's queue. */
function meet(k: Kernel, task: Task, socket: Socket, listener: Socket): void {
  const child = unixSocket(k, listener.uid, socket.type);
  const unix = unixOf(child);
  unix.name = unixOf(listener).name;
  unix.cred = { ...unixOf(listener).cred };
  unix.peerCred = credOf(task);
  unixOf(socket).cred = credOf(task);
  unixOf(socket).peerCred = { ...unixOf(listener).cred };
  child.sk = TCP_ESTABLISHED;
  socket.sk = TCP_ESTABLISHED;
  socket.state = "connected";
  setPeer(k, socket, child.id);
  setPeer(k, child, socket.id);
  enqueueMessage(k, child, listener, {
    bytes: new Uint8Array(0), consumed: 0, truesize: streamTruesize(0), sender: child.id, from: null, cred: credOf(task), files: [],
    filesUid: 0, connection: child.id,
  });
}

function dgramConnect(k: Kernel, task: Task, socket: Socket, addr: Uint8Array): number {
  if (addr.length < 2) return -EINVAL;
  const unix = unixOf(socket);
  let other: Socket | null = null;
  if (familyOf(addr) !== AF_UNSPEC) {
    const name = unixName(addr);
    if (typeof name === "number") return name;
    if (socket.options.passCred) autobind(k, socket);
    const found = findUnix(k, task, name, socket.type);
    if (typeof found === "number") return found;
    if (!maySend(socket, found)) return -EPERM;
    socket.sk = TCP_ESTABLISHED;
    found.sk = TCP_ESTABLISHED;
    other = found;
  }
  const old = unix.peer === 0 ? null : socketOf(k, unix.peer);
  const oldId = unix.peer;
  if (other === null && old !== null) socket.sk = TCP_CLOSE;
  setPeer(k, socket, other?.id ?? 0);
  if (old !== null && oldId !== unix.peer) dgramDisconnected(k, socket, old);
  return 0;
}

function unixAccept(k: Kernel, _task: Task, socket: Socket): number {
  if (socket.type === SOCK_DGRAM) return -EOPNOTSUPP;
  if (socket.sk !== TCP_LISTEN) return -EINVAL;
  const unix = unixOf(socket);
  const message = unix.queue.at(0);
  if (message === undefined) return -EAGAIN;
  removeMessage(k, unix, message);
  wakePeers(k, unix, 0);
  const child = socketOf(k, message.connection);
  child.state = "connected";
  return child.id;
}

function unixGetname(k: Kernel, socket: Socket, peer: boolean): Uint8Array | number {
  const unix = unixOf(socket);
  if (!peer) return unixSockaddr(unix.name);
  return unix.peer === 0 ? -ENOTCONN : unixSockaddr(unixOf(socketOf(k, unix.peer)).name);
}

function unixShutdown(k: Kernel, socket: Socket, how: number): number {
  socket.shutdown |= how;
  stateChange(k, socket);
  const { peer } = unixOf(socket);
  if (peer !== 0 && socket.type !== SOCK_DGRAM) {
    const other = socketOf(k, peer);
    other.shutdown |= ((how & RCV_SHUTDOWN) !== 0 ? SEND_SHUTDOWN : 0) | ((how & SEND_SHUTDOWN) !== 0 ? RCV_SHUTDOWN : 0);
    stateChange(k, other);
  }
  return 0;
}

function streamPoll(k: Kernel, socket: Socket): number {
  const { shutdown } = socket;
  let mask = socket.err !== 0 ? POLLERR : 0;
  if (shutdown === SHUTDOWN_MASK) mask |= POLLHUP;
  if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= POLLRDHUP | POLLIN | POLLRDNORM;
  if (unixOf(socket).queue.length > 0) mask |= POLLIN | POLLRDNORM;
  if (socket.sk === TCP_CLOSE && socket.type !== SOCK_DGRAM) mask |= POLLHUP;
  if (unixWritable(k, socket)) mask |= POLLOUT | POLLWRNORM | POLLWRBAND;
  return mask;
}

const WRITE_EVENTS = POLLOUT | POLLWRNORM | POLLWRBAND;

/** As a stream, but not writable while the peer's queue is full of others' datagrams: its next reader tells (unix_dgram_poll). */
function dgramPoll(k: Kernel, socket: Socket): number {
  const mask = streamPoll(k, socket);
  const { peer } = unixOf(socket);
  if (peer === 0) return mask;
  const other = unixOf(socketOf(k, peer));
  if (other.peer === socket.id || !queueFull(other)) return mask;
  if ((mask & WRITE_EVENTS) !== 0 && !other.peerWake.includes(socket.id)) other.peerWake.push(socket.id);
  return mask & ~WRITE_EVENTS;
}

/** FIONREAD: all bytes of a stream, the first datagram's of the others; TIOCOUTQ: what the own messages take. */
function unixIoctl(k: Kernel, task: Task, socket: Socket, request: number, arg: Addr): number {
  const unix = unixOf(socket);
  if (request === TIOCOUTQ) return putUser32(k, task, arg, unix.allocated) ? 0 : -EFAULT;
  if (request === SIOCATMARK) return putUser32(k, task, arg, 0) ? 0 : -EFAULT;
  if (request !== FIONREAD) return -ENOTTY;
  if (socket.sk === TCP_LISTEN) return -EINVAL;
  let waiting = 0;
  if (socket.type === SOCK_DGRAM) waiting = unix.queue[0]?.bytes.length ?? 0;
  else for (const { bytes, consumed } of unix.queue) waiting += bytes.length - consumed;
  return putUser32(k, task, arg, waiting) ? 0 : -EFAULT;
}

/** The socket is closed: its name goes, a connected peer sees the end, or ECONNRESET when something was left unread. */
function unixRelease(k: Kernel, _task: Task | null, socket: Socket): boolean {
  const unix = unixOf(socket);
  const listening = socket.sk === TCP_LISTEN;
  unbind(k, socket);
  socket.held = false;
  socket.file = 0;
  socket.sk = TCP_CLOSE;
  socket.shutdown = SHUTDOWN_MASK;
  unix.dead = true;
  wakePeers(k, unix, 0);
  endPeer(k, socket, false);
  for (const id of purgeMessages(k, unix)) if (listening) releaseEmbryo(k, socketOf(k, id));
  if (unix.peerRefs === 0) k.state.net.sockets.delete(socket.id);
  collectGarbage(k);
  return false;
}

/** A connection that was never accepted: its other end is reset. */
function releaseEmbryo(k: Kernel, child: Socket): void {
  const unix = unixOf(child);
  child.sk = TCP_CLOSE;
  unix.dead = true;
  endPeer(k, child, true);
  purgeMessages(k, unix);
  if (unix.peerRefs === 0) k.state.net.sockets.delete(child.id);
}

function endPeer(k: Kernel, socket: Socket, embryo: boolean): void {
  const unix = unixOf(socket);
  const peer = unix.peer === 0 ? null : socketOf(k, unix.peer);
  if (peer !== null && socket.type !== SOCK_DGRAM) {
    peer.shutdown = SHUTDOWN_MASK;
    // As Linux: an empty message at the head is taken for urgent data that was read.
    const unread = unix.queue.length - Number(unix.queue[0]?.bytes.length === 0);
    if (unread > 0 || embryo) peer.err = ECONNRESET;
    stateChange(k, peer);
  }
  setPeer(k, socket, 0);
}

const common: Omit<Protocol, "connect" | "sendmsg" | "recvmsg" | "poll"> = {
  bind: unixBind, listen: unixListen, accept: unixAccept, getname: unixGetname, shutdown: unixShutdown, ioctl: unixIoctl,
  release: unixRelease,
  /** Where a connect waits for room: the queue of senders of the listener. */
  connectWait(k, task, socket, addr) {
    const name = unixName(addr);
    const other = typeof name === "number" ? name : findUnix(k, task, name, socket.type);
    return typeof other === "number" ? socket.writeWait : unixOf(other).peerWait;
  },
};

protocol("unix_stream", { ...common, connect: streamConnect, sendmsg: streamSendmsg, recvmsg: streamRecvmsg, poll: streamPoll });
protocol("unix_dgram", { ...common, connect: dgramConnect, sendmsg: dgramSendmsg, recvmsg: dgramRecvmsg, poll: dgramPoll });
protocol("unix_seqpacket", {
  ...common, connect: streamConnect, sendmsg: seqpacketSendmsg, beforeSend: seqpacketBeforeSend, recvmsg: seqpacketRecvmsg, poll: dgramPoll,
});

/** Types that a unix socket may have. */
export const UNIX_TYPES: readonly number[] = [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET];
