/** TCP_INFO: what a connection knows of itself (struct tcp_info of Linux 6.1, 232 bytes; tcp_get_info). */
import { SOL_TCP, TCP_MAXSEG } from "../abi/socket.ts";
import type { Kernel } from "../kernel.ts";
import { putU32, putU64 } from "../lib/bytes.ts";
import { peerOf } from "./tcp_close.ts";
import { tcpOf, type Socket } from "./socket.ts";
import { TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT } from "./tcp_states.ts";
import { MSS, windowOf } from "./tcp_window.ts";

const SIZE = 232;
/** TCPI_OPT_TIMESTAMPS, _SACK and _WSCALE; both sides scale their windows by 7 bits. */
const OPTIONS = 7;
const SCALES = 0x77;
const NO_LIMIT = 0xffff_ffff_ffff_ffffn;
const CWND = 10;
const REORDERING = 3;
const SSTHRESH_NONE = 0x7fff_ffff;
/** Microseconds: the least timeout and a tick of 250 Hz, and the timeout before anything was measured. */
const RTO = 204_000;
const RTO_INIT = 1_000_000;
const RTTVAR_INIT = 250_000;
const LOOPBACK_MTU = 65_535;
/** The headers of a SYN have no time stamps in them yet. */
const RCV_SSTHRESH = 65_483;
const MSS_DEFAULT = 536;

/** Where the fields stand, in bytes. */
const AT = {
  state: 0, options: 5, scales: 6, limits: 7, rto: 8, sndMss: 16, rcvMss: 20, unacked: 24, sacked: 28, pmtu: 60, rcvSsthresh: 64, rtt: 68, rttvar: 72,
  ssthresh: 76, cwnd: 80, advmss: 84, reordering: 88, rcvSpace: 96, pacing: 104, maxPacing: 112, acked: 120, received: 128, segsOut: 136, segsIn: 140,
  notSent: 144, minRtt: 148, dataSegsIn: 152, dataSegsOut: 156, delivered: 192, sent: 200, sndWnd: 228,
} as const;

/** The bytes of struct tcp_info. Differs from Linux: round trips take a microsecond, rates are not measured, segments are counted from the bytes. */
export function tcpInfo(k: Kernel, socket: Socket): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const put = (at: keyof typeof AT, value: number): void => putU32(bytes, AT[at], value);
  const tcp = tcpOf(socket);
  bytes[AT.state] = socket.sk;
  putU64(bytes, AT.pacing, NO_LIMIT);
  putU64(bytes, AT.maxPacing, NO_LIMIT);
  put("cwnd", CWND);
  put("reordering", REORDERING);
  if (socket.sk === TCP_LISTEN) {
    put("unacked", tcp.acceptQueue.length);
    put("sacked", tcp.backlog);
    return bytes;
  }
  // The rate of delivery is limited by the program, not by the network.
  bytes[AT.limits] = 1;
  put("ssthresh", SSTHRESH_NONE);
  if (socket.sk === TCP_CLOSE || socket.sk === TCP_SYN_SENT) {
    put("rto", RTO_INIT);
    put("rttvar", RTTVAR_INIT);
    put("sndMss", socket.options.stored.get(`${SOL_TCP}:${TCP_MAXSEG}`) || MSS_DEFAULT);
    return bytes;
  }
  return connected(k, socket, bytes, put);
}

function connected(k: Kernel, socket: Socket, bytes: Uint8Array, put: (at: keyof typeof AT, value: number) => void): Uint8Array {
  const { written, taken, send, receive } = tcpOf(socket);
  const sent = written - send.length;
  const received = taken + receive.length;
  const [segmentsOut, segmentsIn] = [Math.ceil(sent / MSS), Math.ceil(received / MSS)];
  bytes[AT.options] = OPTIONS;
  bytes[AT.scales] = SCALES;
  put("rto", RTO);
  put("sndMss", MSS >> 1);
  put("rcvMss", MSS_DEFAULT);
  put("pmtu", LOOPBACK_MTU);
  put("rcvSsthresh", RCV_SSTHRESH);
  put("rtt", 1);
  put("rttvar", 1);
  put("advmss", MSS);
  put("rcvSpace", RCV_SSTHRESH);
  // The SYN counts as a byte and a segment.
  putU64(bytes, AT.acked, sent + 1);
  putU64(bytes, AT.received, received);
  put("segsOut", segmentsOut + segmentsIn + 1);
  put("segsIn", segmentsOut + segmentsIn + 1);
  put("notSent", send.length);
  put("minRtt", 1);
  put("dataSegsIn", segmentsIn);
  put("dataSegsOut", segmentsOut);
  put("delivered", segmentsOut + 1);
  putU64(bytes, AT.sent, sent);
  const peer = peerOf(k, socket);
  put("sndWnd", peer === null ? 0 : Math.max(0, windowOf(k, peer)));
  return bytes;
}
