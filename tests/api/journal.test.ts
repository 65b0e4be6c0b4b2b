/** The journal: one commit a turn, clock moves that force none, and replay that does again what was done. */
import Database from "better-sqlite3";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Session } from "../../api/sessions/session.ts";
import type { Turn } from "../../api/store/index.ts";
import { TestService, wait, type TestSession } from "../helpers/service.ts";

let service: TestService;
beforeEach(async () => void (service = await TestService.start()));
afterEach(() => service.stop());

/** Every commit from now on. */
function commits(): Turn[] {
  const turns: Turn[] = [];
  const { store } = service.service.services;
  const append = store.appendTurn.bind(store);
  vi.spyOn(store, "appendTurn").mockImplementation((turn) => {
    turns.push({ ...turn, rows: [...(turn.rows ?? [])] });
    return append(turn);
  });
  return turns;
}

async function inMemory(session: TestSession): Promise<Session> {
  return service.service.services.sessions.find(session.id);
}

/** Stops, forgets all snapshots, and starts on the journal alone. */
async function replay(): Promise<void> {
  await service.stop({ keep: true });
  const database = new Database(join(service.directory, "syslab.db"));
  database.exec(`DELETE FROM "Snapshot"`);
  database.close();
  service = await TestService.start({}, service.directory);
}

/** What callers see of a session, time aside. */
async function seen(session: TestSession) {
  const state = {
    ps: (await session.ask("get", "/processes?limit=200")).body,
    trace: (await session.ask("get", "/trace")).text,
    dmesg: (await session.ask("get", "/dmesg")).text,
    files: (await session.ask("get", "/fs/tmp")).body,
    modules: (await session.ask("get", "/modules")).body,
  };
  expect((await session.ask("get", "")).body.state).toBe("ready");
  return state;
}

test("requests of one turn of the event loop share a commit, whatever their session", async () => {
  const made = await Promise.all([1, 2, 3].map(() => service.session()));
  const pids = await Promise.all(made.map((session) => session.process()));
  const { sessions } = service.service.services;
  const turns = commits();
  const request = { id: "test", waitMs: 0, ticket: null };
  const replies = await Promise.all(Array.from({ length: 60 }, (_, at) => sessions.act(made[at % 3]!.id, {
    request,
    input: () => ({ type: "syscall", callId: sessions.newCallId(), pid: pids[at % 3]!, call: "getpid" }),
    reply: ({ text }) => ({ status: 200, serialized: text }),
  })));
  expect(replies.every((reply) => reply.status === 200)).toBe(true);
  expect(turns.map((turn) => turn.rows!.length)).toEqual([60]);
});

test("timers that nobody waits for force no commit, and share rows", async () => {
  const session = await service.session({ machine: { clock: "real" } });
  const pid = await session.process();
  await session.must(pid, "rt_sigaction", { signum: "SIGALRM", act: { sa_handler: "count" } });
  const each = { tv_sec: 0, tv_usec: 5_000 };
  await session.must(pid, "setitimer", { which: "ITIMER_REAL", new_value: { it_interval: each, it_value: each } });
  const turns = commits();
  const { live } = await inMemory(session);
  const before = live!.nowNs;
  while (live!.nowNs < before + 200e6) await new Promise((resolve) => setTimeout(resolve, 10));
  // A machine so slow that a slice cut a move off gave that a row.
  const cut = turns.some((turn) => turn.rows!.some(({ input }) => input.startsWith('{"budget"')));
  expect(cut ? [] : turns).toEqual([]);
  await session.ask("get", "/clock");
  const rows = turns.flatMap((turn) => turn.rows!);
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.length).toBeLessThan(40);
  await replay();
  expect((await session.on(service).ask("get", "")).body.state).toBe("ready");
  expect((await session.on(service).ask("get", "/clock")).body.nowNs).toBeGreaterThan(before + 200e6);
  expect((await session.on(service).ask("get", "")).body.state).toBe("ready");
});

test("an answer that saw the clock leaves after the move is kept", async () => {
  const session = await service.session({ machine: { clock: "real" } });
  await session.process();
  const turns = commits();
  const { body } = await session.ask("get", "/clock");
  const last = JSON.parse(turns.at(-1)!.rows!.at(-1)!.input) as { type: string; atNs: number; byNs: number };
  expect([last.type, last.atNs + last.byNs]).toEqual(["advance", body.nowNs]);
});

