/** Idempotency-Key: the same request again gets the same answer and acts once. */
import { createCipheriv, createDecipheriv, hash, randomBytes, scrypt } from "node:crypto";
import { promisify } from "node:util";
import { conflict, invalid } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { Reply } from "../route.ts";
import { idempotencyId, type IdempotencyRecord, type Store } from "../store/index.ts";
import type { Unit } from "./journal.ts";

const deriveKey = promisify(scrypt) as (secret: string, salt: Buffer, length: number) => Promise<Buffer>;
const SALT = 16;
const NONCE = 12;
const TAG = 16;

const PROBLEM = "application/problem+json";

/** A request's claim to an answer: passed to whoever appends its input, so that answer and input share a commit. */
export interface Ticket {
  readonly id: string;
  readonly bodyHash: string;
  /** The key itself; opens and seals answers that show a token. */
  readonly key: string;
  /** Until when an answer is kept. */
  readonly expiresAt: Date;
  /** Set for a repeat: the call that the first request made. Nothing is done again, only told how that call stands. */
  readonly again: string | null;
  /** What was last put into a commit, and what a commit has kept; null while there is nothing. */
  pending: IdempotencyRecord | null;
  kept: IdempotencyRecord | null;
  /** Resolves the wait of those who sent the same meanwhile. */
  release(): void;
}

/** @throws Problem 422 for a key that is not 1–255 printable ASCII characters */
export function checkKey(key: string): void {
  if (/^[\x20-\x7e]{1,255}$/.test(key) && key.trim() !== "") return;
  const message = `takes 1 to ${LIMITS.idempotencyKeyChars} printable characters`;
  throw invalid(`Idempotency-Key ${message}.`, [{ path: "/headers/idempotency-key", message }]);
}

/** Text of a reply's body, and back: what a kept answer holds. */
function bodyOf(reply: Reply): Buffer {
  if (reply.bytes !== undefined) return Buffer.from(reply.bytes);
  return Buffer.from(reply.text ?? reply.serialized ?? (reply.json === undefined ? "" : JSON.stringify(reply.json)));
}

function mediaOf(reply: Reply): string | null {
  if (reply.contentType !== undefined) return reply.contentType;
  if (reply.json !== undefined || reply.serialized !== undefined) return "application/json";
  if (reply.bytes !== undefined) return "application/octet-stream";
  return reply.text === undefined ? null : "text/plain; charset=utf-8";
}

/**
 * Puts an answer into the commit of its input; what may come out otherwise the next time (5xx, 429) is not kept.
 * @param of the session and the row that the answer belongs to
 * @param callId the call whose state the answer tells, for as long as it sleeps
 */
export function keep(
  unit: Unit, ticket: Ticket | null, reply: Reply, of: { sessionId: string | null; seq: number | null }, callId: string | null = null,
): void {
  if (ticket === null) return;
  keepBytes(unit, ticket, reply, bodyOf(reply), false, of, callId);
}

function keepBytes(
  unit: Unit, ticket: Ticket, reply: Reply, body: Uint8Array, sealed: boolean,
  of: { sessionId: string | null; seq: number | null }, callId: string | null,
): void {
  const { expiresAt } = ticket;
  if (reply.status >= 500 || reply.status === 429) {
    // A call that slept was kept as such; now that it failed on our side, a repeat acts again.
    if (ticket.pending !== null) unit.turn.idempotency.push({ ...ticket.pending, expiresAt: new Date(0) });
    ticket.pending = ticket.kept = null;
    return;
  }
  const media = mediaOf(reply);
  const headers = { ...reply.headers, ...(media === null ? {} : { "Content-Type": media }) };
  // A call that slept keeps the row of its input: a restore to before it forgets the key, one to after it does not.
  const { sessionId, seq } = ticket.pending ?? of;
  const record = {
    id: ticket.id, bodyHash: ticket.bodyHash, sessionId, seq, status: reply.status, headers, body: Buffer.from(body), sealed, callId, expiresAt,
  };
  ticket.pending = record;
  unit.turn.idempotency.push(record);
  unit.after.push(() => {
    if (ticket.pending === record) ticket.kept = record;
    ticket.release();
  });
}

/** A key made from the Idempotency-Key, which is kept nowhere, and what it takes to make it again. */
export interface SealKey {
  salt: Buffer;
  key: Buffer;
}

export async function sealKey(ticket: Ticket): Promise<SealKey> {
  const salt = randomBytes(SALT);
  return { salt, key: await deriveKey(ticket.key, salt, 32) };
}

