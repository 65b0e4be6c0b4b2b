/** The socket record: struct socket and struct sock in one, with the part of its protocol. */
import { AF_INET, SOCK_STREAM } from "../abi/socket.ts";
import { POLLIN, POLLOUT, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRBAND, POLLWRNORM } from "../abi/epoll.ts";
import { POLL_HUP, POLL_IN, POLL_OUT, SIGIO } from "../abi/signal.ts";
import { killFasync } from "../fs/fasync.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { newWaitQueue, wake, type WaitQueue } from "../sched/wait_queue.ts";
import { byteQueue, type ByteQueue } from "./byte_queue.ts";
import { SHUTDOWN_MASK, TCP_CLOSE } from "./tcp_states.ts";

/** Options that act; the ones that are only remembered lie in `stored`. */
export interface SocketOptions {
  reuseAddr: boolean;
  reusePort: boolean;
  keepAlive: boolean;
  broadcast: boolean;
  passCred: boolean;
  noDelay: boolean;
  /** SO_LINGER: seconds, -1 when off. */
  linger: number;
  /** Bytes, as getsockopt tells them. */
  rcvbuf: number;
  sndbuf: number;
  rcvLowat: number;
  /** ns, 0 for no limit. */
  rcvTimeoNs: number;
  sndTimeoNs: number;
  /** SO_PEEK_OFF: -1 when off. */
  peekOff: number;
  /** TCP_LINGER2: seconds in FIN_WAIT2, 0 for the default, -1 for none. */
  linger2: number;
  /** Everything else that was set, by `level:option`. */
  stored: Map<string, number>;
}

/** Addresses in host order; port 0 is none. */
export interface Inet {
  localAddr: number;
  localPort: number;
  peerAddr: number;
  peerPort: number;
  /** The socket holds `localPort`; without it the number is only what getsockname still tells (inet_num, inet_sport). */
  portHeld: boolean;
  /** The port (address) was chosen by bind and survives a disconnect. */
  portLocked: boolean;
  addrLocked: boolean;
}

/** The last byte of urgent data: its place in the stream, and itself; -1 once it was received by itself. */
export interface Urgent {
  at: number;
  byte: number;
}

export interface Tcp {
  /** The other end: a socket id that may be gone; 0 for none. */
  peer: number;
  /** The listener whose accept queue holds this connection, 0 once accepted. */
  parent: number;
  backlog: number;
  /** Established connections that wait to be accepted, the oldest first. */
  acceptQueue: number[];
  /** Bytes that the peer's window has no room for yet. */
  send: ByteQueue;
  receive: ByteQueue;
  /** Places in the streams: the next byte that is written, and the next that is read. */
  written: number;
  taken: number;
  /** Urgent data: what was sent and has not crossed yet, and what came (MSG_OOB). */
  urgentOut: Urgent | null;
  urgent: Urgent | null;
  /** What the reader took since a time, and the most that it took in a round trip. */
  measure: { copied: number; most: number; sinceNs: number };
  /** Since when SO_KEEPALIVE counts the time without a word from the peer. */
  keptSinceNs: number;
  /** A FIN waits behind `send`. */
  finQueued: boolean;
  /** The peer's FIN has come, or the connection was closed after it began (SOCK_DONE). */
  done: boolean;
  /** That FIN waits to be read, as a byte that counts and is none. */
  finUnread: boolean;
  /** Connection attempts repeat, and orphans end, by this timer; 0 for none. */
  timer: number;
  expiresNs: number;
  retries: number;
}

/** One datagram in a UDP socket's queue. */
export interface UdpDatagram {
  bytes: Uint8Array;
  addr: number;
  port: number;
  /** Where it was sent. */
  to: number;
  toPort: number;
  ttl: number;
  tos: number;
  arrivedNs: number;
  /** Datagrams that had been dropped before it, counted when the socket asked for that; and whether it asked for IP_PKTINFO. */
  drops: number;
  pktinfo: boolean;
  truesize: number;
}

/** A datagram of the socket's own that nobody was there for, and whom it went to. */
export interface UdpError {
  bytes: Uint8Array;
  addr: number;
  port: number;
  truesize: number;
}

