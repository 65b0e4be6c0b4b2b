/** Every errno that the man pages of the memory calls name and that this kernel can give. */
import { expect, test } from "vitest";
import { Callers, type Refused } from "../../helpers/errnos.ts";

const PAGE = 4096;
const BAD = "0x1000";
const plus = (addr: unknown, offset: number): string => `0x${(BigInt(addr as string) + BigInt(offset)).toString(16)}`;
const PRIVATE = "MAP_PRIVATE|MAP_ANONYMOUS";

function refuses(c: Callers, pid: number, rows: Refused[]): void {
  for (const [call, args, errno] of rows) expect(c.errno(pid, call, args), `${call} ${JSON.stringify(args)}`).toBe(errno);
}

test("mmap and munmap", () => {
  const c = new Callers();
  const { root, user } = c;
  c.must(root, "openat", { pathname: "f", flags: "O_RDWR|O_CREAT", mode: 0o644 });
  c.must(root, "write", { fd: 3, buf: "some bytes" });
  const readOnly = c.must(root, "openat", { pathname: "f", flags: "O_RDONLY" });
  const writeOnly = c.must(root, "openat", { pathname: "f", flags: "O_WRONLY" });
  const path = c.must(root, "openat", { pathname: "f", flags: "O_PATH" });
  const folder = c.must(root, "openat", { pathname: ".", flags: "O_RDONLY|O_DIRECTORY" });
  c.must(root, "pipe2", { flags: 0 });
  const sealed = c.must(root, "memfd_create", { name: "s", flags: "MFD_ALLOW_SEALING" });
  c.must(root, "ftruncate", { fd: sealed, length: PAGE });
  c.must(root, "fcntl", { fd: sealed, cmd: "F_ADD_SEALS", arg: 8 });
  const taken = c.must(root, "mmap", { length: 2 * PAGE, prot: 3, flags: PRIVATE });
  const base = { length: PAGE, prot: 3, flags: PRIVATE };
  const ofFile = { length: PAGE, prot: 3, flags: "MAP_SHARED", fd: 3 };
  const noexec = c.must(root, "openat", { pathname: "/proc/version", flags: "O_RDONLY" });
  refuses(c, root, [
    ["mmap", { ...base, length: 0 }, "EINVAL"],
    ["mmap", { ...base, flags: "MAP_ANONYMOUS" }, "EINVAL"],
    ["mmap", { ...base, flags: `${PRIVATE}|MAP_FIXED`, addr: plus(taken, 1) }, "EINVAL"],
    ["mmap", { ...ofFile, offset: 100 }, "EINVAL"],
    ["mmap", { ...ofFile, fd: 99 }, "EBADF"], ["mmap", { ...ofFile, fd: -1 }, "EBADF"], ["mmap", { ...ofFile, fd: path }, "EBADF"],
    ["mmap", { ...ofFile, fd: writeOnly }, "EACCES"], ["mmap", { ...ofFile, fd: writeOnly, prot: 0, flags: "MAP_PRIVATE" }, "EACCES"],
    ["mmap", { ...ofFile, fd: readOnly }, "EACCES"],
    ["mmap", { ...ofFile, fd: folder, prot: 1 }, "ENODEV"], ["mmap", { ...ofFile, fd: Number(folder) + 1, prot: 1 }, "ENODEV"], ["mmap", { ...ofFile, fd: 0 }, "ENODEV"],
    ["mmap", { ...ofFile, flags: "MAP_SHARED_VALIDATE|MAP_SYNC" }, "EOPNOTSUPP"],
    ["mmap", { ...ofFile, offset: "0x7ffffffffffff000" }, "EOVERFLOW"],
    ["mmap", { ...ofFile, fd: sealed }, "EPERM"],
    ["mmap", { ...ofFile, fd: noexec, prot: 4, flags: "MAP_PRIVATE" }, "EPERM"],
    ["mmap", { ...base, flags: `${PRIVATE}|MAP_FIXED_NOREPLACE`, addr: plus(taken, PAGE) }, "EEXIST"],
    ["mmap", { ...base, length: "0x8000000000000000" }, "ENOMEM"], ["mmap", { ...base, length: 2 ** 47 }, "ENOMEM"], ["mmap", { ...base, length: 2 ** 34 }, "ENOMEM"],
    ["mmap", { ...base, flags: `${PRIVATE}|MAP_FIXED`, addr: "0x7ffffffff000" }, "ENOMEM"],
    ["munmap", { addr: plus(taken, 1), length: PAGE }, "EINVAL"], ["munmap", { addr: taken, length: 0 }, "EINVAL"],
    ["munmap", { addr: "0x800000000000", length: PAGE }, "EINVAL"], ["munmap", { addr: taken, length: "0xffffffffffffffff" }, "EINVAL"],
  ]);
  refuses(c, user, [["mmap", { ...base, flags: `${PRIVATE}|MAP_FIXED`, addr: "0x1000" }, "EPERM"]]);
  c.limit(user, "RLIMIT_MEMLOCK", 2 * PAGE);
  refuses(c, user, [["mmap", { ...base, length: 3 * PAGE, flags: `${PRIVATE}|MAP_LOCKED` }, "EAGAIN"]]);
  c.limit(user, "RLIMIT_MEMLOCK", 0);
  refuses(c, user, [["mmap", { ...base, flags: `${PRIVATE}|MAP_LOCKED` }, "EPERM"]]);
  c.limit(user, "RLIMIT_DATA", 64 * PAGE);
  refuses(c, user, [["mmap", { ...base, length: 65 * PAGE }, "ENOMEM"]]);
  c.limit(user, "RLIMIT_AS", 1 << 20);
  refuses(c, user, [["mmap", { ...base, length: (1 << 20) + 1, prot: 1 }, "ENOMEM"]]);
});

