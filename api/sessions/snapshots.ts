/** Named states of a kernel: taking one, going back to one, and the automatic ones that make loading quick. */
import { randomBytes } from "node:crypto";
import { Problem, notFound, unavailable } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { Reply, RequestInfo } from "../route.ts";
import { StoreFull, type NewSnapshot, type SnapshotRecord } from "../store/index.ts";
import { disarmTimer } from "./clock.ts";
import { CONTENT_FORMAT, EVENTS_KEPT, readContent, writeContent, type ContentHeader } from "./content.ts";
import { CORE_VERSION, restore, snapshot } from "./core.ts";
import { dismissAll } from "./held.ts";
import type { Host } from "./host.ts";
import { keep } from "./idempotency.ts";
import { liveOf } from "./load.ts";
import type { Live, Session } from "./session.ts";
import { problemReply, requireWritable } from "./work.ts";

export function newId(prefix: string): string {
  return `${prefix}_${randomBytes(12).toString("base64url")}`;
}

/** The kernel's bytes now, with what is needed to insert them once they are staged. */
type Taken = Omit<NewSnapshot, "contentId"> & { createdAt: Date };

function take(session: Session, live: Live, kind: NewSnapshot["kind"], name: string | null): { made: Taken; content: Uint8Array } {
  const events = live.events.slice(-EVENTS_KEPT);
  const { seq, index } = live.events.at(-events.length - 1) ?? live.ringStart;
  const header: ContentHeader = { seq: live.seq, more: live.more, restoredSeq: live.restoredSeq, events, ringStart: { seq, index } };
  const content = writeContent(header, snapshot(live.kernel));
  return {
    content,
    made: {
      id: newId("snap"), sessionId: session.id, kind, name, seq: live.seq, atNs: live.nowNs, coreVersion: CORE_VERSION,
      format: CONTENT_FORMAT, createdAt: new Date(),
    },
  };
}

/** The bytes in the database, not yet named by a snapshot. @throws Problem 507, 503 */
export async function stage(host: Host, content: Uint8Array): Promise<string> {
  try {
    return await host.store.snapshots.stage(content);
  } catch (error) {
    throw error instanceof StoreFull
      ? new Problem(507, "full", "The disk is full; the snapshot was not kept.")
      : unavailable(`The snapshot could not be written: ${(error as Error).message}`);
  }
}

/** Takes a named snapshot; resolves when it is kept. */
export function takeSnapshot<R extends Reply>(
  host: Host, session: Session, name: string | null, request: RequestInfo, view: (record: SnapshotRecord) => R,
): Promise<R> {
  const { snapshotsPerSession: limit } = LIMITS;
  return session.snapshotPlaces.make(
    limit, () => host.store.snapshots.count(session.id), `A session has at most ${limit} snapshots; delete one first.`, () => keepNamed(host, session, name, request, view),
  );
}

async function keepNamed<R extends Reply>(
  host: Host, session: Session, name: string | null, request: RequestInfo, view: (record: SnapshotRecord) => R,
): Promise<R> {
  host.requireMemory();
  const { live, made, content } = await new Promise<{ live: Live } & ReturnType<typeof take>>((resolve, reject) => {
    host.turns.do(session, {
      run(live) {
        requireWritable(session);
        host.journal.closeMoves(session);
        resolve({ live, ...take(session, live, "named", name) });
      },
      reject,
    });
  });
  const contentId = await stage(host, content);
  return new Promise((resolve, reject) => {
    if (live.lost || session.removed) {
      host.store.snapshots.unstage(contentId);
      return reject(session.removed ? notFound("The session was removed.") : unavailable("What the snapshot held was not kept."));
    }
    const unit = host.journal.unit(session);
    const inserted = { ...made, contentId };
    unit.turn.snapshots.push(inserted);
    const reply = view({ ...inserted, size: content.length });
    keep(unit, request.ticket, reply, { sessionId: session.id, seq: session.live?.seq ?? live.seq });
    unit.answer({ resolve: () => resolve(reply), reject }, reply);
  });
}

/** Writes an automatic snapshot, so that loading need not replay what was before. Resolves with whether it is kept. */
export async function saveKernel(host: Host, session: Session): Promise<boolean> {
  const { live } = session;
  if (live === null || session.saving || session.record.readOnlyReason !== null) return false;
  session.saving = true;
  try {
    host.journal.closeMoves(session);
    const { made, content } = take(session, live, "auto", null);
    const contentId = await stage(host, content);
    if (live.lost || session.removed || session.live !== live) {
      host.store.snapshots.unstage(contentId);
      return false;
    }
    await new Promise<void>((resolve, reject) => {
      const unit = host.journal.unit(session);
      unit.turn.snapshots.push({ ...made, contentId });
      unit.answer({ resolve: () => resolve(), reject }, { status: 200 });
    });
    live.rowsSinceSnapshot = live.seq - made.seq;
    live.bytesSinceSnapshot = 0;
    await host.store.snapshots.pruneAutos(session.id);
    return true;
  } finally {
    session.saving = false;
  }
}

/** Puts a snapshot's kernel in the place of the session's; resolves when that is kept. */
export async function restoreSnapshot<R extends Reply>(
  host: Host, session: Session, record: SnapshotRecord, request: RequestInfo, view: (live: Live) => R,
): Promise<R> {
  const content = await host.store.snapshots.read(record);
  return new Promise((resolve, reject) => {
    host.turns.do(session, {
      run(live) {
        host.journal.closeMoves(session);
        const next = replaceKernel(session, live, record, content);
        const unit = host.journal.unit(session);
        const seq = host.journal.row(session, next, JSON.stringify({ type: "restore", snapshot: record.id }), "");
        next.restoredSeq = seq;
        next.events.push({ seq, index: 0, event: "restored", data: JSON.stringify({ nowNs: next.nowNs }) });
        const { size: _size, ...same } = record;
        unit.turn.snapshots.push({ ...same, id: newId("snap"), kind: "auto", name: null, seq, createdAt: new Date() });
        unit.turn.restored.push({ sessionId: session.id, afterSeq: record.seq });
        unit.turn.clockModes.push({ sessionId: session.id, mode: next.clockMode });
        if (session.record.readOnlyReason !== null) unit.after.push(() => host.makeWritable(session));
        dismissAll(session, (waiter) => unit.answer(waiter.to, problemReply(restored(), waiter.requestId)));
        unit.after.push(() => {
          for (const stream of session.streams) stream.restored(next);
          host.streamsMayHaveNews(session);
        });
        const reply = view(next);
        keep(unit, request.ticket, reply, { sessionId: session.id, seq });
        unit.answer({ resolve: () => resolve(reply), reject }, reply);
        host.began(session, next);
      },
      reject,
    });
  });
}

function restored(): Problem {
  return new Problem(409, "restored", "The session went back to a snapshot while this request was held.");
}

/** @throws when the bytes are of a format that this program does not read */
function replaceKernel(session: Session, live: Live, record: SnapshotRecord, content: Uint8Array): Live {
  const { header, state } = readContent(content);
  const next = liveOf({
    kernel: restore(state), seq: live.seq, atNs: record.atNs, nowNs: record.atNs, more: header.more, restoredSeq: live.seq,
    ringStart: live.ringStart, events: live.events, rows: 0, bytes: 0, lastMs: Date.now(),
  });
  disarmTimer(live);
  session.live = next;
  session.record.clockMode = next.clockMode;
  return next;
}
