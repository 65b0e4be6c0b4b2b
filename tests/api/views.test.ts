/** What is looked at says what it is, and flags come back as names and as numbers. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestService, type TestSession } from "../helpers/service.ts";

let service: TestService;
let session: TestSession;
let pid: number;
beforeAll(async () => {
  service = await TestService.start();
  session = await service.session();
  pid = await session.process();
});
afterAll(() => service.stop());

test("entries of computed directories have their permissions", async () => {
  const modes = async (path: string) => Object.fromEntries(
    (await session.ask("get", path)).body.entries.map(({ name, type, mode }: Record<string, string>) => [name, `${type} ${mode}`]),
  );
  expect(await modes("/proc")).toMatchObject({ version: "file 0444", sys: "directory 0555", 1: "directory 0555", mounts: "link 0777" });
  expect(await modes("/sys")).toMatchObject({ kernel: "directory 0755", module: "directory 0755" });
});

test("a view is text by whatever path it is reached, a stored file is bytes", async () => {
  await session.ask("put", "/fs/tmp/own", { raw: "x" });
  await session.must(pid, "symlink", { target: "/proc/version", linkpath: "/tmp/version" });
  for (const path of ["/fs/proc/version", "/fs/tmp/..%2Fproc/version", "/fs/tmp/version"]) {
    expect((await session.ask("get", path)).headers["content-type"], path).toBe("text/plain; charset=utf-8");
  }
  expect((await session.ask("get", "/fs/proc/../tmp/own".replaceAll("../", "..%2F"))).headers["content-type"]).toBe("application/octet-stream");
});

test("what may not be removed is forbidden, whatever it is", async () => {
  expect(await session.ask("delete", "/fs/proc/version")).toMatchObject({ status: 403, body: { errno: "EPERM" } });
  await session.ask("put", "/fs/tmp/directory?dir");
  expect((await session.ask("delete", "/fs/tmp/directory")).status).toBe(204);
});

test("poll's events and a message's flags come back as names and as numbers", async () => {
  const { pipefd: [, write] } = await session.must(pid, "pipe2");
  expect((await session.must(pid, "poll", { fds: [{ fd: write, events: "POLLOUT|POLLPRI" }], timeout: 0 })).fds)
    .toEqual([{ fd: write, events: "POLLPRI|POLLOUT", eventsNumber: 6, revents: "POLLOUT", reventsNumber: 4 }]);
  const { sv: [one, other] } = await session.must(pid, "socketpair", { domain: "AF_UNIX", type: "SOCK_DGRAM" });
  await session.must(pid, "sendto", { sockfd: one, buf: "long" });
  expect((await session.must(pid, "recvmsg", { sockfd: other, msg: { msg_iov: [{ iov_len: 2 }] } })).msg)
    .toMatchObject({ msg_flags: "MSG_TRUNC", msg_flagsNumber: 0x20 });
});

test("a pollfd and an epoll_event may be given as bytes; a misspelt field is refused", async () => {
  const { pipefd: [, write] } = await session.must(pid, "pipe2");
  const le = (number: number, size: number) => { const bytes = Buffer.alloc(size); bytes.writeUInt32LE(number); return bytes.toString("hex"); };
  expect((await session.must(pid, "poll", { fds: [{ hex: le(write, 4) + le(4, 4) }], timeout: 0 })).fds).toMatchObject([{ fd: write, revents: "POLLOUT" }]);
  const { ret: epfd } = await session.must(pid, "epoll_create1");
  await session.must(pid, "epoll_ctl", { epfd, op: "EPOLL_CTL_ADD", fd: write, event: { hex: le(4, 4) + le(77, 8) } });
  expect((await session.must(pid, "epoll_wait", { epfd, maxevents: 1, timeout: 0 })).events).toEqual([{ events: "EPOLLOUT", eventsNumber: 4, data: 77 }]);
  for (const fds of [[{ fd: write, evnts: 4 }], [{ hex: "00" }]]) expect((await session.call(pid, "poll", { fds, timeout: 0 })).status).toBe(422);
});

test("a list of system calls is paged where a page is asked for", async () => {
  const whole = (await service.ask("get", "/v1/syscalls")).body;
  expect(whole).toMatchObject({ nextCursor: null });
  const first = (await service.ask("get", "/v1/syscalls?limit=200")).body;
  const rest = (await service.ask("get", `/v1/syscalls?limit=200&cursor=${first.nextCursor}`)).body;
  expect([...first.items, ...rest.items]).toEqual(whole.items);
  expect((await service.ask("get", "/v1/syscalls?limit=201")).status).toBe(422);
});

test("any number is a call: one outside the table is ENOSYS, an unknown name 404", async () => {
  for (const call of ["999", "-1", "99999999999"]) expect((await session.call(pid, call)).body, call).toMatchObject({ ret: -1, errno: "ENOSYS" });
  for (const call of ["nosuch", "12x", "-"]) expect((await session.call(pid, call)).status, call).toBe(404);
});

test("the last 10,000 calls are shown, and no more", async () => {
  const busy = await session.process();
  for (let batch = 0; batch < 2; batch++) await session.batch(busy, Array.from({ length: 5_400 }, (_, call) => ({ call: "lseek", args: { fd: 99, offset: batch * 5_400 + call } })), { onError: "continue" });
  const lines = (await session.ask("get", "/trace")).text.trimEnd().split("\n");
  expect(lines).toHaveLength(10_000);
  expect([lines[0], lines.at(-1)].map((line) => /, (\d+), SEEK_SET/.exec(line!)?.[1])).toEqual(["800", "10799"]);
});
