/** /proc/PID/fd and fdinfo: the open files of a process. */
import { EACCES } from "../../abi/errno.ts";
import { O_CLOEXEC } from "../../abi/fcntl.ts";
import type { Kernel } from "../../kernel.ts";
import type { Task } from "../../sched/task.ts";
import { pathOf } from "../d_path.ts";
import { fileOf, opsOf, type OpenFile } from "../file.ts";
import type { WalkContext } from "../fs_type.ts";
import { inodeOf } from "../inode.ts";
import { ptraceMayAccess } from "./access.ts";
import { file, link, type Place } from "./place.ts";

/** Inode numbers of descriptors among those of a thread: the links, then the texts. */
const FD_INDEX = 0x1000;
const FDINFO_INDEX = 0x100_0000;
const LINK_SIZE = 64;

/** The descriptors in use, ascending. */
export function fdNumbers(k: Kernel, task: Task): number[] {
  const table = k.state.fs.fdTables.get(task.files);
  if (table === undefined) return [];
  return [...table.fds].filter(([, entry]) => entry !== 0).map(([fd]) => fd).sort((a, b) => a - b);
}

function openFile(k: Kernel, task: Task, fd: number): { openFile: OpenFile; cloexec: boolean } | null {
  const entry = k.state.fs.fdTables.get(task.files)?.fds.get(fd) ?? 0;
  return entry === 0 ? null : { openFile: fileOf(k, Math.abs(entry)), cloexec: entry < 0 };
}

/** The link to what a descriptor is open on: its mode tells reading and writing. `ino` is the number of index 0 of the thread. */
export function fdPlace(k: Kernel, task: Task, fd: number, ctx: WalkContext, owner: { uid: number; gid: number }, ino: number): Place | null {
  const found = openFile(k, task, fd);
  if (found === null) return null;
  const { openFile: opened } = found;
  const mode = (opened.canRead ? 0o500 : 0) | (opened.canWrite ? 0o300 : 0);
  const allowed = ptraceMayAccess(k, ctx, task);
  const place = link(ino + FD_INDEX + fd, () => (allowed ? pathOf(k, opened, ctx) : -EACCES), { ...owner, size: LINK_SIZE, mode });
  place.jump = () => (allowed ? opened.path : -EACCES);
  return place;
}

/** Position, flags in octal, mount and inode, and what the kind of file adds. */
export function fdinfoPlace(k: Kernel, task: Task, fd: number, _ctx: WalkContext, owner: { uid: number; gid: number }, ino: number): Place | null {
  const found = openFile(k, task, fd);
  if (found === null) return null;
  const { openFile: opened, cloexec } = found;
  return file(ino + FDINFO_INDEX + fd, 0o444, "proc.text", () => {
    const flags = opened.flags | (cloexec ? O_CLOEXEC : 0);
    return `pos:\t${opened.pos}\nflags:\t0${flags.toString(8)}\nmnt_id:\t${opened.path.mnt}\nino:\t${inodeOf(k, opened.inode).ino}\n`
      + (opsOf(k, opened).fdinfo?.(k, opened) ?? "");
  }, owner);
}
