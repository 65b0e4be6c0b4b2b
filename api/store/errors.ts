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

/** SQLite's own name and words for a failure ("SQLITE_FULL", "database or disk is full"), dug out of what was made of them. */
export function sqliteError(error: unknown): { code: string; message: string } | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { code, message, cause, meta } = error as { code?: unknown; message?: unknown; cause?: unknown; meta?: { driverAdapterError?: unknown } };
  if (typeof code === "string" && code.startsWith("SQLITE_")) return { code, message: String(message) };
  const { originalCode, originalMessage } = (cause ?? {}) as { originalCode?: unknown; originalMessage?: unknown };
  if (typeof originalCode === "string") return { code: originalCode, message: String(originalMessage) };
  return sqliteError(meta?.driverAdapterError) ?? sqliteError(cause);
}

/** The words of a failure that say most: SQLite's own, or the last line of Prisma's. */
export function reasonOf(error: unknown): string {
  return sqliteError(error)?.message ?? (error instanceof Error ? error.message.trim().split("\n").at(-1)! : String(error));
}
