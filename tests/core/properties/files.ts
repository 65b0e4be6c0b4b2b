/** Files beside a model: names, inodes and bytes, descriptors with offsets and flags. */
import fc from "fast-check";
import type { Json } from "../../../core/input.ts";
import { add, drop, node, rename, walkPath, type Node, type Place } from "./tree.ts";
import { base64, outBase64, Seat, type Model, type Walk } from "./walk.ts";

const CALLS = [
  "open", "open", "open", "open", "close", "read", "read", "write", "write", "write", "pread", "pwrite", "readv", "writev", "lseek", "lseek",
  "ftruncate", "truncate", "fallocate", "rename", "rename", "noreplace", "link", "link", "unlink", "unlink", "mkdir", "mkdir", "rmdir", "symlink",
  "readlink", "dup", "dup2", "dup3", "dupfd", "getfl", "setfl", "getfd", "setfd", "fstat", "stat", "lstat", "getdents", "sendfile",
] as const;
const PATHS = ["a", "b", "d", "d", "d/x", "d/y", "d/sub", "d/sub/z", "e", "e/x", "l", "l", "l/x", ""];
const TARGETS = ["a", "b", "d", "d/x", "l", "x", "nowhere", "d/sub"];
const FLAGS = { O_CREAT: 0x40, O_EXCL: 0x80, O_TRUNC: 0x200, O_APPEND: 0x400, O_DIRECTORY: 0x1_0000, O_NOFOLLOW: 0x2_0000 };
const { O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW } = FLAGS;
const O_NONBLOCK = 0x800;
const O_LARGEFILE = 0x8000;
const NOFILE = 10;

export interface FileAct {
  call: (typeof CALLS)[number];
  path: string;
  other: string;
  fd: number;
  newfd: number;
  flags: number;
  at: number;
  count: number;
  byte: number;
}

const act: fc.Arbitrary<FileAct> = fc.record({
  call: fc.constantFrom(...CALLS),
  path: fc.constantFrom(...PATHS),
  other: fc.constantFrom(...PATHS),
  fd: fc.oneof({ weight: 12, arbitrary: fc.integer({ min: 0, max: 6 }) }, { weight: 1, arbitrary: fc.constantFrom(-1, 77, NOFILE) }),
  newfd: fc.oneof({ weight: 12, arbitrary: fc.integer({ min: 0, max: NOFILE - 1 }) }, { weight: 1, arbitrary: fc.constantFrom(-1, 77, NOFILE) }),
  flags: fc.tuple(
    fc.constantFrom(0, 1, 2, 2, 2), fc.constantFrom(0, O_CREAT, O_CREAT, O_CREAT), fc.constantFrom(0, 0, 0, O_EXCL), fc.constantFrom(0, 0, 0, O_TRUNC),
    fc.constantFrom(0, 0, O_APPEND), fc.constantFrom(0, 0, 0, 0, 0, O_DIRECTORY), fc.constantFrom(0, 0, 0, 0, O_NOFOLLOW),
  ).map((parts) => parts.reduce((all, one) => all | one, 0)),
  at: fc.oneof(fc.integer({ min: -3, max: 40 }), fc.constantFrom(4095, 4096, 4097, 9000)),
  count: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.constantFrom(4096, 5000)),
  byte: fc.integer({ min: 1, max: 255 }),
});

interface Open {
  node: Node;
  at: number;
  flags: number;
}

interface Fd {
  open: Open;
  cloexec: boolean;
}

class FileWalk implements Walk<FileAct> {
  readonly seat = new Seat();
  private readonly root = node("dir", 0o700);
  private readonly fds = new Map<number, Fd>();
  private readonly inodes = new Map<Node, number>();

  constructor() {
    this.seat.expect(this.seat.pid, "prlimit64", { resource: "RLIMIT_NOFILE", new_limit: { rlim_cur: NOFILE, rlim_max: NOFILE } }, 0);
    for (const fd of [0, 1, 2]) this.seat.call(this.seat.pid, "close", { fd });
  }

