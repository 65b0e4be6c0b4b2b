/** Drivers of modules: one without handlers, one with all of them, mappings that fault; what keeps a module in use. */
import { describe, expect, test } from "vitest";
import type { Json } from "../../../core/input.ts";
import { rmmodCheck } from "../../../core/module/messages.ts";
import { debugfsCreateDir, debugfsCreateFile, debugfsOperations, debugfsRemove } from "../../../core/fs/debugfs/debugfs.ts";
import { fileOperations } from "../../../core/fs/file.ts";
import { singleOpen } from "../../../core/fs/seq_file.ts";
import { procCreate, procMkdir, removeProcEntry } from "../../../core/fs/proc/dynamic.ts";
import { Lab, type Outcome } from "../modules/lab.ts";
import "../../../core/labs/testmodules/devices.ts";

const got = ({ ret, errno }: Outcome): unknown => errno ?? ret;
const text = ({ answer }: Outcome): string => ("buf" in answer ? (answer.buf as { text: string }).text : String(answer.state));
const open = (lab: Lab, pathname: string, flags = "O_RDWR"): number => Number(lab.call("openat", { pathname, flags }).ret);

async function with_(...modules: string[]): Promise<Lab> {
  const lab = await Lab.boot();
  for (const name of modules) expect(lab.insmod(name).ret).toBe(0);
  lab.dmesg();
  return lab;
}

describe("a device without handlers, as recorded", () => {
  const calls: [string, { [argument: string]: Json }, unknown][] = [
    ["read", { count: 16 }, "EINVAL"], ["read", { count: 0 }, "EINVAL"], ["read", { buf: null, count: 0 }, "EINVAL"],
    ["write", { buf: "x" }, "EINVAL"], ["write", { buf: null, count: 0 }, "EINVAL"], ["pread64", { count: 4, offset: 0 }, "EINVAL"],
    ["readv", { iov: [{ iov_len: 4 }] }, "EINVAL"], ["writev", { iov: ["ab"] }, "EINVAL"], ["lseek", { offset: 0, whence: "SEEK_SET" }, "ESPIPE"],
    ["ioctl", { request: 0xdead, arg: 0 }, "ENOTTY"], ["ioctl", { request: 0x541b, arg: { out: 4 } }, "ENOTTY"],
    ["mmap", { length: 4096, prot: "PROT_READ", flags: "MAP_SHARED" }, "ENODEV"], ["mmap", { length: 0, prot: "PROT_READ", flags: "MAP_SHARED" }, "EINVAL"],
    ["mmap", { length: 4096, prot: "PROT_READ", flags: "MAP_SHARED", offset: 1 }, "EINVAL"], ["fsync", {}, "EINVAL"], ["ftruncate", { length: 0 }, "EINVAL"],
    ["fallocate", { mode: 0, offset: 0, len: 10 }, "ENODEV"],
  ];
  for (const [call, args, answer] of calls) {
    test(`${call} ${JSON.stringify(args)}`, async () => {
      const lab = await with_("nohand");
      expect(got(lab.call(call, { fd: open(lab, "/dev/nohand0"), ...args }))).toBe(answer);
    });
  }
  test("it is always ready for poll, never for epoll", async () => {
    const lab = await with_("nohand");
    const fd = open(lab, "/dev/nohand0");
    expect(lab.call("poll", { fds: [{ fd, events: "POLLIN|POLLOUT|POLLPRI" }], timeout: 0 }).ret).toBe(1);
    const epfd = lab.call("epoll_create1", { flags: 0 }).ret;
    expect(got(lab.call("epoll_ctl", { epfd, op: "EPOLL_CTL_ADD", fd, event: { events: "EPOLLIN", data: 0 } }))).toBe("EPERM");
  });
});

