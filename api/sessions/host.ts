/** What the parts of the sessions' machinery ask of one another; `Sessions` is it. */
import type { Store } from "../store/index.ts";
import type { Journal } from "./journal.ts";
import type { Live, Session } from "./session.ts";
import type { Turns } from "./turns.ts";

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Host {
  readonly store: Store;
  readonly journal: Journal;
  readonly turns: Turns;
  readonly log: Log;
  /** Sees to it that the kernel is in memory or on its way. @throws Problem 503, 404 */
  use(session: Session): void;
  /** A kernel timer of a real clock is due. */
  timerDue(session: Session): void;
  /** The kernel has nothing left to do until something comes. */
  quiet(session: Session): void;
  streamsMayHaveNews(session: Session): void;
  /** Something threw that should not have, while `session` had its turn. */
  failed(session: Session, failure: unknown): void;
  /** Takes in a session whose kernel was just made. */
  adopt(session: Session, live: Live): void;
  /** A kernel was put into memory: its clock, its slices and what hangs on it begin. */
  began(session: Session, live: Live): void;
  /** @throws Problem 507 where memory is too short for an input of this type */
  requireMemory(inputType?: string): void;
  /** What made the session read-only was restored over. */
  makeWritable(session: Session): void;
  newCallId(): string;
}
