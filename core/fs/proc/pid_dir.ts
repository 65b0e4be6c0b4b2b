/** /proc/PID and what is below it. */
import { EACCES, ENOENT } from "../../abi/errno.ts";
import type { Kernel } from "../../kernel.ts";
import { mapsText } from "../../mm/proc.ts";
import { groupOf, type Task } from "../../sched/task.ts";
import { placePath } from "../d_path.ts";
import type { DirectoryEntry, WalkContext } from "../fs_type.ts";
import { fsOf } from "../fs_struct.ts";
import type { PathRef } from "../inode.ts";
import { inodePermission } from "../permission.ts";
import { ptraceMayAccess, taskOwner } from "./access.ts";
import { fdNumbers, fdPlace, fdinfoPlace } from "./pid_fd.ts";
import { directory, entry, file, link, type Place } from "./place.ts";
import { pidRows, procPidDir, type PidRow } from "./registry.ts";
import { directoriesBelow, listNames, namesBelow, staticPlace } from "./static_dir.ts";

/** Inode numbers of processes lie above those of the static files; each thread has room for its rows and descriptors. */
const PID_INO = 0x10_0000_0000_0000;
const PER_THREAD = 0x200_0000;

/** The number of row or descriptor `index` of a thread. */
export function pidIno(task: Task, index: number): number {
  return PID_INO + task.tid * PER_THREAD + index;
}

/** Whole numbers without leading zeros or signs. */
export function parseNumber(text: string): number {
  return /^(0|[1-9][0-9]{0,8})$/.test(text) ? Number(text) : -1;
}

const NAMESPACES: readonly [string, number][] = [
  ["cgroup", 4026531835], ["ipc", 4026531839], ["mnt", 4026531841], ["net", 4026531840], ["pid", 4026531836],
  ["pid_for_children", 4026531836], ["time", 4026531834], ["time_for_children", 4026531834], ["user", 4026531837], ["uts", 4026531838],
];

procPidDir("fd", 0o500);
procPidDir("fdinfo", 0o555);
procPidDir("task", 0o555);
procPidDir("ns", 0o511);
procPidDir("net", 0o555);
procPidDir("attr", 0o555);
procPidDir("map_files", 0o500);

/** What `/proc/PID/REST` leads to; null when there is no such process, or nothing of that name. */
export function pidPlace(k: Kernel, pid: string, rest: string[], ctx: WalkContext): Place | null {
  const task = k.state.sched.tasks.get(parseNumber(pid));
  return task === undefined ? null : threadPlace(k, task, rest, ctx, false);
}

function threadPlace(k: Kernel, task: Task, rest: string[], ctx: WalkContext, inTask: boolean): Place | null {
  if (rest.length === 0) {
    const list = (): DirectoryEntry[] => namedEntries(
      [...pidRows.keys(), "cwd", "root", "exe"].filter((name) => isShown(name, inTask)), (name) => threadPlace(k, task, [name], ctx, inTask));
    // As Linux: /proc/PID itself belongs to the user even when it may not be dumped.
    return directory(pidIno(task, inTask ? 1 : 0), 0o555, list, { uid: task.cred.euid, gid: task.cred.egid, nlink: inTask ? 7 : 9 });
  }
  const [name, ...below] = rest;
  if (!isShown(name, inTask)) return null;
  const owner = taskOwner(task);
  if (name === "cwd" || name === "root" || name === "exe") return below.length > 0 ? null : pathLink(k, task, name, owner, ctx);
  const row = pidRows.get(name);
  if (row === undefined) return null;
  if (row.kind === "dir") return dirPlace(k, task, name, row.mode, below, ctx, owner);
  return below.length > 0 ? null : rowPlace(k, task, name, row, ctx, owner, !inTask);
}

function isShown(name: string, inTask: boolean): boolean {
  if (!inTask) return true;
  const row = pidRows.get(name);
  return name !== "task" && !(row?.kind === "file" && row.processOnly);
}

function namedEntries(names: readonly string[], placeOf: (name: string) => Place | null): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  for (const name of names) {
    const place = placeOf(name);
    if (place !== null) entries.push(entry(name, place));
  }
  return entries;
}

function indexOf(name: string): number {
  return 16 + [...pidRows.keys()].indexOf(name);
}

function rowPlace(
  k: Kernel, task: Task, name: string, row: Exclude<PidRow, { kind: "dir" }>, ctx: WalkContext, owner: { uid: number; gid: number },
  whole: boolean,
): Place {
  const ino = pidIno(task, indexOf(name));
  if (row.kind === "link") return link(ino, () => row.target(k, task, ctx, whole), owner);
  const place = file(ino, row.mode, row.ops === "" ? "proc.text" : row.ops, () => row.text(k, task, ctx, whole), owner);
  place.check = { task, level: row.check };
  const { write } = row;
  if (write !== undefined) place.write = (writer, text) => write(k, writer, task, text);
  if (row.ops !== "") delete place.text;
  return place;
}

