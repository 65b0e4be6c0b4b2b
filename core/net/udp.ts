/** UDP over the loopback: a datagram is in the receiver's queue, or dropped, before the send returns (udp.c). */
import {
  EACCES, EADDRINUSE, EAFNOSUPPORT, EAGAIN, ECONNREFUSED, EDESTADDRREQ, EFAULT, EINVAL, EMSGSIZE, ENOTCONN, ENOTTY, EOPNOTSUPP, EPIPE,
} from "../abi/errno.ts";
import {
  POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM,
} from "../abi/epoll.ts";
import { FIONREAD, TIOCOUTQ } from "../abi/ioctl.ts";
import { SOCKADDR_IN_SIZE } from "../abi/sockaddr.ts";
import { AF_INET, AF_UNSPEC, INADDR_ANY, INADDR_LOOPBACK, MSG_DONTWAIT, MSG_OOB, MSG_PEEK, MSG_TRUNC } from "../abi/socket.ts";
import type { Addr } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { putUser32 } from "../mm/usercopy.ts";
import { charge, costs } from "../sched/cost.ts";
import type { Task } from "../sched/task.ts";
import { addressesMeet, bindEndpoint, endpoint, familyOf, inetGetname, inetSockaddr, routeTo, type Endpoint } from "./inet_addr.ts";
import { loopbackXmit } from "./loopback.ts";
import { put, room, take, type Message } from "./message.ts";
import { protocol } from "./proto.ts";
import { udpTruesize } from "./skbuff.ts";
import { dataReady, inetOf, socketOf, stateChange, takeError, udpOf, underPressure, type Socket } from "./socket.ts";
import { LOCAL_PORT_FIRST, LOCAL_PORT_LAST } from "./state.ts";
import { RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, TCP_CLOSE, TCP_ESTABLISHED } from "./tcp_states.ts";

/** The longest datagram: 65,535 less the IP and UDP headers. */
const LONGEST = 65_507;

function holdPort(k: Kernel, socket: Socket, port: number): void {
  const { udpPorts } = k.state.net;
  const inet = inetOf(socket);
  inet.localPort = port;
  inet.portHeld = true;
  const users = udpPorts.get(port);
  if (users === undefined) udpPorts.set(port, [socket.id]);
  else users.push(socket.id);
}

function leavePort(k: Kernel, socket: Socket): void {
  const { udpPorts } = k.state.net;
  const inet = inetOf(socket);
  if (!inet.portHeld) return;
  inet.portHeld = false;
  const rest = must(udpPorts, inet.localPort).filter((id) => id !== socket.id);
  if (rest.length === 0) udpPorts.delete(inet.localPort);
  else udpPorts.set(inet.localPort, rest);
  inet.localPort = 0;
}

function conflicts(k: Kernel, socket: Socket, port: number): boolean {
  const { options } = socket;
  return (k.state.net.udpPorts.get(port) ?? []).some((id) => {
    const other = socketOf(k, id);
    if (!addressesMeet(inetOf(socket).localAddr, inetOf(other).localAddr)) return false;
    if (options.reuseAddr && other.options.reuseAddr) return false;
    return !(options.reusePort && other.options.reusePort && options.reuseAddr === other.options.reuseAddr && socket.uid === other.uid);
  });
}

/** Gives the socket `port`, or a free one of the ephemeral range for 0; 0 or -EADDRINUSE. */
function getPort(k: Kernel, socket: Socket, port: number): number {
  const { net } = k.state;
  if (port !== 0) {
    if (conflicts(k, socket, port)) return -EADDRINUSE;
    holdPort(k, socket, port);
    return 0;
  }
  for (let tried = LOCAL_PORT_FIRST; tried <= LOCAL_PORT_LAST; tried++) {
    const chosen = net.nextUdpPort;
    net.nextUdpPort = chosen === LOCAL_PORT_LAST ? LOCAL_PORT_FIRST : chosen + 1;
    if (net.udpPorts.has(chosen)) continue;
    holdPort(k, socket, chosen);
    return 0;
  }
  return -EADDRINUSE;
}