  private expect(call: string, args: Json, wanted: Json): { [field: string]: Json } {
    return this.seat.expect(this.seat.pid, call, args, wanted);
  }

  private freeFd(from = 0): number {
    let fd = from;
    while (this.fds.has(fd)) fd++;
    return fd;
  }

  /** Puts an open file at the lowest free descriptor. */
  private install(open: Open, cloexec = false, from = 0): number {
    const fd = this.freeFd(from);
    this.fds.set(fd, { open, cloexec });
    return fd;
  }

  step(act: FileAct): void {
    const { call, path, other, fd, newfd, at, count, byte } = act;
    const open = this.fds.get(fd)?.open;
    const data = new Uint8Array(count).map((_, index) => 1 + ((byte + index) % 255));
    switch (call) {
      case "open": this.open(act); break;
      case "close":
        this.expect("close", { fd }, open === undefined ? "EBADF" : 0);
        this.fds.delete(fd);
        break;
      case "read": this.read("read", { fd, count }, open, count, null); break;
      case "pread": this.read("pread64", { fd, count, offset: at }, open, count, at); break;
      case "readv": this.read("readv", { fd, iov: [{ iov_len: Math.min(count, 3) }, { iov_len: count - Math.min(count, 3) }] }, open, count, null); break;
      case "write": this.write("write", { fd, buf: base64(data) }, open, data, null); break;
      case "pwrite": this.write("pwrite64", { fd, buf: base64(data), offset: at }, open, data, at); break;
      case "writev": this.write("writev", { fd, iov: [base64(data.subarray(0, 3)), base64(data.subarray(3))] }, open, data, null); break;
      case "lseek": this.lseek(fd, open, at, byte % 4); break;
      case "ftruncate": {
        const wanted = at < 0 ? "EINVAL" : open === undefined ? "EBADF" : open.node.kind !== "file" || (open.flags & 3) === 0 ? "EINVAL" : 0;
        this.expect("ftruncate", { fd, length: at }, wanted);
        if (wanted === 0 && open !== undefined) resize(open.node, at);
        break;
      }
      case "truncate": {
        const place = at < 0 ? "EINVAL" : this.exists(path, true);
        const wanted = typeof place === "string" ? place : place.kind === "dir" ? "EISDIR" : 0;
        this.expect("truncate", { path, length: at }, wanted);
        if (wanted === 0 && typeof place !== "string") resize(place, at);
        break;
      }
      case "fallocate": this.fallocate(fd, open, at, count, byte % 4); break;
      case "rename": this.expect("rename", { oldpath: path, newpath: other }, rename(this.root, path, other, false)); break;
      case "noreplace":
        this.expect("renameat2", { olddirfd: "AT_FDCWD", oldpath: path, newdirfd: "AT_FDCWD", newpath: other, flags: "RENAME_NOREPLACE" }, rename(this.root, path, other, true));
        break;
      case "link": this.link(path, other); break;
      case "unlink": {
        const place = walkPath(this.root, path, false);
        const wanted = typeof place === "string" ? place : place.found === null ? "ENOENT" : place.found.kind === "dir" ? "EISDIR" : 0;
        this.expect("unlink", { pathname: path }, wanted);
        if (wanted === 0) drop(place as Place);
        break;
      }
      case "rmdir": {
        const place = walkPath(this.root, path, false);
        const wanted = typeof place === "string" ? place : place.found === null ? "ENOENT" : place.found.kind !== "dir" ? "ENOTDIR" : place.found.entries.size > 0 ? "ENOTEMPTY" : 0;
        this.expect("rmdir", { pathname: path }, wanted);
        if (wanted === 0) drop(place as Place);
        break;
      }
      case "mkdir": this.make("mkdir", { pathname: path, mode: 0o777 }, path, () => node("dir", 0o755)); break;
      case "symlink": {
        const target = TARGETS[byte % TARGETS.length];
        this.make("symlink", { target, linkpath: path }, path, () => node("link", 0o777, { target }));
        break;
      }
      case "readlink": {
        const found = this.exists(path, false);
        const wanted = typeof found === "string" ? found : found.kind === "link" ? found.target.length : "EINVAL";
        const answer = this.expect("readlink", { pathname: path, bufsiz: 100 }, wanted);
        if (typeof found !== "string" && found.kind === "link") this.seat.same("target", outBase64(answer.buf), Buffer.from(found.target).toString("base64"));
        break;
      }
      case "dup": this.dup("dup", { oldfd: fd }, open, 0); break;
      case "dupfd": this.dup("fcntl", { fd, cmd: "F_DUPFD_CLOEXEC", arg: newfd }, open, newfd); break;
      case "dup2": case "dup3": this.dupOnto(call, fd, newfd, byte % 2 === 1); break;
      case "getfl": this.expect("fcntl", { fd, cmd: "F_GETFL" }, open === undefined ? "EBADF" : open.flags); break;
      case "setfl": {
        const flags = (byte % 2) * O_APPEND + (byte % 3 === 0 ? O_NONBLOCK : 0);
        this.expect("fcntl", { fd, cmd: "F_SETFL", arg: flags }, open === undefined ? "EBADF" : 0);
        if (open !== undefined) open.flags = (open.flags & ~(O_APPEND | O_NONBLOCK)) | flags;
        break;
      }
      case "getfd": this.expect("fcntl", { fd, cmd: "F_GETFD" }, open === undefined ? "EBADF" : Number(this.fds.get(fd)?.cloexec)); break;
      case "setfd": {
        const slot = this.fds.get(fd);
        this.expect("fcntl", { fd, cmd: "F_SETFD", arg: byte % 2 }, slot === undefined ? "EBADF" : 0);
        if (slot !== undefined) slot.cloexec = byte % 2 === 1;
        break;
      }
      case "fstat": this.stat("fstat", { fd }, open === undefined ? "EBADF" : open.node); break;
      case "stat": this.stat("newfstatat", { dirfd: "AT_FDCWD", pathname: path, flags: 0 }, this.exists(path, true)); break;
      case "lstat": this.stat("newfstatat", { dirfd: "AT_FDCWD", pathname: path, flags: "AT_SYMLINK_NOFOLLOW" }, this.exists(path, false)); break;
      case "getdents": this.getdents(fd, open); break;
      case "sendfile": this.sendfile(newfd, fd, byte % 2 === 0 ? at : null, count); break;
    }
  }

