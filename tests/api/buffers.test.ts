/** How large buffers may be: 1 MiB in JSON, 16 MiB where the bytes travel as they are; a batch fits one answer. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestService, type TestSession } from "../helpers/service.ts";

const MiB = 1 << 20;

let service: TestService;
let session: TestSession;
let pid: number;
let fd: number;
beforeAll(async () => {
  service = await TestService.start();
  session = await service.session();
  pid = await session.process();
  ({ ret: fd } = await session.must(pid, "openat", { pathname: "/dev/zero", flags: "O_RDWR" }));
});
afterAll(() => service.stop());

test("a buffer sent in JSON has at most 1 MiB", async () => {
  for (const buf of [{ zero: MiB }, "x".repeat(MiB)]) expect((await session.must(pid, "write", { fd, buf })).ret).toBe(MiB);
  for (const buf of [{ zero: MiB + 1 }, "x".repeat(MiB + 1), { base64: Buffer.alloc(MiB + 1).toString("base64") }]) {
    expect(await session.call(pid, "write", { fd, buf })).toMatchObject({ status: 413, body: { type: "/problems/too-large", errors: [{ path: "/buf" }] } });
  }
  expect((await session.must(pid, "writev", { fd, iov: Array.from({ length: 16 }, () => ({ zero: MiB })) })).ret).toBe(16 * MiB);
  expect((await session.call(pid, "writev", { fd, iov: [{ zero: MiB + 1 }] })).status).toBe(413);
});

test("a larger output size reaches the kernel, over a buffer of the limit's size", async () => {
  await session.ask("put", "/fs/tmp/long", { raw: Buffer.alloc(3 * MiB, 7) });
  const { ret: file } = await session.must(pid, "openat", { pathname: "/tmp/long", flags: "O_RDONLY" });
  const read = await session.must(pid, "read", { fd: file, count: 2 * MiB });
  expect(read.ret).toBe(MiB);
  expect(read.strace).toContain(`, ${2 * MiB}) = ${MiB}`);
  const raw = await session.call(pid, "pread64", { fd: file, count: 4 * MiB, offset: 0 }, { headers: { Accept: "application/octet-stream" } });
  expect([raw.status, raw.headers["x-ret"], raw.bytes.length]).toEqual([200, String(3 * MiB), 3 * MiB]);
});

test("the buffers of a batch have at most 64 MiB together", async () => {
  const refused = await session.batch(pid, Array.from({ length: 65 }, () => ({ call: "read", args: { fd, count: MiB } })));
  expect(refused).toMatchObject({ status: 413, body: { type: "/problems/too-large", errors: [{ path: "/calls/64/args" }] } });
  const done = await session.batch(pid, Array.from({ length: 10_000 }, () => ({ call: "write", args: { fd, buf: { zero: 4096 } } })));
  expect(done.body.results).toHaveLength(10_000);
});

test("an element of a vector is bytes or a length, at a pointer where one is given", async () => {
  const bad = await session.call(pid, "writev", { fd, iov: [{ iov_base: "0x10", iov_len: 2 }] });
  expect(bad).toMatchObject({ status: 422, body: { errors: [{ path: "/iov" }] } });
  expect((await session.call(pid, "readv", { fd, iov: [{ iov_base: { addr: "0x10" }, iov_len: 2 }] })).body).toMatchObject({ ret: -1, errno: "EFAULT" });
});

test("an integer of 32 bits is refused where it has more", async () => {
  for (const buf of [{ u32: 2 ** 32 }, { i32: -(2 ** 31) - 1 }]) expect((await session.call(pid, "write", { fd, buf })).status).toBe(422);
  for (const buf of [{ u32: 2 ** 32 - 1 }, { i32: -(2 ** 31) }, { u64: "0xffffffffffffffff" }]) expect((await session.call(pid, "write", { fd, buf })).status).toBe(200);
});
