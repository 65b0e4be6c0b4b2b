/** TCP ports: who may share one, and which is free (inet_connection_sock.c, inet_hashtables.c). */
import { EADDRINUSE, EADDRNOTAVAIL } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { now, NS_PER_SEC } from "../time/clock.ts";
import { addressesMeet, type Endpoint } from "./inet_addr.ts";
import { inetOf, socketOf, type Socket } from "./socket.ts";
import { TIMEWAIT_NS, type PortUsers } from "./state.ts";
import { localPorts } from "./sysctl.ts";
import { TCP_CLOSE, TCP_LISTEN } from "./tcp_states.ts";

/** The socket holds `port` from now on. */
export function holdPort(k: Kernel, socket: Socket, port: number): void {
  const inet = inetOf(socket);
  if (inet.portHeld) return;
  inet.localPort = port;
  inet.portHeld = true;
  portUsers(k, port).sockets.push(socket.id);
}

/** The socket gives its port back; getsockname goes on telling it. */
export function leavePort(k: Kernel, socket: Socket): void {
  const inet = inetOf(socket);
  if (!inet.portHeld) return;
  inet.portHeld = false;
  takeOff(k, inet.localPort, "sockets", socket.id);
}

export function portUsers(k: Kernel, port: number): PortUsers {
  let users = k.state.net.tcpPorts.get(port);
  if (users === undefined) {
    users = { sockets: [], timeWaits: [], listeners: 0, byConnect: false };
    k.state.net.tcpPorts.set(port, users);
  }
  return users;
}

/** Takes a socket, or a connection in TIME_WAIT, off its port's list. */
export function takeOff(k: Kernel, port: number, of: "sockets" | "timeWaits", id: number): void {
  const users = must(k.state.net.tcpPorts, port);
  const at = users[of].indexOf(id);
  if (at >= 0) users[of].splice(at, 1);
  if (users.sockets.length === 0 && users.timeWaits.length === 0) k.state.net.tcpPorts.delete(port);
}

/** Whether `socket` may not have `port` beside those who hold it (inet_csk_bind_conflict of an explicit port). */
function conflicts(k: Kernel, socket: Socket, users: PortUsers): boolean {
  const { options } = socket;
  const { localAddr } = inetOf(socket);
  for (const id of users.sockets) {
    if (id === socket.id) continue;
    const other = socketOf(k, id);
    if (!addressesMeet(localAddr, inetOf(other).localAddr)) continue;
    if (options.reuseAddr && other.options.reuseAddr && other.sk !== TCP_LISTEN) continue;
    if (options.reusePort && other.options.reusePort && other.uid === socket.uid) continue;
    return true;
  }
  return users.timeWaits.some((id) => {
    const other = must(k.state.net.timeWaits, id);
    if (!addressesMeet(localAddr, other.localAddr)) return false;
    return !(options.reuseAddr && other.reuseAddr) && !(options.reusePort && other.reusePort);
  });
}

/** Gives the socket `port`, or a free one for 0. 0 or -EADDRINUSE. */
export function getPort(k: Kernel, socket: Socket, port: number): number {
  const { net } = k.state;
  let chosen = port;
  if (port === 0) {
    chosen = freePort(k, 1);
    if (chosen === 0) return -EADDRINUSE;
  } else {
    const users = net.tcpPorts.get(port);
    if (users !== undefined && conflicts(k, socket, users)) return -EADDRINUSE;
  }
  holdPort(k, socket, chosen);
  portUsers(k, chosen).byConnect = false;
  return 0;
}

/** Gives a socket that connects from `own` to `peer` a port; 0 or -EADDRNOTAVAIL. */
export function getConnectPort(k: Kernel, socket: Socket, own: number, peer: Endpoint): number {
  const chosen = freePort(k, 0, (users, port) => shareable(k, users, port, own, peer));
  if (chosen === 0) return -EADDRNOTAVAIL;
  const alone = !k.state.net.tcpPorts.has(chosen);
  holdPort(k, socket, chosen);
  if (alone) portUsers(k, chosen).byConnect = true;
  return 0;
}

