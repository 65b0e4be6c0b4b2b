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

/** The samples that the handout's monitor prints, a row each. */
async function monitored(session: Session, program = "monitor"): Promise<number[][]> {
  const { stdout } = await session.json<Ended>("POST", "/commands", { json: { script: `cd /tmp && ${program}` } });
  const rows = stdout.trimEnd().split("\n");
  expect(rows.pop()).toBe(`read ${rows.length} profiled data`);
  return rows.map((row) => row.split(" ").map(Number));
}

const total = (rows: number[][], field: number): number => rows.reduce((sum, row) => sum + row[field]!, 0);
/** Pages of so many that `stores` stores at random touch. */
const distinct = (pages: number, stores: number): number => pages * (1 - (1 - 1 / pages) ** stores);

/** The value that comes most often. */
function mode(values: number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]![0];
}

async function newLab(more: Record<string, unknown>): Promise<Session> {
  const session = await newSession(server.url, machine(more));
  await session.insmod("mp3");
  await session.json<Ended>("POST", "/commands", { json: { script: "cd /tmp && mknod node c $(grep mp3 /proc/devices | cut -d' ' -f1) 0" } });
  return session;
}

test("work 200 R 10000 alone: a sample each 51 jiffies, and every page that was touched is one minor fault", async () => {
  const session = await newLab({ ramMiB: 256, swapMiB: 0 });
  const { stdout } = await run(session, "work 200 R 10000", 22_000);
  expect(stdout.split("\n")).toHaveLength(22);
  const rows = await monitored(session);
  expect(rows.length).toBeGreaterThanOrEqual(385);
  expect(rows.length).toBeLessThanOrEqual(400);
  const steps = rows.slice(1).map(([at], index) => at! - rows[index]![0]!);
  expect(Math.min(...steps)).toBeGreaterThanOrEqual(50);
  expect(mode(steps)).toBe(51);
  expect(Math.abs(total(rows, 1) / distinct(51_200, 200_000) - 1)).toBeLessThan(0.02);
  expect(Math.abs(total(rows, 1) / 50_170 - 1)).toBeLessThan(0.02);
  expect(total(rows, 2)).toBe(0);

  // Bursts once a second, each with fewer pages that are new than the one before: by e^(-10000/51200).
  const bursts: number[] = [];
  for (const [index, [, faults]] of rows.entries()) {
    if (faults === 0) continue;
    if (index > 0 && rows[index - 1]![1]! > 0) bursts[bursts.length - 1]! += faults!;
    else bursts.push(faults!);
  }
  expect(bursts).toHaveLength(20);
  const decay = (bursts[15]! / bursts[0]!) ** (1 / 15);
  expect(Math.abs(decay / Math.exp(-10_000 / 51_200) - 1)).toBeLessThan(0.02);
});

test("two works: random beside random faults 1.35 times as often as random beside local, and takes as long where memory is enough", async () => {
  const runs: { minor: number; major: number; span: number }[] = [];
  for (const second of ["R", "L"]) {
    const session = await newLab({ ramMiB: 256, swapMiB: 0 });
    const { exit } = await run(session, `work 100 R 4883 & work 100 ${second} 977; wait`, 24_000);
    expect(exit).toBe(0);
    const rows = await monitored(session);
    runs.push({ minor: total(rows, 1), major: total(rows, 2), span: rows.at(-1)![0]! - rows[0]![0]! });
  }
  const [random, local] = runs as [typeof runs[0], typeof runs[0]];
  expect(Math.abs(random.minor / (distinct(25_600, 97_660) + distinct(25_600, 19_540)) - 1)).toBeLessThan(0.01);
  // Of ten accesses of a local program two touch anything.
  expect(Math.abs(local.minor / (distinct(25_600, 97_660) + distinct(25_600, 3_908)) - 1)).toBeLessThan(0.01);
  expect(Math.abs(random.minor / local.minor - 1.35)).toBeLessThan(0.03);
  expect([random.major, local.major]).toEqual([0, 0]);
  expect(random.span).toBeGreaterThanOrEqual(19_000);
  expect(Math.abs(random.span / local.span - 1)).toBeLessThan(0.02);
});

test("the list by command lines, as the handout has it", async () => {
  const session = await newLab({});
  const { stdout } = await session.json<Ended>("POST", "/commands", {
    json: { script: "ls -l /proc/mp3/status; grep -i mp3 /proc/devices; sleep 1000 & echo \"R $!\" > /proc/mp3/status; cat /proc/mp3/status; echo $!; kill -9 $!; echo garbage > /proc/mp3/status" }, wait: 5,
  });
  const [mode1, device, listedPid, pid, ...rest] = stdout.split("\n");
  expect(mode1).toMatch(/^-rw-rw-rw- +1 root +root +0 .* \/proc\/mp3\/status$/);
  expect(device).toMatch(/^ *\d+ mp3$/);
  expect(listedPid).toBe(pid);
  expect(rest.join("\n")).toBe("");
  // Who was killed is dropped at the next sample.
  await advance(session, 100);
  expect(await listed(session)).toBe("");
});

