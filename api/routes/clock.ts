/** Kernel time: reading it, and moving a virtual clock. */
import { z } from "zod";
import { conflict } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { defineRoute } from "../route.ts";
import { ClockMode, Ns, SessionParams } from "../schemas.ts";
import { clockView, type Kernel } from "../sessions/core.ts";
import { advanceClock, setClockMode } from "../sessions/clock_requests.ts";

const tag = "Clock";
const path = "/v1/sessions/{sid}/clock";

export const Clock = z.object({
  mode: ClockMode,
  nowNs: Ns.meta({ description: "CLOCK_MONOTONIC" }),
  realtimeNs: z.string().meta({ description: "CLOCK_REALTIME, nanoseconds since 1970" }),
  boottimeNs: Ns.meta({ description: "CLOCK_BOOTTIME" }),
  jiffies: z.string(),
  hz: z.number().int(),
}).meta({ id: "Clock" });

const view = (kernel: Kernel) => ({ status: 200 as const, json: clockView(kernel) });

export const getClock = defineRoute({
  id: "getClock", method: "get", path, tag, access: "clock.read", summary: "Kernel time",
  params: SessionParams,
  responses: { 200: Clock },
  handle: ({ params }, { sessions }) => sessions.look(params.sid, view),
});

export const patchClock = defineRoute({
  id: "setClockMode", method: "patch", path, tag, access: "clock.change", summary: "Let kernel time follow the host, or stand until it is moved",
  params: SessionParams,
  body: z.strictObject({ mode: ClockMode }),
  responses: { 200: Clock },
  handle: ({ params, body, request }, { sessions }) => setClockMode(sessions, params.sid, body.mode, request, view),
});

const Move = z.strictObject({
  ns: z.number().int().min(0).max(LIMITS.advanceNs).optional(),
  ms: z.number().min(0).max(LIMITS.advanceNs / 1e6).optional(),
  jiffies: z.number().int().min(0).optional(),
}).refine((move) => Object.values(move).filter((value) => value !== undefined).length === 1, "takes one of ns, ms and jiffies")
  .meta({ id: "ClockMove", override: { oneOf: [{ required: ["ns"] }, { required: ["ms"] }, { required: ["jiffies"] }] } });

export const postAdvance = defineRoute({
  id: "advanceClock", method: "post", path: `${path}/advance`, tag, access: "clock.change",
  summary: "Move a virtual clock; every timer due on the way runs",
  params: SessionParams,
  body: Move,
  responses: { 200: Clock },
  problems: { 409: "The clock follows the host" },
  handle({ params, body, request }, { sessions }) {
    return advanceClock(sessions, params.sid, (kernel) => {
      const { mode, hz, nowNs } = clockView(kernel);
      if (mode === "real") throw conflict("The clock is real: it moves by itself. PATCH it to virtual first.");
      const byNs = body.ns ?? (body.ms === undefined ? (body.jiffies ?? 0) * (1e9 / hz) : Math.round(body.ms * 1e6));
      if (byNs > LIMITS.advanceNs || nowNs + byNs > Number.MAX_SAFE_INTEGER) throw conflict("The clock cannot be moved so far.");
      return byNs;
    }, request, view);
  },
});

export const clockRoutes = [getClock, patchClock, postAdvance];