  private exists(path: string, follow: boolean): Node | string {
    const place = walkPath(this.root, path, follow);
    return typeof place === "string" ? place : (place.found ?? "ENOENT");
  }

  private open({ path, flags }: FileAct): void {
    const wanted = this.opens(path, flags);
    const args = { dirfd: "AT_FDCWD", pathname: path, flags, mode: 0o666 };
    if (typeof wanted === "string") {
      this.expect("openat", args, wanted);
      return;
    }
    const kept = flags & ~(O_CREAT | O_EXCL | O_TRUNC);
    this.expect("openat", args, this.install({ node: wanted, at: 0, flags: kept | O_LARGEFILE }));
  }

  private opens(path: string, flags: number): Node | string {
    if ((flags & O_CREAT) !== 0 && (flags & O_DIRECTORY) !== 0) return "EINVAL";
    if (path === "") return "ENOENT";
    if (this.freeFd() >= NOFILE) return "EMFILE";
    const exclusive = (flags & O_CREAT) !== 0 && (flags & O_EXCL) !== 0;
    const place = walkPath(this.root, path, !exclusive && (flags & O_NOFOLLOW) === 0);
    if (typeof place === "string") return place;
    if (place.found === null) {
      if ((flags & O_CREAT) === 0) return "ENOENT";
      const made = node("file", 0o644);
      add(place, made);
      return made;
    }
    const { found } = place;
    if (exclusive) return "EEXIST";
    if ((flags & O_CREAT) !== 0 && found.kind === "dir") return "EISDIR";
    if ((flags & O_DIRECTORY) !== 0 && found.kind !== "dir") return "ENOTDIR";
    if (found.kind === "link") return "ELOOP";
    if (found.kind === "dir" && ((flags & 3) !== 0 || (flags & O_TRUNC) !== 0)) return "EISDIR";
    if ((flags & O_TRUNC) !== 0) resize(found, 0);
    return found;
  }

