/** The first lab over HTTP: two devices that move files, and what a teacher would check about them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, noise, refusal, type Process, type Session } from "./client.ts";
import { startServer, type Server } from "./server.ts";
import { accept, connect, CREATESOCK, leave, type Load, type Method, MMAP, openDevice, receive, send, type Side } from "./transfer.ts";

const SIZES = [32, 859, 1343, 1663, 2042, 3065, 2808, 4056, 3659, 4619];
const LARGE = 12_022_885;

let server: Server;
beforeAll(async () => void (server = await startServer()));
afterAll(() => server.end());

async function lab(variant?: string): Promise<Session> {
  const session = await newSession(server.url);
  for (const name of ["ksocket", "master_device", "slave_device"]) await session.insmod(name, variant);
  return session;
}

async function sides(session: Session): Promise<{ master: Side; slave: Side }> {
  const [master, slave] = [await session.process({ comm: "master" }), await session.process({ comm: "slave" })];
  return { master: await openDevice(master, "master"), slave: await openDevice(slave, "slave") };
}

/** Both open, one of them asks first, and they are connected. */
async function connected(session: Session, first: "master" | "slave" = "master"): Promise<{ master: Side; slave: Side }> {
  const both = await sides(session);
  if (first === "master") {
    const waiting = await both.master.process.call("ioctl", { fd: both.master.device, request: CREATESOCK }, { wait: 0 });
    expect(waiting.state).toBe("sleeping");
    expect((await connect(both.slave)).ret).toBe(0);
    expect((await session.ended(waiting)).ret).toBe(0);
  } else {
    expect((await connect(both.slave)).ret).toBe(0);
    expect((await accept(both.master)).ret).toBe(0);
  }
  return both;
}

async function upload(session: Session, sizes: number[]): Promise<Load[]> {
  await session.ask("PUT", "/fs/tmp/in?dir");
  await session.ask("PUT", "/fs/tmp/out?dir");
  const files = sizes.map((size, at) => ({ path: `/tmp/in/${at}`, bytes: noise(size, at + 1) }));
  for (const { path, bytes } of files) await session.put(path, bytes);
  return files;
}

async function transfer(session: Session, files: Load[], methods: [Method, Method], first: "master" | "slave"): Promise<void> {
  const { master, slave } = await connected(session, first);
  const paths = files.map((_, at) => `/tmp/out/${at}`);
  const [sent, received] = await Promise.all([send(master, files, methods[0]), receive(slave, paths, methods[1])]);
  const total = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
  expect([sent, received]).toEqual([total, total]);
  await leave(master);
  await leave(slave);
  for (const [at, { bytes }] of files.entries()) expect(bytes.equals(await session.cat(paths[at]!)), `file ${at}`).toBe(true);
}

const COMBINATIONS: [Method, Method][] = [["f", "f"], ["f", "m"], ["m", "f"], ["m", "m"]];

test("the three modules load in order, and lsmod, /dev and dmesg show them", async () => {
  const session = await newSession(server.url);
  for (const name of ["ksocket", "master_device", "slave_device"]) expect((await session.insmod(name)).status).toBe(201);
  const [header, ...rows] = (await session.lsmod()).trimEnd().split("\n");
  expect(header).toBe("Module                  Size  Used by");
  expect(rows.map((row) => row.replace(/ +\d+ {2}/, " "))).toEqual(["slave_device 0", "master_device 0", "ksocket 2 slave_device,master_device"]);
  const process = await session.process();
  for (const name of ["master", "slave"]) {
    const { statbuf } = await process.call("newfstatat", { pathname: `/dev/${name}_device` });
    expect(statbuf!["st_mode"]).toBe(0o020600);
    expect([statbuf!["st_uid"], statbuf!["st_gid"]]).toEqual([0, 0]);
    expect(statbuf!["st_rdev"]).toMatchObject({ major: 10 });
  }
  const misc = (await session.cat("/proc/misc")).toString();
  expect(misc).toMatch(/^ {0,2}\d+ master_device$/m);
  expect(misc).toMatch(/^ {0,2}\d+ slave_device$/m);
  const log = (await session.dmesg()).join("\n");
  for (const line of [/^ksocket version 0\.0\.2$/m, /master.*registered/, /master.*socket is created/, /master.*init/, /slave.*registered/]) expect(log).toMatch(line);
});

