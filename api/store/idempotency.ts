/** Kept answers: what a request with the same Idempotency-Key gets again. */
import { createHash } from "node:crypto";
import type { Database } from "./client.ts";
import { Prisma, type PrismaClient } from "./generated/client.ts";

export interface IdempotencyRecord {
  /** Of `idempotencyId`. */
  id: string;
  /** SHA-256 of the request's body. */
  bodyHash: string;
  sessionId: string | null;
  /** The session's newest journal row when the answer was made; null outside a session. */
  seq: number | null;
  status: number;
  headers: Record<string, string>;
  body: Uint8Array;
  /** Whether `body` is encrypted under a key derived from the Idempotency-Key. */
  sealed: boolean;
  /** The call whose present state a kept 202 answers. */
  callId: string | null;
  expiresAt: Date;
}

/** One word for scope (a token, or "server"), method, path and key. The key itself is never kept: it may open a sealed body. */
export function idempotencyId(scope: string, method: string, path: string, key: string): string {
  return createHash("sha256").update(JSON.stringify([scope, method, path, key])).digest("hex");
}

export class Idempotency {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The kept answer, unless it has expired by `now`. */
  find(id: string, now = new Date()): Promise<IdempotencyRecord | undefined> {
    return this.#database.run(async (prisma) => {
      const row = await prisma.idempotencyKey.findUnique({ where: { id, expiresAt: { gt: now } }, omit: { createdAt: true } });
      return row === null ? undefined : { ...row, headers: JSON.parse(row.headers) as Record<string, string> };
    });
  }
}

/** An expired record of the same id gives way. */
export function insertIdempotency(prisma: PrismaClient, records: IdempotencyRecord[], createdAt: Date) {
  const rows = records.map(
    (record) => Prisma.sql`(${record.id}, ${record.bodyHash}, ${record.sessionId}, ${record.seq}, ${record.status},
      ${JSON.stringify(record.headers)}, ${record.body}, ${record.sealed}, ${record.callId}, ${createdAt}, ${record.expiresAt})`,
  );
  return prisma.$executeRaw`
    INSERT OR REPLACE INTO "IdempotencyKey" ("id", "bodyHash", "sessionId", "seq", "status",
      "headers", "body", "sealed", "callId", "createdAt", "expiresAt") VALUES ${Prisma.join(rows)}`;
}

/** A restore undoes the inputs after `afterSeq`: repeating one of them is to act again. */
export function forgetIdempotency(prisma: PrismaClient, sessionId: string, afterSeq: number) {
  return prisma.idempotencyKey.deleteMany({ where: { sessionId, seq: { gt: afterSeq } } });
}