  private read(call: string, args: Json, open: Open | undefined, count: number, at: number | null): void {
    const wanted = at !== null && at < 0 ? "EINVAL" : open === undefined || (open.flags & 3) === 1 ? "EBADF" : open.node.kind === "dir" ? "EISDIR" : null;
    if (wanted !== null || open === undefined) {
      this.expect(call, args, wanted);
      return;
    }
    const bytes = open.node.bytes.slice(at ?? open.at, (at ?? open.at) + count);
    const answer = this.expect(call, args, bytes.length);
    this.seat.same("bytes", outBase64(answer.buf ?? answer.iov), base64(bytes).base64);
    if (at === null) open.at += bytes.length;
  }

  private write(call: string, args: Json, open: Open | undefined, data: Uint8Array, at: number | null): void {
    const wanted = at !== null && at < 0 ? "EINVAL" : open === undefined || (open.flags & 3) === 0 ? "EBADF" : data.length;
    this.expect(call, args, wanted);
    if (typeof wanted === "string" || open === undefined || data.length === 0) return;
    // As Linux: O_APPEND goes before the offset of pwrite.
    const from = (open.flags & O_APPEND) !== 0 ? open.node.bytes.length : (at ?? open.at);
    put(open.node, from, data);
    if (at === null) open.at = from + data.length;
  }

  private lseek(fd: number, open: Open | undefined, offset: number, whence: number): void {
    if (open?.node.kind === "dir") return;
    const from = open === undefined ? 0 : [0, open.at, open.node.bytes.length, 0][whence];
    const wanted = open === undefined ? "EBADF" : whence === 3 || from + offset < 0 ? "EINVAL" : from + offset;
    this.expect("lseek", { fd, offset, whence: whence === 3 ? 17 : whence }, wanted);
    if (typeof wanted === "number" && open !== undefined) open.at = wanted;
  }

  private fallocate(fd: number, open: Open | undefined, offset: number, length: number, way: number): void {
    const mode = [0, 1, 3, 2][way];
    const wanted = open === undefined ? "EBADF" : offset < 0 || length <= 0 ? "EINVAL" : mode === 2 ? "EOPNOTSUPP" : (open.flags & 3) === 0 ? "EBADF" : 0;
    this.expect("fallocate", { fd, mode, offset, len: length }, wanted);
    if (wanted !== 0 || open === undefined) return;
    if (mode === 0 && open.node.bytes.length < offset + length) resize(open.node, offset + length);
    if (mode === 3) open.node.bytes.fill(0, offset, offset + length);
  }

  private link(path: string, other: string): void {
    const from = this.exists(path, false);
    const place = walkPath(this.root, other, false);
    const wanted = typeof from === "string" ? from : typeof place === "string" ? place : place.found !== null ? "EEXIST" : from.kind === "dir" ? "EPERM" : 0;
    this.expect("link", { oldpath: path, newpath: other }, wanted);
    if (wanted !== 0 || typeof from === "string" || typeof place === "string") return;
    from.nlink++;
    add(place, from);
  }

  private make(call: string, args: Json, path: string, made: () => Node): void {
    const place = walkPath(this.root, path, false);
    const wanted = typeof place === "string" ? place : place.found !== null ? "EEXIST" : 0;
    this.expect(call, args, wanted);
    if (wanted === 0) add(place as Place, made());
  }

  private dup(call: string, args: Json, open: Open | undefined, from: number): void {
    const outside = from < 0 || from >= NOFILE;
    if (open === undefined) this.expect(call, args, "EBADF");
    else if (outside) this.expect(call, args, "EINVAL");
    else if (this.freeFd(from) >= NOFILE) this.expect(call, args, "EMFILE");
    else this.expect(call, args, this.install(open, call === "fcntl", from));
  }

