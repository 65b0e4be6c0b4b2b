/** Options of sockets (socket(7), tcp(7), ip(7)): what acts, what is only remembered, and what cannot be set. */
import { EDOM, EINVAL, ENODATA, ENODEV, ENOENT, ENOTCONN, ENOPROTOOPT, EOPNOTSUPP, EPERM } from "../abi/errno.ts";
import { POLLOUT } from "../abi/epoll.ts";
import { CAP_NET_ADMIN, CAP_NET_RAW } from "../abi/capability.ts";
import {
  AF_UNIX, IP_MTU, IP_RECVERR, IP_TOS, IP_TRANSPARENT, IP_TTL, SOL_IP, SOL_SOCKET, SOL_TCP, SOL_UDP, SO_ACCEPTCONN, SO_BINDTODEVICE,
  SO_BPF_EXTENSIONS, SO_BROADCAST, SO_BSDCOMPAT, SO_CNX_ADVICE, SO_COOKIE, SO_DOMAIN, SO_ERROR, SO_INCOMING_NAPI_ID, SO_KEEPALIVE,
  SO_LINGER, SO_LOCK_FILTER, SO_MARK, SO_MEMINFO, SO_PASSCRED, SO_PEEK_OFF, SO_PEERCRED, SO_PEERGROUPS, SO_PEERNAME, SO_PRIORITY, SO_PROTOCOL,
  SO_RCVBUF, SO_RCVBUFFORCE, SO_RCVLOWAT, SO_RCVTIMEO_OLD, SO_REUSEADDR, SO_REUSEPORT, SO_SNDBUF, SO_SNDBUFFORCE, SO_SNDLOWAT,
  SO_SNDTIMEO_OLD, SO_TIMESTAMPING_NEW, SO_TIMESTAMPING_OLD, SO_TYPE, SO_ZEROCOPY, TCP_DEFER_ACCEPT, TCP_INFO, TCP_LINGER2, TCP_MAXSEG,
  TCP_NODELAY, TCP_SYNCNT, TCP_QUEUE_SEQ, TCP_REPAIR_OPTIONS, TCP_REPAIR_QUEUE, TCP_REPAIR_WINDOW, TCP_SAVED_SYN, TCP_THIN_DUPACK, TCP_TIMESTAMP,
  TCP_WINDOW_CLAMP, lingerLayout, ucredLayout,
} from "../abi/socket.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import { timevalLayout } from "../abi/time.ts";
import type { Kernel } from "../kernel.ts";
import { getI32, putU32, putU64 } from "../lib/bytes.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { deviceByIndex, deviceByName } from "./device.ts";
import { now } from "../time/clock.ts";
import { protocolOf } from "./proto.ts";
import { takeError, writeSpace, type Socket, type SocketOptions } from "./socket.ts";
import { deferAcceptSeconds, ipNeedsValue, ipStored, socketStored, tcpStored, udpStored, type StoredOptions } from "./stored_options.ts";
import { finTimeoutShown, synRetries } from "./sysctl.ts";
import { tcpInfo } from "./tcp_info.ts";
import { TCP_CLOSE, TCP_LISTEN } from "./tcp_states.ts";
import { setRcvLowat } from "./tcp_window.ts";
import { TIMESTAMPS } from "./timestamp.ts";
import { udpUncork } from "./udp.ts";
import { purgeErrors } from "./udp_control.ts";

/** net.core.wmem_max and rmem_max; the least that setsockopt makes of SO_SNDBUF and SO_RCVBUF. */
const BUF_MAX = 212_992;
const SNDBUF_MIN = 4608;
const RCVBUF_MIN = 2304;

/** Booleans that act by themselves. */
const booleans: { [option: number]: keyof SocketOptions } = {
  [SO_REUSEADDR]: "reuseAddr", [SO_REUSEPORT]: "reusePort", [SO_KEEPALIVE]: "keepAlive", [SO_BROADCAST]: "broadcast",
};

/** SOF_TIMESTAMPING_ bits of Linux 6.1. */
const TIMESTAMPING_MASK = 0xffff;
/** SKF_AD_MAX: what socket filters can ask for. */
const BPF_EXTENSIONS = 64;
const [UDP_CORK, UDP_ENCAP] = [1, 100];
/** Younger than the names of strace. */
const [SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW, SO_DETACH_REUSEPORT_BPF, SO_BUF_LOCK, SO_RESERVE_MEM, SO_TXREHASH] = [66, 67, 68, 72, 73, 74];
const TCP_MD5SIG_EXT = 32;

