/** How much a connection holds, and who is woken when that changes: SO_SNDBUF, SO_RCVLOWAT, MSG_WAITALL, TCP_INFO. */
import { expect, test } from "vitest";
import { Sockets } from "./sockets.ts";

const option = (m: Sockets, sockfd: number, optname: string): unknown => m.do("getsockopt", { sockfd, level: "SOL_SOCKET", optname }).optval;
const set = (m: Sockets, sockfd: number, optname: string, optval: number): number => m.ok("setsockopt", { sockfd, level: "SOL_SOCKET", optname, optval });

test("a larger SO_SNDBUF wakes a writer that waits for room", async () => {
  const m = await Sockets.boot();
  const [client, server] = m.connection();
  set(m, client, "SO_SNDBUF", 4000);
  set(m, server, "SO_RCVBUF", 1000);
  m.ok("sendto", { sockfd: client, buf: { zero: 300_000 }, flags: "MSG_DONTWAIT" });
  const other = m.fork();
  const write = m.sleeps("write", { fd: client, buf: { zero: 10 } }, other);
  set(m, client, "SO_SNDBUF", 200_000);
  expect(m.after(write).ret).toBe(10);
});

test("SO_RCVLOWAT grows the buffer that must hold so much, and stays below one that was set", async () => {
  const m = await Sockets.boot();
  const [client, server] = m.connection();
  set(m, server, "SO_RCVLOWAT", 1_000_000);
  expect([option(m, server, "SO_RCVBUF"), option(m, server, "SO_RCVLOWAT")]).toEqual([2_000_000, 1_000_000]);
  set(m, client, "SO_RCVBUF", 4000);
  set(m, client, "SO_RCVLOWAT", 1_000_000);
  expect([option(m, client, "SO_RCVBUF"), option(m, client, "SO_RCVLOWAT")]).toEqual([8000, 4000]);
});

test("a reader sleeps until SO_RCVLOWAT bytes are there, and a smaller one wakes it", async () => {
  const m = await Sockets.boot();
  const [client, server] = m.connection();
  set(m, server, "SO_RCVLOWAT", 100);
  const read = m.sleeps("read", { fd: server, count: 200 }, m.fork());
  m.ok("write", { fd: client, buf: { zero: 60 } });
  expect(m.stand(read).state).toBe("sleeping");
  set(m, server, "SO_RCVLOWAT", 50);
  expect(m.after(read).ret).toBe(60);
});

test("MSG_WAITALL goes on with what comes into the room that it makes", async () => {
  const m = await Sockets.boot();
  const [client, server] = m.connection();
  set(m, server, "SO_RCVBUF", 1000);
  // All of it waits to be sent: nobody sends anything more that would wake a reader.
  m.ok("write", { fd: client, buf: { zero: 1_000_000 } });
  expect(m.do("recvfrom", { sockfd: server, len: 1_000_000, flags: "MSG_WAITALL" }).ret).toBe(1_000_000);
});

test("TCP_INFO tells state, queue and bytes", async () => {
  const m = await Sockets.boot();
  const [client, server, listener] = m.connection();
  m.ok("write", { fd: client, buf: { zero: 1000 } });
  const info = (sockfd: number): Buffer => Buffer.from((m.do("getsockopt", { sockfd, level: "SOL_TCP", optname: "TCP_INFO" }).optval as { base64: string }).base64, "base64");
  const [ours, theirs, queue] = [client, server, listener].map(info);
  expect(ours.length).toBe(232);
  expect([ours[0], ours[5], ours[6], ours.readBigUInt64LE(120), ours.readBigUInt64LE(200), ours.readUInt32LE(80)]).toEqual([1, 7, 0x77, 1001n, 1000n, 10]);
  expect(theirs.readBigUInt64LE(128)).toBe(1000n);
  m.ok("connect", { sockfd: m.client(), addr: m.to(2000) });
  expect([queue[0], info(listener).readUInt32LE(24), queue.readUInt32LE(28)]).toEqual([10, 1, 5]);
  expect(m.do("getsockopt", { sockfd: client, level: "SOL_TCP", optname: "TCP_INFO", optlen: 20 }).optlen).toBe(20);
});

test("TCP_SYNCNT says how often a connection attempt is repeated: after 1, 2, 4 … seconds", async () => {
  const m = await Sockets.boot();
  m.listener(2000, 0);
  m.ok("connect", { sockfd: m.client(), addr: m.to(2000) });
  const late = m.client();
  m.ok("setsockopt", { sockfd: late, level: "SOL_TCP", optname: "TCP_SYNCNT", optval: 1 });
  const connect = m.sleeps("connect", { sockfd: late, addr: m.to(2000) });
  m.advance(2_990);
  expect(m.stand(connect).state).toBe("sleeping");
  m.advance(20);
  expect(m.after(connect).errno).toBe("ETIMEDOUT");
});
