/** The Prisma client on the one connection, used by one piece of work at a time and replaced when it is suspect. */
import type { SqlDriverAdapter } from "@prisma/driver-adapter-utils";
import { connect, sqliteOf } from "./connection.ts";
import { StoreConflict, StoreError, StoreFull, StoreUnavailable, reasonOf, sqliteError } from "./errors.ts";
import { PrismaClient } from "./generated/client.ts";
import { prepareAppend, type Append } from "./journal.ts";
import { migrate, rollback } from "./migrate.ts";

interface Link {
  connection: SqlDriverAdapter;
  prisma: PrismaClient;
  append: Append;
}

/** Longer than any batch of ours takes, in milliseconds: Prisma would give up in the middle of a slow one. */
const BATCH_MS = { maxWait: 60_000, timeout: 600_000 };

export class Database {
  readonly file: string;
  #migrationsDir: string;
  #link: Link | undefined;
  #closed = false;
  /** Settles when the work given last has ended. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(file: string, migrationsDir: string) {
    this.file = file;
    this.#migrationsDir = migrationsDir;
  }

  /** Connects, migrates, and from then on holds the file. Throws StoreRefused. */
  async open(): Promise<void> {
    this.#link = await this.#connect();
  }

  /**
   * Runs `work` alone on the connection. Alone, because a statement that is given to the same connection while a transaction
   * is open would become part of it, and be acknowledged before it is committed or undone by another's rollback; and a read
   * would see what is not committed. `work` must not call `run`. Throws StoreFull, StoreConflict, StoreUnavailable.
   */
  run<T>(work: (prisma: PrismaClient, append: Append) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new StoreUnavailable("The database is closed."));
    const result = this.#last.then(() => this.#attempt(work));
    this.#last = result.catch(() => {});
    return result;
  }

  /** Ends after the work given before; writes what is in the WAL into the file and lets go of it. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    await this.#disconnect();
  }

  async #attempt<T>(work: (prisma: PrismaClient, append: Append) => Promise<T>): Promise<T> {
    const link = (this.#link ??= await this.#reconnect());
    try {
      return await work(link.prisma, link.append);
    } catch (error) {
      throw await this.#judge(link, error);
    }
  }

  /** What the caller gets for a failure, after the connection was put in order. */
  async #judge(link: Link, error: unknown): Promise<unknown> {
    if (error instanceof StoreError) return error;
    const code = sqliteError(error)?.code;
    if (code === "SQLITE_FULL" || code?.startsWith("SQLITE_CONSTRAINT")) {
      // Where COMMIT itself failed, Prisma leaves the transaction open; later statements would join it and be lost.
      await rollback(link.connection);
      if (code === "SQLITE_FULL") return new StoreFull("The disk or the database is full.", { cause: error });
      return new StoreConflict(`The database refuses: ${reasonOf(error)}`, { cause: error });
    }
    await this.#disconnect();
    return new StoreUnavailable(`The database failed: ${reasonOf(error)}`, { cause: error });
  }

  async #connect(): Promise<Link> {
    const connection = await connect(this.file);
    try {
      await migrate(connection, this.file, this.#migrationsDir);
      const factory = { provider: connection.provider, adapterName: connection.adapterName, connect: async () => connection };
      const prisma = new PrismaClient({ adapter: factory, errorFormat: "minimal", transactionOptions: BATCH_MS });
      await prisma.$connect();
      return { connection, prisma, append: prepareAppend(sqliteOf(connection)) };
    } catch (error) {
      await connection.dispose();
      throw error;
    }
  }

  async #reconnect(): Promise<Link> {
    try {
      return await this.#connect();
    } catch (error) {
      throw new StoreUnavailable(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  async #disconnect(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    try {
      await link?.prisma.$disconnect();
    } catch {
      // The connection is closed below all the same: left open, it would keep the file locked.
    }
    await link?.connection.dispose(); // closing twice does nothing
  }
}
