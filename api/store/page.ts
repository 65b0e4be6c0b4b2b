/** Lists in pages: the cursor names the last item given, so what is added or removed meanwhile shifts nothing. */
import { StoreError } from "./errors.ts";

export interface PageQuery {
  /** Items at most. */
  limit: number;
  /** The `nextCursor` of the page before. */
  cursor?: string | undefined;
}

export interface Page<T> {
  items: T[];
  /** Null on the last page. */
  nextCursor: string | null;
}

/** A cursor that no page ever gave. */
export class InvalidCursor extends StoreError {}

type Direction = "oldest first" | "newest first";
interface Dated {
  id: string;
  createdAt: Date;
}

/** What Prisma's findMany needs for one page; it reads one item more, which tells whether another page follows. */
export function pageArgs({ limit, cursor }: PageQuery, direction: Direction) {
  const order = direction === "oldest first" ? ("asc" as const) : ("desc" as const);
  return {
    take: limit + 1,
    orderBy: [{ createdAt: order }, { id: order }],
    where: cursor === undefined ? {} : beyond(decode(cursor), direction),
  };
}

export function toPage<Row extends Dated, T>(rows: Row[], { limit }: PageQuery, read: (row: Row) => T): Page<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(read), nextCursor: last !== undefined && rows.length > limit ? encode(last) : null };
}

function beyond({ createdAt, id }: Dated, direction: Direction) {
  return direction === "oldest first"
    ? { OR: [{ createdAt: { gt: createdAt } }, { createdAt, id: { gt: id } }] }
    : { OR: [{ createdAt: { lt: createdAt } }, { createdAt, id: { lt: id } }] };
}

function encode({ createdAt, id }: Dated): string {
  return Buffer.from(`${createdAt.getTime()} ${id}`).toString("base64url");
}

function decode(cursor: string): Dated {
  const [, time, id] = /^(\d{1,15}) (.+)$/s.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (time === undefined || id === undefined) throw new InvalidCursor("The cursor is not one of ours.");
  return { createdAt: new Date(Number(time)), id };
}