export interface Udp {
  queue: UdpDatagram[];
  errors: UdpError[];
  /** Sum of both lists' truesizes. */
  allocated: number;
  /** Datagrams that found no room. */
  drops: number;
  /** Pieces of a datagram that MSG_MORE or UDP_CORK holds back, and where it goes; null for none. */
  corked: { pieces: Uint8Array[]; addr: number; port: number } | null;
}

/** What SO_PEERCRED tells; pid 0 and ids of -1 when nobody is there. */
export interface UnixCred {
  pid: number;
  uid: number;
  gid: number;
}

/** A buffer in a unix socket's queue: one write of a stream, one message, or one connection that waits to be accepted. */
export interface UnixMessage {
  bytes: Uint8Array;
  /** Bytes of it that were read. */
  consumed: number;
  /** What it counts against the sender's SO_SNDBUF. */
  truesize: number;
  sender: number;
  /** The sender's name, null when it had none. */
  from: string | null;
  cred: UnixCred;
  /** Ids of the files that travel with it; it holds a reference to each. */
  files: number[];
  /** Uid that they are counted for. */
  filesUid: number;
  /** In a listener's queue: the connection's new socket, else 0. */
  connection: number;
}

export interface Unix {
  /** Bound name as a string of bytes: a leading NUL for the abstract name space; null when unbound. */
  name: string | null;
  /** The inode that a file's name leads to, 0 for none. */
  inode: number;
  /** The other end, 0 for none; kept after it died, so that its name can still be told. */
  peer: number;
  /** Sockets whose `peer` is this one. */
  peerRefs: number;
  /** Closed; the record stays while somebody's `peer` leads here (SOCK_DEAD). */
  dead: boolean;
  /** The oldest first. */
  queue: UnixMessage[];
  /** Truesizes of own messages that nobody has read (sk_wmem_alloc). */
  allocated: number;
  backlog: number;
  /** Senders and connectors that wait for room in `queue` (peer_wait). */
  peerWait: WaitQueue;
  /** Sockets that were told by poll that `queue` is full: the next reader wakes their own sleepers (peer_wake). */
  peerWake: number[];
  cred: UnixCred;
  peerCred: UnixCred;
}

export interface Socket {
  id: number;
  family: number;
  type: number;
  protocol: number;
  /** Name of its protocol's operations. */
  proto: string;
  /** State of struct socket. */
  state: "unconnected" | "connecting" | "connected" | "disconnecting";
  /** State of struct sock, a TCP_ number; unix sockets use CLOSE, ESTABLISHED and LISTEN. */
  sk: number;
  /** A descriptor or a module holds it; false for connections not accepted yet and for orphans. */
  held: boolean;
  /** The open file, 0 for a kernel's own. */
  file: number;
  ino: number;
  uid: number;
  shutdown: number;
  /** sk_err: a positive errno that the next call gets, 0 for none. */
  err: number;
  readWait: WaitQueue;
  writeWait: WaitQueue;
  /** Files that want SIGIO. */
  fasync: number[];
  options: SocketOptions;
  inet: Inet | null;
  tcp: Tcp | null;
  udp: Udp | null;
  unix: Unix | null;
}

/** The most sockets of a kernel: "no more sockets" beyond it. */
export const SOCKETS_MAX = 65_536;
/** net.core.rmem_default and wmem_default; tcp_rmem[1]; SO_SNDBUF of a fresh TCP socket, tcp_wmem[1]. */
export const BUF_DEFAULT = 212_992;
const TCP_RCVBUF = 131_072;
const TCP_SNDBUF = 16_384;

export function socketOf(k: Kernel, id: number): Socket {
  return must(k.state.net.sockets, id);
}

export function isStream(socket: Socket): boolean {
  return socket.type === SOCK_STREAM;
}

export function inetOf(socket: Socket): Inet {
  return part(socket.inet, socket);
}

export function tcpOf(socket: Socket): Tcp {
  return part(socket.tcp, socket);
}

export function udpOf(socket: Socket): Udp {
  return part(socket.udp, socket);
}

export function unixOf(socket: Socket): Unix {
  return part(socket.unix, socket);
}

