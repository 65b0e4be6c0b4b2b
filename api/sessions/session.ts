/** A session as the service holds it: its record, its kernel while that is in memory, and who waits for what. */
import type { Problem } from "../errors.ts";
import type { SessionRecord } from "../store/index.ts";
import type { Kernel } from "./core.ts";
import type { Waiter } from "./held.ts";
import { Places } from "./places.ts";
import type { PendingMove } from "./rows.ts";
import type { Stream } from "./streams.ts";

/** An event as followers get it. Ids are journal row and place in it, so they go on rising over restores and restarts. */
export interface RingEvent {
  seq: number;
  index: number;
  event: string;
  /** JSON text. */
  data: string;
}

/** Steps of a kernel's first slice, before it is seen how long they take. */
export const FIRST_SLICE_STEPS = 2_048;

/** A kernel in memory. */
export interface Live {
  kernel: Kernel;
  /** The last journal row, committed or on its way. */
  seq: number;
  /** Kernel time after the last input, and the host's monotonic clock when it came. */
  nowNs: number;
  hostNs: number;
  /** `atNs` of the input that a `run` continues. */
  atNs: number;
  /** Work is left: slices follow. */
  more: boolean;
  clockMode: "real" | "virtual";
  /** Steps of its next slice. */
  sliceSteps: number;
  /** An input waits for the clock to arrive: only slices until then. */
  deferred: boolean;
  /** Clock moves that no row holds yet, in order. */
  moves: PendingMove[];
  events: RingEvent[];
  /** The last event that the ring does not hold any more. */
  ringStart: { seq: number; index: number };
  /** The row of the last restore; what streams showed before it is not what the kernel holds now. */
  restoredSeq: number;
  /** What a restart would replay. */
  rowsSinceSnapshot: number;
  bytesSinceSnapshot: number;
  /** Rows of it were not kept: it is ahead of the database, and no state of it counts. */
  lost: boolean;
  timer: NodeJS.Timeout | null;
  /** Host time at which `timer` fires. */
  timerAtNs: number;
}

/** Something to be done when the kernel is in memory and it is this session's turn. */
export interface Job {
  run(live: Live): void;
  reject(problem: Problem): void;
}

export interface Session {
  readonly id: string;
  record: SessionRecord;
  live: Live | null;
  loading: boolean;
  /** Came while the session was loading or busy. */
  queue: Job[];
  /** Comes when the work that is under way has ended. */
  afterMove: Job[];
  /** Held requests by call; several may wait for one call. */
  waiters: Map<string, Waiter[]>;
  streams: Set<Stream>;
  /** Streams that were promised a place and have not begun. */
  opening: number;
  /** Work that made the core throw, by what it was. */
  failedWork: Set<string>;
  /** Date.now() of the last request. */
  usedMs: number;
  removed: boolean;
  /** Named snapshots and members that are being made. */
  readonly snapshotPlaces: Places;
  readonly memberPlaces: Places;
  /** A snapshot is being written. */
  saving: boolean;
}

export function newSession(record: SessionRecord): Session {
  return {
    id: record.id, record, live: null, loading: false, queue: [], afterMove: [], waiters: new Map(), streams: new Set(), opening: 0,
    failedWork: new Set(), usedMs: Date.now(), removed: false, snapshotPlaces: new Places(), memberPlaces: new Places(), saving: false,
  };
}
