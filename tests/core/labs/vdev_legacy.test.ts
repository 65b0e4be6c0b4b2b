/** The report's build of the first lab with its defects, and the sample that was handed out. */
import { expect, test } from "vitest";
import { CREATESOCK, EXIT, MMAP, SMALL, VdevLab, type Method } from "./vdev.ts";

const METHODS: Method[] = ["fcntl", "mmap"];

/** Pointers and ports as letters, so that lines can be compared. */
function plain(line: string): string {
  return line.replaceAll(/0x[0-9a-f]{16}/g, "P").replace(/(127\.0\.0\.1[: ])(?!2325)\d+$/, "$1N");
}

/** A process beside the first, which may die in its stead. */
async function victim(lab: VdevLab): Promise<number> {
  return lab.createProcess();
}

function killed(lab: VdevLab, pid: number, call: string, args: Parameters<VdevLab["do"]>[1]): void {
  expect(lab.callNow(pid, call, args)).toMatchObject({ state: "ended", signaled: "SIGKILL" });
}

for (const master of METHODS) {
  for (const slave of METHODS) {
    test(`the report's build moves the ten files from ${master} to ${slave}`, async () => {
      const lab = await VdevLab.loaded("seed");
      const total = SMALL.reduce((sum, size) => sum + size, 0);
      // A receiver that maps takes what has come for all: it must not be ahead of the sender.
      const { master: sent, slave: got } = lab.transfer(SMALL, { master, slave }, slave === "mmap" ? "master" : "slave");
      for (const { stdout } of [sent, got]) expect(stdout).toContain(`File size: ${total} bytes\n`);
      expect(lab.broken()).toEqual([]);
    });
  }
}

test("the report's build talks of what it does", async () => {
  const lab = await VdevLab.loaded("seed");
  lab.transfer([5000], { master: "mmap", slave: "mmap" }, "slave");
  for (const name of ["slave_device", "master_device", "ksocket"]) lab.rmmod(name);
  expect(lab.log().slice(1).map((line) => plain(line).replace(/[0-9A-F]{13}(?=(267|225)$)/, "…"))).toEqual([
    "[master] registered", "sock_create sk= P", "[master] socket is created: P", "kbind ret = 0", "[master] init succeeded",
    "[slave] registered", "sock_create sk= P", "[slave] socket is created: P", "[slave] connected to 127.0.0.1:2325",
    "family = 2, type = 1, protocol = 6", "[master] accept socket from client: P", "[master] new connection from 127.0.0.1:N",
    "[master] page descriptor: …267", "[slave] page descriptor: …225",
    "[slave] exited", "[master] misc deregister", "[master] exited", "ksocket exit",
  ]);
});

test("whatever fails is EPERM", async () => {
  const lab = await VdevLab.loaded("seed");
  const both = lab.connected();
  for (const fd of both) lab.ok("ioctl", { fd, request: EXIT });
  for (const fd of both) lab.ok("close", { fd });
  lab.rmmod("master_device");
  const ended = lab.end(lab.start("slave", { argv: ["slave", "0", "fcntl", "127.0.0.1"] }));
  expect(ended.stderr).toContain("ioclt create slave socket error\n: Operation not permitted\n");
  expect(lab.log().at(-1)).toBe("[slave] connect failed");
  // Its end of the connection holds the port for a minute, and nobody set SO_REUSEADDR.
  expect(lab.insmod("master_device", "seed").stderr).toBe("insmod: ERROR: could not insert module master_device.ko: Operation not permitted\n");
  // The device and its debugfs file stay, and with them the code that is gone.
  expect(lab.log().slice(-4)).toEqual([
    "kbind ret = -98", "[master] bind failed", "master_device: module leaves misc device 'master_device' behind",
    "master_device: module leaves debugfs file 'debug_master' behind",
  ]);
});

