/** What one turn of the event loop wants kept: written in one transaction, so it is there as a whole or not at all. */
import { insertBenchmarkRuns, type NewBenchmarkRun } from "./benchmarks.ts";
import type { Prisma, PrismaClient } from "./generated/client.ts";
import { forgetIdempotency, insertIdempotency, type IdempotencyRecord } from "./idempotency.ts";
import { areShort, insertRows, type Append, type JournalRow } from "./journal.ts";
import { insertMembers, type NewMember } from "./members.ts";
import { insertSessions, removeSessions, updateClockMode, type ClockMode, type NewSession } from "./sessions.ts";
import { insertSnapshots, type NewSnapshot } from "./snapshots.ts";

export interface Turn {
  /** Journal rows of any sessions, those of one session in order. */
  rows?: JournalRow[];
  /** Answers to keep. */
  idempotency?: IdempotencyRecord[];
  sessions?: NewSession[];
  members?: NewMember[];
  /** Of content that was staged, or of another snapshot's content. */
  snapshots?: NewSnapshot[];
  benchmarks?: NewBenchmarkRun[];
  clockModes?: { sessionId: string; mode: ClockMode }[];
  /** Restores: kept answers of inputs after `afterSeq` are forgotten, before this turn's own are kept. */
  restored?: { sessionId: string; afterSeq: number }[];
  /** Sessions to remove, by id. */
  removed?: string[];
}

export async function writeTurn(prisma: PrismaClient, append: Append, turn: Turn): Promise<void> {
  const { rows = [], ...others } = turn;
  if (rows.length > 0 && areShort(rows) && Object.values(others).every((part) => part.length === 0)) return append(rows, new Date());
  const statements = [...prepare(prisma, turn, new Date())];
  const [only] = statements;
  // One statement is a transaction of its own, at a third of the price of Prisma's.
  if (statements.length === 1) await only;
  else if (statements.length > 1) await prisma.$transaction(statements);
}

/** In the order in which they refer to one another. */
function* prepare(prisma: PrismaClient, turn: Turn, now: Date): Generator<Prisma.PrismaPromise<unknown>> {
  if (turn.sessions?.length) yield insertSessions(prisma, turn.sessions, now);
  if (turn.members?.length) yield insertMembers(prisma, turn.members, now);
  if (turn.snapshots?.length) yield insertSnapshots(prisma, turn.snapshots, now);
  if (turn.benchmarks?.length) yield insertBenchmarkRuns(prisma, turn.benchmarks, now);
  if (turn.rows?.length) yield* insertRows(prisma, turn.rows, now);
  for (const { sessionId, mode } of turn.clockModes ?? []) yield updateClockMode(prisma, sessionId, mode);
  for (const { sessionId, afterSeq } of turn.restored ?? []) yield forgetIdempotency(prisma, sessionId, afterSeq);
  if (turn.idempotency?.length) yield insertIdempotency(prisma, turn.idempotency, now);
  if (turn.removed?.length) yield removeSessions(prisma, turn.removed, now);
}
