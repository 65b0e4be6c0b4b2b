/** Unix sockets: names, queues, credentials and descriptors that travel. */
import { expect, test } from "vitest";
import { restore, snapshot } from "../../../core/index.ts";
import { Sockets, textOf } from "./sockets.ts";

const STREAM = "SOCK_STREAM";
const DGRAM = "SOCK_DGRAM";

function unix(m: Sockets, type = STREAM): number {
  return m.ok("socket", { domain: "AF_UNIX", type });
}

function at(path: string) {
  return { sun_family: "AF_UNIX", sun_path: path };
}

/** Sends bytes with descriptors beside them. */
function pass(m: Sockets, sockfd: number, bytes: string, ...fds: number[]) {
  const msg_control = [{ level: "SOL_SOCKET", type: "SCM_RIGHTS", fds }];
  return m.do("sendmsg", { sockfd, msg: { msg_iov: [bytes], msg_control }, flags: 0 });
}

interface Got {
  msg_iov: unknown[];
  msg_control: { type: string; fds?: number[]; cred?: { pid: number; uid: number; gid: number } }[];
  msg_flags: unknown;
  msg_name: unknown;
}

function take(m: Sockets, sockfd: number, header: { [field: string]: number } = {}, pid = m.pid): { ret: number; msg: Got } {
  const got = m.do("recvmsg", { sockfd, msg: { msg_iov: [{ iov_len: 64 }], ...header }, flags: 0 }, pid);
  return { ret: got.ret, msg: got.msg as Got };
}

test("a path name is a file: bind makes it, connect needs the right to write, unlink takes it away", async () => {
  const m = await Sockets.boot();
  const listener = unix(m);
  m.ok("bind", { sockfd: listener, addr: at("/tmp/door") });
  expect(m.text("/proc/net/unix")).toMatch(/ 00000002 00000000 00000000 0001 01 +\d+ \/tmp\/door\n/);
  expect(m.errno("bind", { sockfd: unix(m), addr: at("/tmp/door") })).toBe("EADDRINUSE");
  expect(m.errno("connect", { sockfd: unix(m), addr: at("/tmp/door") })).toBe("ECONNREFUSED");
  m.ok("listen", { sockfd: listener, backlog: 1 });
  expect(m.text("/proc/net/unix")).toMatch(/ 00010000 0001 01 +\d+ \/tmp\/door\n/);
  expect(m.errno("openat", { dirfd: "AT_FDCWD", pathname: "/tmp/door", flags: "O_RDWR" })).toBe("ENXIO");
  const stranger = await m.createProcess(1000);
  const theirs = m.ok("socket", { domain: "AF_UNIX", type: STREAM }, stranger);
  expect(m.errno("connect", { sockfd: theirs, addr: at("/tmp/door") }, stranger)).toBe("EACCES");
  m.ok("chmod", { pathname: "/tmp/door", mode: "0666" });
  m.ok("connect", { sockfd: theirs, addr: at("/tmp/door") }, stranger);
  m.ok("unlink", { pathname: "/tmp/door" });
  expect(m.errno("connect", { sockfd: unix(m), addr: at("/tmp/door") })).toBe("ENOENT");
  // Who has connected stays.
  const server = m.ok("accept", { sockfd: listener });
  m.ok("write", { fd: theirs, buf: "still" }, stranger);
  expect(textOf(m.do("read", { fd: server, count: 9 }).buf)).toBe("still");
  const { optval } = m.do("getsockopt", { sockfd: server, level: "SOL_SOCKET", optname: "SO_PEERCRED", optlen: 12 });
  expect(optval).toEqual({ pid: stranger, uid: 1000, gid: 1000 });
  expect(m.broken()).toEqual([]);
});

test("abstract names live as long as their socket; an empty name makes the kernel choose", async () => {
  const m = await Sockets.boot();
  const first = unix(m);
  m.ok("bind", { sockfd: first, addr: at("\0hidden") });
  expect(m.text("/proc/net/unix")).toContain(" @hidden\n");
  const second = unix(m);
  expect(m.errno("bind", { sockfd: second, addr: at("\0hidden") })).toBe("EADDRINUSE");
  m.ok("close", { fd: first });
  m.ok("bind", { sockfd: second, addr: at("\0hidden") });
  const [third, fourth] = [unix(m), unix(m)];
  for (const sockfd of [third, fourth]) m.ok("bind", { sockfd, addr: { sun_family: "AF_UNIX" } });
  const names = [third, fourth].map((sockfd) => JSON.stringify(m.do("getsockname", { sockfd }).addr));
  for (const name of names) expect(name).toMatch(/[0-9a-f]{5}/);
  expect(names[0]).not.toBe(names[1]);
});