test("mprotect, mremap and brk", () => {
  const c = new Callers();
  const { root, user } = c;
  c.must(root, "openat", { pathname: "f", flags: "O_RDWR|O_CREAT", mode: 0o644 });
  c.must(root, "write", { fd: 3, buf: "some bytes" });
  c.must(root, "openat", { pathname: "f", flags: "O_RDONLY" });
  const area = c.must(root, "mmap", { length: 4 * PAGE, prot: 3, flags: PRIVATE });
  const file = c.must(root, "mmap", { length: PAGE, prot: 1, flags: "MAP_SHARED", fd: 4 });
  const segment = c.must(root, "ssmem_attach", { id: 1, flags: 1, length: 2 * PAGE });
  c.must(root, "munmap", { addr: plus(area, 2 * PAGE), length: PAGE });
  const mremap = (old_address: unknown, old_size: number, new_size: number | string, flags: string | number = 0, new_address: unknown = 0): Refused[1] =>
    ({ old_address, old_size, new_size, flags, new_address }) as Refused[1];
  const FIXED = "MREMAP_MAYMOVE|MREMAP_FIXED";
  refuses(c, root, [
    ["mprotect", { addr: plus(area, 1), len: PAGE, prot: 1 }, "EINVAL"],
    ["mprotect", { addr: area, len: PAGE, prot: "PROT_READ|PROT_GROWSDOWN|PROT_GROWSUP" }, "EINVAL"],
    ["mprotect", { addr: area, len: PAGE, prot: "PROT_READ|PROT_GROWSDOWN" }, "EINVAL"],
    ["mprotect", { addr: area, len: PAGE, prot: 0x100 }, "EINVAL"],
    ["mprotect", { addr: area, len: 4 * PAGE, prot: 3 }, "ENOMEM"], ["mprotect", { addr: BAD, len: PAGE, prot: 3 }, "ENOMEM"],
    ["mprotect", { addr: area, len: "0xfffffffffffff000", prot: 3 }, "ENOMEM"],
    ["mprotect", { addr: file, len: PAGE, prot: 3 }, "EACCES"], ["mprotect", { addr: segment, len: PAGE, prot: 3 }, "EACCES"],
    ["mremap", mremap(plus(area, 1), PAGE, PAGE), "EINVAL"], ["mremap", mremap(area, PAGE, 0), "EINVAL"], ["mremap", mremap(area, PAGE, PAGE, 8), "EINVAL"],
    ["mremap", mremap(area, PAGE, PAGE, "MREMAP_FIXED", 0x10_0000), "EINVAL"],
    ["mremap", mremap(area, 2 * PAGE, 2 * PAGE, FIXED, plus(area, PAGE)), "EINVAL"], ["mremap", mremap(area, PAGE, PAGE, FIXED, plus(area, 5)), "EINVAL"],
    ["mremap", mremap(area, PAGE, PAGE, FIXED, "0x7ffffffff000"), "EINVAL"],
    ["mremap", mremap(area, 0, PAGE, "MREMAP_MAYMOVE"), "EINVAL"], ["mremap", mremap(area, PAGE, 2 * PAGE, "MREMAP_MAYMOVE|MREMAP_DONTUNMAP"), "EINVAL"],
    ["mremap", mremap(plus(area, 2 * PAGE), PAGE, 2 * PAGE), "EFAULT"], ["mremap", mremap(area, 4 * PAGE, 8 * PAGE), "EFAULT"], ["mremap", mremap(segment, 2 * PAGE, 3 * PAGE, "MREMAP_MAYMOVE"), "EFAULT"],
    ["mremap", mremap(plus(area, PAGE), PAGE, 3 * PAGE), "ENOMEM"], ["mremap", mremap(plus(area, PAGE), PAGE, 2 ** 40, "MREMAP_MAYMOVE"), "ENOMEM"],
  ]);
  const locked = c.must(user, "mmap", { length: PAGE, prot: 3, flags: `${PRIVATE}|MAP_LOCKED` });
  c.limit(user, "RLIMIT_MEMLOCK", PAGE);
  refuses(c, user, [["mremap", mremap(locked, PAGE, 2 * PAGE, "MREMAP_MAYMOVE"), "EAGAIN"]]);
  // brk tells no errno: what cannot be is answered by the break as it is.
  const at = c.must(user, "brk", { addr: 0 });
  c.limit(user, "RLIMIT_DATA", 4 * PAGE);
  for (const addr of ["0x1", plus(at, 2 ** 40), plus(at, 16 * PAGE), "0xffffffffffffffff"]) expect(c.must(user, "brk", { addr })).toBe(at);
});

