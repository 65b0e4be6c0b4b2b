/** UDP over the loopback: a datagram is in the receiver's queue, or dropped, before the send returns (udp.c). */
import {
  EACCES, EAFNOSUPPORT, EAGAIN, EDESTADDRREQ, EFAULT, EINVAL, EMSGSIZE, ENETUNREACH, ENODEV, ENOTCONN, ENOTTY, EOPNOTSUPP, EPIPE,
} from "../abi/errno.ts";
import {
  POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM,
} from "../abi/epoll.ts";
import { FIONREAD, TIOCOUTQ } from "../abi/ioctl.ts";
import { SOCKADDR_IN_SIZE } from "../abi/sockaddr.ts";
import {
  AF_INET, AF_UNSPEC, INADDR_ANY, INADDR_LOOPBACK, IP_PKTINFO, IP_RECVERR, IP_TOS, IP_TTL, MSG_DONTWAIT, MSG_ERRQUEUE, MSG_MORE, MSG_OOB,
  MSG_PEEK, MSG_TRUNC, SO_BINDTODEVICE, SO_RXQ_OVFL, SO_SELECT_ERR_QUEUE, SOL_IP, SOL_SOCKET, SOL_UDP,
} from "../abi/socket.ts";
import type { Addr } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { putUser32 } from "../mm/usercopy.ts";
import { charge, costs } from "../sched/cost.ts";
import type { Task } from "../sched/task.ts";
import { now } from "../time/clock.ts";
import { addressType, deviceByIndex, deviceTo, sourceAddress } from "./device.ts";
import { bindEndpoint, endpoint, familyOf, inetGetname, inetSockaddr, sourceOf, type Endpoint } from "./inet_addr.ts";
import { loopbackXmit, UDP_HEADERS } from "./loopback.ts";
import { newControl, put, room, take, type IpControl, type Message } from "./message.ts";
import { protocol } from "./proto.ts";
import { udpTruesize } from "./skbuff.ts";
import { dataReady, inetOf, movePeekOffset, stateChange, storedOption, takeError, udpOf, underPressure, type Socket } from "./socket.ts";
import { RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, TCP_CLOSE, TCP_ESTABLISHED } from "./tcp_states.ts";
import { datagramControl, portUnreachable, receiveError } from "./udp_control.ts";
import { getPort, leavePort, lookup, lookupAll } from "./udp_port.ts";

/** The longest datagram: 65,535 less the IP and UDP headers. */
const LONGEST = 65_507;
/** net.ipv4.ip_default_ttl */
const DEFAULT_TTL = 64;
const INADDR_BROADCAST = 0xffff_ffff;

