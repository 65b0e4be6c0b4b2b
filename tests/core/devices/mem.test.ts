/** /dev/null, /dev/zero, /dev/full, /dev/random as the recorded kernel had them (the whole table is played over HTTP elsewhere). */
import { describe, expect, test } from "vitest";
import type { Json } from "../../../core/input.ts";
import { Lab, type Outcome } from "../modules/lab.ts";

const open = (lab: Lab, pathname: string, flags = "O_RDWR"): number => Number(lab.call("openat", { pathname, flags }).ret);
const got = ({ ret, errno }: Outcome): unknown => errno ?? ret;

describe("reading and writing, by device", () => {
  const table: [string, string, { [argument: string]: Json }, unknown[]][] = [
    // call, arguments, then what null, zero and full answer
    ["read 16", "read", { count: 16 }, [0, 16, 16]],
    ["read nothing", "read", { count: 0 }, [0, 0, 0]],
    ["read to NULL", "read", { buf: null, count: 16 }, [0, "EFAULT", "EFAULT"]],
    ["read to a kernel address", "read", { buf: { addr: "0xffff888000000000" }, count: 16 }, ["EFAULT", "EFAULT", "EFAULT"]],
    ["write", "write", { buf: "hello" }, [5, 5, "ENOSPC"]],
    ["write from NULL", "write", { buf: null, count: 4 }, [4, 4, "ENOSPC"]],
    ["write nothing", "write", { buf: null, count: 0 }, [0, 0, "ENOSPC"]],
    ["write far too much", "write", { buf: { addr: "0x1000" }, count: "18446744073709551615" }, ["EFAULT", "EFAULT", "EFAULT"]],
    ["pread", "pread64", { count: 4, offset: 0 }, [0, 4, 4]],
    ["pread before the start", "pread64", { count: 4, offset: -1 }, ["EINVAL", "EINVAL", "EINVAL"]],
    ["pwrite", "pwrite64", { buf: "1234", offset: 0 }, [4, 4, "ENOSPC"]],
    ["seek to 10", "lseek", { offset: 10, whence: "SEEK_SET" }, [0, 0, 0]],
    ["seek before the start", "lseek", { offset: -1, whence: "SEEK_SET" }, [0, 0, 0]],
    ["seek from the end", "lseek", { offset: 1, whence: "SEEK_END" }, [0, 0, 0]],
    ["seek from nowhere", "lseek", { offset: 0, whence: 99 }, ["EINVAL", "EINVAL", "EINVAL"]],
    ["an unknown ioctl", "ioctl", { request: 0xdead, arg: 0 }, ["ENOTTY", "ENOTTY", "ENOTTY"]],
    ["fsync", "fsync", {}, ["EINVAL", "EINVAL", "EINVAL"]],
    ["ftruncate", "ftruncate", { length: 0 }, ["EINVAL", "EINVAL", "EINVAL"]],
    ["a mapping", "mmap", { length: 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_SHARED" }, ["ENODEV", "mapped", "ENODEV"]],
    ["a mapping of length 0", "mmap", { length: 0, prot: "PROT_READ", flags: "MAP_SHARED" }, ["EINVAL", "EINVAL", "EINVAL"]],
  ];
  for (const [title, call, args, answers] of table) {
    test(title, async () => {
      const lab = await Lab.boot();
      const seen = ["/dev/null", "/dev/zero", "/dev/full"].map((device) => got(lab.call(call, { fd: open(lab, device), ...args })));
      expect(seen.map((one) => (typeof one === "string" && one.startsWith("0x") ? "mapped" : one))).toEqual(answers);
      expect(lab.machine.broken()).toEqual([]);
    });
  }
});

test("zeros come as far as the buffer can be written", async () => {
  const lab = await Lab.boot();
  const fd = open(lab, "/dev/zero");
  const { ret: address } = lab.call("mmap", { length: 8192, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  expect(got(lab.call("read", { fd, buf: { addr: address }, count: 0x7fff0000 }))).toBe(8192);
});

test("a large read of zeros is made in pieces, and is one call", async () => {
  const lab = await Lab.boot({ ramMiB: 64 });
  const fd = open(lab, "/dev/zero");
  const length = 8 << 20;
  const { ret: address } = lab.call("mmap", { length, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  expect(got(lab.call("read", { fd, buf: { addr: address }, count: length }))).toBe(length);
});

test("a private mapping of /dev/zero is memory of one's own, a shared one is shared with children", async () => {
  const lab = await Lab.boot();
  const fd = open(lab, "/dev/zero");
  for (const [flags, seen] of [["MAP_PRIVATE", "old"], ["MAP_SHARED", "new"]] as const) {
    const { ret: addr } = lab.call("mmap", { length: 4096, prot: "PROT_READ|PROT_WRITE", flags, fd });
    lab.call("store", { addr, buf: "old" });
    const child = Number(lab.call("fork").ret);
    lab.call("store", { addr, buf: "new" }, child);
    const { answer } = lab.call("load", { addr, length: 3 });
    expect("buf" in answer && (answer.buf as { text: string }).text).toBe(seen);
  }
});

test("/dev/random gives bytes, the same ones for the same seed, and others for another", async () => {
  const bytes = async (seed: number): Promise<string> => {
    const lab = await Lab.boot({ seed });
    const { answer, ret } = lab.call("read", { fd: open(lab, "/dev/urandom"), count: 32 });
    expect(ret).toBe(32);
    return "buf" in answer ? (answer.buf as { base64: string }).base64 : "";
  };
  expect(await bytes(1)).toBe(await bytes(1));
  expect(await bytes(1)).not.toBe(await bytes(2));
});

test("ioctls of /dev/random", async () => {
  const lab = await Lab.boot();
  const fd = open(lab, "/dev/random");
  const { answer } = lab.call("ioctl", { fd, request: 0x80045200, arg: { out: 4 } });
  expect(answer).toMatchObject({ ret: 0 });
  expect(got(lab.call("ioctl", { fd, request: 0x5207, arg: 0 }))).toBe(0);
  expect(got(lab.call("ioctl", { fd, request: 0xdead, arg: 0 }))).toBe("EINVAL");
});

test("/dev/tty is nobody's, the console takes what is written", async () => {
  const lab = await Lab.boot();
  expect(got(lab.call("openat", { pathname: "/dev/tty", flags: "O_RDWR" }))).toBe("ENXIO");
  expect(got(lab.call("openat", { pathname: "/dev/hpet", flags: "O_RDWR" }))).toBe("ENODEV");
  const fd = open(lab, "/dev/console", "O_RDWR|O_NONBLOCK");
  expect([got(lab.call("write", { fd, buf: "hi" })), got(lab.call("read", { fd, count: 1 }))]).toEqual([2, "EAGAIN"]);
});