test("a device module without ksocket has unknown symbols", async () => {
  const session = await newSession(server.url);
  const problem = await refusal(session.insmod("master_device"));
  expect(problem).toMatchObject({ status: 422, errno: "ENOENT", errnoNumber: 2 });
  expect(problem.detail).toBe("insmod: ERROR: could not insert module master_device.ko: Unknown symbol in module");
  const unknown = (await session.dmesg()).filter((line) => line.includes("Unknown symbol"));
  expect(unknown).toContain("master_device: Unknown symbol ksocket (err -2)");
  expect(unknown.length).toBeGreaterThan(3);
  expect(new Set(unknown).size).toBe(unknown.length);
  expect(await refusal(session.cat("/dev/master_device"))).toMatchObject({ status: 404, errno: "ENOENT" });
});

test("a second insmod is File exists, an unknown module is 404", async () => {
  const session = await lab();
  expect(await refusal(session.insmod("ksocket"))).toMatchObject({
    status: 409, errno: "EEXIST", errnoNumber: 17, detail: "insmod: ERROR: could not insert module ksocket.ko: File exists",
  });
  expect((await refusal(session.insmod("no_such_module"))).status).toBe(404);
});

test("ksocket is in use while the devices are loaded", async () => {
  const session = await lab();
  const problem = await refusal(session.rmmod("ksocket"));
  expect(problem).toMatchObject({ status: 409, detail: "rmmod: ERROR: Module ksocket is in use by: slave_device master_device" });
  await session.rmmod("master_device");
  await session.rmmod("slave_device");
  await session.rmmod("ksocket");
  expect((await session.dmesg()).at(-1)).toBe("ksocket exit");
  expect((await session.lsmod()).trimEnd().split("\n")).toHaveLength(1);
  expect(await refusal(session.rmmod("ksocket"))).toMatchObject({ status: 404, detail: "rmmod: ERROR: Module ksocket is not currently loaded" });
});

test("removed in the wrong order, ksocket stays", async () => {
  const session = await lab();
  expect(await refusal(session.rmmod("ksocket"))).toMatchObject({ errno: "EAGAIN", errnoNumber: 11 });
  await session.rmmod("master_device");
  await session.rmmod("slave_device");
  expect((await session.lsmod()).trimEnd().split("\n").slice(1).map((row) => row.split(" ")[0])).toEqual(["ksocket"]);
});

for (const first of ["master", "slave"] as const) {
  test(`ten files arrive whole by every pair of methods, ${first} first, in four sessions at once`, async () => {
    await Promise.all(COMBINATIONS.map(async (methods) => {
      const session = await lab();
      await transfer(session, await upload(session, SIZES), methods, first);
    }));
  });
}

for (const methods of [["f", "f"], ["m", "m"]] as [Method, Method][]) {
  test(`a file of ${LARGE} bytes arrives whole by ${methods.join(" and ")}`, async () => {
    const session = await lab();
    await transfer(session, await upload(session, [LARGE]), methods, methods[0] === "f" ? "master" : "slave");
  });
}

test("several transfers follow one another on one pair of modules", async () => {
  const session = await lab();
  const files = await upload(session, [512, 1024, 4096, 8192, 1]);
  for (const methods of COMBINATIONS) await transfer(session, files, methods, "slave");
});

test("the slave cannot connect while no master listens", async () => {
  for (const [variant, errno] of [["seed", "EPERM"], ["corrected", "ECONNREFUSED"]]) {
    const session = await newSession(server.url);
    await session.insmod("ksocket", variant);
    await session.insmod("slave_device", variant);
    const slave = await openDevice(await session.process({ comm: "slave" }), "slave");
    expect((await connect(slave)).errno, variant).toBe(errno);
    expect((await session.dmesg()).at(-1)).toBe("[slave] connect failed");
  }
});

test("after an mmap transfer dmesg shows one page descriptor per file and side, writable on the master's alone", async () => {
  const session = await lab();
  await transfer(session, await upload(session, [100, 5000]), ["m", "m"], "slave");
  const log = (await session.dmesg()).filter((line) => line.includes("page descriptor"));
  for (const [side, writable] of [["master", 2n], ["slave", 0n]] as const) {
    const entries = log.filter((line) => line.startsWith(`[${side}] page descriptor: `)).map((line) => BigInt(`0x${line.split(": ")[1]}`));
    expect(entries, side).toHaveLength(2);
    for (const entry of entries) {
      expect(entry & 0b101n).toBe(0b101n); // present, user
      expect(entry & 0b10n).toBe(writable);
      expect(entry >> 63n).toBe(1n); // no execute
      expect((entry >> 12n) & 0xff_ffff_ffffn).toBeGreaterThan(0n);
    }
  }
});

