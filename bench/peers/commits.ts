/** How many single commits a second the disk keeps, by SQLite in WAL mode with synchronous=FULL. Prints one JSON object. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";

const SECONDS = 2;

const folder = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), "syslab-commits-"));
const db = new Database(join(folder, "commits.db"));
db.pragma("journal_mode = WAL");
db.pragma("synchronous = FULL");
db.exec("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)");
const insert = db.prepare("INSERT INTO rows (body) VALUES (?)");
const body = "x".repeat(200);

let commits = 0;
const start = performance.now();
while (performance.now() - start < SECONDS * 1000) {
  insert.run(body);
  commits++;
}
const perSecond = (1000 * commits) / (performance.now() - start);
db.close();
rmSync(folder, { recursive: true, force: true });
console.log(JSON.stringify({ perSecond }));
