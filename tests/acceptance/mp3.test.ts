/** The page-fault profiler over HTTP: register, touch pages, read the samples out of the mapping. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, type Process, type Session } from "./client.ts";
import { startServer, type Server } from "./server.ts";

const PAGE = 4096;
const SAMPLE = 32;
const UNUSED = 2n ** 64n - 1n;

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.end());

const machine = (more: Record<string, unknown> = {}): Record<string, unknown> => ({ clock: "virtual", hz: 1000, ...more });
const status = (session: Session, command: string) => session.put("/proc/mp3/status", Buffer.from(command));
const listed = async (session: Session): Promise<string> => (await session.cat("/proc/mp3/status")).toString();
const advance = (session: Session, ms: number) => session.json("POST", "/clock/advance", { json: { ms } });

/** The device's number, as a user finds it. */
async function major(session: Session): Promise<number> {
  const found = /^ *(\d+) mp3$/im.exec((await session.cat("/proc/devices")).toString());
  return Number(found![1]);
}

/** A node for the device, opened. */
async function openNode(session: Session, process: Process): Promise<number> {
  await process.must("mknod", { pathname: "/tmp/node", mode: "S_IFCHR|0666", dev: { major: await major(session), minor: 0 } });
  return await process.must("openat", { pathname: "/tmp/node", flags: "O_RDWR|O_SYNC" });
}

type Sample = [jiffies: bigint, minor: bigint, major: bigint, utilisation: bigint];

/** What a monitor finds in its mapping: samples up to the first unused time. */
async function samples(process: Process, addr: string, most = 200): Promise<Sample[]> {
  const { buf } = await process.call("load", { addr, length: most * SAMPLE });
  const bytes = Buffer.from(buf!.base64, "base64");
  const found: Sample[] = [];
  for (let at = 0; at < bytes.length && bytes.readBigUInt64LE(at) !== UNUSED; at += SAMPLE) {
    found.push([0, 8, 16, 24].map((field) => bytes.readBigUInt64LE(at + field)) as Sample);
  }
  return found;
}

const sum = (all: Sample[], field: number): number => all.reduce((total, one) => total + Number(one[field]), 0);

test("insmod makes a list that all may write and a device without a node", async () => {
  const session = await newSession(server.url, machine());
  const process = await session.process();
  await process.must("mknod", { pathname: "/tmp/node", mode: "S_IFCHR|0666", dev: { major: 200, minor: 0 } });
  expect(await process.call("openat", { pathname: "/tmp/node", flags: "O_RDWR" })).toMatchObject({ errno: "ENXIO" });
  await process.must("unlink", { pathname: "/tmp/node" });
  await session.insmod("mp3");
  expect((await process.call("newfstatat", { dirfd: "AT_FDCWD", pathname: "/proc/mp3/status", flags: 0 })).statbuf).toMatchObject({ st_mode: 0o100666 });
  expect(await session.dmesg()).toContain("MODULE LOADED with BUFFER_SIZE=524288");
  const fd = await openNode(session, process);
  expect(await process.call("read", { fd, count: 1 })).toMatchObject({ errno: "EINVAL" });
  expect(await process.call("write", { fd, buf: "x" })).toMatchObject({ errno: "EINVAL" });
  expect(await process.call("ioctl", { fd, request: 1 })).toMatchObject({ errno: "ENOTTY" });
  expect(await process.call("mmap", { length: 129 * PAGE, prot: "PROT_READ", flags: "MAP_SHARED", fd })).toMatchObject({ errno: "EINVAL" });
  await process.must("close", { fd });
  await session.rmmod("mp3");
  expect(await process.call("openat", { pathname: "/tmp/node", flags: "O_RDWR" })).toMatchObject({ errno: "ENXIO" });
  expect((await session.dmesg()).at(-1)).toBe("MODULE UNLOADED");
});

