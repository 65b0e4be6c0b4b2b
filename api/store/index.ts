/** The store: all that outlives the server, in one SQLite file that this process alone holds. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Benchmarks } from "./benchmarks.ts";
import { Database } from "./client.ts";
import { databaseFile } from "./connection.ts";
import { Idempotency } from "./idempotency.ts";
import { Journal } from "./journal.ts";
import { Members } from "./members.ts";
import { Sessions } from "./sessions.ts";
import { Snapshots } from "./snapshots.ts";
import { sweepOnce } from "./sweep.ts";
import { writeTurn, type Turn } from "./turn.ts";

export type { BenchmarkFilter, BenchmarkRow, BenchmarkRunRecord, BenchmarkState, NewBenchmarkRun } from "./benchmarks.ts";
export { StoreConflict, StoreError, StoreFull, StoreRefused, StoreUnavailable } from "./errors.ts";
export { idempotencyId, type IdempotencyRecord } from "./idempotency.ts";
export type { JournalRecord, JournalRow } from "./journal.ts";
export { hashToken, newToken, type MemberRecord, type NewMember, type Role } from "./members.ts";
export { InvalidCursor, type Page, type PageQuery } from "./page.ts";
export type { ClockMode, NewSession, SessionRecord } from "./sessions.ts";
export type { NewSnapshot, SnapshotRecord } from "./snapshots.ts";
export type { Turn } from "./turn.ts";

const MIGRATIONS = join(dirname(fileURLToPath(import.meta.url)), "../../prisma/migrations");

/**
 * Every method may throw StoreFull (the disk is full: try again when there is room) and StoreUnavailable; what is written
 * may throw StoreConflict. When a promise has resolved, what it wrote is on the disk.
 */
export class Store {
  readonly sessions: Sessions;
  readonly members: Members;
  readonly journal: Journal;
  readonly snapshots: Snapshots;
  readonly idempotency: Idempotency;
  readonly benchmarks: Benchmarks;
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    this.sessions = new Sessions(database);
    this.members = new Members(database);
    this.journal = new Journal(database);
    this.snapshots = new Snapshots(database);
    this.idempotency = new Idempotency(database);
    this.benchmarks = new Benchmarks(database);
  }

  /** The absolute path of the database. */
  get file(): string {
    return this.#database.file;
  }

  /** Keeps all of `turn` in one commit, or nothing of it. */
  appendTurn(turn: Turn): Promise<void> {
    return this.#database.run(async (prisma, append) => {
      await writeTurn(prisma, append, turn);
      for (const sessionId of turn.removed ?? []) this.members.forgetSession(sessionId);
      for (const { contentId } of turn.snapshots ?? []) this.snapshots.unstage(contentId);
    });
  }

  /** Deletes one slice of what is no longer needed (removed sessions, unnamed snapshot bytes, expired answers); true when there may be more. */
  sweep(now = new Date()): Promise<boolean> {
    return this.#database.run((prisma) => sweepOnce(prisma, this.snapshots.staged, now));
  }

  /** Resolves when the database takes writes. */
  async probe(): Promise<void> {
    const checkedAt = new Date();
    await this.#database.run((prisma) => prisma.probe.upsert({ where: { id: 1 }, create: { id: 1, checkedAt }, update: { checkedAt } }));
  }

  /** Ends after the work under way, and lets go of the file. */
  close(): Promise<void> {
    return this.#database.close();
  }
}

/**
 * Opens `file:<path>`, creates what is missing and applies what the database lacks of `migrations`. Throws StoreRefused, whose
 * message is one sentence, when another process holds the file, or it is newer than this program, or not ours.
 */
export async function openStore(databaseUrl: string, migrations = MIGRATIONS): Promise<Store> {
  const database = new Database(databaseFile(databaseUrl), migrations);
  await database.open();
  return new Store(database);
}
