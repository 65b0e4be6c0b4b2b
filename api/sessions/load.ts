/** Bringing a kernel into memory: the newest snapshot that can be read, and the journal rows after it, each checked by its hash. */
import { setImmediate } from "node:timers/promises";
import { boot, callRecord, clockView, handle, restore, type BootInput, type Input, type Kernel } from "./core.ts";
import type { JournalRecord, SnapshotRecord, Store } from "../store/index.ts";
import { readContent } from "./content.ts";
import { hostNs } from "./clock.ts";
import { answeredOf, callOf, hashAnswer, readRow } from "./rows.ts";
import { FIRST_SLICE_STEPS, type Live, type RingEvent, type Session } from "./session.ts";

/** Replay lets others work after so long, in milliseconds. */
const SLICE_MS = 8;

/** A kernel as replay left it. */
export interface Replayed {
  kernel: Kernel;
  /** The last row that it includes. */
  seq: number;
  atNs: number;
  nowNs: number;
  more: boolean;
  restoredSeq: number;
  /** The last event before those in `events`. */
  ringStart: { seq: number; index: number };
  events: RingEvent[];
  rows: number;
  bytes: number;
  /** When the last row or the snapshot was written. */
  lastMs: number;
}

/** A row that does not do again what it did: the state before it is all that can be trusted. */
export interface BadRow {
  seq: number;
  reason: string;
}

/** Brings a session's kernel up to its last row, or to the last good one. */
export async function replay(store: Store, sessionId: string): Promise<{ replayed: Replayed; bad: BadRow | null }> {
  const last = await store.journal.last(sessionId);
  const first = await replayTo(store, sessionId, last?.seq ?? 0);
  if (first.bad === null) return first;
  // What the bad row did is in that kernel: begin again and stop before it.
  const again = await replayTo(store, sessionId, first.bad.seq - 1);
  return { replayed: again.replayed, bad: first.bad };
}

async function replayTo(store: Store, sessionId: string, toSeq: number): Promise<{ replayed: Replayed; bad: BadRow | null }> {
  const at = await newestState(store, sessionId, toSeq);
  let restSince = performance.now();
  for await (const row of store.journal.read(sessionId, at?.seq ?? 0)) {
    if (row.seq > toSeq) break;
    const bad = await replayRow(store, sessionId, at, row);
    if (bad !== null) return { replayed: at as Replayed, bad: { seq: row.seq, reason: bad } };
    if (performance.now() - restSince > SLICE_MS) {
      await setImmediate();
      restSince = performance.now();
    }
  }
  if (at.kernel === undefined) throw new Error(`session ${sessionId} has neither a snapshot nor a first row`);
  return { replayed: at as Replayed, bad: null };
}

type Partly = Omit<Replayed, "kernel"> & { kernel: Kernel | undefined };

async function newestState(store: Store, sessionId: string, toSeq: number): Promise<Partly> {
  for (const snapshot of await store.snapshots.newest(sessionId, toSeq)) {
    const state = await readState(store, snapshot);
    if (state !== null) return state;
  }
  return { kernel: undefined, seq: 0, atNs: 0, nowNs: 0, more: false, restoredSeq: 0, ringStart: { seq: 0, index: 0 }, events: [], rows: 0, bytes: 0, lastMs: 0 };
}

/** A snapshot's kernel, or null when it cannot be read. */
async function readState(store: Store, snapshot: SnapshotRecord): Promise<Replayed | null> {
  try {
    const { header, state } = readContent(await store.snapshots.read(snapshot));
    const own = header.seq === snapshot.seq; // else it came by a restore or a fork
    return {
      kernel: restore(state), seq: snapshot.seq, atNs: snapshot.atNs, nowNs: snapshot.atNs, more: header.more,
      restoredSeq: own ? header.restoredSeq : snapshot.seq, ringStart: own ? header.ringStart : { seq: snapshot.seq, index: 0 },
      events: own ? header.events : [], rows: 0, bytes: 0, lastMs: snapshot.createdAt.getTime(),
    };
  } catch {
    return null; // an older one is tried, and then the journal from its beginning
  }
}

/** Does a row again; null when it answered what it did before, else what is wrong with it. */
async function replayRow(store: Store, sessionId: string, at: Partly, row: JournalRecord): Promise<string | null> {
  const { input, budget } = readRow(row.input);
  try {
    if (input.type === "restore") {
      const [snapshot] = await store.snapshots.newest(sessionId, row.seq, 1);
      const state = snapshot === undefined || snapshot.seq !== row.seq ? null : await readState(store, snapshot);
      if (state === null) return "the snapshot that was restored there cannot be read";
      Object.assign(at, { ...state, restoredSeq: row.seq, rows: at.rows, bytes: at.bytes });
    } else if (input.type === "boot") {
      const booted = boot(input as unknown as BootInput);
      at.kernel = booted.kernel;
      if (hashAnswer(answeredOf(booted.output, ""), undefined) !== row.outputHash) return "it boots otherwise than it did";
      Object.assign(at, { nowNs: booted.output.nowNs, more: booted.output.more });
    } else {
      if (at.kernel === undefined) return "there is no kernel before it";
      const output = handle(at.kernel, input as Input, budget);
      const answerText = output.answer === undefined ? "" : JSON.stringify(output.answer);
      if (output.refusal !== undefined || hashAnswer(answeredOf(output, answerText), callOf(input)) !== row.outputHash) {
        return `the kernel answers otherwise than it did (core ${row.coreVersion} then)`;
      }
      output.events.forEach(({ event, data }, index) => at.events.push({ seq: row.seq, index, event, data: JSON.stringify(data) }));
      Object.assign(at, { nowNs: output.nowNs, more: output.more, atNs: Math.max(at.atNs, (input as Input).atNs) });
    }
  } catch (error) {
    return `the emulator failed at it: ${(error as Error).message}`;
  }
  at.seq = row.seq;
  at.rows++;
  at.bytes += row.input.length;
  at.lastMs = row.recordedAt.getTime();
  return null;
}

export function liveOf({ kernel, seq, atNs, nowNs, more, restoredSeq, ringStart, events, rows, bytes }: Replayed): Live {
  return {
    kernel, seq, atNs, nowNs, more, restoredSeq, events, ringStart, lost: false, hostNs: hostNs(), clockMode: clockView(kernel).mode, sliceSteps: FIRST_SLICE_STEPS, deferred: false, moves: [],
    rowsSinceSnapshot: rows, bytesSinceSnapshot: bytes, timer: null, timerAtNs: 0,
  };
}

/** Calls that are waited for and that the loaded kernel does not know: their input was never kept. */
export function lostCalls(session: Session, kernel: Kernel): string[] {
  return [...session.waiters.keys()].filter((callId) => callRecord(kernel, callId) === null);
}
