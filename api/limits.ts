/** Every limit of the service in one place; `/v1/limits` shows them. */
import { COMMAND_LIMITS, MACHINE_LIMITS } from "./sessions/core.ts";

const MiB = 1 << 20;

/** All header fields of a request together. */
export const HEADER_BYTES = 64 << 10;

export const LIMITS = {
  jsonBodyBytes: 8 * MiB,
  rawBodyBytes: 64 * MiB,
  urlBytes: 16 << 10,
  batchCalls: 10_000,
  jsonBufferBytes: 1 * MiB,
  rawBufferBytes: 16 * MiB,
  sleepingCalls: 1_024,
  /** Requests of a session that wait: for its turn, or held by calls that sleep. */
  heldRequests: 4_096,
  processes: 4_096,
  streams: 16,
  streamBacklogBytes: 1 * MiB,
  /** Seconds that a request may be held. */
  wait: { default: 30, max: 240 },
  page: { default: 50, max: 200 },
  idempotencyKeyChars: 255,
  idempotencyHours: 24,
  /** Lines that a session keeps for streams that come back with Last-Event-ID, and for /trace. */
  traceCalls: 10_000,
  events: 1_000,
  sessions: 10_000,
  membersPerSession: 1_000,
  snapshotsPerSession: 100,
  /** One POST …/clock/advance may move the clock so far. */
  advanceNs: 1e15,
  benchmarks: { queued: 64, repeat: 100 },
  commands: COMMAND_LIMITS,
  machine: MACHINE_LIMITS,
} as const;
