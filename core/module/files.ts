/** /lib/modules/RELEASE: a read-only file system with a .ko for every definition and variant, and modules.dep. */
import { EINVAL, EIO } from "../abi/errno.ts";
import { O_ACCMODE } from "../abi/fcntl.ts";
import { MODULES_DIRECTORY } from "../abi/release.ts";
import { S_IFDIR, S_IFREG } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { utf8Encode } from "../lib/bytes.ts";
import { hashText53 } from "../lib/hash.ts";
import { copyToUser } from "../mm/usercopy.ts";
import { fileOperations, type OpenFile } from "../fs/file.ts";
import { fileSystemType, type ComputedInode, type DirectoryEntry } from "../fs/fs_type.ts";
import { inodeOf } from "../fs/inode.ts";
import { seekInSize } from "../fs/regular.ts";
import { moduleDefinitions, VARIANTS, type ModuleDefinition, type Variant } from "./definition.ts";
import { moduleImage } from "./image.ts";

/** SQUASHFS_MAGIC: a read-only image is what a distribution would ship. */
const MAGIC = 0x73717368;
/** Files beside the variants, with what they hold. */
const TEXTS: { [name: string]: () => string } = { "modules.dep": modulesDep, "modules.order": () => "", "modules.builtin": () => "" };

/** The file of a module, as modprobe and the service name it. */
export function moduleFilePath(name: string, variant: Variant = "corrected"): string {
  return `${MODULES_DIRECTORY}/${variant}/${name}.ko`;
}

function definitionsOf(variant: Variant): ModuleDefinition[] {
  return [...moduleDefinitions.values()].filter((definition) => definition.variants[variant] !== undefined);
}

/** Everything that a module depends on, the nearest first. */
function dependencies({ depends }: ModuleDefinition): string[] {
  const all: string[] = [];
  for (const name of depends) {
    const below = moduleDefinitions.get(name);
    for (const one of [name, ...(below === undefined ? [] : dependencies(below))]) if (!all.includes(one)) all.push(one);
  }
  return all;
}

/** As depmod writes it, for the variant that modprobe loads: `FILE: FILE FILE`. */
function modulesDep(): string {
  const file = (name: string): string => `corrected/${name}.ko`;
  return definitionsOf("corrected").map((definition) =>
    `${file(definition.name)}:${dependencies(definition).map((name) => ` ${file(name)}`).join("")}\n`).join("");
}

function isVariant(name: string): name is Variant {
  return VARIANTS.some((variant) => variant === name);
}

/** The bytes of the file at `key`; null when it is a directory or nothing. */
export function moduleFileBytes(key: string): Uint8Array | null {
  const [first, file, ...more] = key.split("/");
  if (file === undefined) return Object.hasOwn(TEXTS, first) ? utf8Encode(TEXTS[first]()) : null;
  if (!isVariant(first) || more.length > 0 || !file.endsWith(".ko")) return null;
  const definition = moduleDefinitions.get(file.slice(0, -3));
  return definition?.variants[first] === undefined ? null : moduleImage(definition, first);
}

function isDirectory(key: string): boolean {
  return key === "" || isVariant(key);
}

const ino = (key: string): number => (key === "" ? 1 : 2 + (hashText53(key) % 0x7fff_ffff));

function inode(_k: Kernel, key: string): ComputedInode | null {
  const base = { ino: ino(key), uid: 0, gid: 0, rdev: 0 };
  if (isDirectory(key)) return { ...base, mode: S_IFDIR | 0o755, nlink: key === "" ? 2 + VARIANTS.length : 2, size: 0, ops: "" };
  const bytes = moduleFileBytes(key);
  return bytes === null ? null : { ...base, mode: S_IFREG | 0o644, nlink: 1, size: bytes.length, ops: "module.file" };
}

fileSystemType({
  name: "squashfs",
  magic: MAGIC,
  attributes: false,
  inode,
  list: (_k, key) => {
    if (!isDirectory(key)) return null;
    const entry = (name: string, mode: number): DirectoryEntry => ({ name, ino: ino(key === "" ? name : `${key}/${name}`), mode });
    if (isVariant(key)) return definitionsOf(key).map(({ name }) => entry(`${name}.ko`, S_IFREG));
    return [...VARIANTS.map((variant) => entry(variant, S_IFDIR)), ...Object.keys(TEXTS).map((name) => entry(name, S_IFREG))];
  },
  readlink: () => -EINVAL,
  view: (_k, key) => moduleFileBytes(key) ?? -EINVAL,
});

function bytesOf(k: Kernel, file: OpenFile): Uint8Array | null {
  return moduleFileBytes(inodeOf(k, file.inode).key);
}

fileOperations("module.file", {
  open: (_k, _task, file) => ((file.flags & O_ACCMODE) === 0 ? 0 : -EINVAL),
  read: (k, task, file, buf, count, at) => {
    const bytes = bytesOf(k, file);
    if (bytes === null) return -EIO;
    const copied = at.pos >= bytes.length ? 0 : copyToUser(k, task, buf, bytes.subarray(Number(at.pos), Number(at.pos) + count));
    if (copied > 0) at.pos = Number(at.pos) + copied;
    return copied;
  },
  llseek: (k, _task, file, offset, whence) => seekInSize(file, inodeOf(k, file.inode).size, offset, whence),
  spliceRead: (k, file, pos, count) => bytesOf(k, file)?.subarray(pos, pos + count) ?? -EIO,
});
