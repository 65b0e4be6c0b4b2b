/** A connection that owns its database file: WAL, every commit on the disk before it is answered, no second process. */
import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
import type { SqlDriverAdapter } from "@prisma/driver-adapter-utils";
import Sqlite from "better-sqlite3";
import { StoreRefused, reasonOf, sqliteError } from "./errors.ts";

/** How long a starting server waits for one that is just ending to let go of the file. */
const HANDOVER_MS = 1_000;

/** What the promise "answered means kept" rests on, as SQLite reports it back. */
const PRAGMAS: [set: string, name: string, value: string | number][] = [
  // First: WAL opened by an exclusive owner keeps its index in memory, and no other process can join.
  ["locking_mode = EXCLUSIVE", "locking_mode", "exclusive"],
  ["journal_mode = WAL", "journal_mode", "wal"],
  ["synchronous = FULL", "synchronous", 2],
  ["foreign_keys = ON", "foreign_keys", 1],
];

/** The absolute path in `file:<path>`; a relative one starts at the working directory. */
export function databaseFile(databaseUrl: string): string {
  return resolve(databaseUrl.replace(/^file:/, ""));
}

/** Opens `file`, which may be new, and takes it for this process. Throws StoreRefused. */
export async function connect(file: string): Promise<SqlDriverAdapter> {
  let connection: SqlDriverAdapter | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 }); // what students wrote is for no other user of the machine
    connection = await new PrismaBetterSqlite3({ url: file, timeout: HANDOVER_MS }).connect();
    await takeOwnership(connection);
    return connection;
  } catch (error) {
    await connection?.dispose();
    throw refusal(file, error);
  }
}

/** The database that the adapter holds, for what Prisma would compile anew each time. It has no other connection. */
export function sqliteOf(connection: SqlDriverAdapter): Sqlite.Database {
  if ("client" in connection && connection.client instanceof Sqlite) return connection.client;
  throw new StoreRefused("Prisma's adapter keeps its database elsewhere than this program knows.");
}

async function takeOwnership(connection: SqlDriverAdapter): Promise<void> {
  for (const [set, name, value] of PRAGMAS) {
    await readPragma(connection, set);
    const got = await readPragma(connection, name);
    if (got !== value) throw new StoreRefused(`SQLite answers ${name} = ${String(got)} where ${value} is needed.`);
  }
  // The pragma alone locks nothing; an exclusive owner keeps the lock of its first write.
  await connection.executeScript("BEGIN IMMEDIATE; COMMIT;");
}

export async function readPragma(connection: SqlDriverAdapter, pragma: string): Promise<unknown> {
  const { rows } = await connection.queryRaw({ sql: `PRAGMA ${pragma}`, args: [], argTypes: [] });
  return rows[0]?.[0];
}

function refusal(file: string, error: unknown): StoreRefused {
  if (error instanceof StoreRefused) return new StoreRefused(`The database ${file} cannot be used: ${error.message}`);
  const code = sqliteError(error)?.code ?? "";
  if (code.startsWith("SQLITE_BUSY")) return new StoreRefused(`The database ${file} is in use by another server.`);
  if (code === "SQLITE_NOTADB") return new StoreRefused(`The file ${file} is not an SQLite database.`);
  return new StoreRefused(`The database ${file} cannot be opened: ${reasonOf(error)}.`, { cause: error });
}
