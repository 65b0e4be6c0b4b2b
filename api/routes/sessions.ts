/** Sessions: each is one emulated kernel. */
import { z } from "zod";
import { authenticate, type Caller } from "../auth.ts";
import { Problem, errnoProblem, forbidden, invalid, notFound } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { defineRoute, type RequestInfo } from "../route.ts";
import { ClockMode, Id, Insmod, Machine, MachineView, PageQuery, SessionParams, Timestamp, pageOf, pageSchema } from "../schemas.ts";
import type { Services } from "../services.ts";
import { keepSealed, sealKey, sealReply } from "../sessions/idempotency.ts";
import { bootSession, forkSession, type MadeSession } from "../sessions/lifecycle.ts";
import type { Unit } from "../sessions/journal.ts";
import type { SessionRecord } from "../store/index.ts";
import { moduleProblem } from "./modules.ts";

const tag = "Sessions";

export const Session = z.object({
  id: z.string(),
  name: z.string(),
  machine: MachineView,
  clockMode: ClockMode,
  state: z.enum(["ready", "read-only"]),
  readOnlyReason: z.string().nullable().meta({ description: "Why it refuses changes; null while it accepts them" }),
  createdAt: Timestamp,
}).meta({ id: "Session" });

const CreatedSession = Session.extend({
  token: z.string().meta({ description: "The owner's; shown this once" }),
  member: z.object({ id: z.string(), role: z.string(), uid: z.number().int() }),
}).meta({ id: "CreatedSession" });

const CreateSession = z.strictObject({
  name: z.string().min(1).max(200).optional(),
  machine: Machine.optional(),
  modules: z.array(Insmod).max(64).optional().meta({ description: "Inserted in this order" }),
  from: Id.optional().meta({ description: "A snapshot to fork" }),
}).meta({ id: "CreateSession" });

export function sessionView({ id, name, machine, clockMode, readOnlyReason, createdAt }: SessionRecord): z.output<typeof Session> {
  const state = readOnlyReason === null ? "ready" : "read-only";
  return { id, name, machine, clockMode, state, readOnlyReason, createdAt: createdAt.toISOString() };
}

export const createSession = defineRoute({
  id: "createSession", method: "post", path: "/v1/sessions", tag, access: "admin", showsToken: true,
  summary: "Boot a machine, or fork a snapshot",
  description: "A fork takes the kernel only: a new owner token, no members, the same processes; its random state is kept unless "
    + "`machine.seed` is given. It needs an owner's or assistant's token of the snapshot's session, or the administrator's.",
  body: CreateSession,
  responses: { 201: { description: "It runs", json: CreatedSession, headers: { Location: "The session" } } },
  problems: { 507: "There is no room for another session" },
  handle({ body, request, caller }, services) {
    const { sessions, store } = services;
    return sessions.places.make(LIMITS.sessions, () => store.sessions.count(), `There are at most ${LIMITS.sessions} sessions.`, () => make(services, body, request, caller));
  },
});

async function make(services: Services, body: z.output<typeof CreateSession>, request: RequestInfo, caller: Caller | null) {
  const { sessions } = services;
  sessions.requireMemory();
  const sealing = request.ticket === null ? null : await sealKey(request.ticket);
  const name = body.name ?? (body.from === undefined ? "session" : "fork");
  const made = body.from === undefined
    ? bootSession(sessions, name, body.machine ?? {})
    : await fork(services, name, body.from, body.machine, request, caller);
  await insertModules(services, made, body.modules ?? [], request);
  const { session, owner, token } = made;
  const reply = {
    status: 201 as const, headers: { Location: `/v1/sessions/${session.id}` },
    json: { ...sessionView(session.record), token, member: { id: owner.id, role: owner.role, uid: owner.uid } },
  };
  return new Promise<typeof reply>((resolve, reject) => {
    const unit: Unit = sessions.journal.unit(session);
    if (sealing !== null) keepSealed(unit, request.ticket!, reply, sealReply(sealing, reply), { sessionId: null, seq: null });
    unit.answer({ resolve: () => resolve(reply), reject }, reply);
  });
}

