/** Options of sockets that are checked, remembered and told, and change nothing here (socket(7), tcp(7), ip(7), udp(7)). */
import {
  IP_BIND_ADDRESS_NO_PORT, IP_CHECKSUM, IP_FREEBIND, IP_MINTTL, IP_MTU_DISCOVER, IP_ORIGDSTADDR, IP_PASSSEC, IP_PKTINFO, IP_RECVERR, IP_RECVOPTS,
  IP_RECVTOS, IP_RECVTTL, IP_RETOPTS, IP_TOS, IP_TRANSPARENT, IP_TTL, SO_BINDTOIFINDEX, SO_BUSY_POLL, SO_DEBUG, SO_DONTROUTE,
  SO_INCOMING_CPU, SO_MARK, SO_NOFCS, SO_NO_CHECK, SO_OOBINLINE, SO_PASSSEC, SO_PRIORITY, SO_RXQ_OVFL, SO_SELECT_ERR_QUEUE,
  SO_TIMESTAMP_NEW, SO_TIMESTAMP_OLD, SO_TIMESTAMPNS_NEW, SO_TIMESTAMPNS_OLD, SO_WIFI_STATUS, TCP_CORK, TCP_FASTOPEN, TCP_KEEPCNT,
  TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_NOTSENT_LOWAT, TCP_QUICKACK, TCP_SAVE_SYN, TCP_SYNCNT, TCP_THIN_LINEAR_TIMEOUTS, TCP_USER_TIMEOUT,
} from "../abi/socket.ts";

/** An option's value before it was set, what may be set (EINVAL outside), and whether any value but 0 reads as 1. */
export interface StoredOption {
  start: number;
  min: number;
  max: number;
  flag: boolean;
}

export type StoredOptions = { [option: number]: StoredOption };

const INT_MIN = -0x8000_0000;
const INT_MAX = 0x7fff_ffff;
/** Younger than the names of strace: include/uapi/asm-generic/socket.h, linux/tcp.h, linux/in.h, linux/udp.h. */
const [SO_PREFER_BUSY_POLL, SO_RCVMARK] = [69, 75];
const [TCP_FASTOPEN_CONNECT, TCP_INQ, TCP_TX_DELAY] = [30, 36, 37];
const [IP_MULTICAST_LOOP, IP_MULTICAST_ALL] = [34, 49];
const [UDP_CORK, UDP_NO_CHECK6_TX, UDP_NO_CHECK6_RX] = [1, 101, 102];

const flag = (start = 0): StoredOption => ({ start, min: INT_MIN, max: INT_MAX, flag: true });
const value = (start = 0, min = INT_MIN, max = INT_MAX): StoredOption => ({ start, min, max, flag: false });

export const socketStored: StoredOptions = {
  [SO_DEBUG]: flag(), [SO_DONTROUTE]: flag(), [SO_OOBINLINE]: flag(), [SO_NO_CHECK]: flag(), [SO_PRIORITY]: value(),
  [SO_TIMESTAMP_OLD]: flag(), [SO_TIMESTAMPNS_OLD]: flag(), [SO_TIMESTAMP_NEW]: flag(), [SO_TIMESTAMPNS_NEW]: flag(),
  [SO_PASSSEC]: flag(), [SO_MARK]: value(), [SO_RXQ_OVFL]: flag(), [SO_SELECT_ERR_QUEUE]: flag(), [SO_BUSY_POLL]: value(),
  [SO_INCOMING_CPU]: value(-1), [SO_WIFI_STATUS]: flag(), [SO_NOFCS]: flag(), [SO_BINDTOIFINDEX]: value(0, 0),
  [SO_PREFER_BUSY_POLL]: flag(), [SO_RCVMARK]: flag(),
};

export const tcpStored: StoredOptions = {
  [TCP_CORK]: flag(), [TCP_KEEPIDLE]: value(7200, 1, 32767), [TCP_KEEPINTVL]: value(75, 1, 32767), [TCP_KEEPCNT]: value(9, 1, 127),
  [TCP_SYNCNT]: value(6, 1, 127), [TCP_USER_TIMEOUT]: value(0, 0), [TCP_QUICKACK]: flag(1), [TCP_NOTSENT_LOWAT]: value(),
  [TCP_THIN_LINEAR_TIMEOUTS]: value(0, 0, 1), [TCP_FASTOPEN]: value(0, 0), [TCP_SAVE_SYN]: value(0, 0, 2),
  [TCP_FASTOPEN_CONNECT]: value(0, 0, 1), [TCP_INQ]: value(0, 0, 1), [TCP_TX_DELAY]: value(0, 0),
};

export const ipStored: StoredOptions = {
  [IP_TOS]: value(0, 0, 255), [IP_TTL]: value(64, -1, 255), [IP_RECVERR]: flag(), [IP_PKTINFO]: flag(), [IP_RECVTTL]: flag(),
  [IP_RECVTOS]: flag(), [IP_FREEBIND]: flag(), [IP_MTU_DISCOVER]: value(1, 0, 5), [IP_BIND_ADDRESS_NO_PORT]: flag(),
  [IP_TRANSPARENT]: flag(), [IP_RECVOPTS]: flag(), [IP_RETOPTS]: flag(), [IP_PASSSEC]: flag(), [IP_ORIGDSTADDR]: flag(),
  [IP_MINTTL]: value(0, 0, 255), [IP_CHECKSUM]: flag(), [IP_MULTICAST_LOOP]: flag(1), [IP_MULTICAST_ALL]: value(1, 0, 1),
};

export const udpStored: StoredOptions = { [UDP_CORK]: flag(), [UDP_NO_CHECK6_TX]: flag(), [UDP_NO_CHECK6_RX]: flag() };

/** IP options that need at least a byte; the others take an empty value as 0. */
export const ipNeedsValue: readonly number[] = [IP_TTL, IP_FREEBIND, IP_MINTTL, IP_TRANSPARENT, IP_MULTICAST_LOOP, IP_MULTICAST_ALL];

/** TCP_DEFER_ACCEPT is kept as a number of retransmissions (secs_to_retrans, retrans_to_secs): seconds as they are told back. */
export function deferAcceptSeconds(seconds: number): number {
  if (seconds <= 0) return 0;
  let period = 1;
  for (let retransmission = 1, timeout = 1; seconds > period && retransmission < 255; retransmission++) {
    timeout = Math.min(timeout * 2, 120);
    period += timeout;
  }
  return period;
}
