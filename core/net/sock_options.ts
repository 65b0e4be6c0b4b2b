/** Options of sockets (socket(7), tcp(7), ip(7)): what acts, what is only remembered, and what cannot be set. */
import { EDOM, EINVAL, ENODEV, ENOTCONN, ENOPROTOOPT, EOPNOTSUPP, EPERM } from "../abi/errno.ts";
import { CAP_NET_ADMIN, CAP_NET_RAW } from "../abi/capability.ts";
import {
  AF_UNIX, IP_BIND_ADDRESS_NO_PORT, IP_FREEBIND, IP_MTU_DISCOVER, IP_PKTINFO, IP_RECVERR, IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TRANSPARENT,
  IP_TTL, lingerLayout, SOL_IP, SOL_SOCKET, SOL_TCP, SO_ACCEPTCONN, SO_BINDTODEVICE, SO_BROADCAST, SO_BUSY_POLL,
  SO_COOKIE, SO_DEBUG, SO_DOMAIN, SO_DONTROUTE, SO_ERROR, SO_INCOMING_CPU, SO_KEEPALIVE, SO_LINGER, SO_MARK, SO_NO_CHECK, SO_OOBINLINE,
  SO_PASSCRED, SO_PASSSEC, SO_PEEK_OFF, SO_PEERCRED, SO_PEERNAME, SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF, SO_RCVBUFFORCE, SO_RCVLOWAT,
  SO_RCVTIMEO_OLD, SO_REUSEADDR, SO_REUSEPORT, SO_RXQ_OVFL, SO_SELECT_ERR_QUEUE, SO_SNDBUF, SO_SNDBUFFORCE, SO_SNDLOWAT, SO_SNDTIMEO_OLD,
  SO_TIMESTAMPNS_OLD, SO_TIMESTAMP_OLD, SO_TYPE, SO_ZEROCOPY, TCP_CORK, TCP_DEFER_ACCEPT, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL,
  TCP_LINGER2, TCP_MAXSEG, TCP_NODELAY, TCP_NOTSENT_LOWAT, TCP_QUICKACK, TCP_SYNCNT, TCP_USER_TIMEOUT, TCP_WINDOW_CLAMP, ucredLayout,
} from "../abi/socket.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import { timevalLayout } from "../abi/time.ts";
import type { Kernel } from "../kernel.ts";
import { getI32, putU32, putU64 } from "../lib/bytes.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { protocolOf } from "./proto.ts";
import { takeError, type Socket, type SocketOptions } from "./socket.ts";
import { TCP_CLOSE, TCP_LISTEN } from "./tcp_states.ts";

/** net.core.wmem_max and rmem_max; the least that setsockopt makes of SO_SNDBUF and SO_RCVBUF. */
const BUF_MAX = 212_992;
const SNDBUF_MIN = 4608;
const RCVBUF_MIN = 2304;

/** Booleans that act by themselves. */
const booleans: { [option: number]: keyof SocketOptions } = {
  [SO_REUSEADDR]: "reuseAddr", [SO_REUSEPORT]: "reusePort", [SO_KEEPALIVE]: "keepAlive", [SO_BROADCAST]: "broadcast",
};

/** Remembered options of SOL_SOCKET: what they start as, and whether any value but 0 reads as 1. */
const stored: { [option: number]: { start: number; flag: boolean } } = {
  [SO_DEBUG]: { start: 0, flag: true }, [SO_DONTROUTE]: { start: 0, flag: true }, [SO_OOBINLINE]: { start: 0, flag: true },
  [SO_NO_CHECK]: { start: 0, flag: true }, [SO_PRIORITY]: { start: 0, flag: false }, [SO_TIMESTAMP_OLD]: { start: 0, flag: true },
  [SO_TIMESTAMPNS_OLD]: { start: 0, flag: true }, [SO_PASSSEC]: { start: 0, flag: true }, [SO_MARK]: { start: 0, flag: false },
  [SO_RXQ_OVFL]: { start: 0, flag: true }, [SO_SELECT_ERR_QUEUE]: { start: 0, flag: true }, [SO_BUSY_POLL]: { start: 0, flag: false },
  [SO_INCOMING_CPU]: { start: -1, flag: false },
};

