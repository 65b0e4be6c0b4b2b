/** The receive window of a TCP connection, and how it grows under a reader that keeps up (tcp_rcv_space_adjust). */
import type { Kernel } from "../kernel.ts";
import { now } from "../time/clock.ts";
import { dataReady, tcpOf, underPressure, type Socket } from "./socket.ts";

/** MSS of a connection over the loopback: its MTU of 65,536 less the headers with time stamps. */
export const MSS = 65_483;
/** What a receiver takes the sender's segments to have at least (icsk_ack.rcv_mss). */
const RCV_MSS = 536;
/** What a socket may always queue, however much memory all of them hold (tcp_wmem[0]). */
export const LEAST = 4096;
/** tcp_rmem[2]. Differs from Linux: small machines have as much. */
const RCVBUF_MAX = 6_291_456;
/** What one full segment takes of a receive buffer whose half is for data. */
const SEGMENT_MEMORY = 131_072;
/** Time stamps of a millisecond tell no shorter round trip. */
const ROUND_TRIP_NS = 1_000_000;

/** Bytes that the receiver still admits: half of SO_RCVBUF is for data (tcp_adv_win_scale 1). */
export function windowOf(k: Kernel, socket: Socket): number {
  const window = underPressure(k) ? LEAST : socket.options.rcvbuf >> 1;
  return window - tcpOf(socket).receive.length;
}

/** Bytes of free room that are worth telling the sender of (silly-window avoidance, __tcp_select_window). */
export function worthTelling(k: Kernel, { options: { rcvbuf } }: Socket): number {
  const worth = Math.max(Math.min(rcvbuf >> 2, MSS >> 1), rcvbuf >> 5);
  // Under pressure the window never opens farther than this.
  return underPressure(k) ? Math.min(worth, LEAST) : worth;
}

/** Enough came for a reader: SO_RCVLOWAT, or as much as there is room for (tcp_epollin_ready). `beside`: bytes that do not count. */
export function readable(k: Kernel, socket: Socket, beside = 0): boolean {
  const { length } = tcpOf(socket).receive;
  return length > 0 && (length >= socket.options.rcvLowat + beside || windowOf(k, socket) <= RCV_MSS);
}

/** Bytes came: readers are woken once there is enough for them (tcp_data_ready). */
export function bytesCame(k: Kernel, socket: Socket): void {
  if (readable(k, socket) || tcpOf(socket).done) dataReady(k, socket);
}

/** SO_RCVLOWAT (tcp_set_rcvlowat): at most half of the largest buffer; one whose size nobody has set grows with it. */
export function setRcvLowat(k: Kernel, socket: Socket, value: number): void {
  const { options } = socket;
  const fixed = options.stored.has("rcvbuf");
  options.rcvLowat = Math.min(value, (fixed ? options.rcvbuf : RCVBUF_MAX) >> 1) || 1;
  if (!fixed) options.rcvbuf = Math.max(options.rcvbuf, options.rcvLowat * 2);
  bytesCame(k, socket);
}

/**
 * The reader took `copied` bytes. When it took more in a round trip than in any before, the buffer grows to twice that and
 * a lead, as long as nobody has set SO_RCVBUF.
 */
export function adjustWindow(k: Kernel, socket: Socket, copied: number): void {
  const { measure } = tcpOf(socket);
  measure.copied += copied;
  if (now(k) - measure.sinceNs < ROUND_TRIP_NS) return;
  if (measure.copied > measure.most) {
    if (!socket.options.stored.has("rcvbuf")) {
      const window = 2 * measure.copied + 16 * MSS;
      const growth = Math.floor((window * (measure.copied - measure.most)) / measure.most);
      const rcvbuf = Math.floor((window + 2 * growth) / MSS) * SEGMENT_MEMORY;
      socket.options.rcvbuf = Math.max(socket.options.rcvbuf, Math.min(rcvbuf, RCVBUF_MAX));
    }
    measure.most = measure.copied;
  }
  measure.copied = 0;
  measure.sinceNs = now(k);
}