test("a signal while CREATESOCK waits is EPERM too", async () => {
  const lab = await VdevLab.loaded("seed");
  lab.ok("rt_sigaction", { signum: "SIGUSR1", act: { sa_handler: "count", sa_flags: "SA_RESTART" } });
  const waiting = lab.sleeps("ioctl", { fd: lab.open("master"), request: CREATESOCK });
  lab.feed({ type: "signal", pid: lab.pid, signal: 10, uid: 0 });
  expect(lab.after(waiting)).toMatchObject({ ret: -1, errno: "EPERM" });
  expect(lab.log().at(-1)).toBe("[master] kaccept failed");
});

test("EXIT without a connection is the end of the process, and the module stays in use", async () => {
  const lab = await VdevLab.loaded("seed");
  const pid = await victim(lab);
  const fd = lab.open("master", pid);
  killed(lab, pid, "ioctl", { fd, request: EXIT });
  const log = lab.log();
  const from = log.indexOf("BUG: kernel NULL pointer dereference, address: 0000000000000020");
  expect(from).toBeGreaterThan(0);
  expect(log.slice(from)).toContain("#PF: supervisor read access in kernel mode");
  expect(log.slice(from).find((line) => line.startsWith("RIP: "))).toMatch(/^RIP: 0010:kclose\+0x/);
  expect(log.slice(from).some((line) => line.includes("master_ioctl+"))).toBe(true);
  expect(lab.rmmod("master_device").stderr).toBe("rmmod: ERROR: Module master_device is in use\n");
  expect(lab.broken()).toEqual([]);
});

test("reading and writing without a connection fall the same way", async () => {
  const lab = await VdevLab.loaded("seed");
  for (const [side, call] of [["master", "write"], ["slave", "read"]] as const) {
    const pid = await victim(lab);
    killed(lab, pid, call, call === "write" ? { fd: lab.open(side, pid), buf: "x" } : { fd: lab.open(side, pid), count: 1 });
    expect(lab.log().findLast((line) => line.startsWith("RIP: "))).toMatch(call === "write" ? /sock_sendmsg/ : /sock_recvmsg/);
  }
});

test("a second CREATESOCK takes the place of the first connection", async () => {
  const lab = await VdevLab.loaded("seed");
  const other = await lab.createProcess();
  const [master1] = lab.connected();
  const [, slave2] = lab.connected(other);
  lab.ok("write", { fd: master1, buf: "astray" });
  expect(lab.ok("read", { fd: slave2, count: 99 }, other)).toBe(6);
});

test("a write beyond 512 bytes is caught by the hardened copy", async () => {
  const lab = await VdevLab.loaded("seed");
  const [master] = lab.connected();
  expect(lab.ok("write", { fd: master, buf: { zero: 512 } })).toBe(512);
  expect(lab.errno("write", { fd: master, buf: { zero: 513 } })).toBe("ENOMEM");
  expect(lab.log()).toContain("Buffer overflow detected (512 < 513)!");
});

test("a read that receives more than 512 bytes smashes the stack", async () => {
  const lab = await VdevLab.loaded("seed");
  const pid = await victim(lab);
  const [master, slave] = lab.connected(pid);
  for (let count = 0; count < 2; count++) lab.ok("write", { fd: master, buf: { zero: 512 } }, pid);
  killed(lab, pid, "read", { fd: slave, count: 1024 });
  expect(lab.log().join("\n")).toMatch(/stack-protector: Kernel stack is corrupted in: receive_f/);
});

test("the answer of a write does not depend on what became of it", async () => {
  const lab = await VdevLab.loaded("seed");
  lab.ok("rt_sigaction", { signum: "SIGPIPE", act: { sa_handler: "count" } });
  const [master, slave] = lab.connected();
  lab.ok("write", { fd: master, buf: "unread" });
  lab.ok("ioctl", { fd: slave, request: EXIT });
  for (let count = 0; count < 2; count++) expect(lab.ok("write", { fd: master, buf: "lost" })).toBe(4);
  expect(await lab.signalCount(lab.pid, "SIGPIPE")).toBeGreaterThan(0);
});