test("madvise, mincore, msync", () => {
  const c = new Callers();
  const { root, user } = c;
  c.must(root, "openat", { pathname: "f", flags: "O_RDWR|O_CREAT", mode: 0o644 });
  c.must(root, "ftruncate", { fd: 3, length: PAGE });
  const area = c.must(root, "mmap", { length: 4 * PAGE, prot: 3, flags: PRIVATE });
  const shared = c.must(root, "mmap", { length: 2 * PAGE, prot: 3, flags: "MAP_SHARED", fd: 3 });
  const copied = c.must(root, "mmap", { length: PAGE, prot: 3, flags: "MAP_PRIVATE", fd: 3 });
  const readOnly = c.must(root, "mmap", { length: PAGE, prot: 1, flags: PRIVATE });
  const locked = c.must(root, "mmap", { length: PAGE, prot: 3, flags: `${PRIVATE}|MAP_LOCKED` });
  const lockedFile = c.must(root, "mmap", { length: PAGE, prot: 3, flags: "MAP_SHARED|MAP_LOCKED", fd: 3 });
  c.must(root, "munmap", { addr: plus(area, 2 * PAGE), length: PAGE });
  const advise = (addr: unknown, advice: string | number, length: number | string = PAGE): Refused[1] => ({ addr, length, advice }) as Refused[1];
  refuses(c, root, [
    ["madvise", advise(plus(area, 1), "MADV_NORMAL"), "EINVAL"], ["madvise", advise(area, 1000), "EINVAL"], ["madvise", advise(area, "MADV_NORMAL", "0xffffffffffffffff"), "EINVAL"],
    ["madvise", advise(area, "MADV_NORMAL", 4 * PAGE), "ENOMEM"], ["madvise", advise(BAD, "MADV_DONTNEED"), "ENOMEM"],
    ["madvise", advise(locked, "MADV_DONTNEED"), "EINVAL"], ["madvise", advise(locked, "MADV_FREE"), "EINVAL"], ["madvise", advise(locked, "MADV_PAGEOUT"), "EINVAL"], ["madvise", advise(locked, "MADV_COLD"), "EINVAL"],
    ["madvise", advise(shared, "MADV_FREE"), "EINVAL"], ["madvise", advise(shared, "MADV_WIPEONFORK"), "EINVAL"],
    ["madvise", advise(area, "MADV_REMOVE"), "EINVAL"], ["madvise", advise(lockedFile, "MADV_REMOVE"), "EINVAL"], ["madvise", advise(copied, "MADV_REMOVE"), "EACCES"],
    ["madvise", advise(readOnly, "MADV_POPULATE_WRITE"), "EINVAL"], ["madvise", advise(plus(shared, PAGE), "MADV_POPULATE_READ"), "EFAULT"],
    ["madvise", advise(plus(area, 2 * PAGE), "MADV_POPULATE_READ"), "ENOMEM"],
    ["mincore", { addr: plus(area, 1), length: PAGE }, "EINVAL"], ["mincore", [area, PAGE, BAD], "EFAULT"], ["mincore", { addr: area, length: 4 * PAGE }, "ENOMEM"],
    ["mincore", ["0xffff800000000000", PAGE, area], "ENOMEM"],
    ["msync", { addr: plus(area, 1), length: PAGE, flags: "MS_SYNC" }, "EINVAL"], ["msync", { addr: area, length: PAGE, flags: "MS_SYNC|MS_ASYNC" }, "EINVAL"], ["msync", { addr: area, length: PAGE, flags: 8 }, "EINVAL"],
    ["msync", { addr: area, length: 4 * PAGE, flags: "MS_SYNC" }, "ENOMEM"], ["msync", { addr: lockedFile, length: PAGE, flags: "MS_INVALIDATE|MS_SYNC" }, "EBUSY"],
  ]);
  const own = c.must(user, "mmap", { length: PAGE, prot: 3, flags: PRIVATE });
  refuses(c, user, [["madvise", advise(own, "MADV_HWPOISON"), "EPERM"], ["madvise", advise(own, "MADV_SOFT_OFFLINE"), "EPERM"]]);
});

