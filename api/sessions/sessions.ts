/** The live kernels: who is in memory, who comes in and goes out, and what happens when something fails. */
import { randomBytes } from "node:crypto";
import { Problem, notFound, unavailable } from "../errors.ts";
import type { Reply } from "../route.ts";
import type { MemberRecord, SessionRecord, Store } from "../store/index.ts";
import { armTimer, disarmTimer } from "./clock.ts";
import { callRecord, type Kernel } from "./core.ts";
import { PRESSURE, memoryPressure } from "../memory.ts";
import { CoreFailure, feed, moveClock } from "./feed.ts";
import { answerAll, answerQuiet, dismissAll, heldIn, isHeld } from "./held.ts";
import type { Host, Log } from "./host.ts";
import { IdempotencyKeys } from "./idempotency.ts";
import { Journal, type Unit } from "./journal.ts";
import { liveOf, replay } from "./load.ts";
import { Places } from "./places.ts";
import { newSession, type Live, type Session } from "./session.ts";
import { saveKernel } from "./snapshots.ts";
import { Turns } from "./turns.ts";
import { act, look, problemReply, tellAgain, type Act, type AsleepReply } from "./work.ts";

export interface SessionsOptions {
  store: Store;
  log: Log;
  /** A session without requests is put away after so long, in milliseconds. */
  idleMs?: number;
  /** Kernels in memory at most, held and followed ones aside. */
  maxLoaded?: number;
  /** Rows and bytes of journal after which an automatic snapshot is taken. */
  snapshotRows?: number;
  snapshotBytes?: number;
  /** How full the memory is, from 0 to 1. */
  pressure?(): number;
  /** The time of day for what expires, ms since 1970. */
  now?(): number;
  committed?(rows: number, seconds: number): void;
}

const LOOK_MS = 15_000;
/** Kernels that are put away at once when memory is short. */
const PUT_AWAY_AT_ONCE = 8;
/** Inputs that may give memory back, and take none: they are done however short it is. */
const FREEING = new Set(["killProcess", "signal", "interruptCall", "setClockMode", "typeTty", "resizeTty"]);

export class Sessions implements Host {
  readonly store: Store;
  readonly log: Log;
  readonly journal: Journal;
  readonly turns: Turns;
  readonly keys: IdempotencyKeys;
  /** Sessions that are being made. */
  readonly places = new Places();
  readonly #options: Required<Omit<SessionsOptions, "store" | "log" | "committed" | "now" | "pressure">>;
  readonly #sessions = new Map<string, Session>();
  readonly #opening = new Map<string, Promise<Session>>();
  readonly #housekeeping: NodeJS.Timeout;
  /** Never given twice: random for this run of the server, counted within it. */
  readonly #callIds = { run: randomBytes(9).toString("base64url"), next: 0 };
  #stopping = false;
  #puttingAway = false;
  readonly #pressure: () => number;

  constructor({ store, log, committed, idleMs = 10 * 60_000, maxLoaded = 256, snapshotRows = 5_000, snapshotBytes = 16 << 20, now = Date.now, pressure = memoryPressure }: SessionsOptions) {
    this.store = store;
    this.log = log;
    this.#options = { idleMs, maxLoaded, snapshotRows, snapshotBytes };
    this.#pressure = pressure;
    this.keys = new IdempotencyKeys(store, now);
    this.turns = new Turns(this);
    this.journal = new Journal(store, {
      closing: (unit) => this.#closing(unit),
      failed: (unit, problem) => this.#notKept(unit, problem),
      ...(committed === undefined ? {} : { committed }),
    });
    this.#housekeeping = setInterval(() => void this.putAwayIdle(), Math.min(LOOK_MS, idleMs));
    this.#housekeeping.unref();
  }

  /** The session, known at once when it was used lately. @throws Problem 404 */
  find(id: string): Session | Promise<Session> {
    const session = this.#sessions.get(id);
    if (session === undefined) return this.#open(id);
    session.usedMs = Date.now(); // whoever asked for it may do something else first
    return session;
  }