function remember({ options }: Socket, level: number, option: number, value: number): number {
  options.stored.set(`${level}:${option}`, value);
  return 0;
}

function recall({ options }: Socket, level: number, option: number, start: number): number {
  return options.stored.get(`${level}:${option}`) ?? start;
}

/** Sets an option to the bytes given: 0, -EINVAL, -ENOPROTOOPT, -EPERM, -EDOM … */
export function setOption(k: Kernel, task: Task, socket: Socket, level: number, option: number, bytes: Uint8Array): number {
  if (level === SOL_SOCKET) return setSocketOption(k, task, socket, option, bytes);
  if (level === SOL_TCP && socket.tcp !== null) return setTcpOption(socket, option, bytes);
  if (level === SOL_IP && socket.inet !== null) return setIpOption(k, task, socket, option, bytes);
  if (level === SOL_UDP && socket.udp !== null) return setUdpOption(k, socket, option, bytes);
  return socket.family === AF_UNIX ? -EOPNOTSUPP : -ENOPROTOOPT;
}

function setSocketOption(k: Kernel, task: Task, socket: Socket, option: number, bytes: Uint8Array): number {
  if (option === SO_BINDTODEVICE) return bindToDevice(k, task, socket, bytes);
  if (bytes.length < 4) return -EINVAL;
  const value = getI32(bytes, 0);
  const { options } = socket;
  const name = booleans[option];
  if (option === SO_REUSEPORT && value !== 0 && socket.inet === null) return -EOPNOTSUPP;
  if (name !== undefined) {
    if (option === SO_KEEPALIVE && socket.tcp !== null && !options.keepAlive) socket.tcp.keptSinceNs = now(k);
    (options as unknown as Record<string, boolean>)[name] = value !== 0;
    return 0;
  }
  switch (option) {
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
      if (option === SO_SNDBUFFORCE && !capable(task, CAP_NET_ADMIN)) return -EPERM;
      options.sndbuf = bufferSize(value, option === SO_SNDBUFFORCE, SNDBUF_MIN);
      options.stored.set("sndbuf", 1);
      // As Linux: whoever waits for room may have it now.
      if ((protocolOf(socket).poll(k, socket) & POLLOUT) !== 0) writeSpace(k, socket);
      return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
      if (option === SO_RCVBUFFORCE && !capable(task, CAP_NET_ADMIN)) return -EPERM;
      options.rcvbuf = bufferSize(value, option === SO_RCVBUFFORCE, RCVBUF_MIN);
      options.stored.set("rcvbuf", 1);
      return 0;
    case SO_RCVLOWAT:
      if (socket.tcp !== null) setRcvLowat(k, socket, value < 0 ? 0x7fff_ffff : value);
      else options.rcvLowat = value < 0 ? 0x7fff_ffff : value === 0 ? 1 : value;
      return 0;
    case SO_LINGER:
      return setLinger(options, bytes);
    case SO_RCVTIMEO_OLD: case SO_RCVTIMEO_NEW: case SO_SNDTIMEO_OLD: case SO_SNDTIMEO_NEW:
      return setTimeout(options, option, bytes);
    case SO_PASSCRED:
      options.passCred = value !== 0;
      return 0;
    case SO_PEEK_OFF:
      if (socket.family !== AF_UNIX && socket.udp === null) return -EOPNOTSUPP;
      options.peekOff = value;
      return 0;
    case SO_PRIORITY:
      return value >= 0 && value <= 6 || capable(task, CAP_NET_RAW) || capable(task, CAP_NET_ADMIN) ? remember(socket, SOL_SOCKET, option, value) : -EPERM;
    case SO_MARK:
      return capable(task, CAP_NET_RAW) || capable(task, CAP_NET_ADMIN) ? remember(socket, SOL_SOCKET, option, value) : -EPERM;
    case SO_TYPE: case SO_PROTOCOL: case SO_DOMAIN: case SO_ERROR: case SO_ACCEPTCONN: case SO_PEERCRED: case SO_SNDLOWAT:
      return -ENOPROTOOPT;
    case SO_TIMESTAMPING_OLD: case SO_TIMESTAMPING_NEW:
      return (value & ~TIMESTAMPING_MASK) !== 0 ? -EINVAL : remember(socket, SOL_SOCKET, SO_TIMESTAMPING_OLD, value);
    case SO_LOCK_FILTER:
      if (value === 0 && recall(socket, SOL_SOCKET, option, 0) !== 0) return -EPERM;
      return remember(socket, SOL_SOCKET, option, Number(value !== 0));
    case SO_BUF_LOCK:
      if (value < 0 || value > 3) return -EINVAL;
      for (const [bit, buffer] of [[1, "sndbuf"], [2, "rcvbuf"]] as const) {
        if ((value & bit) !== 0) options.stored.set(buffer, 1);
        else options.stored.delete(buffer);
      }
      return 0;
    case SO_TXREHASH:
      if (value < -1 || value > 1) return -EINVAL;
      return remember(socket, SOL_SOCKET, option, value < 0 ? 1 : value);
    case SO_BSDCOMPAT: case SO_CNX_ADVICE: return 0;
    case SO_DETACH_REUSEPORT_BPF: return socket.inet === null ? -EINVAL : -ENOENT;
    case SO_RESERVE_MEM: return -EOPNOTSUPP;
    case SO_ZEROCOPY:
      if (socket.tcp === null && socket.udp === null) return -EOPNOTSUPP;
      return value < 0 || value > 1 ? -EINVAL : remember(socket, SOL_SOCKET, option, value);
  }
  if (TIMESTAMPS.includes(option)) for (const other of TIMESTAMPS) options.stored.delete(`${SOL_SOCKET}:${other}`);
  return setStored(socket, socketStored, SOL_SOCKET, option, value);
}

