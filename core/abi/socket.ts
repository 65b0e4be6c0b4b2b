/** Sockets: families, types, options and message flags (linux/socket.h, uapi/asm-generic/socket.h). */
import type { ChoiceTable, FlagTable } from "./flags.ts";

export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const AF_ALG = 38;
export const AF_VSOCK = 40;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_RDM = 4;
export const SOCK_SEQPACKET = 5;
export const SOCK_DCCP = 6;
export const SOCK_PACKET = 10;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOCK_TYPE_MASK = 0xf;
export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_RAW = 255;
export const IPPROTO_MPTCP = 262;
export const SOL_SOCKET = 1;
export const SOL_IP = 0;
export const SOL_TCP = 6;
export const SOL_UDP = 17;
export const SOL_IPV6 = 41;
export const SOL_RAW = 255;
export const SO_DEBUG = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_ERROR = 4;
export const SO_DONTROUTE = 5;
export const SO_BROADCAST = 6;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
export const SO_NO_CHECK = 11;
export const SO_PRIORITY = 12;
export const SO_LINGER = 13;
export const SO_BSDCOMPAT = 14;
export const SO_REUSEPORT = 15;
export const SO_PASSCRED = 16;
export const SO_PEERCRED = 17;
export const SO_RCVLOWAT = 18;
export const SO_SNDLOWAT = 19;
export const SO_BINDTODEVICE = 25;
export const SO_ATTACH_FILTER = 26;
export const SO_DETACH_FILTER = 27;
export const SO_PEERNAME = 28;
export const SO_ACCEPTCONN = 30;
export const SO_PEERSEC = 31;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_PASSSEC = 34;
export const SO_MARK = 36;
export const SO_PROTOCOL = 38;
export const SO_DOMAIN = 39;
export const SO_PEEK_OFF = 42;
export const SO_INCOMING_CPU = 49;
export const SO_BUSY_POLL = 46;
export const SO_COOKIE = 57;
export const SO_PEERGROUPS = 59;
export const SO_ZEROCOPY = 60;
export const SO_RCVTIMEO_OLD = 20;
export const SO_SNDTIMEO_OLD = 21;
export const SO_TIMESTAMP_OLD = 29;
export const SO_TIMESTAMPNS_OLD = 35;
export const TCP_NODELAY = 1;
export const TCP_MAXSEG = 2;
export const TCP_CORK = 3;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_SYNCNT = 7;
export const TCP_LINGER2 = 8;
export const TCP_DEFER_ACCEPT = 9;
export const TCP_WINDOW_CLAMP = 10;
export const TCP_INFO = 11;
export const TCP_QUICKACK = 12;
export const TCP_CONGESTION = 13;
export const TCP_USER_TIMEOUT = 18;
export const TCP_FASTOPEN = 23;
export const IP_TOS = 1;
export const IP_TTL = 2;
export const IP_HDRINCL = 3;
export const IP_OPTIONS = 4;
export const IP_RECVERR = 11;
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
export const IP_MTU = 14;
export const IP_FREEBIND = 15;
export const IP_TRANSPARENT = 19;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IPV6_V6ONLY = 26;
export const MSG_OOB = 0x1;
export const MSG_PEEK = 0x2;
export const MSG_DONTROUTE = 0x4;
export const MSG_CTRUNC = 0x8;
export const MSG_PROXY = 0x10;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_EOR = 0x80;
export const MSG_WAITALL = 0x100;
export const MSG_FIN = 0x200;
export const MSG_SYN = 0x400;
export const MSG_CONFIRM = 0x800;
export const MSG_RST = 0x1000;
export const MSG_ERRQUEUE = 0x2000;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_MORE = 0x8000;
export const MSG_WAITFORONE = 0x10000;
export const MSG_ZEROCOPY = 0x4000000;
export const MSG_FASTOPEN = 0x20000000;
export const MSG_CMSG_CLOEXEC = 0x40000000;
export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;
export const SCM_RIGHTS = 1;
export const SCM_CREDENTIALS = 2;
/** /proc/sys/net/core/somaxconn */
export const SOMAXCONN = 4096;
/** Most fds in one SCM_RIGHTS message. */
export const SCM_MAX_FD = 253;
export const INADDR_ANY = 0;
export const INADDR_LOOPBACK = 0x7f000001;
export const INADDR_BROADCAST = 0xffffffff;

