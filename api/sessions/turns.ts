/** Who works when: sessions with work left take turns, one slice each, and the event loop runs in between. */
import { Problem, tooMany } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { slice } from "./feed.ts";
import type { Host } from "./host.ts";
import type { Job, Live, Session } from "./session.ts";

/** Jobs that a busy session does in one turn. */
const JOBS_A_TURN = 16;

export class Turns {
  readonly #host: Host;
  readonly #busy = new Set<Session>();
  #scheduled = false;

  constructor(host: Host) {
    this.#host = host;
  }

  /** The session has jobs or slices to do. */
  add(session: Session): void {
    this.#busy.add(session);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#round());
  }

  /** Does `job` now where nothing is before it, else in its turn. */
  do(session: Session, job: Job): void {
    try {
      this.#host.use(session); // it may have gone while the request did something else
      if (session.queue.length >= LIMITS.heldRequests) throw tooMany("The session is busy, and as many requests wait for it as may.", 1);
    } catch (error) {
      return job.reject(error as Problem);
    }
    const { live } = session;
    if (live !== null && !live.more && session.queue.length === 0) this.run(session, live, job);
    else {
      session.queue.push(job);
      if (live !== null) this.add(session);
    }
  }

  run(session: Session, live: Live, job: Job): void {
    try {
      job.run(live);
    } catch (error) {
      if (error instanceof Problem) return job.reject(error);
      this.#host.failed(session, error);
      job.reject(new Problem(500, "kernel", "The emulator failed at this request; the kernel is as it was before it."));
    }
  }

  #round(): void {
    this.#scheduled = false;
    for (const session of [...this.#busy]) {
      this.#busy.delete(session);
      if (session.live !== null && !session.removed) this.#turn(session, session.live);
    }
  }

  #turn(session: Session, live: Live): void {
    for (let done = 0; done < JOBS_A_TURN && session.queue.length > 0 && !live.deferred && session.live === live; done++) {
      this.run(session, live, session.queue.shift()!);
    }
    if (session.live !== live) return;
    if (live.more) {
      try {
        slice(this.#host, session, live);
      } catch (error) {
        return this.#host.failed(session, error);
      }
    }
    if (live.more || session.queue.length > 0) this.add(session);
  }
}
