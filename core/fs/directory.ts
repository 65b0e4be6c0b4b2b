/** Open directories: reading their entries, seeking to a cookie (getdents64(2)); and O_PATH files, which do nothing. */
import { EINVAL, EISDIR, ENOENT } from "../abi/errno.ts";
import { DT_DIR, modeToDirentType } from "../abi/dirent.ts";
import { SEEK_CUR, SEEK_SET } from "../abi/fcntl.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { fileOperations, type EmitEntry, type OpenFile } from "./file.ts";
import { walkContext } from "./fs_struct.ts";
import { dentryOf, inodeOf } from "./inode.ts";
import { computedType, sbOf } from "./mount.ts";
import { nodeAt, parentOf } from "./namei.ts";
import { FIRST_COOKIE } from "./new_inode.ts";
import { setPosition } from "./regular.ts";
import { fileAccessed } from "./times.ts";

/** Positions of entries count down from here by their cookies: the newest entry comes first, later ones are not seen. */
const LAST_COOKIE = 2 ** 40;

const positionOf = (cookie: number): number => FIRST_COOKIE + LAST_COOKIE - cookie;

/** The newest entry first, as tmpfs has it, each at a position of its own: a reader neither misses nor repeats one when others go. */
function iterate(k: Kernel, task: Task, file: OpenFile, emit: EmitEntry): number {
  const inode = inodeOf(k, file.inode);
  if (inode.entries !== null && inode.nlink === 0) return -ENOENT;
  if (file.pos === 0) {
    if (!emit(".", inode.ino, DT_DIR, 1)) return 0;
    file.pos = 1;
  }
  if (file.pos === 1) {
    if (!emit("..", parentIno(k, task, file), DT_DIR, FIRST_COOKIE)) return 0;
    file.pos = FIRST_COOKIE;
  }
  if (inode.entries === null) return iterateComputed(k, task, file, emit);
  fileAccessed(k, inode);
  const ids = [...inode.entries.values()];
  for (let at = ids.length - 1; at >= 0; at--) {
    const { name, cookie, inode: childId } = dentryOf(k, ids[at]);
    const position = positionOf(cookie);
    if (position < file.pos) continue;
    const child = inodeOf(k, childId);
    if (!emit(name, child.ino, modeToDirentType(child.mode), position + 1)) return 0;
    file.pos = position + 1;
  }
  // What is made from now on is newer than all that was read.
  const end = positionOf(0);
  if (file.pos < end) file.pos = end;
  return 0;
}

function iterateComputed(k: Kernel, task: Task, file: OpenFile, emit: EmitEntry): number {
  const type = computedType(k, sbOf(k, file.path.mnt));
  const entries = type?.list(k, file.path.dentry as string, walkContext(k, task)) ?? null;
  if (entries === null) return -ENOENT;
  for (let at = Number(file.pos) - FIRST_COOKIE; at < entries.length; at++) {
    const { name, ino, mode } = entries[at];
    if (!emit(name, ino, modeToDirentType(mode), FIRST_COOKIE + at + 1)) return 0;
    file.pos = FIRST_COOKIE + at + 1;
  }
  return 0;
}

function parentIno(k: Kernel, task: Task, file: OpenFile): number {
  const ctx = walkContext(k, task);
  const dir = nodeAt(k, ctx, file.path);
  const parent = typeof dir === "number" ? dir : parentOf(k, ctx, dir);
  return typeof parent === "number" ? 1 : parent.inode.ino;
}

fileOperations("directory", {
  iterate,
  read: () => -EISDIR,
  fsync: () => 0,
  llseek(_k, _task, file, offset, whence) {
    if (whence !== SEEK_SET && whence !== SEEK_CUR) return -EINVAL;
    return setPosition(file, whence === SEEK_SET ? offset : BigInt(file.pos) + BigInt(offset));
  },
});

fileOperations("path", {});
