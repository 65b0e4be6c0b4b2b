/** Ring buffers whose size is a power of two, one place always empty (include/linux/circ_buf.h). */

/** `head` is where the next item is put, `tail` where the next is taken. */
export interface CircBuf {
  buf: Uint8Array;
  head: number;
  tail: number;
}

export const newCircBuf = (size: number): CircBuf => ({ buf: new Uint8Array(size), head: 0, tail: 0 });

/** Items in the buffer. */
export const CIRC_CNT = (head: number, tail: number, size: number): number => (head - tail) & (size - 1);
/** Items that still fit: 0…size-1. */
export const CIRC_SPACE = (head: number, tail: number, size: number): number => CIRC_CNT(tail, head + 1, size);

/** Items that can be taken before the end of the memory. */
export function CIRC_CNT_TO_END(head: number, tail: number, size: number): number {
  const end = size - tail;
  const count = (head + end) & (size - 1);
  return count < end ? count : end;
}

/** Items that can be put before the end of the memory. */
export function CIRC_SPACE_TO_END(head: number, tail: number, size: number): number {
  const end = size - 1 - head;
  const space = (end + tail) & (size - 1);
  return space <= end ? space : end + 1;
}
