/** The kernel's fifo: a ring of elements, or of records with a length in front (lib/kfifo.c). */
import { EINVAL } from "../abi/errno.ts";

/** `in` and `out` count elements (bytes, for records) and wrap at 2^32; their place is the low bits. */
export interface Kfifo {
  in: number;
  out: number;
  mask: number;
  /** Bytes of an element. */
  esize: number;
  /** Bytes of the length before a record: 0, 1 or 2. */
  recsize: number;
  /** Null before kfifoAlloc and after kfifoFree. */
  data: Uint8Array | null;
}

/** A fifo that has no memory yet; records have elements of one byte. */
export const newKfifo = ({ esize = 1, recsize = 0 } = {}): Kfifo => ({ in: 0, out: 0, mask: 0, esize, recsize, data: null });

const roundUp = (size: number): number => {
  let power = 1;
  while (power < size) power *= 2;
  return power;
};

/** Gives the fifo room for `size` elements, rounded up to a power of two: 0, or -EINVAL below two. */
export function kfifoAlloc(fifo: Kfifo, size: number): number {
  const rounded = roundUp(size);
  fifo.in = fifo.out = fifo.mask = 0;
  fifo.data = null;
  if (size < 1 || rounded < 2) return -EINVAL;
  fifo.mask = rounded - 1;
  fifo.data = new Uint8Array(rounded * fifo.esize);
  return 0;
}

/** Uses a buffer of `bytes` bytes, of which a power of two of elements, rounded down, is used: 0, or -EINVAL below two. */
export function kfifoInit(fifo: Kfifo, bytes: number): number {
  const size = Math.floor(bytes / fifo.esize);
  const rounded = roundUp(size) === size ? size : roundUp(size) / 2;
  return kfifoAlloc(fifo, rounded);
}

export function kfifoFree(fifo: Kfifo): void {
  fifo.in = fifo.out = fifo.mask = 0;
  fifo.data = null;
}

export const kfifoInitialized = (fifo: Kfifo): boolean => fifo.mask !== 0;
/** In elements. */
export const kfifoSize = (fifo: Kfifo): number => fifo.mask + 1;
export const kfifoEsize = (fifo: Kfifo): number => fifo.esize;
/** Elements used; in a record fifo, bytes with their lengths. */
export const kfifoLen = (fifo: Kfifo): number => (fifo.in - fifo.out) >>> 0;
export const kfifoIsEmpty = (fifo: Kfifo): boolean => fifo.in === fifo.out;
export const kfifoIsFull = (fifo: Kfifo): boolean => kfifoLen(fifo) > fifo.mask;

const maxRecord = (fifo: Kfifo): number => (1 << (8 * fifo.recsize)) - 1;
const unused = (fifo: Kfifo): number => kfifoSize(fifo) - kfifoLen(fifo);

/** Elements that fit; in a record fifo, the longest record that fits. */
export function kfifoAvail(fifo: Kfifo): number {
  if (fifo.recsize === 0) return unused(fifo);
  return Math.max(0, Math.min(unused(fifo) - fifo.recsize, maxRecord(fifo)));
}

export function kfifoReset(fifo: Kfifo): void {
  fifo.in = fifo.out = 0;
}

/** Drops all, for the reader's side alone. */
export function kfifoResetOut(fifo: Kfifo): void {
  fifo.out = fifo.in;
}

/** Copies whole elements in at position `at`, which may wrap. */
function copyIn(fifo: Kfifo, at: number, bytes: Uint8Array): void {
  if (fifo.data === null) return;
  const start = (at & fifo.mask) * fifo.esize;
  const first = Math.min(bytes.length, fifo.data.length - start);
  fifo.data.set(bytes.subarray(0, first), start);
  fifo.data.set(bytes.subarray(first), 0);
}

function copyOut(fifo: Kfifo, at: number, elements: number): Uint8Array {
  const bytes = new Uint8Array(elements * fifo.esize);
  if (fifo.data === null) return bytes;
  const start = (at & fifo.mask) * fifo.esize;
  const first = Math.min(bytes.length, fifo.data.length - start);
  bytes.set(fifo.data.subarray(start, start + first), 0);
  bytes.set(fifo.data.subarray(0, bytes.length - first), first);
  return bytes;
}

