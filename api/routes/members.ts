/** Members: who may use a session, and as which uid. */
import { z } from "zod";
import { ROLES } from "../auth.ts";
import { conflict, notFound } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { defineRoute } from "../route.ts";
import { Id, PageQuery, SessionParams, Timestamp, pageOf, pageSchema } from "../schemas.ts";
import { addMember } from "../sessions/lifecycle.ts";
import type { MemberRecord } from "../store/index.ts";

const tag = "Members";
const path = "/v1/sessions/{sid}/members";
const MemberParams = SessionParams.extend({ mid: Id });

const Member = z.object({
  id: z.string(), name: z.string(), role: z.enum(ROLES), uid: z.number().int(), createdAt: Timestamp,
}).meta({ id: "Member" });
const CreatedMember = Member.extend({ token: z.string().meta({ description: "Shown this once" }) }).meta({ id: "CreatedMember" });

function memberView({ id, name, role, uid, createdAt }: MemberRecord): z.output<typeof Member> {
  return { id, name, role, uid, createdAt: createdAt.toISOString() };
}

export const createMember = defineRoute({
  id: "createMember", method: "post", path, tag, access: "members.manage", showsToken: true,
  summary: "Let somebody in",
  description: "An assistant acts as uid 0; students get uid 1000, 1001, … and a home; an observer only reads views.",
  params: SessionParams,
  body: z.strictObject({ name: z.string().min(1).max(200), role: z.enum(["student", "assistant", "observer"]) }),
  responses: { 201: { description: "The member, with its token", json: CreatedMember, headers: { Location: "The member" } } },
  async handle({ params, body, request }, { sessions, store }) {
    const session = await sessions.find(params.sid);
    sessions.use(session);
    const view = (member: MemberRecord, token: string) => ({
      status: 201 as const, json: { ...memberView(member), token }, headers: { Location: `/v1/sessions/${params.sid}/members/${member.id}` },
    });
    const { membersPerSession: limit } = LIMITS;
    return session.memberPlaces.make(
      limit, () => store.members.count(params.sid), `A session has at most ${limit} members.`, () => addMember(sessions, session, body, request, view),
    );
  },
});

export const listMembers = defineRoute({
  id: "listMembers", method: "get", path, tag, access: "members.read", summary: "The members, oldest first",
  params: SessionParams, query: PageQuery,
  responses: { 200: pageSchema(Member, "MemberPage") },
  async handle({ params, query }, { store }) {
    const { items, nextCursor } = await store.members.list(params.sid, pageOf(query));
    return { status: 200, json: { items: items.map(memberView), nextCursor } };
  },
});

export const getMember = defineRoute({
  id: "getMember", method: "get", path: `${path}/{mid}`, tag, access: "members.read", summary: "One member",
  params: MemberParams,
  responses: { 200: Member },
  async handle({ params }, { store }) {
    const member = await store.members.get(params.sid, params.mid);
    if (member === undefined) throw notFound(`There is no member ${params.mid}.`);
    return { status: 200, json: memberView(member) };
  },
});

export const deleteMember = defineRoute({
  id: "deleteMember", method: "delete", path: `${path}/{mid}`, tag, access: "members.manage", summary: "Revoke a member's token at once; its streams end",
  params: MemberParams,
  responses: { 204: { description: "The token opens nothing any more" } },
  problems: { 409: "The owner stays" },
  async handle({ params }, { store, gate, sessions }) {
    const member = await store.members.get(params.sid, params.mid);
    if (member === undefined) throw notFound(`There is no member ${params.mid}.`);
    if (member.role === "owner") throw conflict("A session keeps its owner; delete the session instead.");
    await store.members.revoke(params.sid, params.mid);
    gate.members.forgetMember(params.mid);
    for (const stream of (await sessions.find(params.sid)).streams) if (stream.memberId === params.mid) stream.close();
    return { status: 204 };
  },
});

export const memberRoutes = [createMember, listMembers, getMember, deleteMember];
