/** xattr(7): the calls, by path, by path without following, and by descriptor. */
import { E2BIG, EFAULT, EINVAL, ERANGE } from "../abi/errno.ts";
import { AT_FDCWD, XATTR_CREATE, XATTR_REPLACE, xattrFlags } from "../abi/fcntl.ts";
import { IN_ATTRIB } from "../abi/inotify.ts";
import { XATTR_NAME_MAX, XATTR_SIZE_MAX } from "../abi/limits.ts";
import { wantWrite } from "../fs/create.ts";
import { fget } from "../fs/fd_table.ts";
import type { Addr } from "../fs/file.ts";
import { walkContext } from "../fs/fs_struct.ts";
import type { Node } from "../fs/namei.ts";
import { bytesName } from "../fs/names.ts";
import { notifyPlace } from "../fs/notify.ts";
import { nodeOfFile, userPathAt } from "../fs/user_path.ts";
import { getXattr, listXattrs, removeXattr, setXattr } from "../fs/xattr.ts";
import type { Kernel } from "../kernel.ts";
import { copyFromUser, copyToUser, strncpyBytesFromUser } from "../mm/usercopy.ts";
import type { Task } from "../sched/task.ts";
import { fdNumber, flags, inBuffer, outBuffer, path, size, type ArgType } from "./args.ts";
import type { Rows } from "./row.ts";

type Word = number | bigint;
/** How a call finds its file: by its first argument. */
type Find = (k: Kernel, task: Task, first: Word) => Node | number;

const byPath: Find = (k, task, first) => userPathAt(k, task, AT_FDCWD, first);
const byLink: Find = (k, task, first) => userPathAt(k, task, AT_FDCWD, first, { follow: false });

function byDescriptor(k: Kernel, task: Task, first: Word): Node | number {
  const file = fget(k, task, Number(first));
  return typeof file === "number" ? file : nodeOfFile(k, file);
}

/** The attribute's name; -ERANGE when it is empty or too long. */
function readName(k: Kernel, task: Task, addr: Addr): string | number {
  const bytes = strncpyBytesFromUser(k, task, addr, XATTR_NAME_MAX + 1);
  if (typeof bytes === "number") return bytes === -EFAULT ? bytes : -ERANGE;
  return bytes.length === 0 ? -ERANGE : bytesName(bytes);
}

/** A value or list for the caller: its length; -ERANGE when there is too little room; a room of 0 only asks. */
function give(k: Kernel, task: Task, addr: Addr, room: Word, bytes: Uint8Array): number {
  if (room === 0) return bytes.length;
  if (room < bytes.length) return -ERANGE;
  return bytes.length > 0 && copyToUser(k, task, addr, bytes) < bytes.length ? -EFAULT : bytes.length;
}

function change(k: Kernel, node: Node | number, act: (node: Node) => number): number {
  if (typeof node === "number") return node;
  const result = wantWrite(k, node.mnt) || act(node);
  if (result === 0) notifyPlace(k, node, node.inode, IN_ATTRIB);
  return result;
}

function set(find: Find) {
  return (k: Kernel, task: Task, [first, nameAddr, value, length, how]: [Word, Addr, Addr, Word, number]): number => {
    const node = find(k, task, first);
    if (typeof node === "number") return node;
    if ((how & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return -EINVAL;
    const name = readName(k, task, nameAddr);
    if (typeof name === "number") return name;
    if (length > XATTR_SIZE_MAX) return -E2BIG;
    const bytes = copyFromUser(k, task, value, Number(length));
    if (typeof bytes === "number") return -EFAULT;
    return change(k, node, () => setXattr(k, walkContext(k, task), node, name, bytes, how));
  };
}

function get(find: Find) {
  return (k: Kernel, task: Task, [first, nameAddr, value, length]: [Word, Addr, Addr, Word]): number => {
    const node = find(k, task, first);
    if (typeof node === "number") return node;
    const name = readName(k, task, nameAddr);
    if (typeof name === "number") return name;
    const found = getXattr(k, walkContext(k, task), node, name);
    return typeof found === "number" ? found : give(k, task, value, length, found);
  };
}

function list(find: Find) {
  return (k: Kernel, task: Task, [first, names, length]: [Word, Addr, Word]): number => {
    const node = find(k, task, first);
    return typeof node === "number" ? node : give(k, task, names, length, listXattrs(walkContext(k, task), node.inode));
  };
}

function remove(find: Find) {
  return (k: Kernel, task: Task, [first, nameAddr]: [Word, Addr]): number => {
    const node = find(k, task, first);
    if (typeof node === "number") return node;
    const name = readName(k, task, nameAddr);
    return typeof name === "number" ? name : change(k, node, () => removeXattr(k, walkContext(k, task), node, name));
  };
}

const ways: readonly { prefix: string; find: Find; first: ArgType; at: number }[] = [
  { prefix: "", find: byPath, first: path("path"), at: 0 },
  { prefix: "l", find: byLink, first: path("path"), at: 1 },
  { prefix: "f", find: byDescriptor, first: fdNumber("fd"), at: 2 },
];

const rows: Rows = {};
for (const { prefix, find, first, at } of ways) {
  rows[`${prefix}setxattr`] = {
    x86_64: 188 + at, args: [first, path("name"), inBuffer("value", "size"), size("size", "value"), flags("flags", xattrFlags)], run: set(find),
  };
  rows[`${prefix}getxattr`] = { x86_64: 191 + at, args: [first, path("name"), outBuffer("value", "size"), size("size")], run: get(find) };
  rows[`${prefix}listxattr`] = { x86_64: 194 + at, args: [first, outBuffer("list", "size"), size("size")], run: list(find) };
  rows[`${prefix}removexattr`] = { x86_64: 197 + at, args: [first, path("name")], run: remove(find) };
}

export const xattrRows: Rows = rows;