test("closing the device leaves the connection, unknown requests answer 0, O_NONBLOCK waits", async () => {
  const lab = await VdevLab.loaded("seed");
  const [master, slave] = lab.connected();
  expect(lab.ok("ioctl", { fd: master, request: 0x12345680 })).toBe(0);
  lab.ok("close", { fd: master });
  expect(lab.tcp().filter((line) => line.includes(" 01 "))).toHaveLength(2);
  lab.ok("fcntl", { fd: slave, cmd: "F_SETFL", arg: "O_NONBLOCK" });
  lab.sleeps("read", { fd: slave, count: 1 });
});

test("the receiver that maps takes one segment for all of it", async () => {
  const lab = await VdevLab.loaded("seed");
  const [master, slave] = lab.connected();
  lab.ok("write", { fd: master, buf: { zero: 512 } });
  expect(lab.ok("ioctl", { fd: slave, request: MMAP, arg: 1000 })).toBe(512);
});

test("a buffer shows the next open what the last one left in it, and mmap shows what lies behind it", async () => {
  const lab = await VdevLab.loaded("seed");
  const first = lab.open("master");
  const at = lab.map(4096, first);
  lab.ok("store", { addr: at, buf: "secret" });
  lab.ok("munmap", { addr: at, length: 4096 });
  lab.ok("close", { fd: first });
  expect(lab.load(lab.map(8192, lab.open("master")), 6)).toEqual(Buffer.from("secret"));
});

test("no SIGIO comes, whoever asks for it", async () => {
  const lab = await VdevLab.loaded("seed");
  const [master, slave] = lab.connected();
  lab.ok("rt_sigaction", { signum: "SIGIO", act: { sa_handler: "count" } });
  lab.ok("fcntl", { fd: slave, cmd: "F_SETOWN", arg: lab.pid });
  lab.ok("fcntl", { fd: slave, cmd: "F_SETFL", arg: "O_ASYNC" });
  lab.ok("write", { fd: master, buf: "quiet" });
  expect(await lab.signalCount(lab.pid, "SIGIO")).toBe(0);
});

test("the sample has no mmap, takes unknown requests for page descriptors, and says what was recorded of it", async () => {
  const lab = await VdevLab.loaded("upstream");
  expect(lab.log().slice(1).map(plain)).toEqual([
    "master has been registered!", "sock_create sk= P", "sockfd_srv = P  socket is created ", "kbind ret = 0", "master_device init OK",
    "slave has been registered!",
  ]);
  const [master, slave] = lab.connected();
  expect(lab.log().slice(7).map(plain)).toEqual([
    "slave device ioctl", "slave device ioctl create socket", "sock_create sk= P", "sockfd_cli = P  socket is created",
    "connected to : 127.0.0.1 2325", "family = 2, type = 1, protocol = 6", "aceept sockfd_cli = P", "got connected from : 127.0.0.1 N",
  ]);
  expect(lab.text(`/proc/${lab.pid}/comm`)).toBe("ksktcli\n");
  for (const fd of [master, slave]) {
    expect(lab.errno("mmap", { length: 4096, prot: "PROT_READ", flags: "MAP_SHARED", fd })).toBe("ENODEV");
    expect(lab.errno("ioctl", { fd, request: MMAP, arg: 8 })).toBe("EINVAL");
  }
  const page = lab.address();
  lab.ok("ioctl", { fd: master, request: 1, arg: page });
  lab.ok("ioctl", { fd: slave, request: 1, arg: page });
  expect(lab.log().slice(-3)).toEqual([
    expect.stringMatching(/^master: 80000000[0-9A-F]{5}067$|^master: 80000000[0-9A-F]{5}867$/), "slave device ioctl",
    expect.stringMatching(/^slave: 80000000[0-9A-F]{8}$/),
  ]);
  lab.ok("ioctl", { fd: slave, request: EXIT });
  expect(lab.log().slice(-2)).toEqual(["slave device ioctl", "slave close"]);
  // What a read was asked for does not matter.
  const [, again] = lab.connected();
  lab.ok("write", { fd: master, buf: "abcdef" });
  const into = lab.map(4096);
  expect(lab.ok("read", { fd: again, buf: into, count: 2 })).toBe(6);
  expect(lab.load(into, 6)).toEqual(Buffer.from("abcdef"));
});