/** Remembered options of TCP with the range that may be set (a power-free clamp is Linux's: EINVAL outside). */
const tcpStored: { [option: number]: { start: number; min: number; max: number; flag?: boolean } } = {
  [TCP_CORK]: { start: 0, min: -0x8000_0000, max: 0x7fff_ffff, flag: true }, [TCP_KEEPIDLE]: { start: 7200, min: 1, max: 32767 },
  [TCP_KEEPINTVL]: { start: 75, min: 1, max: 32767 }, [TCP_KEEPCNT]: { start: 9, min: 1, max: 127 },
  [TCP_SYNCNT]: { start: 6, min: 1, max: 127 }, [TCP_USER_TIMEOUT]: { start: 0, min: 0, max: 0x7fff_ffff },
  [TCP_QUICKACK]: { start: 1, min: -0x8000_0000, max: 0x7fff_ffff, flag: true }, [TCP_WINDOW_CLAMP]: { start: 0, min: 0, max: 0x7fff_ffff },
  [TCP_NOTSENT_LOWAT]: { start: 0, min: -0x8000_0000, max: 0x7fff_ffff }, [TCP_DEFER_ACCEPT]: { start: 0, min: 0, max: 0x7fff_ffff },
};

const ipStored: { [option: number]: { start: number; min: number; max: number; flag?: boolean } } = {
  [IP_TOS]: { start: 0, min: 0, max: 255 }, [IP_TTL]: { start: 64, min: -1, max: 255 }, [IP_RECVERR]: { start: 0, min: -0x8000_0000, max: 0x7fff_ffff, flag: true },
  [IP_PKTINFO]: { start: 0, min: -0x8000_0000, max: 0x7fff_ffff, flag: true }, [IP_RECVTTL]: { start: 0, min: -0x8000_0000, max: 0x7fff_ffff, flag: true },
  [IP_RECVTOS]: { start: 0, min: -0x8000_0000, max: 0x7fff_ffff, flag: true }, [IP_FREEBIND]: { start: 0, min: -0x8000_0000, max: 0x7fff_ffff, flag: true },
  [IP_MTU_DISCOVER]: { start: 1, min: 0, max: 5 }, [IP_BIND_ADDRESS_NO_PORT]: { start: 0, min: -0x8000_0000, max: 0x7fff_ffff, flag: true },
  [IP_TRANSPARENT]: { start: 0, min: -0x8000_0000, max: 0x7fff_ffff, flag: true },
};

function remember({ options }: Socket, level: number, option: number, value: number): number {
  options.stored.set(`${level}:${option}`, value);
  return 0;
}

function recall({ options }: Socket, level: number, option: number, start: number): number {
  return options.stored.get(`${level}:${option}`) ?? start;
}

/** Sets an option to the bytes given: 0, -EINVAL, -ENOPROTOOPT, -EPERM, -EDOM … */
export function setOption(task: Task, socket: Socket, level: number, option: number, bytes: Uint8Array): number {
  if (level === SOL_SOCKET) return setSocketOption(task, socket, option, bytes);
  if (level === SOL_TCP && socket.tcp !== null) return setTcpOption(socket, option, bytes);
  if (level === SOL_IP && socket.inet !== null) return setIpOption(task, socket, option, bytes);
  return socket.family === AF_UNIX ? -EOPNOTSUPP : -ENOPROTOOPT;
}

function setSocketOption(task: Task, socket: Socket, option: number, bytes: Uint8Array): number {
  if (option === SO_BINDTODEVICE) return bindToDevice(task, bytes);
  if (bytes.length < 4) return -EINVAL;
  const value = getI32(bytes, 0);
  const { options } = socket;
  const name = booleans[option];
  if (name !== undefined) {
    (options as unknown as Record<string, boolean>)[name] = value !== 0;
    return 0;
  }
  switch (option) {
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
      if (option === SO_SNDBUFFORCE && !capable(task, CAP_NET_ADMIN)) return -EPERM;
      options.sndbuf = bufferSize(value, option === SO_SNDBUFFORCE, SNDBUF_MIN);
      options.stored.set("sndbuf", 1);
      return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
      if (option === SO_RCVBUFFORCE && !capable(task, CAP_NET_ADMIN)) return -EPERM;
      options.rcvbuf = bufferSize(value, option === SO_RCVBUFFORCE, RCVBUF_MIN);
      options.stored.set("rcvbuf", 1);
      return 0;
    case SO_RCVLOWAT:
      options.rcvLowat = value < 0 ? 0x7fff_ffff : value === 0 ? 1 : value;
      return 0;
    case SO_LINGER:
      return setLinger(options, bytes);
    case SO_RCVTIMEO_OLD:
    case SO_SNDTIMEO_OLD:
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
    case SO_ZEROCOPY:
      if (socket.tcp === null && socket.udp === null) return -EOPNOTSUPP;
      return value < 0 || value > 1 ? -EINVAL : remember(socket, SOL_SOCKET, option, value);
  }
  const kept = stored[option];
  return kept === undefined ? -ENOPROTOOPT : remember(socket, SOL_SOCKET, option, kept.flag ? Number(value !== 0) : value);
}

