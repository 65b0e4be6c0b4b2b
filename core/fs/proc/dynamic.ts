/** Entries that modules make in /proc: proc_create, proc_mkdir, remove_proc_entry (fs/proc/generic.c). */
import { EINVAL, EIO, ENOENT, ENOTTY } from "../../abi/errno.ts";
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../abi/epoll.ts";
import type { DynamicEntry } from "../../drivers/state.ts";
import type { Kernel } from "../../kernel.ts";
import { must } from "../../lib/assert.ts";
import { callerTrace, warn } from "../../sched/dump_stack.ts";
import type { SyscallResult } from "../../sched/steps.ts";
import { fileOperations, type FileOperations, type OpenFile } from "../file.ts";
import { codeIsThere } from "../file_code.ts";
import { inodeOf } from "../inode.ts";
import { directory, file, link, type Place } from "./place.ts";
import { procRows } from "./registry.ts";

const FIRST_INO = 0xf001_0000;
const GENERIC = "fs/proc/generic.c";

function isDirectory(k: Kernel, path: string): boolean {
  return path === "" || (procRows.get(path) ?? k.state.drivers.procEntries.get(path))?.kind === "dir";
}

/** Adds an entry below an existing directory; false, with Linux's warning, when there is none or the name is taken. */
function add(k: Kernel, path: string, entry: Omit<DynamicEntry, "id" | "uid" | "gid">): boolean {
  const { drivers } = k.state;
  const slash = path.lastIndexOf("/");
  const parent = slash < 0 ? "" : path.slice(0, slash);
  const name = path.slice(slash + 1);
  if (!isDirectory(k, parent)) {
    warn(k, `name '${path}'`, { file: GENERIC, line: 175, symbol: "__xlate_proc_name+0x86/0xa0" },
      ["__proc_create+0x61/0x280", "proc_create_reg+0x37/0x80", "proc_create+0x2e/0x80", ...callerTrace(k)]);
    return false;
  }
  if (name === "" || name.length > 255) {
    warn(k, `name len ${name.length}`, { file: GENERIC, line: 429, symbol: "__proc_create+0x22e/0x280" },
      ["proc_create_reg+0x37/0x80", "proc_create+0x2e/0x80", ...callerTrace(k)]);
    return false;
  }
  if (procRows.has(path) || drivers.procEntries.has(path)) {
    // As Linux, which names the directory and the entry: '/proc/regp', 'net/x'.
    warn(k, `proc_dir_entry '${parent === "" ? "/proc" : parent}/${name}' already registered`,
      { file: GENERIC, line: 400, symbol: "proc_register+0x19f/0x240" }, ["proc_create_data+0x51/0x80", "proc_create+0x2e/0x80", ...callerTrace(k)]);
    return false;
  }
  drivers.procEntries.set(path, { ...entry, id: drivers.nextEntry++, uid: 0, gid: 0 });
  return true;
}

/**
 * Makes the file /proc/PATH with the file operations registered as `ops`; absent read and write answer EIO. `mode` 0 is 0444.
 * False, with a warning in the log, when the name is taken or its directory is not there.
 */
export function procCreate(k: Kernel, path: string, mode: number, ops: string): boolean {
  return add(k, path, { kind: "file", mode: mode === 0 ? 0o444 : mode, ops });
}

export function procMkdir(k: Kernel, path: string, mode = 0o555): boolean {
  return add(k, path, { kind: "dir", mode, ops: "" });
}

export function procSymlink(k: Kernel, path: string, target: string): boolean {
  return add(k, path, { kind: "link", mode: 0o777, ops: target });
}

/** Owner of an entry (proc_set_user). */
export function procSetUser(k: Kernel, path: string, uid: number, gid: number): void {
  const entry = must(k.state.drivers.procEntries, path);
  entry.uid = uid;
  entry.gid = gid;
}

/** Takes an entry away; files of it that are open answer EIO from now on. A directory that is not empty goes with what it holds, which is told. */
export function removeProcEntry(k: Kernel, path: string): void {
  const { procEntries } = k.state.drivers;
  const where = (line: number): { file: string; line: number; symbol: string } =>
    ({ file: GENERIC, line, symbol: "remove_proc_entry+0x140/0x1b0" });
  if (!procEntries.has(path)) {
    warn(k, `name '${path}'`, where(734), callerTrace(k));
    return;
  }
  const below = [...procEntries.keys()].filter((one) => one.startsWith(`${path}/`));
  if (below.length > 0) {
    const slash = path.lastIndexOf("/");
    warn(k, `remove_proc_entry: removing non-empty directory '${slash < 0 ? "/proc" : path.slice(0, slash)}/${path.slice(slash + 1)}', `
      + `leaking at least '${below[0].slice(path.length + 1)}'`, where(748), callerTrace(k));
  }
  for (const one of [path, ...below]) procEntries.delete(one);
}

