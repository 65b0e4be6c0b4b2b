/** What a kernel tells: dmesg, the trace of calls, events; each as it is and as a stream. */
import { z } from "zod";
import { mayDrive, type Caller } from "../auth.ts";
import { tooMany } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { defineRoute, type Follow, type RequestInfo } from "../route.ts";
import { Flag, Ns, Pid, SessionParams } from "../schemas.ts";
import { dmesgText, logRecords, memberOf, traceLines, type Kernel } from "../sessions/core.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { dmesgSource, eventSource, follow, logView, traceSource, type Source } from "../sessions/streams.ts";
import type { Session } from "../sessions/session.ts";
import { requireOwn } from "./process_access.ts";

const EVENT_STREAM = "text/event-stream";
const LogRecord = z.object({
  sequence: z.number().int(), ns: Ns, level: z.number().int(), facility: z.number().int(), text: z.string(),
}).meta({ id: "LogRecord" });

/** A place among the session's streams. @throws Problem 429 */
function takePlace(session: Session): void {
  if (session.streams.size + session.opening >= LIMITS.streams) throw tooMany(`A session has at most ${LIMITS.streams} streams.`, 5);
  session.opening++;
}

/** Follows a ring from the kernel as it is now. */
export async function stream<C>(
  sessions: Sessions, sid: string, { memberId }: Caller, request: RequestInfo, source: Source<C>, fromStart: boolean, check: (kernel: Kernel) => void = () => {},
): Promise<{ status: 200; events: Follow }> {
  const session = await sessions.find(sid);
  takePlace(session);
  try {
    // A follower sees what comes after this moment.
    const from = await sessions.look(sid, (kernel, live) => {
      check(kernel);
      return fromStart ? source.start(live) : source.end(live);
    });
    return {
      status: 200,
      events(sink) {
        session.opening--;
        const followed = follow(session, memberId, source, sink, from, request.lastEventId);
        sessions.streamOpened(session);
        return () => void session.streams.delete(followed);
      },
    };
  } catch (error) {
    session.opening--;
    throw error;
  }
}

export const getDmesg = defineRoute({
  id: "dmesg", method: "get", path: "/v1/sessions/{sid}/dmesg", tag: "Kernel log", access: "dmesg.read",
  summary: "The kernel log as dmesg prints it; as an event stream it follows",
  params: SessionParams,
  query: z.object({ format: z.enum(["text", "json"]).optional() }),
  responses: {
    200: { description: "The log", text: "text/plain", json: z.object({ records: z.array(LogRecord) }).meta({ id: "KernelLog" }), events: true },
  },
  problems: { 429: "As many streams as a session may have" },
  handle({ params, query, caller, request }, { sessions }) {
    if (query.format === "json") {
      return sessions.look(params.sid, (kernel) => ({ status: 200 as const, json: { records: logRecords(kernel).map(logView) } }));
    }
    if (request.prefers(["text/plain", EVENT_STREAM]) === EVENT_STREAM) return stream(sessions, params.sid, caller, request, dmesgSource, true);
    return sessions.look(params.sid, (kernel) => ({ status: 200 as const, text: dmesgText(kernel) }));
  },
});

/** Owner, assistant and observer see all lines; a student its own processes'. */
function seesLine(caller: Caller, kernel: Kernel, pid: number): boolean {
  return caller.role !== "student" || mayDrive(caller, memberOf(kernel, pid));
}

export const getTrace = defineRoute({
  id: "trace", method: "get", path: "/v1/sessions/{sid}/trace", tag: "Kernel log", access: "trace.read",
  summary: "The last 10,000 calls, one strace line each",
  description: "Of one process, or of all, each line then begins with its pid. A student sees its own processes' calls.",
  params: SessionParams,
  query: z.object({ pid: Pid.optional(), follow: Flag.optional() }),
  responses: { 200: { description: "The lines", text: "text/plain", events: true } },
  problems: { 429: "As many streams as a session may have" },
  handle({ params, query, caller, request }, { sessions }) {
    const { pid } = query;
    const check = (kernel: Kernel) => {
      if (pid !== undefined && caller.role === "student") requireOwn(kernel, caller, pid);
    };
    if (query.follow === true || request.prefers(["text/plain", EVENT_STREAM]) === EVENT_STREAM) {
      const source = traceSource(pid, (live, of) => seesLine(caller, live.kernel, of));
      return stream(sessions, params.sid, caller, request, source, false, check);
    }
    return sessions.look(params.sid, (kernel) => {
      check(kernel);
      const lines = traceLines(kernel, pid === undefined ? {} : { pid }).filter((line) => seesLine(caller, kernel, line.pid));
      return { status: 200 as const, text: lines.map((line) => `${pid === undefined ? `${line.pid} ` : ""}${line.text}\n`).join("") };
    });
  },
});

export const getEvents = defineRoute({
  id: "events", method: "get", path: "/v1/sessions/{sid}/events", tag: "Kernel log", access: "events.read",
  summary: "What happens: module, process, signal, fault, timer, oops",
  description: "Last-Event-ID goes on from the ring, else `event: gap` comes first; `event: restored` after a restore.",
  params: SessionParams,
  responses: { 200: { description: "Server-sent events", events: true } },
  problems: { 429: "As many streams as a session may have" },
  handle: ({ params, caller, request }, { sessions }) => stream(sessions, params.sid, caller, request, eventSource, false),
});

export const logRoutes = [getDmesg, getTrace, getEvents];