describe("a misc device with all handlers", () => {
  test("what is written is read; a reader sleeps until then", async () => {
    const lab = await with_("full");
    const fd = open(lab, "/dev/fulldev");
    expect(lab.dmesg()).toEqual([["info", `full: open by sh pid ${lab.pid} flags 100002`]]);
    const reading = lab.call("read", { fd, count: 10 });
    expect(reading.ret).toBe("sleeping");
    expect(lab.text(`/proc/${lab.pid}/wchan`)).toBe("f_read");
    const writer = await lab.machine.createProcess(0);
    const out = Number(lab.call("openat", { pathname: "/dev/fulldev", flags: "O_RDWR" }, writer).ret);
    expect(got(lab.call("write", { fd: out, buf: "hello" }, writer))).toBe(5);
    const answer = lab.machine.stand(String("callId" in reading.answer ? reading.answer.callId : ""));
    expect("buf" in answer && answer.buf).toMatchObject({ text: "hello" });
    expect(got(lab.call("read", { fd, count: 10 }))).toBe(0);
    expect(got(lab.call("lseek", { fd, offset: 2, whence: "SEEK_SET" }))).toBe(2);
    expect(text(lab.call("read", { fd, count: 10 }))).toBe("llo");
  });
  test("an empty one is EAGAIN without waiting, and EINTR when interrupted", async () => {
    const lab = await with_("full");
    expect(got(lab.call("read", { fd: open(lab, "/dev/fulldev", "O_RDONLY|O_NONBLOCK"), count: 1 }))).toBe("EAGAIN");
    const reading = lab.call("read", { fd: open(lab, "/dev/fulldev"), count: 1 });
    const callId = String("callId" in reading.answer ? reading.answer.callId : "");
    lab.machine.feed({ type: "interruptCall", callId });
    expect(lab.machine.stand(callId)).toMatchObject({ errno: "EINTR" });
  });
  test("ioctls move a number", async () => {
    const lab = await with_("full");
    const fd = open(lab, "/dev/fulldev");
    expect(got(lab.call("ioctl", { fd, request: 0x40046602, arg: { in: { hex: "2a000000" } } }))).toBe(0);
    const read = lab.call("ioctl", { fd, request: 0x80046601, arg: { out: 4 } });
    expect("arg" in read.answer && JSON.stringify(read.answer.arg)).toContain("\"KgAAAA");
    expect(got(lab.call("ioctl", { fd, request: 0xc0046603, arg: { in: { hex: "07000000" } } }))).toBe(1);
    expect(got(lab.call("ioctl", { fd, request: 0x80046601, arg: { addr: "0x1000" } }))).toBe("EFAULT");
    expect(lab.text("/proc/fulldev")).toBe("value=7 used=0 ticks=0\n");
  });
  test("its /proc file reads and takes a number, as recorded", async () => {
    const lab = await with_("full");
    const write = (buf: string): unknown => {
      const fd = open(lab, "/proc/fulldev", "O_WRONLY|O_TRUNC");
      const result = got(lab.call("write", { fd, buf }));
      lab.call("close", { fd });
      return result;
    };
    expect([write("12\n"), write("junk\n")]).toEqual([3, "EINVAL"]);
    expect(text(lab.call("read", { fd: open(lab, "/proc/fulldev", "O_RDONLY"), count: 100 }))).toBe("value=12 used=0 ticks=0\n");
    const kept = open(lab, "/proc/fulldev", "O_RDWR");
    expect(lab.rmmod("full").ret).toBe(0);
    expect(got(lab.call("read", { fd: kept, count: 10 }))).toBe("EIO");
    expect(got(lab.call("write", { fd: kept, buf: "1" }))).toBe("EIO");
    lab.call("close", { fd: kept });
    expect(lab.machine.broken()).toEqual([]);
  });
  test("a mapping shows the buffer, no more than there is", async () => {
    const lab = await with_("full");
    const fd = open(lab, "/dev/fulldev");
    lab.call("write", { fd, buf: "mapped" });
    const { ret: addr } = lab.call("mmap", { length: 8192, prot: "PROT_READ|PROT_WRITE", flags: "MAP_SHARED", fd });
    expect(text(lab.call("load", { addr, length: 6 }))).toBe("mapped");
    lab.call("store", { addr, buf: "M" });
    lab.call("lseek", { fd, offset: 0, whence: "SEEK_SET" });
    expect(text(lab.call("read", { fd, count: 6 }))).toBe("Mapped");
    for (const [length, offset, answer] of [[12288, 0, "EINVAL"], [4096, 8192, "EINVAL"]] as const) {
      expect(got(lab.call("mmap", { length, prot: "PROT_READ", flags: "MAP_SHARED", fd, offset }))).toBe(answer);
    }
  });
});