  private dupOnto(call: "dup2" | "dup3", fd: number, newfd: number, cloexec: boolean): void {
    const slot = this.fds.get(fd);
    const args: Json = call === "dup2" ? { oldfd: fd, newfd } : { oldfd: fd, newfd, flags: cloexec ? "O_CLOEXEC" : 0 };
    if (fd === newfd && call === "dup3") this.expect(call, args, "EINVAL");
    else if (slot === undefined || newfd < 0 || newfd >= NOFILE) this.expect(call, args, "EBADF");
    else {
      this.expect(call, args, newfd);
      if (fd !== newfd) this.fds.set(newfd, { open: slot.open, cloexec: call === "dup3" && cloexec });
    }
  }

  private stat(call: string, args: Json, found: Node | string): void {
    if (typeof found === "string") {
      this.expect(call, args, found);
      return;
    }
    const stat = this.expect(call, args, 0).statbuf as { [field: string]: Json };
    const kind = { file: 0o100000, dir: 0o040000, link: 0o120000 }[found.kind];
    if (found !== this.root) this.seat.same("mode", stat.st_mode, kind | found.mode);
    this.seat.same("nlink", stat.st_nlink, found.nlink);
    if (found.kind !== "dir") this.seat.same("size", stat.st_size, found.kind === "link" ? found.target.length : found.bytes.length);
    const known = this.inodes.get(found);
    if (known === undefined) this.inodes.set(found, Number(stat.st_ino));
    else this.seat.same("inode", stat.st_ino, known);
  }

  private getdents(fd: number, open: Open | undefined): void {
    const isDir = open?.node.kind === "dir";
    if (isDir) this.expect("lseek", { fd, offset: 0, whence: 0 }, 0);
    const answer = this.seat.call(this.seat.pid, "getdents64", { fd, count: 4096 });
    if (open === undefined || !isDir) {
      this.seat.same("result", answer.errno, open === undefined ? "EBADF" : "ENOTDIR");
    } else if (open.node.nlink === 0) {
      this.seat.same("result", answer.errno, "ENOENT");
    } else {
      const names = ((answer.dirp ?? []) as { d_name: string }[]).map(({ d_name }) => d_name).sort();
      this.seat.same("names", names, [".", "..", ...open.node.entries.keys()].sort());
      this.expect("getdents64", { fd, count: 4096 }, 0);
    }
  }

  private sendfile(outFd: number, inFd: number, offset: number | null, count: number): void {
    const [out, from] = [this.fds.get(outFd)?.open, this.fds.get(inFd)?.open];
    // Splicing a file onto itself copies pages that the copy changes.
    if (out !== undefined && out.node === from?.node) return;
    const wanted = from === undefined || (from.flags & 3) === 1 ? "EBADF"
      : offset !== null && offset < 0 ? "EINVAL"
      : out === undefined || (out.flags & 3) === 0 ? "EBADF"
      : (out.flags & O_APPEND) !== 0 || from.node.kind === "dir" ? "EINVAL" : null;
    const args = { out_fd: outFd, in_fd: inFd, ...(offset === null ? {} : { offset: { i64: offset } }), count };
    if (wanted !== null || out === undefined || from === undefined) {
      this.expect("sendfile", args, wanted);
      return;
    }
    const at = offset ?? from.at;
    const bytes = from.node.bytes.slice(at, at + count);
    this.expect("sendfile", args, bytes.length);
    if (bytes.length > 0) put(out.node, out.at, bytes);
    out.at += bytes.length;
    if (offset === null) from.at += bytes.length;
  }
}

function resize(file: Node, size: number): void {
  const bytes = new Uint8Array(size);
  bytes.set(file.bytes.subarray(0, size));
  file.bytes = bytes;
}

function put(file: Node, at: number, data: Uint8Array): void {
  if (file.bytes.length < at + data.length) resize(file, at + data.length);
  file.bytes.set(data, at);
}

export const files: Model<FileAct> = { name: "files", act, begin: () => new FileWalk() };
