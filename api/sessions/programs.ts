/** Short-lived processes that the service runs for a caller: insmod, a file written, a directory made. */
import type { Caller } from "../auth.ts";
import { errnoProblem } from "../errors.ts";
import type { Reply, RequestInfo } from "../route.ts";
import type { CallAnswer, Json } from "./core.ts";
import { ensureHome, homeIn } from "./lifecycle.ts";
import type { Live } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import type { AsleepReply } from "./work.ts";

const EINTR = 4;

/**
 * Runs one of the core's programs as the caller's uid.
 * @param done the answer to its end, whatever its result; may answer with a Problem
 */
export function runProgram<R extends Reply>(
  sessions: Sessions, sid: string, caller: Caller, request: RequestInfo, program: string, args: Json,
  done: (end: Extract<CallAnswer, { state: "program" }>, live: Live) => R,
): Promise<R | AsleepReply> {
  return sessions.act(sid, {
    request,
    input(live, session) {
      ensureHome(sessions, session, live, caller);
      return {
        type: "program", callId: sessions.newCallId(), program, args, uid: caller.uid, member: caller.memberId, home: homeIn(live.kernel, caller.uid),
      };
    },
    reply({ answer, live }) {
      // A signal took it before it could answer.
      if (answer?.state !== "program") throw errnoProblem(EINTR, `${program} was killed before it was done.`);
      return done(answer, live);
    },
  });
}
