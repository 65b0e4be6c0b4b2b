/** Limits of a session: each answers 429 and goes away again; nothing of what was refused is left behind. */
import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { LIMITS } from "../../api/limits.ts";
import { TestService, wait, type TestSession } from "../helpers/service.ts";

let service: TestService;
let session: TestSession;
let pid: number;
beforeAll(async () => void (service = await TestService.start()));
beforeEach(async () => {
  session = await service.session();
  pid = await session.process();
});
afterAll(() => service.stop());

/** So many children of `pid`, made in batches. */
async function children(count: number): Promise<number[]> {
  const made: number[] = [];
  while (made.length < count) {
    const { body } = await session.batch(pid, Array.from({ length: Math.min(1_000, count - made.length) }, () => ({ call: "fork" })));
    made.push(...body.results.map((result: { ret: number }) => result.ret));
  }
  return made;
}

test("a session has 4,096 processes; one more is 429, and EAGAIN to fork", async () => {
  const all = async () => {
    let count = 0;
    let path = "/processes?limit=200";
    for (;;) {
      const { items, nextCursor } = (await session.ask("get", path)).body as { items: unknown[]; nextCursor: string | null };
      count += items.length;
      if (nextCursor === null) return count;
      path = `/processes?limit=200&cursor=${nextCursor}`;
    }
  };
  const made = await children(4_096 - (await all()));
  expect(made.every((child) => child > 0)).toBe(true);
  expect(await all()).toBe(4_096);
  const refused = await session.ask("post", "/processes", { json: {} });
  expect(refused.body).toMatchObject({ status: 429, type: "/problems/too-many" });
  expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
  expect((await session.call(pid, "fork")).body).toMatchObject({ ret: -1, errno: "EAGAIN" });
  expect((await session.ask("put", "/fs/tmp/a", { raw: "x" })).status).toBe(429);
  await session.ask("delete", `/processes/${made[0]}`);
  await session.must(pid, "wait4", { pid: made[0] });
  expect((await session.ask("post", "/processes", { json: {} })).status).toBe(201);
  expect(await all()).toBe(4_096);
});

test("1,024 calls sleep; one more is 429 and has done nothing, and what does not sleep goes on", async () => {
  const { pipefd } = await session.must(pid, "pipe2");
  const sleepers = await children(1_025);
  const read = (by: number) => session.call(by, "read", { fd: pipefd[0], count: 1 }, wait(0));
  const last = sleepers.pop()!;
  for (const sleeper of sleepers) expect((await read(sleeper)).status).toBe(202);
  for (const options of [wait(0), wait(10), { headers: { "Idempotency-Key": "again" } }]) {
    const refused = await session.call(last, "read", { fd: pipefd[0], count: 1 }, options);
    expect(refused.body).toMatchObject({ status: 429, type: "/problems/too-many" });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
  }
  expect((await session.ask("get", `/processes/${last}`)).body.call).toBeNull();
  await session.must(pid, "mknod", { pathname: "/tmp/fifo", mode: "S_IFIFO|0666" });
  expect((await session.ask("put", "/fs/tmp/fifo", { raw: "x", ...wait(0) })).status).toBe(429);
  expect((await session.must(last, "getpid")).ret).toBe(last);
  expect((await session.batch(last, [{ call: "getpid" }, { call: "read", args: { fd: pipefd[0], count: 1 } }, { call: "getpid" }])).body.results)
    .toMatchObject([{ ret: last }, { ret: -1, errno: "EINTR" }]);
  // Others are woken as ever, and then there is room.
  await session.must(pid, "write", { fd: pipefd[1], buf: "x" });
  const asleep = await session.call(last, "read", { fd: pipefd[0], count: 1 }, { headers: { "Idempotency-Key": "again", Prefer: "wait=0" } });
  expect([asleep.status, asleep.headers["idempotency-replayed"]]).toEqual([202, undefined]);
  expect((await session.ask("delete", `/calls/${asleep.body.callId}`)).body.errno).toBe("EINTR");
});

test("a page has 1 to 200 items, and a cursor is one that was given", async () => {
  for (const limit of [0, 201, -1, "x"]) expect((await session.ask("get", `/processes?limit=${limit}`)).status).toBe(422);
  expect((await session.ask("get", "/processes?limit=1")).body.items).toHaveLength(1);
  expect((await session.ask("get", "/processes?limit=2&cursor=nonsense")).status).toBe(422);
});

test("a seed is a safe whole number, and says so", async () => {
  const made = async (seed: unknown) => (await service.ask("post", "/v1/sessions", { json: { machine: { seed } } })).body;
  for (const seed of ["9007199254740992", "0x20000000000000", "18446744073709551615", -1, 1.5, "x", true, null]) {
    expect(await made(seed)).toMatchObject({
      status: 422, errors: [{ path: "/machine/seed", message: expect.stringContaining("from 0 to 9007199254740991") as string }],
    });
  }
  const raw = await service.ask("post", "/v1/sessions", { raw: '{"machine":{"seed":9007199254740993}}', type: "application/json" });
  expect(raw.body).toMatchObject({ status: 422, errors: [{ path: "/machine/seed" }] });
  for (const [seed, read] of [["9007199254740991", 9007199254740991], ["0x10", 16], [0, 0]]) expect((await made(seed)).machine.seed).toBe(read);
});

test("snapshots and members made at once are no more than those made one after the other", async () => {
  const { snapshots, members } = service.service.services.store;
  const original = { snapshots: snapshots.count.bind(snapshots), members: members.count.bind(members) };
  snapshots.count = async (id) => 97 + (await original.snapshots(id));
  members.count = async (id) => 996 + (await original.members(id));
  try {
    const made = await Promise.all(Array.from({ length: 8 }, () => session.ask("post", "/snapshots", { json: {} })));
    expect(made.map(({ status }) => status).sort()).toEqual([201, 201, 201, 507, 507, 507, 507, 507]);
    const joined = await Promise.all(Array.from({ length: 8 }, () => session.ask("post", "/members", { json: { name: "x", role: "student" } })));
    expect(joined.map(({ status }) => status).sort()).toEqual([201, 201, 201, 507, 507, 507, 507, 507]);
  } finally {
    snapshots.count = original.snapshots;
    members.count = original.members;
  }
});

test("4,096 requests are held in a session; one more is 429", async () => {
  const asleep = await session.ask("post", "/commands", { json: { script: "sleep 1000" }, ...wait(0) });
  const { heldRequests } = LIMITS;
  const path = `/v1/sessions/${session.id}/calls/${asleep.body.callId as string}`;
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  const one = `GET ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${session.token}\r\nPrefer: wait=200\r\n\r\n`;
  socket.write(one.repeat(heldRequests));
  const held = async () => Number(/^syslab_held (\d+)/m.exec((await service.ask("get", "/metrics")).text)![1]);
  while ((await held()) < heldRequests) await new Promise((resolve) => setTimeout(resolve, 20));
  expect((await session.ask("get", path.replace(session.path, ""), wait(200))).body).toMatchObject({ status: 429, type: "/problems/too-many" });
  expect((await session.ask("get", path.replace(session.path, ""), wait(0))).status).toBe(200);
  await session.ask("delete", path.replace(session.path, ""));
  expect(await held()).toBe(0);
  socket.destroy();
});