test("a look at a virtual session keeps nothing", async () => {
  const session = await service.session();
  const pid = await session.process();
  const turns = commits();
  for (const path of ["/clock", "/processes", `/processes/${pid}`, "/fs/proc/stat", "/dmesg", "/trace", "/modules"]) await session.ask("get", path);
  expect(turns.flatMap((turn) => turn.rows!)).toEqual([]);
});

test("a journal alone brings a virtual session back as it was, sliced or not", async () => {
  const session = await service.session();
  const pid = await session.process();
  (await inMemory(session)).live!.sliceSteps = 16;
  const { pipefd } = await session.must(pid, "pipe2");
  const readers = await Promise.all([1, 2, 3].map(async () => (await session.must(pid, "fork")).ret as number));
  for (const reader of readers) await session.call(reader, "read", { fd: pipefd[0], count: 100 }, wait(0));
  await session.ask("put", "/fs/tmp/big", { raw: Buffer.alloc(3 << 20, "x") });
  await session.ask("post", "/modules", { json: { name: "ksocket" } });
  await session.batch(pid, Array.from({ length: 5_000 }, () => ({ call: "getpid" })));
  const napper = await session.process();
  await session.batch(napper, Array.from({ length: 200 }, () => ({ call: "nanosleep", args: { req: { tv_sec: 0, tv_nsec: 1_000_000 } } })), wait(0));
  await session.ask("post", "/clock/advance", { json: { ms: 150 } });
  await session.must(pid, "write", { fd: pipefd[1], buf: "abc" });
  await session.ask("post", "/clock/advance", { json: { ms: 2_000 } });
  const [before, clock] = [await seen(session), (await session.ask("get", "/clock")).body];
  await replay();
  const again = session.on(service);
  expect(await seen(again)).toEqual(before);
  expect((await again.ask("get", "/clock")).body).toEqual(clock);
});

test("a journal alone brings a real session back, with what its timers did", async () => {
  const session = await service.session({ machine: { clock: "real" } });
  const pid = await session.process();
  (await inMemory(session)).live!.sliceSteps = 16;
  const nappers = await Promise.all(Array.from({ length: 5 }, () => session.process()));
  const naps = nappers.map((napper, at) => session.batch(napper, Array.from({ length: 10 }, () => ({ call: "nanosleep", args: { req: { tv_sec: 0, tv_nsec: (at + 1) * 1_000_000 } } }))));
  for (let count = 0; count < 20; count++) {
    await session.must(pid, "dup", { oldfd: 0 });
    await session.call(pid, "close", { color: 1 });
    await session.call(4_000_000, "getpid");
    await session.ask("get", "/clock");
  }
  for (const nap of await Promise.all(naps)) expect(nap.body.results).toHaveLength(10);
  const before = await seen(session);
  await replay();
  expect(await seen(session.on(service))).toEqual(before);
});

test("a busy session's long move does not stop others, nor its own calls", async () => {
  const [busy, quiet] = [await service.session(), await service.session()];
  const [napper, pid, other] = [await busy.process(), await busy.process(), await quiet.process()];
  await busy.batch(napper, Array.from({ length: 10_000 }, () => ({ call: "nanosleep", args: { req: { tv_sec: 0, tv_nsec: 100_000 } } })), wait(0));
  (await inMemory(busy)).live!.sliceSteps = 16;
  let moved = false;
  const move = busy.ask("post", "/clock/advance", { json: { ms: 3_000 } }).then((answer) => {
    moved = true;
    return answer;
  });
  let between = 0;
  for (; !moved; between++) {
    expect((await quiet.must(other, "getpid")).ret).toBe(other);
    expect((await busy.must(pid, "getpid")).ret).toBe(pid);
  }
  expect(between).toBeGreaterThan(3);
  expect((await move).body.nowNs).toBeGreaterThanOrEqual(3_000e6);
  const { nowNs } = (await busy.ask("get", "/clock")).body;
  await replay();
  expect((await busy.on(service).ask("get", "/clock")).body.nowNs).toBe(nowNs);
  expect((await busy.on(service).ask("get", "")).body.state).toBe("ready");
});

test("two advances at once both happen", async () => {
  const session = await service.session();
  const before = (await session.ask("get", "/clock")).body.nowNs;
  const moves = await Promise.all([session.ask("post", "/clock/advance", { json: { ms: 5 } }), session.ask("post", "/clock/advance", { json: { ms: 7 } })]);
  expect(moves.map((answer) => answer.status)).toEqual([200, 200]);
  expect((await session.ask("get", "/clock")).body.nowNs).toBe(before + 12e6);
});
