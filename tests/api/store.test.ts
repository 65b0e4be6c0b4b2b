/** What the store keeps, finds again and lets go of; snapshots have a file of their own. */
import { describe, expect, test } from "vitest";
import { InvalidCursor, StoreConflict, idempotencyId, newToken, openStore } from "../../api/store/index.ts";
import { answer, member, newDatabase, newStore, readAll, row, rows, session, snapshot, sweepAll } from "./store-helpers.ts";

describe("a turn", () => {
  test("keeps all that it has, and it is there after the store was closed and opened", async () => {
    const store = await newStore();
    await store.appendTurn({
      sessions: [session("other")],
      members: [member("owner", { sessionId: "other", role: "owner", uid: 0 })],
      rows: [...rows(1, 3), row(1, { sessionId: "other", input: '{"comm":"\\u0000 é \\"quoted\\""}' })],
      idempotency: [answer("a")],
    });
    await store.close();

    const again = await openStore(`file:${store.file}`);
    expect(await readAll(again)).toEqual([1, 2, 3]);
    expect((await again.journal.read("other").next()).value).toMatchObject({ seq: 1, input: '{"comm":"\\u0000 é \\"quoted\\""}' });
    expect(await again.members.findByToken("token of owner")).toMatchObject({ id: "owner", role: "owner", uid: 0 });
    expect(await again.idempotency.find(answer("a").id)).toEqual(answer("a", { body: expect.anything(), expiresAt: expect.any(Date) }));
    await again.close();
  });

  test("with one row that cannot be kept keeps nothing", async () => {
    const store = await newStore();
    await store.appendTurn({ rows: [row(1)] });

    const twice = store.appendTurn({ sessions: [session("new")], rows: [row(2), row(1)], idempotency: [answer("a")] });
    await expect(twice).rejects.toThrow(StoreConflict);
    const stranger = store.appendTurn({ rows: [row(2), row(1, { sessionId: "nobody" })] });
    await expect(stranger).rejects.toThrow(StoreConflict);

    expect(await readAll(store)).toEqual([1]);
    expect(await store.idempotency.find(answer("a").id)).toBeUndefined();
    expect(await store.sessions.get("new")).toBeUndefined();
  });

  test("that is empty is kept too", async () => {
    const store = await newStore();
    await expect(store.appendTurn({})).resolves.toBeUndefined();
  });

  test("never mixes with work given at the same time", async () => {
    const store = await newStore();
    const turns = Array.from({ length: 40 }, (_, at) =>
      // Every fourth turn fails in its second statement, after its first has been carried out.
      store.appendTurn({ rows: [row(at + 1)], idempotency: [answer(`k${at}`, at % 4 === 3 ? { sessionId: "nobody" } : {})] }).then(
        () => "kept",
        () => "failed",
      ),
    );
    const renamed = Array.from({ length: 40 }, (_, at) => store.sessions.setReadOnly("s", `reason ${at}`));
    expect((await Promise.all(turns)).filter((outcome) => outcome === "failed")).toHaveLength(10);
    await Promise.all(renamed);

    const expected = Array.from({ length: 40 }, (_, at) => at + 1).filter((seq) => seq % 4 !== 0);
    expect(await readAll(store)).toEqual(expected);
    expect((await store.sessions.get("s"))?.readOnlyReason).toBe("reason 39");
  });

  test("moves a session's clock mode", async () => {
    const store = await newStore();
    await store.appendTurn({ rows: [row(1)], clockModes: [{ sessionId: "s", mode: "virtual" }] });
    expect((await store.sessions.get("s"))?.clockMode).toBe("virtual");
  });
});

