/** Idempotency-Key: the same request again gets the same answer, and acts once. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { TestService, wait, type TestSession } from "../helpers/service.ts";

let service: TestService;
let session: TestSession;
let pid: number;
beforeEach(async () => {
  service = await TestService.start();
  session = await service.session();
  pid = await session.process();
});
afterEach(() => service.stop());

const key = (name: string, more: Record<string, string> = {}) => ({ headers: { "Idempotency-Key": name, ...more } });

async function restart(keep: () => Promise<void> = () => service.stop({ keep: true })): Promise<void> {
  await keep();
  service = await TestService.start({}, service.directory);
  session = session.on(service);
}

test("a repeated call acts once, and is marked", async () => {
  const first = await session.call(pid, "dup", { oldfd: 0 }, key("a"));
  expect(first.headers["idempotency-replayed"]).toBeUndefined();
  const again = await session.call(pid, "dup", { oldfd: 0 }, key("a"));
  expect(again.headers["idempotency-replayed"]).toBe("true");
  expect([again.status, again.body]).toEqual([200, first.body]);
  expect((await session.call(pid, "dup", { oldfd: 0 })).body.ret).toBe(first.body.ret + 1);
});

test("a failed call is an answer like another", async () => {
  const first = await session.call(pid, "close", { fd: 50 }, key("a"));
  expect(first.body.errno).toBe("EBADF");
  await session.must(pid, "dup2", { oldfd: 0, newfd: 50 });
  expect((await session.call(pid, "close", { fd: 50 }, key("a"))).body).toEqual(first.body);
  expect((await session.call(pid, "close", { fd: 50 })).body.ret).toBe(0);
});

test("every POST that changes something honours it", async () => {
  const posts: [string, unknown][] = [
    ["/processes", { comm: "once" }], ["/members", { name: "once", role: "student" }], ["/clock/advance", { ns: 1_000 }],
    ["/snapshots", { name: "once" }], [`/processes/${pid}/signals`, { signal: 0 }], ["/modules", { name: "ksocket" }],
    [`/processes/${pid}/syscalls`, { calls: [{ call: "getpid" }] }],
  ];
  for (const [path, json] of posts) {
    const first = await session.ask("post", path, { json, ...key("k") });
    expect(first.status, first.text).toBeLessThan(300);
    const again = await session.ask("post", path, { json, ...key("k") });
    expect([path, again.status, again.body]).toEqual([path, first.status, first.body]);
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect(again.headers["location"]).toBe(first.headers["location"]);
  }
  const sessions = await service.ask("post", "/v1/sessions", { json: {}, ...key("k") });
  expect((await service.ask("post", "/v1/sessions", { json: {}, ...key("k") })).body).toEqual(sessions.body);
  expect((await session.ask("get", "/processes?limit=200")).body.items.filter((one: { comm: string }) => one.comm === "once")).toHaveLength(1);
  expect((await session.ask("get", "/members")).body.items.filter((one: { name: string }) => one.name === "once")).toHaveLength(1);
  expect((await session.ask("get", "/snapshots")).body.items).toHaveLength(1);
});

test("the same key with another body is 422, under another path, method or token another request", async () => {
  const first = await session.call(pid, "dup", { oldfd: 0 }, key("a"));
  const other = await session.call(pid, "dup", { oldfd: 1 }, key("a"));
  expect(other.body).toMatchObject({ status: 422, type: "/problems/invalid", errors: [{ path: "/headers/idempotency-key" }] });
  const elsewhere = await session.process();
  expect((await session.call(elsewhere, "dup", { oldfd: 0 }, key("a"))).headers["idempotency-replayed"]).toBeUndefined();
  const assistant = await session.member("assistant");
  expect((await assistant.call(pid, "dup", { oldfd: 0 }, key("a"))).body.ret).toBe(first.body.ret + 1);
});

test("a key is 1 to 255 printable characters", async () => {
  for (const bad of ["x".repeat(256), " "]) {
    const answer = await session.call(pid, "getpid", {}, key(bad));
    expect(answer.status === 422 || answer.headers["idempotency-replayed"] === undefined).toBe(true);
  }
  expect((await session.call(pid, "getpid", {}, key("x".repeat(256)))).status).toBe(422);
  expect((await session.call(pid, "getpid", {}, key("x".repeat(255)))).status).toBe(200);
  expect((await session.call(pid, "getpid", {}, key("a b~!"))).status).toBe(200);
});

test("a repeat while the first is under way joins it", async () => {
  const { pipefd } = await session.must(pid, "pipe2");
  const reader = (await session.must(pid, "fork")).ret as number;
  const ask = () => session.call(reader, "read", { fd: pipefd[0], count: 4 }, key("a", { Prefer: "wait=1" }));
  const both = await Promise.all([ask(), ask(), ask()]);
  expect(both.map((answer) => answer.status)).toEqual([202, 202, 202]);
  expect(new Set(both.map((answer) => answer.body.callId)).size).toBe(1);
  await session.must(pid, "write", { fd: pipefd[1], buf: "once" });
  expect((await ask()).body).toMatchObject({ ret: 4, buf: { text: "once" } });
  const made = await Promise.all([1, 2, 3].map(() => session.ask("post", "/processes", { json: { comm: "once" }, ...key("p") })));
  expect(new Set(made.map((answer) => answer.body.pid)).size).toBe(1);
});

test("a kept 202 answers the call's present state", async () => {
  const { pipefd } = await session.must(pid, "pipe2");
  const reader = (await session.must(pid, "fork")).ret as number;
  const ask = () => session.call(reader, "read", { fd: pipefd[0], count: 4 }, key("a", { Prefer: "wait=0" }));
  const first = await ask();
  expect(first.status).toBe(202);
  const asleep = await ask();
  expect([asleep.status, asleep.headers["idempotency-replayed"], asleep.body.callId]).toEqual([202, "true", first.body.callId]);
  await session.must(pid, "write", { fd: pipefd[1], buf: "done" });
  const done = await ask();
  expect([done.status, done.headers["idempotency-replayed"]]).toEqual([200, "true"]);
  expect(done.body).toMatchObject({ ret: 4, buf: { text: "done" } });
  // Its answer stays, however many calls come after it.
  for (let more = 0; more < 70; more++) {
    const held = session.call(reader, "read", { fd: pipefd[0], count: 1 }, wait(20));
    while ((await session.ask("get", `/processes/${reader}`)).body.call === null);
    await session.must(pid, "write", { fd: pipefd[1], buf: "x" });
    await held;
  }
  expect((await session.ask("get", `/calls/${first.body.callId}`)).status).toBe(404);
  expect((await ask()).body).toEqual(done.body);
});

test("keys outlive a restart, sleeping calls included", async () => {
  const first = await session.call(pid, "dup", { oldfd: 0 }, key("a"));
  const { pipefd } = await session.must(pid, "pipe2");
  const reader = (await session.must(pid, "fork")).ret as number;
  const asleep = await session.call(reader, "read", { fd: pipefd[0], count: 4 }, key("b", { Prefer: "wait=0" }));
  await restart();
  expect((await session.call(pid, "dup", { oldfd: 0 }, key("a"))).body).toEqual(first.body);
  const still = await session.call(reader, "read", { fd: pipefd[0], count: 4 }, key("b", { Prefer: "wait=0" }));
  expect([still.status, still.body.callId]).toEqual([202, asleep.body.callId]);
  await session.must(pid, "write", { fd: pipefd[1], buf: "done" });
  expect((await session.call(reader, "read", { fd: pipefd[0], count: 4 }, key("b", { Prefer: "wait=0" }))).body).toMatchObject({ ret: 4 });
});

test("a kept 202 ends as its route would have answered, restarts in between", async () => {
  await session.must(pid, "mknod", { pathname: "/tmp/fifo", mode: "S_IFIFO|0666" });
  for (const again of [() => Promise.resolve(), () => restart()]) {
    const name = `k${Math.random()}`;
    const ask = () => session.ask("post", "/commands", { json: { script: "cat /tmp/fifo; exit 3" }, ...key(name, { Prefer: "wait=0" }) });
    const asleep = await ask();
    expect(asleep.status).toBe(202);
    await again();
    expect((await ask()).body).toMatchObject({ state: "sleeping", callId: asleep.body.callId });
    await session.ask("put", "/fs/tmp/fifo", { raw: "through the fifo" });
    const done = await ask();
    expect([done.status, done.headers["idempotency-replayed"]]).toEqual([200, "true"]);
    expect(done.body).toEqual({ exit: 3, stdout: "through the fifo", stderr: "" });
    expect((await ask()).body).toEqual(done.body);
  }
});

test("an answer is kept for 24 hours, and then the same request acts again", async () => {
  const day = 24 * 3_600_000;
  let now = Date.UTC(2026, 0, 1);
  await service.stop();
  service = await TestService.start({ sessions: { now: () => now } });
  session = await service.session();
  pid = await session.process();
  const ask = () => session.call(pid, "dup", { oldfd: 0 }, key("a"));
  const first = await ask();
  now += day - 1;
  expect((await ask()).headers["idempotency-replayed"]).toBe("true");
  now += 1;
  const anew = await ask();
  expect([anew.headers["idempotency-replayed"], anew.body.ret]).toEqual([undefined, first.body.ret + 1]);
  expect((await session.call(pid, "dup", { oldfd: 1 }, key("a"))).status).toBe(422);
  now += day;
  // Another body is another request by then.
  expect((await session.call(pid, "dup", { oldfd: 1 }, key("a"))).body.ret).toBe(first.body.ret + 2);
});

test("a kept 202 of a batch tells how it ended, restarts in between", async () => {
  for (const again of [() => Promise.resolve(), () => restart()]) {
    await again();
    const { pipefd } = await session.must(pid, "pipe2");
    const reader = (await session.must(pid, "fork")).ret as number;
    const ask = () => session.batch(reader, [{ call: "read", args: { fd: pipefd[0], count: 4 } }, { call: "getpid" }], key(`b${reader}`, { Prefer: "wait=0" }));
    expect((await ask()).status).toBe(202);
    await restart();
    await session.must(pid, "write", { fd: pipefd[1], buf: "wake" });
    const done = await ask();
    expect([done.status, done.headers["idempotency-replayed"]]).toEqual([200, "true"]);
    expect(done.body.results.map((result: { ret: number }) => result.ret)).toEqual([4, reader]);
  }
});

test("refusals before the kernel are not kept", async () => {
  const refused = await session.call(pid, "dup", { color: 1 }, key("a"));
  expect(refused.status).toBe(422);
  const next = await session.call(pid, "dup", { oldfd: 0 }, key("a"));
  expect([next.status, next.headers["idempotency-replayed"]]).toEqual([200, undefined]);
  expect((await session.call(4_000_000, "dup", { oldfd: 0 }, key("b"))).status).toBe(404);
});

test("a kernel's refusal of a module is kept", async () => {
  await session.ask("post", "/modules", { json: { name: "ksocket" } });
  const refused = await session.ask("post", "/modules", { json: { name: "ksocket" }, ...key("m") });
  expect(refused.body).toMatchObject({ status: 409, errno: "EEXIST" });
  await session.ask("delete", "/modules/ksocket");
  const again = await session.ask("post", "/modules", { json: { name: "ksocket" }, ...key("m") });
  expect([again.status, again.headers["idempotency-replayed"], again.body]).toEqual([409, "true", refused.body]);
  expect(again.headers["content-type"]).toBe("application/problem+json");
});

test("an answer that shows a token is kept encrypted, and opens with its key alone", async () => {
  const made = await session.ask("post", "/members", { json: { name: "s", role: "student" }, ...key("the key") });
  const { idempotency } = service.service.services.store;
  const { idempotencyId, hashToken } = await import("../../api/store/index.ts");
  const record = await idempotency.find(idempotencyId(hashToken(session.token), "POST", `${session.path}/members`, "the key"));
  expect(record!.sealed).toBe(true);
  expect(Buffer.from(record!.body).toString("latin1")).not.toContain(made.body.token);
  const { readFileSync } = await import("node:fs");
  await service.stop({ keep: true });
  expect(readFileSync(`${service.directory}/syslab.db`, "latin1")).not.toContain(made.body.token);
  service = await TestService.start({}, service.directory);
  session = session.on(service);
  const again = await session.ask("post", "/members", { json: { name: "s", role: "student" }, ...key("the key") });
  expect(again.body).toEqual(made.body);
});

test("a restore forgets the keys used since the snapshot, and keeps those before", async () => {
  const before = await session.call(pid, "dup", { oldfd: 0 }, key("before"));
  const { body: { id } } = await session.ask("post", "/snapshots", { json: {} });
  const since = await session.call(pid, "dup", { oldfd: 0 }, key("since"));
  const restored = await session.ask("post", `/snapshots/${id}/restore`, { json: {}, ...key("restore") });
  expect(restored.status).toBe(200);
  expect((await session.call(pid, "dup", { oldfd: 0 }, key("before"))).headers["idempotency-replayed"]).toBe("true");
  const anew = await session.call(pid, "dup", { oldfd: 0 }, key("since"));
  expect(anew.headers["idempotency-replayed"]).toBeUndefined();
  expect(anew.body.ret).toBe(since.body.ret);
  expect(anew.body.ret).toBe(before.body.ret + 1);
  expect((await session.ask("post", `/snapshots/${id}/restore`, { json: {}, ...key("restore") })).headers["idempotency-replayed"]).toBe("true");
});