/** cwd and root jump to their place, exe is a text; reading any needs the right to look into the process. */
function pathLink(k: Kernel, task: Task, name: "cwd" | "root" | "exe", owner: { uid: number; gid: number }, ctx: WalkContext): Place {
  const allowed = ptraceMayAccess(k, ctx, task);
  const at = name === "exe" ? null : pathOfTask(k, task, name);
  const text = name === "exe" ? groupOf(k, task).exe : at === null ? "" : placePath(k, at, ctx.root);
  const place = link(pidIno(task, ["cwd", "root", "exe"].indexOf(name) + 2), () => (allowed ? text || -ENOENT : -EACCES), owner);
  if (at !== null) place.jump = () => (allowed ? at : -EACCES);
  return place;
}

/** Where a task's working directory or root is; null for a kernel thread or a zombie. */
function pathOfTask(k: Kernel, task: Task, name: "cwd" | "root"): PathRef | null {
  return task.fs === 0 ? null : fsOf(k, task)[name];
}

function dirPlace(
  k: Kernel, task: Task, name: string, mode: number, below: string[], ctx: WalkContext, owner: { uid: number; gid: number },
): Place | null {
  const ino = pidIno(task, indexOf(name));
  const [child, ...more] = below;
  switch (name) {
    case "task": return taskDir(k, task, ino, mode, below, ctx, owner);
    case "fd": case "fdinfo": {
      const place = (fd: string): Place | null => (name === "fd" ? fdPlace : fdinfoPlace)(k, task, parseNumber(fd), ctx, owner, pidIno(task, 0));
      if (child !== undefined) return more.length > 0 ? null : place(child);
      const allowed = (): boolean => ptraceMayAccess(k, ctx, task);
      const dir = directory(ino, mode, () => allowed() ? namedEntries(fdNumbers(k, task).map(String), place) : -EACCES, owner);
      // As proc_fd_permission: the process itself may always look.
      if (name === "fd") dir.permission = (mask) => (isSelf(k, ctx, task) ? 0 : inodePermission(ctx.cred, dir.inode, mask));
      return dir;
    }
    case "map_files": {
      const maps = mappedFiles(k, task);
      const place = (range: string): Place => link(pidIno(task, 9), () => maps.get(range) ?? -ENOENT, { ...owner, size: 64, mode: 0o400 });
      if (child !== undefined) return more.length > 0 || !maps.has(child) ? null : place(child);
      return directory(ino, mode, () => ptraceMayAccess(k, ctx, task) ? namedEntries([...maps.keys()], place) : -EACCES, owner);
    }
    case "net": {
      if (below.length > 0) return staticPlace(k, ["net", ...below].join("/"), ctx);
      return directory(ino, mode, () => listNames(k, "net", namesBelow(k, "net"), ctx), { ...owner, nlink: 2 + directoriesBelow(k, "net") });
    }
    case "ns": {
      const nsLink = (ns: string): Place | null => {
        const found = NAMESPACES.find(([one]) => one === ns);
        return found === undefined ? null : link(pidIno(task, 8), () => `${found[0].replace("_for_children", "")}:[${found[1]}]`, owner);
      };
      if (child !== undefined) return more.length > 0 ? null : nsLink(child);
      return directory(ino, mode, () => namedEntries(NAMESPACES.map(([one]) => one), nsLink), owner);
    }
    default: return child === undefined ? directory(ino, mode, () => [], owner) : null;
  }
}

/** The files that are mapped, by their range of addresses without leading zeros. */
function mappedFiles(k: Kernel, task: Task): Map<string, string> {
  const found = new Map<string, string>();
  if (task.mm === 0) return found;
  for (const line of mapsText(k, task).split("\n")) {
    const [, from, to, path] = /^0*([0-9a-f]+)-0*([0-9a-f]+) .* (\/.*)$/.exec(line) ?? [];
    if (path !== undefined) found.set(`${from}-${to}`, path);
  }
  return found;
}

function isSelf(k: Kernel, ctx: WalkContext, task: Task): boolean {
  return ctx.tid !== 0 && k.state.sched.tasks.get(ctx.tid)?.tgid === task.tgid;
}

/** /proc/PID/task: a directory a thread. */
function taskDir(
  k: Kernel, task: Task, ino: number, mode: number, below: string[], ctx: WalkContext, owner: { uid: number; gid: number },
): Place | null {
  const { threads } = groupOf(k, task);
  const place = (tid: string, rest: string[]): Place | null => {
    const thread = k.state.sched.tasks.get(parseNumber(tid));
    return thread === undefined || thread.tgid !== task.tgid ? null : threadPlace(k, thread, rest, ctx, true);
  };
  if (below.length > 0) return place(below[0], below.slice(1));
  const list = (): DirectoryEntry[] => namedEntries([...threads].sort((a, b) => a - b).map(String), (tid) => place(tid, []));
  return directory(ino, mode, list, { ...owner, nlink: 2 + threads.length });
}

