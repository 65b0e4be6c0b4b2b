/** socket(2), socketpair(2), bind(2), listen(2), accept(2), connect(2), getsockname(2), getpeername(2), shutdown(2). */
import {
  EAFNOSUPPORT, EBADF, EFAULT, EINVAL, EMFILE, ENFILE, ENOTSOCK, EOPNOTSUPP, EPROTONOSUPPORT, ESOCKTNOSUPPORT, isErrno,
} from "../abi/errno.ts";
import { O_NONBLOCK } from "../abi/fcntl.ts";
import { SOCKADDR_STORAGE_SIZE } from "../abi/sockaddr.ts";
import {
  acceptFlags, addressFamilies, AF_INET, AF_UNIX, shutdownHow, SHUT_RD, SHUT_RDWR, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW,
  SOCK_TYPE_MASK, socketTypes,
} from "../abi/socket.ts";
import { closeFd, putFd, takeFd } from "../fs/fd_table.ts";
import type { OpenFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { copyFromUser, copyToUser, getUser32, putUser32, type Addr } from "../mm/usercopy.ts";
import { socketCreate, socketRelease } from "../net/create.ts";
import { inetSockaddr } from "../net/inet_addr.ts";
import { protocolOf } from "../net/proto.ts";
import { inetOf, socketOf, SOCKETS_MAX, type Socket } from "../net/socket.ts";
import { somaxconn } from "../net/sysctl.ts";
import { socketFd, socketOfFile } from "../net/socket_file.ts";
import "../net/index.ts";
import { UNIX_TYPES, unixPair } from "../net/unix.ts";
import { acceptOrSleep, connectSocket, deadline } from "../net/wait.ts";
import { enter, steps, type StepResult, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { choice, fd, flags, int } from "./args.ts";
import type { Rows } from "./row.ts";
import { addrlenIn, addrlenInOut, sockaddrIn, sockaddrOut } from "./socket_args.ts";
import { scalarOut } from "./vectors.ts";

type File = OpenFile | number;

function sysSocket(k: Kernel, task: Task, [domain, type, protocol]: [number, number, number]): number {
  const flags = type & ~SOCK_TYPE_MASK;
  if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return -EINVAL;
  const id = socketCreate(k, task, domain, type & SOCK_TYPE_MASK, protocol);
  if (id < 0) return id;
  return socketFd(k, task, socketOf(k, id), flags, (flags & SOCK_CLOEXEC) !== 0);
}

function sysSocketpair(k: Kernel, task: Task, [domain, type, protocol, sv]: [number, number, number, Addr]): number {
  const flags = type & ~SOCK_TYPE_MASK;
  if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return -EINVAL;
  const cloexec = (flags & SOCK_CLOEXEC) !== 0;
  // As Linux: both descriptors are reserved and told before a socket is made.
  const first = takeFd(k, task);
  if (first < 0) return first;
  const second = takeFd(k, task);
  const told = second >= 0 && putUser32(k, task, sv, first) && putUser32(k, task, plus(sv, 4), second);
  putFd(k, task, first);
  if (second < 0) return second;
  putFd(k, task, second);
  if (!told) return -EFAULT;
  const refused = pairRefusal(k, task, domain, type & SOCK_TYPE_MASK, protocol);
  if (refused !== 0) return refused;
  const kind = (type & SOCK_TYPE_MASK) === SOCK_RAW ? SOCK_DGRAM : type & SOCK_TYPE_MASK;
  const [a, b] = unixPair(k, task, kind);
  const one = socketFd(k, task, a, flags, cloexec);
  if (one < 0) {
    socketRelease(k, task, b.id);
    return one;
  }
  const other = socketFd(k, task, b, flags, cloexec);
  if (other < 0) closeFd(k, task, one);
  return other < 0 ? other : 0;
}

/** Why there is no pair of this kind; 0 when there is. */
function pairRefusal(k: Kernel, task: Task, domain: number, type: number, protocol: number): number {
  if (domain === AF_UNIX) {
    if (type >= 11) return -EINVAL;
    if (protocol !== 0 && protocol !== AF_UNIX) return -EPROTONOSUPPORT;
    if (type !== SOCK_RAW && !UNIX_TYPES.includes(type)) return -ESOCKTNOSUPPORT;
    return k.state.net.sockets.size + 2 > SOCKETS_MAX ? -ENFILE : 0;
  }
  const id = socketCreate(k, task, domain, type, protocol);
  if (id < 0) return id;
  socketRelease(k, task, id);
  return domain === AF_INET ? -EOPNOTSUPP : -EAFNOSUPPORT;
}

function plus(address: Addr, offset: number): Addr {
  return typeof address === "number" ? address + offset : address + BigInt(offset);
}

/** The bytes of a sockaddr argument: -EINVAL for an impossible length, -EFAULT (move_addr_to_kernel). */
export function readSockaddr(k: Kernel, task: Task, address: Addr, length: number): Uint8Array | number {
  if (length < 0 || length > SOCKADDR_STORAGE_SIZE) return -EINVAL;
  return length === 0 ? new Uint8Array(0) : copyFromUser(k, task, address, length);
}

/** Writes an address as far as `*lengthAddr` has room, and its true length (move_addr_to_user). 0, -EFAULT or -EINVAL. */
export function writeSockaddr(k: Kernel, task: Task, bytes: Uint8Array, address: Addr, lengthAddr: Addr): number {
  const given = getUser32(k, task, lengthAddr);
  if (given === null) return -EFAULT;
  const room = given | 0;
  if (room < 0) return -EINVAL;
  const count = Math.min(room, bytes.length);
  if (count > 0 && copyToUser(k, task, address, bytes.subarray(0, count)) < count) return -EFAULT;
  return putUser32(k, task, lengthAddr, bytes.length) ? 0 : -EFAULT;
}

function sysBind(k: Kernel, task: Task, [file, address, length]: [File, Addr, number]): number {
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return socket;
  const bytes = readSockaddr(k, task, address, length);
  return typeof bytes === "number" ? bytes : protocolOf(socket).bind(k, task, socket, bytes);
}

function sysListen(k: Kernel, task: Task, [file, backlog]: [File, number]): number {
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return socket;
  return protocolOf(socket).listen(k, task, socket, Math.min(backlog >>> 0, somaxconn(k)));
}

function sysConnect(k: Kernel, task: Task, [file, address, length]: [File, Addr, number]): SyscallResult {
  if (typeof file === "number") return -EBADF;
  const bytes = readSockaddr(k, task, address, length);
  if (typeof bytes === "number") return bytes;
  const socket = socketOfFile(k, file);
  return typeof socket === "number" ? socket : connectSocket(k, task, socket, bytes, (file.flags & O_NONBLOCK) !== 0);
}

interface AcceptLocals {
  socket: number;
  flags: number;
  address: Addr;
  lengthAddr: Addr;
  untilNs: number;
}

const acceptSteps = steps<AcceptLocals>("net.accept", {
  accept: (k, task, { locals }) => {
    const found = acceptOrSleep(k, task, locals.socket, locals.untilNs);
    return typeof found === "number" && found >= 0 ? accepted(k, task, found, locals) : found;
  },
});

/** The new connection gets a descriptor, and its peer's address is told; when that cannot be written it is closed again. */
function accepted(k: Kernel, task: Task, id: number, { flags, address, lengthAddr }: Omit<AcceptLocals, "socket" | "untilNs">): number {
  const child = socketOf(k, id);
  child.held = true;
  const peer = peerName(k, child);
  const newFd = socketFd(k, task, child, flags, (flags & SOCK_CLOEXEC) !== 0);
  if (newFd < 0 || address === 0) return newFd;
  const written = writeSockaddr(k, task, peer, address, lengthAddr);
  if (written < 0) closeFd(k, task, newFd);
  return written < 0 ? written : newFd;
}

/** As Linux: a connection that was reset before it was accepted still has its peer's address. */
function peerName(k: Kernel, child: Socket): Uint8Array {
  if (child.inet !== null) return inetSockaddr(inetOf(child).peerAddr, inetOf(child).peerPort);
  const name = protocolOf(child).getname(k, child, true);
  return typeof name === "number" ? new Uint8Array(0) : name;
}

function sysAccept4(k: Kernel, task: Task, [file, address, lengthAddr, flags]: [File, Addr, Addr, number]): StepResult {
  if (typeof file === "number") return -EBADF;
  if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return -EINVAL;
  const spare = takeFd(k, task);
  if (spare < 0) return -EMFILE;
  putFd(k, task, spare);
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return -ENOTSOCK;
  const nonblock = (file.flags & O_NONBLOCK) !== 0;
  const found = acceptOrSleep(k, task, socket.id, nonblock ? 0 : -1);
  if (typeof found === "number") return isErrno(found) ? found : accepted(k, task, found, { flags, address, lengthAddr });
  return enter(acceptSteps, { socket: socket.id, flags, address, lengthAddr, untilNs: deadline(k, socket.options.rcvTimeoNs) });
}

function sysName(peer: boolean) {
  return (k: Kernel, task: Task, [file, address, lengthAddr]: [File, Addr, Addr]): number => {
    const socket = socketOfFile(k, file);
    if (typeof socket === "number") return socket;
    const name = protocolOf(socket).getname(k, socket, peer);
    return typeof name === "number" ? name : writeSockaddr(k, task, name, address, lengthAddr);
  };
}

function sysShutdown(k: Kernel, _task: Task, [file, how]: [File, number]): number {
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return socket;
  return how < SHUT_RD || how > SHUT_RDWR ? -EINVAL : protocolOf(socket).shutdown(k, socket, how + 1);
}

const named = [fd("sockfd"), sockaddrOut("addr", "addrlen"), addrlenInOut("addrlen")];

export const socketRows: Rows = {
  socket: { x86_64: 41, args: [choice("domain", addressFamilies), flags("type", socketTypes), int("protocol")], run: sysSocket },
  socketpair: {
    x86_64: 53,
    args: [choice("domain", addressFamilies), flags("type", socketTypes), int("protocol"), scalarOut("sv", "i32", 2)],
    run: sysSocketpair,
  },
  bind: { x86_64: 49, args: [fd("sockfd"), sockaddrIn("addr"), addrlenIn("addrlen", "addr")], run: sysBind },
  listen: { x86_64: 50, args: [fd("sockfd"), int("backlog")], run: sysListen },
  connect: { x86_64: 42, args: [fd("sockfd"), sockaddrIn("addr"), addrlenIn("addrlen", "addr")], run: sysConnect },
  accept: {
    x86_64: 43, args: named,
    run: (k: Kernel, task: Task, [file, address, lengthAddr]: [File, Addr, Addr]) => sysAccept4(k, task, [file, address, lengthAddr, 0]) as SyscallResult,
  },
  accept4: {
    x86_64: 288, args: [...named, flags("flags", acceptFlags)],
    run: (k: Kernel, task: Task, args: [File, Addr, Addr, number]) => sysAccept4(k, task, args) as SyscallResult,
  },
  getsockname: { x86_64: 51, args: named, run: sysName(false) },
  getpeername: { x86_64: 52, args: named, run: sysName(true) },
  shutdown: { x86_64: 48, args: [fd("sockfd"), choice("how", shutdownHow)], run: sysShutdown },
};