export const addressFamilies: ChoiceTable = {
  prefix: "AF_",
  values: { AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK },
  aliases: { AF_LOCAL: AF_UNIX, PF_UNIX: AF_UNIX, PF_INET: AF_INET, PF_INET6: AF_INET6 },
};
export const socketTypes: FlagTable = {
  prefix: "SOCK_",
  choices: { mask: SOCK_TYPE_MASK, values: { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET } },
  flags: { SOCK_CLOEXEC, SOCK_NONBLOCK },
};
/** accept4(2) */
export const acceptFlags: FlagTable = { prefix: "SOCK_", flags: { SOCK_CLOEXEC, SOCK_NONBLOCK } };
export const ipProtocols: ChoiceTable = {
  prefix: "IPPROTO_",
  values: { IPPROTO_IP, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6, IPPROTO_RAW, IPPROTO_MPTCP },
};
export const socketLevels: ChoiceTable = {
  prefix: "SOL_",
  values: { SOL_IP, SOL_SOCKET, SOL_TCP, SOL_UDP, SOL_IPV6, SOL_RAW },
  aliases: { IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6 },
};
const socketLevelOptions: ChoiceTable = {
  prefix: "SO_",
  values: {
    SO_DEBUG, SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_OOBINLINE,
    SO_NO_CHECK, SO_PRIORITY, SO_LINGER, SO_BSDCOMPAT, SO_REUSEPORT, SO_PASSCRED, SO_PEERCRED, SO_RCVLOWAT, SO_SNDLOWAT,
    SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD, SO_BINDTODEVICE, SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_PEERNAME, SO_TIMESTAMP_OLD,
    SO_ACCEPTCONN, SO_PEERSEC, SO_SNDBUFFORCE, SO_RCVBUFFORCE, SO_PASSSEC, SO_TIMESTAMPNS_OLD, SO_MARK, SO_PROTOCOL, SO_DOMAIN,
    SO_PEEK_OFF, SO_INCOMING_CPU, SO_BUSY_POLL, SO_COOKIE, SO_PEERGROUPS, SO_ZEROCOPY,
  },
  aliases: { SO_RCVTIMEO: SO_RCVTIMEO_OLD, SO_SNDTIMEO: SO_SNDTIMEO_OLD, SO_TIMESTAMP: SO_TIMESTAMP_OLD, SO_TIMESTAMPNS: SO_TIMESTAMPNS_OLD },
};
const tcpOptions: ChoiceTable = {
  prefix: "TCP_",
  values: {
    TCP_NODELAY, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2, TCP_DEFER_ACCEPT,
    TCP_WINDOW_CLAMP, TCP_INFO, TCP_QUICKACK, TCP_CONGESTION, TCP_USER_TIMEOUT, TCP_FASTOPEN,
  },
};
const ipOptions: ChoiceTable = {
  prefix: "IP_",
  values: {
    IP_TOS, IP_TTL, IP_HDRINCL, IP_OPTIONS, IP_RECVERR, IP_PKTINFO, IP_MTU_DISCOVER, IP_MTU, IP_FREEBIND, IP_TRANSPARENT,
    IP_BIND_ADDRESS_NO_PORT,
  },
};
const noOptions: ChoiceTable = { prefix: "SO_", values: {} };
const optionsByLevel: Readonly<Record<number, ChoiceTable>> = {
  [SOL_SOCKET]: socketLevelOptions,
  [SOL_TCP]: tcpOptions,
  [SOL_IP]: ipOptions,
  [SOL_IPV6]: { prefix: "IPV6_", values: { IPV6_V6ONLY } },
};
/** The names of getsockopt's optname at one level. */
export const socketOptions = (level: number): ChoiceTable => optionsByLevel[level] ?? noOptions;
/** The names of every level together, for reading one before its level is known; they do not clash. */
export const allSocketOptions: ChoiceTable = {
  prefix: "SO_",
  values: {},
  aliases: Object.assign({}, ...Object.values(optionsByLevel).map((table) => ({ ...table.values, ...table.aliases }))) as Record<string, number>,
};
export const msgFlags: FlagTable = {
  prefix: "MSG_",
  flags: {
    MSG_OOB, MSG_PEEK, MSG_DONTROUTE, MSG_CTRUNC, MSG_PROXY, MSG_TRUNC, MSG_DONTWAIT, MSG_EOR, MSG_WAITALL, MSG_FIN, MSG_SYN,
    MSG_CONFIRM, MSG_RST, MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_MORE, MSG_WAITFORONE, MSG_ZEROCOPY, MSG_FASTOPEN, MSG_CMSG_CLOEXEC,
  },
};
export const shutdownHow: ChoiceTable = { prefix: "SHUT_", values: { SHUT_RD, SHUT_WR, SHUT_RDWR } };
export const scmTypes: ChoiceTable = { prefix: "SCM_", values: { SCM_RIGHTS, SCM_CREDENTIALS } };
