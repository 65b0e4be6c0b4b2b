/** What happens when something fails: the disk, the emulator, a journal that does not do again what it did. */
import Database from "better-sqlite3";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Input, Kernel, Output } from "../../api/sessions/core.ts";
import { StoreFull, StoreUnavailable } from "../../api/store/index.ts";
import { Follower } from "../helpers/events.ts";
import { TestService, wait, type TestSession } from "../helpers/service.ts";

/** The emulator fails at what is told here. */
const faults = vi.hoisted(() => ({ at: null as ((input: { type: string }) => boolean) | null }));

vi.mock("../../api/sessions/core.ts", async (original) => {
  const core = await original<typeof import("../../api/sessions/core.ts")>();
  return {
    ...core,
    handle(kernel: Kernel, input: Input, budget?: number): Output {
      const output = core.handle(kernel, input, budget);
      if (faults.at?.(input) === true) throw new Error("a bug of ours");
      return output;
    },
  };
});

let service: TestService;
let session: TestSession;
let pid: number;
beforeEach(async () => {
  faults.at = null;
  service = await TestService.start();
  session = await service.session();
  pid = await session.process();
});
afterEach(() => service.stop());

async function restart(): Promise<void> {
  await service.stop({ keep: true });
  service = await TestService.start({}, service.directory);
  session = session.on(service);
}

/** The store refuses every turn until the answer is called. */
function breakStore(error: Error): () => void {
  const { store } = service.service.services;
  const spy = vi.spyOn(store, "appendTurn").mockRejectedValue(error);
  return () => void spy.mockRestore();
}

test("a full disk is 507, another failure 503; nothing of it happened, and with room all goes on", async () => {
  for (const [error, status, type] of [[new StoreFull("full"), 507, "full"], [new StoreUnavailable("gone"), 503, "interrupted"]] as const) {
    await session.ask("put", "/fs/tmp/a", { raw: "kept" });
    const mend = breakStore(error);
    const answers = await Promise.all([
      session.ask("put", "/fs/tmp/a", { raw: "lost" }), session.call(pid, "dup", { oldfd: 0 }), session.ask("post", "/processes", { json: {} }),
    ]);
    for (const answer of answers) expect(answer.body).toMatchObject({ status, type: `/problems/${type}` });
    mend();
    expect((await session.ask("get", "/fs/tmp/a")).text).toBe("kept");
    expect((await session.must(pid, "dup", { oldfd: 0 })).ret).toBe(status === 507 ? 3 : 4);
  }
  await restart();
  expect((await session.must(pid, "dup", { oldfd: 0 })).ret).toBe(5);
});

test("a call that a failed turn would have ended sleeps on, and other held requests are answered as ever", async () => {
  const { pipefd } = await session.must(pid, "pipe2");
  const { pipefd: other } = await session.must(pid, "pipe2");
  const [one, two] = [(await session.must(pid, "fork")).ret as number, (await session.must(pid, "fork")).ret as number];
  const woken = session.call(one, "read", { fd: pipefd[0], count: 4 }, wait(30));
  const held = session.call(two, "read", { fd: other[0], count: 4 }, wait(30));
  for (const reader of [one, two]) while ((await session.ask("get", `/processes/${reader}`)).body.call === null);
  const { callId } = (await session.ask("get", `/processes/${one}`)).body.call;
  const mend = breakStore(new StoreFull("full"));
  expect((await session.call(pid, "write", { fd: pipefd[1], buf: "lost" })).status).toBe(507);
  expect((await woken).status).toBe(507);
  mend();
  expect((await session.ask("get", `/calls/${callId}`)).body.state).toBe("sleeping");
  for (const fd of [pipefd[1], other[1]]) await session.must(pid, "write", { fd, buf: "kept" });
  expect((await held).body).toMatchObject({ ret: 4, buf: { text: "kept" } });
  expect((await session.ask("get", `/calls/${callId}`)).body).toMatchObject({ ret: 4, buf: { text: "kept" } });
});

test("a key whose commit failed acts when it comes again", async () => {
  const mend = breakStore(new StoreFull("full"));
  const options = { headers: { "Idempotency-Key": "k" } };
  expect((await session.call(pid, "dup", { oldfd: 0 }, options)).status).toBe(507);
  mend();
  const again = await session.call(pid, "dup", { oldfd: 0 }, options);
  expect([again.body.ret, again.headers["idempotency-replayed"]]).toEqual([3, undefined]);
});

test("a follower is shown nothing that was not kept", async () => {
  const stream = new Follower(`${service.url}${session.path}/trace?follow=1`, session.token);
  await stream.begun();
  await session.must(pid, "getuid");
  const mend = breakStore(new StoreFull("full"));
  await session.call(pid, "getgid");
  mend();
  await session.must(pid, "getppid");
  await stream.until((events) => events.some((event) => (event.data.text as string).startsWith("getppid")));
  expect(stream.events.map((event) => (event.data.text as string).split("(")[0])).toEqual(["getuid", "getppid"]);
  stream.close();
});

