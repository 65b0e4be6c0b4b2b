/** How the store fails. After any of these nothing of the failed piece of work is kept, and everything answered before is. */

export class StoreError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The database cannot be opened: held by another server, not ours, newer than the program … The message is one sentence. */
export class StoreRefused extends StoreError {}

/** The disk or the database is full. Work succeeds again as soon as there is room. */
export class StoreFull extends StoreError {}

/** What was to be written contradicts what is there: a seq or an id taken, a session gone. */
export class StoreConflict extends StoreError {}

/** The database did not answer as it must. The connection is opened anew for the next piece of work. */
export class StoreUnavailable extends StoreError {}

/** SQLite's own name of a failure, such as "SQLITE_FULL", dug out of what the driver or Prisma made of it. */
export function sqliteCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { meta, cause, code } = error as { meta?: { driverAdapterError?: unknown }; cause?: unknown; code?: unknown };
  const original = (cause as { originalCode?: unknown } | undefined)?.originalCode;
  if (typeof original === "string") return original;
  if (typeof code === "string" && code.startsWith("SQLITE_")) return code;
  return sqliteCode(meta?.driverAdapterError) ?? sqliteCode(cause);
}