describe("the journal", () => {
  test("is read in order after a row, across pages of rows and of bytes", async () => {
    const store = await newStore();
    await store.appendTurn({ rows: rows(1, 1_201) });
    const long = JSON.stringify("x".repeat(3 << 20));
    for (let seq = 1_202; seq <= 1_205; seq++) await store.appendTurn({ rows: [row(seq, { input: long })] });

    expect(await readAll(store)).toEqual(Array.from({ length: 1_205 }, (_, at) => at + 1));
    expect(await readAll(store, "s", 1_203)).toEqual([1_204, 1_205]);
    expect(await readAll(store, "s", 1_205)).toEqual([]);
  });

  test("takes long and short inputs in one turn, or none of them", async () => {
    const { database, store } = await newDatabase();
    const long = (seq: number) => JSON.stringify(`${seq} "\\ é ${"x".repeat(2 << 20)}`);
    const given = Array.from({ length: 9 }, (_, at) => row(at + 1, { input: at % 3 === 1 ? long(at + 1) : JSON.stringify(`short ${at + 1}`) }));
    await store.appendTurn({ rows: given });
    const read: string[] = [];
    for await (const { input } of store.journal.read("s")) read.push(input);
    expect(read.map((input) => input.length)).toEqual(given.map(({ input }) => input.length));
    expect(read).toEqual(given.map(({ input }) => input));
    const times = await database.run((prisma) => prisma.$queryRaw<{ raw: string }[]>`SELECT DISTINCT CAST("recordedAt" AS TEXT) AS raw FROM "JournalRow"`);
    expect(times).toHaveLength(1);
    await expect(store.appendTurn({ rows: [row(10), row(11, { input: long(11) }), row(9)] })).rejects.toThrow();
    expect((await store.journal.last("s"))?.seq).toBe(9);
  });

  test("knows its newest row and when that was written", async () => {
    const store = await newStore();
    expect(await store.journal.last("s")).toBeUndefined();
    const before = Date.now();
    await store.appendTurn({ rows: rows(1, 7) });
    const last = await store.journal.last("s");
    expect(last?.seq).toBe(7);
    expect(last?.recordedAt.getTime()).toBeGreaterThanOrEqual(before);
  });

  test("writes times as Prisma does, so that both can be compared", async () => {
    const { database, store } = await newDatabase();
    await store.appendTurn({ rows: [row(1)] });
    const [stored] = await database.run(
      (prisma) => prisma.$queryRaw<{ raw: string; model: string }[]>`
        SELECT CAST("recordedAt" AS TEXT) AS raw, CAST("createdAt" AS TEXT) AS model FROM "JournalRow", "Session"`,
    );
    expect(stored?.raw).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/);
    expect(stored?.model).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/);
  });
});

describe("members", () => {
  test("are found by their token, of which only the hash is in the file", async () => {
    const { database, store } = await newDatabase();
    const { token, tokenHash } = newToken();
    await store.appendTurn({ members: [member("m", { tokenHash })] });

    expect(await store.members.findByToken(token)).toMatchObject({ id: "m", sessionId: "s" });
    expect(await store.members.findByToken(tokenHash)).toBeUndefined();
    const [stored] = await database.run((prisma) => prisma.member.findMany());
    expect(JSON.stringify(stored)).not.toContain(token);
    expect(stored?.tokenHash).toMatch(/^[0-9a-f]{64}$/);
  });

  test("have tokens that differ", () => {
    const tokens = new Set(Array.from({ length: 100 }, () => newToken().token));
    expect(tokens.size).toBe(100);
  });

  test("lose their rights the moment they are revoked, and their uid is not given again", async () => {
    const store = await newStore();
    expect(await store.members.nextStudentUid("s")).toBe(1000);
    await store.appendTurn({ members: [member("a"), member("b", { uid: 1001 }), member("boss", { role: "owner", uid: 0 })] });
    expect(await store.members.findByToken("token of b")).toMatchObject({ id: "b" });

    expect(await store.members.revoke("s", "b")).toBe(true);
    expect(await store.members.findByToken("token of b")).toBeUndefined();
    expect(await store.members.get("s", "b")).toBeUndefined();
    expect((await store.members.list("s", { limit: 10 })).items.map(({ id }) => id)).toEqual(["a", "boss"]);
    expect(await store.members.count("s")).toBe(2);
    expect(await store.members.nextStudentUid("s")).toBe(1002);
    expect(await store.members.revoke("s", "b")).toBe(false);
    expect(await store.members.revoke("other", "a")).toBe(false);
    expect(await store.members.findByToken("token of a")).toMatchObject({ id: "a" });
  });
});

