/** /bin and /sbin: a read-only image with a small file for every program, which says which program it is. */
import { EINVAL, EIO } from "../abi/errno.ts";
import { O_ACCMODE } from "../abi/fcntl.ts";
import { MS_RDONLY, MS_RELATIME } from "../abi/mount.ts";
import { S_IFDIR, S_IFREG } from "../abi/stat.ts";
import { fileOperations, type OpenFile } from "../fs/file.ts";
import { fileSystemType, type ComputedInode, type DirectoryEntry } from "../fs/fs_type.ts";
import { inodeOf } from "../fs/inode.ts";
import { attachMount, newSuperBlock } from "../fs/mount.ts";
import { kernelWalk } from "../fs/boot.ts";
import { nameBytes, bytesName } from "../fs/names.ts";
import { seekInSize } from "../fs/regular.ts";
import type { Kernel } from "../kernel.ts";
import { assert } from "../lib/assert.ts";
import { hashText53 } from "../lib/hash.ts";
import { copyToUser } from "../mm/usercopy.ts";

/** What execve makes of a program's arguments: the code of its first frame, and its locals. */
export type Begin = (argv: string[], envp: string[]) => { code: string; locals: unknown };

interface Listed {
  directory: "bin" | "sbin";
  begin: Begin;
}

const listed = new Map<string, Listed>();

/** Puts a program under /bin or /sbin. */
export function listProgram(name: string, directory: "bin" | "sbin", begin: Begin): void {
  assert(!listed.has(name), `two programs named ${name}`);
  listed.set(name, { directory, begin });
}

/** EROFS_SUPER_MAGIC_V1 */
const MAGIC = 0xe0f5e1e2;
const HEADER = 64;
/** "\x7fELF", 64 bits, the lowest byte first, version 1, for Linux. */
const IDENT = "\x7fELF\x02\x01\x01\x03";
const MARK = "syslab:";

/** An executable of the machine's kind (ET_DYN, EM_X86_64) that names the program it holds. */
function imageOf(name: string): Uint8Array {
  const bytes = new Uint8Array(HEADER + MARK.length + name.length + 1);
  bytes.set(nameBytes(IDENT));
  bytes.set([3, 0, 62, 0, 1], 16);
  bytes[52] = HEADER;
  bytes.set(nameBytes(MARK + name), HEADER);
  return bytes;
}

/** What runs an executable that begins with these bytes; null when it is none of ours. */
export function beginOf(image: Uint8Array): Begin | null {
  if (bytesName(image.subarray(0, IDENT.length)) !== IDENT) return null;
  const text = bytesName(image.subarray(HEADER));
  const end = text.indexOf("\0");
  return text.startsWith(MARK) && end > 0 ? (listed.get(text.slice(MARK.length, end))?.begin ?? null) : null;
}

function programAt(key: string): string | null {
  const [directory, name, ...more] = key.split("/");
  const found = name === undefined || more.length > 0 ? undefined : listed.get(name);
  return found !== undefined && found.directory === directory ? name : null;
}

const isDirectory = (key: string): boolean => key === "bin" || key === "sbin" || key === "";
const ino = (key: string): number => (key === "" ? 1 : 2 + (hashText53(key) % 0x7fff_ffff));

function inode(_k: Kernel, key: string): ComputedInode | null {
  const base = { ino: ino(key), uid: 0, gid: 0, rdev: 0 };
  if (isDirectory(key)) return { ...base, mode: S_IFDIR | 0o755, nlink: key === "" ? 4 : 2, size: 0, ops: "" };
  const name = programAt(key);
  return name === null ? null : { ...base, mode: S_IFREG | 0o755, nlink: 1, size: imageOf(name).length, ops: "program.file" };
}

function entriesOf(directory: string): DirectoryEntry[] {
  const names = [...listed].filter(([, { directory: at }]) => at === directory).map(([name]) => name);
  return names.sort((a, b) => (a < b ? -1 : 1)).map((name) => ({ name, ino: ino(`${directory}/${name}`), mode: S_IFREG }));
}

fileSystemType({
  name: "erofs",
  magic: MAGIC,
  attributes: false,
  inode,
  list: (_k, key) => {
    if (key !== "") return isDirectory(key) ? entriesOf(key) : null;
    return ["bin", "sbin"].map((name) => ({ name, ino: ino(name), mode: S_IFDIR }));
  },
  readlink: () => -EINVAL,
  view: (_k, key) => {
    const name = programAt(key);
    return name === null ? -EINVAL : imageOf(name);
  },
});

function bytesOf(k: Kernel, file: OpenFile): Uint8Array | null {
  const name = programAt(inodeOf(k, file.inode).key);
  return name === null ? null : imageOf(name);
}

fileOperations("program.file", {
  open: (_k, _task, file) => ((file.flags & O_ACCMODE) === 0 ? 0 : -EINVAL),
  read: (k, task, file, buf, count, at) => {
    const bytes = bytesOf(k, file);
    if (bytes === null) return -EIO;
    const pos = Number(at.pos);
    const copied = pos >= bytes.length ? 0 : copyToUser(k, task, buf, bytes.subarray(pos, pos + count));
    if (copied > 0) at.pos = pos + copied;
    return copied;
  },
  llseek: (k, _task, file, offset, whence) => seekInSize(file, inodeOf(k, file.inode).size, offset, whence),
  spliceRead: (k, file, pos, count) => bytesOf(k, file)?.subarray(pos, pos + count) ?? -EIO,
});

/** Mounts the image's two directories; the tree is there. */
export function bootPrograms(k: Kernel): void {
  const sb = newSuperBlock(k, "erofs");
  for (const directory of ["bin", "sbin"]) {
    const at = kernelWalk(k, `/${directory}`);
    assert(typeof at === "object", `/${directory} is not there`);
    attachMount(k, sb, at, { flags: MS_RDONLY | MS_RELATIME, source: "programs", root: directory });
  }
}
