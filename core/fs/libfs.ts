/** What small files are made of: reading from and writing to a buffer in memory, seeking in it (fs/libfs.c). */
import { EACCES, EFAULT, EINVAL } from "../abi/errno.ts";
import { SEEK_CUR, SEEK_END, SEEK_SET } from "../abi/fcntl.ts";
import type { Kernel } from "../kernel.ts";
import { copyFromUserPartial, copyToUser } from "../mm/usercopy.ts";
import type { Task } from "../sched/task.ts";
import type { Addr, FileOperations, OpenFile, Position } from "./file.ts";
import { bytesName } from "./names.ts";
import { seqBytes } from "./seq_file.ts";

/** Copies what lies at the position, at most `count` bytes: how many, 0 at the end, -EINVAL before the start, -EFAULT. */
export function simpleReadFromBuffer(k: Kernel, task: Task, to: Addr, count: number, at: Position, from: Uint8Array): number {
  const pos = Number(at.pos);
  if (pos < 0) return -EINVAL;
  if (pos >= from.length || count === 0) return 0;
  const copied = copyToUser(k, task, to, from.subarray(pos, pos + count));
  if (copied > 0) at.pos = pos + copied;
  return copied;
}

/** Copies to the position as much as fits: how many, 0 beyond the end, -EINVAL before the start, -EFAULT. */
export function simpleWriteToBuffer(k: Kernel, task: Task, to: Uint8Array, at: Position, from: Addr, count: number): number {
  const pos = Number(at.pos);
  if (pos < 0) return -EINVAL;
  if (pos >= to.length || count === 0) return 0;
  const bytes = copyFromUserPartial(k, task, from, Math.min(count, to.length - pos));
  if (bytes.length === 0) return -EFAULT;
  to.set(bytes, pos);
  at.pos = pos + bytes.length;
  return bytes.length;
}

/** Seeks in a file of `size` bytes, never beyond its end (fixed_size_llseek). */
export function fixedSizeLlseek(file: OpenFile, offset: number | bigint, whence: number, size: number): number {
  const from = whence === SEEK_SET ? 0 : whence === SEEK_CUR ? Number(file.pos) : whence === SEEK_END ? size : NaN;
  const to = from + Number(offset);
  if (!(to >= 0 && to <= size)) return -EINVAL;
  file.pos = to;
  return to;
}

/** A number that a file shows and takes; one of the two may be absent (struct simple_attr). */
export interface SimpleAttribute {
  get?(k: Kernel): number | bigint;
  /** 0 or an errno. */
  set?(k: Kernel, value: bigint): number;
  /** The text, newline included. */
  format(value: number | bigint): string;
  /** What a written text means: the number, or an errno. */
  parse(text: string): { value: bigint } | { errno: number };
}

/** Bytes of a written number that are looked at, and the NUL behind them. */
const SET_BUF = 24;

interface AttributeData {
  text: Uint8Array | null;
}

/** DEFINE_SIMPLE_ATTRIBUTE: the text is made at the first read and stays for that open file. */
export function simpleAttribute({ get, set, format, parse }: SimpleAttribute): FileOperations {
  return {
    open: (_k, _task, file) => {
      file.data = { text: null } satisfies AttributeData;
      return 0;
    },
    read: (k, task, file, buf, count, at) => {
      if (get === undefined) return -EACCES;
      const data = file.data as AttributeData;
      if (Number(at.pos) === 0 || data.text === null) data.text = seqBytes(format(get(k)));
      return simpleReadFromBuffer(k, task, buf, count, at, data.text);
    },
    write: (k, task, _file, buf, count) => {
      if (set === undefined) return -EACCES;
      const bytes = copyFromUserPartial(k, task, buf, Math.min(count, SET_BUF - 1));
      if (bytes.length < Math.min(count, SET_BUF - 1)) return -EFAULT;
      const text = bytesName(bytes);
      const parsed = parse(text.includes("\0") ? text.slice(0, text.indexOf("\0")) : text);
      if ("errno" in parsed) return parsed.errno;
      const result = set(k, parsed.value);
      // As Linux: all was taken, the bytes that were not looked at too.
      return result < 0 ? result : count;
    },
    ...(get === undefined ? {} : { view: (k: Kernel) => format(get(k)) }),
  };
}