describe("lists", () => {
  test("page without losing or repeating an item while others come and go", async () => {
    const store = await newStore();
    await store.appendTurn({ members: Array.from({ length: 5 }, (_, at) => member(`m${at}`)) });
    const first = await store.members.list("s", { limit: 2 });
    await store.members.revoke("s", first.items[1]!.id);
    await store.appendTurn({ members: [member("z")] });
    const second = await store.members.list("s", { limit: 2, cursor: first.nextCursor! });
    const third = await store.members.list("s", { limit: 2, cursor: second.nextCursor! });
    expect([first, second, third].map(({ items }) => items.map(({ id }) => id))).toEqual([["m0", "m1"], ["m2", "m3"], ["m4", "z"]]);
    expect(third.nextCursor).toBeNull();
  });

  test("of sessions show the newest first and no removed one", async () => {
    const store = await newStore();
    for (const id of ["a", "b", "c"]) await store.appendTurn({ sessions: [session(id)] });
    await store.appendTurn({ removed: ["b"] });
    const { items } = await store.sessions.list({ limit: 10 });
    expect(new Set(items.map(({ id }) => id))).toEqual(new Set(["a", "c", "s"]));
    expect(items.map(({ createdAt }) => createdAt.getTime())).toEqual(items.map(({ createdAt }) => createdAt.getTime()).sort((x, y) => y - x));
    expect(await store.sessions.count()).toBe(3);
  });

  test.each(["nonsense", "", "!!!", Buffer.from("12").toString("base64url")])("refuse the cursor %j", async (cursor) => {
    const store = await newStore();
    await expect(store.sessions.list({ limit: 1, cursor })).rejects.toThrow(InvalidCursor);
  });
});

