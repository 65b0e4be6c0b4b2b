/** Opening a database: what the promise "answered means kept" rests on, who may hold the file, and how it is brought up to date. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import SQLite from "better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { StoreRefused, StoreUnavailable, openStore } from "../../api/store/index.ts";
import { schemaDrift } from "../../scripts/schema-engine.ts";
import { member, migrationsDir, newDatabase, newStore, readAll, row, session, tempDir } from "./store-helpers.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** Another process that runs `code`, in which `openStore` and `url` are known. */
function otherProcess(url: string, code: string) {
  const script = `import { openStore } from "./api/store/index.ts"; const url = ${JSON.stringify(url)}; ${code}`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  const says = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => output.includes(text) && resolve();
      child.stdout.on("data", look);
      child.on("close", () => (output.includes(text) ? resolve() : reject(new Error(`it ended with: ${output}`))));
      look();
    });
  return { kill: () => child.kill("SIGKILL"), ended, says, output: () => output };
}

describe("the connection", () => {
  test("has WAL, synchronous=FULL, the exclusive lock and foreign keys", async () => {
    const { database } = await newDatabase();
    const pragma = (name: string) =>
      database.run(async (prisma) => Object.values((await prisma.$queryRawUnsafe<Record<string, unknown>[]>(`PRAGMA ${name}`))[0]!)[0]);
    expect(await pragma("journal_mode")).toBe("wal");
    expect(Number(await pragma("synchronous"))).toBe(2);
    expect(await pragma("locking_mode")).toBe("exclusive");
    expect(Number(await pragma("foreign_keys"))).toBe(1);
  });

  test("makes the directories that are missing", async () => {
    const file = join(tempDir(), "some/where/lab.db");
    const store = await openStore(`file:${file}`);
    expect(store.file).toBe(file);
    await store.close();
  });

  test("is refused in one sentence while another process holds the file, and given when that has gone", async () => {
    const url = `file:${join(tempDir(), "test.db")}`;
    const owner = otherProcess(url, `await openStore(url); console.log("open"); setInterval(() => {}, 1000);`);
    await owner.says("open");
    const refusal: unknown = await openStore(url).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(StoreRefused);
    expect((refusal as Error).message).toBe(`The database ${url.slice(5)} is in use by another server.`);

    owner.kill();
    await owner.ended;
    const store = await openStore(url);
    await store.close();
  });

  test("is refused to another process while this one holds the file", async () => {
    const store = await newStore();
    const other = otherProcess(`file:${store.file}`, `await openStore(url).then(() => console.log("open"), (error) => console.log(error.message));`);
    await other.ended;
    expect(other.output()).toBe(`The database ${store.file} is in use by another server.\n`);
  });

  test("is refused to a reader that did not come through the store", async () => {
    const store = await newStore();
    const outsider = new SQLite(store.file, { timeout: 0 });
    onTestFinished(() => void outsider.close());
    expect(() => outsider.prepare("SELECT * FROM Session").all()).toThrow(/locked/);
  });

  test("loses nothing that was acknowledged when the process is killed", async () => {
    const url = `file:${join(tempDir(), "test.db")}`;
    const writer = otherProcess(
      url,
      `const store = await openStore(url);
       await store.appendTurn({ sessions: [${JSON.stringify(session("s"))}] });
       for (let seq = 1; ; seq++) {
         await store.appendTurn({ rows: [{ ...${JSON.stringify(row(0))}, seq }] });
         console.log("kept " + seq + ".");
       }`,
    );
    await writer.says("kept 100.");
    writer.kill();
    await writer.ended;
    const acknowledged = Number([...writer.output().matchAll(/kept (\d+)\./g)].at(-1)![1]);

    const store = await openStore(url);
    onTestFinished(() => store.close());
    const seqs = await readAll(store);
    expect(seqs.length).toBeGreaterThanOrEqual(acknowledged);
    expect(seqs).toEqual(seqs.map((_, at) => at + 1));
  });

  test("refuses work after it was closed", async () => {
    const store = await newStore();
    const before = store.appendTurn({ rows: [row(1)] });
    await store.close();
    await expect(before).resolves.toBeUndefined();
    await expect(store.probe()).rejects.toThrow(StoreUnavailable);
  });

  test.each([
    ["is not an SQLite database", (file: string) => writeFileSync(file, "no database at all ".repeat(100))],
    ["cannot be opened: ", (file: string) => mkdirSync(file)],
    ["belongs to another program", (file: string) => new SQLite(file).exec("CREATE TABLE notes (text TEXT)").close()],
  ])("is refused when the file %s", async (words, prepare) => {
    const file = join(tempDir(), "test.db");
    prepare(file);
    const refusal: unknown = await openStore(`file:${file}`).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(StoreRefused);
    expect((refusal as Error).message).toContain(file);
    expect((refusal as Error).message).toContain(words);
    expect((refusal as Error).message).toMatch(/\.$/);
  });
});