test("a student may not open the devices", async () => {
  const session = await lab();
  const student = await session.member("ann", "student");
  const process = await student.process({ comm: "master" });
  expect(await process.call("openat", { pathname: "/dev/master_device", flags: "O_RDWR" })).toMatchObject({
    ret: -1, errno: "EACCES", errnoNumber: 13, message: "Permission denied",
    strace: 'openat(AT_FDCWD, "/dev/master_device", O_RDWR) = -1 EACCES (Permission denied)',
  });
  const opened = await newSession(server.url, { clock: "virtual", udev: { master_device: "0666" } });
  for (const name of ["ksocket", "master_device"]) await opened.insmod(name);
  const other = await (await opened.member("bob", "student")).process();
  expect(await other.must("openat", { pathname: "/dev/master_device", flags: "O_RDWR" })).toBe(3);
});

test("the unmodified sample has no mmap", async () => {
  const session = await lab("upstream");
  const { master, slave } = await sides(session);
  for (const { process, device } of [master, slave]) {
    expect(await process.call("mmap", { length: 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_SHARED", fd: device })).toMatchObject({
      ret: -1, errno: "ENODEV", message: "No such device",
    });
    expect((await process.call("ioctl", { fd: device, request: MMAP, arg: 8 })).errno).toBe("EINVAL");
  }
});

test("the asynchronous build moves the same bytes in the same time, and no SIGIO comes", async () => {
  const spent: number[] = [];
  for (const variant of ["corrected", "seed"]) {
    const session = await lab(variant);
    const files = await upload(session, SIZES);
    const { master, slave } = await connected(session, "slave");
    await slave.process.must("rt_sigaction", { signum: "SIGIO", act: { sa_handler: "count" } });
    await slave.process.must("fcntl", { fd: slave.device, cmd: "F_SETOWN", arg: slave.process.pid });
    await slave.process.must("fcntl", { fd: slave.device, cmd: "F_SETFL", arg: 0o20000 });
    const before = await kernelNs(master.process);
    await Promise.all([send(master, files, "f"), receive(slave, files.map((_, at) => `/tmp/out/${at}`), "f")]);
    spent.push((await kernelNs(master.process)) - before);
    for (const [at, { bytes }] of files.entries()) expect(bytes.equals(await session.cat(`/tmp/out/${at}`))).toBe(true);
    if (variant === "seed") expect((await slave.process.view()).signals["SIGIO"] ?? 0).toBe(0);
  }
  expect(spent[1]! / spent[0]!).toBeGreaterThan(0.5);
  expect(spent[1]! / spent[0]!).toBeLessThan(2);
});

/** CLOCK_MONOTONIC of the kernel. */
async function kernelNs(process: Process): Promise<number> {
  const { tp } = (await process.call("clock_gettime", { clockid: "CLOCK_MONOTONIC" })) as unknown as { tp: { tv_sec: number; tv_nsec: number } };
  return tp.tv_sec * 1e9 + tp.tv_nsec;
}

test("Ctrl-C ends a master that waits, and the module can go", async () => {
  const session = await lab();
  const master = await openDevice(await session.process({ comm: "master" }), "master");
  const waiting = await master.process.call("ioctl", { fd: master.device, request: CREATESOCK }, { wait: 0 });
  expect(waiting).toMatchObject({ state: "sleeping", pid: master.process.pid });
  expect(await refusal(session.rmmod("master_device"))).toMatchObject({ status: 409, detail: "rmmod: ERROR: Module master_device is in use" });
  await master.process.signal("SIGINT");
  expect(await session.callState(waiting.callId)).toMatchObject({ state: "ended", signaled: "SIGINT" });
  expect(await session.json("GET", "/modules/master_device")).toMatchObject({ refcount: 0 });
  await session.rmmod("master_device");
  expect(await session.lsmod()).not.toContain("master_device");
});