/** Whether a connection, not socket `except`'s own, has these four numbers. */
export function tupleInUse(k: Kernel, port: number, own: number, peer: Endpoint, except: number): boolean {
  const users = k.state.net.tcpPorts.get(port);
  return users !== undefined && users.sockets.some((id) => {
    const other = socketOf(k, id);
    const { localAddr, peerAddr, peerPort } = inetOf(other);
    return id !== except && localAddr === own && peerAddr === peer.addr && peerPort === peer.port && other.sk !== TCP_CLOSE;
  });
}

/**
 * Whether a connect may have a port that others have by connecting too: their four numbers differ, or those with the same are in TIME_WAIT
 * since the second before (__inet_hash_connect; tcp_twsk_unique with tcp_tw_reuse at 2, over the loopback).
 */
function shareable(k: Kernel, { byConnect, timeWaits }: PortUsers, port: number, own: number, peer: Endpoint): boolean {
  if (!byConnect || tupleInUse(k, port, own, peer, 0)) return false;
  return timeWaits.every((id) => {
    const { localAddr, peerAddr, peerPort, expiresNs } = must(k.state.net.timeWaits, id);
    const same = localAddr === own && peerAddr === peer.addr && peerPort === peer.port;
    return !same || Math.floor(now(k) / NS_PER_SEC) > Math.floor((expiresNs - TIMEWAIT_NS) / NS_PER_SEC);
  });
}

/**
 * The next port of the range that nobody uses, or that may be shared with who does, in steps of two: of those an even way (`parity` 0) or an
 * odd one from its first, then of the others; 0 when there is none. Differs from Linux: the search goes on where the last one of its kind
 * ended instead of at random, so that runs repeat.
 */
function freePort(k: Kernel, parity: 0 | 1, shared: (users: PortUsers, port: number) => boolean = () => false): number {
  const { net } = k.state;
  const [first, last] = localPorts(k);
  for (const offset of [parity, 1 - parity]) {
    const next = offset === 0 ? net.nextConnectPort : net.nextBindPort;
    const begin = next >= first && next <= last && (next - first) % 2 === offset ? next : first + offset;
    const after = (port: number): number => (port + 2 > last ? first + offset : port + 2);
    let port = begin;
    for (let left = Math.floor((last - first - offset) / 2) + 1; left > 0; left--, port = after(port)) {
      const users = net.tcpPorts.get(port);
      if (users !== undefined && !shared(users, port)) continue;
      if (offset === parity && offset === 0) net.nextConnectPort = after(port);
      else if (offset === parity) net.nextBindPort = after(port);
      return port;
    }
  }
  return 0;
}

/** A socket begins to listen. */
export function beginListening(k: Kernel, socket: Socket): void {
  portUsers(k, inetOf(socket).localPort).listeners++;
  socket.sk = TCP_LISTEN;
}

/** A listener listens no more, while it holds its port still. */
export function endListening(k: Kernel, socket: Socket): void {
  portUsers(k, inetOf(socket).localPort).listeners--;
  socket.sk = TCP_CLOSE;
}

/** The listener for a connection to `addr`:`port`: a bound address goes before 0.0.0.0, sharers of a port by the caller's port. */
export function findListener(k: Kernel, addr: number, port: number, peerPort: number): Socket | null {
  const users = k.state.net.tcpPorts.get(port);
  if (users === undefined) return null;
  const exact: Socket[] = [];
  const any: Socket[] = [];
  // Behind the last of them stand the connections alone, which may be many.
  let left = users.listeners;
  for (let at = 0; left > 0; at++) {
    const socket = socketOf(k, users.sockets[at]);
    if (socket.sk !== TCP_LISTEN) continue;
    left--;
    const { localAddr } = inetOf(socket);
    if (localAddr === addr) exact.push(socket);
    else if (localAddr === 0) any.push(socket);
  }
  const found = exact.length > 0 ? exact : any;
  return found.length === 0 ? null : found[(peerPort >> 1) % found.length];
}