async function fork(
  services: Services, name: string, from: string, machine: z.output<typeof Machine> | undefined, request: RequestInfo, admin: Caller | null,
): Promise<MadeSession & { unit: Unit }> {
  const { seed, ...other } = machine ?? {};
  if (Object.keys(other).length > 0) {
    throw invalid("A fork keeps the machine of its snapshot; only `seed` may be given.", Object.keys(other).map((field) => ({
      path: `/machine/${field}`, message: "cannot be changed by a fork",
    })));
  }
  const caller = admin ?? (await authenticate(services.gate, request.authorization));
  const snapshot = await services.store.snapshots.find(from);
  if (snapshot === undefined || (caller.sessionId !== null && caller.sessionId !== snapshot.sessionId)) {
    throw notFound(`There is no snapshot ${from} for this token.`);
  }
  if (caller.role !== "owner" && caller.role !== "assistant") throw forbidden("A fork needs an owner's or an assistant's token.");
  const { record } = await services.sessions.find(snapshot.sessionId);
  return forkSession(services.sessions, name, snapshot, record.machine, seed);
}

/** insmod of each; the first that fails takes the session with it. */
async function insertModules(services: Services, { session }: MadeSession, modules: z.output<typeof Insmod>[], request: RequestInfo): Promise<void> {
  const { sessions } = services;
  for (const wanted of modules) {
    const reply = await sessions.act(session.id, {
      request: { ...request, ticket: null, waitMs: LIMITS.wait.default * 1000 },
      input: () => ({
        type: "program", callId: sessions.newCallId(), program: "insmod", args: wanted, uid: 0, member: "", home: "/root",
      }),
      reply({ answer }) {
        if (answer?.state !== "program") throw errnoProblem(4);
        if (answer.ret < 0) throw moduleProblem(answer);
        return { status: 200, json: null };
      },
    }).catch((error: unknown) => {
      sessions.remove(session, () => {});
      throw error;
    });
    if (reply.status < 300) continue;
    sessions.remove(session, () => {});
    throw refusalOf(reply.json, reply.status, wanted.name);
  }
}

/** The refusal of an insmod as one of the whole request. */
function refusalOf(document: unknown, status: number, module: string): Problem {
  const { type = "/problems/invalid", detail = "", errnoNumber, errors } = (document ?? {}) as {
    type?: string; detail?: string; errnoNumber?: number; errors?: { path: string; message: string }[];
  };
  return new Problem(status, type.replace("/problems/", "") as Problem["type"], `Module ${module}: ${detail}`, {
    ...(errnoNumber === undefined ? {} : { errno: errnoNumber }), ...(errors === undefined ? {} : { errors }),
  });
}

export const listSessions = defineRoute({
  id: "listSessions", method: "get", path: "/v1/sessions", tag, access: "admin", summary: "The sessions of this server, newest first",
  query: PageQuery,
  responses: { 200: pageSchema(Session, "SessionPage") },
  async handle({ query }, { store }) {
    const { items, nextCursor } = await store.sessions.list(pageOf(query));
    return { status: 200, json: { items: items.map(sessionView), nextCursor } };
  },
});

export const getSession = defineRoute({
  id: "getSession", method: "get", path: "/v1/sessions/{sid}", tag, access: "session.read", summary: "One session",
  params: SessionParams,
  responses: { 200: Session },
  handle: async ({ params }, { sessions }) => ({ status: 200, json: sessionView((await sessions.find(params.sid)).record) }),
});

export const deleteSession = defineRoute({
  id: "deleteSession", method: "delete", path: "/v1/sessions/{sid}", tag, access: "session.delete", summary: "Remove a session for good",
  params: SessionParams,
  responses: { 204: { description: "It is gone" } },
  async handle({ params }, { sessions, gate }) {
    const session = await sessions.find(params.sid);
    await new Promise<void>((resolve, reject) => {
      sessions.remove(session, (unit) => unit.answer({ resolve: () => resolve(), reject }, { status: 204 }));
    });
    gate.members.forgetSession(params.sid);
    return { status: 204 };
  },
});

export const sessionRoutes = [createSession, listSessions, getSession, deleteSession];