describe("what keeps a module in use", () => {
  test("an open file; then a copy of its descriptor; then its mapping", async () => {
    const lab = await with_("full");
    const count = (): string => lab.text("/sys/module/full/refcnt");
    const fd = open(lab, "/dev/fulldev");
    const copy = Number(lab.call("dup", { oldfd: fd }).ret);
    const { ret: addr } = lab.call("mmap", { length: 4096, prot: "PROT_READ", flags: "MAP_SHARED", fd });
    expect(count()).toBe("1\n");
    expect(rmmodCheck(lab.machine.kernel, "full")).toEqual({ error: "rmmod: ERROR: Module full is in use" });
    expect(got(lab.rmmod("full"))).toBe("EAGAIN");
    lab.call("close", { fd });
    lab.call("close", { fd: copy });
    expect(count()).toBe("1\n");
    lab.call("munmap", { addr, length: 4096 });
    expect(count()).toBe("0\n");
    expect(lab.dmesg().at(-1)).toEqual(["info", "full: release"]);
    expect(got(lab.rmmod("full"))).toBe(0);
    expect(got(lab.call("openat", { pathname: "/dev/fulldev", flags: "O_RDWR" }))).toBe("ENOENT");
    expect(lab.machine.broken()).toEqual([]);
  });
  test("the death of a process lets go", async () => {
    const lab = await with_("full");
    const child = await lab.machine.createProcess(0);
    lab.call("openat", { pathname: "/dev/fulldev", flags: "O_RDWR" }, child);
    expect(lab.text("/sys/module/full/refcnt")).toBe("1\n");
    lab.machine.feed({ type: "killProcess", pid: child });
    expect(lab.text("/sys/module/full/refcnt")).toBe("0\n");
  });
  test("a /proc file does not", async () => {
    const lab = await with_("full");
    open(lab, "/proc/fulldev", "O_RDONLY");
    expect(lab.text("/sys/module/full/refcnt")).toBe("0\n");
  });
});

