/** What the recorded probe of a character device did, row by row, as system calls over HTTP. */
import type { Answer, Args, Process } from "./client.ts";

/** What a row answered: as recorded, `ret` of a mapping is 1. */
export interface Observed {
  ret: number;
  errno: string | null;
  note?: string;
}

/** Descriptors and mappings that later rows use. */
export interface Probe {
  process: Process;
  path: string;
  rw: number;
  ro: number;
  wo: number;
  /** O_RDWR|O_NONBLOCK. */
  nb: number;
  opath: number;
  file: number;
  pipe: [number, number];
  maps: Record<string, string>;
  /** Pages that are mapped before the hole that a read of 2 GiB runs into. */
  pagesBeforeHole: number;
}

const SIZE_MAX = "18446744073709551615";
const SSIZE_MAX = "9223372036854775807";
const PAGE = 4096;
const SI_CODES: Record<string, number> = { SEGV_MAPERR: 1, SEGV_ACCERR: 2 };

type Row = (probe: Probe) => Promise<Observed>;

const plain = ({ ret, errno }: Answer): Observed => ({ ret, errno });

/** A row that is one call; the arguments may name what earlier rows made. */
function call(name: string, args: (probe: Probe) => Args): Row {
  return async (probe) => plain(await probe.process.call(name, args(probe)));
}

function open(flags: string): Row {
  return async (probe) => {
    const answer = await probe.process.call("openat", { pathname: probe.path, flags });
    if (answer.errno === null) await probe.process.call("close", { fd: answer.ret });
    return plain(answer);
  };
}

function keepOpen(as: "rw" | "ro" | "wo" | "opath", flags: string): Row {
  return async (probe) => {
    const answer = await probe.process.call("openat", { pathname: probe.path, flags });
    probe[as] = answer.ret;
    return plain(answer);
  };
}

interface Map {
  length?: number | string;
  prot?: string;
  flags?: string | number;
  offset?: number | string;
  of?: (probe: Probe) => number;
}

function map(as: string | null, { length = PAGE, prot = "PROT_READ|PROT_WRITE", flags = "MAP_SHARED", offset = 0, of = (p) => p.rw }: Map): Row {
  return async (probe) => {
    const answer = await probe.process.call("mmap", { length, prot, flags, fd: of(probe), offset });
    if (answer.errno !== null) return { ret: -1, errno: answer.errno };
    if (as !== null) probe.maps[as] = String(answer.ret);
    return { ret: 1, errno: null };
  };
}

function at(probe: Probe, name: string, offset = 0): string {
  const base = probe.maps[name];
  if (base === undefined) throw new Error(`there is no mapping ${name}`);
  return `0x${(BigInt(base) + BigInt(offset)).toString(16)}`;
}

function access(answer: Answer, addr: string): Observed {
  if (answer.signal === undefined) return { ret: 0, errno: null, note: `ok value=${answer.buf === undefined ? 0 : Buffer.from(answer.buf.base64, "base64")[0]}` };
  const code = typeof answer.siCode === "string" ? SI_CODES[answer.siCode] : answer.siCode;
  return { ret: 0, errno: null, note: `signal=${answer.signal} si_code=${code} si_addr_off=${BigInt(answer.faultAddr!) - BigInt(addr)}` };
}

function load(name: string, offset: number): Row {
  return async (probe) => {
    const addr = at(probe, name, offset);
    return access(await probe.process.call("load", { addr, length: 1, onFault: "report" }), addr);
  };
}

function store(name: string, offset: number, byte: number): Row {
  return async (probe) => {
    const addr = at(probe, name, offset);
    return access(await probe.process.call("store", { addr, buf: { hex: byte.toString(16).padStart(2, "0") }, onFault: "report" }), addr);
  };
}

async function poll(probe: Probe, timeout: number): Promise<Observed> {
  const answer = await probe.process.call("poll", { fds: [{ fd: probe.rw, events: "POLLIN|POLLOUT|POLLPRI" }], timeout });
  const names: Record<string, number> = { POLLIN: 1, POLLPRI: 2, POLLOUT: 4 };
  const { revents } = answer.fds![0]!;
  const bits = typeof revents === "number" ? revents : String(revents).split("|").reduce((sum, name) => sum | (names[name] ?? 0), 0);
  return { ret: answer.ret, errno: answer.errno, note: `revents=0x${bits.toString(16)}` };
}

