/** A limit stands on what one request can make the service hold: no small request ends the server, or starves the others. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, refusal, type Answer, type Call } from "./client.ts";
import { startServer, type Server } from "./server.ts";

let server: Server;
beforeAll(async () => void (server = await startServer()));
afterAll(() => server.end());

const MiB = 1 << 20;
/** Calls of a MiB each in one batch. */
const COUNT = 60;

test("a batch whose answers grow too large gets ENOBUFS for the calls that are left", async () => {
  const process = await (await newSession(server.url)).process();
  const fd = await process.must("openat", { pathname: "/dev/zero", flags: "O_RDONLY" });
  const { ret: addr } = await process.call("mmap", { length: MiB, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  const large: Record<string, Call> = {
    read: { call: "read", args: { fd, count: MiB } },
    "read into memory": { call: "read", args: { fd, buf: { addr }, count: MiB } },
    load: { call: "load", args: { addr, length: MiB } },
    readv: { call: "readv", args: { fd, iov: [{ iov_len: MiB }] } },
  };
  for (const [name, call] of Object.entries(large)) {
    const results = await process.batch(Array.from({ length: COUNT }, () => call), { onError: "continue" });
    const done = results.filter(({ errno }) => errno === null).length;
    expect(done, name).toBeGreaterThan(4);
    expect(done, name).toBeLessThan(COUNT);
    expect(results.slice(done).map(({ errno }) => errno), name).toEqual(Array<Answer["errno"]>(COUNT - done).fill("ENOBUFS"));
  }
  expect(await process.must("getpid")).toBe(process.pid);
});

test("what a batch sends and asks for at once has a limit before anything happens", async () => {
  const process = await (await newSession(server.url)).process();
  const writes = (count: number): Call[] => Array.from({ length: count }, () => ({ call: "write", args: { fd: 1, buf: { zero: MiB } } }));
  expect(await process.mustBatch(writes(COUNT))).toHaveLength(COUNT);
  expect(await refusal(process.batch(writes(10_000)))).toMatchObject({ status: 413 });
  expect(await refusal(process.call("write", { fd: 1, buf: { zero: 1 + MiB } }))).toMatchObject({ status: 413 });
  expect(await process.must("getpid")).toBe(process.pid);
});
