/** TCP connections over the loopback: bind, listen, the three-way handshake, accept (af_inet.c, tcp_ipv4.c). */
import {
  EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EALREADY, ECONNABORTED, EINPROGRESS, EINVAL, EISCONN, ENOTCONN, ETIMEDOUT,
} from "../abi/errno.ts";
import { SOCKADDR_IN_SIZE } from "../abi/sockaddr.ts";
import { AF_INET, AF_UNSPEC, INADDR_ANY, SOL_TCP, TCP_SYNCNT } from "../abi/socket.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import type { Task } from "../sched/task.ts";
import { wake } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { timerCallback } from "../time/timer.ts";
import { bindEndpoint, endpoint, familyOf, inetGetname, routeTo, sourceOf, type Endpoint } from "./inet_addr.ts";
import { loopbackXmit } from "./loopback.ts";
import { protocol } from "./proto.ts";
import { dataReady, inetOf, newSocket, stateChange, takeError, tcpOf, type Socket } from "./socket.ts";
import { closeSending, disconnect, endTimeWait, resetArrived, startTimer, tcpDone, tcpRelease } from "./tcp_close.ts";
import { tcpIoctl, tcpPoll, tcpRecvmsg, tcpSendmsg } from "./tcp_data.ts";
import { synRepeated } from "./syn_flood.ts";
import { synRetries } from "./sysctl.ts";
import { beginListening, findListener, getConnectPort, getPort, holdPort, tupleInUse } from "./tcp_port.ts";
import { RCV_SHUTDOWN, SEND_SHUTDOWN, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT } from "./tcp_states.ts";

/** A SYN that is not answered is repeated after 1, 2, 4 … s; with tcp_syn_retries as it is, the attempt ends 127 s after it began. */
const SYN_TIMEOUT_NS = 1_000_000_000;
/** TCP_RTO_MAX: no wait is longer. */
const RTO_MAX_NS = 120_000_000_000;
/** Bytes of options that a SYN has beside the time stamps of every segment; the answer to one that nobody listens for has none at all. */
const SYN_OPTIONS = 8;
const RST_OPTIONS = -12;
/** The ACK that tells of a SYN which came twice. */
const SACK_BLOCK = 12;
/** SO_SNDBUF of an established connection over the loopback: room for two windows of ten segments. */
const SNDBUF_ESTABLISHED = 2_626_560;

function tcpBind(k: Kernel, task: Task, socket: Socket, addr: Uint8Array): number {
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
  inet.peerPort = 0;
  return 0;
}

function tcpListen(k: Kernel, _task: Task, socket: Socket, backlog: number): number {
  if (socket.state !== "unconnected" || (socket.sk !== TCP_CLOSE && socket.sk !== TCP_LISTEN)) return -EINVAL;
  tcpOf(socket).backlog = backlog;
  if (socket.sk === TCP_LISTEN) return 0;
  const inet = inetOf(socket);
  // As Linux: the port is asked for again, so that of two that share it by SO_REUSEADDR only one may listen.
  const err = getPort(k, socket, inet.portHeld ? inet.localPort : 0);
  if (err !== 0) return err;
  beginListening(k, socket);
  return 0;
}

/** connect(2) as inet_stream_connect has it; -EINPROGRESS while the handshake is under way. */
function tcpConnect(k: Kernel, _task: Task, socket: Socket, addr: Uint8Array, nonblock: boolean): number {
  if (addr.length < 2) return -EINVAL;
  if (familyOf(addr) === AF_UNSPEC) {
    disconnect(k, socket);
    socket.state = "unconnected";
    return 0;
  }
  if (socket.state === "disconnecting") return -EINVAL;
  if (socket.state === "connected") return -EISCONN;
  if (socket.state === "connecting") {
    if (shaking(socket)) return nonblock ? -EALREADY : -EINPROGRESS;
    return finishConnect(k, socket);
  }
  if (socket.sk !== TCP_CLOSE) return -EISCONN;
  const err = sendSyn(k, socket, addr);
  if (err !== 0) return err;
  socket.state = "connecting";
  synArrives(k, socket);
  // As Linux: over the loopback too, a caller that will not wait is told so before the answer is looked at.
  return nonblock || shaking(socket) ? -EINPROGRESS : finishConnect(k, socket);
}

