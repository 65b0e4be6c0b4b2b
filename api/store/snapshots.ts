/**
 * Snapshots: whole kernel states. Their bytes, the content, are staged in slices first, and begin to count in the turn that
 * inserts the snapshot; a restore or a fork is another snapshot of the same content.
 */
import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { Database } from "./client.ts";
import { StoreUnavailable } from "./errors.ts";
import type { PrismaClient } from "./generated/client.ts";
import type { SnapshotModel } from "./generated/models.ts";
import { pageArgs, toPage, type Page, type PageQuery } from "./page.ts";

export interface NewSnapshot {
  id: string;
  sessionId: string;
  /** "named" is a caller's, "auto" is ours. */
  kind: "named" | "auto";
  name: string | null;
  /** The last journal row that the state includes; 0 for the first state of a fork. */
  seq: number;
  /** Kernel time in nanoseconds. */
  atNs: number;
  coreVersion: string;
  /** Version of the byte format. */
  format: number;
  contentId: string;
  /** Now, when left out; given where the answer shows it before the commit. */
  createdAt?: Date;
}

export interface SnapshotRecord extends NewSnapshot {
  /** Bytes of the content. */
  size: number;
  createdAt: Date;
}

const CHUNK_BYTES = 1 << 20;
const SIZE = { content: { select: { size: true } } } as const;

export class Snapshots {
  readonly #database: Database;
  /** Content that no snapshot names yet, and that the sweep must leave alone. */
  readonly staged = new Set<string>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** Writes the bytes, others being served between two slices, and answers their contentId. Throws StoreFull. */
  async stage(bytes: Uint8Array): Promise<string> {
    const contentId = randomUUID();
    this.staged.add(contentId);
    try {
      for (let index = 0; index * CHUNK_BYTES < bytes.length; index++) {
        const slice = bytes.slice(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
        await this.#database.run((prisma) => prisma.snapshotChunk.createMany({ data: { contentId, index, bytes: slice } }));
        await setImmediate();
      }
      await this.#database.run((prisma) => prisma.snapshotContent.createMany({ data: { id: contentId, size: bytes.length } }));
    } catch (error) {
      this.unstage(contentId);
      throw error;
    }
    return contentId;
  }

  /** Gives staged content up. Not needed after a turn has inserted its snapshot. */
  unstage(contentId: string): void {
    this.staged.delete(contentId);
  }

  get(sessionId: string, id: string): Promise<SnapshotRecord | undefined> {
    return this.#database.run(async (prisma) => {
      const row = await prisma.snapshot.findUnique({ where: { id, sessionId }, include: SIZE });
      return row === null ? undefined : toRecord(row);
    });
  }

  /** A snapshot of whichever session, as a fork names it; undefined when its session was removed. */
  find(id: string): Promise<SnapshotRecord | undefined> {
    return this.#database.run(async (prisma) => {
      const row = await prisma.snapshot.findUnique({ where: { id, session: { deletedAt: null } }, include: SIZE });
      return row === null ? undefined : toRecord(row);
    });
  }

  /** The named ones, oldest first. Throws InvalidCursor. */
  async list(sessionId: string, query: PageQuery): Promise<Page<SnapshotRecord>> {
    const { where, ...rest } = pageArgs(query, "oldest first");
    const rows = await this.#database.run((prisma) =>
      prisma.snapshot.findMany({ ...rest, where: { ...where, sessionId, kind: "named" }, include: SIZE }),
    );
    return toPage(rows, query, toRecord);
  }

  /** The session's snapshots of either kind up to row `maxSeq`, newest first: a restart takes the first that it can read. */
  async newest(sessionId: string, maxSeq: number, limit = 3): Promise<SnapshotRecord[]> {
    const rows = await this.#database.run((prisma) =>
      prisma.snapshot.findMany({
        where: { sessionId, seq: { lte: maxSeq } },
        orderBy: [{ seq: "desc" }, { createdAt: "desc" }],
        take: limit,
        include: SIZE,
      }),
    );
    return rows.map(toRecord);
  }

  /** The bytes, read in slices. Throws StoreUnavailable when some are missing. */
  async read({ id, contentId, size }: SnapshotRecord): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    let filled = 0;
    for (let index = 0; filled < size; index++) {
      const chunk = await this.#database.run((prisma) =>
        prisma.snapshotChunk.findUnique({ where: { contentId_index: { contentId, index } } }),
      );
      if (chunk === null || filled + chunk.bytes.length > size) {
        throw new StoreUnavailable(`The bytes of snapshot ${id} are not what was written.`);
      }
      bytes.set(chunk.bytes, filled);
      filled += chunk.bytes.length;
      await setImmediate();
    }
    return bytes;
  }

  /** How many named snapshots the session has. */
  count(sessionId: string): Promise<number> {
    return this.#database.run((prisma) => prisma.snapshot.count({ where: { sessionId, kind: "named" } }));
  }

  /** False when the session has no named snapshot `id`. */
  async remove(sessionId: string, id: string): Promise<boolean> {
    const { count } = await this.#database.run((prisma) => prisma.snapshot.deleteMany({ where: { id, sessionId, kind: "named" } }));
    return count > 0;
  }

  /**
   * Removes the automatic snapshots but the newest `keep`: the one before the newest is there for when that cannot be read.
   * The newest is never removed, since after a restore it alone leads to the rows that follow.
   */
  async pruneAutos(sessionId: string, keep = 2): Promise<void> {
    await this.#database.run(async (prisma) => {
      const old = await prisma.snapshot.findMany({
        where: { sessionId, kind: "auto" },
        orderBy: [{ seq: "desc" }, { createdAt: "desc" }],
        skip: Math.max(keep, 1),
        select: { id: true },
      });
      if (old.length > 0) await prisma.snapshot.deleteMany({ where: { id: { in: old.map(({ id }) => id) } } });
    });
  }
}

export function insertSnapshots(prisma: PrismaClient, snapshots: NewSnapshot[], createdAt: Date) {
  return prisma.snapshot.createMany({
    data: snapshots.map((snapshot) => ({ createdAt, ...snapshot, atNs: BigInt(snapshot.atNs) })),
  });
}

function toRecord({ content, ...row }: SnapshotModel & { content: { size: number } }): SnapshotRecord {
  return { ...row, kind: row.kind as NewSnapshot["kind"], atNs: Number(row.atNs), size: content.size };
}
