/** The first lab as its graders look at it: modules, transfers by every pair of methods, page descriptors, Ctrl-C. */
import { expect, test } from "vitest";
import { CREATESOCK, EXIT, LARGE, MMAP, SMALL, VdevLab, type Method, type Side } from "./vdev.ts";

const METHODS: Method[] = ["fcntl", "mmap"];
const PAIRS = METHODS.flatMap((master) => METHODS.map((slave) => ({ master, slave })));

test("three modules in order, two devices, one user each", async () => {
  const lab = await VdevLab.loaded();
  expect(lab.text("/proc/modules").split("\n").map((line) => line.replace(/ Live.*/, ""))).toEqual([
    "slave_device 16384 0 -", "master_device 16384 0 -", "ksocket 16384 2 slave_device,master_device,", "",
  ]);
  for (const name of ["master_device", "slave_device"]) {
    const { statbuf } = lab.do("newfstatat", { dirfd: "AT_FDCWD", pathname: `/dev/${name}`, flags: 0 });
    expect(statbuf).toMatchObject({ st_mode: 0o020600, st_uid: 0, st_gid: 0, st_rdev: { major: 10 } });
    expect(lab.text("/proc/misc")).toMatch(new RegExp(`^ *\\d+ ${name}$`, "m"));
  }
  expect(lab.text("/sys/class/misc/master_device/dev")).toMatch(/^10:\d+\n$/);
  expect(lab.log().map((line) => line.replace(/0x[0-9a-f]{16}$/, "0x…"))).toEqual([
    "ksocket version 0.0.2\nBSD-style socket APIs for kernel 2.6 developers\nmsn : song.xian-guang@hotmail.com\nblog: http://sxg.cublog.cn",
    "[master] registered", "[master] socket is created: 0x…", "[master] init succeeded", "[slave] registered",
  ]);
  expect(lab.tcp()).toEqual([expect.stringMatching(/^0: 00000000:0915 00000000:0000 0A /)]);
});

test("without ksocket every symbol that a device wants is unknown", async () => {
  const lab = new VdevLab();
  lab.pid = await lab.createProcess();
  const failed = lab.insmod("master_device");
  expect(failed.ret).not.toBe(0);
  expect(failed.stderr).toBe("insmod: ERROR: could not insert module master_device.ko: Unknown symbol in module\n");
  const unknown = lab.kernel.state.log.records.map(({ text }) => text).filter((text) => text.includes("Unknown symbol"));
  expect(unknown.toSorted()).toEqual(["inet_ntoa", "kaccept", "kbind", "kclose", "klisten", "ksend", "ksocket"]
    .map((name) => `master_device: Unknown symbol ${name} (err -2)`));
  expect(lab.errno("openat", { dirfd: "AT_FDCWD", pathname: "/dev/master_device", flags: "O_RDWR" })).toBe("ENOENT");
});

test("removal goes from the top down", async () => {
  const lab = await VdevLab.loaded();
  expect(lab.rmmod("ksocket").stderr).toBe("rmmod: ERROR: Module ksocket is in use by: slave_device master_device\n");
  for (const name of ["master_device", "slave_device"]) expect(lab.rmmod(name).ret).toBe(0);
  expect(lab.text("/proc/modules")).toMatch(/^ksocket 16384 0 /);
  expect(lab.rmmod("ksocket").ret).toBe(0);
  expect(lab.log().slice(-4)).toEqual(["[master] misc deregister", "[master] exited", "[slave] exited", "ksocket exit"]);
  expect(lab.text("/proc/modules")).toBe("");
  expect(lab.tcp()).toEqual([]);
  expect(lab.broken()).toEqual([]);
});

for (const first of ["master", "slave"] as Side[]) {
  for (const methods of PAIRS) {
    test(`ten files from ${methods.master} to ${methods.slave}, ${first} first`, async () => {
      const lab = await VdevLab.loaded();
      const total = SMALL.reduce((sum, size) => sum + size, 0);
      for (const { ret, stdout } of Object.values(lab.transfer(SMALL, methods, first))) {
        expect(ret).toBe(0);
        expect(stdout).toMatch(new RegExp(`^Transmission time: \\d+\\.\\d{6} ms, File size: ${total} bytes\\n$`));
      }
      expect(lab.broken()).toEqual([]);
    });
  }
}