function setUdpOption(k: Kernel, socket: Socket, option: number, bytes: Uint8Array): number {
  if (bytes.length < 4) return -EINVAL;
  const result = setStored(socket, udpStored, SOL_UDP, option, getI32(bytes, 0));
  if (result === 0 && option === UDP_CORK && getI32(bytes, 0) === 0) udpUncork(k, socket);
  return result;
}

/** Remembers a value within its bounds: 0, -EINVAL, or -ENOPROTOOPT for an option that nobody knows. */
function setStored(socket: Socket, table: StoredOptions, level: number, option: number, value: number): number {
  const kept = table[option];
  if (kept === undefined) return -ENOPROTOOPT;
  if (value < kept.min || value > kept.max) return -EINVAL;
  return remember(socket, level, option, kept.flag ? Number(value !== 0) : value);
}

function getStored(socket: Socket, table: StoredOptions, level: number, option: number): Uint8Array | number {
  const kept = table[option];
  return kept === undefined ? -ENOPROTOOPT : int(recall(socket, level, option, kept.start));
}

/** Twice what was asked for, within the limits. */
function bufferSize(value: number, forced: boolean, min: number): number {
  const asked = forced ? Math.max(0, value) : Math.min(value >>> 0, BUF_MAX);
  return Math.max(min, Math.min(asked, 0x3fff_ffff) * 2);
}

function bindToDevice(k: Kernel, task: Task, socket: Socket, bytes: Uint8Array): number {
  if (!capable(task, CAP_NET_RAW)) return -EPERM;
  const end = bytes.indexOf(0);
  const name = String.fromCharCode(...bytes.subarray(0, end < 0 ? Math.min(bytes.length, 15) : end));
  const device = name === "" ? null : deviceByName(k, name);
  if (name !== "" && device === null) return -ENODEV;
  return remember(socket, SOL_SOCKET, SO_BINDTODEVICE, device?.index ?? 0);
}

function setLinger(options: SocketOptions, bytes: Uint8Array): number {
  if (bytes.length < lingerLayout.size) return -EINVAL;
  const { l_onoff: on, l_linger: seconds } = decodeStruct(lingerLayout, bytes);
  options.linger = on === 0 ? -1 : Math.max(0, seconds);
  return 0;
}

/** SO_RCVTIMEO, SO_SNDTIMEO: 0 is no limit, as is a time that has passed already when negative seconds are given. */
function setTimeout(options: SocketOptions, option: number, bytes: Uint8Array): number {
  if (bytes.length < timevalLayout.size) return -EINVAL;
  const time = decodeStruct(timevalLayout, bytes);
  const seconds = Number(time.tv_sec);
  const micros = Number(time.tv_usec);
  if (micros < 0 || micros >= 1_000_000) return -EDOM;
  // A negative time makes every wait end at once; the least time does the same here.
  const ns = seconds < 0 ? 1 : seconds * 1_000_000_000 + micros * 1000;
  const kept = Number.isSafeInteger(ns) ? ns : 0;
  if (option === SO_RCVTIMEO_OLD || option === SO_RCVTIMEO_NEW) options.rcvTimeoNs = kept;
  else options.sndTimeoNs = kept;
  return 0;
}

