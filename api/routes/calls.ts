/** Calls that sleep or have slept: how they stand, and interrupting one. */
import { mayDrive, type Caller } from "../auth.ts";
import { forbidden, notFound } from "../errors.ts";
import { defineRoute } from "../route.ts";
import { CallState, Id, SessionParams } from "../schemas.ts";
import type { Services } from "../services.ts";
import { callRecord, type CallAnswer, type Kernel } from "../sessions/core.ts";
import { awaitCall } from "../sessions/call_requests.ts";

const tag = "System calls";
const path = "/v1/sessions/{sid}/calls/{callId}";
const CallParams = SessionParams.extend({ callId: Id });

/** @throws Problem 404 where nobody knows the call, 403 where it is another's */
function requireCall(kernel: Kernel, caller: Caller, callId: string): CallAnswer {
  const record = callRecord(kernel, callId);
  if (record === null) throw notFound(`There is no call ${callId}, or its answer is kept no longer.`);
  if (!mayDrive(caller, record.member)) throw forbidden("The call belongs to another member.");
  return record.answer;
}

const ownCall = ({ params, caller }: { params: { sid: string; callId: string }; caller: Caller }, { sessions }: Services): Promise<void> =>
  sessions.look(params.sid, (kernel) => void requireCall(kernel, caller, params.callId));

export const getCall = defineRoute({
  id: "getCall", method: "get", path, tag, access: "calls", holds: 0,
  summary: "How a call stands; with Prefer: wait, once it has ended",
  params: CallParams, check: ownCall,
  responses: { 200: CallState },
  handle: ({ params, caller, request }, { sessions }) =>
    awaitCall(sessions, params.sid, params.callId, request, (kernel) => requireCall(kernel, caller, params.callId)),
});

export const deleteCall = defineRoute({
  id: "interruptCall", method: "delete", path, tag, access: "calls", holds: 0,
  summary: "Interrupt a sleeping call, as a signal with an empty handler without SA_RESTART",
  params: CallParams, check: ownCall,
  responses: { 200: CallState },
  problems: { 409: "It has ended, or sleeps uninterruptibly" },
  handle: ({ params, request }, { sessions }) => sessions.actAtOnce(params.sid, {
    request,
    input: () => ({ type: "interruptCall", callId: params.callId }),
    reply: ({ answer, live }) => ({ status: 200 as const, json: (callRecord(live.kernel, params.callId)?.answer ?? answer) as CallAnswer }),
  }),
});

export const callRoutes = [getCall, deleteCall];