test("a full backlog lets a connect wait, or refuses one that may not", async () => {
  const m = await Sockets.boot();
  const listener = unix(m);
  m.ok("bind", { sockfd: listener, addr: at("\0busy") });
  m.ok("listen", { sockfd: listener, backlog: 0 });
  m.ok("connect", { sockfd: unix(m), addr: at("\0busy") });
  const hasty = m.ok("socket", { domain: "AF_UNIX", type: "SOCK_STREAM|SOCK_NONBLOCK" });
  expect(m.errno("connect", { sockfd: hasty, addr: at("\0busy") })).toBe("EAGAIN");
  const child = m.fork();
  const waiting = m.sleeps("connect", { sockfd: unix(m), addr: at("\0busy") });
  m.ok("accept", { sockfd: listener }, child);
  expect(m.after(waiting)).toMatchObject({ ret: 0, errno: null });
  const late = m.sleeps("connect", { sockfd: unix(m), addr: at("\0busy") });
  // The parent holds the listener too: only when both have closed it does the wait end.
  m.feed({ type: "signal", pid: m.pid, signal: 9, uid: 0 });
  expect(m.after(late).state).not.toBe("sleeping");
  m.ok("close", { fd: listener }, child);
  expect(m.broken()).toEqual([]);
});

test("a descriptor arrives as the same open file under another number", async () => {
  const m = await Sockets.boot();
  const [left, right] = m.pair();
  const child = m.fork();
  const file = m.ok("openat", { dirfd: "AT_FDCWD", pathname: "/tmp/shared", flags: "O_RDWR|O_CREAT", mode: "0600" });
  m.ok("write", { fd: file, buf: "abcdef" });
  m.ok("lseek", { fd: file, offset: 2, whence: "SEEK_SET" });
  expect(pass(m, left, "x", file, file).ret).toBe(1);
  m.ok("close", { fd: file });
  m.kernel = restore(snapshot(m.kernel));
  const got = take(m, right, {}, child);
  expect(got.ret).toBe(1);
  const [one, two] = got.msg.msg_control[0]?.fds ?? [];
  expect([one, two]).toEqual([right + 1, right + 2]);
  expect(textOf(m.do("read", { fd: one ?? -1, count: 2 }, child).buf)).toBe("cd");
  // One offset: both are the file that was sent.
  expect(textOf(m.do("read", { fd: two ?? -1, count: 2 }, child).buf)).toBe("ef");
  expect(m.broken()).toEqual([]);
});

test("files that find no room are closed, and the message says so", async () => {
  const m = await Sockets.boot();
  const [left, right] = m.pair();
  const { pipefd } = m.do("pipe2", { flags: 0 }) as unknown as { pipefd: [number, number] };
  pass(m, left, "x", pipefd[1], pipefd[1]);
  m.ok("close", { fd: pipefd[1] });
  // CMSG_LEN(4): room for one of the two.
  const got = take(m, right, { msg_controllen: 20 });
  expect(got.msg.msg_flags).toContain("MSG_CTRUNC");
  expect(got.msg.msg_control[0]?.fds).toHaveLength(1);
  const kept = got.msg.msg_control[0]?.fds?.[0] ?? -1;
  m.ok("close", { fd: kept });
  // The last writer is gone: end of file instead of a wait.
  expect(m.ok("read", { fd: pipefd[0], count: 1 })).toBe(0);
  expect(m.broken()).toEqual([]);
});

test("files in a queue that nobody reads are closed with the socket", async () => {
  const m = await Sockets.boot();
  const [left, right] = m.pair();
  const { pipefd } = m.do("pipe2", { flags: 0 }) as unknown as { pipefd: [number, number] };
  pass(m, left, "x", pipefd[1]);
  m.ok("close", { fd: pipefd[1] });
  m.ok("close", { fd: left });
  m.ok("close", { fd: right });
  expect(m.ok("read", { fd: pipefd[0], count: 1 })).toBe(0);
  expect(pass(m, m.pair()[0], "x", 99)).toMatchObject({ ret: -1, errno: "EBADF" });
});