function setTcpOption(socket: Socket, option: number, bytes: Uint8Array): number {
  if (bytes.length < 4) return -EINVAL;
  const value = getI32(bytes, 0);
  if (option === TCP_NODELAY) {
    socket.options.noDelay = value !== 0;
    return 0;
  }
  if (option === TCP_LINGER2) {
    socket.options.linger2 = value < 0 ? -1 : value > 120 ? 120 : value;
    return 0;
  }
  if (option === TCP_MAXSEG) return value !== 0 && (value < 88 || value > 32767) ? -EINVAL : remember(socket, SOL_TCP, option, value);
  switch (option) {
    case TCP_DEFER_ACCEPT: return remember(socket, SOL_TCP, option, deferAcceptSeconds(value));
    case TCP_WINDOW_CLAMP:
      if (value === 0) return socket.sk === TCP_CLOSE ? remember(socket, SOL_TCP, option, 0) : -EINVAL;
      return remember(socket, SOL_TCP, option, Math.max(value, RCVBUF_MIN >> 1));
    case TCP_THIN_DUPACK: return value < 0 || value > 1 ? -EINVAL : 0;
    case TCP_REPAIR_QUEUE: case TCP_REPAIR_WINDOW: case TCP_TIMESTAMP: return -EPERM;
    case TCP_QUEUE_SEQ: case TCP_REPAIR_OPTIONS: case TCP_MD5SIG_EXT: return -EINVAL;
    default: return setStored(socket, tcpStored, SOL_TCP, option, value);
  }
}

function setIpOption(k: Kernel, task: Task, socket: Socket, option: number, bytes: Uint8Array): number {
  const value = bytes.length >= 4 ? getI32(bytes, 0) : (bytes[0] ?? 0);
  if (ipStored[option] === undefined) return -ENOPROTOOPT;
  if (bytes.length === 0 && ipNeedsValue.includes(option)) return -EINVAL;
  if (option === IP_TRANSPARENT && value !== 0 && !capable(task, CAP_NET_ADMIN) && !capable(task, CAP_NET_RAW)) return -EPERM;
  if (option === IP_TOS) return remember(socket, SOL_IP, option, value & (socket.tcp === null ? 0xff : 0xfc));
  if (option === IP_RECVERR && value === 0 && socket.udp !== null) purgeErrors(k, socket);
  if (option === IP_TTL && value === 0) return -EINVAL;
  if (option === IP_TTL && value === -1) return remember(socket, SOL_IP, option, ipStored[option].start);
  return setStored(socket, ipStored, SOL_IP, option, value);
}

/** The bytes of an option's value, before they are cut to the caller's room; or a negative errno. */
export function getOption(k: Kernel, socket: Socket, level: number, option: number): Uint8Array | number {
  if (level === SOL_SOCKET) return getSocketOption(k, socket, option);
  if (level === SOL_TCP && socket.tcp !== null) return getTcpOption(k, socket, option);
  if (level === SOL_IP && socket.inet !== null) return option === IP_MTU ? getMtu(socket) : getStored(socket, ipStored, SOL_IP, option);
  if (level === SOL_UDP && socket.udp !== null) return option === UDP_ENCAP ? int(0) : getStored(socket, udpStored, SOL_UDP, option);
  return -EOPNOTSUPP;
}

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  putU32(bytes, 0, value);
  return bytes;
}