function udpBind(k: Kernel, task: Task, socket: Socket, addr: Uint8Array): number {
  const to = bindEndpoint(k, task, socket, addr);
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
  const peer = routed(k, socket, endpoint(addr), NO_IP);
  if (typeof peer === "number") return peer;
  if (inet.localAddr === INADDR_ANY) inet.localAddr = sourceAddress(k, peer.addr);
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

/** Where a datagram goes on its way: -ENODEV, -EINVAL for a source that is not ours, -ENETUNREACH, -EACCES for a broadcast without SO_BROADCAST. */
function routed(k: Kernel, socket: Socket, given: Endpoint, ip: IpControl): Endpoint | number {
  const device = ip.device || storedOption(socket, SOL_SOCKET, SO_BINDTODEVICE);
  if (device !== 0 && deviceByIndex(k, device) === null) return -ENODEV;
  if (ip.source !== 0 && addressType(k, ip.source) !== "local") return -EINVAL;
  // As Linux: groups and the broadcast address of everywhere are reached by the device of the socket's own address.
  const { localAddr } = inetOf(socket);
  const from = ip.source || (addressType(k, localAddr) === "local" ? localAddr : 0);
  const to = given.addr === INADDR_ANY ? { ...given, addr: from || INADDR_LOOPBACK } : given;
  const type = addressType(k, to.addr);
  const wide = type === "multicast" || to.addr === INADDR_BROADCAST;
  const reachable = device !== 0 || (wide && from !== 0);
  if (!reachable && deviceTo(k, to.addr) === null) return -ENETUNREACH;
  return type === "broadcast" && !socket.options.broadcast ? -EACCES : to;
}

const NO_IP: IpControl = { ttl: -1, tos: -1, source: 0, device: 0 };
const UDP_CORK = 1;

/** Protocol.beforeSend: the address is looked at before what lies beside the bytes. */
function udpBeforeSend(k: Kernel, socket: Socket, msg: Message): number {
  if (!inetOf(socket).portHeld && getPort(k, socket, 0) !== 0) return -EAGAIN;
  if (msg.total > 0xffff) return -EMSGSIZE;
  const to = udpOf(socket).corked === null ? destination(socket, msg) : 0;
  return typeof to === "number" ? to : 0;
}

/** Protocol.sendmsg: EDESTADDRREQ, EMSGSIZE; a port where nobody listens is told to a connected sender by its next call. */
function udpSendmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  const inet = inetOf(socket);
  const udp = udpOf(socket);
  if (!inet.portHeld && getPort(k, socket, 0) !== 0) return -EAGAIN;
  if (msg.total > 0xffff) return -EMSGSIZE;
  if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const ip = msg.control?.ip ?? NO_IP;
  let to: Endpoint | number = udp.corked === null ? destination(socket, msg) : { addr: udp.corked.addr, port: udp.corked.port };
  if (typeof to === "number") return to;
  if (udp.corked === null) to = routed(k, socket, to, ip);
  if (typeof to === "number") return to;
  const held = (udp.corked?.pieces ?? []).reduce((sum, piece) => sum + piece.length, 0);
  if (held + msg.total > LONGEST) {
    udp.corked = null;
    return -EMSGSIZE;
  }
  const err = takeError(socket);
  if (err !== 0) return err;
  if ((socket.shutdown & SEND_SHUTDOWN) !== 0) return -EPIPE;
  const bytes = take(k, task, msg, msg.total);
  if (bytes === null) return -EFAULT;
  const corked = udp.corked ?? { pieces: [], ...to };
  if ((flags & MSG_MORE) !== 0 || storedOption(socket, SOL_UDP, UDP_CORK) !== 0) {
    corked.pieces.push(bytes);
    udp.corked = corked;
  } else {
    udp.corked = null;
    deliver(k, socket, to, corked.pieces.length === 0 ? bytes : joined([...corked.pieces, bytes]), ip);
  }
  return msg.total;
}

/** UDP_CORK was taken away: what it held back goes (udp_push_pending_frames). */
export function udpUncork(k: Kernel, socket: Socket): void {
  const { corked } = udpOf(socket);
  udpOf(socket).corked = null;
  if (corked !== null) deliver(k, socket, { addr: corked.addr, port: corked.port }, joined(corked.pieces), NO_IP);
}

function joined(pieces: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
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
  return to.port === 0 ? -EINVAL : to;
}

/** The group that every machine is in. */
const ALL_HOSTS = 0xe000_0001;

function deliver(k: Kernel, socket: Socket, to: Endpoint, bytes: Uint8Array, ip: IpControl): void {
  // The same way down and up the stack as a TCP segment.
  charge(k, costs(k).tcpSendNs);
  loopbackXmit(k, 1, bytes.length, UDP_HEADERS);
  const { mib } = k.state.net;
  mib.udpOutDatagrams++;
  const inet = inetOf(socket);
  const from = { addr: ip.source || sourceOf(k, inet, to.addr) || inet.localAddr, port: inet.localPort };
  const type = addressType(k, to.addr);
  if (type === "broadcast" || type === "multicast") {
    if (type === "broadcast" || to.addr === ALL_HOSTS) for (const one of lookupAll(k, to, from)) queue(k, socket, one, from, to, bytes.slice(), ip);
    return;
  }
  // By a device that was named a datagram leaves wherever it goes; nobody is there.
  if (type === "unicast") return;
  const receiver = lookup(k, to, from);
  if (receiver !== null) return queue(k, socket, receiver, from, to, bytes, ip);
  mib.udpNoPorts++;
  // Port unreachable: a socket that is connected to it hears of it, and one that asked for all errors.
  const sender = lookup(k, from, to);
  if (sender !== null && (sender.sk === TCP_ESTABLISHED || storedOption(sender, SOL_IP, IP_RECVERR) !== 0)) portUnreachable(k, sender, to, bytes);
}