for (const [methods, first] of [[PAIRS[0], "slave"], [PAIRS[1], "master"], [PAIRS[2], "slave"], [PAIRS[3], "master"]] as const) {
  test(`${LARGE} bytes from ${methods?.master} to ${methods?.slave}, ${first} first`, async () => {
    const lab = await VdevLab.loaded();
    const { master, slave } = lab.transfer([LARGE], methods ?? { master: "fcntl", slave: "fcntl" }, first);
    for (const { stdout } of [master, slave]) expect(stdout).toContain(`File size: ${LARGE} bytes\n`);
    expect(lab.broken()).toEqual([]);
  });
}

test("files of no bytes, of whole buffers and of whole pages arrive, one transfer after the other", async () => {
  const lab = await VdevLab.loaded();
  for (const methods of PAIRS) lab.transfer([512, 0, 4096, 8192, 1, 1024], methods, "slave");
  expect(lab.refcount("master_device")).toBe(0);
  expect(lab.refcount("slave_device")).toBe(0);
  expect(lab.rmmod("master_device").ret).toBe(0);
  // The master's side closed first: its ends of the connections keep the port, which SO_REUSEADDR takes all the same.
  expect(lab.tcp().every((line) => line.includes(" 06 "))).toBe(true);
  expect(lab.insmod("master_device").ret).toBe(0);
});

test("each side of an mmap transfer shows its mapping's page-table entry, and only the master's is writable", async () => {
  const lab = await VdevLab.loaded();
  lab.transfer([100, 5000], { master: "mmap", slave: "mmap" }, "slave");
  const entries = (side: Side) => lab.log().filter((line) => line.startsWith(`[${side}] page descriptor: `)).map((line) => line.split(": ")[1]);
  expect(entries("master")).toEqual([expect.stringMatching(/^80000000[0-9A-F]{5}267$/), expect.stringMatching(/^80000000[0-9A-F]{5}267$/)]);
  expect(entries("slave")).toEqual([expect.stringMatching(/^80000000[0-9A-F]{5}225$/), expect.stringMatching(/^80000000[0-9A-F]{5}225$/)]);
});

test("an address that is mapped nowhere has no descriptor", async () => {
  const lab = await VdevLab.loaded();
  const device = lab.open("master");
  const hole = lab.address();
  lab.ok("munmap", { addr: hole, length: 4096 });
  lab.ok("ioctl", { fd: device, request: 0x12345676, arg: hole });
  expect(lab.log().at(-1)).toBe("[master] page descriptor: 0");
});

test("a student's programs may not open the devices", async () => {
  const lab = await VdevLab.loaded();
  const ended = lab.end(lab.start("master", { argv: ["master", "1", "/tmp/in", "fcntl"] }, 1000));
  expect(ended.ret).not.toBe(0);
  expect(ended.stderr).toContain("failed to open /dev/master_device\n: Permission denied\n");
});

test("Ctrl-C ends a master that waits, and the module can go", async () => {
  const lab = await VdevLab.loaded();
  const program = lab.start("master", { argv: ["master", "0", "fcntl"] });
  const { pid } = lab.stand(program) as { pid: number };
  expect(lab.refcount("master_device")).toBe(1);
  expect(lab.rmmod("master_device").stderr).toBe("rmmod: ERROR: Module master_device is in use\n");
  lab.feed({ type: "signal", pid, signal: 2, uid: 0 });
  expect(lab.end(program)).not.toMatchObject({ state: "sleeping" });
  expect(lab.refcount("master_device")).toBe(0);
  expect(lab.rmmod("master_device").ret).toBe(0);
  expect(lab.broken()).toEqual([]);
});

test("a killed master gives everything back in the middle of a file, and the slave sees the end", async () => {
  const lab = await VdevLab.loaded();
  const [master, slave] = lab.connected();
  const child = lab.fork();
  lab.ok("write", { fd: master, buf: "half" });
  lab.ok("close", { fd: master }, child);
  lab.ok("read", { fd: slave, count: 4 }, child);
  const waiting = lab.callNow(child, "read", { fd: slave, count: 4 });
  expect(waiting.state).toBe("sleeping");
  lab.feed({ type: "signal", pid: lab.pid, signal: 9, uid: 0 });
  expect(lab.after((waiting as { callId: string }).callId)).toMatchObject({ ret: 0 });
  expect(lab.refcount("master_device")).toBe(0);
  expect(lab.refcount("slave_device")).toBe(1);
});