describe("migrations", () => {
  /** A copy of ours, to which a test may add. */
  function copyOfMigrations(): string {
    const directory = join(tempDir(), "migrations");
    cpSync(migrationsDir, directory, { recursive: true });
    return directory;
  }

  function addMigration(directory: string, name: string, sql: string): void {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, "migration.sql"), sql);
  }

  const later = "29990101000000_later";
  const url = () => `file:${join(tempDir(), "test.db")}`;

  test("lead to exactly what the schema says", async () => {
    expect(await schemaDrift()).toBe("");
  });

  test("are recorded as Prisma records them", async () => {
    const store = await newStore();
    await store.close();
    const raw = new SQLite(store.file, { readonly: true });
    onTestFinished(() => void raw.close());
    const names = readdirSync(migrationsDir).filter((name) => !name.endsWith(".toml"));
    const expected = names.sort().map((migration_name) => ({
      migration_name,
      checksum: createHash("sha256").update(readFileSync(join(migrationsDir, migration_name, "migration.sql"))).digest("hex"),
      applied_steps_count: 1,
      rolled_back_at: null,
    }));
    expect(raw.prepare("SELECT migration_name, checksum, applied_steps_count, rolled_back_at FROM _prisma_migrations ORDER BY migration_name").all()).toEqual(expected);
  });

  test("that are new are applied to a database with data, and a redefined table keeps what refers to it", async () => {
    const database = url();
    const before = await openStore(database);
    await before.appendTurn({ sessions: [session("s")], members: [member("m")], rows: [row(1)] });
    await before.close();

    const directory = copyOfMigrations();
    // As Prisma redefines a table: copy, drop, rename. Dropping it deletes its rows, and must not cascade.
    addMigration(directory, later, `PRAGMA defer_foreign_keys=ON;
      PRAGMA foreign_keys=OFF;
      CREATE TABLE "new_Session" AS SELECT *, 'n' AS "note" FROM "Session";
      DROP TABLE "Session";
      CREATE TABLE "Session" ("id" TEXT NOT NULL PRIMARY KEY, "name" TEXT, "machine" TEXT, "clockMode" TEXT, "coreVersion" TEXT,
        "readOnlyReason" TEXT, "createdAt" DATETIME, "deletedAt" DATETIME, "note" TEXT);
      INSERT INTO "Session" SELECT * FROM "new_Session";
      DROP TABLE "new_Session";
      PRAGMA foreign_keys=ON;
      PRAGMA defer_foreign_keys=OFF;`);
    const after = await openStore(database, directory);
    onTestFinished(() => after.close());
    expect(await after.members.findByToken("token of m")).toMatchObject({ id: "m" });
    expect(await readAll(after)).toEqual([1]);
  });

  test("that fail leave the database as it was", async () => {
    const database = url();
    const directory = copyOfMigrations();
    addMigration(directory, later, "CREATE TABLE extra (a TEXT); INSERT INTO nowhere VALUES (1);");
    await expect(openStore(database, directory)).rejects.toThrow(new RegExp(`^The migration ${later} failed on the database .*nowhere\\.$`));
    const store = await openStore(database);
    await store.close();
    const raw = new SQLite(store.file, { readonly: true });
    onTestFinished(() => void raw.close());
    expect(raw.prepare("SELECT name FROM sqlite_schema WHERE name = 'extra'").all()).toEqual([]);
  });

  test("that would orphan rows are undone", async () => {
    const database = url();
    const before = await openStore(database);
    await before.appendTurn({ sessions: [session("s")], rows: [row(1)] });
    await before.close();
    const directory = copyOfMigrations();
    addMigration(directory, later, `DELETE FROM "Session";`);
    await expect(openStore(database, directory)).rejects.toThrow("rows without the row that they refer to");
    const store = await openStore(database);
    onTestFinished(() => store.close());
    expect(await readAll(store)).toEqual([1]);
  });

  test("of a newer program are refused", async () => {
    const database = url();
    const directory = copyOfMigrations();
    addMigration(directory, later, "CREATE TABLE extra (a TEXT);");
    await (await openStore(database, directory)).close();
    await expect(openStore(database)).rejects.toThrow(new StoreRefused(`The database ${database.slice(5)} is newer than this program: it has the migration ${later}.`));
  });

  test("that were changed after they were applied are refused", async () => {
    const database = url();
    await (await openStore(database)).close();
    const directory = copyOfMigrations();
    const [first] = readdirSync(directory).sort();
    writeFileSync(join(directory, first!, "migration.sql"), "\n-- a harmless word", { flag: "a" });
    await expect(openStore(database, directory)).rejects.toThrow(
      new StoreRefused(`The migration ${first} was changed after it was applied to the database ${database.slice(5)}.`),
    );
  });

  test("that Prisma left half done are refused", async () => {
    const database = url();
    const store = await openStore(database);
    await store.close();
    const raw = new SQLite(store.file);
    raw.exec("UPDATE _prisma_migrations SET finished_at = NULL");
    raw.close();
    await expect(openStore(database)).rejects.toThrow(/was begun and never finished\.$/);
  });
});
