/** Asking for a call that others made. */
import { tooMany } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { Reply, RequestInfo } from "../route.ts";
import type { CallAnswer, Kernel } from "./core.ts";
import { moveClock } from "./feed.ts";
import { heldIn, holdRequest } from "./held.ts";
import type { Settler } from "./journal.ts";
import type { Sessions } from "./sessions.ts";
import { afterCommit } from "./work.ts";

/** A call's present state; where the request may be held, the state at its end, or when the time is up. */
export async function awaitCall(
  sessions: Sessions, sid: string, callId: string, request: RequestInfo, present: (kernel: Kernel) => CallAnswer,
): Promise<{ status: 200; json: CallAnswer }> {
  const session = await sessions.find(sid);
  sessions.use(session);
  return new Promise((resolve, reject) => {
    const reply = (answer: CallAnswer): Reply => ({ status: 200, json: answer });
    const to: Settler = { resolve: (told) => resolve(told as { status: 200; json: CallAnswer }), reject };
    sessions.turns.do(session, {
      run(live) {
        moveClock(sessions, session, live);
        const answer = present(live.kernel);
        if (answer.state !== "sleeping" || request.waitMs === 0) {
          return afterCommit(sessions, session, () => resolve({ status: 200, json: answer }), reject);
        }
        if (heldIn(session) >= LIMITS.heldRequests) throw tooMany(`At most ${LIMITS.heldRequests} requests are held in a session.`, 1);
        holdRequest(sessions, session, {
          callId, pid: answer.pid, to, requestId: request.id, ended: reply, asleep: reply, timer: null, keeps: false, answered: false,
        }, request.waitMs);
      },
      reject,
    });
  });
}