function getSocketOption(k: Kernel, socket: Socket, option: number): Uint8Array | number {
  const { options } = socket;
  const name = booleans[option];
  if (name !== undefined) return int(Number(options[name]));
  switch (option) {
    case SO_TYPE: return int(socket.type);
    case SO_DOMAIN: return int(socket.family);
    case SO_PROTOCOL: return int(socket.protocol);
    case SO_ERROR: return int(-takeError(socket));
    case SO_ACCEPTCONN: return int(Number(socket.sk === TCP_LISTEN));
    case SO_SNDBUF: return int(options.sndbuf);
    case SO_RCVBUF: return int(options.rcvbuf);
    case SO_RCVLOWAT: return int(options.rcvLowat);
    case SO_SNDLOWAT: return int(1);
    case SO_LINGER: return encodeStruct(lingerLayout, { l_onoff: Number(options.linger >= 0), l_linger: Math.max(0, options.linger) });
    case SO_RCVTIMEO_OLD: case SO_RCVTIMEO_NEW: return timeval(options.rcvTimeoNs);
    case SO_SNDTIMEO_OLD: case SO_SNDTIMEO_NEW: return timeval(options.sndTimeoNs);
    case SO_PASSCRED: return int(Number(options.passCred));
    case SO_PEEK_OFF: return socket.family === AF_UNIX || socket.udp !== null ? int(options.peekOff) : -EOPNOTSUPP;
    case SO_PEERCRED: {
      const { pid, uid, gid } = socket.unix?.peerCred ?? { pid: 0, uid: 0xffff_ffff, gid: 0xffff_ffff };
      return encodeStruct(ucredLayout, { pid, uid, gid });
    }
    case SO_PEERNAME: {
      const peer = protocolOf(socket).getname(k, socket, true);
      return typeof peer === "number" ? -ENOTCONN : peer;
    }
    case SO_COOKIE: {
      const cookie = new Uint8Array(8);
      putU64(cookie, 0, socket.id);
      return cookie;
    }
    case SO_BINDTODEVICE: {
      const name = deviceByIndex(k, recall(socket, SOL_SOCKET, option, 0))?.name ?? "";
      return Uint8Array.from(name === "" ? "" : `${name}\0`, (char) => char.charCodeAt(0));
    }
    case SO_ZEROCOPY: case SO_LOCK_FILTER: return int(recall(socket, SOL_SOCKET, option, 0));
    case SO_TIMESTAMPING_OLD: case SO_TIMESTAMPING_NEW: {
      const flags = new Uint8Array(8);
      putU32(flags, 0, recall(socket, SOL_SOCKET, SO_TIMESTAMPING_OLD, 0));
      return flags;
    }
    case SO_MEMINFO: return memInfo(socket);
    case SO_BSDCOMPAT: case SO_INCOMING_NAPI_ID: case SO_RESERVE_MEM: return int(0);
    case SO_BPF_EXTENSIONS: return int(BPF_EXTENSIONS);
    case SO_BUF_LOCK: return int((options.stored.get("sndbuf") ?? 0) | ((options.stored.get("rcvbuf") ?? 0) << 1));
    case SO_TXREHASH: return int(recall(socket, SOL_SOCKET, option, Number(socket.inet !== null)));
    case SO_PEERGROUPS: return (socket.unix?.peerCred.pid ?? 0) === 0 ? -ENODATA : new Uint8Array(0);
  }
  return getStored(socket, socketStored, SOL_SOCKET, option);
}

function timeval(ns: number): Uint8Array {
  return encodeStruct(timevalLayout, { tv_sec: Math.floor(ns / 1_000_000_000), tv_usec: Math.floor((ns % 1_000_000_000) / 1000) });
}

/** SO_MEMINFO: what the queues hold and may hold (SK_MEMINFO_ numbers). */
function memInfo({ options, tcp, udp, unix }: Socket): Uint8Array {
  const bytes = new Uint8Array(36);
  const sent = unix?.allocated ?? tcp?.send.length ?? 0;
  [udp?.allocated ?? tcp?.receive.length ?? 0, options.rcvbuf, unix === null ? 0 : sent, options.sndbuf, 0, unix === null ? sent : 0, 0, 0, udp?.drops ?? 0]
    .forEach((value, index) => putU32(bytes, index * 4, value));
  return bytes;
}

/** MSS before and after the handshake. */
const MSS_DEFAULT = 536;
const MSS_LOOPBACK = 65_483;

function getTcpOption(k: Kernel, socket: Socket, option: number): Uint8Array | number {
  const { sk, options } = socket;
  if (option === TCP_NODELAY) return int(Number(options.noDelay));
  if (option === TCP_LINGER2) return int(options.linger2 === 0 ? finTimeoutShown(k) : options.linger2);
  if (option === TCP_MAXSEG) {
    return int(sk === TCP_CLOSE || sk === TCP_LISTEN ? recall(socket, SOL_TCP, option, 0) || MSS_DEFAULT : MSS_LOOPBACK);
  }
  switch (option) {
    case TCP_DEFER_ACCEPT: case TCP_WINDOW_CLAMP: return int(recall(socket, SOL_TCP, option, 0));
    case TCP_SYNCNT: return int(recall(socket, SOL_TCP, option, synRetries(k)));
    case TCP_THIN_DUPACK: return int(0);
    case TCP_INFO: return tcpInfo(k, socket);
    case TCP_SAVED_SYN: return new Uint8Array(0);
    case TCP_REPAIR_QUEUE: case TCP_QUEUE_SEQ: case TCP_REPAIR_WINDOW: return -EINVAL;
    default: return getStored(socket, tcpStored, SOL_TCP, option);
  }
}

/** The loopback's, once there is a peer to route to. */
/** The loopback's MTU is longer than a packet of IP can be. */
const IP_MAX_MTU = 65_535;

function getMtu({ inet }: Socket): Uint8Array | number {
  return inet?.peerAddr === 0 ? -ENOTCONN : int(IP_MAX_MTU);
}

