/** Requests that change a session's clock. */
import type { Reply, RequestInfo } from "../route.ts";
import { disarmTimer } from "./clock.ts";
import type { Kernel } from "./core.ts";
import { advance } from "./feed.ts";
import type { Host } from "./host.ts";
import { keep } from "./idempotency.ts";
import type { Settler } from "./journal.ts";
import type { Live, Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import { replyOf, requireWritable } from "./work.ts";

/** Real and virtual; resolves when it is kept. */
export async function setClockMode<R extends Reply>(
  sessions: Sessions, sid: string, mode: "real" | "virtual", request: RequestInfo, view: (kernel: Kernel) => R,
): Promise<R> {
  const session = await sessions.find(sid);
  return sessions.actAtOnce(sid, {
    request,
    input: () => ({ type: "setClockMode", mode }),
    reply({ live }) {
      live.clockMode = mode;
      session.record.clockMode = mode;
      sessions.journal.unit(session).turn.clockModes.push({ sessionId: session.id, mode });
      if (mode === "virtual") disarmTimer(live);
      else sessions.began(session, live);
      return view(live.kernel);
    },
  });
}

/**
 * Moves a virtual clock and resolves once it has arrived and that is kept.
 * @param byNs how far; may refuse with a Problem
 */
export async function advanceClock<R extends Reply>(
  sessions: Sessions, sid: string, byNs: (kernel: Kernel) => number, request: RequestInfo, view: (kernel: Kernel) => R,
): Promise<R> {
  const session = await sessions.find(sid);
  sessions.use(session);
  return new Promise((resolve, reject) => {
    const to: Settler = { resolve: (reply) => resolve(reply as R), reject };
    const arrived = (live: Live) => answer(sessions, session, live, request, to, view);
    const begin = (live: Live): void => {
      if (live.more) return whenQuiet(session, { run: begin, reject });
      requireWritable(session);
      advance(sessions, session, live, byNs(live.kernel));
      if (!live.more) return arrived(live);
      // The input is under way: a repeat after a crash must not move the clock again.
      keep(sessions.journal.unit(session), request.ticket, replyOf(() => view(live.kernel), request.id), { sessionId: session.id, seq: live.seq });
      whenQuiet(session, { run: arrived, reject });
    };
    sessions.turns.do(session, { run: begin, reject });
  });
}

function answer<R extends Reply>(
  host: Host, session: Session, live: Live, request: RequestInfo, to: Settler, view: (kernel: Kernel) => R,
): void {
  const reply = replyOf(() => view(live.kernel), request.id);
  const unit = host.journal.unit(session);
  keep(unit, request.ticket, reply, { sessionId: session.id, seq: live.seq });
  unit.answer(to, reply);
}

function whenQuiet(session: Session, job: Session["queue"][number]): void {
  session.afterMove.push(job);
}