describe("kept answers", () => {
  test("are one for each scope, method, path and key", () => {
    const ids = [
      idempotencyId("a", "POST", "/x", "k"),
      idempotencyId("b", "POST", "/x", "k"),
      idempotencyId("a", "PUT", "/x", "k"),
      idempotencyId("a", "POST", "/y", "k"),
      idempotencyId("a", "POST", "/x", "l"),
      idempotencyId("a", "POST", "/xk", ""),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("come back byte for byte until they expire, and then give way to a new one", async () => {
    const store = await newStore();
    const body = Uint8Array.from({ length: 256 }, (_, at) => at);
    const kept = answer("a", { body, sealed: true, status: 202, callId: "c1", headers: { location: "/é" } });
    await store.appendTurn({ idempotency: [kept] });
    const found = await store.idempotency.find(kept.id);
    expect(found).toMatchObject({ sealed: true, status: 202, callId: "c1", headers: { location: "/é" } });
    expect(Buffer.compare(found!.body, body)).toBe(0);
    expect(found!.expiresAt).toEqual(kept.expiresAt);

    expect(await store.idempotency.find(kept.id, kept.expiresAt)).toBeUndefined();
    await store.appendTurn({ idempotency: [answer("a", { status: 201 })] });
    expect(await store.idempotency.find(kept.id)).toMatchObject({ status: 201 });
  });

  test("of inputs that a restore undoes are forgotten; the restore's own is kept", async () => {
    const store = await newStore();
    await store.appendTurn({ rows: rows(1, 3), idempotency: [answer("before", { seq: 2 }), answer("since", { seq: 3 })] });
    await store.appendTurn({ rows: [row(4)], restored: [{ sessionId: "s", afterSeq: 2 }], idempotency: [answer("restore", { seq: 4 })] });
    expect(await store.idempotency.find(answer("before").id)).toBeDefined();
    expect(await store.idempotency.find(answer("since").id)).toBeUndefined();
    expect(await store.idempotency.find(answer("restore").id)).toBeDefined();
  });

  test("are swept when they have expired", async () => {
    const { database, store } = await newDatabase();
    const soon = new Date(Date.now() + 1_000);
    await store.appendTurn({ idempotency: [answer("soon", { expiresAt: soon }), answer("later"), answer("server", { sessionId: null, seq: null })] });
    await sweepAll(store, soon);
    expect(await database.run((prisma) => prisma.idempotencyKey.count())).toBe(2);
  });
});

describe("a removed session", () => {
  test("is gone for everyone at once, and its rows after the sweep", async () => {
    const { database, store } = await newDatabase();
    await store.appendTurn({ sessions: [session("stays")], rows: [...rows(1, 1_100), row(1, { sessionId: "stays" })], members: [member("m")], idempotency: [answer("a")] });
    await snapshot(store, "snap", new Uint8Array(10));
    expect(await store.members.findByToken("token of m")).toBeDefined();

    await store.appendTurn({ removed: ["s"] });
    expect(await store.sessions.get("s")).toBeUndefined();
    expect(await store.members.findByToken("token of m")).toBeUndefined();
    await sweepAll(store);
    const left = await database.run((prisma) =>
      Promise.all([prisma.session.count(), prisma.journalRow.count(), prisma.member.count(), prisma.snapshot.count(), prisma.idempotencyKey.count(), prisma.snapshotChunk.count()]),
    );
    expect(left).toEqual([1, 1, 0, 0, 0, 0]);
  });
});

describe("benchmarks", () => {
  const run = (id: string, kind = "kecho") => ({ id, kind, params: { clients: 8 }, machine: { cpus: 2 }, repeat: 3, posterHash: null, coreVersion: "1.0.0" });

  test("go from the queue to their result, rows in order", async () => {
    const store = await newStore();
    await store.appendTurn({ benchmarks: [run("a"), run("b", "fibdrv")] });
    expect((await store.benchmarks.unfinished()).map(({ id }) => id)).toEqual(["a", "b"]);

    await store.benchmarks.update("a", { state: "running", startedAt: new Date() });
    await store.benchmarks.appendRows("a", 0, [{ n: 1, us: 0.25, ok: true, note: null }, { n: 2, us: 1e300, ok: false, note: "é" }]);
    await store.benchmarks.appendRows("a", 2, [{ n: 3 }]);
    await expect(store.benchmarks.appendRows("a", 2, [{ n: 4 }])).rejects.toThrow(StoreConflict);
    await expect(store.benchmarks.appendRows("nobody", 0, [{ n: 4 }])).rejects.toThrow(StoreConflict);
    await store.benchmarks.update("a", { state: "done", progress: 1, finishedAt: new Date() });

    expect(await store.benchmarks.get("a")).toMatchObject({ kind: "kecho", params: { clients: 8 }, machine: { cpus: 2 }, state: "done", progress: 1 });
    expect(await store.benchmarks.rows("a")).toEqual([{ n: 1, us: 0.25, ok: true, note: null }, { n: 2, us: 1e300, ok: false, note: "é" }, { n: 3 }]);
    expect(await store.benchmarks.rows("a", 1, 1)).toEqual([{ n: 2, us: 1e300, ok: false, note: "é" }]);
    expect((await store.benchmarks.unfinished()).map(({ id }) => id)).toEqual(["b"]);
  });

  test("are listed by kind and state, and removed with their rows", async () => {
    const { database, store } = await newDatabase();
    await store.appendTurn({ benchmarks: [run("a"), run("b", "fibdrv"), run("c")] });
    await store.benchmarks.update("c", { state: "failed", error: "no such module" });
    expect((await store.benchmarks.list({ limit: 10, kind: "kecho" })).items.map(({ id }) => id).sort()).toEqual(["a", "c"]);
    expect((await store.benchmarks.list({ limit: 10, kind: "kecho", state: "failed" })).items).toMatchObject([{ id: "c", error: "no such module" }]);

    await store.benchmarks.appendRows("a", 0, [{ n: 1 }]);
    await store.benchmarks.clearRows("a");
    expect(await store.benchmarks.rows("a")).toEqual([]);
    await store.benchmarks.appendRows("a", 0, [{ n: 1 }]);
    expect(await store.benchmarks.remove("a")).toBe(true);
    expect(await store.benchmarks.remove("a")).toBe(false);
    expect(await store.benchmarks.update("a", { progress: 0.5 })).toBe(false);
    expect(await database.run((prisma) => prisma.benchmarkRow.count())).toBe(0);
  });
});