function udpBind(k: Kernel, task: Task, socket: Socket, addr: Uint8Array): number {
  const to = bindEndpoint(task, addr);
  if (typeof to === "number") return to;
  const inet = inetOf(socket);
  if (socket.sk !== TCP_CLOSE || inet.portHeld) return -EINVAL;
  inet.localAddr = to.addr;
  const err = getPort(k, socket, to.port);
  if (err !== 0) {
    inet.localAddr = 0;
    return err;
  }
  inet.addrLocked = to.addr !== 0;
  inet.portLocked = to.port !== 0;
  return 0;
}

/** inet_dgram_connect: a peer for send and a filter for receive; AF_UNSPEC takes it away. */
function udpConnect(k: Kernel, _task: Task, socket: Socket, addr: Uint8Array): number {
  if (addr.length < 2) return -EINVAL;
  const inet = inetOf(socket);
  if (familyOf(addr) === AF_UNSPEC) {
    disconnect(k, socket);
    return 0;
  }
  if (!inet.portHeld && getPort(k, socket, 0) !== 0) return -EAGAIN;
  if (addr.length < SOCKADDR_IN_SIZE) return -EINVAL;
  if (familyOf(addr) !== AF_INET) return -EAFNOSUPPORT;
  const peer = routed(socket, endpoint(addr));
  if (typeof peer === "number") return peer;
  if (inet.localAddr === INADDR_ANY) inet.localAddr = INADDR_LOOPBACK;
  inet.peerAddr = peer.addr;
  inet.peerPort = peer.port;
  socket.sk = TCP_ESTABLISHED;
  return 0;
}

function disconnect(k: Kernel, socket: Socket): void {
  const inet = inetOf(socket);
  socket.sk = TCP_CLOSE;
  inet.peerPort = 0;
  inet.peerAddr = 0;
  if (!inet.addrLocked) inet.localAddr = 0;
  if (!inet.portLocked) leavePort(k, socket);
}

/** 127.255.255.255 is the loopback's broadcast address, which needs SO_BROADCAST. */
function routed(socket: Socket, to: Endpoint): Endpoint | number {
  if (to.addr === 0x7fff_ffff && !socket.options.broadcast) return -EACCES;
  return routeTo(to);
}

/** Protocol.sendmsg: EDESTADDRREQ, EMSGSIZE; a port where nobody listens is told to a connected sender by its next call. */
function udpSendmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  const inet = inetOf(socket);
  if (!inet.portHeld && getPort(k, socket, 0) !== 0) return -EAGAIN;
  if (msg.total > 0xffff) return -EMSGSIZE;
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const to = destination(socket, msg);
  if (typeof to === "number") return to;
  const err = takeError(socket);
  if (err !== 0) return err;
  if ((socket.shutdown & SEND_SHUTDOWN) !== 0) return -EPIPE;
  if (msg.total > LONGEST) return -EMSGSIZE;
  const bytes = take(k, task, msg, msg.total);
  if (bytes === null) return -EFAULT;
  deliver(k, socket, to, bytes);
  return msg.total;
}

function destination(socket: Socket, { name }: Message): Endpoint | number {
  const inet = inetOf(socket);
  if (name === null) {
    if (socket.sk !== TCP_ESTABLISHED) return -EDESTADDRREQ;
    return { addr: inet.peerAddr, port: inet.peerPort };
  }
  if (name.length < SOCKADDR_IN_SIZE) return -EINVAL;
  if (familyOf(name) !== AF_INET && familyOf(name) !== AF_UNSPEC) return -EAFNOSUPPORT;
  const to = endpoint(name);
  return to.port === 0 ? -EINVAL : routed(socket, to);
}

function deliver(k: Kernel, socket: Socket, to: Endpoint, bytes: Uint8Array): void {
  // The same way down and up the stack as a TCP segment.
  charge(k, costs(k).tcpSendNs);
  loopbackXmit(k, 1);
  const inet = inetOf(socket);
  const from = inet.localAddr === INADDR_ANY ? INADDR_LOOPBACK : inet.localAddr;
  const receiver = lookup(k, to, { addr: from, port: inet.localPort });
  if (receiver === null) {
    // Port unreachable: only a socket that is connected to it hears of it.
    if (socket.sk === TCP_ESTABLISHED && isPeer(socket, to)) {
      socket.err = ECONNREFUSED;
      stateChange(k, socket);
    }
    return;
  }
  const udp = udpOf(receiver);
  const truesize = udpTruesize(bytes.length);
  if (udp.allocated + truesize > receiver.options.rcvbuf || (underPressure(k) && udp.queue.length > 0)) return;
  udp.queue.push({ bytes, addr: from, port: inet.localPort, truesize });
  udp.allocated += truesize;
  k.state.net.memory += truesize;
  dataReady(k, receiver);
}

