/** UDP ports: who may share one, and whose a datagram is (udp.c). */
import { EADDRINUSE } from "../abi/errno.ts";
import { INADDR_ANY } from "../abi/socket.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { addressesMeet, type Endpoint } from "./inet_addr.ts";
import { inetOf, socketOf, type Socket } from "./socket.ts";
import { localPorts } from "./sysctl.ts";

function holdPort(k: Kernel, socket: Socket, port: number): void {
  const { udpPorts } = k.state.net;
  const inet = inetOf(socket);
  inet.localPort = port;
  inet.portHeld = true;
  const users = udpPorts.get(port);
  if (users === undefined) udpPorts.set(port, [socket.id]);
  else users.push(socket.id);
}

/** The socket gives its port back and has none. */
export function leavePort(k: Kernel, socket: Socket): void {
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
export function getPort(k: Kernel, socket: Socket, port: number): number {
  const { net } = k.state;
  if (port !== 0) {
    if (conflicts(k, socket, port)) return -EADDRINUSE;
    holdPort(k, socket, port);
    return 0;
  }
  const [first, last] = localPorts(k);
  for (let tried = first; tried <= last; tried++) {
    const chosen = net.nextUdpPort >= first && net.nextUdpPort <= last ? net.nextUdpPort : first;
    net.nextUdpPort = chosen === last ? first : chosen + 1;
    if (net.udpPorts.has(chosen)) continue;
    holdPort(k, socket, chosen);
    return 0;
  }
  return -EADDRINUSE;
}

/** Whether datagrams of `end` reach the socket: it is connected to it, or to nobody. */
function isPeer(socket: Socket, { addr, port }: Endpoint): boolean {
  const { peerAddr, peerPort } = inetOf(socket);
  return (peerAddr === INADDR_ANY || peerAddr === addr) && (peerPort === 0 || peerPort === port);
}

/** The socket that a datagram is for: the more of address and peer it has fixed, the better; the oldest of equals. */
export function lookup(k: Kernel, to: Endpoint, from: Endpoint): Socket | null {
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

/** All sockets that a datagram to a broadcast address or a group is for. */
export function lookupAll(k: Kernel, to: Endpoint, from: Endpoint): Socket[] {
  return (k.state.net.udpPorts.get(to.port) ?? []).map((id) => socketOf(k, id)).filter((socket) => {
    const { localAddr } = inetOf(socket);
    return (localAddr === INADDR_ANY || localAddr === to.addr) && isPeer(socket, from);
  });
}