test("two pairs of users do not hear each other", async () => {
  const lab = await VdevLab.loaded();
  const other = await lab.createProcess();
  const [master1, slave1] = lab.connected();
  const [master2, slave2] = lab.connected(other);
  lab.ok("write", { fd: master1, buf: "first" });
  lab.ok("write", { fd: master2, buf: "second" }, other);
  expect(lab.ok("read", { fd: slave2, count: 99 }, other)).toBe(6);
  expect(lab.ok("read", { fd: slave1, count: 99 })).toBe(5);
  lab.ok("ioctl", { fd: master1, request: EXIT });
  lab.ok("write", { fd: master2, buf: "third" }, other);
  expect(lab.ok("read", { fd: slave2, count: 99 }, other)).toBe(5);
  expect(lab.errno("write", { fd: master1, buf: "x" })).toBe("ENOTCONN");
});

test("a listener that cannot be bound is taken back whole, with its errno", async () => {
  const lab = await VdevLab.loaded();
  lab.rmmod("master_device");
  lab.listener(2325);
  expect(lab.insmod("master_device").stderr).toBe("insmod: ERROR: could not insert module master_device.ko: Address already in use\n");
  expect(lab.text("/proc/misc")).not.toContain("master_device");
  expect(lab.errno("openat", { dirfd: "AT_FDCWD", pathname: "/sys/kernel/debug/debug_master", flags: "O_RDWR" })).toBe("ENOENT");
  expect(lab.text("/proc/modules")).not.toContain("master_device");
  expect(lab.broken()).toEqual([]);
});

test("the slave finds nobody", async () => {
  const lab = await VdevLab.loaded();
  lab.rmmod("master_device");
  const ended = lab.end(lab.start("slave", { argv: ["slave", "0", "fcntl", "127.0.0.1"] }));
  expect(ended.stderr).toContain("ioclt create slave socket error\n: Connection refused\n");
  expect(lab.log().at(-1)).toBe("[slave] connect failed");
  expect(lab.refcount("slave_device")).toBe(0);
});

test("calls that the corrected build refuses", async () => {
  const lab = await VdevLab.loaded();
  const [master, slave] = [lab.open("master"), lab.open("slave")];
  const far = "0x800000000000";
  for (const fd of [master, slave]) {
    expect(lab.errno("ioctl", { fd, request: 0x12345680 })).toBe("ENOTTY");
    expect(lab.errno("ioctl", { fd, request: EXIT })).toBe("ENOTCONN");
    expect(lab.errno("ioctl", { fd, request: MMAP, arg: 8 })).toBe("ENOTCONN");
    expect(lab.errno("mmap", { length: 8192, prot: "PROT_READ", flags: "MAP_SHARED", fd })).toBe("EINVAL");
    expect(lab.errno("ioctl", { fd, request: 0x12345676, arg: far })).toBe("EFAULT");
  }
  expect(lab.errno("write", { fd: master, buf: "x" })).toBe("ENOTCONN");
  expect(lab.errno("read", { fd: slave, count: 1 })).toBe("ENOTCONN");
  expect(lab.errno("read", { fd: master, count: 1 })).toBe("EINVAL");
  expect(lab.errno("ioctl", { fd: slave, request: CREATESOCK, arg: 8 })).toBe("EFAULT");
  expect(lab.errno("ioctl", { fd: slave, request: CREATESOCK, arg: lab.address(lab.pid, "nobody") })).toBe("EINVAL");
  lab.connected(lab.pid, master);
  expect(lab.errno("write", { fd: master, buf: 0x1000, count: 5 })).toBe("EFAULT");
  expect(lab.errno("ioctl", { fd: master, request: MMAP, arg: 4097 })).toBe("EINVAL");
  expect(lab.errno("ioctl", { fd: master, request: CREATESOCK })).toBe("EISCONN");
});

test("O_NONBLOCK never waits", async () => {
  const lab = await VdevLab.loaded();
  const master = lab.open("master", lab.pid, "O_RDWR|O_NONBLOCK");
  expect(lab.errno("ioctl", { fd: master, request: CREATESOCK })).toBe("EAGAIN");
  const [, slave] = lab.connected(lab.pid, master);
  lab.ok("fcntl", { fd: slave, cmd: "F_SETFL", arg: "O_NONBLOCK" });
  expect(lab.errno("read", { fd: slave, count: 1 })).toBe("EAGAIN");
  expect(lab.errno("ioctl", { fd: slave, request: MMAP, arg: 8 })).toBe("EAGAIN");
  let sent = 0;
  for (let count = 0; count < 5_000; count++) {
    const { ret, errno } = lab.do("write", { fd: master, buf: { zero: 4096 } });
    if (errno === "EAGAIN") break;
    sent += ret;
  }
  expect(sent).toBeGreaterThan(100_000);
  expect(lab.errno("write", { fd: master, buf: "x" })).toBe("EAGAIN");
});