/** The handshake is under way. */
function shaking({ sk }: Socket): boolean {
  return sk === TCP_SYN_SENT || sk === TCP_SYN_RECV;
}

/** The handshake is over, one way or the other. */
function finishConnect(k: Kernel, socket: Socket): number {
  if (socket.sk === TCP_CLOSE) {
    const err = takeError(socket) || -ECONNABORTED;
    socket.state = "unconnected";
    disconnect(k, socket);
    return err;
  }
  socket.state = "connected";
  return 0;
}

/** Chooses the addresses and enters SYN_SENT (tcp_v4_connect). */
function sendSyn(k: Kernel, socket: Socket, addr: Uint8Array): number {
  if (addr.length < SOCKADDR_IN_SIZE) return -EINVAL;
  if (familyOf(addr) !== AF_INET) return -EAFNOSUPPORT;
  const given = endpoint(addr);
  // The loopback network's broadcast address has no listener that could be reached by TCP.
  const to = given.addr === 0x7fffffff ? { ...given, addr: 0xffffffff } : given;
  const inet = inetOf(socket);
  const peer = routeTo(k, to, inet.localAddr);
  if (typeof peer === "number") return peer;
  const own = inet.localAddr === INADDR_ANY ? sourceOf(k, inet, peer.addr) : inet.localAddr;
  if (!inet.portHeld) {
    const err = getConnectPort(k, socket, own, peer);
    if (err !== 0) return err;
  } else if (tupleInUse(k, inet.localPort, own, peer, socket.id)) return -EADDRNOTAVAIL;
  replaceTimeWait(k, { addr: own, port: inet.localPort }, peer);
  inet.localAddr = own;
  inet.peerAddr = peer.addr;
  inet.peerPort = peer.port;
  socket.sk = TCP_SYN_SENT;
  k.state.net.mib.tcpActiveOpens++;
  socket.err = 0;
  tcpOf(socket).done = false;
  tcpOf(socket).retries = 0;
  return 0;
}

/** A new connection takes the place of one in TIME_WAIT: its time stamps tell old segments from new ones (tcp_twsk_unique). */
function replaceTimeWait(k: Kernel, local: Endpoint, peer: Endpoint): void {
  const { tcpPorts, timeWaits } = k.state.net;
  const old = tcpPorts.get(local.port)?.timeWaits.find((id) => {
    const { localAddr, peerAddr, peerPort } = must(timeWaits, id);
    return localAddr === local.addr && peerAddr === peer.addr && peerPort === peer.port;
  });
  if (old !== undefined) endTimeWait(k, old);
}

/**
 * The SYN reaches this machine: a connection, a RST, or silence when the accept queue is full. Differs from Linux: a handshake is over before
 * the next SYN is looked at, so that no connection is half open: a cookie is only counted, and no last ACK meets a full queue.
 */
function synArrives(k: Kernel, socket: Socket): void {
  const inet = inetOf(socket);
  loopbackXmit(k, 1, SYN_OPTIONS);
  const listener = findListener(k, inet.peerAddr, inet.peerPort, inet.localPort);
  if (listener === null) {
    // A socket that connects to its own address meets its own SYN (simultaneous open).
    if (inet.localAddr === inet.peerAddr && inet.localPort === inet.peerPort) {
      loopbackXmit(k, 2, SYN_OPTIONS + SACK_BLOCK);
      establish(k, socket, socket.id);
      return closeShut(k, socket);
    }
    loopbackXmit(k, 1, RST_OPTIONS);
    return resetArrived(k, socket);
  }
  if (tcpOf(socket).retries > 0) synRepeated(k, listener);
  const queue = tcpOf(listener);
  if (queue.acceptQueue.length > queue.backlog) {
    k.state.net.mib.listenOverflows++;
    return startTimer(k, socket, "tcp.syn", Math.min(SYN_TIMEOUT_NS * 2 ** tcpOf(socket).retries, RTO_MAX_NS));
  }
  // SYN and ACK, ACK.
  loopbackXmit(k, 2, SYN_OPTIONS);
  replaceTimeWait(k, { addr: inet.peerAddr, port: inet.peerPort }, { addr: inet.localAddr, port: inet.localPort });
  const child = newChild(k, listener, socket);
  queue.acceptQueue.push(child.id);
  establish(k, socket, child.id);
  dataReady(k, listener);
  stateChange(k, socket);
  closeShut(k, child);
}