function part<T>(of: T | null, socket: Socket): T {
  if (of === null) throw new Error(`socket ${socket.id} is no ${socket.proto} socket`);
  return of;
}

/** A fresh record in the table, of a protocol by name; nobody holds it yet. */
export function newSocket(k: Kernel, given: { family: number; type: number; protocol: number; proto: string; uid: number }): Socket {
  const { net } = k.state;
  const tcp = given.proto === "tcp";
  const socket: Socket = {
    id: net.nextSocket++, ...given, state: "unconnected", sk: TCP_CLOSE, held: false, file: 0, ino: 0,
    shutdown: 0, err: 0, readWait: newWaitQueue(k), writeWait: newWaitQueue(k), fasync: [],
    options: {
      reuseAddr: false, reusePort: false, keepAlive: false, broadcast: false, passCred: false, noDelay: false, linger: -1,
      rcvbuf: tcp ? TCP_RCVBUF : BUF_DEFAULT, sndbuf: tcp ? TCP_SNDBUF : BUF_DEFAULT, rcvLowat: 1, rcvTimeoNs: 0, sndTimeoNs: 0,
      peekOff: -1, linger2: 0, stored: new Map(),
    },
    inet: given.family === AF_INET
      ? { localAddr: 0, localPort: 0, peerAddr: 0, peerPort: 0, portHeld: false, portLocked: false, addrLocked: false } : null,
    tcp: tcp ? {
      peer: 0, parent: 0, backlog: 0, acceptQueue: [], send: byteQueue(), receive: byteQueue(),
      written: 0, taken: 0, urgentOut: null, urgent: null,
      measure: { copied: 0, most: TCP_RCVBUF >> 1, sinceNs: 0 }, keptSinceNs: 0, finQueued: false, done: false, finUnread: false, timer: 0, expiresNs: 0, retries: 0,
    } : null,
    udp: given.proto === "udp" ? { queue: [], errors: [], allocated: 0, drops: 0, corked: null } : null,
    unix: null,
  };
  net.sockets.set(socket.id, socket);
  return socket;
}

/** All queues of a kernel together hold at most an eighth of its memory (tcp_mem); beyond it each socket gets little. */
export function underPressure(k: Kernel): boolean {
  return k.state.net.memory > k.state.machine.ramMiB * (1 << 17);
}

/** Takes the pending error: 0 or a negative errno (sock_error). */
export function takeError(socket: Socket): number {
  const { err } = socket;
  socket.err = 0;
  return -err;
}

/** The value that an option was set to, 0 for one that was not. */
export function storedOption({ options }: Socket, level: number, option: number): number {
  return options.stored.size === 0 ? 0 : (options.stored.get(`${level}:${option}`) ?? 0);
}

/** SO_PEEK_OFF follows what is read or peeked, and stays off when it is (sk_peek_offset_fwd, sk_peek_offset_bwd). */
export function movePeekOffset({ options }: Socket, by: number): void {
  if (options.peekOff >= 0) options.peekOff = Math.max(0, options.peekOff + by);
}

/** Wakes everybody: the state of the connection changed (sk_state_change). */
export function stateChange(k: Kernel, socket: Socket): void {
  wake(k, socket.readWait, { nr: Infinity });
  wake(k, socket.writeWait, { nr: Infinity });
  if (socket.fasync.length > 0) killFasync(k, socket.fasync, SIGIO, socket.shutdown === SHUTDOWN_MASK ? POLL_HUP : POLL_IN);
}

/** Bytes, a datagram or a connection came: readers and those that want SIGIO (sk_data_ready). */
export function dataReady(k: Kernel, socket: Socket): void {
  wake(k, socket.readWait, { key: POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND });
  if (socket.fasync.length > 0) killFasync(k, socket.fasync, SIGIO, POLL_IN);
}

/** There is room to send again (sk_write_space). */
export function writeSpace(k: Kernel, socket: Socket): void {
  wake(k, socket.writeWait, { nr: Infinity, key: POLLOUT | POLLWRNORM | POLLWRBAND });
  if (socket.fasync.length > 0) killFasync(k, socket.fasync, SIGIO, POLL_OUT);
}
