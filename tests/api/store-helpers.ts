/** What the store's tests share: databases in a directory of their own, and rows with everything but the point filled in. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { Database } from "../../api/store/client.ts";
import {
  Store,
  hashToken,
  idempotencyId,
  openStore,
  type IdempotencyRecord,
  type JournalRow,
  type NewMember,
  type NewSession,
  type NewSnapshot,
} from "../../api/store/index.ts";
import { DEFAULT_MACHINE } from "../../core/machine.ts";

export const migrationsDir = join(dirname(fileURLToPath(import.meta.url)), "../../prisma/migrations");

/** A directory that goes away with the test. */
export function tempDir(): string {
  const directory = mkdtempSync(join(tmpdir(), "syslab-store-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A new store with the session "s"; it is closed with the test. */
export async function newStore(): Promise<Store> {
  const store = await openStore(`file:${join(tempDir(), "test.db")}`);
  onTestFinished(() => store.close());
  await store.appendTurn({ sessions: [session("s")] });
  return store;
}

/** The same, with the connection in hand. */
export async function newDatabase(): Promise<{ database: Database; store: Store }> {
  const database = new Database(join(tempDir(), "test.db"), migrationsDir);
  await database.open();
  onTestFinished(() => database.close());
  const store = new Store(database);
  await store.appendTurn({ sessions: [session("s")] });
  return { database, store };
}

export function session(id: string): NewSession {
  return { id, name: `session ${id}`, machine: DEFAULT_MACHINE, clockMode: "real", coreVersion: "1.0.0" };
}

export function member(id: string, more: Partial<NewMember> = {}): NewMember {
  return { id, sessionId: "s", name: id, role: "student", uid: 1000, tokenHash: hashToken(`token of ${id}`), ...more };
}

export function row(seq: number, more: Partial<JournalRow> = {}): JournalRow {
  return { sessionId: "s", seq, input: `{"type":"run","atNs":${seq}}`, outputHash: `hash ${seq}`, coreVersion: "1.0.0", ...more };
}

export function rows(from: number, to: number): JournalRow[] {
  return Array.from({ length: to - from + 1 }, (_, at) => row(from + at));
}

export function answer(key: string, more: Partial<IdempotencyRecord> = {}): IdempotencyRecord {
  return {
    id: idempotencyId("token", "POST", "/v1/x", key),
    bodyHash: "hash of the body",
    sessionId: "s",
    seq: 1,
    status: 200,
    headers: { "content-type": "application/json" },
    body: new TextEncoder().encode('{"ret":3}'),
    sealed: false,
    callId: null,
    expiresAt: new Date(Date.now() + 3_600_000),
    ...more,
  };
}

/** Stages `bytes` and keeps them as a snapshot of "s". */
export async function snapshot(store: Store, id: string, bytes: Uint8Array, more: Partial<NewSnapshot> = {}): Promise<void> {
  const contentId = await store.snapshots.stage(bytes);
  await store.appendTurn({
    snapshots: [{ id, sessionId: "s", kind: "auto", name: null, seq: 1, atNs: 1, coreVersion: "1.0.0", format: 1, contentId, ...more }],
  });
}

export async function readAll(store: Store, sessionId = "s", afterSeq = 0): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of store.journal.read(sessionId, afterSeq)) seqs.push(seq);
  return seqs;
}

/** Sweeps until there is nothing left to sweep. */
export async function sweepAll(store: Store, now?: Date): Promise<void> {
  while (await store.sweep(now));
}