/** The length that stands before the record at `out`. */
function recordLength(fifo: Kfifo): number {
  const head = copyOut(fifo, fifo.out, fifo.recsize);
  return head[0] | (fifo.recsize > 1 ? head[1] << 8 : 0);
}

/** Bytes of the next record, or of all that is there in a fifo without records. */
export function kfifoPeekLen(fifo: Kfifo): number {
  if (fifo.recsize === 0) return kfifoLen(fifo) * fifo.esize;
  return kfifoIsEmpty(fifo) ? 0 : recordLength(fifo);
}

/** Puts elements: as many as fit, whose number is answered. A record goes in whole or not at all. */
export function kfifoIn(fifo: Kfifo, bytes: Uint8Array): number {
  const count = Math.floor(bytes.length / fifo.esize);
  if (fifo.recsize === 0) {
    const taken = Math.min(count, unused(fifo));
    copyIn(fifo, fifo.in, bytes.subarray(0, taken * fifo.esize));
    fifo.in = (fifo.in + taken) >>> 0;
    return taken;
  }
  if (count + fifo.recsize > unused(fifo)) return 0;
  copyIn(fifo, fifo.in, new Uint8Array([count, count >>> 8]).subarray(0, fifo.recsize));
  copyIn(fifo, fifo.in + fifo.recsize, bytes);
  fifo.in = (fifo.in + fifo.recsize + count) >>> 0;
  return count;
}

/** A copy of at most `count` elements, or of the first bytes of the next record, which stay. */
export function kfifoOutPeek(fifo: Kfifo, count: number): Uint8Array {
  if (fifo.recsize === 0) return copyOut(fifo, fifo.out, Math.min(count, kfifoLen(fifo)));
  if (kfifoIsEmpty(fifo)) return new Uint8Array(0);
  return copyOut(fifo, fifo.out + fifo.recsize, Math.min(count, recordLength(fifo)));
}

/** Takes at most `count` elements. What is left of a record that was read short is dropped. */
export function kfifoOut(fifo: Kfifo, count: number): Uint8Array {
  const bytes = kfifoOutPeek(fifo, count);
  kfifoSkipCount(fifo, bytes.length / fifo.esize);
  return bytes;
}

/** Drops `count` elements, or one record; there must be that many. */
export function kfifoSkipCount(fifo: Kfifo, count: number): void {
  if (fifo.recsize === 0) fifo.out = (fifo.out + count) >>> 0;
  else if (!kfifoIsEmpty(fifo)) fifo.out = (fifo.out + recordLength(fifo) + fifo.recsize) >>> 0;
}

/** Drops one element or record. */
export const kfifoSkip = (fifo: Kfifo): void => kfifoSkipCount(fifo, 1);

/** An integer element of up to four bytes, little-endian. */
function elementBytes(fifo: Kfifo, value: number): Uint8Array {
  return Uint8Array.from({ length: fifo.esize }, (_, i) => (i < 4 ? value >>> (8 * i) : 0));
}

const elementValue = (bytes: Uint8Array): number =>
  ((bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8) | ((bytes[2] ?? 0) << 16) | ((bytes[3] ?? 0) << 24)) >>> 0;

/** Puts one integer: 1, or 0 when full. */
export const kfifoPut = (fifo: Kfifo, value: number): number => (kfifoIn(fifo, elementBytes(fifo, value)) > 0 ? 1 : 0);

/** Takes one unsigned integer; undefined when empty. */
export function kfifoGet(fifo: Kfifo): number | undefined {
  return kfifoIsEmpty(fifo) ? undefined : elementValue(kfifoOut(fifo, fifo.recsize === 0 ? 1 : fifo.esize));
}

/** Looks at the next integer, which stays; undefined when empty. */
export function kfifoPeek(fifo: Kfifo): number | undefined {
  return kfifoIsEmpty(fifo) ? undefined : elementValue(kfifoOutPeek(fifo, fifo.recsize === 0 ? 1 : fifo.esize));
}
