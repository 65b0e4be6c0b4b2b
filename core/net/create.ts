/** Making sockets of a family and type (net/socket.c, inet_create, unix_create). */
import { EACCES, EAFNOSUPPORT, EINVAL, ENFILE, EPERM, EPROTONOSUPPORT, ESOCKTNOSUPPORT } from "../abi/errno.ts";
import { CAP_NET_RAW } from "../abi/capability.ts";
import {
  AF_INET, AF_UNIX, IPPROTO_ICMP, IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_PACKET, SOCK_RAW, SOCK_STREAM,
} from "../abi/socket.ts";
import type { Kernel } from "../kernel.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { wake } from "../sched/wait_queue.ts";
import { protocolOf } from "./proto.ts";
import { newSocket, socketOf, SOCKETS_MAX, type Socket } from "./socket.ts";
import { UNIX_TYPES, unixSocket } from "./unix.ts";

/** Number of address families (NPROTO) and of socket types (SOCK_MAX). */
const NPROTO = 46;
const SOCK_MAX = 11;
const IPPROTO_MAX = 263;

/**
 * A new socket that the caller holds: its id, or -EAFNOSUPPORT, -EINVAL, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -EPERM,
 * -EACCES, -ENFILE in Linux's order. `type` without its SOCK_CLOEXEC and SOCK_NONBLOCK.
 */
export function socketCreate(k: Kernel, task: Task, family: number, type: number, protocol: number): number {
  if (family < 0 || family >= NPROTO) return -EAFNOSUPPORT;
  if (type < 0 || type >= SOCK_MAX) return -EINVAL;
  // Differs from Linux: IPv6, netlink and packet sockets are not there, as on a kernel built without them.
  if ((family !== AF_INET && family !== AF_UNIX) || (family === AF_INET && type === SOCK_PACKET)) return -EAFNOSUPPORT;
  if (k.state.net.sockets.size >= SOCKETS_MAX) return -ENFILE;
  const made = family === AF_UNIX ? createUnix(k, task, type, protocol) : createInet(k, task, type, protocol);
  if (typeof made === "number") return made;
  made.held = true;
  return made.id;
}

function createUnix(k: Kernel, task: Task, type: number, protocol: number): Socket | number {
  if (protocol !== 0 && protocol !== AF_UNIX) return -EPROTONOSUPPORT;
  // As BSD: a raw socket is a datagram socket.
  const kind = type === SOCK_RAW ? SOCK_DGRAM : type;
  if (!UNIX_TYPES.includes(kind)) return -ESOCKTNOSUPPORT;
  return unixSocket(k, task.cred.euid, kind);
}

function createInet(k: Kernel, task: Task, type: number, protocol: number): Socket | number {
  if (protocol < 0 || protocol >= IPPROTO_MAX) return -EINVAL;
  const uid = task.cred.euid;
  if (type === SOCK_STREAM) {
    if (protocol !== IPPROTO_IP && protocol !== IPPROTO_TCP) return -EPROTONOSUPPORT;
    return newSocket(k, { family: AF_INET, type, protocol: IPPROTO_TCP, proto: "tcp", uid });
  }
  if (type === SOCK_DGRAM) {
    // Ping sockets: ping_group_range admits nobody.
    if (protocol === IPPROTO_ICMP) return -EACCES;
    if (protocol !== IPPROTO_IP && protocol !== IPPROTO_UDP) return -EPROTONOSUPPORT;
    return newSocket(k, { family: AF_INET, type, protocol: IPPROTO_UDP, proto: "udp", uid });
  }
  if (type === SOCK_RAW) {
    if (protocol === IPPROTO_IP) return -EPROTONOSUPPORT;
    // Differs from Linux: raw sockets are refused to everybody.
    return capable(task, CAP_NET_RAW) ? -EPROTONOSUPPORT : -EPERM;
  }
  return -ESOCKTNOSUPPORT;
}

/** Its holder lets the socket go; true when the closer lingers until the peer took the bytes. */
export function socketRelease(k: Kernel, task: Task | null, id: number): boolean {
  const socket = socketOf(k, id);
  const { readWait, writeWait } = socket;
  const lingers = protocolOf(socket).release(k, task, socket);
  // Kernel code may let a socket go that others of its kind still wait on.
  wake(k, readWait, { nr: Infinity });
  wake(k, writeWait, { nr: Infinity });
  return lingers;
}
