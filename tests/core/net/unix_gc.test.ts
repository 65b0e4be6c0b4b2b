/** Descriptors of unix sockets that only messages hold are collected (unix(7), net/unix/garbage.c). */
import { expect, test } from "vitest";
import { Sockets } from "./sockets.ts";

function pass(m: Sockets, over: number, fds: number[]): void {
  m.ok("sendmsg", { sockfd: over, msg: { msg_iov: [{ base64: "eA==" }], msg_control: [{ level: "SOL_SOCKET", type: "SCM_RIGHTS", fds }] } });
}

const sockets = (m: Sockets): number => m.kernel.state.net.sockets.size;

test("two sockets that carry each other are gone once nobody can receive them", async () => {
  const m = await Sockets.boot();
  const [left, right] = m.pair();
  pass(m, left, [left]);
  pass(m, right, [right]);
  m.ok("close", { fd: left });
  m.ok("close", { fd: right });
  expect(sockets(m)).toBe(2);
  // As Linux: the close of another unix socket looks for them.
  m.ok("close", { fd: m.ok("socket", { domain: "AF_UNIX", type: "SOCK_DGRAM" }) });
  expect(sockets(m)).toBe(0);
  expect(m.kernel.state.net.memory).toBe(0);
  expect(m.broken()).toEqual([]);
});

test("a socket in a message that somebody may still receive stays, and what its queue holds", async () => {
  const m = await Sockets.boot();
  const [left, right] = m.pair();
  const [inner, far] = m.pair();
  pass(m, inner, [far]);
  pass(m, left, [far]);
  m.ok("close", { fd: inner });
  m.ok("close", { fd: far });
  m.ok("close", { fd: m.ok("socket", { domain: "AF_UNIX", type: "SOCK_DGRAM" }) });
  const got = m.do("recvmsg", { sockfd: right, msg: { msg_iov: [{ iov_len: 4 }], msg_controllen: 64 } }).msg as { msg_control: { fds: number[] }[] };
  const [again] = got.msg_control[0].fds;
  expect(m.do("recvmsg", { sockfd: again, msg: { msg_iov: [{ iov_len: 4 }], msg_controllen: 64 } }).errno).toBeNull();
  for (const fd of [left, right, again]) m.ok("close", { fd });
  expect(m.broken()).toEqual([]);
});

test("a connection that nobody accepted keeps no circle alive", async () => {
  const m = await Sockets.boot();
  const addr = { sun_family: "AF_UNIX", sun_path: "@gc" };
  const listener = m.ok("socket", { domain: "AF_UNIX", type: "SOCK_STREAM" });
  m.ok("bind", { sockfd: listener, addr });
  m.ok("listen", { sockfd: listener, backlog: 4 });
  const client = m.ok("socket", { domain: "AF_UNIX", type: "SOCK_STREAM" });
  m.ok("connect", { sockfd: client, addr });
  pass(m, client, [listener, client]);
  m.ok("close", { fd: listener });
  m.ok("close", { fd: client });
  m.ok("close", { fd: m.ok("socket", { domain: "AF_UNIX", type: "SOCK_DGRAM" }) });
  expect(sockets(m)).toBe(0);
  expect(m.broken()).toEqual([]);
});

test("descriptors that come to a read are closed, one that slept too", async () => {
  const m = await Sockets.boot();
  const [left, right] = m.pair("SOCK_SEQPACKET");
  const reader = m.fork();
  const files = m.kernel.state.fs.files.size;
  const read = m.sleeps("read", { fd: right, count: 10 }, reader);
  const [readEnd, writeEnd] = m.do("pipe2", { flags: "0" }).pipefd as number[];
  pass(m, left, [readEnd]);
  expect(m.after(read).ret).toBe(1);
  m.ok("close", { fd: readEnd });
  m.ok("close", { fd: writeEnd });
  expect(m.kernel.state.fs.files.size).toBe(files);
  expect(m.broken()).toEqual([]);
});