test("SO_PASSCRED tells who wrote, and only root may say it was another", async () => {
  const m = await Sockets.boot();
  const user = await m.createProcess(1000);
  const [left, right] = m.do("socketpair", { domain: "AF_UNIX", type: DGRAM }, user).sv as [number, number];
  m.ok("setsockopt", { sockfd: right, level: "SOL_SOCKET", optname: "SO_PASSCRED", optval: 1 }, user);
  m.ok("write", { fd: left, buf: "me" }, user);
  expect(take(m, right, {}, user).msg.msg_control).toEqual([
    { level: "SOL_SOCKET", type: "SCM_CREDENTIALS", cred: { pid: user, uid: 1000, gid: 1000 } },
  ]);
  const lie = [{ level: "SOL_SOCKET", type: "SCM_CREDENTIALS", cred: { pid: 1, uid: 0, gid: 0 } }];
  expect(m.errno("sendmsg", { sockfd: left, msg: { msg_iov: ["x"], msg_control: lie }, flags: 0 }, user)).toBe("EPERM");
});

test("datagrams keep their borders, tell their sender, and are cut to the buffer", async () => {
  const m = await Sockets.boot();
  const server = unix(m, DGRAM);
  m.ok("bind", { sockfd: server, addr: at("\0server") });
  const client = unix(m, DGRAM);
  m.ok("bind", { sockfd: client, addr: at("\0client") });
  for (const buf of ["first", "second"]) m.ok("sendto", { sockfd: client, buf, flags: 0, dest_addr: at("\0server") });
  const cut = m.do("recvfrom", { sockfd: server, len: 3, flags: "MSG_TRUNC" });
  expect(cut.ret).toBe(5);
  expect(textOf(cut.buf)).toBe("fir");
  expect(cut.src_addr).toMatchObject({ sun_path: "@client" });
  expect(textOf(m.do("recvfrom", { sockfd: server, len: 30, flags: 0 }).buf)).toBe("second");
  // Eleven wait; the sender of the twelfth waits itself.
  m.ok("connect", { sockfd: client, addr: at("\0server") });
  for (let count = 0; count < 11; count++) m.ok("write", { fd: client, buf: `${count}` });
  expect(m.errno("sendto", { sockfd: client, buf: "x", flags: "MSG_DONTWAIT" })).toBe("EAGAIN");
  const child = m.fork();
  const waiting = m.sleeps("write", { fd: client, buf: "last" });
  expect(m.ok("read", { fd: server, count: 9 }, child)).toBe(1);
  expect(m.after(waiting)).toMatchObject({ ret: 4 });
  expect(m.broken()).toEqual([]);
});

test("seqpacket has connections and borders", async () => {
  const m = await Sockets.boot();
  const [left, right] = m.pair("SOCK_SEQPACKET");
  m.ok("write", { fd: left, buf: "one" });
  m.ok("write", { fd: left, buf: "two" });
  expect(m.ok("read", { fd: right, count: 10 })).toBe(3);
  m.ok("shutdown", { sockfd: left, how: "SHUT_WR" });
  expect(m.ok("read", { fd: right, count: 10 })).toBe(3);
  expect(m.ok("read", { fd: right, count: 10 })).toBe(0);
});

test("writing to a closed peer is SIGPIPE and EPIPE; its unread bytes make ECONNRESET", async () => {
  const m = await Sockets.boot();
  m.ok("rt_sigaction", { signum: "SIGPIPE", act: { sa_handler: "count" } });
  const [left, right] = m.pair();
  m.ok("write", { fd: left, buf: "unread" });
  m.ok("close", { fd: right });
  expect(m.errno("read", { fd: left, count: 1 })).toBe("ECONNRESET");
  expect(m.ok("read", { fd: left, count: 1 })).toBe(0);
  expect(m.errno("sendto", { sockfd: left, buf: "x", flags: "MSG_NOSIGNAL" })).toBe("EPIPE");
  expect(await m.signalCount(m.pid, "SIGPIPE")).toBe(0);
  expect(m.errno("write", { fd: left, buf: "x" })).toBe("EPIPE");
  expect(await m.signalCount(m.pid, "SIGPIPE")).toBe(1);
});

test("a stream is full by the memory that its pieces take", async () => {
  const m = await Sockets.boot();
  const [left, right] = m.pair();
  m.ok("fcntl", { fd: left, cmd: "F_SETFL", arg: "O_NONBLOCK" });
  const { optval } = m.do("getsockopt", { sockfd: left, level: "SOL_SOCKET", optname: "SO_SNDBUF", optlen: 4 });
  expect(optval).toBe(212_992);
  let bytes = 0;
  for (let count = 0; count < 1_000; count++) {
    const answer = m.do("write", { fd: left, buf: "x" });
    if (answer.errno === "EAGAIN") break;
    bytes += answer.ret;
  }
  // A byte's skbuff takes 768 bytes (as /proc/slabinfo and SO_MEMINFO count them).
  expect(bytes).toBe(278);
  expect(m.ok("read", { fd: right, count: 1_000 })).toBe(bytes);
});
