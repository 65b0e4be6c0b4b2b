/** Files whose text is made when it is read and kept while it is read on (fs/seq_file.c). */
import { EINVAL } from "../abi/errno.ts";
import { SEEK_CUR, SEEK_SET } from "../abi/fcntl.ts";
import { utf8Encode } from "../lib/bytes.ts";
import { copyToUser } from "../mm/usercopy.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import type { Addr, FileOperations, OpenFile, Position } from "./file.ts";
import { nameBytes } from "./names.ts";

/** What an open file keeps in `data`: the text as it was made, and where the next read is expected. */
export interface SeqData {
  text: Uint8Array | null;
  readPos: number;
}

/** Text made of names is one character a byte; anything wider came from us and is UTF-8. */
export function seqBytes(text: string): Uint8Array {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0xff) return utf8Encode(text);
  return nameBytes(text);
}

/**
 * read(2) of such a file: the text is made at position 0 and wherever the reader has jumped to, else the kept one goes on.
 * `show` answers the text or an errno. Its data stays in `data`, which the file's `data` or another record holds.
 */
export function seqRead(
  k: Kernel, task: Task, data: SeqData, buf: Addr, count: number, at: Position, show: () => string | number,
): number {
  const pos = Number(at.pos);
  if (data.text === null || pos === 0 || pos !== data.readPos) {
    const text = show();
    if (typeof text === "number") return text;
    data.text = seqBytes(text);
    data.readPos = pos;
  }
  if (pos >= data.text.length || count === 0) return 0;
  const copied = copyToUser(k, task, buf, data.text.subarray(pos, pos + count));
  if (copied > 0) {
    at.pos = pos + copied;
    data.readPos = pos + copied;
  }
  return copied;
}

/** lseek(2) of such a file: from the start or from where it is; -EINVAL for the end, which nobody knows. */
export function seqLseek(_k: Kernel, _task: Task, file: OpenFile, offset: number | bigint, whence: number): number | bigint {
  const from = whence === SEEK_SET ? 0n : whence === SEEK_CUR ? BigInt(file.pos) : null;
  if (from === null) return -EINVAL;
  const to = from + BigInt(offset);
  if (to < 0n || to > 0x7fffffffffffffffn) return -EINVAL;
  file.pos = to <= 0x1fffffffffffffn ? Number(to) : to;
  return file.pos;
}

export function newSeqData(): SeqData {
  return { text: null, readPos: 0 };
}

/** single_open: operations of a file that shows one text. Further ones, such as `write`, are added beside them. */
export function singleOpen(show: (k: Kernel) => string | number): FileOperations {
  return {
    open: (_k, _task, file) => {
      file.data = newSeqData();
      return 0;
    },
    read: (k, task, file, buf, count, at) => seqRead(k, task, file.data as SeqData, buf, count, at, () => show(k)),
    llseek: seqLseek,
    view: show,
  };
}

/** mangle_path: characters of `special` as three octal digits, as /proc/mounts and maps write names. */
export function mangle(text: string, special: string): string {
  let mangled = "";
  for (const char of text) {
    mangled += special.includes(char) ? `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}` : char;
  }
  return mangled;
}