test("mlock and its relatives", () => {
  const c = new Callers();
  const { user } = c;
  const area = c.must(user, "mmap", { length: 8 * PAGE, prot: 3, flags: PRIVATE });
  const hidden = c.must(user, "mmap", { length: PAGE, prot: 0, flags: PRIVATE });
  c.must(user, "munmap", { addr: plus(area, 6 * PAGE), length: PAGE });
  c.limit(user, "RLIMIT_MEMLOCK", 4 * PAGE);
  refuses(c, user, [
    ["mlock", { addr: area, len: 5 * PAGE }, "ENOMEM"], ["mlock", { addr: plus(area, 5 * PAGE), len: 2 * PAGE }, "ENOMEM"], ["mlock", { addr: hidden, len: PAGE }, "ENOMEM"],
    ["mlock", { addr: area, len: "0xfffffffffffff000" }, "ENOMEM"], ["munlock", { addr: area, len: "0xfffffffffffff000" }, "EINVAL"],
    ["mlock2", { addr: area, len: PAGE, flags: 2 }, "EINVAL"],
    ["munlock", { addr: plus(area, 5 * PAGE), len: 2 * PAGE }, "ENOMEM"],
    ["mlockall", { flags: 0 }, "EINVAL"], ["mlockall", { flags: 8 }, "EINVAL"], ["mlockall", { flags: "MCL_ONFAULT" }, "EINVAL"], ["mlockall", { flags: "MCL_CURRENT" }, "ENOMEM"],
  ]);
  c.limit(user, "RLIMIT_MEMLOCK", 0);
  refuses(c, user, [["mlock", { addr: area, len: PAGE }, "EPERM"], ["mlock2", { addr: area, len: PAGE, flags: 1 }, "EPERM"], ["mlockall", { flags: "MCL_FUTURE" }, "EPERM"]]);
  for (const call of ["munlockall", "munlock"]) expect(c.errno(user, call, call === "munlock" ? { addr: area, len: PAGE } : {})).toBe(0);
});

test("memfd_create and mknod", () => {
  const c = new Callers();
  const { root, user } = c;
  c.must(root, "openat", { pathname: "there", flags: "O_RDWR|O_CREAT", mode: 0o600 });
  c.must(root, "symlink", { target: "around", linkpath: "around" });
  const DEV = { major: 200, minor: 0 };
  refuses(c, root, [
    ["memfd_create", [BAD, 0], "EFAULT"], ["memfd_create", { name: "x".repeat(250), flags: 0 }, "EINVAL"], ["memfd_create", { name: "x", flags: 0x100 }, "EINVAL"],
    ["mknod", { pathname: "there", mode: "S_IFCHR|0600", dev: DEV }, "EEXIST"], ["mknod", [BAD, 0o20600, 0], "EFAULT"],
    ["mknod", { pathname: "a", mode: "S_IFDIR|0700", dev: DEV }, "EPERM"], ["mknod", { pathname: "a", mode: 0o110600, dev: DEV }, "EINVAL"],
    ["mknod", { pathname: "none/a", mode: "S_IFCHR|0600", dev: DEV }, "ENOENT"], ["mknod", { pathname: "", mode: "S_IFCHR|0600", dev: DEV }, "ENOENT"],
    ["mknod", { pathname: "there/a", mode: "S_IFCHR|0600", dev: DEV }, "ENOTDIR"], ["mknod", { pathname: "around/a", mode: "S_IFCHR|0600", dev: DEV }, "ELOOP"],
    ["mknod", { pathname: "x".repeat(256), mode: "S_IFCHR|0600", dev: DEV }, "ENAMETOOLONG"],
    ["mknodat", { dirfd: 99, pathname: "a", mode: "S_IFCHR|0600", dev: DEV }, "EBADF"], ["mknodat", { dirfd: 3, pathname: "a", mode: "S_IFCHR|0600", dev: DEV }, "ENOTDIR"],
  ]);
  refuses(c, user, [
    ["mknod", { pathname: "a", mode: "S_IFCHR|0600", dev: DEV }, "EPERM"], ["mknod", { pathname: "a", mode: "S_IFBLK|0600", dev: DEV }, "EPERM"],
    ["mknod", { pathname: "/root/a", mode: "S_IFIFO|0600", dev: 0 }, "EACCES"],
  ]);
  expect(c.errno(user, "mknod", { pathname: "fifo", mode: "S_IFIFO|0600", dev: 0 })).toBe(0);
  c.limit(user, "RLIMIT_NOFILE", 3);
  refuses(c, user, [["memfd_create", { name: "x", flags: 0 }, "EMFILE"]]);
});
