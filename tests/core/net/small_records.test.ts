/** Connections whose socket is gone, in /proc/net/tcp and /proc/net/sockstat. */
import { expect, test } from "vitest";
import { Sockets } from "./sockets.ts";

test("a closed end waits for the other's FIN as a small record, not as a socket", async () => {
  const m = await Sockets.boot();
  const [client, server, listener] = m.connection();
  m.ok("close", { fd: client });
  const row = m.tcp().find((line) => line.split(/\s+/)[3] === "05");
  expect(row).toMatch(/ 05 00000000:00000000 03:[0-9A-F]{8} 00000000 +0 +0 0 3 0000000000000000$/);
  expect(m.text("/proc/net/sockstat")).toContain("TCP: inuse 2 orphan 0 tw 1 alloc 2 ");
  // The FIN counts as a byte until it is read.
  const queues = (): string | undefined => m.tcp().find((line) => line.split(/\s+/)[3] === "08")?.split(/\s+/)[4];
  expect(queues()).toBe("00000000:00000001");
  expect(m.ok("read", { fd: server, count: 1 })).toBe(0);
  expect(queues()).toBe("00000000:00000000");
  m.ok("close", { fd: server });
  expect(m.text("/proc/net/sockstat")).toContain("TCP: inuse 1 orphan 0 tw 1 alloc 1 ");
  m.ok("close", { fd: listener });
  m.advance(61_000);
  expect(m.text("/proc/net/sockstat")).toContain("TCP: inuse 0 orphan 0 tw 0 alloc 0 ");
});

test("close waits as SO_LINGER says, the end of a process does not", async () => {
  const m = await Sockets.boot();
  const listener = m.listener(2000);
  m.ok("setsockopt", { sockfd: listener, level: "SOL_SOCKET", optname: "SO_RCVBUF", optval: 1000 });
  const leave = async (call: string): Promise<string> => {
    const pid = await m.createProcess();
    const client = m.ok("socket", { domain: "AF_INET", type: "SOCK_STREAM" }, pid);
    m.ok("setsockopt", { sockfd: client, level: "SOL_SOCKET", optname: "SO_LINGER", optval: { l_onoff: 1, l_linger: 5 } }, pid);
    m.ok("connect", { sockfd: client, addr: m.to(2000) }, pid);
    m.ok("write", { fd: client, buf: { zero: 10_000 } }, pid);
    return m.callNow(pid, call, { [call === "close" ? "fd" : "status"]: client }).state;
  };
  expect([await leave("close"), await leave("exit_group")]).toEqual(["sleeping", "ended"]);
});

test("a socket that is only bound is allocated and not in use", async () => {
  const m = await Sockets.boot();
  m.ok("bind", { sockfd: m.client(), addr: m.to(2000) });
  expect(m.text("/proc/net/sockstat")).toContain("TCP: inuse 0 orphan 0 tw 0 alloc 1 ");
});

test("a connection from a bound port takes the place of its like in TIME_WAIT, on either side", async () => {
  const m = await Sockets.boot();
  const listener = m.listener(2000);
  const waiting = (): number => m.tcp().filter((line) => line.split(/\s+/)[3] === "06").length;
  for (const first of ["client", "server", "client"]) {
    const client = m.client();
    m.ok("setsockopt", { sockfd: client, level: "SOL_SOCKET", optname: "SO_REUSEADDR", optval: 1 });
    m.ok("bind", { sockfd: client, addr: m.to(4000) });
    m.ok("connect", { sockfd: client, addr: m.to(2000) });
    expect(waiting()).toBe(0);
    const server = m.ok("accept", { sockfd: listener });
    m.ok("close", { fd: first === "client" ? client : server });
    m.ok("close", { fd: first === "client" ? server : client });
    expect(waiting()).toBe(1);
  }
  expect(m.broken()).toEqual([]);
});

test("SO_KEEPALIVE is a timer of two hours in /proc/net/tcp, or of what TCP_KEEPIDLE says", async () => {
  const m = await Sockets.boot();
  const [client] = m.connection();
  const timers = (): string[] => m.tcp().map((line) => line.split(/\s+/)[5]).sort();
  expect(timers()).toEqual(["00:00000000", "00:00000000", "00:00000000"]);
  m.ok("setsockopt", { sockfd: client, level: "SOL_SOCKET", optname: "SO_KEEPALIVE", optval: 1 });
  m.advance(10);
  expect(timers()).toEqual(["00:00000000", "00:00000000", "02:000AFC7F"]);
  m.ok("setsockopt", { sockfd: client, level: "SOL_TCP", optname: "TCP_KEEPIDLE", optval: 10 });
  expect(timers()[2]).toBe("02:000003E7");
});
