/**
 * Brings a database up to date at start. The bookkeeping (`_prisma_migrations`, checksums) is Prisma's own, so its command
 * line works on the same folder and the same file.
 */
import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { SqlDriverAdapter } from "@prisma/driver-adapter-utils";
import { StoreRefused, reasonOf } from "./errors.ts";

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

const BOOKKEEPING = `CREATE TABLE "_prisma_migrations" (
    "id"                    TEXT PRIMARY KEY NOT NULL,
    "checksum"              TEXT NOT NULL,
    "finished_at"           DATETIME,
    "migration_name"        TEXT NOT NULL,
    "logs"                  TEXT,
    "rolled_back_at"        DATETIME,
    "started_at"            DATETIME NOT NULL DEFAULT current_timestamp,
    "applied_steps_count"   INTEGER UNSIGNED NOT NULL DEFAULT 0
);`;

/** Applies what `directory` has and the database has not, each migration wholly or not at all. Throws StoreRefused. */
export async function migrate(connection: SqlDriverAdapter, file: string, directory: string): Promise<void> {
  const migrations = readMigrations(directory);
  const applied = await readApplied(connection, file);
  for (const name of applied.keys()) {
    if (migrations.some((migration) => migration.name === name)) continue;
    throw new StoreRefused(`The database ${file} is newer than this program: it has the migration ${name}.`);
  }
  for (const migration of migrations) {
    const checksum = applied.get(migration.name);
    if (checksum === undefined) await apply(connection, file, migration);
    else if (checksum !== migration.checksum) {
      throw new StoreRefused(`The migration ${migration.name} was changed after it was applied to the database ${file}.`);
    }
  }
}

function readMigrations(directory: string): Migration[] {
  return readdirSync(directory)
    .filter((name) => existsSync(join(directory, name, "migration.sql")))
    .sort()
    .map((name) => {
      const sql = readFileSync(join(directory, name, "migration.sql"), "utf8");
      return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
    });
}

/** Name and checksum of what was applied before. A database without bookkeeping gets it, if it has no tables at all. */
async function readApplied(connection: SqlDriverAdapter, file: string): Promise<Map<string, string>> {
  const tables = await query(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
  if (tables.length === 0) {
    await connection.executeScript(BOOKKEEPING);
    return new Map();
  }
  if (!tables.some(([name]) => name === "_prisma_migrations")) {
    throw new StoreRefused(`The database ${file} belongs to another program: it has tables, and none of them tells its version.`);
  }
  const rows = await query(
    connection,
    "SELECT migration_name, checksum, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at",
  );
  const unfinished = rows.find(([, , finishedAt]) => finishedAt === null);
  if (unfinished) throw new StoreRefused(`The migration ${String(unfinished[0])} of the database ${file} was begun and never finished.`);
  return new Map(rows.map(([name, checksum]) => [String(name), String(checksum)]));
}

async function apply(connection: SqlDriverAdapter, file: string, migration: Migration): Promise<void> {
  const now = new Date().toISOString();
  const record = [randomUUID(), migration.checksum, now, migration.name, now].map(quote).join(", ");
  // Prisma redefines a table by dropping it, and that would cascade into its children. The pragma does nothing inside a transaction.
  await connection.executeScript("PRAGMA foreign_keys = OFF");
  try {
    await connection.executeScript(`BEGIN IMMEDIATE;\n${migration.sql}\n;INSERT INTO _prisma_migrations
      (id, checksum, finished_at, migration_name, started_at, applied_steps_count) VALUES (${record}, 1);`);
    const orphans = await query(connection, "PRAGMA foreign_key_check");
    if (orphans.length > 0) throw new Error(`it leaves ${orphans.length} rows without the row that they refer to`);
    await connection.executeScript("COMMIT");
  } catch (error) {
    await rollback(connection);
    throw new StoreRefused(`The migration ${migration.name} failed on the database ${file}: ${reasonOf(error)}.`, { cause: error });
  } finally {
    await connection.executeScript("PRAGMA foreign_keys = ON");
  }
}

/** Ends a transaction that a failure may or may not have ended already. */
export async function rollback(connection: SqlDriverAdapter): Promise<void> {
  try {
    await connection.executeScript("ROLLBACK");
  } catch {
    // SQLite had rolled it back itself.
  }
}

async function query(connection: SqlDriverAdapter, sql: string): Promise<unknown[][]> {
  return (await connection.queryRaw({ sql, args: [], argTypes: [] })).rows;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
