/** The page-fault profiler over HTTP: register, touch pages, read the samples out of the mapping. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession } from "./client.ts";
import { advance, listed, machine, monitored, newLab, openNode, PAGE, samples, status, sum, type Ended } from "./profiler.ts";
import { startServer, type Server } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.end());

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

test("the list by command lines, as the handout has it", async () => {
  const session = await newLab(server.url, {});
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
  const session = await newLab(server.url, {});
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
  // Showing twelve thousand lines took a sample's time or two.
  const { length } = await monitored(session, "monitor.seed");
  expect([10, 11, 12]).toContain(length);
  expect(await monitored(session, "monitor.seed")).toHaveLength(length);
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

test("a caller's own loads and stores wait for the disk by themselves, and are counted as major", async () => {
  const session = await newLab(server.url, { ramMiB: 8, swapMiB: 16 });
  const [worker, monitor] = [await session.process({ comm: "work" }), await session.process({ comm: "monitor" })];
  const pages = 1200;
  const { ret: area } = await worker.call("mmap", { length: pages * PAGE, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  const fd = await monitor.must("openat", { pathname: "/tmp/node", flags: "O_RDWR|O_SYNC" });
  const { ret: view } = await monitor.call("mmap", { length: 128 * PAGE, prot: "PROT_READ", flags: "MAP_SHARED", fd });
  const each = (call: (addr: string) => { call: string; args: Record<string, unknown> }) =>
    Array.from({ length: pages }, (_, page) => call(`0x${(BigInt(area as unknown as string) + BigInt(page * PAGE)).toString(16)}`));
  await status(session, `R ${worker.pid}`);
  await worker.mustBatch(each((addr) => ({ call: "store", args: { addr, buf: "x" } })));
  const loaded = await worker.mustBatch(each((addr) => ({ call: "load", args: { addr, length: 1 } })));
  expect(loaded.every(({ buf }) => buf?.text === "x")).toBe(true);
  await advance(session, 60);
  const found = await samples(monitor, view as unknown as string);
  expect(sum(found, 1)).toBeGreaterThanOrEqual(pages);
  expect(sum(found, 2)).toBeGreaterThan(pages / 2);
  const fields = (await session.cat(`/proc/${worker.pid}/stat`)).toString().split(" ").map(Number);
  expect([fields[9], fields[11]]).toEqual([sum(found, 1), sum(found, 2)]);
  expect((await session.cat("/proc/vmstat")).toString()).toMatch(/^pswpin [1-9]\d{2,}$/m);
});
