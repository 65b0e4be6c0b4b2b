/** Loaded into a server under test: from SIGUSR2 on it counts its commits, and kills itself around one of them. */
import Database from "better-sqlite3";

type Connection = InstanceType<typeof Database>;

/** "before:3" or "after:3": just before the third commit is made, or as soon as it is on the disk. */
const [side, count] = (process.env["SUDDEN_END"] ?? "").split(":");
let left = Number(count);
let armed = false;

const { prepare } = Database.prototype;
Database.prototype.prepare = function (this: Connection, source: string) {
  const statement = prepare.call(this, source);
  const run = statement.run.bind(statement) as (...parameters: unknown[]) => Database.RunResult;
  const commits = (): boolean => source === "COMMIT" || (!this.inTransaction && /^\s*(INSERT|UPDATE|DELETE)/i.test(source));
  statement.run = ((...parameters: unknown[]) => {
    const counted = armed && commits();
    if (counted && side === "before" && --left === 0) process.kill(process.pid, "SIGKILL");
    const result = run(...parameters);
    if (counted && side === "after" && --left === 0) process.kill(process.pid, "SIGKILL");
    return result;
  }) as typeof statement.run;
  return statement;
} as typeof prepare;

process.on("SIGUSR2", () => void (armed = true));