function queue(k: Kernel, sender: Socket, receiver: Socket, from: Endpoint, to: Endpoint, bytes: Uint8Array, ip: IpControl): void {
  const udp = udpOf(receiver);
  const truesize = udpTruesize(bytes.length);
  if (udp.allocated + truesize > receiver.options.rcvbuf || (underPressure(k) && udp.queue.length > 0)) {
    udp.drops++;
    k.state.net.mib.udpRcvbufErrors++;
    return;
  }
  const option = (of: Socket, level: number, number: number): number => storedOption(of, level, number);
  udp.queue.push({
    bytes, ...from, to: to.addr, toPort: to.port, ttl: ip.ttl >= 0 ? ip.ttl : option(sender, SOL_IP, IP_TTL) || DEFAULT_TTL,
    tos: ip.tos >= 0 ? ip.tos : option(sender, SOL_IP, IP_TOS), arrivedNs: now(k),
    drops: option(receiver, SOL_SOCKET, SO_RXQ_OVFL) !== 0 ? udp.drops : 0, pktinfo: option(receiver, SOL_IP, IP_PKTINFO) !== 0, truesize,
  });
  udp.allocated += truesize;
  k.state.net.memory += truesize;
  dataReady(k, receiver);
}

/** Protocol.recvmsg: one datagram; what does not fit is lost and told by MSG_TRUNC. With MSG_ERRQUEUE, one that failed. */
function udpRecvmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number {
  if ((flags & MSG_ERRQUEUE) !== 0) return receiveError(k, task, socket, msg);
  const udp = udpOf(socket);
  const err = takeError(socket);
  if (err !== 0) return err;
  const peeking = (flags & MSG_PEEK) !== 0;
  let index = 0;
  let skip = peeking ? Math.max(0, socket.options.peekOff) : 0;
  while (skip > 0 && index < udp.queue.length && skip >= udp.queue[index].bytes.length) skip -= udp.queue[index++].bytes.length;
  const datagram = udp.queue[index];
  if (datagram === undefined) {
    if ((socket.shutdown & RCV_SHUTDOWN) !== 0 && (flags & MSG_DONTWAIT) === 0) return 0;
    msg.wait = socket.readWait;
    msg.wchan = "__skb_wait_for_more_packets";
    return -EAGAIN;
  }
  const { length } = datagram.bytes;
  const count = Math.min(length - skip, room(msg));
  if (count < length) msg.outFlags |= MSG_TRUNC;
  const copied = put(k, task, msg, datagram.bytes.subarray(skip, skip + count));
  const answer = (flags & MSG_TRUNC) !== 0 ? length : count;
  if (peeking) movePeekOffset(socket, copied < count ? 0 : answer);
  else if (copied === count || copied < 0) {
    udp.queue.splice(index, 1);
    udp.allocated -= datagram.truesize;
    k.state.net.memory -= datagram.truesize;
    k.state.net.mib.udpInDatagrams++;
    movePeekOffset(socket, -answer);
  }
  if (copied < count) return -EFAULT;
  msg.name = inetSockaddr(datagram.addr, datagram.port);
  if (socket.options.stored.size > 0) msg.control = { ...newControl(), others: datagramControl(k, socket, datagram) };
  return answer;
}

function udpShutdown(k: Kernel, socket: Socket, how: number): number {
  socket.shutdown |= how;
  stateChange(k, socket);
  return socket.sk === TCP_ESTABLISHED ? 0 : -ENOTCONN;
}

function udpPoll(_k: Kernel, socket: Socket): number {
  const { shutdown } = socket;
  let mask = POLLOUT | POLLWRNORM | POLLWRBAND;
  const failed = udpOf(socket).errors.length > 0;
  if (socket.err !== 0 || failed) mask |= POLLERR;
  if (failed && storedOption(socket, SOL_SOCKET, SO_SELECT_ERR_QUEUE) !== 0) mask |= POLLPRI;
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
  sendmsg: udpSendmsg, beforeSend: udpBeforeSend, recvmsg: udpRecvmsg, shutdown: udpShutdown, poll: udpPoll, ioctl: udpIoctl, release: udpRelease,
});
