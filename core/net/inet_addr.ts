/** IPv4 addresses of a machine that has only its loopback interface: 127.0.0.0/8 is local, everything else has no route. */
import { EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENETUNREACH } from "../abi/errno.ts";
import { CAP_NET_BIND_SERVICE } from "../abi/capability.ts";
import { encodeSockaddr, SOCKADDR_IN_SIZE } from "../abi/sockaddr.ts";
import { AF_INET, AF_UNSPEC, INADDR_ANY, INADDR_LOOPBACK } from "../abi/socket.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { ENOTCONN } from "../abi/errno.ts";
import { inetOf, type Socket } from "./socket.ts";
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

export function isLoopback(addr: number): boolean {
  return addr >>> 24 === 127;
}

/** Checks the address of a bind in Linux's order: -EINVAL, -EAFNOSUPPORT, -EADDRNOTAVAIL, -EACCES; else where to. */
export function bindEndpoint(task: Task, addr: Uint8Array): Endpoint | number {
  if (addr.length < SOCKADDR_IN_SIZE) return -EINVAL;
  const to = endpoint(addr);
  const family = familyOf(addr);
  // As Linux: AF_UNSPEC with the address 0.0.0.0 is taken for AF_INET, for old programs.
  if (family !== AF_INET && (family !== AF_UNSPEC || to.addr !== INADDR_ANY)) return -EAFNOSUPPORT;
  if (to.addr !== INADDR_ANY && !isLoopback(to.addr)) return -EADDRNOTAVAIL;
  if (to.port !== 0 && to.port < UNPRIVILEGED_PORT && !capable(task, CAP_NET_BIND_SERVICE)) return -EACCES;
  return to;
}

/** Where a connect or sendto goes: 0.0.0.0 is this machine; -ENETUNREACH for what only a network card could reach. */
export function routeTo({ addr, port }: Endpoint): Endpoint | number {
  if (addr === INADDR_ANY) return { addr: INADDR_LOOPBACK, port };
  return isLoopback(addr) ? { addr, port } : -ENETUNREACH;
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
