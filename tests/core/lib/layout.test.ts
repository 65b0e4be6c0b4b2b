/** Structures: offsets and sizes as a C compiler gave them, and the bytes that come of them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, test } from "vitest";
import * as capability from "../../../core/abi/capability.ts";
import * as clone from "../../../core/abi/clone.ts";
import { MAJOR, MINOR, MKDEV, newDecodeDev, newEncodeDev } from "../../../core/abi/dev_t.ts";
import { decodeDirents, direntSize, putDirent, type Dirent } from "../../../core/abi/dirent.ts";
import * as epoll from "../../../core/abi/epoll.ts";
import { errnoMessage, errnoName, errnoNumber, isErrno } from "../../../core/abi/errno.ts";
import * as flock from "../../../core/abi/flock.ts";
import * as inotify from "../../../core/abi/inotify.ts";
import * as ioctl from "../../../core/abi/ioctl.ts";
import * as ipc from "../../../core/abi/ipc.ts";
import { decodeStruct, encodeStruct, layout, scalarSize, type FieldType, type Layout } from "../../../core/abi/layout.ts";
import * as resource from "../../../core/abi/resource.ts";
import * as signal from "../../../core/abi/signal.ts";
import * as signalfd from "../../../core/abi/signalfd.ts";
import { decodeSockaddr, encodeSockaddr, formatIpv4, parseIpv4, type Sockaddr } from "../../../core/abi/sockaddr.ts";
import * as socket from "../../../core/abi/socket.ts";
import * as stat from "../../../core/abi/stat.ts";
import * as sysinfo from "../../../core/abi/sysinfo.ts";
import * as time from "../../../core/abi/time.ts";
import { SYSCALL_NUMBERS, syscallName } from "../../../core/abi/unistd.ts";
import * as utsname from "../../../core/abi/utsname.ts";
import * as wait from "../../../core/abi/wait.ts";
import { recorded } from "./fixture.ts";

const layouts = {
  ...capability, ...clone, ...epoll, ...flock, ...inotify, ...ioctl, ...ipc, ...resource, ...signal, ...signalfd, ...socket, ...stat,
  ...sysinfo, ...time, ...utsname,
} as Record<string, unknown> as Record<string, Layout>;

function sizeOf(type: FieldType): number {
  if (typeof type === "string") return scalarSize[type];
  if ("fields" in type) return type.size;
  if ("array" in type) return type.count * scalarSize[type.array];
  return "chars" in type ? type.chars : type.bytes;
}

test("offsets and sizes are those of C on x86-64", () => {
  for (const line of recorded("layouts-x86_64.txt")) {
    // "statLayout 144", "statLayout.st_ino 8" (offset), "statLayout.st_ino size 8"
    const words = line.split(" ");
    const [name, field] = words[0].split(".");
    const value = Number(words.at(-1));
    const of = layouts[name];
    if (field === undefined) assert.equal(of.size, value, line);
    else assert.equal(words[1] === "size" ? sizeOf(of.fields[field][1]) : of.fields[field][0], value, line);
  }
});

describe("a structure", () => {
  test("is written and read back", () => {
    const event = encodeStruct(epoll.epollEventLayout, { events: 0x80000001, data: 0xfedcba9876543210n });
    assert.equal(Buffer.from(event).toString("hex"), "010000801032547698badcfe");
    assert.deepEqual(decodeStruct(epoll.epollEventLayout, event), { events: 0x80000001, data: 0xfedcba9876543210n });
    const lock = { l_type: 1, l_whence: 2, l_start: -5, l_len: 10, l_pid: -1 };
    assert.deepEqual(decodeStruct(flock.flockLayout, encodeStruct(flock.flockLayout, lock)), lock);
  });
  test("holds others, arrays and text", () => {
    const spec = { it_interval: { tv_sec: 1, tv_nsec: 2 }, it_value: { tv_sec: -3, tv_nsec: 4 } };
    assert.deepEqual(decodeStruct(time.itimerspecLayout, encodeStruct(time.itimerspecLayout, spec)), spec);
    const info = decodeStruct(sysinfo.sysinfoLayout, encodeStruct(sysinfo.sysinfoLayout, { loads: [1, 2, 3], procs: 70000 }));
    assert.deepEqual([info.loads, info.procs], [[1, 2, 3], 70000 & 0xffff]);
    const name = decodeStruct(utsname.utsnameLayout, encodeStruct(utsname.utsnameLayout, { sysname: "Linux", release: "x".repeat(99) }));
    assert.deepEqual([name.sysname, name.release.length, name.machine], ["Linux", 64, ""]);
  });
  test("gives 64 bits as a number only while it is exact", () => {
    const word = layout(8, { v: [0, "u64"] });
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (value) => {
      const { v } = decodeStruct(word, encodeStruct(word, { v: value }));
      return BigInt(v) === value && (typeof v === "number") === value <= BigInt(Number.MAX_SAFE_INTEGER);
    }));
    const signed = layout(8, { v: [0, "i64"] });
    fc.assert(fc.property(fc.maxSafeInteger(), (value) => decodeStruct(signed, encodeStruct(signed, { v: value })).v === value));
  });
  test("needs all of its bytes", () => {
    assert.throws(() => decodeStruct(time.timespecLayout, new Uint8Array(15)), /15 bytes of 16/);
  });
});

test("directory entries are padded to eight bytes and read back", () => {
  const entries: Dirent[] = [".", "..", "12345", "a-longer-name"].map((name, i) => ({ d_ino: i + 1, d_off: i * 24, d_type: 4, d_name: Buffer.from(name) }));
  const bytes = new Uint8Array(200).fill(0xff);
  let end = 0;
  for (const entry of entries) end += putDirent(bytes, end, entry);
  assert.deepEqual([direntSize(1), direntSize(4), direntSize(5), end], [24, 24, 32, 24 + 24 + 32 + 40]);
  assert.deepEqual(
    decodeDirents(bytes.subarray(0, end)).map(({ d_name, ...entry }) => ({ ...entry, name: Buffer.from(d_name).toString() })),
    entries.map(({ d_name, ...entry }) => ({ ...entry, name: Buffer.from(d_name).toString() })),
  );
});

test("device numbers are packed as the kernel and as stat have them", () => {
  assert.equal(newEncodeDev(MKDEV(1, 3)), 0x103);
  assert.equal(newEncodeDev(MKDEV(10, 0x12345)), 0x12300a45);
  fc.assert(fc.property(fc.nat(0xfff), fc.nat(0xfffff), (major, minor) => {
    const dev = newDecodeDev(newEncodeDev(MKDEV(major, minor)));
    return MAJOR(dev) === major && MINOR(dev) === minor;
  }));
});

describe("socket addresses", () => {
  test("of IPv4 have the port and address in network order", () => {
    const bytes = encodeSockaddr({ family: socket.AF_INET, port: 8080, addr: parseIpv4("127.0.0.1")! });
    assert.equal(Buffer.from(bytes).toString("hex"), "02001f907f0000010000000000000000");
  });
  test("are read back", () => {
    const addresses: Sockaddr[] = [
      { family: socket.AF_INET, port: 1, addr: 0xfffefdfc },
      { family: socket.AF_INET6, port: 65535, flowinfo: 7, addr: new Uint8Array(16).fill(9), scopeId: 2 },
      { family: socket.AF_UNIX, path: new Uint8Array(Buffer.from("/tmp/s")) },
      { family: socket.AF_UNIX, path: new Uint8Array(Buffer.from("\0abstract\0name")) },
      { family: socket.AF_UNIX, path: new Uint8Array(0) },
    ];
    for (const address of addresses) assert.deepEqual(decodeSockaddr(encodeSockaddr(address)), address);
  });
  test("that are short or unknown are none", () => {
    for (const hex of ["", "02", "0200", "ff00000000000000", "0a00".padEnd(46, "0")]) {
      assert.equal(decodeSockaddr(new Uint8Array(Buffer.from(hex, "hex"))), undefined, hex);
    }
    for (const text of ["1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4.5", "a.b.c.d"]) assert.equal(parseIpv4(text), undefined);
    assert.equal(formatIpv4(0xc0a80001), "192.168.0.1");
  });
});

test("errors have names, numbers and texts", () => {
  for (let errno = 1; errno <= 133; errno++) {
    if (errno === 41 || errno === 58) continue; // Linux has no such error.
    assert.match(errnoName(errno), /^E[A-Z0-9]+$/);
    assert.equal(errnoNumber(errnoName(errno)), errno);
  }
  assert.deepEqual([errnoName(11), errnoName(95), errnoName(35), errnoName(512)], ["EAGAIN", "EOPNOTSUPP", "EDEADLK", "ERESTARTSYS"]);
  assert.deepEqual(["EWOULDBLOCK", "ENOTSUP", "EDEADLOCK", "ENOSUCH"].map(errnoNumber), [11, 95, 35, undefined]);
  assert.equal(errnoMessage(25), "Inappropriate ioctl for device");
  assert.equal(errnoMessage(41), "Unknown error 41");
  assert.deepEqual([-1, -4095, -4096, 0, 3, -5n].map(isErrno), [true, true, false, false, false, true]);
});

test("system call numbers are x86-64's, but for ssmem's two", () => {
  assert.deepEqual([SYSCALL_NUMBERS.read, SYSCALL_NUMBERS.mmap, SYSCALL_NUMBERS.openat, SYSCALL_NUMBERS.rseq], [0, 9, 257, 334]);
  assert.deepEqual([SYSCALL_NUMBERS.pidfd_send_signal, SYSCALL_NUMBERS.set_mempolicy_home_node], [424, 450]);
  assert.deepEqual([syscallName(320), syscallName(321), SYSCALL_NUMBERS.bpf], ["ssmem_attach", "ssmem_detach", undefined]);
  for (let number = 0; number <= 334; number++) assert.notEqual(syscallName(number), undefined, String(number));
});

test("wait statuses say exit, signal, stop or continuation", () => {
  const kinds = (status: number): boolean[] => [wait.WIFEXITED, wait.WIFSIGNALED, wait.WIFSTOPPED, wait.WIFCONTINUED].map((is) => is(status));
  assert.deepEqual(kinds(wait.exitedStatus(259)), [true, false, false, false]);
  assert.equal(wait.WEXITSTATUS(wait.exitedStatus(259)), 3);
  assert.deepEqual(kinds(wait.signaledStatus(11, true)), [false, true, false, false]);
  assert.deepEqual([wait.WTERMSIG(0x8b), wait.WCOREDUMP(0x8b)], [11, true]);
  assert.deepEqual(kinds(wait.stoppedStatus(19)), [false, false, true, false]);
  assert.equal(wait.WSTOPSIG(wait.stoppedStatus(19)), 19);
  assert.deepEqual(kinds(wait.continuedStatus), [false, false, false, true]);
});