/** As Linux: a socket that was shut before it came through SYN_RECV sends its FIN now. */
function closeShut(k: Kernel, socket: Socket): void {
  if ((socket.shutdown & SEND_SHUTDOWN) !== 0) closeSending(k, socket);
}

timerCallback("tcp.syn", (k, id) => {
  const socket = must(k.state.net.sockets, id);
  const tcp = tcpOf(socket);
  tcp.timer = 0;
  const retries = socket.options.stored.get(`${SOL_TCP}:${TCP_SYNCNT}`) ?? synRetries(k);
  if (++tcp.retries <= retries) {
    const { mib } = k.state.net;
    mib.tcpSynRetrans++;
    if (tcp.retries > 1) mib.tcpLostRetransmits++;
    return synArrives(k, socket);
  }
  socket.err = ETIMEDOUT;
  tcpDone(k, socket);
});

function establish(k: Kernel, socket: Socket, peer: number): void {
  socket.sk = TCP_ESTABLISHED;
  tcpOf(socket).peer = peer;
  tcpOf(socket).keptSinceNs = now(k);
  if (!socket.options.stored.has("sndbuf")) socket.options.sndbuf = SNDBUF_ESTABLISHED;
}

/** The server's end of a new connection: the listener's options, its port, in nobody's hands yet. */
function newChild(k: Kernel, listener: Socket, client: Socket): Socket {
  const { family, type, protocol: number, proto, uid } = listener;
  const child = newSocket(k, { family, type, protocol: number, proto, uid });
  child.options = { ...listener.options, stored: new Map(listener.options.stored) };
  const { localAddr, localPort, peerAddr } = inetOf(client);
  const inet = inetOf(child);
  inet.localAddr = peerAddr;
  inet.peerAddr = localAddr;
  inet.peerPort = localPort;
  const { addrLocked, portLocked } = inetOf(listener);
  inet.addrLocked = addrLocked;
  inet.portLocked = portLocked;
  holdPort(k, child, inetOf(listener).localPort);
  child.shutdown = listener.shutdown;
  tcpOf(child).parent = listener.id;
  k.state.net.mib.tcpPassiveOpens++;
  establish(k, child, client.id);
  return child;
}

function tcpAccept(k: Kernel, _task: Task, socket: Socket): number {
  if (socket.sk !== TCP_LISTEN) return -EINVAL;
  const id = tcpOf(socket).acceptQueue.shift();
  if (id === undefined) return -EAGAIN;
  const child = must(k.state.net.sockets, id);
  tcpOf(child).parent = 0;
  child.state = "connected";
  return id;
}

/** inet_shutdown: without a connection ENOTCONN, yet the halves are shut; of a listener, reading ends it. */
function tcpShutdown(k: Kernel, socket: Socket, how: number): number {
  if (socket.state === "connecting") {
    socket.state = shaking(socket) || socket.sk === TCP_CLOSE ? "disconnecting" : "connected";
  }
  let err = 0;
  if (socket.sk === TCP_LISTEN || socket.sk === TCP_SYN_SENT) {
    if (socket.sk === TCP_SYN_SENT || (how & RCV_SHUTDOWN) !== 0) {
      disconnect(k, socket);
      socket.state = "unconnected";
    }
  } else {
    if (socket.sk === TCP_CLOSE) err = -ENOTCONN;
    socket.shutdown |= how;
    if ((how & SEND_SHUTDOWN) !== 0) closeSending(k, socket);
  }
  wake(k, socket.readWait, { nr: Infinity });
  wake(k, socket.writeWait, { nr: Infinity });
  return err;
}

protocol("tcp", {
  bind: tcpBind, connect: tcpConnect, listen: tcpListen, accept: tcpAccept,
  getname: (_k, socket, peer) => inetGetname(socket, peer),
  sendmsg: tcpSendmsg, recvmsg: tcpRecvmsg, shutdown: tcpShutdown, poll: tcpPoll, ioctl: tcpIoctl,
  release: (k, _task, socket) => tcpRelease(k, socket),
});