  /** Does something in a kernel; resolves with the reply when it is kept. */
  act<R extends Reply>(id: string, work: Act<R>): Promise<R | AsleepReply> {
    const session = this.#sessions.get(id);
    if (session === undefined) return this.#open(id).then((opened) => this.#act(opened, work));
    return this.#act(session, work);
  }

  /** As `act`, for an input that is no call: it cannot sleep. */
  actAtOnce<R extends Reply>(id: string, work: Act<R>): Promise<R> {
    return this.act(id, work) as Promise<R>;
  }

  #act<R extends Reply>(session: Session, work: Act<R>): Promise<R | AsleepReply> {
    this.use(session);
    const again = work.request.ticket?.again ?? null;
    return again === null ? act(this, session, work) : tellAgain(this, session, work, again);
  }

  /** Looks at a kernel; resolves with what was seen when that is kept. */
  async look<T>(id: string, read: (kernel: Kernel, live: Live) => T): Promise<T> {
    const session = await this.find(id);
    this.use(session);
    return look(this, session, read);
  }

  /** Marks a request's use, and sees to it that the kernel is in memory or on its way. @throws Problem 503, 404 */
  use(session: Session): void {
    if (this.#stopping) throw unavailable("The server is stopping.");
    if (session.removed) throw notFound("The session was removed.");
    session.usedMs = Date.now();
    if (session.live === null && !session.loading) void this.#load(session);
  }

  /** Where memory is short, idle kernels are put away; where it is at its end, nothing that may grow is begun. @throws Problem 507 */
  requireMemory(inputType?: string): void {
    const pressure = this.#pressure();
    if (pressure < PRESSURE.putAway) return;
    void this.#putAwayOldest();
    if (pressure >= PRESSURE.refuse && !(inputType !== undefined && FREEING.has(inputType))) throw new Problem(507, "full", "The server's memory is full; try again when others are idle.");
  }

  /** A session whose kernel was just made; it is in the commit that comes. */
  adopt(session: Session, live: Live): void {
    this.#sessions.set(session.id, session);
    session.live = live;
    this.began(session, live);
  }

  began(session: Session, live: Live): void {
    if (live.more || session.queue.length > 0) this.turns.add(session);
    if (!live.more) armTimer(live, () => this.timerDue(session));
  }

  timerDue(session: Session): void {
    const { live } = session;
    if (live === null || session.removed || this.#stopping) return;
    try {
      moveClock(this, session, live);
    } catch (error) {
      this.failed(session, error);
    }
  }

  quiet(session: Session): void {
    answerQuiet(this, session);
  }

  streamsMayHaveNews(session: Session): void {
    const { live } = session;
    if (live === null || this.journal.isComing(session)) return;
    for (const stream of session.streams) {
      if (!stream.hasNews(live)) continue;
      this.journal.unit(session);
      return;
    }
  }

  /** A follower was added: what it has missed goes out with a commit. */
  streamOpened(session: Session): void {
    if (session.live === null) this.use(session);
    else this.streamsMayHaveNews(session);
  }

  newCallId(): string {
    return `${this.#callIds.run}-${(this.#callIds.next++).toString(36)}`;
  }

  /** What the turn's commit carries along: news for followers, and sometimes an automatic snapshot behind it. */
  #closing(unit: Unit): void {
    const session = unit.session!;
    const { live } = session;
    if (live === null) return;
    for (const stream of session.streams) if (stream.hasNews(live)) unit.after.push(stream.collect(live));
    const { snapshotRows, snapshotBytes } = this.#options;
    if (live.rowsSinceSnapshot < snapshotRows && live.bytesSinceSnapshot < snapshotBytes) return;
    if (!session.saving && unit.turn.rows.length > 0) unit.after.push(() => void this.#save(session));
  }

  async #save(session: Session): Promise<boolean> {
    try {
      return await saveKernel(this, session);
    } catch (error) {
      this.log.warn({ session: session.id, error: (error as Error).message }, "an automatic snapshot was not kept");
      return false;
    }
  }

  /** A commit failed: the kernel has done what the journal does not know. */
  #notKept(unit: Unit, problem: Problem): void {
    const { session } = unit;
    this.log.error({ session: session?.id, detail: problem.message }, "a commit failed");
    if (session?.live == null) return;
    session.live.lost = true;
    this.#drop(session);
  }

  failed(session: Session, failure: unknown): void {
    this.log.error({ session: session.id, error: failure instanceof Error ? failure.stack : String(failure) }, "the emulator failed");
    if (!(failure instanceof CoreFailure) || session.live === null) return;
    this.journal.closeMoves(session); // what it did before is good
    const again = session.failedWork.has(failure.work);
    session.failedWork.add(failure.work);
    this.#drop(session);
    if (again) void this.#setReadOnly(session, `the emulator failed twice at the same work: ${failure.message}`);
  }

  makeWritable(session: Session): void {
    session.failedWork.clear();
    void this.#setReadOnly(session, null);
  }

  async #setReadOnly(session: Session, reason: string | null): Promise<void> {
    session.record.readOnlyReason = reason;
    try {
      await this.store.sessions.setReadOnly(session.id, reason);
    } catch (error) {
      this.log.error({ session: session.id, error: (error as Error).message }, "whether a session is read-only could not be kept");
    }
  }

  /** Forgets the kernel in memory; it is loaded again at once where somebody waits for it. */
  #drop(session: Session): void {
    if (session.live !== null) disarmTimer(session.live);
    session.live = null;
    session.queue.unshift(...session.afterMove.splice(0));
    if (session.queue.length > 0 || session.waiters.size > 0 || session.streams.size > 0) void this.#load(session);
  }

  async #open(id: string): Promise<Session> {
    const known = this.#opening.get(id);
    if (known !== undefined) return known;
    const opening = this.store.sessions.get(id).then((record) => this.#enter(id, record));
    this.#opening.set(id, opening);
    try {
      return await opening;
    } finally {
      this.#opening.delete(id);
    }
  }

  #enter(id: string, record: SessionRecord | undefined): Session {
    if (record === undefined) throw notFound(`There is no session ${id}.`);
    const session = this.#sessions.get(id) ?? newSession(record);
    this.#sessions.set(id, session);
    return session;
  }

  async #load(session: Session): Promise<void> {
    if (session.loading || this.#stopping) return;
    session.loading = true;
    try {
      await this.journal.settled(); // rows on their way must be there
      await this.#makeRoom(session);
      const { replayed, bad } = await replay(this.store, session.id);
      const live = liveOf(replayed);
      if (bad !== null) {
        live.seq = (await this.store.journal.last(session.id))?.seq ?? live.seq;
        await this.#setReadOnly(session, `journal row ${bad.seq} does not do what it did: ${bad.reason}`);
      }
      session.loading = false;
      if (session.removed) return;
      session.live = live;
      if (session.record.readOnlyReason !== null) live.more = false;
      else if (live.clockMode === "real") this.#resume(session, live, Date.now() - replayed.lastMs);
      this.#reattach(session, live);
      this.began(session, live);
    } catch (error) {
      session.loading = false;
      this.failed(session, error);
      const problem = error instanceof Problem ? error : unavailable(`The session could not be loaded: ${(error as Error).message}`);
      rejectJobs(session, problem);
      dismissAll(session, (waiter) => waiter.to.reject(problem));
      for (const stream of session.streams) stream.close();
    }
  }

  /** A machine that was away goes on: the time of day jumps. */
  #resume(session: Session, live: Live, awayMs: number): void {
    if (awayMs > 0) feed(this, session, live, { type: "resume", awayNs: Math.round(awayMs * 1e6) });
  }

  /** Those who wait for a call that the loaded kernel does not know wait for nothing. */
  #reattach(session: Session, live: Live): void {
    dismissUnknown(session, live.kernel);
    for (const stream of session.streams) if (stream.hasNews(live)) this.journal.unit(session);
  }

  /** Puts idle kernels away, and the longest unused ones when there are too many. */
  async putAwayIdle(now = Date.now()): Promise<void> {
    for (const session of [...this.#sessions.values()]) {
      if (now - session.usedMs < this.#options.idleMs || !isIdle(session)) continue;
      if (session.live === null) this.#sessions.delete(session.id);
      else await this.#putAway(session);
    }
  }

  /** The longest unused of the idle kernels, whoever asks for memory. */
  async #putAwayOldest(): Promise<void> {
    if (this.#puttingAway) return;
    this.#puttingAway = true;
    try {
      const idle = [...this.#sessions.values()].filter((session) => session.live !== null && isIdle(session)).sort((a, b) => a.usedMs - b.usedMs);
      for (const session of idle.slice(0, PUT_AWAY_AT_ONCE)) await this.#putAway(session);
    } finally {
      this.#puttingAway = false;
    }
  }

  async #makeRoom(coming: Session): Promise<void> {
    this.requireMemory();
    const loaded = () => [...this.#sessions.values()].filter((session) => session.live !== null);
    if (loaded().length < this.#options.maxLoaded) return;
    const [oldest] = loaded().filter((session) => session !== coming && isIdle(session)).sort((a, b) => a.usedMs - b.usedMs);
    if (oldest !== undefined && (await this.#putAway(oldest))) return;
    throw new Problem(507, "full", "As many kernels are in use as fit into memory; try again when others are idle.");
  }

  /** False when the session came into use meanwhile, or could not be saved. */
  async #putAway(session: Session): Promise<boolean> {
    const { usedMs, live } = session;
    if (live !== null && live.rowsSinceSnapshot + live.moves.length > 0 && session.record.readOnlyReason === null) {
      if (!(await this.#save(session))) return false;
    }
    if (session.usedMs !== usedMs || session.live !== live || !isIdle(session) || (live !== null && this.journal.isOpen(session))) return false;
    if (live !== null) disarmTimer(live);
    session.live = null; // a request may hold the session itself: that goes when nobody has asked for it for long
    return true;
  }

  /** Removes a session for good; resolves when that is kept. */
  remove(session: Session, finish: (unit: Unit) => void): void {
    session.removed = true;
    const unit = this.journal.unit(session);
    unit.turn.removed.push(session.id);
    const gone = notFound("The session was removed.");
    dismissAll(session, (waiter) => unit.answer(waiter.to, problemReply(gone, waiter.requestId)));
    rejectJobs(session, gone);
    unit.after.push(() => {
      for (const stream of session.streams) stream.close();
      if (session.live !== null) disarmTimer(session.live);
      session.live = null;
      this.#sessions.delete(session.id);
    });
    finish(unit);
  }

  /** Answers what is held, saves every kernel, and ends when all is kept. */
  async stop(): Promise<void> {
    clearInterval(this.#housekeeping);
    this.#stopping = true;
    const sessions = [...this.#sessions.values()].filter((session) => session.live !== null);
    for (const session of sessions) {
      disarmTimer(session.live!);
      answerAll(this, session);
      for (const stream of session.streams) stream.close();
      rejectJobs(session, unavailable("The server is stopping."));
    }
    await this.journal.settled();
    for (const session of sessions) {
      if (session.live !== null && session.live.rowsSinceSnapshot + session.live.moves.length > 0) await this.#save(session);
    }
    await this.journal.settled();
  }

  /** How many are known, in memory, held and followed: for the metrics. */
  counts(): { loaded: number; held: number; streams: number } {
    const counts = { loaded: 0, held: 0, streams: 0 };
    for (const session of this.#sessions.values()) {
      if (session.live !== null) counts.loaded++;
      counts.held += heldIn(session);
      counts.streams += session.streams.size;
    }
    return counts;
  }
}

function rejectJobs(session: Session, problem: Problem): void {
  for (const job of [...session.queue.splice(0), ...session.afterMove.splice(0)]) job.reject(problem);
}

function isIdle(session: Session): boolean {
  return !isHeld(session) && session.streams.size === 0 && session.queue.length === 0 && session.afterMove.length === 0 && !session.loading && !session.saving
    && session.live?.more !== true;
}

function dismissUnknown(session: Session, kernel: Kernel): void {
  for (const [callId, waiting] of [...session.waiters]) {
    if (callRecord(kernel, callId) !== null) continue;
    session.waiters.delete(callId);
    for (const waiter of waiting) {
      if (waiter.timer !== null) clearTimeout(waiter.timer);
      if (!waiter.answered) waiter.to.reject(unavailable("The call was not kept."));
    }
  }
}

export type { MemberRecord };
