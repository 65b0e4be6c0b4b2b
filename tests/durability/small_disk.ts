/** Loaded into a server under test: at SIGUSR2 its disk is full, at the next one there is room again. */
import Database from "better-sqlite3";

type Connection = InstanceType<typeof Database>;

const open = new Set<Connection>();
let full = false;
let roomy = 0;

const { prepare } = Database.prototype;
Database.prototype.prepare = function (this: Connection, source: string) {
  open.add(this);
  return prepare.call(this, source);
} as typeof prepare;

/** SQLite answers as for a full disk once the file may not grow. */
function toggle(): void {
  full = !full;
  for (const connection of open) {
    if (!connection.open) {
      open.delete(connection);
      continue;
    }
    if (full) roomy = Number(connection.pragma("max_page_count", { simple: true }));
    const pages = Number(connection.pragma("page_count", { simple: true }));
    connection.pragma(`max_page_count = ${full ? pages + 4 : roomy}`);
  }
  console.log(full ? "the disk is full" : "the disk has room");
}

process.on("SIGUSR2", toggle);
