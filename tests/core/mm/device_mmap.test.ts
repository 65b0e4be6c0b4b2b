/** The mmap rows of the recorded table of character devices, asked in the order in which they were recorded. */
import { describe, expect, test } from "vitest";
import type { CallAnswer, Json } from "../../../core/input.ts";
import { CoreMachine } from "../../helpers/core.ts";

const RW = "PROT_READ|PROT_WRITE";
const OPEN: { [name: string]: string } = { rw: "O_RDWR", ro: "O_RDONLY", wo: "O_WRONLY", none: "" };

/** Row → file opened how, arguments, answers of /dev/null, /dev/zero, /dev/full ("ok" for an address). */
const rows: [row: string, how: string, args: { [name: string]: Json }, ...answers: string[]][] = [
  ["1 page RW SHARED", "rw", { length: 4096, prot: RW, flags: "MAP_SHARED" }, "ENODEV", "ok", "ENODEV"],
  ["3 pages RW SHARED", "rw", { length: 12288, prot: RW, flags: "MAP_SHARED" }, "ENODEV", "ok", "ENODEV"],
  ["1 page RW PRIVATE", "rw", { length: 4096, prot: RW, flags: "MAP_PRIVATE" }, "ENODEV", "ok", "ENODEV"],
  ["len 0", "rw", { length: 0, prot: RW, flags: "MAP_SHARED" }, "EINVAL", "EINVAL", "EINVAL"],
  ["len 1", "rw", { length: 1, prot: RW, flags: "MAP_SHARED" }, "ENODEV", "ok", "ENODEV"],
  ["off 1 (unaligned)", "rw", { length: 4096, prot: RW, flags: "MAP_SHARED", offset: 1 }, "EINVAL", "EINVAL", "EINVAL"],
  ["off 8192", "rw", { length: 4096, prot: RW, flags: "MAP_SHARED", offset: 8192 }, "ENODEV", "ok", "ENODEV"],
  ["off -4096", "rw", { length: 4096, prot: RW, flags: "MAP_SHARED", offset: -4096 }, "EOVERFLOW", "EOVERFLOW", "EOVERFLOW"],
  ["off 0x7ffffffffffff000", "rw", { length: 4096, prot: RW, flags: "MAP_SHARED", offset: "0x7ffffffffffff000" }, "ENODEV", "ok", "ENODEV"],
  ["len 1<<47", "rw", { length: 2 ** 47, prot: RW, flags: "MAP_SHARED" }, "ENOMEM", "ENOMEM", "ENOMEM"],
  ["len SIZE_MAX", "rw", { length: "18446744073709551615", prot: RW, flags: "MAP_SHARED" }, "ENOMEM", "ENOMEM", "ENOMEM"],
  ["flags 0", "rw", { length: 4096, prot: RW, flags: 0 }, "EINVAL", "EINVAL", "EINVAL"],
  ["flags SHARED|PRIVATE", "rw", { length: 4096, prot: RW, flags: "MAP_SHARED|MAP_PRIVATE" }, "ENODEV", "ok", "ENODEV"],
  ["fd -1", "none", { length: 4096, prot: RW, flags: "MAP_SHARED" }, "EBADF", "EBADF", "EBADF"],
  ["PROT_NONE SHARED", "rw", { length: 4096, prot: "PROT_NONE", flags: "MAP_SHARED" }, "ENODEV", "ok", "ENODEV"],
  ["PROT_EXEC SHARED", "rw", { length: 4096, prot: "PROT_EXEC", flags: "MAP_SHARED" }, "ENODEV", "ok", "ENODEV"],
  ["PROT_WRITE SHARED on O_RDONLY fd", "ro", { length: 4096, prot: RW, flags: "MAP_SHARED" }, "EACCES", "EACCES", "EACCES"],
  ["PROT_READ SHARED on O_RDONLY fd", "ro", { length: 4096, prot: "PROT_READ", flags: "MAP_SHARED" }, "ENODEV", "ok", "ENODEV"],
  ["PROT_WRITE PRIVATE on O_RDONLY fd", "ro", { length: 4096, prot: RW, flags: "MAP_PRIVATE" }, "ENODEV", "ok", "ENODEV"],
  ["PROT_READ SHARED on O_WRONLY fd", "wo", { length: 4096, prot: "PROT_READ", flags: "MAP_SHARED" }, "EACCES", "EACCES", "EACCES"],
  ["PROT_WRITE SHARED on O_WRONLY fd", "wo", { length: 4096, prot: "PROT_WRITE", flags: "MAP_SHARED" }, "EACCES", "EACCES", "EACCES"],
];

function told(answer: CallAnswer): string {
  if (answer.state !== "returned" || !("ret" in answer)) return answer.state;
  return answer.errno ?? "ok";
}

