/** kecho over HTTP: an echo server in the kernel, its parameters, its workers' limit, and dropping what it leaves in TIME_WAIT. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, type Process, type Session } from "./client.ts";
import { startServer, type Server } from "./server.ts";

const PORT = 12345;

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.end());

const address = (port = PORT) => ({ sin_family: "AF_INET", sin_port: port, sin_addr: "127.0.0.1" });

async function connected(process: Process, port = PORT): Promise<number> {
  const fd = await process.must("socket", { domain: "AF_INET", type: "SOCK_STREAM", protocol: 0 });
  expect(await process.call("connect", { sockfd: fd, addr: address(port) })).toMatchObject({ ret: 0 });
  return fd;
}

/** Sends and takes as much back. */
async function echo(process: Process, fd: number, message: string): Promise<string> {
  await process.must("sendto", { sockfd: fd, buf: message, flags: 0 });
  let got = "";
  while (got.length < message.length) {
    const { ret, buf } = await process.call("recvfrom", { sockfd: fd, len: message.length - got.length, flags: 0 });
    expect(ret).toBeGreaterThan(0);
    got += Buffer.from(buf!.base64, "base64").toString("latin1");
  }
  return got;
}

const command = (session: Session, argv: string[]): Promise<{ exit: number; stdout: string; stderr: string }> => session.json("POST", "/commands", { json: { argv } });

/** Ports on which somebody listens. */
async function listeners(session: Session): Promise<number[]> {
  const { stdout } = await command(session, ["cat", "/proc/net/tcp"]);
  return [...stdout.matchAll(/^ *\d+: [0-9A-F]{8}:([0-9A-F]{4}) \S+ 0A /gm)].map(([, port]) => Number.parseInt(port, 16));
}

const parameter = async (session: Session, name: string): Promise<string> =>
  (await session.cat(`/sys/module/kecho/parameters/${name}`)).toString();

test("insmod, hello, and what the log says of it", async () => {
  const session = await newSession(server.url);
  await session.insmod("kecho");
  expect(await session.dmesg()).toEqual(expect.arrayContaining(
    ["socket create ok....", "setsockopt ok....", "socket bind ok....", "socket listen ok...."].map((line) => `kecho: ${line}`)));
  expect([await parameter(session, "port"), await parameter(session, "backlog"), await parameter(session, "bench")]).toEqual(["12345\n", "128\n", "N\n"]);
  const process = await session.process({ comm: "nc" });
  const fd = await connected(process);
  expect(await echo(process, fd, "hello")).toBe("hello");
  expect((await session.dmesg()).slice(-5)).toEqual([
    "kecho: start get response", "kecho: get request = hello", "kecho: start send request.", "kecho: send request = hello", "kecho: start get response",
  ]);
  await process.must("close", { fd });
  expect((await session.dmesg()).at(-1)).toBe("kecho: get request = ");
  await session.rmmod("kecho");
  expect((await session.dmesg()).slice(-2)).toEqual(["kecho: daemon shutdown in progress...", "kecho: module successfully removed "]);
});

test("parameters, those that fit and those that do not", async () => {
  const session = await newSession(server.url);
  const wrong: [params: string, errno: string, line: string][] = [
    ["port=70000", "ERANGE", "kecho: `70000' invalid for parameter `port'"],
    ["port=abc", "EINVAL", "kecho: `abc' invalid for parameter `port'"],
    ["bench=2", "EINVAL", "kecho: `2' invalid for parameter `bench'"],
  ];
  for (const [params, errno, line] of wrong) {
    await expect(session.insmod("kecho", undefined, params)).rejects.toMatchObject({ problem: { errno } });
    expect((await session.dmesg()).at(-1)).toBe(line);
    expect(await listeners(session)).toEqual([]);
  }
  const { stderr, exit } = await command(session, ["insmod", "kecho.ko", "port=70000"]);
  expect([exit, stderr]).toEqual([1, "insmod: ERROR: could not insert module kecho.ko: Numerical result out of range\n"]);
  await session.insmod("kecho", undefined, { port: 8080, backlog: 256, bench: true });
  expect([await parameter(session, "port"), await parameter(session, "backlog"), await parameter(session, "bench")]).toEqual(["8080\n", "256\n", "Y\n"]);
  expect(await listeners(session)).toEqual([8080]);
  expect(await command(session, ["insmod", "kecho.ko"])).toMatchObject({ exit: 1, stderr: "insmod: ERROR: could not insert module kecho.ko: File exists\n" });
  await expect(session.insmod("kecho")).rejects.toMatchObject({ problem: { errno: "EEXIST" } });
  await expect(session.put("/sys/module/kecho/parameters/port", Buffer.from("1"))).rejects.toMatchObject({ problem: { errno: "EACCES" } });
  expect((await command(session, ["sh", "-c", "echo 1 > /sys/module/kecho/parameters/port"])).stderr).toMatch(/Permission denied$/m);
  const process = await session.process();
  expect(await echo(process, await connected(process, 8080), "x")).toBe("x");
});

