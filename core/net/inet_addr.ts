/** IPv4 addresses of sockets: what may be bound, and what can be reached (af_inet.c, route.c). */
import { EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENETUNREACH } from "../abi/errno.ts";
import { CAP_NET_BIND_SERVICE } from "../abi/capability.ts";
import { encodeSockaddr, SOCKADDR_IN_SIZE } from "../abi/sockaddr.ts";
import { AF_INET, AF_UNSPEC, INADDR_ANY, INADDR_LOOPBACK, IP_FREEBIND, IP_TRANSPARENT, SOL_IP } from "../abi/socket.ts";
import type { Kernel } from "../kernel.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { ENOTCONN } from "../abi/errno.ts";
import { addressType, deviceTo, sourceAddress } from "./device.ts";
import { inetOf, storedOption, type Inet, type Socket } from "./socket.ts";
import { TCP_CLOSE, TCP_SYN_SENT } from "./tcp_states.ts";

/** Below it, binding needs CAP_NET_BIND_SERVICE (ip_unprivileged_port_start). */
const UNPRIVILEGED_PORT = 1024;

export interface Endpoint {
  /** Host order. */
  addr: number;
  port: number;
}

/** The bytes of a sockaddr_in. */
export function inetSockaddr(addr: number, port: number): Uint8Array {
  return encodeSockaddr({ family: AF_INET, addr, port });
}

export function familyOf(addr: Uint8Array): number {
  return addr[0] | (addr[1] << 8);
}

/** Address and port in bytes that are long enough for them. */
export function endpoint(addr: Uint8Array): Endpoint {
  return { port: (addr[2] << 8) | addr[3], addr: ((addr[4] << 24) | (addr[5] << 16) | (addr[6] << 8) | addr[7]) >>> 0 };
}

/** Checks the address of a bind in Linux's order: -EINVAL, -EAFNOSUPPORT, -EADDRNOTAVAIL, -EACCES; else where to. */
export function bindEndpoint(k: Kernel, task: Task, socket: Socket, addr: Uint8Array): Endpoint | number {
  if (addr.length < SOCKADDR_IN_SIZE) return -EINVAL;
  const to = endpoint(addr);
  const family = familyOf(addr);
  // As Linux: AF_UNSPEC with the address 0.0.0.0 is taken for AF_INET, for old programs.
  if (family !== AF_INET && (family !== AF_UNSPEC || to.addr !== INADDR_ANY)) return -EAFNOSUPPORT;
  const anywhere = storedOption(socket, SOL_IP, IP_FREEBIND) !== 0 || storedOption(socket, SOL_IP, IP_TRANSPARENT) !== 0;
  if (to.addr !== INADDR_ANY && !anywhere && addressType(k, to.addr) === "unicast") return -EADDRNOTAVAIL;
  if (to.port !== 0 && to.port < UNPRIVILEGED_PORT && !capable(task, CAP_NET_BIND_SERVICE)) return -EACCES;
  return to;
}

/** Where a connect or sendto goes: 0.0.0.0 is `own`, the sender's address, or this machine; -ENETUNREACH without a device that leads there. */
export function routeTo(k: Kernel, { addr, port }: Endpoint, own: number): Endpoint | number {
  if (addr === INADDR_ANY) return { addr: own || INADDR_LOOPBACK, port };
  return deviceTo(k, addr) === null ? -ENETUNREACH : { addr, port };
}

/** The address that packets of the socket to `to` carry: its own, or the device's when it has none that can be one. */
export function sourceOf(k: Kernel, { localAddr }: Inet, to: number): number {
  if (localAddr === INADDR_ANY) return sourceAddress(k, to);
  const type = addressType(k, localAddr);
  return type === "multicast" || type === "broadcast" ? sourceAddress(k, to) : localAddr;
}

/** Whether two bound addresses meet; 0.0.0.0 meets all. */
export function addressesMeet(a: number, b: number): boolean {
  return a === b || a === INADDR_ANY || b === INADDR_ANY;
}

/** getsockname and getpeername of TCP and UDP; ENOTCONN without a peer. */
export function inetGetname(socket: Socket, peer: boolean): Uint8Array | number {
  const inet = inetOf(socket);
  if (!peer) return inetSockaddr(inet.localAddr, inet.localPort);
  if (inet.peerPort === 0 || socket.sk === TCP_CLOSE || socket.sk === TCP_SYN_SENT) return -ENOTCONN;
  return inetSockaddr(inet.peerAddr, inet.peerPort);
}