test("a mapping that faults calls its driver as recorded", async () => {
  const lab = await with_("faultdev");
  const fd = open(lab, "/dev/faultdev");
  const { ret: m } = lab.call("mmap", { length: 6 * 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_SHARED", fd });
  const at = (page: number): string => `0x${(Number(m) + page * 4096).toString(16)}`;
  expect(text(lab.call("load", { addr: at(0), length: 1 }))).toBe("A");
  expect(text(lab.call("load", { addr: at(0), length: 1 }))).toBe("A");
  expect(lab.call("load", { addr: at(5), length: 1 }).answer).toMatchObject({ signaled: "SIGBUS" });
  expect(lab.dmesg().map(([, line]) => line)).toEqual([
    "faultdev: open", `faultdev: mmap pid ${lab.pid} len 6 pgoff 0 shared=1`, `faultdev: fault pid ${lab.pid} pgoff 0 flags write=0 addr_off 0`,
    `faultdev: fault pid ${lab.pid} pgoff 5 flags write=0 addr_off 5000`, `faultdev: vm_close pid ${lab.pid} len 6`, "faultdev: release",
  ]);
  expect(lab.machine.broken()).toEqual([]);
});

// A module's debugfs files: "nohand" stands for the owner.
fileOperations("test.debug", { owner: "nohand", ...singleOpen(() => "debugged\n"), write: (_k, _task, _file, _buf, count) => count, mmap: () => 0 });
debugfsOperations("test.debug");

describe("debugfs", () => {
  test("a file opens with its module's operations, and keeps it in use", async () => {
    const lab = await with_("nohand");
    const { kernel } = lab.machine;
    expect([debugfsCreateDir(kernel, "nohand"), debugfsCreateFile(kernel, "nohand/state", 0o644, "test.debug")]).toEqual([0, 0]);
    expect(debugfsCreateFile(kernel, "nohand/state", 0o644, "test.debug")).toBe(-17);
    expect(lab.text("/sys/kernel/debug/nohand/state")).toBe("debugged\n");
    const fd = open(lab, "/sys/kernel/debug/nohand/state");
    expect(lab.text("/sys/module/nohand/refcnt")).toBe("1\n");
    expect(text(lab.call("read", { fd, count: 100 }))).toBe("debugged\n");
    expect(got(lab.call("write", { fd, buf: "xyz" }))).toBe(3);
    // As Linux: its stand-in has no mmap, whatever the driver has.
    expect(got(lab.call("mmap", { length: 4096, prot: "PROT_READ", flags: "MAP_SHARED", fd }))).toBe("ENODEV");
    debugfsRemove(kernel, "nohand");
    expect(got(lab.call("read", { fd, count: 100 }))).toBe("EIO");
    expect(got(lab.call("openat", { pathname: "/sys/kernel/debug/nohand", flags: "O_RDONLY" }))).toBe("ENOENT");
    lab.call("close", { fd });
    expect(lab.text("/sys/module/nohand/refcnt")).toBe("0\n");
    expect(lab.machine.broken()).toEqual([]);
  });
  test("its root is root's alone", async () => {
    const lab = await with_();
    const user = await lab.machine.createProcess(1000);
    expect(got(lab.call("openat", { pathname: "/sys/kernel/debug", flags: "O_RDONLY|O_DIRECTORY" }, user))).toBe("EACCES");
  });
});

describe("entries of /proc", () => {
  test("directories hold files, and go with what is left in them, which is told", async () => {
    const lab = await with_("nohand");
    const { kernel } = lab.machine;
    expect([procMkdir(kernel, "mp3"), procCreate(kernel, "mp3/status", 0o666, "test.debug")]).toEqual([true, true]);
    expect(lab.text("/proc/mp3/status")).toBe("debugged\n");
    removeProcEntry(kernel, "mp3");
    expect(lab.dmesg().map(([, line]) => line)).toContain("remove_proc_entry: removing non-empty directory '/proc/mp3', leaking at least 'status'");
    expect(() => lab.text("/proc/mp3/status")).toThrow();
  });
  test("what a module leaves behind is told when it goes", async () => {
    const lab = await with_("nohand");
    procCreate(lab.machine.kernel, "left", 0, "test.debug");
    lab.rmmod("nohand");
    expect(lab.dmesg()).toEqual([["err", "nohand: module leaves proc entry '/proc/left' behind"]]);
  });
});

describe("a module that is removed by force while its device is open", () => {
  test("takes its code along: the next call ends its caller, and says so", async () => {
    const lab = await with_("full");
    const fd = open(lab, "/dev/fulldev");
    const { ret: addr } = lab.call("mmap", { length: 4096, prot: "PROT_READ", flags: "MAP_SHARED", fd });
    const other = await lab.machine.createProcess(0);
    expect(got(lab.rmmod("full", "O_NONBLOCK", other))).toBe("EAGAIN");
    expect(got(lab.rmmod("full", "O_NONBLOCK|O_TRUNC", other))).toBe(0);
    lab.dmesg();
    expect(text(lab.call("load", { addr, length: 1 }))).toBe("\0");
    expect(lab.call("read", { fd, count: 1 }).answer).toMatchObject({ state: "ended", signaled: "SIGKILL" });
    expect(lab.dmesg()[0]).toEqual(["alert", "BUG: unable to handle page fault for address: ffffffffc033e000"]);
    expect(Number(lab.text("/proc/sys/kernel/tainted")) & (128 | 8)).toBe(128 | 8);
    expect(lab.machine.broken()).toEqual([]);
  });
  test("and comes back as if it had never been away", async () => {
    const lab = await with_("full");
    const fd = open(lab, "/dev/fulldev");
    lab.rmmod("full", "O_NONBLOCK|O_TRUNC");
    expect(lab.insmod("full").ret).toBe(0);
    expect(got(lab.call("close", { fd }))).toBe(0);
    expect(lab.text("/sys/module/full/refcnt")).toBe("0\n");
    expect(got(lab.rmmod("full"))).toBe(0);
    expect(lab.machine.broken()).toEqual([]);
  });
  test("a reader that sleeps in it wakes into nothing", async () => {
    const lab = await with_("full");
    const reading = lab.call("read", { fd: open(lab, "/dev/fulldev"), count: 1 });
    const other = await lab.machine.createProcess(0);
    lab.rmmod("full", "O_NONBLOCK|O_TRUNC", other);
    const callId = String("callId" in reading.answer ? reading.answer.callId : "");
    lab.machine.feed({ type: "killProcess", pid: lab.pid });
    expect(lab.machine.stand(callId)).toMatchObject({ state: "ended" });
    expect(lab.machine.broken()).toEqual([]);
  });
});

test("what a module leaves behind is there, but does not run its code", async () => {
  const lab = await with_("nohand");
  const { kernel } = lab.machine;
  procCreate(kernel, "left", 0, "test.debug");
  debugfsCreateFile(kernel, "left", 0o644, "test.debug");
  lab.rmmod("nohand");
  expect(() => lab.text("/proc/left")).toThrow();
  expect(() => lab.text("/sys/kernel/debug/left")).toThrow();
  const fd = open(lab, "/proc/left", "O_RDONLY");
  expect(got(lab.call("read", { fd, count: 1 }))).toBe("EIO");
  expect(got(lab.call("openat", { pathname: "/sys/kernel/debug/left", flags: "O_RDONLY" }))).toBe("ENXIO");
  expect(lab.machine.broken()).toEqual([]);
});
