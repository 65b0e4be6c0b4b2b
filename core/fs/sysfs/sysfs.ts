/** sysfs: a tree of small files about devices, classes and modules, computed when somebody looks (sysfs(5)). */
import { EACCES, EINVAL, EIO, ENODEV, ENOENT } from "../../abi/errno.ts";
import { SYSFS_MAGIC } from "../../abi/fsmagic.ts";
import { O_ACCMODE, O_RDONLY, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET } from "../../abi/fcntl.ts";
import { PAGE_SIZE } from "../../abi/limits.ts";
import { S_IFDIR, S_IFLNK, S_IFREG, S_IRUGO, S_IWUGO } from "../../abi/stat.ts";
import type { Kernel } from "../../kernel.ts";
import { hashText53 } from "../../lib/hash.ts";
import { copyFromUser } from "../../mm/usercopy.ts";
import { printk } from "../../sched/printk.ts";
import { fileOperations, type OpenFile } from "../file.ts";
import { fileSystemType, type ComputedInode, type DirectoryEntry } from "../fs_type.ts";
import { inodeOf } from "../inode.ts";
import { bytesName } from "../names.ts";
import { newSeqData, seqBytes, seqRead, type SeqData } from "../seq_file.ts";
import { kernfsOrder } from "./order.ts";
import { dir, sysfsTrees, type SysfsAttribute, type SysfsNode } from "./registry.ts";

const INFO = 6;

const ROOT_DIRECTORIES = ["block", "bus", "class", "dev", "devices", "firmware", "fs", "hypervisor", "kernel", "module", "power"];

/** Directories that lead to trees, and those of the root that are empty here. */
function namesAbove(path: string): string[] {
  const prefix = path === "" ? "" : `${path}/`;
  const names = new Set(path === "" ? ROOT_DIRECTORIES : []);
  for (const tree of sysfsTrees.keys()) if (tree.startsWith(prefix)) names.add(tree.slice(prefix.length).split("/")[0]);
  return [...names];
}

/** What is at `key` now: the tree with the longest path answers. */
export function nodeAt(k: Kernel, key: string): SysfsNode | null {
  const parts = key === "" ? [] : key.split("/");
  for (let length = parts.length; length > 0; length--) {
    const tree = sysfsTrees.get(parts.slice(0, length).join("/"));
    if (tree === undefined) continue;
    const node = tree(k, parts.slice(length));
    // A tree may lie inside another one's directory.
    if (length < parts.length || node?.kind !== "dir") return node;
    const inside = namesAbove(key).filter((name) => !node.names.includes(name));
    return inside.length === 0 ? node : { ...node, names: [...node.names, ...inside], dirs: node.dirs + inside.length };
  }
  const names = namesAbove(key);
  if (key === "") return dir(names, names.length, 0o555);
  return names.length > 0 || (parts.length === 1 && ROOT_DIRECTORIES.includes(key)) ? dir(names, names.length) : null;
}

const TYPE = { dir: S_IFDIR, link: S_IFLNK, file: S_IFREG } as const;

function inodeNumber(key: string): number {
  return key === "" ? 1 : 2 + (hashText53(key) % 0x7fff_ffff_ffff);
}

function computed(key: string, node: SysfsNode): ComputedInode {
  const base = { ino: inodeNumber(key), uid: 0, gid: 0, nlink: 1, size: 0, ops: "", rdev: 0 };
  if (node.kind === "link") return { ...base, mode: S_IFLNK | 0o777 };
  if (node.kind === "file") return { ...base, mode: S_IFREG | node.mode, size: node.size, ops: "sysfs" };
  return { ...base, mode: S_IFDIR | node.mode, nlink: 2 + node.dirs };
}

fileSystemType({
  name: "sysfs",
  magic: SYSFS_MAGIC,
  attributes: true,
  inode: (k, key) => {
    const node = nodeAt(k, key);
    return node === null ? null : computed(key, node);
  },
  list: (k, key) => {
    const node = nodeAt(k, key);
    if (node?.kind !== "dir") return null;
    const entries: DirectoryEntry[] = [];
    for (const name of kernfsOrder(node.names)) {
      const path = key === "" ? name : `${key}/${name}`;
      const child = nodeAt(k, path);
      if (child !== null) entries.push({ name, ino: inodeNumber(path), mode: TYPE[child.kind] });
    }
    return entries;
  },
  readlink: (k, key) => {
    const node = nodeAt(k, key);
    return node?.kind === "link" ? node.target : -EINVAL;
  },
  view: (k, key) => {
    const node = nodeAt(k, key);
    if (node === null) return -ENOENT;
    if (node.kind !== "file" || node.attribute.show === undefined) return -EINVAL;
    const shown = node.attribute.show(k);
    return typeof shown === "number" ? shown : seqBytes(shown);
  },
});

/** The attribute behind an open file; null once it is gone. */
function attributeOf(k: Kernel, file: OpenFile): SysfsAttribute | null {
  const node = nodeAt(k, inodeOf(k, file.inode).key);
  return node?.kind === "file" ? node.attribute : null;
}

fileOperations("sysfs", {
  open: (k, _task, file, inode) => {
    const found = attributeOf(k, file);
    if (found === null) return -ENODEV;
    const access = file.flags & O_ACCMODE;
    // As kernfs_fop_open: even root needs the bits in the mode, and the attribute its function.
    if (access !== O_RDONLY && ((inode.mode & S_IWUGO) === 0 || found.store === undefined)) return -EACCES;
    if (access !== O_WRONLY && ((inode.mode & S_IRUGO) === 0 || found.show === undefined)) return -EACCES;
    file.data = newSeqData();
    return 0;
  },
  read: (k, task, file, buf, count, at) => seqRead(k, task, file.data as SeqData, buf, count, at, () => {
    const found = attributeOf(k, file);
    if (found === null) return -ENODEV;
    const shown = found.show?.(k) ?? -EIO;
    if (typeof shown === "number" || shown.length < PAGE_SIZE) return shown;
    // As Linux: a show function that fills the page has gone too far, and a byte is cut off (sysfs_kf_seq_show).
    printk(k, INFO, `fill_read_buffer: ${found.show?.name === "" ? "show" : found.show?.name ?? "show"}+0x0/0x40 returned bad count`);
    return shown.slice(0, PAGE_SIZE - 1);
  }),
  write: (k, task, file, buf, count) => {
    const found = attributeOf(k, file);
    if (found === null) return -ENODEV;
    if (count === 0) return 0;
    // As kernfs: what is beyond a page is left for the next call.
    const bytes = copyFromUser(k, task, buf, Math.min(count, PAGE_SIZE));
    if (typeof bytes === "number") return bytes;
    return found.store?.(k, task, bytesName(bytes)) ?? -EIO;
  },
  llseek: (k, _task, file, offset, whence) => {
    const from = whence === SEEK_SET ? 0n : whence === SEEK_CUR ? BigInt(file.pos) : whence === SEEK_END ? BigInt(inodeOf(k, file.inode).size) : null;
    if (from === null) return -EINVAL;
    const to = from + BigInt(offset);
    if (to < 0n || to > 0x7fff_ffff_ffff_ffffn) return -EINVAL;
    file.pos = to <= 0x1f_ffff_ffff_ffffn ? Number(to) : to;
    return file.pos;
  },
});
