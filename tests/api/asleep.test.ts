/** What the service runs as a process of its own sleeps like a call: it can be asked for, interrupted, and its answer is kept. */
import { afterAll, beforeAll, expect, test } from "vitest";
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

async function fifo(path: string): Promise<void> {
  await session.must(pid, "mknod", { pathname: path, mode: "S_IFIFO|0666" });
}

test("a file's write sleeps under a callId, and its end can be asked for", async () => {
  await fifo("/tmp/one");
  const asleep = await session.ask("put", "/fs/tmp/one", { raw: "ab", headers: { ...wait(0).headers } });
  expect(asleep.status).toBe(202);
  expect(asleep.body).toMatchObject({ state: "sleeping", wchan: "wait_for_partner" });
  expect(asleep.body.pid).toBeGreaterThan(pid);
  const call = asleep.headers.location!.replace(session.path, "");
  expect((await session.ask("get", call)).body).toEqual(asleep.body);

  const { ret: fd } = await session.must(pid, "openat", { pathname: "/tmp/one", flags: "O_RDONLY|O_NONBLOCK" });
  expect((await session.ask("get", call)).body).toMatchObject({ state: "program", ret: 0, value: { written: 2 } });
  expect((await session.must(pid, "read", { fd, count: 9 })).buf.text).toBe("ab");
  expect((await session.ask("delete", call)).status).toBe(409);
});

test("its process is a program of the caller's, which DELETE kills", async () => {
  await fifo("/tmp/two");
  const asleep = await session.ask("put", "/fs/tmp/two", { raw: "ab", headers: wait(0).headers });
  expect((await session.ask("get", `/processes/${asleep.body.pid}`)).body).toMatchObject({
    kind: "program", comm: "writeFile", state: "S",
    call: { callId: asleep.body.callId, call: "openat", args: expect.stringContaining("/tmp/two") as string, wchan: "wait_for_partner" },
  });
  expect((await session.ask("delete", `/processes/${asleep.body.pid}`)).status).toBe(204);
  const call = asleep.headers.location!.replace(session.path, "");
  expect((await session.ask("get", call)).body).toMatchObject({ state: "ended", signaled: "SIGKILL" });
});

test("an interrupted write is a conflict to the one who is held, and its process is gone", async () => {
  await fifo("/tmp/three");
  const held = session.ask("put", "/fs/tmp/three", { raw: "ab", headers: wait(20).headers });
  const writer = async () => (await session.ask("get", "/processes?limit=200")).body.items.find(({ comm }: { comm: string }) => comm === "writeFile");
  let found = await writer();
  while (found === undefined) found = await writer();
  expect((await session.ask("post", `/processes/${found.pid}/signals`, { json: { signal: "SIGKILL" } })).status).toBe(204);
  expect(await held).toMatchObject({ status: 409, body: { type: "/problems/interrupted", errno: "EINTR" } });
  expect(await writer()).toBeUndefined();

  const asleep = await session.ask("put", "/fs/tmp/three", { raw: "ab", headers: wait(0).headers });
  const call = asleep.headers.location!.replace(session.path, "");
  expect(await session.ask("delete", call)).toMatchObject({ status: 200, body: { state: "program", ret: -4 } });
  expect(await writer()).toBeUndefined();
});

test("a student may ask for an own call after its process has gone, others may not", async () => {
  const [mine, other] = [await session.member("student", "one"), await session.member("student", "two")];
  const reader = await mine.process();
  await mine.must(reader, "pipe2");
  const asleep = await mine.call(reader, "read", { fd: 3, count: 1 }, wait(0));
  const call = asleep.headers.location!.replace(session.path, "");
  expect((await mine.ask("delete", `/processes/${reader}`)).status).toBe(204);
  expect(await mine.ask("get", call)).toMatchObject({ status: 200, body: { state: "ended", signaled: "SIGKILL" } });
  expect((await other.ask("get", call)).status).toBe(403);
});

test("a store that faults tells how many bytes came before, wherever the fault lies", async () => {
  const { ret } = await session.must(pid, "mmap", { length: 8192, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  const second = `0x${(BigInt(ret) + 4096n).toString(16)}`;
  await session.must(pid, "mprotect", { addr: second, len: 4096, prot: "PROT_READ" });
  const put = (address: string) => session.ask("put", `/processes/${pid}/memory?address=${address}`, { raw: Buffer.alloc(6000, 7) });
  expect((await put(ret)).body).toMatchObject({ status: 422, signal: "SIGSEGV", siCode: "SEGV_ACCERR", address: second, stored: 4096 });
  expect((await put("0x1000000000000000")).body).toMatchObject({ status: 422, siCode: "SI_KERNEL", address: "0x0", stored: 0 });
  expect((await session.call(pid, "store", { addr: ret, buf: { zero: 5000 }, onFault: "report" })).body).toMatchObject({ ret: -1, errno: null, stored: 4096 });
});

const HOUR_MS = 3_600_000;

test("an answer is kept until 64 newer ones of its process, or an hour of kernel time after the process ended", async () => {
  const [mine, other] = [await session.process(), await session.process()];
  const nap = async (by: number): Promise<string> => {
    const { body } = await session.call(by, "nanosleep", { req: { tv_sec: 0, tv_nsec: 1000 } }, wait(0));
    await session.ask("post", "/clock/advance", { json: { ms: 1 } });
    return `/calls/${body.callId}`;
  };
  const status = async (call: string) => (await session.ask("get", call)).status;
  const first = await nap(mine);
  const others = await nap(other);
  for (let newer = 0; newer < 63; newer++) await nap(mine);
  expect(await status(first)).toBe(200);
  const last = await nap(mine);
  expect(await status(first)).toBe(404);

  await session.ask("delete", `/processes/${mine}`);
  await session.ask("post", "/clock/advance", { json: { ms: HOUR_MS - 1 } });
  expect(await status(last)).toBe(200);
  expect((await session.ask("delete", last)).body).toMatchObject({ status: 409, type: "/problems/busy" });
  await session.ask("post", "/clock/advance", { json: { ms: 1 } });
  expect(await status(last)).toBe(404);
  expect((await session.ask("delete", last)).status).toBe(404);
  // A process that lives keeps its own, however long ago it was.
  expect(await status(others)).toBe(200);
});
