/** Structures in JSON: by their C fields, or whole as bytes, one as well as many; and how strace lines show them. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestService, wait, type TestSession } from "../helpers/service.ts";

let service: TestService;
let session: TestSession;
let pid: number;
beforeAll(async () => {
  service = await TestService.start();
  session = await service.session();
  pid = await session.process();
});
afterAll(() => service.stop());

/** Little-endian bytes of fields, each its width in bytes and its value. */
function bytes(...fields: [width: 2 | 4 | 8, value: number][]): Buffer {
  return Buffer.concat(fields.map(([width, value]) => {
    const field = Buffer.alloc(width);
    if (width === 8) field.writeBigInt64LE(BigInt(value));
    else field.writeIntLE(value, 0, width);
    return field;
  }));
}
const hex = (...parts: Buffer[]) => ({ hex: Buffer.concat(parts).toString("hex") });
const base64 = (...parts: Buffer[]) => ({ base64: Buffer.concat(parts).toString("base64") });

async function pipe(): Promise<[number, number]> {
  return (await session.must(pid, "pipe2")).pipefd as [number, number];
}

describe("an array of structures may be given as bytes", () => {
  test("pollfds", async () => {
    const [readEnd, writeEnd] = await pipe();
    for (const fds of [hex, base64].map((form) => form(bytes([4, readEnd], [2, 1], [2, 0]), bytes([4, writeEnd], [2, 4], [2, 0])))) {
      const { ret, fds: polled } = await session.must(pid, "poll", { fds, nfds: 2, timeout: 0 });
      expect(ret).toBe(1);
      expect(polled.map(({ fd, events, revents }: Record<string, unknown>) => [fd, events, revents])).toEqual([[readEnd, "POLLIN", "0"], [writeEnd, "POLLOUT", "POLLOUT"]]);
      expect((await session.must(pid, "poll", { fds, timeout: 0 })).ret).toBe(1);
    }
    const items = [{ fd: readEnd, events: "POLLIN" }, hex(bytes([4, writeEnd], [2, 4], [2, 0]))];
    expect((await session.must(pid, "poll", { fds: items, timeout: 0 })).ret).toBe(1);
  });

  test("fd_sets", async () => {
    const [readEnd, writeEnd] = await pipe();
    const set = Buffer.alloc(8);
    set[writeEnd >> 3] = 1 << (writeEnd & 7);
    const selected = await session.must(pid, "select", { nfds: writeEnd + 1, writefds: hex(set), readfds: [readEnd], timeout: bytesOf({ tv_sec: 0 }) });
    expect([selected.ret, selected.writefds, selected.readfds]).toEqual([1, [writeEnd], []]);
  });

  test("iovecs, in and out, and those of a msghdr", async () => {
    const { ret } = await session.must(pid, "mmap", { length: 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
    const at = Number(ret);
    await session.must(pid, "store", { addr: ret, buf: "onetwo" });
    const [readEnd, writeEnd] = await pipe();
    expect((await session.must(pid, "writev", { fd: writeEnd, iov: hex(bytes([8, at], [8, 3]), bytes([8, at + 3], [8, 3])) })).ret).toBe(6);
    const read = await session.must(pid, "readv", { fd: readEnd, iov: base64(bytes([8, at + 100], [8, 2]), bytes([8, at + 200], [8, 10])) });
    expect([read.ret, read.iov.map((one: { text: string }) => one.text)]).toEqual([6, ["on", "etwo"]]);
    expect((await session.must(pid, "load", { addr: `0x${(at + 200).toString(16)}`, length: 4 })).buf.text).toBe("etwo");

    const { sv: [one, two] } = await session.must(pid, "socketpair", { domain: "AF_UNIX", type: "SOCK_STREAM" });
    expect((await session.must(pid, "sendmsg", { sockfd: one, msg: { msg_iov: hex(bytes([8, at], [8, 6])) } })).ret).toBe(6);
    // struct msghdr: name, namelen, iov, iovlen, control, controllen, flags.
    const vector = at + 1024;
    await session.must(pid, "store", { addr: `0x${vector.toString(16)}`, buf: hex(bytes([8, at + 300], [8, 6])) });
    const header = bytes([8, 0], [8, 0], [8, vector], [8, 1], [8, 0], [8, 0], [8, 0]);
    expect((await session.must(pid, "recvmsg", { sockfd: two, msg: hex(header) })).ret).toBe(6);
    expect((await session.must(pid, "load", { addr: `0x${(at + 300).toString(16)}`, length: 6 })).buf.text).toBe("onetwo");
    expect((await session.must(pid, "sendmmsg", { sockfd: one, msgvec: hex(bytes([8, 0], [8, 0], [8, vector], [8, 1], [8, 0], [8, 0], [8, 0], [8, 0])), vlen: 1 })).ret).toBe(1);
  });

  test("sembufs, the values of a set, messages", async () => {
    const { ret: semid } = await session.must(pid, "semget", { key: 0, nsems: 2, semflg: "IPC_CREAT|0600" });
    await session.must(pid, "semctl", { semid, semnum: 0, cmd: "SETALL", arg: hex(bytes([2, 3], [2, 4])) });
    await session.must(pid, "semop", { semid, sops: hex(bytes([2, 0], [2, -1], [2, 0]), bytes([2, 1], [2, 2], [2, 0])) });
    expect((await session.must(pid, "semctl", { semid, semnum: 0, cmd: "GETALL" })).arg).toEqual([2, 6]);
    const { ret: msqid } = await session.must(pid, "msgget", { key: 0, msgflg: "IPC_CREAT|0600" });
    await session.must(pid, "msgsnd", { msqid, msgp: hex(bytes([8, 7]), Buffer.from("text")) });
    expect((await session.must(pid, "msgrcv", { msqid, msgsz: 100, msgtyp: 0 })).msgp).toMatchObject({ mtype: 7, mtext: { text: "text" } });
  });

  test("an epoll_event, a pair of times, a set of signals", async () => {
    const { ret: epfd } = await session.must(pid, "epoll_create1");
    const [readEnd, writeEnd] = await pipe();
    await session.must(pid, "epoll_ctl", { epfd, op: "EPOLL_CTL_ADD", fd: readEnd, event: hex(bytes([4, 1], [8, 77])) });
    await session.must(pid, "write", { fd: writeEnd, buf: "x" });
    expect((await session.must(pid, "epoll_wait", { epfd, maxevents: 4 })).events).toMatchObject([{ events: "EPOLLIN", data: 77 }]);
    await session.ask("put", "/fs/tmp/times", { raw: "x" });
    await session.must(pid, "utimensat", { pathname: "/tmp/times", times: base64(bytes([8, 11], [8, 0]), bytes([8, 22], [8, 0])) });
    expect((await session.must(pid, "stat", { pathname: "/tmp/times" })).statbuf).toMatchObject({ st_atim: { tv_sec: 11 }, st_mtim: { tv_sec: 22 } });
    const set = hex(bytes([8, 1 << 9]));
    await session.must(pid, "rt_sigprocmask", { how: "SIG_BLOCK", set });
    expect((await session.must(pid, "rt_sigprocmask", { how: "SIG_UNBLOCK", set })).oldset).toEqual(["SIGUSR1"]);
  });
});

function bytesOf({ tv_sec }: { tv_sec: number }) {
  return hex(bytes([8, tv_sec], [8, 0]));
}

test("every structure that a call reads may be given as bytes", async () => {
  const { items } = (await service.ask("get", "/v1/syscalls")).body as { items: { name: string; args: { name: string; kind: string }[] }[] };
  const read = /^(struct|inout-struct|array|inout-array|iovec|out-iovec|fd-set|sigset|sockaddr|msghdr|out-msghdr|mmsghdr|out-mmsghdr|integers|bytes)$/;
  let tried = 0;
  for (const { name, args } of items) {
    for (const arg of args.filter(({ kind }) => read.test(kind))) {
      const fresh = await session.process();
      const answer = await session.call(fresh, name, { [arg.name]: { hex: "00".repeat(256) } }, wait(0));
      expect([name, arg.name, answer.status < 300, answer.text]).toEqual([name, arg.name, true, answer.text]);
      tried++;
      await session.ask("delete", `/processes/${fresh}`);
    }
  }
  expect(tried).toBeGreaterThan(40);
});

test("malformed bytes, unknown fields and other types are 422 with their place", async () => {
  for (const [call, args, path] of [
    ["poll", { fds: { hex: "0" } }, "/fds"], ["poll", { fds: { base64: "!" } }, "/fds"], ["poll", { fds: true }, "/fds"],
    ["poll", { fds: [{ fd: 0, color: 1 }] }, "/fds"], ["select", { nfds: 1, readfds: { hex: "zz" } }, "/readfds"],
    ["writev", { fd: 1, iov: { hex: "z" } }, "/iov"], ["semop", { semid: 0, sops: false }, "/sops"],
    ["sendmsg", { sockfd: 0, msg: { msg_iov: [], color: 1 } }, "/msg"], ["fcntl", { fd: 0, cmd: "F_SETLK", arg: { l_type: "F_RDLCK", color: 1 } }, "/arg"],
  ] as const) {
    expect(await session.call(pid, call, args)).toMatchObject({ status: 422, body: { type: "/problems/invalid", errors: [{ path }] } });
  }
});

describe("a strace line", () => {
  const line = async (call: string, args: unknown): Promise<string> => (await session.must(pid, call, args)).strace as string;

  test("shows what a file is, and its size or its device", async () => {
    await session.ask("put", "/fs/tmp/plain?mode=0644", { raw: "four" });
    expect(await line("stat", { pathname: "/tmp/plain" })).toBe('stat("/tmp/plain", {st_mode=S_IFREG|0644, st_size=4, ...}) = 0');
    expect(await line("stat", { pathname: "/dev/null" })).toBe('stat("/dev/null", {st_mode=S_IFCHR|0666, st_rdev=makedev(0x1, 0x3), ...}) = 0');
    expect(await line("fstat", { fd: 1 })).toBe("fstat(1, {st_mode=S_IFCHR|0666, st_rdev=makedev(0x1, 0x3), ...}) = 0");
    expect(await line("newfstatat", { pathname: "/tmp", flags: 0 })).toMatch(/^newfstatat\(AT_FDCWD, "\/tmp", \{st_mode=S_IFDIR\|S_ISVTX\|0777, st_size=\d+, \.\.\.\}, 0\) = 0$/);
    expect(await line("statx", { pathname: "/tmp/plain", mask: "STATX_BASIC_STATS" })).toMatch(/stx_mode=S_IFREG\|0644, stx_size=4, \.\.\.\}\) = 0$/);
    expect((await session.must(pid, "stat", { pathname: "/dev/null" })).statbuf).toMatchObject({ st_mode: 0o20666, st_rdev: { major: 1, minor: 3 } });
  });

  test("names the flags that fcntl answers", async () => {
    const { ret: fd } = await session.must(pid, "openat", { pathname: "/tmp/plain", flags: "O_RDWR|O_APPEND|O_CLOEXEC" });
    expect(await line("fcntl", { fd, cmd: "F_GETFL" })).toBe(`fcntl(${fd}, F_GETFL) = 0x8402 (flags O_RDWR|O_APPEND|O_LARGEFILE)`);
    expect(await line("fcntl", { fd, cmd: "F_GETFD" })).toBe(`fcntl(${fd}, F_GETFD) = 0x1 (flags FD_CLOEXEC)`);
    expect(await line("fcntl", { fd: 0, cmd: "F_GETFD" })).toBe("fcntl(0, F_GETFD) = 0");
    const [readEnd] = await pipe();
    expect(await line("fcntl", { fd: readEnd, cmd: "F_GETFL" })).toBe(`fcntl(${readEnd}, F_GETFL) = 0 (flags O_RDONLY)`);
    await session.must(pid, "fcntl", { fd: readEnd, cmd: "F_SETSIG", arg: "SIGUSR1" });
    expect(await line("fcntl", { fd: readEnd, cmd: "F_GETSIG" })).toBe(`fcntl(${readEnd}, F_GETSIG) = 10 (SIGUSR1)`);
    expect((await session.call(pid, "fcntl", { fd: 999, cmd: "F_GETFL" })).body.strace).toBe("fcntl(999, F_GETFL) = -1 EBADF (Bad file descriptor)");
  });

  test("tells what poll found beside its result", async () => {
    const [readEnd, writeEnd] = await pipe();
    const fds = [{ fd: readEnd, events: "POLLIN" }];
    expect(await line("poll", { fds, timeout: 0 })).toBe(`poll([{fd=${readEnd}, events=POLLIN}], 1, 0) = 0 (Timeout)`);
    await session.must(pid, "write", { fd: writeEnd, buf: "x" });
    expect(await line("poll", { fds, timeout: 0 })).toBe(`poll([{fd=${readEnd}, events=POLLIN}], 1, 0) = 1 ([{fd=${readEnd}, revents=POLLIN}])`);
  });

  test("of a call that ssmem took the number of has its own name", async () => {
    for (const name of ["bpf", "kexec_file_load"]) {
      const { body } = await session.call(pid, name);
      expect([body.errno, body.strace]).toEqual(["ENOSYS", `${name}() = -1 ENOSYS (Function not implemented)`]);
    }
    expect((await session.ask("get", `/trace?pid=${pid}`)).text).toContain("bpf() = -1 ENOSYS");
  });
});