test("the list keeps its order, and mistakes have their errno", async () => {
  const session = await newSession(server.url, machine());
  await session.insmod("mp3");
  const [a, b] = [await session.process(), await session.process()];
  await status(session, `R ${a.pid}\n`);
  await status(session, `R ${b.pid}`);
  expect(await listed(session)).toBe(`${a.pid}\n${b.pid}\n`);
  const refused: [command: string, errno: string][] = [
    [`R ${a.pid}`, "EEXIST"], ["R 99999", "ESRCH"], ["U 99999", "ESRCH"], ["hello", "EINVAL"], ["R", "EINVAL"],
  ];
  for (const [command, errno] of refused) await expect(status(session, command), command).rejects.toMatchObject({ problem: { errno } });
  await status(session, `U ${a.pid}`);
  expect(await listed(session)).toBe(`${b.pid}\n`);
  expect(await session.dmesg()).toEqual(expect.arrayContaining([`Register Task:${a.pid}`, `Deregister Task:${a.pid}`]));
});

test("a monitor reads each page that was touched, and no more", async () => {
  const session = await newSession(server.url, machine());
  await session.insmod("mp3");
  const [worker, monitor] = [await session.process({ comm: "work" }), await session.process({ comm: "monitor" })];
  const fd = await openNode(session, monitor);
  const view = (await monitor.call("mmap", { length: 128 * PAGE, prot: "PROT_READ", flags: "MAP_SHARED", fd })).ret as unknown as string;
  await monitor.must("close", { fd });
  expect(await samples(monitor, view)).toEqual([]);
  await expect(session.rmmod("mp3")).rejects.toMatchObject({ problem: { detail: expect.stringContaining("Module mp3 is in use") as string } });

  const { ret: heap } = await worker.call("mmap", { length: 64 * PAGE, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  await status(session, `R ${worker.pid}`);
  for (let page = 0; page < 40; page++) {
    await worker.call("store", { addr: `0x${(BigInt(heap as unknown as string) + BigInt((page % 32) * PAGE)).toString(16)}`, buf: "x" });
  }
  await advance(session, 1000);
  const found = await samples(monitor, view);
  expect(found).toHaveLength(19);
  expect(sum(found, 1)).toBe(32);
  expect(sum(found, 2)).toBe(0);
  const steps = found.slice(1).map(([at], index) => at - found[index]![0]);
  // The wheel fires one jiffy late: 50 ms are 51 jiffies.
  expect(new Set(steps)).toEqual(new Set([51n]));

  await status(session, `U ${worker.pid}`);
  await advance(session, 1000);
  expect(await samples(monitor, view)).toHaveLength(19);
  expect(await listed(session)).toBe("");

  // The next run begins at the start.
  await status(session, `R ${worker.pid}`);
  await advance(session, 110);
  expect(await samples(monitor, view)).toHaveLength(2);
  await monitor.must("munmap", { addr: view, length: 128 * PAGE });
  await session.rmmod("mp3");
});

test("a killed task stops counting, and with the last one the samples end", async () => {
  const session = await newSession(server.url, machine());
  await session.insmod("mp3");
  const [worker, monitor] = [await session.process(), await session.process()];
  const fd = await openNode(session, monitor);
  const view = (await monitor.call("mmap", { length: PAGE, prot: "PROT_READ", flags: "MAP_SHARED", fd })).ret as unknown as string;
  await status(session, `R ${worker.pid}`);
  await advance(session, 210);
  await session.ask("DELETE", `/processes/${worker.pid}`);
  await advance(session, 1000);
  expect(await samples(monitor, view, 128)).toHaveLength(4);
  expect(await listed(session)).toBe("");
});

test("the queue wraps after twelve thousand samples", async () => {
  const session = await newSession(server.url, machine());
  await session.insmod("mp3");
  const [worker, monitor] = [await session.process(), await session.process()];
  const fd = await openNode(session, monitor);
  const view = (await monitor.call("mmap", { length: 128 * PAGE, prot: "PROT_READ", flags: "MAP_SHARED", fd })).ret as unknown as string;
  await status(session, `R ${worker.pid}`);
  await advance(session, 12_003 * 51 + 10);
  const found = await samples(monitor, view, 12_000);
  expect(found).toHaveLength(12_000);
  expect(found[2]![0] - found[3]![0]).toBe(11_999n * 51n);
});

test("the report's build: swapped fields, no errors, zeros where nothing was sampled", async () => {
  const session = await newSession(server.url, machine());
  await session.insmod("mp3", "seed");
  const [worker, monitor] = [await session.process(), await session.process()];
  expect((await session.cat("/proc/devices")).toString()).toMatch(/ MP3$/m);
  await status(session, "garbage");
  expect((await session.dmesg()).at(-1)).toBe("Malformed registration string");
  await status(session, "R 99999");
  await status(session, `R ${worker.pid}`);
  expect(await listed(session)).toBe(`99999\n${worker.pid}\n`);
  const { ret: heap } = await worker.call("mmap", { length: PAGE, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  await worker.call("store", { addr: heap, buf: "x" });
  await advance(session, 60);
  const fd = await openNode(session, monitor);
  const view = (await monitor.call("mmap", { length: 94 * PAGE, prot: "PROT_READ", flags: "MAP_SHARED", fd })).ret as unknown as string;
  const [first, second] = await samples(monitor, view);
  expect(first!.slice(1, 3)).toEqual([0n, 1n]);
  expect(second).toEqual([0n, 0n, 0n, 0n]);
});

interface Ended {
  exit: number;
  stdout: string;
  stderr: string;
}

/** Starts a script, moves the clock on, and answers how it ended. */
async function run(session: Session, script: string, ms: number): Promise<Ended> {
  const reply = await session.ask("POST", "/commands", { json: { script }, wait: 0 });
  expect(reply.status, reply.text).toBe(202);
  await advance(session, ms);
  const { callId } = JSON.parse(reply.text) as { callId: string };
  return await session.json<Ended>("GET", `/calls/${callId}`, { wait: 30 });
}

test("work and monitor, as the lab runs them", async () => {
  const session = await newSession(server.url, machine());
  await session.insmod("mp3");
  const made = await session.json<Ended>("POST", "/commands", { json: { script: "cd /tmp && mknod node c $(grep mp3 /proc/devices | cut -d' ' -f1) 0" } });
  expect(made).toMatchObject({ exit: 0, stderr: "" });

  const [megabytes, accesses] = [20, 1000];
  const { exit, stdout } = await run(session, `work ${megabytes} R ${accesses}`, 21_000);
  expect(exit).toBe(0);
  const lines = stdout.split("\n");
  expect(lines[0]).toBe(`A work prcess starts (configuration: ${megabytes} 0 ${accesses})`);
  expect(lines.slice(1, 21)).toEqual(Array.from({ length: 20 }, (_one, at) => expect.stringMatching(new RegExp(`^\\[\\d+\\] ${at} iteration$`)) as string));

  const monitored = await session.json<Ended>("POST", "/commands", { json: { script: "cd /tmp && monitor" } });
  const rows = monitored.stdout.trimEnd().split("\n");
  expect(rows.pop()).toBe(`read ${rows.length} profiled data`);
  expect(rows.length).toBeGreaterThanOrEqual(385);
  expect(rows.length).toBeLessThanOrEqual(400);
  const columns = rows.map((row) => row.split(" ").map(Number));
  const steps = columns.slice(1).map(([at], index) => at! - columns[index]![0]!);
  expect(Math.min(...steps)).toBe(51);
  // Distinct pages of so many stores at random: P(1-(1-1/P)^n).
  const pages = megabytes * 256;
  const distinct = pages * (1 - (1 - 1 / pages) ** (20 * accesses));
  const minor = columns.reduce((total, [, faults]) => total + faults!, 0);
  expect(Math.abs(minor - distinct) / distinct).toBeLessThan(0.02);
  expect(columns.every(([, , majorFaults]) => majorFaults === 0)).toBe(true);

  // What was read is gone.
  expect(await session.json<Ended>("POST", "/commands", { json: { script: "cd /tmp && monitor" } })).toMatchObject({ stdout: "read 0 profiled data\n" });
});

test("the programs refuse what they cannot do", async () => {
  const session = await newSession(server.url, machine());
  const refused: [script: string, stdout: string, exit: number][] = [
    ["work 0 R 5", "memsize shall be between 1 and 1024\n", 255],
    ["work 8 R 0", "naccess shall be >=1\n", 255],
    ["monitor", "file open error. node\n", 255],
    ["ssmpipe 1 1", "ssmpipe must take 4 parameters!\n", 1],
  ];
  for (const [script, stdout, exit] of refused) {
    expect(await session.json<Ended>("POST", "/commands", { json: { script } }), script).toMatchObject({ exit, stdout });
  }
});
