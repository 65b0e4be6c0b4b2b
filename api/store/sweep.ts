/** Deletes what is no longer needed, a slice at a time, so that nobody waits long behind it. */
import type { PrismaClient } from "./generated/client.ts";

const ROWS = 500;
const CHUNKS = 4;

/** Does one slice of the first kind of work there is; true when there may be more. `staged` content is left alone. */
export async function sweepOnce(prisma: PrismaClient, staged: ReadonlySet<string>, now: Date): Promise<boolean> {
  return (
    (await sweepRemovedSession(prisma)) ||
    (await sweepContent(prisma, [...staged])) ||
    (await sweepChunks(prisma, [...staged])) ||
    (await sweepExpiredAnswers(prisma, now))
  );
}

async function sweepRemovedSession(prisma: PrismaClient): Promise<boolean> {
  const session = await prisma.session.findFirst({ where: { deletedAt: { not: null } }, select: { id: true } });
  if (session === null) return false;
  const rows = await prisma.$executeRaw`
    DELETE FROM "JournalRow" WHERE rowid IN (SELECT rowid FROM "JournalRow" WHERE "sessionId" = ${session.id} LIMIT ${ROWS})`;
  if (rows > 0) return true;
  const answers = await prisma.$executeRaw`
    DELETE FROM "IdempotencyKey" WHERE rowid IN (SELECT rowid FROM "IdempotencyKey" WHERE "sessionId" = ${session.id} LIMIT ${ROWS})`;
  if (answers === 0) await prisma.session.deleteMany({ where: { id: session.id } }); // its members and snapshots go with it
  return true;
}

/** Content goes before its chunks: a snapshot that names it while it is swept is refused, never half there. */
async function sweepContent(prisma: PrismaClient, staged: string[]): Promise<boolean> {
  const { count } = await prisma.snapshotContent.deleteMany({ where: { id: { notIn: staged }, snapshots: { none: {} } } });
  return count > 0;
}

async function sweepChunks(prisma: PrismaClient, staged: string[]): Promise<boolean> {
  const deleted = await prisma.$executeRaw`
    DELETE FROM "SnapshotChunk" WHERE rowid IN (
      SELECT rowid FROM "SnapshotChunk"
      WHERE "contentId" NOT IN (SELECT "id" FROM "SnapshotContent")
        AND "contentId" NOT IN (SELECT value FROM json_each(${JSON.stringify(staged)}))
      LIMIT ${CHUNKS})`;
  return deleted > 0;
}

async function sweepExpiredAnswers(prisma: PrismaClient, now: Date): Promise<boolean> {
  const deleted = await prisma.$executeRaw`
    DELETE FROM "IdempotencyKey" WHERE rowid IN (SELECT rowid FROM "IdempotencyKey" WHERE "expiresAt" <= ${now} LIMIT ${ROWS})`;
  return deleted === ROWS;
}
