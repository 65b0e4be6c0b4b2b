/** Kernel memory over HTTP: what a student finds of a module's allocations, and what the kernel's own numbers take. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, type Session } from "./client.ts";
import { startServer, type Server } from "./server.ts";

interface Ended {
  exit: number;
  stdout: string;
  stderr: string;
}

let server: Server;
beforeAll(async () => void (server = await startServer()));
afterAll(() => server.end());

const sh = (session: Session, script: string): Promise<Ended> => session.json<Ended>("POST", "/commands", { json: { script } });
const lines = async (session: Session, path: string): Promise<string[]> => (await session.cat(path)).toString().trimEnd().split("\n");

test("a module's vmalloc stands in vmallocinfo while it is there, and kmemleak has nothing to say of it", async () => {
  const session = await newSession(server.url, { clock: "virtual" });
  expect(await sh(session, "cat /proc/vmallocinfo; insmod mp3.ko; cut -d' ' -f2- /proc/vmallocinfo")).toEqual({
    exit: 0, stdout: " 528384 m_init+0x0/0x1000 [mp3] pages=128 vmalloc user N0=128\n", stderr: "",
  });
  expect(await sh(session, "grep VmallocUsed /proc/meminfo; rmmod mp3; grep VmallocUsed /proc/meminfo")).toMatchObject({
    stdout: "VmallocUsed:         512 kB\nVmallocUsed:           0 kB\n",
  });
  expect(await sh(session, "echo scan > /sys/kernel/debug/kmemleak; cat /sys/kernel/debug/kmemleak; dmesg | grep -c kmemleak")).toMatchObject({ stdout: "0\n" });
  expect((await sh(session, "echo leak > /sys/kernel/debug/kmemleak")).stderr).toContain("Invalid argument");
});

test("a buffer of an open device is one object of kmalloc-4k", async () => {
  const session = await newSession(server.url);
  await sh(session, "insmod ksocket.ko && insmod master_device.ko");
  const process = await session.process({ uid: 0 });
  const live = async (): Promise<number[]> => ((await lines(session, "/proc/slabinfo")).find((line) => line.startsWith("kmalloc-4k")) ?? "").split(/ +/).slice(1, 6).map(Number);
  expect(await live()).toEqual([0, 0, 4096, 8, 8]);
  const slab = async (): Promise<number> => Number(/Slab: +(\d+) kB/.exec((await session.cat("/proc/meminfo")).toString())![1]);
  const before = await slab();
  const fds = [await process.must("openat", { pathname: "/dev/master_device", flags: "O_RDWR" }), await process.must("openat", { pathname: "/dev/master_device", flags: "O_RDWR" })];
  expect(await live()).toEqual([2, 8, 4096, 8, 8]);
  expect(await slab()).toBeGreaterThanOrEqual(before + 32);
  for (const fd of fds) await process.must("close", { fd });
  expect(await live()).toEqual([0, 0, 4096, 8, 8]);
});

test("sysctls of memory keep their bounds in the shell", async () => {
  const session = await newSession(server.url);
  const { stdout, stderr } = await sh(session, "cd /proc/sys/vm; echo 100 > swappiness; echo 201 > swappiness; cat swappiness; echo 3 > drop_caches; cat drop_caches; dmesg | grep -o 'drop_caches: 3'");
  expect(stdout).toBe("100\ndrop_caches: 3\n");
  expect(stderr.split("\n").filter((line) => /Invalid argument|Permission denied/.test(line))).toHaveLength(2);
  expect((await sh(session, "head -c 64 /proc/kpageflags | wc -c; cat /proc/self/oom_score_adj; echo -1001 > /proc/self/oom_score_adj")).stdout).toBe("64\n0\n");
});
