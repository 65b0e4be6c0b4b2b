/** Reading directories: getdents64(2). */
import { EFAULT, EINVAL, ENOTDIR } from "../abi/errno.ts";
import { direntSize, putDirent } from "../abi/dirent.ts";
import { IN_ACCESS } from "../abi/inotify.ts";
import { putU16, putU64 } from "../lib/bytes.ts";
import { opsOf, type Addr, type OpenFile } from "../fs/file.ts";
import { notifyFile } from "../fs/notify.ts";
import { nameBytes } from "../fs/names.ts";
import type { Kernel } from "../kernel.ts";
import { copyToUser } from "../mm/usercopy.ts";
import type { Task } from "../sched/task.ts";
import { fd, outBuffer, uint } from "./args.ts";
import { direntsOut } from "./file_args.ts";
import type { Rows } from "./row.ts";

type File = OpenFile | number;

/** The old struct linux_dirent: the type stands in its last byte. */
function putOldDirent(into: Uint8Array, at: number, ino: number, next: number, name: Uint8Array, type: number): number {
  const size = oldDirentSize(name.length);
  putU64(into, at, ino);
  putU64(into, at + 8, next);
  putU16(into, at + 16, size);
  into.fill(0, at + 18, at + size);
  into.set(name, at + 18);
  into[at + size - 1] = type;
  return size;
}

const oldDirentSize = (nameLength: number): number => (18 + nameLength + 2 + 7) & ~7;

/** A first piece of the buffer: most directories need no more. */
const CHUNK = 32_768;

/** Fills the buffer with as many entries as fit: its bytes, 0 at the end; -EINVAL when not even one fits. */
function getdents(old: boolean) {
  return (k: Kernel, task: Task, [file, dirp, count]: [File, Addr, number]): number => {
    if (typeof file === "number") return file;
    const { iterate } = opsOf(k, file);
    if (iterate === undefined) return -ENOTDIR;
    const before = file.pos;
    let bytes = new Uint8Array(Math.min(count, CHUNK));
    let used = 0;
    let full = false;
    const result = iterate(k, task, file, (name, ino, type, next) => {
      const encoded = nameBytes(name);
      const size = old ? oldDirentSize(encoded.length) : direntSize(encoded.length);
      full = used + size > count;
      if (full) return false;
      if (used + size > bytes.length) {
        const larger = new Uint8Array(Math.min(count, bytes.length * 2 + size));
        larger.set(bytes);
        bytes = larger;
      }
      if (old) putOldDirent(bytes, used, ino, next, encoded, type);
      else putDirent(bytes, used, { d_ino: ino, d_off: next, d_type: type, d_name: encoded });
      used += size;
      return true;
    });
    if (result < 0) return result;
    notifyFile(k, file, IN_ACCESS);
    if (used === 0) return full ? -EINVAL : 0;
    if (copyToUser(k, task, dirp, bytes.subarray(0, used)) === used) return used;
    file.pos = before;
    return -EFAULT;
  };
}

export const direntRows: Rows = {
  getdents64: { x86_64: 217, args: [fd("fd"), direntsOut("dirp", "count"), uint("count")], run: getdents(false) },
  getdents: { x86_64: 78, args: [fd("fd"), outBuffer("dirp", "count"), uint("count")], run: getdents(true) },
};
