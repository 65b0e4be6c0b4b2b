/** /proc/PID/maps, mem and pagemap against the memory they tell of. */
import { expect, test } from "vitest";
import { getU64 } from "../../../core/lib/bytes.ts";
import { dumpPte } from "../../../core/mm/remap.ts";
import { taskOf } from "../../../core/sched/task.ts";
import { Lab, type Outcome } from "../modules/lab.ts";

const got = ({ ret, errno }: Outcome): unknown => errno ?? ret;
const bytes = ({ answer }: Outcome): Uint8Array => ("buf" in answer ? Buffer.from((answer.buf as { base64: string }).base64, "base64") : new Uint8Array());

async function mapped(): Promise<{ lab: Lab; addr: number }> {
  const lab = await Lab.boot();
  const { ret } = lab.call("mmap", { length: 3 * 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  return { lab, addr: Number(ret) };
}

test("mem reads and writes what is mapped, and is EIO beyond", async () => {
  const { lab, addr } = await mapped();
  lab.call("store", { addr: `0x${addr.toString(16)}`, buf: "hello" });
  const fd = Number(lab.call("openat", { pathname: "/proc/self/mem", flags: "O_RDWR" }).ret);
  expect(Buffer.from(bytes(lab.call("pread64", { fd, count: 5, offset: addr }))).toString()).toBe("hello");
  expect(got(lab.call("pwrite64", { fd, buf: "J", offset: addr }))).toBe(1);
  expect(Buffer.from(bytes(lab.call("load", { addr: `0x${addr.toString(16)}`, length: 5 }))).toString()).toBe("Jello");
  expect(bytes(lab.call("pread64", { fd, count: 8192, offset: addr + 2 * 4096 })).length).toBe(4096);
  expect(got(lab.call("pread64", { fd, count: 1, offset: 0 }))).toBe("EIO");
  // What the system call itself was given lies in no mapping.
  expect(got(lab.call("pread64", { fd, count: 1, offset: 0x7ffeffff_f000 }))).toBe("EIO");
  const user = await lab.machine.createProcess(1000);
  expect(got(lab.call("openat", { pathname: `/proc/${lab.pid}/mem`, flags: "O_RDONLY" }, user))).toBe("EACCES");
});

test("pagemap names the frames of pages that are there, to root alone", async () => {
  const { lab, addr } = await mapped();
  lab.call("store", { addr: `0x${(addr + 4096).toString(16)}`, buf: "x" });
  const fd = Number(lab.call("openat", { pathname: "/proc/self/pagemap", flags: "O_RDONLY" }).ret);
  const entries = bytes(lab.call("pread64", { fd, count: 24, offset: (addr / 4096) * 8 }));
  const words = [0, 8, 16].map((at) => BigInt(getU64(entries, at)));
  expect(words.map((word) => word >> 63n)).toEqual([0n, 1n, 0n]);
  const entry = BigInt(`0x${dumpPte(lab.machine.kernel, taskOf(lab.machine.kernel, lab.pid), addr + 4096)}`);
  expect(words[1] & ((1n << 55n) - 1n)).toBe((entry >> 12n) & ((1n << 40n) - 1n));
  expect(got(lab.call("pread64", { fd, count: 7, offset: 0 }))).toBe("EINVAL");
  expect(got(lab.call("pread64", { fd, count: 8, offset: 4 }))).toBe("EINVAL");
});

test("maps, statm and status agree", async () => {
  const { lab, addr } = await mapped();
  lab.call("store", { addr: `0x${addr.toString(16)}`, buf: "x" });
  const line = lab.text(`/proc/${lab.pid}/maps`).split("\n").find((one) => one.startsWith(addr.toString(16)));
  expect(line).toMatch(/^[0-9a-f]+-[0-9a-f]+ rw-p 00000000 00:00 0 *$/);
  const [size, resident] = lab.text(`/proc/${lab.pid}/statm`).split(" ").map(Number);
  const status = lab.text(`/proc/${lab.pid}/status`);
  expect(status).toMatch(new RegExp(`VmSize:\\t *${size * 4} kB\\n`));
  expect(status).toMatch(new RegExp(`VmRSS:\\t *${resident * 4} kB\\n`));
  expect(lab.text("/proc/meminfo")).toMatch(/^MemTotal: +[0-9]+ kB\nMemFree: +[0-9]+ kB\n/);
  for (const name of ["vmstat", "swaps", "buddyinfo", "zoneinfo", "slabinfo", "vmallocinfo", "softirqs", "interrupts", "locks"]) {
    expect(() => lab.text(`/proc/${name}`)).not.toThrow();
  }
});

test("the tables of interrupts have a column a CPU, as recorded", async () => {
  const lab = await Lab.boot({ cpus: 2 });
  const [head, first] = lab.text("/proc/softirqs").split("\n");
  expect(head).toBe("                    CPU0       CPU1       ");
  expect(first).toBe("          HI:          0          0");
  expect(lab.text("/proc/interrupts").split("\n")[0]).toBe("           CPU0       CPU1       ");
});