test("a parameter that it does not have is told of and ignored", async () => {
  const session = await newSession(server.url);
  expect(await command(session, ["insmod", "kecho.ko", "foo=1"])).toMatchObject({ exit: 0, stderr: "" });
  const log = await session.dmesg();
  expect(log.indexOf("kecho: unknown parameter 'foo' ignored")).toBeGreaterThan(-1);
  expect(log.at(-1)).toBe("kecho: socket listen ok....");
});

test("with bench its work items stay on the CPU of the connection; without, any worker takes them", async () => {
  for (const [bench, pool] of [[true, /^kworker\/\d+:\d+/], [false, /^kworker\/u\d+:\d+/]] as const) {
    const session = await newSession(server.url);
    await session.insmod("kecho", undefined, { bench });
    const process = await session.process();
    await echo(process, await connected(process), "x");
    // The worker of the connection waits in its receive.
    const serving: string[] = [];
    for (const pid of (await session.json<{ items: { pid: number; comm: string }[] }>("GET", "/processes?limit=200")).items) {
      if (pid.comm.startsWith("kworker") && (await session.cat(`/proc/${pid.pid}/wchan`).catch(() => Buffer.alloc(0))).toString() === "sk_wait_data") serving.push(pid.comm);
    }
    expect(serving).toEqual([expect.stringMatching(pool)]);
  }
});

test("a port that is taken", async () => {
  const session = await newSession(server.url);
  const process = await session.process();
  const fd = await process.must("socket", { domain: "AF_INET", type: "SOCK_STREAM", protocol: 0 });
  await process.must("bind", { sockfd: fd, addr: address() });
  await process.must("listen", { sockfd: fd, backlog: 5 });
  await expect(session.insmod("kecho")).rejects.toMatchObject({ problem: { errno: "EADDRINUSE" } });
  expect((await session.dmesg()).slice(-2)).toEqual(["kecho: socket bind error = -98", "kecho: listen socket open error"]);
});

test("ten thousand bytes come back, NULs and all; upstream's answer ends at the first", async () => {
  const message = Array.from({ length: 10_000 }, (_one, at) => String.fromCharCode(1 + (at % 126))).join("");
  const session = await newSession(server.url);
  await session.insmod("kecho");
  const process = await session.process();
  const fd = await connected(process);
  expect(await echo(process, fd, message)).toBe(message);
  expect(await echo(process, fd, "a\0b")).toBe("a\0b");
  await session.rmmod("kecho");
  await session.insmod("kecho", "upstream");
  const other = await connected(process);
  await process.must("sendto", { sockfd: other, buf: "ab\0cd", flags: 0 });
  expect((await process.call("recvfrom", { sockfd: other, len: 10, flags: 0 })).buf).toMatchObject({ text: "ab" });
});

test("rmmod with a client that is there: it sees the end", async () => {
  const session = await newSession(server.url);
  await session.insmod("kecho");
  const process = await session.process();
  const fd = await connected(process);
  await echo(process, fd, "hi");
  expect(await session.lsmod()).toMatch(/^kecho +16384 +0/m);
  await session.rmmod("kecho");
  expect((await process.call("recvfrom", { sockfd: fd, len: 10, flags: 0 })).ret).toBe(0);
  expect(await process.call("connect", { sockfd: await process.must("socket", { domain: "AF_INET", type: "SOCK_STREAM", protocol: 0 }), addr: address() }))
    .toMatchObject({ errno: "ECONNREFUSED" });
});

test("a daemon that is killed serves nobody, and rmmod still ends", async () => {
  for (const [variant, errno] of [["corrected", "ECONNREFUSED"], ["upstream", null]] as const) {
    const session = await newSession(server.url);
    await session.insmod("kecho", variant);
    const process = await session.process();
    const pid = Number(/^ *(\d+) .*\bkecho\b/m.exec((await session.json<{ stdout: string }>("POST", "/commands", { json: { argv: ["ps"] } })).stdout)![1]);
    await process.must("kill", { pid, sig: "SIGTERM" });
    expect((await session.dmesg()).at(-1)).toBe("kecho: daemon shutdown in progress...");
    const fd = await process.must("socket", { domain: "AF_INET", type: "SOCK_STREAM", protocol: 0 });
    expect(await process.call("connect", { sockfd: fd, addr: address() })).toMatchObject({ errno });
    await session.rmmod("kecho");
  }
});