/** Twice what was asked for, within the limits. */
function bufferSize(value: number, forced: boolean, min: number): number {
  const asked = forced ? Math.max(0, value) : Math.min(value >>> 0, BUF_MAX);
  return Math.max(min, Math.min(asked, 0x3fff_ffff) * 2);
}

function bindToDevice(task: Task, bytes: Uint8Array): number {
  if (!capable(task, CAP_NET_RAW)) return -EPERM;
  const end = bytes.indexOf(0);
  const name = String.fromCharCode(...bytes.subarray(0, end < 0 ? Math.min(bytes.length, 15) : end));
  return name === "" || name === "lo" ? 0 : -ENODEV;
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
  if (option === SO_RCVTIMEO_OLD) options.rcvTimeoNs = kept;
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
  const kept = tcpStored[option];
  if (kept === undefined) return -ENOPROTOOPT;
  if (value < kept.min || value > kept.max) return -EINVAL;
  return remember(socket, SOL_TCP, option, kept.flag === true ? Number(value !== 0) : value);
}

function setIpOption(task: Task, socket: Socket, option: number, bytes: Uint8Array): number {
  const value = bytes.length >= 4 ? getI32(bytes, 0) : (bytes[0] ?? 0);
  const kept = ipStored[option];
  if (kept === undefined) return -ENOPROTOOPT;
  if (option === IP_TRANSPARENT && value !== 0 && !capable(task, CAP_NET_ADMIN) && !capable(task, CAP_NET_RAW)) return -EPERM;
  if (option === IP_TOS) return remember(socket, SOL_IP, option, value & (socket.tcp === null ? 0xff : 0xfc));
  if (value < kept.min || value > kept.max || (option === IP_TTL && value === 0)) return -EINVAL;
  if (option === IP_TTL && value === -1) return remember(socket, SOL_IP, option, kept.start);
  return remember(socket, SOL_IP, option, kept.flag === true ? Number(value !== 0) : value);
}

/** The bytes of an option's value, before they are cut to the caller's room; or a negative errno. */
export function getOption(k: Kernel, socket: Socket, level: number, option: number): Uint8Array | number {
  if (level === SOL_SOCKET) return getSocketOption(k, socket, option);
  if (level === SOL_TCP && socket.tcp !== null) return getTcpOption(socket, option);
  if (level === SOL_IP && socket.inet !== null) {
    const kept = ipStored[option];
    return kept === undefined ? -ENOPROTOOPT : int(recall(socket, SOL_IP, option, kept.start));
  }
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
    case SO_RCVTIMEO_OLD: return timeval(options.rcvTimeoNs);
    case SO_SNDTIMEO_OLD: return timeval(options.sndTimeoNs);
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
    case SO_BINDTODEVICE: return new Uint8Array(0);
    case SO_ZEROCOPY: return int(recall(socket, SOL_SOCKET, option, 0));
  }
  const kept = stored[option];
  return kept === undefined ? -ENOPROTOOPT : int(recall(socket, SOL_SOCKET, option, kept.start));
}

function timeval(ns: number): Uint8Array {
  return encodeStruct(timevalLayout, { tv_sec: Math.floor(ns / 1_000_000_000), tv_usec: Math.floor((ns % 1_000_000_000) / 1000) });
}

/** MSS before and after the handshake. */
const MSS_DEFAULT = 536;
const MSS_LOOPBACK = 65_483;

function getTcpOption(socket: Socket, option: number): Uint8Array | number {
  const { sk, options } = socket;
  if (option === TCP_NODELAY) return int(Number(options.noDelay));
  if (option === TCP_LINGER2) return int(options.linger2 === 0 ? 60 : options.linger2);
  if (option === TCP_MAXSEG) {
    return int(sk === TCP_CLOSE || sk === TCP_LISTEN ? recall(socket, SOL_TCP, option, 0) || MSS_DEFAULT : MSS_LOOPBACK);
  }
  const kept = tcpStored[option];
  return kept === undefined ? -ENOPROTOOPT : int(recall(socket, SOL_TCP, option, kept.start));
}

