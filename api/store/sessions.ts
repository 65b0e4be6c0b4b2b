/** Sessions: one emulated kernel each, whose state is its newest snapshot and the journal rows after it. */
import type { Machine } from "../../core/machine.ts";
import type { Database } from "./client.ts";
import type { PrismaClient } from "./generated/client.ts";
import type { SessionModel } from "./generated/models.ts";
import { pageArgs, toPage, type Page, type PageQuery } from "./page.ts";

export type ClockMode = "real" | "virtual";

export interface NewSession {
  id: string;
  name: string;
  machine: Machine;
  clockMode: ClockMode;
  coreVersion: string;
  /** Now, when left out; given where the answer shows it before the commit. */
  createdAt?: Date;
}

export interface SessionRecord extends NewSession {
  createdAt: Date;
  /** Why the session refuses changes; null while it accepts them. */
  readOnlyReason: string | null;
}

export class Sessions {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(id: string): Promise<SessionRecord | undefined> {
    return this.#database.run(async (prisma) => {
      const row = await prisma.session.findUnique({ where: { id, deletedAt: null } });
      return row === null ? undefined : toRecord(row);
    });
  }

  /** Newest first. Throws InvalidCursor. */
  async list(query: PageQuery): Promise<Page<SessionRecord>> {
    const { where, ...rest } = pageArgs(query, "newest first");
    const rows = await this.#database.run((prisma) => prisma.session.findMany({ ...rest, where: { ...where, deletedAt: null } }));
    return toPage(rows, query, toRecord);
  }

  /** How many sessions there are. */
  count(): Promise<number> {
    return this.#database.run((prisma) => prisma.session.count({ where: { deletedAt: null } }));
  }

  /** From now on the session refuses changes, and says why; null lets it accept them again. */
  async setReadOnly(id: string, reason: string | null): Promise<void> {
    await this.#database.run((prisma) => prisma.session.updateMany({ where: { id }, data: { readOnlyReason: reason } }));
  }
}

export function insertSessions(prisma: PrismaClient, sessions: NewSession[], createdAt: Date) {
  return prisma.session.createMany({
    data: sessions.map((session) => ({ createdAt, ...session, machine: JSON.stringify(session.machine) })),
  });
}

export function updateClockMode(prisma: PrismaClient, id: string, clockMode: ClockMode) {
  return prisma.session.updateMany({ where: { id }, data: { clockMode } });
}

/** Hides the session at once. Its rows, which may be millions, are deleted in slices by the sweep. */
export function removeSessions(prisma: PrismaClient, ids: string[], deletedAt: Date) {
  return prisma.session.updateMany({ where: { id: { in: ids } }, data: { deletedAt } });
}

function toRecord({ deletedAt: _deletedAt, ...row }: SessionModel): SessionRecord {
  return { ...row, machine: JSON.parse(row.machine) as Machine, clockMode: row.clockMode as ClockMode };
}
