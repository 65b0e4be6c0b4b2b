/** debugfs: files that modules make for debugging, with file operations of theirs (Documentation/filesystems/debugfs.rst). */
import { EEXIST, EINVAL, EIO, ENOENT, ENXIO } from "../../abi/errno.ts";
import { DEBUGFS_MAGIC } from "../../abi/fsmagic.ts";
import { S_IFDIR, S_IFLNK, S_IFREG } from "../../abi/stat.ts";
import type { DynamicEntry } from "../../drivers/state.ts";
import type { Kernel } from "../../kernel.ts";
import { printk } from "../../sched/printk.ts";
import type { SyscallResult } from "../../sched/steps.ts";
import { fileOperations, fileOperationsTable, type FileOperations, type OpenFile } from "../file.ts";
import { codeIsThere } from "../file_code.ts";
import { fileSystemType, type ComputedInode, type DirectoryEntry } from "../fs_type.ts";
import { inodeOf } from "../inode.ts";
import { seqBytes } from "../seq_file.ts";

const ERR = 3;

/** Adds an entry; its directory must be there, as the caller made it. 0, -ENOENT, or -EEXIST (told in the log). */
function add(k: Kernel, path: string, entry: Pick<DynamicEntry, "kind" | "mode" | "ops">): number {
  const { drivers } = k.state;
  const slash = path.lastIndexOf("/");
  const parent = slash < 0 ? "" : path.slice(0, slash);
  if (parent !== "" && drivers.debugfs.get(parent)?.kind !== "dir") return -ENOENT;
  if (drivers.debugfs.has(path)) {
    printk(k, ERR, `debugfs: ${entry.kind === "dir" ? "Directory" : "File"} '${path.slice(slash + 1)}' `
      + `${entry.kind === "dir" ? `with parent '${parent || "/"}'` : `in directory '${parent || "/"}'`} already present!`);
    return -EEXIST;
  }
  drivers.debugfs.set(path, { ...entry, id: drivers.nextEntry++, uid: 0, gid: 0 });
  return 0;
}

/** Makes the file PATH below /sys/kernel/debug with the operations registered as `ops`; opening it keeps their module in use. */
export function debugfsCreateFile(k: Kernel, path: string, mode: number, ops: string): number {
  return add(k, path, { kind: "file", mode, ops });
}

export function debugfsCreateDir(k: Kernel, path: string): number {
  return add(k, path, { kind: "dir", mode: 0o755, ops: "" });
}

export function debugfsCreateSymlink(k: Kernel, path: string, target: string): number {
  return add(k, path, { kind: "link", mode: 0o777, ops: target });
}

/** Takes an entry away with all below it; open files of it answer EIO from now on. */
export function debugfsRemove(k: Kernel, path: string): void {
  const { debugfs } = k.state.drivers;
  for (const one of [...debugfs.keys()]) if (one === path || one.startsWith(`${path}/`)) debugfs.delete(one);
}

const ROOT_INO = 1;
const TYPE = { dir: S_IFDIR, link: S_IFLNK, file: S_IFREG } as const;

/** Operations by which an entry's file opens: a stand-in of what its own have (below). */
const PREFIX = "debugfs:";

function childrenOf(k: Kernel, path: string): [string, DynamicEntry][] {
  const prefix = path === "" ? "" : `${path}/`;
  return [...k.state.drivers.debugfs]
    .filter(([one]) => one.startsWith(prefix) && !one.includes("/", prefix.length))
    .map(([one, entry]) => [one.slice(prefix.length), entry]);
}

function inode(k: Kernel, path: string): ComputedInode | null {
  const entry = path === "" ? null : k.state.drivers.debugfs.get(path);
  if (entry === undefined) return null;
  const { id, kind, mode, ops } = entry ?? { id: 0, kind: "dir", mode: 0o700, ops: "" };
  const nlink = kind === "dir" ? 2 + childrenOf(k, path).filter(([, child]) => child.kind === "dir").length : 1;
  const size = kind === "link" ? ops.length : 0;
  return { ino: ROOT_INO + id, mode: TYPE[kind] | mode, uid: 0, gid: 0, nlink, size, ops: kind === "file" ? PREFIX + ops : "", rdev: 0 };
}

