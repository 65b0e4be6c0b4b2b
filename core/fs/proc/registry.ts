/** The files of /proc: each is one row, registered by the room that its text is about. */
import type { Kernel } from "../../kernel.ts";
import { assert } from "../../lib/assert.ts";
import type { SyscallResult } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";
import type { WalkContext } from "../fs_type.ts";

/** A text: one character a byte (names), or UTF-8 where characters are wider; or a negative errno. */
export type ProcText = (k: Kernel, ctx: WalkContext) => string | number;
/** `whole`: below /proc/PID, not below its task/TID. */
export type PidText = (k: Kernel, task: Task, ctx: WalkContext, whole: boolean) => string | number;

export interface ProcFileRow {
  kind: "file";
  mode: number;
  text: ProcText;
  /** What write(2) does with the bytes, one character each: how many it took, or an errno. Absent: EIO. */
  write?: (k: Kernel, task: Task, text: string) => SyscallResult;
  /** Operations of its own instead of a text, such as /proc/kmsg; a view answers EINVAL then. */
  ops: string;
  /** What stat(2) tells as its size. */
  size: number;
}

export interface ProcDirRow {
  kind: "dir";
  mode: number;
}

export interface ProcLinkRow {
  kind: "link";
  target: (k: Kernel, ctx: WalkContext) => string | number;
}

export type ProcRow = ProcFileRow | ProcDirRow | ProcLinkRow;

/** Rows by path below /proc, such as "sys/kernel/ostype"; directories on the way are rows too. */
export const procRows = new Map<string, ProcRow>();

/** The file /proc/PATH with what it shows; its directories come into being with it. */
export function procFile(
  path: string, text: ProcText, { mode = 0o444, write, ops = "", size = 0 }: { mode?: number; write?: ProcFileRow["write"]; ops?: string; size?: number } = {},
): void {
  add(path, { kind: "file", mode, text, write, ops, size });
}

/** A directory of /proc that may stay empty. */
export function procDir(path: string, mode = 0o555): void {
  if (procRows.get(path)?.kind !== "dir") add(path, { kind: "dir", mode });
}

export function procLink(path: string, target: ProcLinkRow["target"]): void {
  add(path, { kind: "link", target });
}

/** Names of the rows in each directory, and how many of them are directories. */
export const procChildren = new Map<string, { names: string[]; dirs: number }>();

function add(path: string, row: ProcRow): void {
  assert(!procRows.has(path), `two rows for /proc/${path}`);
  const slash = path.lastIndexOf("/");
  const parent = slash < 0 ? "" : path.slice(0, slash);
  if (slash > 0) procDir(parent);
  procRows.set(path, row);
  const children = procChildren.get(parent) ?? { names: [], dirs: 0 };
  children.names.push(path.slice(slash + 1));
  if (row.kind === "dir") children.dirs++;
  procChildren.set(parent, children);
}

/** Who may look besides the file's mode: "read" asks as ptrace would for reading, "attach" as for tracing (ptrace(2)). */
export type PtraceCheck = "none" | "read" | "attach";

export interface PidFileRow {
  kind: "file";
  mode: number;
  text: PidText;
  /** Who may open it; refused is EACCES. */
  check: PtraceCheck;
  write?: (k: Kernel, writer: Task, task: Task, text: string) => SyscallResult;
  ops: string;
  /** Only of the process, not below task/TID. */
  processOnly: boolean;
}

export interface PidLinkRow {
  kind: "link";
  target: PidText;
}

export interface PidDirRow {
  kind: "dir";
  mode: number;
}

export type PidRow = PidFileRow | PidLinkRow | PidDirRow;

/** What every /proc/PID holds, by name; the contents of its directories are said in pid_dir.ts. */
export const pidRows = new Map<string, PidRow>();

export interface PidFileOptions {
  mode?: number;
  check?: PtraceCheck;
  write?: PidFileRow["write"];
  ops?: string;
  processOnly?: boolean;
}

/** The file /proc/PID/NAME; a number instead of options is its mode. */
export function procPidFile(name: string, text: PidText, options: PidFileOptions | number = {}): void {
  const { mode = 0o444, check = "none", write, ops = "", processOnly = false } = typeof options === "number" ? { mode: options } : options;
  addPid(name, { kind: "file", mode, text, check, write, ops, processOnly });
}

export function procPidLink(name: string, target: PidText): void {
  addPid(name, { kind: "link", target });
}

export function procPidDir(name: string, mode: number): void {
  addPid(name, { kind: "dir", mode });
}

function addPid(name: string, row: PidRow): void {
  assert(!pidRows.has(name), `two rows for /proc/PID/${name}`);
  pidRows.set(name, row);
}
