/** Terminals of commands: what was printed, typing, their size. */
import { isUtf8 } from "node:buffer";
import { z } from "zod";
import { mayDrive, type Caller } from "../auth.ts";
import { forbidden, notFound } from "../errors.ts";
import { defineRoute } from "../route.ts";
import { Count, SessionParams } from "../schemas.ts";
import type { Services } from "../services.ts";
import { terminalScreen, terminalView, type Kernel, type TerminalView } from "../sessions/core.ts";
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
  if (!mayDrive(caller, view.member)) throw forbidden("The terminal belongs to another member.");
  return view;
}

const ownTty = ({ params, caller }: { params: { sid: string; n: number }; caller: Caller }, { sessions }: Services): Promise<void> =>
  sessions.look(params.sid, (kernel) => void requireTty(kernel, caller, params.n));

/** What is printed from a place on; the cursor counts bytes. A number is given again: the id says which terminal is meant. */
function screenSource(n: number, id: number): Source<number> {
  const view = ({ kernel }: Live) => terminalScreen(kernel, n, id);
  const end = (live: Live): number => {
    const seen = view(live);
    return seen === null ? 0 : seen.dropped + seen.screen.length;
  };
  // Other terminals' places are others.
  const idOf = ({ restoredSeq }: Live, at: number): string => `${restoredSeq}-${id}-${at}`;
  return {
    outlivesRestore: false,
    start: (live) => view(live)?.dropped ?? 0,
    end,
    idOf,
    resume(live, lastEventId) {
      const match = /^(\d{1,15})-(\d{1,15})-(\d{1,15})$/.exec(lastEventId);
      const at = Number(match?.[3]);
      if (match === null || Number(match[1]) !== live.restoredSeq || Number(match[2]) !== id) return null;
      return at < (view(live)?.dropped ?? 0) || at > end(live) ? null : at;
    },
    hasNews: (live, since) => end(live) > since,
    isOver: (live) => view(live)?.ended ?? true,
    items(live, since) {
      const seen = view(live);
      if (seen === null) return [];
      const at = end(live);
      const bytes = Buffer.from(seen.screen.slice(Math.max(0, since - seen.dropped)), "latin1");
      if (bytes.length === 0) return [];
      return [{ item: { id: idOf(live, at), event: "output", data: JSON.stringify({ base64: bytes.toString("base64"), ...(isUtf8(bytes) ? { text: bytes.toString("utf8") } : {}) }) }, at }];
    },
  };
}

export const getTty = defineRoute({
  id: "getTty", method: "get", path, tag, access: "events.read",
  summary: "What a terminal shows, the last 256 KiB; as an event stream it follows",
  description: "Each `event: output` has what was printed as base64 and, where it is UTF-8, as text; `event: ended` is the last, when no program is on it any more.",
  params: TtyParams, check: ownTty,
  responses: { 200: { description: "The screen, as bytes of a terminal", text: "text/plain", events: true } },
  problems: { 404: "There is none, or no program is on it any more", 429: "As many streams as a session may have" },
  async handle({ params, caller, request }, { sessions }) {
    if (request.prefers(["text/plain", EVENT_STREAM]) === EVENT_STREAM) {
      const id = await sessions.look(params.sid, (kernel) => requireTty(kernel, caller, params.n).id);
      return stream(sessions, params.sid, caller, request, screenSource(params.n, id), true);
    }
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
  handle: ({ params, body, caller, request }, { sessions }) => sessions.actAtOnce(params.sid, {
    request,
    input({ kernel }) {
      requireTty(kernel, caller, params.n); // the number may have been given again since it was looked at
      return { type: "typeTty", tty: params.n, base64: Buffer.from(body).toString("base64") };
    },
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
    input({ kernel }) {
      requireTty(kernel, caller, params.n);
      return { type: "resizeTty", tty: params.n, rows: body.rows, columns: body.cols };
    },
    reply({ live }) {
      const { tty, pid, rows, columns } = requireTty(live.kernel, caller, params.n);
      return { status: 200 as const, json: { tty, pid, rows, cols: columns } };
    },
  }),
});

export const ttyRoutes = [getTty, postTty, patchTty];