/** Takes a directory and all below it away (remove_proc_subtree). */
export function removeProcSubtree(k: Kernel, path: string): void {
  const { procEntries } = k.state.drivers;
  for (const one of [...procEntries.keys()]) if (one === path || one.startsWith(`${path}/`)) procEntries.delete(one);
}

/** What a module's entry leads to; `list` gives the contents of a directory. */
export function dynamicPlace(k: Kernel, path: string, list: Place["list"]): Place | null {
  const entry = k.state.drivers.procEntries.get(path);
  if (entry === undefined) return null;
  const ino = FIRST_INO + entry.id;
  const { uid, gid } = entry;
  if (entry.kind === "dir") return directory(ino, entry.mode, list, { uid, gid });
  if (entry.kind === "link") return link(ino, () => entry.ops, { uid, gid, size: entry.ops.length });
  const view = operationsOf(k, entry)?.view;
  return file(ino, entry.mode, "proc.entry", view === undefined ? undefined : () => view(k), { uid, gid });
}

/** The entry that an inode's place is about: the network is found below each process. */
function entryAt(k: Kernel, key: string): DynamicEntry | undefined {
  return k.state.drivers.procEntries.get(key.replace(/^\d+\/(task\/\d+\/)?(?=net\/)/, ""));
}

/** The operations behind an open file, or null once its entry is gone. */
function behind(k: Kernel, openFile: OpenFile): FileOperations | null {
  const entry = entryAt(k, inodeOf(k, openFile.inode).key);
  if (entry === undefined || entry.id !== k.state.drivers.openEntries.get(openFile.id)) return null;
  return operationsOf(k, entry);
}

/** An entry's operations; null when its module left it behind. */
function operationsOf(k: Kernel, entry: DynamicEntry): FileOperations | null {
  const ops = k.tables.fileOperations.get(entry.ops);
  return ops !== undefined && codeIsThere(k, ops) ? ops : null;
}

/** What an absent operation answers while its entry lives. */
function through(k: Kernel, openFile: OpenFile, absent: number, call: (ops: FileOperations) => SyscallResult | undefined): SyscallResult {
  const ops = behind(k, openFile);
  return ops === null ? -EIO : call(ops) ?? absent;
}

const ALWAYS = { mask: POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM, queues: [] };

/** Open files of modules' entries: every call goes through to the module's operations as long as the entry is there. */
fileOperations("proc.entry", {
  open: (k, task, openFile, inode) => {
    const entry = entryAt(k, inode.key);
    if (entry === undefined) return -ENOENT;
    k.state.drivers.openEntries.set(openFile.id, entry.id);
    const result = behind(k, openFile)?.open?.(k, task, openFile, inode) ?? 0;
    if (typeof result === "number" && result < 0) k.state.drivers.openEntries.delete(openFile.id);
    return result;
  },
  release: (k, task, openFile) => {
    const result = behind(k, openFile)?.release?.(k, task, openFile) ?? 0;
    // One that sleeps is called again; steps go on without the entry.
    if (typeof result !== "object" || result.act === "enter") k.state.drivers.openEntries.delete(openFile.id);
    return result;
  },
  read: (k, task, openFile, buf, count, at) => through(k, openFile, -EIO, (ops) => ops.read?.(k, task, openFile, buf, count, at)),
  write: (k, task, openFile, buf, count, at) => through(k, openFile, -EIO, (ops) => ops.write?.(k, task, openFile, buf, count, at)),
  llseek: (k, task, openFile, offset, whence) => {
    const ops = behind(k, openFile);
    return ops === null ? -EINVAL : ops.llseek?.(k, task, openFile, offset, whence) ?? -EINVAL;
  },
  ioctl: (k, task, openFile, request, arg) => through(k, openFile, -ENOTTY, (ops) => ops.ioctl?.(k, task, openFile, request, arg)),
  mmap: (k, task, openFile, vma) => through(k, openFile, -EIO, (ops) => ops.mmap?.(k, task, openFile, vma)),
  poll: (k, task, openFile) => behind(k, openFile)?.poll?.(k, task, openFile) ?? ALWAYS,
});
