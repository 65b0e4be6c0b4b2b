/**
 * The journal: every input of every kernel, in order, with the hash of what it answered.
 *
 * Rows are only ever appended, and removed with their session alone. A snapshot makes the rows before it dispensable for a
 * restart, but they are what an older snapshot needs when a newer one cannot be read, what replay checks a new core
 * against, and the record of who did what; a restore does not cut them off either, it is a row of its own.
 */
import type Sqlite from "better-sqlite3";
import type { Database } from "./client.ts";
import type { Prisma, PrismaClient } from "./generated/client.ts";

export interface JournalRow {
  sessionId: string;
  /** 1 for a session's first row, then without gaps. */
  seq: number;
  /** JSON of the input. */
  input: string;
  outputHash: string;
  coreVersion: string;
}

export interface JournalRecord extends JournalRow {
  /** When the row was written, by the host's clock. */
  recordedAt: Date;
}

/** Rows and bytes of input read in one piece of work: others are served between two. */
const PAGE = { rows: 500, bytes: 4 << 20 };

export class Journal {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The newest row of a session, without its input; undefined when it has none. */
  async last(sessionId: string): Promise<{ seq: number; recordedAt: Date } | undefined> {
    const row = await this.#database.run((prisma) =>
      prisma.journalRow.findFirst({ where: { sessionId }, orderBy: { seq: "desc" }, select: { seq: true, recordedAt: true } }),
    );
    return row ?? undefined;
  }

  /** The rows with `seq > afterSeq`, in order, a page in memory at a time. */
  async *read(sessionId: string, afterSeq = 0): AsyncGenerator<JournalRecord> {
    let from = afterSeq;
    while (true) {
      const page = await this.#database.run((prisma) => readPage(prisma, sessionId, from));
      yield* page;
      if (page.length === 0) return;
      from = page.at(-1)!.seq;
    }
  }
}

async function readPage(prisma: PrismaClient, sessionId: string, afterSeq: number): Promise<JournalRecord[]> {
  const sizes = await prisma.$queryRaw<{ seq: bigint | number; bytes: bigint | number }[]>`
    SELECT "seq", octet_length("input") AS "bytes" FROM "JournalRow"
    WHERE "sessionId" = ${sessionId} AND "seq" > ${afterSeq} ORDER BY "seq" LIMIT ${PAGE.rows}`;
  let bytes = 0;
  let upTo = afterSeq;
  for (const row of sizes) {
    bytes += Number(row.bytes);
    if (bytes > PAGE.bytes && upTo > afterSeq) break; // one row at least, however long
    upTo = Number(row.seq);
  }
  return prisma.journalRow.findMany({ where: { sessionId, seq: { gt: afterSeq, lte: upTo } }, orderBy: { seq: "asc" } });
}

/** An input from here on is a statement of its own, bound as it is: as a part of JSON it would be copied several times. */
const LONG_CHARS = 1 << 20;

/** Rows in as few statements as may be, in order. */
export function* insertRows(prisma: PrismaClient, rows: JournalRow[], recordedAt: Date): Generator<Prisma.PrismaPromise<unknown>> {
  let from = 0;
  let chars = 0;
  for (const [at, row] of rows.entries()) {
    const long = row.input.length >= LONG_CHARS;
    if (from < at && (long || chars + row.input.length > PART_CHARS)) {
      yield insertMany(prisma, rows.slice(from, at), recordedAt);
      [from, chars] = [at, 0];
    }
    if (!long) chars += row.input.length;
    else {
      yield insertOne(prisma, row, recordedAt);
      from = at + 1;
    }
  }
  if (from < rows.length) yield insertMany(prisma, from === 0 ? rows : rows.slice(from), recordedAt);
}

/** Characters of input in one statement. */
const PART_CHARS = 16 << 20;

function insertOne(prisma: PrismaClient, { sessionId, seq, input, outputHash, coreVersion }: JournalRow, recordedAt: Date) {
  return prisma.$executeRaw`
    INSERT INTO "JournalRow" ("sessionId", "seq", "input", "outputHash", "coreVersion", "recordedAt")
    VALUES (${sessionId}, ${seq}, ${input}, ${outputHash}, ${coreVersion}, ${recordedAt})`;
}

/** Many rows as one statement: a model call would take ten times as long and hold up the event loop meanwhile. */
const INSERT_MANY = `
  INSERT INTO "JournalRow" ("sessionId", "seq", "input", "outputHash", "coreVersion", "recordedAt")
  SELECT value->>0, value->>1, value->>2, value->>3, value->>4, ? FROM json_each(?)`;

function packed(rows: JournalRow[]): string {
  return JSON.stringify(rows.map((row) => [row.sessionId, row.seq, row.input, row.outputHash, row.coreVersion]));
}

function insertMany(prisma: PrismaClient, rows: JournalRow[], recordedAt: Date) {
  return prisma.$executeRawUnsafe(INSERT_MANY, recordedAt, packed(rows));
}

/** Whether rows are few and short enough for `Append`. */
export function areShort(rows: JournalRow[]): boolean {
  let chars = 0;
  for (const { input } of rows) chars += input.length;
  return chars < LONG_CHARS;
}

/** Appends short rows as a commit of their own. */
export type Append = (rows: JournalRow[], recordedAt: Date) => void;

/** The commit that nearly every turn is, compiled once for its connection: by way of Prisma it takes five times as long. */
export function prepareAppend(sqlite: Sqlite.Database): Append {
  const statement = sqlite.prepare(INSERT_MANY);
  return (rows, recordedAt) => void statement.run(timestamp(recordedAt), packed(rows));
}

/** As Prisma's adapter writes a time. */
function timestamp(date: Date): string {
  return date.toISOString().replace("Z", "+00:00");
}
