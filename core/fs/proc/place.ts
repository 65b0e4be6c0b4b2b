/** What a walk or an open finds at a path of /proc; made anew for each look. */
import { S_IFDIR, S_IFLNK, S_IFREG } from "../../abi/stat.ts";
import type { SyscallResult } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";
import type { ComputedInode, DirectoryEntry } from "../fs_type.ts";
import type { PathRef } from "../inode.ts";
import type { PtraceCheck } from "./registry.ts";

export interface Place {
  inode: ComputedInode;
  /** Of a directory. */
  list?(): DirectoryEntry[] | number;
  /** Of a link: its text, or where it jumps without one. */
  link?(): string | number;
  jump?(): PathRef | number;
  /** Of a file: what it shows. */
  text?(): string | number;
  /** Of a file: what happens with the bytes written, one character each. */
  write?(writer: Task, text: string): SyscallResult;
  /** Of a file of a process: who may open it. */
  check?: { task: Task; level: PtraceCheck };
  /** Instead of the mode bits: 0 or an errno for a mask of MAY_ bits. */
  permission?(mask: number): number | null;
}

interface Ownership {
  uid?: number;
  gid?: number;
  nlink?: number;
  size?: number;
}

export function directory(ino: number, mode: number, list: Place["list"], { uid = 0, gid = 0, nlink = 2, size = 0 }: Ownership = {}): Place {
  return { inode: { ino, mode: S_IFDIR | mode, uid, gid, nlink, size, ops: "", rdev: 0 }, list };
}

export function link(ino: number, text: Place["link"], { uid = 0, gid = 0, nlink = 1, size = 0, mode = 0o777 }: Ownership & { mode?: number } = {}): Place {
  return { inode: { ino, mode: S_IFLNK | mode, uid, gid, nlink, size, ops: "", rdev: 0 }, link: text };
}

export function file(
  ino: number, mode: number, ops: string, text: Place["text"], { uid = 0, gid = 0, nlink = 1, size = 0 }: Ownership = {},
): Place {
  return { inode: { ino, mode: S_IFREG | mode, uid, gid, nlink, size, ops, rdev: 0 }, text };
}

/** An entry of a list, from the place that it leads to. */
export function entry(name: string, { inode }: Place): DirectoryEntry {
  return { name, ino: inode.ino, mode: inode.mode & 0o170000 };
}
