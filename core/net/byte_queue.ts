/** A queue of bytes in chunks: appending and dropping cost what they move, however long the queue is. */
import { copyBytes } from "../lib/bytes.ts";

/** Small pieces share a chunk of this size; a larger piece gets one of its own. */
const CHUNK = 4096;
/** What a queue begins with that gets little: many connections only ever carry a line at a time. */
const FIRST_CHUNK = 256;

export interface ByteQueue {
  chunks: Uint8Array[];
  /** Where the first byte lies in the first chunk, and where the last chunk's bytes end. */
  start: number;
  end: number;
  /** Bytes in the queue. */
  length: number;
}

export function byteQueue(): ByteQueue {
  return { chunks: [], start: 0, end: 0, length: 0 };
}

/** Copies `bytes` to the end of the queue. */
export function append(queue: ByteQueue, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  queue.length += bytes.length;
  const { chunks } = queue;
  let taken = 0;
  if (chunks.length > 0) {
    const last = chunks[chunks.length - 1];
    const room = last.length - queue.end;
    if (room > 0) {
      taken = Math.min(room, bytes.length);
      copyBytes(bytes, 0, last, queue.end, taken);
      queue.end += taken;
      if (taken === bytes.length) return;
    }
  }
  const left = bytes.length - taken;
  const chunk = chunks.length === 0 && bytes.length <= FIRST_CHUNK / 4 ? firstChunk(left) : emptyChunk(left);
  copyBytes(bytes, taken, chunk, 0, left);
  chunks.push(chunk);
  queue.end = left;
}

/** Chunks that queues have emptied, for the next that need one: what flows through queues costs no memory. Nothing of the state. */
const emptied: Uint8Array[] = [];
const EMPTIED_MAX = 64;

/** The same of first chunks, as queues are cleared: a connection that comes and goes costs none. */
const cleared: Uint8Array[] = [];
const CLEARED_MAX = 2048;

function firstChunk(count: number): Uint8Array {
  return cleared.pop()?.fill(0, count) ?? new Uint8Array(FIRST_CHUNK);
}

/** A chunk whose first `count` bytes will be written at once, zeros behind them: what an earlier owner left must be seen nowhere. */
function emptyChunk(count: number): Uint8Array {
  const chunk = count <= CHUNK ? emptied.pop() : undefined;
  return chunk === undefined ? new Uint8Array(Math.max(CHUNK, count)) : chunk.fill(0, count);
}

/** How many of the queue's first bytes lie together, from `start` of its first chunk on; at most `max`. */
export function frontLength({ chunks, start, end }: ByteQueue, max: number): number {
  return chunks.length === 0 ? 0 : Math.min((chunks.length === 1 ? end : chunks[0].length) - start, max);
}

/** The queue's first bytes that lie together, a view that lasts until the queue changes; at most `max`. */
export function front(queue: ByteQueue, max: number): Uint8Array {
  const { chunks, start } = queue;
  return chunks.length === 0 ? EMPTY : chunks[0].subarray(start, start + frontLength(queue, max));
}

const EMPTY = new Uint8Array(0);

/** Takes `count` bytes off the front; there are as many. */
export function drop(queue: ByteQueue, count: number): void {
  queue.length -= count;
  let left = count;
  while (left > 0) {
    const end = queue.chunks.length === 1 ? queue.end : queue.chunks[0].length;
    if (left < end - queue.start) {
      queue.start += left;
      return;
    }
    left -= end - queue.start;
    queue.start = 0;
    if (queue.chunks.length > 1) {
      const chunk = queue.chunks.shift();
      if (chunk !== undefined && chunk.length === CHUNK && emptied.length < EMPTIED_MAX) emptied.push(chunk);
    } else {
      // An ordinary chunk is kept for the next bytes: a ping-pong allocates nothing.
      if (queue.chunks[0].length > CHUNK) queue.chunks.pop();
      queue.end = 0;
    }
  }
}

/** A copy of up to `count` bytes from `skip` bytes behind the front on. */
export function copyOut(queue: ByteQueue, count: number, skip = 0): Uint8Array {
  const { chunks } = queue;
  const bytes = new Uint8Array(Math.max(0, Math.min(count, queue.length - skip)));
  let passed = skip;
  let done = 0;
  for (let index = 0; done < bytes.length; index++) {
    const start = index === 0 ? queue.start : 0;
    const held = (index === chunks.length - 1 ? queue.end : chunks[index].length) - start;
    if (passed >= held) {
      passed -= held;
      continue;
    }
    const from = start + passed;
    const piece = Math.min(held - passed, bytes.length - done);
    bytes.set(chunks[index].subarray(from, from + piece), done);
    done += piece;
    passed = 0;
  }
  return bytes;
}

/** Moves up to `count` bytes from the front of one queue to the end of another; answers how many. */
export function move(from: ByteQueue, into: ByteQueue, count: number): number {
  let left = Math.min(count, from.length);
  const moved = left;
  while (left > 0) {
    const piece = front(from, left);
    append(into, piece);
    left -= piece.length;
    drop(from, piece.length);
  }
  return moved;
}

/** Forgets all bytes. */
export function clear(queue: ByteQueue): void {
  const [first] = queue.chunks;
  if (first?.length === FIRST_CHUNK && cleared.length < CLEARED_MAX) cleared.push(first);
  if (queue.chunks.length > 0) queue.chunks = [];
  queue.start = 0;
  queue.end = 0;
  queue.length = 0;
}
