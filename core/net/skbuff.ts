/** What a buffer of the network really takes (skbuff.c): SO_SNDBUF and SO_RCVBUF count this, not the bytes in it. */

/** struct sk_buff, and the shared info behind its data. */
const SKB = 256;
const SHARED_INFO = 320;
const PAGE = 4096;
/** MAX_SKB_FRAGS pages. */
const FRAGS_MAX = 17 * PAGE;
/** The most that a linear buffer of order 2 holds (SKB_MAX_ALLOC). */
const MAX_ALLOC = 4 * PAGE - SHARED_INFO;
/** The most that one page holds (SKB_MAX_HEAD(0)), and the pages of a stream's buffer (UNIX_SKB_FRAGS_SZ). */
const MAX_HEAD = PAGE - SHARED_INFO;
const STREAM_FRAGS = 32_768;

/** The largest piece of a unix stream that becomes one buffer. */
export function streamPiece(sndbuf: number): number {
  return Math.min((sndbuf >> 1) - 64, MAX_HEAD + STREAM_FRAGS);
}

/** Bytes counted for one piece of a unix stream. */
export function streamTruesize(size: number): number {
  const over = Math.max(0, size - MAX_HEAD);
  const frags = Math.min(size, pages(over));
  return SKB + kmallocSize(size - frags) + pages(frags);
}

/** Bytes counted for one unix datagram. */
export function dgramTruesize(size: number): number {
  const frags = size > MAX_ALLOC ? Math.min(FRAGS_MAX, pages(size - MAX_ALLOC)) : 0;
  return SKB + kmallocSize(size - frags) + frags;
}

/** Bytes counted for one UDP datagram over the loopback, headers included. */
export function udpTruesize(size: number): number {
  return SKB + kmallocSize(size + 60);
}

function pages(size: number): number {
  return Math.ceil(size / PAGE) * PAGE;
}

/** What kmalloc gives for the data and the shared info: a power of two. */
function kmallocSize(size: number): number {
  const needed = Math.ceil(size / 64) * 64 + SHARED_INFO;
  let given = 512;
  while (given < needed) given *= 2;
  return given;
}