test("of 300 connections 256 are served, the others as those leave", async () => {
  const session = await newSession(server.url, { clock: "virtual", ramMiB: 128, swapMiB: 0 });
  await session.insmod("kecho", undefined, { backlog: 512 });
  const process = await session.process();
  await process.batch(Array.from({ length: 300 }, () => [
    { call: "socket", args: { domain: "AF_INET", type: "SOCK_STREAM", protocol: 0 } },
  ]).flat());
  const fds = Array.from({ length: 300 }, (_one, at) => at + 3);
  const sent = await process.batch(fds.flatMap((fd) => [
    { call: "connect", args: { sockfd: fd, addr: address() } }, { call: "sendto", args: { sockfd: fd, buf: "x", flags: 0 } },
  ]));
  expect(sent.every(({ ret }) => ret >= 0)).toBe(true);
  const answered = async (): Promise<boolean[]> => {
    // Workers need their time, and in a virtual machine nobody else gives it.
    await session.ask("POST", "/clock/advance", { json: { ms: 1000 } });
    return (await process.batch(fds.map((fd) => ({ call: "recvfrom", args: { sockfd: fd, len: 1, flags: "MSG_DONTWAIT|MSG_PEEK" } })), { onError: "continue" })).map(({ ret }) => ret === 1);
  };
  const first = await answered();
  expect(first.filter(Boolean)).toHaveLength(256);
  expect(first.slice(0, 256).every(Boolean)).toBe(true);
  await process.batch(fds.slice(0, 44).map((fd) => ({ call: "shutdown", args: { sockfd: fd, how: "SHUT_RDWR" } })));
  expect((await answered()).slice(44).every(Boolean)).toBe(true);
});

test("connections in TIME_WAIT are dropped by writing their addresses, with a newline behind them", async () => {
  const session = await newSession(server.url);
  await session.insmod("kecho");
  await session.insmod("drop_tcp_socket");
  const process = await session.process();
  const fd = await connected(process);
  const { addr } = await process.call("getsockname", { sockfd: fd });
  const own = `127.0.0.1:${(addr as { sin_port: number }).sin_port}`;
  await echo(process, fd, "x");
  await process.must("shutdown", { sockfd: fd, how: "SHUT_WR" });
  await process.must("close", { fd });
  const waits = async (): Promise<number> => (await session.cat("/proc/net/tcp")).toString().split("\n").filter((line) => / 06 /.test(line)).length;
  expect(await waits()).toBe(1);
  await session.put("/proc/net/drop_tcp_sock", Buffer.from(`${own} 127.0.0.1:${PORT}`));
  expect(await waits()).toBe(1);
  await session.put("/proc/net/drop_tcp_sock", Buffer.from(`${own} 127.0.0.1:${PORT}\n`));
  expect(await waits()).toBe(0);
  expect((await session.dmesg()).at(-1)).toMatch(new RegExp(`^Drop socket:[0-9a-f]{16} \\(${own} -> 127.0.0.1:${PORT}\\) state 6$`));
});

test("user-echo-server answers what came, in however many pieces; the report's stalls behind 512 bytes", async () => {
  const message = "0123456789".repeat(300);
  for (const program of ["user-echo-server", "user-echo-server.seed"]) {
    const session = await newSession(server.url);
    const { callId } = JSON.parse((await session.ask("POST", "/commands", { json: { argv: [program] }, wait: 0 })).text) as { callId: string };
    const process = await session.process();
    const [first, second] = [await connected(process), await connected(process)];
    await process.must("sendto", { sockfd: first, buf: message, flags: 0 });
    await session.ask("POST", "/clock/advance", { json: { ms: 100 } });
    const { ret, buf } = await process.call("recvfrom", { sockfd: first, len: 5000, flags: "MSG_DONTWAIT" });
    expect(ret).toBe(program === "user-echo-server" ? message.length : 512);
    expect(buf!.text).toBe(message.slice(0, ret));
    await process.must("sendto", { sockfd: second, buf: "hi", flags: 0 });
    await session.ask("POST", "/clock/advance", { json: { ms: 100 } });
    expect((await process.call("recvfrom", { sockfd: second, len: 5000, flags: "MSG_DONTWAIT" })).ret).toBe(program === "user-echo-server" ? 2 : 512);
    await process.must("close", { fd: second });
    // What the program prints leaves in pieces of 4,096 bytes, for its output is no terminal.
    for (let round = 0; round < 60; round++) {
      await process.must("sendto", { sockfd: first, buf: "hi", flags: 0 });
      await session.ask("POST", "/clock/advance", { json: { ms: 10 } });
    }
    await session.ask("DELETE", `/calls/${callId}`);
    const { stdout } = await session.callState(callId, 5) as unknown as { stdout: string };
    expect(stdout.split("\n").slice(0, 4)).toEqual([
      "Main listener (fd=3) was created.", "Listener was binded to 0.0.0.0", "Listener (fd=4) was added to epoll.", "epoll event count: 1",
    ]);
    expect(stdout).toMatch(/^Connection from 127\.0\.0\.1:\d+, socket assigned: 5\nAdd new client \(fd=5\) and size of client_list is 1$/m);
    expect(stdout).toMatch(/^After fd=6 is closed, current numbers clients = 1\nStatistics: 1 event\(s\) handled at: 0\.\d{6} second\(s\)$/m);
  }
});

test("the port of a kernel's server is taken for the user's", async () => {
  const session = await newSession(server.url);
  await session.insmod("kecho");
  const { exit, stderr } = await session.json<{ exit: number; stderr: string }>("POST", "/commands", { json: { argv: ["user-echo-server"] } });
  expect([exit, stderr]).toEqual([255, "Fail to bind: Address already in use\n"]);
});
