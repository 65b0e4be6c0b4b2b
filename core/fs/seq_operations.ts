/** Files of many records, made one by one as they are read: start, next, stop and show (Documentation/filesystems/seq_file.rst). */
import { EFAULT, EINVAL, ENOMEM } from "../abi/errno.ts";
import { SEEK_CUR, SEEK_SET } from "../abi/fcntl.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { concatBytes } from "../lib/bytes.ts";
import { copyToUser } from "../mm/usercopy.ts";
import { printk } from "../sched/printk.ts";
import type { FileOperations, OpenFile } from "./file.ts";
import { seqBytes } from "./seq_file.ts";

const INFO = 6;

/** `show` answers this for a record that is to leave no text. */
export const SEQ_SKIP = "";

/** Where an iterator stands; `next` must move it on. */
export interface SeqIndex {
  index: number;
}

/**
 * How one goes through the records. `V` is what stands for one while a read lasts; null is the end, a number an errno.
 * Each read starts anew at the index where the last one stopped.
 */
export interface SeqOperations<V> {
  start(k: Kernel, at: SeqIndex): V | number | null;
  next(k: Kernel, value: V, at: SeqIndex): V | number | null;
  /** Runs once after each start, whatever that gave. */
  stop(k: Kernel, value: V | null): void;
  /** Its text, one character a byte, or an errno. */
  show(k: Kernel, value: V): string | number;
}

/** SEQ_START_TOKEN: stands for the header line before the first record. */
export const SEQ_START_TOKEN = "SEQ_START_TOKEN";

/** What an open file keeps: text that was made and not read, where the iterator goes on, where the next read is expected. */
interface SeqState {
  rest: Uint8Array;
  index: number;
  readPos: number;
  /** Bytes of the buffer: a page, doubled until a record fits. */
  size: number;
}

/** The largest buffer for one record (KMALLOC_MAX_SIZE). */
const LARGEST = 4 << 20;

const isErrno = (value: unknown): value is number => typeof value === "number";

/**
 * Makes text from the index on: the first record whatever its size, and what fits the buffer beside it. An errno when not even
 * the first one could be made.
 */
function fill<V>(k: Kernel, operations: SeqOperations<V>, data: SeqState, wanted: number): number {
  const at: SeqIndex = { index: data.index };
  const parts: Uint8Array[] = [];
  let made = 0;
  let error = 0;
  let value = operations.start(k, at);
  while (value !== null) {
    if (isErrno(value)) {
      error = value;
      break;
    }
    const shown = operations.show(k, value);
    if (isErrno(shown)) {
      error = shown;
      break;
    }
    const bytes = seqBytes(shown);
    while (made === 0 && bytes.length >= data.size && data.size < LARGEST) data.size *= 2;
    if (made === 0 && bytes.length >= data.size) {
      error = -ENOMEM;
      break;
    }
    // A record that does not fit beside the others is left for the next read.
    if (made > 0 && made + bytes.length >= data.size) break;
    parts.push(bytes);
    made += bytes.length;
    value = step(k, operations, value, at);
    if (made > 0 && made >= wanted) break;
  }
  operations.stop(k, value === null || isErrno(value) ? null : value);
  data.index = at.index;
  data.rest = concatBytes(...parts);
  return made === 0 ? error : 0;
}

/** Goes to the next record; one whose `next` stands still is told of, and moved. */
function step<V>(k: Kernel, operations: SeqOperations<V>, value: V, at: SeqIndex): V | number | null {
  const before = at.index;
  const next = operations.next(k, value, at);
  if (at.index === before) {
    printk(k, INFO, `seq_file: buggy .next function ${operations.next.name} did not update position index`);
    at.index++;
  }
  return next;
}

/** Makes the text anew up to `offset`, which the reader jumped to. */
function traverse<V>(k: Kernel, operations: SeqOperations<V>, data: SeqState, offset: number): number {
  data.index = 0;
  data.rest = new Uint8Array(0);
  let pos = 0;
  while (pos < offset) {
    const error = fill(k, operations, data, Infinity);
    if (error < 0) return error;
    if (data.rest.length === 0) break;
    const skipped = Math.min(data.rest.length, offset - pos);
    data.rest = data.rest.slice(skipped);
    pos += skipped;
  }
  data.readPos = offset;
  return 0;
}

/** seq_open: the operations of such a file; further ones, such as `write` and `owner`, are added beside them. */
export function seqOpen<V>(operations: SeqOperations<V>): FileOperations {
  const stateOf = (file: OpenFile): SeqState => file.data as SeqState;
  return {
    open: (_k, _task, file) => {
      file.data = { rest: new Uint8Array(0), index: 0, readPos: 0, size: PAGE_SIZE } satisfies SeqState;
      return 0;
    },
    read: (k, task, file, buf, count, at) => {
      const data = stateOf(file);
      const pos = Number(at.pos);
      if (pos === 0) traverse(k, operations, data, 0);
      else if (pos !== data.readPos) {
        const error = traverse(k, operations, data, pos);
        if (error < 0) return error;
      }
      const finish = (copied: number): number => {
        at.pos = pos + copied;
        data.readPos = pos + copied;
        return copied;
      };
      // What the last read left, then fresh records: a read gives at most what was left and one buffer.
      let copied = 0;
      for (const fresh of [false, true]) {
        if (count === copied) break;
        const error = fresh ? fill(k, operations, data, count - copied) : 0;
        if (error < 0) return copied > 0 ? finish(copied) : error;
        if (data.rest.length === 0) continue;
        const moved = copyToUser(k, task, typeof buf === "bigint" ? buf + BigInt(copied) : buf + copied, data.rest.subarray(0, count - copied));
        if (moved < 0) return copied > 0 ? finish(copied) : -EFAULT;
        data.rest = data.rest.slice(moved);
        copied += moved;
        if (data.rest.length > 0) break;
      }
      return finish(copied);
    },
    llseek: (k, _task, file, offset, whence) => {
      const data = stateOf(file);
      const to = whence === SEEK_SET ? Number(offset) : whence === SEEK_CUR ? Number(file.pos) + Number(offset) : -1;
      if (!(to >= 0)) return -EINVAL;
      if (to !== data.readPos) {
        const error = traverse(k, operations, data, to);
        if (error < 0) {
          traverse(k, operations, data, 0);
          file.pos = 0;
          return error;
        }
      }
      file.pos = to;
      return to;
    },
    view: (k) => whole(k, operations),
  };
}

/** All of it, for a view. */
function whole<V>(k: Kernel, operations: SeqOperations<V>): string | number {
  const at: SeqIndex = { index: 0 };
  let text = "";
  let value = operations.start(k, at);
  while (value !== null && !isErrno(value) && text.length < LARGEST) {
    const shown = operations.show(k, value);
    if (isErrno(shown)) break;
    text += shown;
    const before = at.index;
    value = operations.next(k, value, at);
    if (at.index === before) at.index++;
  }
  operations.stop(k, value === null || isErrno(value) ? null : value);
  return text;
}
