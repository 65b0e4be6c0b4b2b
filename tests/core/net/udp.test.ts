/** UDP over the loopback, and calls that move several messages. */
import { expect, test } from "vitest";
import { Sockets, textOf } from "./sockets.ts";

function udp(m: Sockets, port = 0): number {
  const sockfd = m.ok("socket", { domain: "AF_INET", type: "SOCK_DGRAM" });
  if (port > 0) m.ok("bind", { sockfd, addr: m.to(port) as never });
  return sockfd;
}

test("a datagram arrives with its sender, and a port that nobody has refuses the next call", async () => {
  const m = await Sockets.boot();
  const server = udp(m, 3000);
  const client = udp(m);
  m.ok("connect", { sockfd: client, addr: m.to(3000) });
  m.ok("write", { fd: client, buf: "hello" });
  const got = m.do("recvfrom", { sockfd: server, len: 99, flags: 0 });
  expect(textOf(got.buf)).toBe("hello");
  expect(got.src_addr).toMatchObject({ sin_family: "AF_INET", sin_addr: "127.0.0.1" });
  m.ok("close", { fd: server });
  m.ok("write", { fd: client, buf: "lost" });
  expect(m.errno("write", { fd: client, buf: "more" })).toBe("ECONNREFUSED");
  expect(m.errno("sendto", { sockfd: udp(m), buf: { zero: 65_508 }, flags: 0, dest_addr: m.to(3000) })).toBe("EMSGSIZE");
});

test("each datagram is a NET_RX softirq", async () => {
  const m = await Sockets.boot();
  const count = (): number => m.text("/proc/softirqs").split("\n").find((line) => line.includes("NET_RX:"))!.trim().split(/ +/).slice(1)
    .reduce((sum, one) => sum + Number(one), 0);
  udp(m, 3000);
  const client = udp(m);
  m.ok("connect", { sockfd: client, addr: m.to(3000) });
  const before = count();
  for (let at = 0; at < 5; at++) m.ok("write", { fd: client, buf: "hello" });
  expect(count() - before).toBe(5);
});

test("/proc/net/udp lists bound sockets; sockstat counts them", async () => {
  const m = await Sockets.boot();
  udp(m, 3000);
  expect(m.text("/proc/net/udp")).toMatch(/^ *\d+: 0100007F:0BB8 00000000:0000 07 00000000:00000000 /m);
  expect(m.text("/proc/net/sockstat")).toMatch(/^UDP: inuse 1 mem \d+$/m);
});

test("sendmmsg and recvmmsg move several messages and say how long each was", async () => {
  const m = await Sockets.boot();
  const server = udp(m, 3000);
  const client = udp(m);
  m.ok("connect", { sockfd: client, addr: m.to(3000) });
  const msgvec = ["a", "bc", "def"].map((one) => ({ msg_iov: [one] }));
  expect(m.ok("sendmmsg", { sockfd: client, msgvec, vlen: 3, flags: 0 })).toBe(3);
  const room = Array.from({ length: 4 }, () => ({ msg_iov: [{ iov_len: 16 }] }));
  const got = m.do("recvmmsg", { sockfd: server, msgvec: room, vlen: 4, flags: "MSG_WAITFORONE" });
  expect(got.ret).toBe(3);
  expect((got.msgvec as { msg_len: number }[]).map(({ msg_len }) => msg_len)).toEqual([1, 2, 3]);
  // Without MSG_WAITFORONE the call waits for all of them.
  m.ok("write", { fd: client, buf: "early" });
  const child = m.fork();
  const waiting = m.sleeps("recvmmsg", { sockfd: server, msgvec: room.slice(0, 2), vlen: 2, flags: 0 });
  m.ok("write", { fd: client, buf: "late" }, child);
  expect(m.after(waiting)).toMatchObject({ ret: 2 });
  expect((m.after(waiting).msgvec as { msg_len: number }[]).map(({ msg_len }) => msg_len)).toEqual([5, 4]);
});

test("a receive with a timeout ends with EAGAIN when nothing comes", async () => {
  const m = await Sockets.boot();
  const server = udp(m, 3000);
  const optval = { tv_sec: 0, tv_usec: 50_000 };
  m.ok("setsockopt", { sockfd: server, level: "SOL_SOCKET", optname: "SO_RCVTIMEO", optval });
  const waiting = m.sleeps("recvfrom", { sockfd: server, len: 1, flags: 0 });
  m.advance(40);
  expect(m.after(waiting).state).toBe("sleeping");
  m.advance(20);
  expect(m.after(waiting)).toMatchObject({ ret: -1, errno: "EAGAIN" });
});
