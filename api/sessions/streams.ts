/** Followers of a session: what is new goes out after the commit that made it so. */
import type { EventSink } from "../sse.ts";
import { logRecords, traceLines, type LogRecord } from "./core.ts";
import type { Live, RingEvent, Session } from "./session.ts";

/** What one look may bring; a follower that is further behind gets a gap. */
const BURST = 2_000;

interface Item {
  id: string;
  event: string;
  data: string;
}

/** A ring that grows at its end: where it stands, and what is new since. A cursor names the item that was last seen. */
export interface Source<Cursor> {
  /** The place before the oldest item, and that of the newest. */
  start(live: Live): Cursor;
  end(live: Live): Cursor;
  /** The id by which a follower comes back to a place. */
  idOf(live: Live, at: Cursor): string;
  /** The cursor that an event id names; null where the ring does not reach it, or it is of a state that was restored over. */
  resume(live: Live, id: string): Cursor | null;
  hasNews(live: Live, since: Cursor): boolean;
  items(live: Live, since: Cursor): { item: Item; at: Cursor }[];
  /** What is followed has come to its end: what is new of it is the last. */
  isOver?(live: Live): boolean;
  /** The ring goes on over restores, which are items of it. */
  outlivesRestore: boolean;
}

export interface Stream {
  /** Who follows. */
  readonly memberId: string;
  hasNews(live: Live): boolean;
  /** Looks at what is new; the answer sends it. */
  collect(live: Live): () => void;
  /** The kernel was replaced: what follows is of another state. */
  restored(live: Live): void;
  close(): void;
}

/**
 * Begins to follow, for a member.
 * @param from where a new follower begins
 * @param lastEventId from where one that comes back goes on
 */
export function follow<C>(session: Session, memberId: string, source: Source<C>, sink: EventSink, from: C, lastEventId: string | null): Stream {
  let cursor = from;
  let resume = lastEventId;
  let restores = 0;
  const stream: Stream = {
    memberId,
    hasNews: (now) => resume !== null || source.isOver?.(now) === true || source.hasNews(now, cursor),
    collect(now) {
      let gap = false;
      if (resume !== null) {
        const place = source.resume(now, resume);
        gap = place === null;
        cursor = place ?? source.start(now);
        resume = null;
      }
      const fresh = source.items(now, cursor);
      const shown = fresh.slice(-BURST);
      // A gap's id is the place before what follows it: who comes back with that has seen nothing of it.
      const before = source.idOf(now, fresh[fresh.length - shown.length - 1]?.at ?? cursor);
      gap ||= shown.length < fresh.length;
      const over = source.isOver?.(now) === true;
      const lookedAfter = restores;
      return () => {
        if (restores > lookedAfter) return; // it was of the state before
        if (gap) sink.send(before, "gap", "{}");
        for (const { item } of shown) sink.send(item.id, item.event, item.data);
        cursor = shown.at(-1)?.at ?? cursor;
        if (!over) return;
        sink.send(source.idOf(now, cursor), "ended", "{}");
        sink.close();
      };
    },
    restored(now) {
      if (source.outlivesRestore) return;
      restores++;
      cursor = source.end(now);
      sink.send(source.idOf(now, cursor), "restored", JSON.stringify({ nowNs: now.nowNs }));
    },
    close: () => sink.close(),
  };
  session.streams.add(stream);
  return stream;
}

/** Ids of a ring whose items are numbered: the last restore, and how many items came up to this one. */
function numberedId({ restoredSeq }: Live, count: number): string {
  return `${restoredSeq}-${count}`;
}

/** The count that such an id names, within those that the ring holds. */
function countOf(live: Live, id: string, oldest: number, newest: number): number | null {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(id);
  if (match === null || Number(match[1]) !== live.restoredSeq) return null;
  const count = Number(match[2]);
  return count < oldest || count > newest ? null : count;
}

export const dmesgSource: Source<number> = {
  outlivesRestore: false,
  start: ({ kernel }) => (logRecords(kernel)[0]?.sequence ?? 0) - 1,
  end: ({ kernel }) => logRecords(kernel).at(-1)?.sequence ?? -1,
  // The first record has number 0.
  idOf: (live, sequence) => numberedId(live, sequence + 1),
  resume(live, id) {
    const count = countOf(live, id, dmesgSource.start(live) + 1, dmesgSource.end(live) + 1);
    return count === null ? null : count - 1;
  },
  hasNews: ({ kernel }, since) => logRecords(kernel, since).length > 0,
  items: (live, since) => logRecords(live.kernel, since).map((record) => ({
    item: { id: dmesgSource.idOf(live, record.sequence), event: "dmesg", data: JSON.stringify(logView(record)) }, at: record.sequence,
  })),
};

/** A log record as callers see it. */
export function logView({ sequence, ns, level, facility, text }: LogRecord) {
  return { sequence, ns, level, facility, text };
}

/** @param shows which lines the follower may see */
export function traceSource(pid: number | undefined, shows: (live: Live, pid: number) => boolean): Source<number> {
  const lines = (live: Live, after: number) =>
    traceLines(live.kernel, pid === undefined ? { after } : { pid, after }).filter((line) => shows(live, line.pid));
  const start = ({ kernel }: Live) => (traceLines(kernel)[0]?.sequence ?? 1) - 1;
  const end = ({ kernel }: Live) => traceLines(kernel).at(-1)?.sequence ?? 0;
  return {
    outlivesRestore: false,
    start,
    end,
    idOf: numberedId,
    resume: (live, id) => countOf(live, id, start(live), end(live)),
    hasNews: (live, since) => lines(live, since).length > 0,
    items: (live, since) => lines(live, since).map(({ sequence, pid: of, text }) => ({
      item: { id: numberedId(live, sequence), event: "call", data: JSON.stringify({ sequence, pid: of, text }) }, at: sequence,
    })),
  };
}

type Place = Pick<RingEvent, "seq" | "index">;

function isAfter(a: Place, b: Place): boolean {
  return a.seq > b.seq || (a.seq === b.seq && a.index > b.index);
}

export const eventSource: Source<Place> = {
  outlivesRestore: true,
  start: (live) => live.ringStart,
  end: (live) => live.events.at(-1) ?? live.ringStart,
  idOf: (_live, { seq, index }) => `${seq}-${index}`,
  resume(live, id) {
    const match = /^(\d{1,15})-(\d{1,15})$/.exec(id);
    if (match === null) return null;
    const place = { seq: Number(match[1]), index: Number(match[2]) };
    return isAfter(live.ringStart, place) || isAfter(place, eventSource.end(live)) ? null : place;
  },
  hasNews: (live, since) => {
    const last = live.events.at(-1);
    return last !== undefined && isAfter(last, since);
  },
  items: (live, since) => live.events.filter((event) => isAfter(event, since)).map((event) => ({
    item: { id: eventSource.idOf(live, event), event: event.event, data: event.data }, at: event,
  })),
};