/** Whether datagrams of `end` reach the socket: it is connected to it, or to nobody. */
function isPeer(socket: Socket, { addr, port }: Endpoint): boolean {
  const { peerAddr, peerPort } = inetOf(socket);
  return (peerAddr === INADDR_ANY || peerAddr === addr) && (peerPort === 0 || peerPort === port);
}

/** The socket that a datagram is for: the more of address and peer it has fixed, the better; the oldest of equals. */
function lookup(k: Kernel, to: Endpoint, from: Endpoint): Socket | null {
  let best: Socket | null = null;
  let bestScore = -1;
  for (const id of k.state.net.udpPorts.get(to.port) ?? []) {
    const socket = socketOf(k, id);
    const inet = inetOf(socket);
    if (inet.localAddr !== INADDR_ANY && inet.localAddr !== to.addr) continue;
    let score = inet.localAddr === INADDR_ANY ? 0 : 1;
    if (!isPeer(socket, from)) continue;
    if (inet.peerAddr !== 0) score += 2;
    if (score > bestScore) {
      best = socket;
      bestScore = score;
    }
  }
  return best;
}

/** Protocol.recvmsg: one datagram; what does not fit is lost and told by MSG_TRUNC. */
function udpRecvmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  const udp = udpOf(socket);
  const err = takeError(socket);
  if (err !== 0) return err;
  const datagram = udp.queue[0];
  if (datagram === undefined) {
    if ((socket.shutdown & RCV_SHUTDOWN) !== 0 && (flags & MSG_DONTWAIT) === 0) return 0;
    msg.wait = socket.readWait;
    msg.wchan = "__skb_wait_for_more_packets";
    return -EAGAIN;
  }
  const count = Math.min(datagram.bytes.length, room(msg));
  if (count < datagram.bytes.length) msg.outFlags |= MSG_TRUNC;
  const copied = put(k, task, msg, datagram.bytes.subarray(0, count));
  if ((flags & MSG_PEEK) === 0 && (copied === count || copied < 0)) {
    udp.queue.shift();
    udp.allocated -= datagram.truesize;
    k.state.net.memory -= datagram.truesize;
  }
  if (copied < count) return -EFAULT;
  msg.name = inetSockaddr(datagram.addr, datagram.port);
  return (flags & MSG_TRUNC) !== 0 ? datagram.bytes.length : count;
}

function udpShutdown(k: Kernel, socket: Socket, how: number): number {
  socket.shutdown |= how;
  stateChange(k, socket);
  return socket.sk === TCP_ESTABLISHED ? 0 : -ENOTCONN;
}

function udpPoll(_k: Kernel, socket: Socket): number {
  const { shutdown } = socket;
  let mask = POLLOUT | POLLWRNORM | POLLWRBAND;
  if (socket.err !== 0) mask |= POLLERR;
  if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= POLLRDHUP | POLLIN | POLLRDNORM;
  if (shutdown === SHUTDOWN_MASK) mask |= POLLHUP;
  if (udpOf(socket).queue.length > 0) mask |= POLLIN | POLLRDNORM;
  return mask;
}

function udpIoctl(k: Kernel, task: Task, socket: Socket, request: number, arg: Addr): number {
  if (request !== FIONREAD && request !== TIOCOUTQ) return -ENOTTY;
  const value = request === FIONREAD ? (udpOf(socket).queue[0]?.bytes.length ?? 0) : 0;
  return putUser32(k, task, arg, value) ? 0 : -EFAULT;
}

function udpRelease(k: Kernel, _task: Task | null, socket: Socket): boolean {
  leavePort(k, socket);
  k.state.net.memory -= udpOf(socket).allocated;
  k.state.net.sockets.delete(socket.id);
  return false;
}

protocol("udp", {
  bind: udpBind, connect: udpConnect, listen: () => -EOPNOTSUPP, accept: () => -EOPNOTSUPP,
  getname: (_k, socket, peer) => inetGetname(socket, peer),
  sendmsg: udpSendmsg, recvmsg: udpRecvmsg, shutdown: udpShutdown, poll: udpPoll, ioctl: udpIoctl, release: udpRelease,
});