/** An answer that shows a token, encrypted. */
export function sealReply({ salt, key }: SealKey, reply: Reply): Uint8Array {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const sealed = Buffer.concat([cipher.update(bodyOf(reply)), cipher.final()]);
  return Buffer.concat([salt, nonce, cipher.getAuthTag(), sealed]);
}

export function keepSealed(unit: Unit, ticket: Ticket, reply: Reply, sealed: Uint8Array, of: { sessionId: string | null; seq: number | null }): void {
  keepBytes(unit, ticket, reply, sealed, true, of, null);
}

async function openSealed(key: string, bytes: Uint8Array): Promise<Buffer> {
  const part = (from: number, length?: number) => Buffer.from(bytes.subarray(from, length === undefined ? undefined : from + length));
  const decipher = createDecipheriv("aes-256-gcm", await deriveKey(key, part(0, SALT), 32), part(SALT, NONCE));
  decipher.setAuthTag(part(SALT + NONCE, TAG));
  return Buffer.concat([decipher.update(part(SALT + NONCE + TAG)), decipher.final()]);
}

/** The kernel does not know the call any more that a kept answer tells of. */
export class CallForgotten extends Error {}

export class IdempotencyKeys {
  readonly #store: Store;
  readonly #now: () => number;
  /** Requests under way by id: what they were, and when there is something to repeat. */
  readonly #underWay = new Map<string, { bodyHash: string; kept: Promise<void>; ticket: Ticket }>();

  /** @param now the time of day, ms since 1970 */
  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /**
   * Runs `act` once for a key; a repeat of what slept runs it to tell how the call stands (`ticket.again`).
   * @param scope the token's hash, or "server"
   * @throws Problem 422 where the key came with another body before
   */
  async once(
    request: { scope: string; method: string; path: string; key: string; body: Uint8Array },
    act: (ticket: Ticket) => Promise<Reply>,
  ): Promise<Reply> {
    const id = idempotencyId(request.scope, request.method, request.path, request.key);
    const bodyHash = hash("sha256", request.body, "hex");
    for (let first = this.#underWay.get(id); first !== undefined; first = this.#underWay.get(id)) {
      if (first.bodyHash !== bodyHash) throw otherBody();
      await first.kept;
      if (first.ticket.kept !== null) return this.#repeat(first.ticket.kept, first.ticket, act);
    }
    let release!: () => void;
    const kept = new Promise<void>((resolve) => (release = resolve));
    const ticket: Ticket = {
      id, bodyHash, key: request.key, expiresAt: new Date(this.#now() + LIMITS.idempotencyHours * 3_600_000), again: null, pending: null, kept: null, release,
    };
    this.#underWay.set(id, { bodyHash, kept, ticket });
    try {
      const record = await this.#store.idempotency.find(id, new Date(this.#now()));
      if (record === undefined) return await act(ticket);
      if (record.bodyHash !== bodyHash) throw otherBody();
      return await this.#repeat(record, ticket, act);
    } finally {
      this.#underWay.delete(id);
      release();
    }
  }

  async #repeat(record: IdempotencyRecord, ticket: Ticket, act: (ticket: Ticket) => Promise<Reply>): Promise<Reply> {
    const again = { "Idempotency-Replayed": "true" };
    if (record.callId !== null) {
      const now = await presentState(act({ ...ticket, again: record.callId }));
      // An answer that was kept at the call's end outlives what the kernel keeps of it; a restore may have it sleep again.
      if (now !== null && (now.status === 202 || record.status === 202)) return { ...now, headers: { ...now.headers, ...again } };
      if (now === null && record.status === 202) throw conflict("The call that this key made has ended, and its answer is kept no longer.");
    }
    const body = record.sealed ? await openSealed(ticket.key, record.body) : Buffer.from(record.body);
    const { "Content-Type": contentType, ...headers } = record.headers;
    // A problem document tells the id of the request that it answered first; so does the header.
    const first: Record<string, string> = contentType === PROBLEM ? { "X-Request-Id": (JSON.parse(body.toString()) as { requestId: string }).requestId } : {};
    const base = { status: record.status, headers: { ...headers, ...again, ...first } };
    return contentType === undefined ? { ...base, empty: true } : { ...base, bytes: body, contentType };
  }
}

async function presentState(asked: Promise<Reply>): Promise<Reply | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof CallForgotten) return null;
    throw error;
  }
}

function otherBody() {
  return invalid("This Idempotency-Key came with another body before.", [
    { path: "/headers/idempotency-key", message: "names another request" },
  ]);
}
