/**
 * Group commit: what one turn of the event loop appends is kept in one transaction, and nothing that saw it leaves before.
 * Each session's part is a unit, so that one that contradicts the database does not take the others with it.
 */
import { Problem, unavailable } from "../errors.ts";
import type { Reply } from "../route.ts";
import { StoreConflict, StoreFull, type Store, type Turn } from "../store/index.ts";
import { moveRow } from "./rows.ts";
import type { Live, Session } from "./session.ts";
import { CORE_VERSION } from "./core.ts";

/** Where an answer goes: out after the commit, or a refusal when there was none. */
export interface Settler {
  resolve(reply: Reply): void;
  reject(problem: Problem): void;
}

interface Waiting {
  to: Settler;
  reply: Reply;
}

/** What one session (or a request outside any) adds to a commit. */
export class Unit {
  readonly session: Session | null;
  readonly turn: { [K in keyof Turn]-?: NonNullable<Turn[K]> } = {
    rows: [], idempotency: [], sessions: [], members: [], snapshots: [], benchmarks: [], clockModes: [], restored: [], removed: [],
  };
  readonly answers: Waiting[] = [];
  /** Called after the commit, in order, after the answers. */
  readonly after: (() => void)[] = [];

  constructor(session: Session | null) {
    this.session = session;
  }

  answer(to: Settler, reply: Reply): void {
    this.answers.push({ to, reply });
  }
}

export interface JournalHooks {
  /** Before a unit is written: streams look at what is new. */
  closing(unit: Unit): void;
  /** The unit was not written: its session's kernel is ahead of the database. */
  failed(unit: Unit, problem: Problem): void;
  committed?(rows: number, seconds: number): void;
}

export class Journal {
  readonly #store: Store;
  readonly #hooks: JournalHooks;
  #open = new Map<Session | symbol, Unit>();
  /** A commit is under way or will be in this turn of the event loop. */
  #scheduled = false;
  #idle: (() => void)[] = [];

  constructor(store: Store, hooks: JournalHooks) {
    this.#store = store;
    this.#hooks = hooks;
  }

  /** The session's part of the commit that comes; asking for it asks for a commit. */
  unit(session: Session): Unit {
    let unit = this.#open.get(session);
    if (unit === undefined) {
      unit = new Unit(session);
      this.#open.set(session, unit);
      this.#schedule();
    }
    return unit;
  }

  /** A part of its own, for what belongs to no live session. */
  separate(): Unit {
    const unit = new Unit(null);
    this.#open.set(Symbol("unit"), unit);
    this.#schedule();
    return unit;
  }

  /** Whether a commit for the session comes anyway. */
  isComing(session: Session): boolean {
    return this.#open.has(session);
  }

  /** Whether the session has something that is not kept yet. */
  isOpen(session: Session): boolean {
    return this.#open.has(session) || (session.live !== null && session.live.moves.length > 0);
  }

  /** Sends an answer after all that it may have seen is kept. */
  answer(session: Session, to: Settler, reply: Reply): void {
    if (this.isOpen(session) || this.#scheduled) this.unit(session).answer(to, reply);
    else to.resolve(reply);
  }

  /** Gives the clock moves that wait their rows. */
  closeMoves(session: Session): void {
    const { live } = session;
    if (live === null || live.moves.length === 0) return;
    for (const move of live.moves.splice(0)) {
      const { input, outputHash } = moveRow(move);
      this.row(session, live, input, outputHash);
    }
  }

  /** Appends a row behind those that are there; answers its seq. */
  row(session: Session, live: Live, input: string, outputHash: string): number {
    live.rowsSinceSnapshot++;
    live.bytesSinceSnapshot += input.length;
    this.unit(session).turn.rows.push({ sessionId: session.id, seq: ++live.seq, input, outputHash, coreVersion: CORE_VERSION });
    return live.seq;
  }

  /** Resolves when everything appended so far is written or has failed. */
  settled(): Promise<void> {
    return this.#scheduled ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => void this.#commitAll());
  }

  async #commitAll(): Promise<void> {
    while (this.#open.size > 0) {
      for (const unit of [...this.#open.values()]) {
        if (unit.session === null) continue;
        this.closeMoves(unit.session);
        this.#hooks.closing(unit);
      }
      const units = [...this.#open.values()];
      this.#open = new Map();
      await this.#commit(units);
    }
    this.#scheduled = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #commit(units: Unit[]): Promise<void> {
    const turn = units.length === 1 ? units[0]!.turn : joinTurns(units);
    const began = performance.now();
    try {
      await this.#store.appendTurn(turn);
    } catch (error) {
      if (error instanceof StoreConflict && units.length > 1) {
        for (const unit of units) await this.#commit([unit]);
        return;
      }
      const problem = error instanceof StoreFull
        ? new Problem(507, "full", "The disk is full; nothing of this request was kept.")
        : unavailable(`The journal could not be written, and nothing of this request was kept: ${(error as Error).message}`);
      for (const unit of units) this.#fail(unit, problem);
      return;
    }
    this.#hooks.committed?.(turn.rows.length, (performance.now() - began) / 1000);
    for (const unit of units) {
      for (const { to, reply } of unit.answers) to.resolve(reply);
      for (const then of unit.after) then();
    }
  }

  #fail(unit: Unit, problem: Problem): void {
    for (const { to } of unit.answers) to.reject(problem);
    this.#hooks.failed(unit, problem);
    // What the session did meanwhile stands on rows that do not exist.
    const later = unit.session === null ? undefined : this.#open.get(unit.session);
    if (later === undefined) return;
    this.#open.delete(unit.session!);
    for (const { to } of later.answers) to.reject(problem);
  }
}

function joinTurns(units: Unit[]): Unit["turn"] {
  const { turn } = new Unit(null);
  for (const unit of units) {
    for (const part of Object.keys(turn) as (keyof Turn)[]) {
      if (unit.turn[part].length > 0) (turn[part] as unknown[]).push(...unit.turn[part]);
    }
  }
  return turn;
}