test("a write longer than a page goes out whole, and waits for room", async () => {
  const lab = await VdevLab.loaded();
  const [master, slave] = lab.connected();
  const child = lab.fork();
  const size = 8_000_000;
  const writing = lab.sleeps("write", { fd: master, buf: lab.map(size), count: size });
  let got = 0;
  while (got < size) got += lab.ok("read", { fd: slave, count: 100_000 }, child);
  expect(lab.after(writing)).toMatchObject({ ret: size });
  expect(got).toBe(size);
});

test("ioctl MMAP of the slave waits for all that it was asked for, or for the end", async () => {
  const lab = await VdevLab.loaded();
  const [master, slave] = lab.connected();
  const child = lab.fork();
  const first = lab.sleeps("ioctl", { fd: slave, request: MMAP, arg: 1000 });
  lab.ok("write", { fd: master, buf: { zero: 512 } }, child);
  expect(lab.after(first).state).toBe("sleeping");
  lab.ok("write", { fd: master, buf: { zero: 488 } }, child);
  expect(lab.after(first)).toMatchObject({ ret: 1000 });
  const second = lab.sleeps("ioctl", { fd: slave, request: MMAP, arg: 1000 });
  lab.ok("write", { fd: master, buf: "rest" }, child);
  lab.ok("ioctl", { fd: master, request: EXIT }, child);
  expect(lab.after(second)).toMatchObject({ ret: 4 });
});

test("SIGIO tells who asked for it that bytes have come", async () => {
  const lab = await VdevLab.loaded();
  const [master, slave] = lab.connected();
  lab.ok("rt_sigaction", { signum: "SIGIO", act: { sa_handler: "count" } });
  lab.ok("fcntl", { fd: slave, cmd: "F_SETOWN", arg: lab.pid });
  lab.ok("write", { fd: master, buf: "quiet" });
  expect(await lab.signalCount(lab.pid, "SIGIO")).toBe(0);
  lab.ok("fcntl", { fd: slave, cmd: "F_SETFL", arg: "O_ASYNC" });
  lab.ok("write", { fd: master, buf: "loud" });
  expect(await lab.signalCount(lab.pid, "SIGIO")).toBe(1);
  expect(lab.ok("read", { fd: slave, count: 99 })).toBe(9);
});

test("a buffer is clean at every open", async () => {
  const lab = await VdevLab.loaded();
  const first = lab.open("master");
  const at = lab.map(4096, first);
  lab.ok("store", { addr: at, buf: "secret" });
  lab.ok("munmap", { addr: at, length: 4096 });
  lab.ok("close", { fd: first });
  expect(lab.load(lab.map(4096, lab.open("master")), 6)).toEqual(Buffer.alloc(6));
});

/** Fills the connection by ioctl MMAP until it waits: the bytes that were taken and the waiting call. */
function fill(lab: VdevLab, master: number): { sent: number; callId: string } {
  for (let sent = 0; sent < 64 << 20; sent += 4096) {
    const answer = lab.callNow(lab.pid, "ioctl", { fd: master, request: MMAP, arg: 4096 });
    if (answer.state === "sleeping") return { sent, callId: answer.callId };
  }
  throw new Error("it never waits");
}

test("ioctl MMAP of a master that finds no room waits with bytes of its own, and goes on", async () => {
  const lab = await VdevLab.loaded("corrected");
  const [master, slave] = lab.connected();
  const reader = lab.fork();
  const { sent, callId } = fill(lab, master);
  expect(lab.broken()).toEqual([]);
  let got = 0;
  while (got < sent + 4096) {
    const read = lab.callNow(reader, "read", { fd: slave, count: 4096 }) as { ret: number };
    expect(read.ret).toBeGreaterThan(0);
    got += read.ret;
  }
  expect(got).toBe(sent + 4096);
  expect(lab.stand(callId)).toMatchObject({ ret: 4096 });
});

test("the report's master waits with bytes of its own too", async () => {
  const lab = await VdevLab.loaded("seed");
  const [master] = lab.connected();
  fill(lab, master);
  expect(lab.broken()).toEqual([]);
});
