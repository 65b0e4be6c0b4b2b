/** Snapshots: taken, listed, gone back to, forked; and sessions that are put away and come back. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { TestService, wait, type TestSession } from "../helpers/service.ts";

let service: TestService;
let session: TestSession;
let pid: number;
beforeEach(async () => {
  service = await TestService.start({ sessions: { snapshotRows: 40 } });
  session = await service.session();
  pid = await session.process();
});
afterEach(() => service.stop());

async function snap(name?: string): Promise<string> {
  const { status, body } = await session.ask("post", "/snapshots", { json: name === undefined ? {} : { name } });
  expect(status).toBe(201);
  return body.id as string;
}

const restore = (id: string) => session.ask("post", `/snapshots/${id}/restore`, { json: {} });

test("a snapshot is listed, read and removed", async () => {
  const id = await snap("first");
  const { body } = await session.ask("get", `/snapshots/${id}`);
  expect(body).toMatchObject({ id, name: "first" });
  expect(body.size).toBeGreaterThan(1_000);
  expect((await session.ask("get", "/snapshots")).body.items).toEqual([body]);
  expect((await session.ask("delete", `/snapshots/${id}`)).status).toBe(204);
  expect((await session.ask("delete", `/snapshots/${id}`)).status).toBe(404);
  expect((await restore(id)).status).toBe(404);
  const other = await service.session();
  const theirs = await snap();
  expect((await other.ask("get", `/snapshots/${theirs}`)).status).toBe(404);
});

test("restoring brings files, processes and the clock back", async () => {
  await session.ask("put", "/fs/tmp/a", { raw: "before" });
  const clock = (await session.ask("get", "/clock")).body;
  const id = await snap();
  await session.ask("put", "/fs/tmp/a", { raw: "after" });
  await session.ask("post", "/clock/advance", { json: { ms: 5_000 } });
  const later = await session.process();
  const restored = await restore(id);
  expect(restored.body.clock).toEqual(clock);
  expect((await session.ask("get", "/fs/tmp/a")).text).toBe("before");
  expect((await session.ask("get", `/processes/${later}`)).status).toBe(404);
  expect((await session.must(pid, "getpid")).ret).toBe(pid);
  expect((await restore(id)).status).toBe(200);
});

test("held requests end with 409 restored; calls that slept in it sleep again, later ones are 404", async () => {
  const { pipefd } = await session.must(pid, "pipe2");
  const [early, late, held] = [(await session.must(pid, "fork")).ret as number, (await session.must(pid, "fork")).ret as number, (await session.must(pid, "fork")).ret as number];
  const slept = (await session.call(early, "read", { fd: pipefd[0], count: 4 }, wait(0))).body.callId as string;
  const id = await snap();
  const since = (await session.call(late, "read", { fd: pipefd[0], count: 4 }, wait(0))).body.callId as string;
  const waiting = session.call(held, "read", { fd: pipefd[0], count: 4 }, wait(30));
  while ((await session.ask("get", `/processes/${held}`)).body.call === null);
  await session.must(pid, "write", { fd: pipefd[1], buf: "once" });
  expect((await session.ask("get", `/calls/${slept}`)).body.ret).toBe(4);
  await restore(id);
  expect((await waiting).body).toMatchObject({ status: 409, type: "/problems/restored" });
  expect((await session.ask("get", `/calls/${slept}`)).body.state).toBe("sleeping");
  expect((await session.ask("get", `/calls/${since}`)).status).toBe(404);
  await session.must(pid, "write", { fd: pipefd[1], buf: "again" });
  expect((await session.ask("get", `/calls/${slept}`)).body).toMatchObject({ ret: 4, buf: { text: "agai" } });
});

test("what was restored outlives a restart, and so do restores of restores", async () => {
  const first = await snap("first");
  await session.ask("put", "/fs/tmp/a", { raw: "a" });
  const second = await snap("second");
  await session.ask("put", "/fs/tmp/b", { raw: "b" });
  await restore(first);
  await session.ask("put", "/fs/tmp/c", { raw: "c" });
  const names = async () => (await session.ask("get", "/fs/tmp")).body.entries.map((entry: { name: string }) => entry.name);
  expect(await names()).toEqual(["c"]);
  await again();
  expect(await names()).toEqual(["c"]);
  await restore(second);
  expect(await names()).toEqual(["a"]);
  await session.ask("delete", `/snapshots/${second}`);
  await session.ask("put", "/fs/tmp/d", { raw: "d" });
  await again();
  expect(await names()).toEqual(["a", "d"]);
});

async function again(): Promise<void> {
  await service.stop({ keep: true });
  service = await TestService.start({}, service.directory);
  session = session.on(service);
}

test("a fork is the kernel with a new owner, no members and the same pids", async () => {
  await session.ask("put", "/fs/tmp/a", { raw: "shared" });
  const student = await session.member("student");
  const id = await snap();
  const fork = await service.session({ name: "copy", from: id }, { token: session.token });
  expect(fork.id).not.toBe(session.id);
  expect((await fork.ask("get", "")).body).toMatchObject({ name: "copy", clockMode: "virtual" });
  expect((await fork.ask("get", "/fs/tmp/a")).text).toBe("shared");
  expect((await fork.must(pid, "getpid")).ret).toBe(pid);
  expect((await fork.ask("get", "/members")).body.items).toHaveLength(1);
  expect((await service.ask("get", `${fork.path}/clock`, { token: student.token })).status).toBe(404);
  await fork.ask("put", "/fs/tmp/a", { raw: "own" });
  expect((await session.ask("get", "/fs/tmp/a")).text).toBe("shared");
  const other = await service.session();
  for (const token of [other.token, student.token]) {
    expect([403, 404]).toContain((await service.ask("post", "/v1/sessions", { json: { from: id }, token })).status);
  }
  expect((await service.ask("post", "/v1/sessions", { json: { from: id } })).status).toBe(401);
  expect((await service.ask("post", "/v1/sessions", { json: { from: "snap_nosuch" }, token: session.token })).status).toBe(404);
  expect((await service.ask("post", "/v1/sessions", { json: { from: id, machine: { cpus: 1 } }, token: session.token })).status).toBe(422);
  await session.ask("delete", "");
  expect((await fork.ask("get", "/fs/tmp/a")).text).toBe("own");
});

test("a fork keeps its random numbers unless a seed is given", async () => {
  const id = await snap();
  const draw = async (machine?: unknown) => {
    const fork = await service.session({ from: id, ...(machine === undefined ? {} : { machine }) }, { token: session.token });
    return (await fork.must(pid, "getrandom", { buflen: 16 })).buf.base64 as string;
  };
  const kept = await draw();
  expect(await draw()).toBe(kept);
  const seeded = await draw({ seed: 5 });
  expect(seeded).not.toBe(kept);
  expect(await draw({ seed: 5 })).toBe(seeded);
});

test("a session that is put away comes back as it was, by snapshot and by journal", async () => {
  const { sessions } = service.service.services;
  const { pipefd } = await session.must(pid, "pipe2");
  const reader = (await session.must(pid, "fork")).ret as number;
  const asleep = (await session.call(reader, "read", { fd: pipefd[0], count: 4 }, wait(0))).body.callId as string;
  const before = { clock: (await session.ask("get", "/clock")).body, ps: (await session.ask("get", "/processes?limit=200")).body };
  await sessions.putAwayIdle(Date.now() + 1e9);
  expect(sessions.counts().loaded).toBe(0);
  expect((await session.ask("get", "/clock")).body).toEqual(before.clock);
  expect((await session.ask("get", "/processes?limit=200")).body).toEqual(before.ps);
  await session.must(pid, "write", { fd: pipefd[1], buf: "back" });
  expect((await session.ask("get", `/calls/${asleep}`)).body).toMatchObject({ ret: 4 });
  for (let more = 0; more < 100; more++) await session.must(pid, "dup", { oldfd: 0 });
  expect((await session.must(pid, "dup", { oldfd: 0 })).ret).toBe(105);
});

test("a held request and a stream keep a session in memory", async () => {
  const { sessions } = service.service.services;
  const { pipefd } = await session.must(pid, "pipe2");
  const reader = (await session.must(pid, "fork")).ret as number;
  const held = session.call(reader, "read", { fd: pipefd[0], count: 4 }, wait(30));
  while ((await session.ask("get", `/processes/${reader}`)).body.call === null);
  await sessions.putAwayIdle(Date.now() + 1e9);
  expect(sessions.counts().loaded).toBe(1);
  await session.must(pid, "write", { fd: pipefd[1], buf: "x" });
  await held;
  await sessions.putAwayIdle(Date.now() + 1e9);
  expect(sessions.counts().loaded).toBe(0);
});

test("a real machine that was away knows it: the day goes on, its own time does not", async () => {
  const real = await service.session({ machine: { clock: "real" } });
  const before = (await real.ask("get", "/clock")).body;
  await service.service.services.sessions.putAwayIdle(Date.now() + 1e9);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const after = (await real.ask("get", "/clock")).body;
  expect(after.nowNs - before.nowNs).toBeLessThan(250e6);
  expect(Number(BigInt(after.realtimeNs) - BigInt(before.realtimeNs))).toBeGreaterThan(290e6);
  expect(after.boottimeNs - before.boottimeNs).toBeGreaterThan(290e6);
});