test("a write that cannot be read is EFAULT, and an empty one EINVAL; what a driver maps is inherited", async () => {
  const session = await newLab({});
  const process = await session.process();
  const fd = await process.must("openat", { pathname: "/proc/mp3/status", flags: "O_RDWR" });
  expect(await process.call("write", [fd, "0x1000", 8])).toMatchObject({ errno: "EFAULT" });
  expect(await process.call("write", { fd, buf: "" })).toMatchObject({ errno: "EINVAL" });
  for (const wrong of ["R 12x", "R -1", "X 1", "R1 2", `R ${process.pid}${" ".repeat(100)}`]) expect(await process.call("write", { fd, buf: wrong }), wrong).toMatchObject({ errno: "EINVAL" });
  expect(await process.call("write", { fd, buf: "R 99999999999999999999" })).toMatchObject({ errno: "ESRCH" });
  expect(await process.call("write", { fd, buf: `R ${process.pid}\n` })).toMatchObject({ ret: `R ${process.pid}\n`.length });

  const node = await process.must("openat", { pathname: "/tmp/node", flags: "O_RDWR|O_SYNC" });
  const { ret: view } = await process.call("mmap", { length: 128 * PAGE, prot: "PROT_READ", flags: "MAP_SHARED", fd: node });
  await advance(session, 110);
  const before = (await session.cat(`/proc/${process.pid}/stat`)).toString().split(" ")[9];
  expect(await samples(process, view as unknown as string, 128)).toHaveLength(2);
  expect((await session.cat(`/proc/${process.pid}/stat`)).toString().split(" ")[9]).toBe(before);
  const { ret: child } = await process.call("fork", {});
  expect(await samples(session.at(child), view as unknown as string, 128)).toHaveLength(2);
  for (const length of [129 * PAGE, 2 ** 30]) expect(await process.call("mmap", { length, prot: "PROT_READ", flags: "MAP_SHARED", fd: node })).toMatchObject({ errno: "EINVAL" });
  expect(await process.call("mmap", { length: PAGE, prot: "PROT_READ", flags: "MAP_SHARED", fd: node, offset: 128 * PAGE })).toMatchObject({ errno: "EINVAL" });

  // The module goes with tasks on its list once nobody holds the device.
  for (const one of [process, session.at(child)]) {
    await one.must("munmap", { addr: view as unknown as string, length: 128 * PAGE });
    await expect(session.rmmod("mp3")).rejects.toMatchObject({ problem: { errno: expect.stringMatching(/EAGAIN|EBUSY/) as string } });
    for (const open of [fd, node]) await one.must("close", { fd: open });
  }
  await session.rmmod("mp3");
  await advance(session, 1000);
  expect((await session.dmesg()).at(-1)).toBe("MODULE UNLOADED");
});

test("the report's monitor prints what is there again and again: all rows while a task runs, then those before the end mark", async () => {
  const session = await newSession(server.url, machine());
  await session.insmod("mp3", "seed");
  const worker = await session.process();
  await session.json<Ended>("POST", "/commands", { json: { script: "cd /tmp && mknod node c $(grep MP3 /proc/devices | cut -d' ' -f1) 0" } });
  await status(session, `R ${worker.pid}`);
  await advance(session, 520);
  const early = await monitored(session, "monitor.seed");
  expect(early).toHaveLength(12_000);
  expect(early.filter(([at]) => at !== 0)).toHaveLength(10);
  await status(session, `U ${worker.pid}`);
  expect(await monitored(session, "monitor.seed")).toHaveLength(10);
  expect(await monitored(session, "monitor.seed")).toHaveLength(10);
});

test("the report's build adds what the task before added for one that is gone", async () => {
  const session = await newSession(server.url, machine());
  await session.insmod("mp3", "seed");
  const [worker, doomed] = [await session.process(), await session.process()];
  for (const { pid } of [worker, doomed]) await status(session, `R ${pid}`);
  await session.ask("DELETE", `/processes/${doomed.pid}`);
  const { ret: heap } = await worker.call("mmap", { length: 8 * PAGE, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  await worker.writeMemory(heap as unknown as string, Buffer.alloc(8 * PAGE, 1));
  await advance(session, 60);
  const fd = await openNode(session, worker);
  const { ret: view } = await worker.call("mmap", { length: PAGE, prot: "PROT_READ", flags: "MAP_SHARED", fd });
  const [first] = await samples(worker, view as unknown as string, 128);
  expect(first![2]).toBe(16n);
  expect(await listed(session)).toBe(`${worker.pid}\n${doomed.pid}\n`);
});
