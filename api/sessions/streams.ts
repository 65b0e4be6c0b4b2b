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

/** A ring that grows at its end: where it stands, and what is new since. */
export interface Source<Cursor> {
  /** The place behind the newest item. */
  end(live: Live): Cursor;
  /** The cursor that an event id names; null where the ring does not reach back to it, or it is of a state that was restored over. */
  resume(live: Live, id: string): Cursor | null;
  /** Behind which the whole ring lies. */
  begin: Cursor;
  hasNews(live: Live, since: Cursor): boolean;
  items(live: Live, since: Cursor): { item: Item; at: Cursor }[];
}

export interface Stream {
  hasNews(live: Live): boolean;
  /** Looks at what is new; the answer sends it. */
  collect(live: Live): () => void;
  /** The kernel was replaced: what follows is of another state. */
  restored(live: Live): void;
  close(): void;
}

/**
 * Begins to follow.
 * @param from where a new follower begins
 * @param lastEventId from where one that comes back goes on
 */
export function follow<C>(session: Session, source: Source<C>, sink: EventSink, from: C, lastEventId: string | null): Stream {
  let cursor = from;
  let resume = lastEventId;
  const stream: Stream = {
    hasNews: (now) => resume !== null || source.hasNews(now, cursor),
    collect(now) {
      let gap = false;
      if (resume !== null) {
        const place = source.resume(now, resume);
        gap = place === null;
        cursor = place ?? source.begin;
        resume = null;
      }
      const fresh = source.items(now, cursor);
      const shown = fresh.slice(-BURST);
      return () => {
        if (gap || shown.length < fresh.length) sink.send(shown[0]?.item.id ?? idOf(now), "gap", "{}");
        for (const { item } of shown) sink.send(item.id, item.event, item.data);
        cursor = shown.at(-1)?.at ?? cursor;
      };
    },
    restored(now) {
      sink.send(idOf(now), "restored", JSON.stringify({ nowNs: now.nowNs }));
      cursor = source.end(now);
    },
    close: () => sink.close(),
  };
  session.streams.add(stream);
  return stream;
}

function idOf(live: Live): string {
  return `${live.restoredSeq}-0`;
}

function afterSequence(live: Live, id: string): number | null {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(id);
  return match === null || Number(match[1]) !== live.restoredSeq ? null : Number(match[2]);
}

export const dmesgSource: Source<number> = {
  begin: -1,
  end: ({ kernel }) => logRecords(kernel).at(-1)?.sequence ?? -1,
  resume(live, id) {
    const sequence = afterSequence(live, id);
    const oldest = logRecords(live.kernel)[0]?.sequence ?? 0;
    return sequence === null || sequence < oldest - 1 ? null : sequence;
  },
  hasNews: ({ kernel }, since) => logRecords(kernel, since).length > 0,
  items: (live, since) => logRecords(live.kernel, since).map((record) => ({
    item: { id: `${live.restoredSeq}-${record.sequence}`, event: "dmesg", data: JSON.stringify(logView(record)) }, at: record.sequence,
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
  return {
    begin: 0,
    end: ({ kernel }) => traceLines(kernel).at(-1)?.sequence ?? 0,
    resume(live, id) {
      const sequence = afterSequence(live, id);
      const oldest = traceLines(live.kernel)[0]?.sequence ?? 1;
      return sequence === null || sequence < oldest - 1 ? null : sequence;
    },
    hasNews: (live, since) => lines(live, since).length > 0,
    items: (live, since) => lines(live, since).map(({ sequence, pid: of, text }) => ({
      item: { id: `${live.restoredSeq}-${sequence}`, event: "call", data: JSON.stringify({ sequence, pid: of, text }) }, at: sequence,
    })),
  };
}

type Place = Pick<RingEvent, "seq" | "index">;

function isAfter(a: Place, b: Place): boolean {
  return a.seq > b.seq || (a.seq === b.seq && a.index > b.index);
}

export const eventSource: Source<Place> = {
  begin: { seq: -1, index: 0 },
  end: (live) => live.events.at(-1) ?? live.ringStart,
  resume(live, id) {
    const match = /^(\d{1,15})-(\d{1,15})$/.exec(id);
    if (match === null) return null;
    const place = { seq: Number(match[1]), index: Number(match[2]) };
    return isAfter(live.ringStart, place) ? null : place;
  },
  hasNews: (live, since) => {
    const last = live.events.at(-1);
    return last !== undefined && isAfter(last, since);
  },
  items: (live, since) => live.events.filter((event) => isAfter(event, since)).map((event) => ({
    item: { id: `${event.seq}-${event.index}`, event: event.event, data: event.data }, at: event,
  })),
};