/** Room that ends before an unmapped page. */
async function beforeHole({ process, pagesBeforeHole: pages }: Probe): Promise<string> {
  const { ret } = await process.call("mmap", { length: (pages + 16) * PAGE, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  await process.must("munmap", { addr: `0x${(BigInt(ret) + BigInt(pages * PAGE)).toString(16)}`, length: 16 * PAGE });
  return String(ret);
}

const ioctl = (request: number, arg: unknown): Row => call("ioctl", ({ rw }) => ({ fd: rw, request, arg }));
const lseek = (offset: number, whence: string | number): Row => call("lseek", ({ rw }) => ({ fd: rw, offset, whence }));
const read = (args: Record<string, unknown>): Row => call("read", ({ nb }) => ({ fd: nb, ...args }));
const write = (args: Record<string, unknown>): Row => call("write", ({ rw }) => ({ fd: rw, ...args }));

/** Raw registers: what a structure could not say. */
function vector(iovcnt: number): Row {
  return async (probe) => {
    const { ret } = await probe.process.call("mmap", { length: 8 * PAGE, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
    return plain(await probe.process.call("readv", [probe.nb, ret, iovcnt]));
  };
}

async function poured(probe: Probe): Promise<void> {
  await probe.process.must("write", { fd: probe.pipe[1], buf: "pour" });
}

/** Every row of the recording, by its name there. */
export const ROWS: Record<string, Row> = {
  "open(O_RDWR)": keepOpen("rw", "O_RDWR"),
  "open(O_RDONLY)": keepOpen("ro", "O_RDONLY"),
  "open(O_WRONLY)": keepOpen("wo", "O_WRONLY"),
  "open(O_RDWR|O_CREAT|O_EXCL)": open("O_RDWR|O_CREAT|O_EXCL"),
  "open(O_RDONLY|O_DIRECTORY)": open("O_RDONLY|O_DIRECTORY"),
  "open(O_RDWR|O_TRUNC)": open("O_RDWR|O_TRUNC"),
  "open(O_RDWR|O_APPEND)": open("O_RDWR|O_APPEND"),
  "open(O_RDWR|O_DIRECT)": open("O_RDWR|O_DIRECT"),
  "open(O_PATH)": keepOpen("opath", "O_PATH"),
  "read on O_PATH fd": call("read", ({ opath }) => ({ fd: opath, count: 1 })),
  "ioctl on O_PATH fd": call("ioctl", ({ opath }) => ({ fd: opath, request: 0 })),
  fstat: async ({ process, rw }) => {
    const { ret, errno, statbuf } = await process.call("fstat", { fd: rw });
    const rdev = statbuf!["st_rdev"] as unknown as { major: number; minor: number };
    const note = `mode=${statbuf!["st_mode"]!.toString(8)} rdev=${rdev.major}:${rdev.minor} size=${statbuf!["st_size"]} blksize=${statbuf!["st_blksize"]} nlink=${statbuf!["st_nlink"]}`;
    return { ret, errno, note };
  },
  "fcntl(F_GETFL) of O_RDWR|O_NONBLOCK": async (probe) => {
    probe.nb = await probe.process.must("openat", { pathname: probe.path, flags: "O_RDWR|O_NONBLOCK" });
    return plain(await probe.process.call("fcntl", { fd: probe.nb, cmd: "F_GETFL" }));
  },
  "read O_NONBLOCK 16": read({ count: 16 }),
  "read count 0": read({ count: 0 }),
  "read NULL count 0": read({ buf: null, count: 0 }),
  "read NULL 16 (nonblock)": read({ buf: null, count: 16 }),
  "read 0x1000 addr 16 (nonblock)": read({ buf: { addr: "0x1000" }, count: 16 }),
  "read kernel addr 16 (nonblock)": read({ buf: { addr: "0xffff888000000000" }, count: 16 }),
  "read count SIZE_MAX (nonblock)": read({ count: SIZE_MAX }),
  "read count SSIZE_MAX (nonblock)": read({ count: SSIZE_MAX }),
  "read count 0x80000000 (nonblock)": async (probe) =>
    plain(await probe.process.call("read", { fd: probe.nb, buf: { addr: await beforeHole(probe) }, count: 0x80000000 })),
  "read on O_WRONLY": call("read", ({ wo }) => ({ fd: wo, count: 1 })),
  "write on O_RDONLY": call("write", ({ ro }) => ({ fd: ro, buf: "x" })),
  "write count 0": write({ buf: "", count: 0 }),
  "write NULL 0": write({ buf: null, count: 0 }),
  "write NULL 4": write({ buf: null, count: 4 }),
  "write count SIZE_MAX": async (probe) =>
    plain(await probe.process.call("write", { fd: probe.rw, buf: { addr: await beforeHole(probe) }, count: SIZE_MAX })),
  "write 5 bytes": write({ buf: "hello" }),
  "pread 4 @0 (nonblock)": call("pread64", ({ nb }) => ({ fd: nb, count: 4, offset: 0 })),
  "pread 4 @-1": call("pread64", ({ nb }) => ({ fd: nb, count: 4, offset: -1 })),
  "pwrite 4 @0": call("pwrite64", ({ rw }) => ({ fd: rw, buf: "aaaa", offset: 0 })),
  "pwrite 4 @-1": call("pwrite64", ({ rw }) => ({ fd: rw, buf: "four", offset: -1 })),
  "readv 2x4 (nonblock)": call("readv", ({ nb }) => ({ fd: nb, iov: [{ iov_len: 4 }, { iov_len: 4 }] })),
  "readv iovcnt 0": call("readv", ({ nb }) => ({ fd: nb, iov: [] })),
  "readv iovcnt -1": vector(-1),
  "readv iovcnt 1025": vector(1025),
  "writev 2x4": call("writev", ({ rw }) => ({ fd: rw, iov: ["1234", "5678"] })),
  "lseek 0 SEEK_SET": lseek(0, "SEEK_SET"),
  "lseek 10 SEEK_SET": lseek(10, "SEEK_SET"),
  "lseek 0 SEEK_CUR": lseek(0, "SEEK_CUR"),
  "lseek 5 SEEK_CUR": lseek(5, "SEEK_CUR"),
  "lseek -1 SEEK_SET": lseek(-1, "SEEK_SET"),
  "lseek 0 SEEK_END": lseek(0, "SEEK_END"),
  "lseek 1 SEEK_END": lseek(1, "SEEK_END"),
  "lseek whence 99": lseek(0, 99),
  "lseek SEEK_DATA": lseek(0, "SEEK_DATA"),
  "lseek 0 SEEK_SET again": lseek(0, "SEEK_SET"),
  "ioctl 0xdead": ioctl(0xdead, 0),
  "ioctl 0": ioctl(0, 0),
  "ioctl TCGETS": ioctl(0x5401, { out: 64 }),
  "ioctl FIONREAD": ioctl(0x541b, { out: 4 }),
  "ioctl FIONBIO": ioctl(0x5421, { in: { i32: 1 } }),
  "ioctl FIONBIO NULL": ioctl(0x5421, 0),
  "ioctl _IOR('z',1,int)": ioctl(0x80047a01, { out: 4 }),
  "ioctl _IOW('k',2,int) bad ptr": ioctl(0x40046b02, "0x1000"),
  "ioctl FIOCLEX": ioctl(0x5451, 0),
  "ioctl FIOASYNC": ioctl(0x5452, { in: { i32: 0 } }),
  "fcntl F_SETFL O_ASYNC": call("fcntl", ({ rw }) => ({ fd: rw, cmd: "F_SETFL", arg: 0o20000 })),
  "fcntl F_SETFL O_DIRECT": call("fcntl", ({ rw }) => ({ fd: rw, cmd: "F_SETFL", arg: 0o40000 })),
  "fcntl F_SETFL 0": call("fcntl", ({ rw }) => ({ fd: rw, cmd: "F_SETFL", arg: 0 })),
  "fcntl 9999": call("fcntl", ({ rw }) => ({ fd: rw, cmd: 9999, arg: 0 })),
  "poll(IN|OUT|PRI, 0)": (probe) => poll(probe, 0),
  "poll(300 ms)": (probe) => poll(probe, 300),
  "select r,w 0": async ({ process, rw }) => {
    const { ret, errno, readfds, writefds } = await process.call("select", {
      nfds: rw + 1, readfds: [rw], writefds: [rw], timeout: { tv_sec: 0, tv_usec: 0 },
    });
    return { ret, errno, note: `readable=${readfds!.length} writable=${writefds!.length}` };
  },
  "epoll_ctl ADD": async ({ process, rw }) => {
    const epfd = await process.must("epoll_create1");
    return plain(await process.call("epoll_ctl", { epfd, op: "EPOLL_CTL_ADD", fd: rw, event: { events: "EPOLLIN", data: 1 } }));
  },
  fsync: call("fsync", ({ rw }) => ({ fd: rw })),
  fdatasync: call("fdatasync", ({ rw }) => ({ fd: rw })),
  "ftruncate 0": call("ftruncate", ({ rw }) => ({ fd: rw, length: 0 })),
  fallocate: call("fallocate", ({ rw }) => ({ fd: rw, mode: 0, offset: 0, len: 4096 })),
  "flock LOCK_EX|LOCK_NB": call("flock", ({ rw }) => ({ fd: rw, operation: "LOCK_EX|LOCK_NB" })),
  "flock LOCK_UN": call("flock", ({ rw }) => ({ fd: rw, operation: "LOCK_UN" })),
  "posix_fadvise(ret is errno)": call("fadvise64", ({ rw }) => ({ fd: rw, offset: 0, len: 0, advice: "POSIX_FADV_NORMAL" })),
  getdents64: call("getdents64", ({ rw }) => ({ fd: rw, count: 1024 })),
  syncfs: call("syncfs", ({ rw }) => ({ fd: rw })),
  "sendfile dev->file 4 (nonblock)": call("sendfile", ({ nb, file }) => ({ out_fd: file, in_fd: nb, count: 4 })),
  "sendfile file->dev 4": async ({ process, rw, file }) => {
    await process.must("pwrite64", { fd: file, buf: "file", offset: 0 });
    await process.must("lseek", { fd: file, offset: 0, whence: "SEEK_SET" });
    return plain(await process.call("sendfile", { out_fd: rw, in_fd: file, count: 4 }));
  },
  "splice dev->pipe 4 (nonblock)": call("splice", ({ nb, pipe }) => ({ fd_in: nb, fd_out: pipe[1], len: 4 })),
  "splice pipe->dev 4": async (probe) => {
    await poured(probe);
    return plain(await probe.process.call("splice", { fd_in: probe.pipe[0], fd_out: probe.rw, len: 4 }));
  },
  "copy_file_range dev->file": call("copy_file_range", ({ rw, file }) => ({ fd_in: rw, fd_out: file, len: 4 })),
  "mmap 4096 RW MAP_SHARED (ret 1 if ok)": map("m", {}),
  "mmap 1 page RW SHARED": map("m1", {}),
  "mmap 2 pages RW SHARED": map("m2", { length: 2 * PAGE }),
  "mmap 3 pages RW SHARED": map("m3", { length: 3 * PAGE }),
  "mmap 1 page RW PRIVATE": map("private", { flags: "MAP_PRIVATE" }),
  "mmap len 0": map(null, { length: 0 }),
  "mmap len 1": map(null, { length: 1 }),
  "mmap off 1 (unaligned)": map(null, { offset: 1 }),
  "mmap off 4096": map(null, { offset: 4096 }),
  "mmap off 8192": map(null, { offset: 8192 }),
  "mmap off -4096": map(null, { offset: -4096 }),
  "mmap off 0x7ffffffffffff000": map(null, { offset: "0x7ffffffffffff000" }),
  "mmap len 1<<47": map(null, { length: 2 ** 47 }),
  "mmap len SIZE_MAX": map(null, { length: SIZE_MAX }),
  "mmap flags 0": map(null, { flags: 0 }),
  "mmap flags SHARED|PRIVATE": map(null, { flags: 3 }),
  "mmap fd -1": map(null, { of: () => -1 }),
  "mmap PROT_NONE SHARED": map(null, { prot: "PROT_NONE" }),
  "mmap PROT_EXEC SHARED": map(null, { prot: "PROT_EXEC" }),
  "mmap PROT_WRITE SHARED on O_RDONLY fd": map(null, { of: ({ ro }) => ro }),
  "mmap PROT_READ SHARED on O_RDONLY fd": map("readOnly", { prot: "PROT_READ", of: ({ ro }) => ro }),
  "mmap PROT_WRITE PRIVATE on O_RDONLY fd": map(null, { flags: "MAP_PRIVATE", of: ({ ro }) => ro }),
  "mprotect to RW of SHARED O_RDONLY mapping": call("mprotect", (p) => ({ addr: at(p, "readOnly"), len: PAGE, prot: "PROT_READ|PROT_WRITE" })),
  "write to read-only mapping": store("readOnly", 0, 65),
  "mmap PROT_READ SHARED on O_WRONLY fd": map(null, { prot: "PROT_READ", of: ({ wo }) => wo }),
  "mmap PROT_WRITE SHARED on O_WRONLY fd": map(null, { prot: "PROT_WRITE", of: ({ wo }) => wo }),
  "load m[0]": load("m", 0),
  "store m[0]": store("m", 0, 66),
  "load m[4095]": load("m", 4095),
  "msync MS_SYNC": call("msync", (p) => ({ addr: at(p, "m"), length: PAGE, flags: "MS_SYNC" })),
  "msync unaligned": call("msync", (p) => ({ addr: at(p, "m", 1), length: PAGE, flags: "MS_SYNC" })),
  mlock: call("mlock", (p) => ({ addr: at(p, "m"), len: PAGE })),
  "madvise DONTNEED": call("madvise", (p) => ({ addr: at(p, "m"), length: PAGE, advice: "MADV_DONTNEED" })),
  "madvise 9999": call("madvise", (p) => ({ addr: at(p, "m"), length: PAGE, advice: 9999 })),
  "mprotect READ": call("mprotect", (p) => ({ addr: at(p, "m"), len: PAGE, prot: "PROT_READ" })),
  "store after mprotect READ": store("m", 0, 66),
  "mprotect NONE": call("mprotect", (p) => ({ addr: at(p, "m"), len: PAGE, prot: "PROT_NONE" })),
  "load after mprotect NONE": load("m", 0),
  "mprotect unaligned": call("mprotect", (p) => ({ addr: at(p, "m", 1), len: PAGE, prot: "PROT_READ" })),
  "munmap unaligned addr": call("munmap", (p) => ({ addr: at(p, "m", 1), length: PAGE })),
  "munmap len 0": call("munmap", (p) => ({ addr: at(p, "m"), length: 0 })),
  "mremap 1->2 pages MAYMOVE": async (probe) => {
    const answer = await probe.process.call("mremap", { old_address: at(probe, "m"), old_size: PAGE, new_size: 2 * PAGE, flags: "MREMAP_MAYMOVE" });
    if (answer.errno !== null) return plain(answer);
    probe.maps["m"] = String(answer.ret);
    return { ret: 1, errno: null };
  },
  "close(fd) with mapping": async (probe) => {
    const fd = await probe.process.must("openat", { pathname: probe.path, flags: "O_RDWR" });
    await map("held", { of: () => fd })(probe);
    return plain(await probe.process.call("close", { fd }));
  },
  munmap: call("munmap", (p) => ({ addr: at(p, "m"), length: 2 * PAGE })),
  "load after munmap": load("m", 0),
  "munmap again (unmapped range)": call("munmap", (p) => ({ addr: at(p, "m"), length: PAGE })),
  "mprotect unmapped": call("mprotect", (p) => ({ addr: at(p, "m"), len: PAGE, prot: "PROT_READ" })),
  "msync unmapped": call("msync", (p) => ({ addr: at(p, "m"), length: PAGE, flags: "MS_SYNC" })),
  "load m2[4096]": load("m2", 4096),
  "load m2[8191]": load("m2", 8191),
  "store m2[0]": store("m2", 0, 67),
  "load m3[8192] (3rd page)": load("m3", 8192),
  "store private[0]": store("private", 0, 68),
  "load private[0]": load("private", 0),
  "load shared[0] after private store": load("m2", 0),
  close: call("close", ({ rw }) => ({ fd: rw })),
  "close again": call("close", ({ rw }) => ({ fd: rw })),
  "read on closed": call("read", ({ rw }) => ({ fd: rw, count: 1 })),
  "ioctl on closed": call("ioctl", ({ rw }) => ({ fd: rw, request: 0 })),
  "read fd -1": call("read", () => ({ fd: -1, count: 1 })),
};