fileSystemType({
  name: "debugfs",
  magic: DEBUGFS_MAGIC,
  attributes: true,
  inode,
  list: (k, path) => {
    if (inode(k, path) === null) return null;
    return childrenOf(k, path).map(([name, { id, kind }]): DirectoryEntry => ({ name, ino: ROOT_INO + id, mode: TYPE[kind] })).reverse();
  },
  readlink: (k, path) => k.state.drivers.debugfs.get(path)?.ops ?? -ENOENT,
  view: (k, path) => {
    const entry = k.state.drivers.debugfs.get(path);
    if (entry === undefined) return -ENOENT;
    const ops = k.tables.fileOperations.get(entry.ops);
    const shown = (codeIsThere(k, ops) ? ops?.view?.(k) : undefined) ?? -EINVAL;
    return typeof shown === "number" ? shown : seqBytes(shown);
  },
});

/** Whether the entry that was opened is still there. */
function isAlive(k: Kernel, file: OpenFile): boolean {
  const { debugfs, openEntries } = k.state.drivers;
  return debugfs.get(inodeOf(k, file.inode).key)?.id === openEntries.get(file.id);
}

/** The stand-in for a driver's operations: each call goes through while the entry is there (full_proxy of fs/debugfs/file.c). mmap does not. */
function standIn(own: FileOperations): FileOperations {
  const guarded = (k: Kernel, file: OpenFile, call: () => SyscallResult): SyscallResult => (isAlive(k, file) ? call() : -EIO);
  const { read, write, llseek, ioctl, poll } = own;
  const made: FileOperations = {
    open: (k, task, file, at) => {
      const entry = k.state.drivers.debugfs.get(at.key);
      if (entry === undefined) return -ENOENT;
      if (!codeIsThere(k, own)) return -ENXIO;
      if (file.module === "" && own.owner !== undefined) {
        if (!k.tables.hooks.tryModuleGet(k, own.owner)) return -ENXIO;
        file.module = own.owner;
      }
      k.state.drivers.openEntries.set(file.id, entry.id);
      const result = own.open?.(k, task, file, at) ?? 0;
      if (typeof result === "number" && result < 0) k.state.drivers.openEntries.delete(file.id);
      return result;
    },
    release: (k, task, file) => {
      const result = own.release?.(k, task, file) ?? 0;
      // One that sleeps is called again; steps go on without the entry.
      if (typeof result !== "object" || result.act === "enter") k.state.drivers.openEntries.delete(file.id);
      return result;
    },
  };
  if (own.owner !== undefined) made.owner = own.owner;
  if (own.code !== undefined) made.code = own.code;
  if (own.view !== undefined) made.view = own.view;
  if (read !== undefined) made.read = (k, task, file, buf, count, at) => guarded(k, file, () => read(k, task, file, buf, count, at));
  if (write !== undefined) made.write = (k, task, file, buf, count, at) => guarded(k, file, () => write(k, task, file, buf, count, at));
  if (llseek !== undefined) made.llseek = (k, task, file, offset, whence) => (isAlive(k, file) ? llseek(k, task, file, offset, whence) : -EIO);
  if (ioctl !== undefined) made.ioctl = (k, task, file, request, arg) => guarded(k, file, () => ioctl(k, task, file, request, arg));
  if (poll !== undefined) made.poll = (k, task, file) => (isAlive(k, file) ? poll(k, task, file) : { mask: 0x10, queues: [] });
  return made;
}

/** Registers the stand-in of operations that debugfs files may have; beside `fileOperations` of the same name. */
export function debugfsOperations(name: string): void {
  const own = fileOperationsTable.get(name);
  if (own === undefined) throw new Error(`no file operations named ${name}`);
  if (!fileOperationsTable.has(PREFIX + name)) fileOperations(PREFIX + name, standIn(own));
}

/** Registers them for all operations that a module owns; called once when the tables are made. */
export function debugfsStandIns(): void {
  for (const [name, { owner, code }] of [...fileOperationsTable]) if ((owner ?? code) !== undefined && !name.startsWith(PREFIX)) debugfsOperations(name);
}