describe.each(["/dev/null", "/dev/zero", "/dev/full"].map((path, at) => ({ path, at })))("$path", ({ path, at }) => {
  test("answers mmap as recorded", async () => {
    const m = new CoreMachine();
    const pid = await m.createProcess();
    const fds = Object.fromEntries(Object.entries(OPEN).map(([how, flags]) =>
      [how, flags === "" ? -1 : (m.callNow(pid, "openat", { pathname: path, flags }) as { ret: number }).ret]));
    const found = rows.map(([row, how, args]) => [row, told(m.callNow(pid, "mmap", { ...args, fd: fds[how] }))]);
    expect(found).toEqual(rows.map(([row, , , ...answers]) => [row, answers[at]]));
    expect(m.broken()).toEqual([]);
  });
});

test("a mapping of /dev/zero lives as recorded", async () => {
  const m = new CoreMachine();
  const pid = await m.createProcess();
  const call = (name: string, args: Json): CallAnswer => m.callNow(pid, name, args);
  const { ret: fd } = call("openat", { pathname: "/dev/zero", flags: "O_RDWR" }) as { ret: number };
  const { ret: addr } = call("mmap", { length: 4096, prot: RW, flags: "MAP_SHARED", fd }) as { ret: string };
  const touch = (what: string): CallAnswer => call(what, what === "load" ? { addr, length: 1, onFault: "report" } : { addr, buf: "x", onFault: "report" });
  expect(touch("load")).toMatchObject({ ret: 1, buf: { text: "\0" } });
  expect(touch("store")).toMatchObject({ ret: 1 });
  expect(told(call("msync", { addr, length: 4096, flags: "MS_SYNC" }))).toBe("ok");
  expect(told(call("msync", { addr: `0x${(BigInt(addr) + 1n).toString(16)}`, length: 4096, flags: "MS_SYNC" }))).toBe("EINVAL");
  expect(told(call("mlock", { addr, len: 4096 }))).toBe("ok");
  expect(told(call("madvise", { addr, length: 4096, advice: "MADV_DONTNEED" }))).toBe("EINVAL");
  expect(told(call("madvise", { addr, length: 4096, advice: 9999 }))).toBe("EINVAL");
  expect(told(call("mprotect", { addr, len: 4096, prot: "PROT_READ" }))).toBe("ok");
  expect(touch("store")).toMatchObject({ ret: -1, errno: null, signal: "SIGSEGV", siCode: "SEGV_ACCERR", faultAddr: addr });
  expect(told(call("mprotect", { addr, len: 4096, prot: "PROT_NONE" }))).toBe("ok");
  expect(touch("load")).toMatchObject({ ret: -1, signal: "SIGSEGV", siCode: "SEGV_ACCERR" });
  expect(told(call("mremap", { old_address: addr, old_size: 4096, new_size: 8192, flags: "MREMAP_MAYMOVE" }))).toBe("ok");
  expect(told(call("close", { fd }))).toBe("ok");
  expect(told(call("munmap", { addr, length: 4096 }))).toBe("ok");
  expect(touch("load")).toMatchObject({ ret: -1, signal: "SIGSEGV", siCode: "SEGV_MAPERR", faultAddr: addr });
  expect(told(call("munmap", { addr, length: 4096 }))).toBe("ok");
  expect(told(call("mprotect", { addr, len: 4096, prot: RW }))).toBe("ENOMEM");
  expect(told(call("msync", { addr, length: 4096, flags: "MS_SYNC" }))).toBe("ENOMEM");
  expect(m.broken()).toEqual([]);
});

test("mincore, brk and the like in JSON", async () => {
  const m = new CoreMachine();
  const pid = await m.createProcess();
  const call = (name: string, args: Json): CallAnswer => m.callNow(pid, name, args);
  const { ret: addr } = call("mmap", { length: 3 * 4096, prot: RW, flags: "MAP_PRIVATE|MAP_ANONYMOUS" }) as { ret: string };
  call("store", { addr, buf: "x" });
  expect(call("mincore", { addr, length: 3 * 4096 })).toMatchObject({ ret: 0, vec: { base64: "AQAA" } });
  const { ret: start } = call("brk", {}) as { ret: string };
  expect(start).toMatch(/^0x5555[0-9a-f]{8}$/);
  const end = `0x${(BigInt(start) + 5000n).toString(16)}`;
  expect(call("brk", { addr: end })).toMatchObject({ ret: end });
  expect(m.text(`/proc/${pid}/maps`)).toContain("[heap]");
  expect(m.text("/proc/meminfo")).toMatch(/^MemTotal: +60416 kB\n/);
  expect(m.broken()).toEqual([]);
});
