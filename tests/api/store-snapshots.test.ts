/** Snapshots: staged in slices, shared between sessions, swept when nothing names them. */
import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { StoreConflict, StoreUnavailable } from "../../api/store/index.ts";
import { newDatabase, newStore, readAll, row, session, snapshot, sweepAll } from "./store-helpers.ts";

describe("snapshots", () => {
  const bytes = (length: number, seed: number) => Uint8Array.from({ length }, (_, at) => (at * seed) & 0xff);

  test.each([0, 1, 1 << 20, (5 << 19) + 3])("give back their %d bytes", async (length) => {
    const store = await newStore();
    await snapshot(store, "a", bytes(length, 7), { atNs: 2 ** 53 - 1 });
    const found = await store.snapshots.get("s", "a");
    expect(found).toMatchObject({ kind: "auto", seq: 1, size: length, atNs: 2 ** 53 - 1 });
    expect(Buffer.compare(await store.snapshots.read(found!), bytes(length, 7))).toBe(0);
  });

  test("are offered to a restart from the newest down, never beyond the journal", async () => {
    const store = await newStore();
    for (const seq of [0, 4, 9]) await snapshot(store, `a${seq}`, bytes(8, seq + 1), { seq });
    await snapshot(store, "named", bytes(8, 99), { seq: 6, kind: "named", name: "before the exam" });
    expect((await store.snapshots.newest("s", 8)).map(({ id }) => id)).toEqual(["named", "a4", "a0"]);
    expect((await store.snapshots.newest("s", 9, 1)).map(({ id }) => id)).toEqual(["a9"]);
    expect((await store.snapshots.list("s", { limit: 10 })).items.map(({ name }) => name)).toEqual(["before the exam"]);
  });

  test("that are automatic are pruned to the newest; named ones stay until they are removed", async () => {
    const store = await newStore();
    for (const seq of [1, 2, 3, 4]) await snapshot(store, `a${seq}`, bytes(8, seq), { seq });
    await snapshot(store, "named", bytes(8, 9), { seq: 1, kind: "named", name: "n" });
    await store.snapshots.pruneAutos("s");
    expect((await store.snapshots.newest("s", 9, 10)).map(({ id }) => id)).toEqual(["a4", "a3", "named"]);
    expect(await store.snapshots.remove("s", "a4")).toBe(false);
    expect(await store.snapshots.remove("s", "named")).toBe(true);
    expect(await store.snapshots.remove("s", "named")).toBe(false);
    expect(await store.snapshots.count("s")).toBe(0);
  });

  test("share content between sessions; the bytes go when the last has gone, and staged ones stay", async () => {
    const { database, store } = await newDatabase();
    const chunks = () => database.run((prisma) => prisma.snapshotChunk.count());
    await snapshot(store, "original", bytes(100, 3), { kind: "named" });
    const { contentId } = (await store.snapshots.find("original"))!;
    await store.appendTurn({
      sessions: [session("fork")],
      snapshots: [{ id: "base", sessionId: "fork", kind: "auto", name: null, seq: 0, atNs: 1, coreVersion: "1.0.0", format: 1, contentId }],
    });
    await store.appendTurn({ removed: ["s"] });
    const staged = await store.snapshots.stage(bytes(10, 1));
    await sweepAll(store);
    expect(await store.snapshots.find("original")).toBeUndefined();
    expect(Buffer.compare(await store.snapshots.read((await store.snapshots.find("base"))!), bytes(100, 3))).toBe(0);
    expect(await chunks()).toBe(2);

    await store.appendTurn({
      snapshots: [{ id: "next", sessionId: "fork", kind: "auto", name: null, seq: 1, atNs: 1, coreVersion: "1.0.0", format: 1, contentId: staged }],
    });
    const givenUp = await store.snapshots.stage(bytes(10, 1));
    store.snapshots.unstage(givenUp);
    await store.appendTurn({ removed: ["fork"] });
    await sweepAll(store);
    expect(await chunks()).toBe(0);
  });

  test("are not swept while they are being staged", async () => {
    const store = await newStore();
    const staging = store.snapshots.stage(bytes(3 << 20, 5));
    let staged = false;
    void staging.then(() => (staged = true));
    while (!staged) {
      await store.sweep();
      await setImmediate();
    }
    await store.appendTurn({
      snapshots: [{ id: "a", sessionId: "s", kind: "auto", name: null, seq: 1, atNs: 1, coreVersion: "1.0.0", format: 1, contentId: await staging }],
    });
    const found = await store.snapshots.get("s", "a");
    expect(Buffer.compare(await store.snapshots.read(found!), bytes(3 << 20, 5))).toBe(0);
  });

  test("cannot name content that is not there", async () => {
    const store = await newStore();
    const turn = store.appendTurn({
      rows: [row(1)],
      snapshots: [{ id: "x", sessionId: "s", kind: "auto", name: null, seq: 1, atNs: 1, coreVersion: "1.0.0", format: 1, contentId: "gone" }],
    });
    await expect(turn).rejects.toThrow(StoreConflict);
    expect(await readAll(store)).toEqual([]);
  });

  test("with missing bytes are refused rather than read short", async () => {
    const { database, store } = await newDatabase();
    await snapshot(store, "a", bytes(3 << 20, 3));
    await database.run((prisma) => prisma.snapshotChunk.deleteMany({ where: { index: 1 } }));
    const found = await store.snapshots.get("s", "a");
    await expect(store.snapshots.read(found!)).rejects.toThrow(StoreUnavailable);
  });
});