test("where the emulator fails the request is 500, and the kernel is as before", async () => {
  await session.ask("put", "/fs/tmp/a", { raw: "kept" });
  faults.at = (input) => input.type === "program";
  const answer = await session.ask("put", "/fs/tmp/a", { raw: "lost" });
  expect(answer.body).toMatchObject({ status: 500, type: "/problems/kernel" });
  faults.at = null;
  expect((await session.ask("get", "/fs/tmp/a")).text).toBe("kept");
  expect((await session.ask("put", "/fs/tmp/a", { raw: "new" })).status).toBe(204);
  expect((await session.ask("get", "")).body.state).toBe("ready");
});

test("where it fails at the same work again, the session is read-only and says why; a restore heals it", async () => {
  await session.ask("put", "/fs/tmp/a", { raw: "kept" });
  const { body: { id } } = await session.ask("post", "/snapshots", { json: {} });
  faults.at = (input) => input.type === "program";
  expect((await session.ask("put", "/fs/tmp/a", { raw: "lost" })).status).toBe(500);
  expect((await session.ask("put", "/fs/tmp/a", { raw: "lost" })).status).toBe(500);
  faults.at = null;
  const { body } = await session.ask("get", "");
  expect(body).toMatchObject({ state: "read-only", readOnlyReason: expect.stringContaining("a bug of ours") as string });
  const refused = await session.call(pid, "getpid");
  expect(refused.body).toMatchObject({ status: 409, detail: expect.stringContaining("read-only") as string });
  for (const path of ["/clock", "/processes", "/fs/tmp/a", "/dmesg", "/snapshots"]) expect((await session.ask("get", path)).status).toBe(200);
  await restart();
  expect((await session.ask("get", "/fs/tmp/a")).text).toBe("kept");
  expect((await session.call(pid, "getpid")).status).toBe(409);
  expect((await session.ask("post", `/snapshots/${id}/restore`, { json: {} })).status).toBe(200);
  expect((await session.must(pid, "getpid")).ret).toBe(pid);
  await restart();
  expect((await session.must(pid, "getpid")).ret).toBe(pid);
});

test("a timer at which the emulator fails twice ends in read-only, not in a circle", async () => {
  const real = await service.session({ machine: { clock: "real" } });
  const napper = await real.process();
  faults.at = (input) => input.type === "advance";
  const held = real.call(napper, "nanosleep", { req: { tv_sec: 0, tv_nsec: 20_000_000 } }, wait(1));
  for (let state = "ready"; state === "ready";) ({ body: { state } } = await real.ask("get", ""));
  faults.at = null;
  expect((await held).status).toBe(202);
  expect((await real.ask("get", "/processes")).status).toBe(200);
});

test("a journal row that does not do again what it did leaves the session read-only before it", async () => {
  await session.ask("put", "/fs/tmp/a", { raw: "good" });
  await session.must(pid, "dup", { oldfd: 0 });
  await session.ask("put", "/fs/tmp/b", { raw: "later" });
  await service.stop({ keep: true });
  const database = new Database(join(service.directory, "syslab.db"));
  // No snapshot, so that the rows are what counts.
  database.exec(`DELETE FROM "Snapshot"`);
  const changed = database.prepare(`UPDATE "JournalRow" SET "outputHash" = 'other' WHERE "sessionId" = ? AND "input" LIKE '%"call":"dup"%'`).run(session.id);
  database.close();
  expect(changed.changes).toBe(1);
  service = await TestService.start({}, service.directory);
  session = session.on(service);
  expect((await session.ask("get", "/fs/tmp/a")).text).toBe("good");
  expect((await session.ask("get", "/fs/tmp/b")).status).toBe(404);
  expect((await session.ask("get", "")).body).toMatchObject({ state: "read-only", readOnlyReason: expect.stringMatching(/^journal row \d+ /) as string });
  expect((await session.call(pid, "getpid")).status).toBe(409);
  expect((await session.ask("delete", "")).status).toBe(204);
});

test("a snapshot that cannot be read is passed over for the journal", async () => {
  await session.ask("put", "/fs/tmp/a", { raw: "good" });
  await service.stop({ keep: true });
  const database = new Database(join(service.directory, "syslab.db"));
  const changed = database.prepare(`UPDATE "SnapshotChunk" SET "bytes" = zeroblob(length("bytes"))`).run();
  database.close();
  expect(changed.changes).toBeGreaterThan(0);
  service = await TestService.start({}, service.directory);
  session = session.on(service);
  expect((await session.ask("get", "/fs/tmp/a")).text).toBe("good");
  expect((await session.must(pid, "getpid")).ret).toBe(pid);
});
