/** Terminals of commands: what was printed, typing, their size. */
import { z } from "zod";
import { mayDrive, type Caller } from "../auth.ts";
import { forbidden, notFound } from "../errors.ts";
import { defineRoute } from "../route.ts";
import { Count, SessionParams } from "../schemas.ts";
import type { Services } from "../services.ts";
import { memberOf, terminalView, type Kernel, type TerminalView } from "../sessions/core.ts";
import type { Live } from "../sessions/session.ts";
import type { Source } from "../sessions/streams.ts";
import { stream } from "./logs.ts";

const tag = "Commands";
const path = "/v1/sessions/{sid}/ttys/{n}";
const EVENT_STREAM = "text/event-stream";
const TYPED_MAX = 64 << 10;
const TtyParams = SessionParams.extend({ n: Count(4_095) });

/** @throws Problem 404 where there is none any more, 403 where it is another's */
function requireTty(kernel: Kernel, caller: Caller, n: number): TerminalView {
  const view = terminalView(kernel, n);
  if (view === null) throw notFound(`There is no terminal ${n}, or no program is on it any more.`);
  if (!mayDrive(caller, memberOf(kernel, view.pid))) throw forbidden("The terminal belongs to another member.");
  return view;
}

const ownTty = ({ params, caller }: { params: { sid: string; n: number }; caller: Caller }, { sessions }: Services): Promise<void> =>
  sessions.look(params.sid, (kernel) => void requireTty(kernel, caller, params.n));

/** What is printed from a place on; the cursor counts bytes. */
function screenSource(n: number): Source<number> {
  const view = ({ kernel }: Live) => terminalView(kernel, n);
  const end = (live: Live): number => {
    const seen = view(live);
    return seen === null ? 0 : seen.dropped + seen.screen.length;
  };
  const idOf = ({ restoredSeq }: Live, at: number): string => `${restoredSeq}-${at}`;
  return {
    outlivesRestore: false,
    start: (live) => view(live)?.dropped ?? 0,
    end,
    idOf,
    resume(live, id) {
      const match = /^(\d{1,15})-(\d{1,15})$/.exec(id);
      const at = Number(match?.[2]);
      return match === null || Number(match[1]) !== live.restoredSeq || at < (view(live)?.dropped ?? 0) || at > end(live) ? null : at;
    },
    hasNews: (live, since) => end(live) > since,
    items(live, since) {
      const seen = view(live);
      if (seen === null) return [];
      const at = end(live);
      const bytes = Buffer.from(seen.screen.slice(Math.max(0, since - seen.dropped)), "latin1");
      if (bytes.length === 0) return [];
      return [{ item: { id: idOf(live, at), event: "output", data: JSON.stringify({ base64: bytes.toString("base64"), text: bytes.toString("utf8") }) }, at }];
    },
  };
}

export const getTty = defineRoute({
  id: "getTty", method: "get", path, tag, access: "events.read",
  summary: "What a terminal shows, the last 256 KiB; as an event stream it follows",
  params: TtyParams, check: ownTty,
  responses: { 200: { description: "The screen, as bytes of a terminal", text: "text/plain", events: true } },
  problems: { 404: "There is none, or no program is on it any more", 429: "As many streams as a session may have" },
  handle({ params, caller, request }, { sessions }) {
    if (request.prefers(["text/plain", EVENT_STREAM]) === EVENT_STREAM) return stream(sessions, params.sid, caller, request, screenSource(params.n), true);
    return sessions.look(params.sid, (kernel) => ({
      status: 200 as const, text: Buffer.from(requireTty(kernel, caller, params.n).screen, "latin1").toString("utf8"),
    }));
  },
});

export const postTty = defineRoute({
  id: "typeTty", method: "post", path, tag, access: "commands",
  summary: "Type on a terminal: the body's bytes as keys, ^C as 0x03",
  params: TtyParams, check: ownTty,
  body: { rawBytes: TYPED_MAX, description: "The bytes, whatever their Content-Type" },
  responses: { 204: { description: "They are typed" } },
  handle: ({ params, body, request }, { sessions }) => sessions.actAtOnce(params.sid, {
    request,
    input: () => ({ type: "typeTty", tty: params.n, base64: Buffer.from(body).toString("base64") }),
    reply: () => ({ status: 204 as const }),
  }),
});

export const patchTty = defineRoute({
  id: "resizeTty", method: "patch", path, tag, access: "commands",
  summary: "The size of a terminal; its foreground gets SIGWINCH",
  params: TtyParams, check: ownTty,
  body: z.strictObject({ rows: z.number().int().min(1).max(1_000), cols: z.number().int().min(1).max(1_000) }),
  responses: { 200: z.object({ tty: z.number().int(), pid: z.number().int(), rows: z.number().int(), cols: z.number().int() }).meta({ id: "Terminal" }) },
  handle: ({ params, body, caller, request }, { sessions }) => sessions.actAtOnce(params.sid, {
    request,
    input: () => ({ type: "resizeTty", tty: params.n, rows: body.rows, columns: body.cols }),
    reply({ live }) {
      const { tty, pid, rows, columns } = requireTty(live.kernel, caller, params.n);
      return { status: 200 as const, json: { tty, pid, rows, cols: columns } };
    },
  }),
});

export const ttyRoutes = [getTty, postTty, patchTty];
