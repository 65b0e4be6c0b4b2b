/** What the store does when the database fails it: a full disk, a commit that is refused, a connection gone bad. */
import { expect, test } from "vitest";
import type { Database } from "../../api/store/client.ts";
import { StoreConflict, StoreFull, StoreUnavailable, openStore } from "../../api/store/index.ts";
import { answer, newDatabase, readAll, row, rows, sweepAll } from "./store-helpers.ts";

/** Lets the database grow by `pages` of 4 KiB and no further: SQLite then answers as for a full disk. */
async function limitGrowth(database: Database, pages: number): Promise<void> {
  await database.run(async (prisma) => {
    const [size] = await prisma.$queryRawUnsafe<{ page_count: bigint }[]>("PRAGMA page_count");
    await prisma.$queryRawUnsafe(`PRAGMA max_page_count = ${Number(size!.page_count) + pages}`);
  });
}

const long = (seq: number) => row(seq, { input: JSON.stringify("x".repeat(100_000)) });

test("a full disk is StoreFull, loses nothing that was answered, and is over when there is room", async () => {
  const { database, store } = await newDatabase();
  await store.appendTurn({ rows: rows(1, 10), idempotency: [answer("a")] });
  await limitGrowth(database, 5);

  await expect(store.appendTurn({ rows: [long(11)] })).rejects.toThrow(StoreFull);
  await expect(store.appendTurn({ rows: [row(11), long(12)], idempotency: [answer("b")] })).rejects.toThrow(StoreFull);
  await expect(store.appendTurn({ rows: [row(11)], idempotency: [answer("b", { body: new Uint8Array(100_000) })] })).rejects.toThrow(StoreFull);
  await expect(store.snapshots.stage(new Uint8Array(100_000))).rejects.toThrow(StoreFull);
  expect(await readAll(store)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(await store.idempotency.find(answer("b").id)).toBeUndefined();

  await limitGrowth(database, 10_000);
  await store.appendTurn({ rows: [long(11)], idempotency: [answer("b")] });
  await store.close();
  const again = await openStore(`file:${store.file}`);
  expect(await readAll(again)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  expect(await again.idempotency.find(answer("a").id)).toBeDefined();
  expect(await again.idempotency.find(answer("b").id)).toBeDefined();
  await again.close();
});

test("a snapshot that filled the disk half way leaves nothing behind", async () => {
  const { database, store } = await newDatabase();
  await limitGrowth(database, 600);
  await expect(store.snapshots.stage(new Uint8Array(4 << 20))).rejects.toThrow(StoreFull);
  await sweepAll(store);
  expect(await database.run((prisma) => prisma.snapshotChunk.count())).toBe(0);
  await expect(store.snapshots.stage(new Uint8Array(1 << 20))).resolves.toEqual(expect.any(String));
});

test("a COMMIT that fails leaves no transaction open, which later work would join and lose", async () => {
  const { database, store } = await newDatabase();
  const failing = database.run((prisma) =>
    prisma.$transaction([
      prisma.$executeRaw`PRAGMA defer_foreign_keys = ON`,
      prisma.$executeRaw`INSERT INTO "JournalRow" VALUES ('nobody', 1, '{}', '', '', ${new Date()})`,
    ]),
  );
  await expect(failing).rejects.toThrow(StoreConflict);

  await store.appendTurn({ rows: [row(1)] });
  await store.appendTurn({ rows: [row(2)], idempotency: [answer("a")] });
  await store.close();
  const again = await openStore(`file:${store.file}`);
  expect(await readAll(again)).toEqual([1, 2]);
  expect(await readAll(again, "nobody")).toEqual([]);
  await again.close();
});

test.each([
  ["P1008", "not in time", { code: "P1008" }],
  ["P2039", "disk I/O error", { code: "P2039", meta: { driverAdapterError: { cause: { originalCode: "SQLITE_IOERR_FSYNC", originalMessage: "disk I/O error" } } } }],
])("after %s the connection is made anew, with everything that it rests on", async (_code, reason, fields) => {
  const { database, store } = await newDatabase();
  await store.appendTurn({ rows: [row(1)] });
  const failing = database.run(async (prisma) => {
    await prisma.$queryRawUnsafe("PRAGMA synchronous = OFF");
    throw Object.assign(new Error("Invalid invocation:\n\nnot in time"), fields);
  });
  await expect(failing).rejects.toThrow(new StoreUnavailable(`The database failed: ${reason}`));

  await store.appendTurn({ rows: [row(2)] });
  expect(await readAll(store)).toEqual([1, 2]);
  const [pragma] = await database.run((prisma) => prisma.$queryRawUnsafe<{ synchronous: bigint }[]>("PRAGMA synchronous"));
  expect(Number(pragma!.synchronous)).toBe(2);
});

test("work that fails does not hold up the work behind it", async () => {
  const { database, store } = await newDatabase();
  const failing = database.run(async () => {
    throw new Error("a mistake");
  });
  const behind = store.appendTurn({ rows: [row(1)] });
  await expect(failing).rejects.toThrow("a mistake");
  await expect(behind).resolves.toBeUndefined();
});

test("the probe writes, and says when it cannot", async () => {
  const { database, store } = await newDatabase();
  await expect(store.probe()).resolves.toBeUndefined();
  await database.run((prisma) => prisma.$queryRawUnsafe("PRAGMA query_only = ON"));
  await expect(store.probe()).rejects.toThrow(StoreUnavailable);
});
