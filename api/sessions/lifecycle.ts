/** Making sessions: booting a machine, forking a snapshot, members and their homes. */
import { Problem } from "../errors.ts";
import type { Caller } from "../auth.ts";
import type { Reply, RequestInfo } from "../route.ts";
import { newToken, type MemberRecord, type NewMember, type SessionRecord, type SnapshotRecord } from "../store/index.ts";
import { CONTENT_FORMAT, readContent, writeContent } from "./content.ts";
import {
  CORE_VERSION, DEFAULT_MACHINE, boot, clockView, reseed, restore, snapshot, view, type BootInput, type Kernel, type Machine, type MachineOptions,
} from "./core.ts";
import { feed } from "./feed.ts";
import type { Host } from "./host.ts";
import { keepSealed, sealKey, sealReply } from "./idempotency.ts";
import type { Unit } from "./journal.ts";
import { liveOf } from "./load.ts";
import { answeredOf, hashAnswer } from "./rows.ts";
import { newSession, type Live, type Session } from "./session.ts";
import { newId, stage } from "./snapshots.ts";
import { requireWritable } from "./work.ts";

/** A virtual machine's calendar begins here; a real one's at its creation. */
const VIRTUAL_START_MS = Date.UTC(2024, 0, 1);

export interface MadeSession {
  session: Session;
  owner: MemberRecord;
  token: string;
}

function newRecord(name: string, machine: Machine): SessionRecord {
  return {
    id: newId("s"), name, machine, clockMode: machine.clock, coreVersion: CORE_VERSION, createdAt: new Date(), readOnlyReason: null,
  };
}

/** Boots a machine; what it takes to keep it is in the commit that comes. */
export function bootSession(host: Host, name: string, options: MachineOptions): MadeSession & { unit: Unit } {
  const machine = { ...DEFAULT_MACHINE, ...options };
  const session = newSession(newRecord(name, machine));
  const startMs = machine.clock === "real" ? Date.now() : VIRTUAL_START_MS;
  const input: BootInput = { type: "boot", machine, realtimeNs: (BigInt(startMs) * 1_000_000n).toString() };
  const { kernel, output } = boot(input);
  const live = emptyLive(kernel, 0, output.nowNs, output.more);
  const unit = host.journal.unit(session);
  const made = insertSession(unit, session);
  host.journal.row(session, live, JSON.stringify(input), hashAnswer(answeredOf(output, ""), undefined));
  host.adopt(session, live);
  feed(host, session, live, { type: "makeHome", path: "/root", uid: 0 });
  return { ...made, unit };
}

function emptyLive(kernel: Kernel, seq: number, nowNs: number, more: boolean): Live {
  return liveOf({
    kernel, seq, atNs: nowNs, nowNs, more, restoredSeq: 0, ringStart: { seq, index: 0 }, events: [], rows: 0, bytes: 0, lastMs: Date.now(),
  });
}

function insertSession(unit: Unit, session: Session): MadeSession {
  const { readOnlyReason: _reason, ...record } = session.record;
  unit.turn.sessions.push(record);
  const { member, token } = newMember(session.id, "owner", "owner", 0);
  unit.turn.members.push(member.inserted);
  return { session, owner: member.record, token };
}

function newMember(sessionId: string, name: string, role: NewMember["role"], uid: number) {
  const { token, tokenHash } = newToken();
  const record: MemberRecord = { id: newId("m"), sessionId, name, role, uid, createdAt: new Date() };
  return { member: { record, inserted: { ...record, tokenHash } }, token };
}

/** A session that begins with a snapshot's kernel. @throws Problem 507, 503 */
export async function forkSession(
  host: Host, name: string, origin: SnapshotRecord, machine: Machine, seed: number | undefined,
): Promise<MadeSession & { unit: Unit }> {
  const { header, state } = readContent(await host.store.snapshots.read(origin));
  const kernel = restore(state);
  let { contentId } = origin;
  if (seed !== undefined) {
    reseed(kernel, seed);
    contentId = await stage(host, writeContent(header, snapshot(kernel)));
  }
  const { mode } = clockView(kernel);
  const session = newSession({ ...newRecord(name, { ...machine, ...(seed === undefined ? {} : { seed }) }), clockMode: mode });
  const unit = host.journal.unit(session);
  const made = insertSession(unit, session);
  unit.turn.snapshots.push({
    id: newId("snap"), sessionId: session.id, kind: "auto", name: null, seq: 0, atNs: origin.atNs, coreVersion: CORE_VERSION,
    format: CONTENT_FORMAT, contentId, createdAt: new Date(),
  });
  host.adopt(session, emptyLive(kernel, 0, origin.atNs, header.more));
  return { ...made, unit };
}

/** Where a uid's processes begin; the same for every kernel, so that a fork or a restore knows it. */
export function homeOf(uid: number): string {
  return uid === 0 ? "/root" : `/home/u${uid}`;
}

/** A member's home, or "/" for a uid that has none. */
export function homeIn(kernel: Kernel, uid: number): string {
  const home = homeOf(uid);
  return "kind" in view(kernel, { uid: 0 }, home) ? home : "/";
}

/** Makes a caller's home where it is missing, as after a restore to before the member came. */
export function ensureHome(host: Host, session: Session, live: Live, caller: Caller): void {
  if (caller.role === "student" && homeIn(live.kernel, caller.uid) === "/") {
    feed(host, session, live, { type: "makeHome", path: homeOf(caller.uid), uid: caller.uid });
  }
}

/** Adds a member; a student gets a uid and a home. Resolves when it is kept. */
export async function addMember<R extends Reply>(
  host: Host, session: Session, { name, role }: { name: string; role: NewMember["role"] }, request: RequestInfo,
  reply: (member: MemberRecord, token: string) => R,
): Promise<R> {
  const uid = role === "student" ? await nextUid(host, session) : role === "observer" ? 65534 : 0;
  const { member, token } = newMember(session.id, name, role, uid);
  const shown = reply(member.record, token);
  const key = request.ticket === null ? null : await sealKey(request.ticket);
  return new Promise((resolve, reject) => {
    host.turns.do(session, {
      run(live) {
        requireWritable(session);
        if (role === "student") feed(host, session, live, { type: "makeHome", path: homeOf(uid), uid });
        const unit = host.journal.unit(session);
        unit.turn.members.push(member.inserted);
        if (request.ticket !== null) keepSealed(unit, request.ticket, shown, sealReply(key!, shown), { sessionId: session.id, seq: live.seq });
        unit.answer({ resolve: () => resolve(shown), reject }, shown);
      },
      reject,
    });
  });
}

/** Uids given and not yet in the database. */
const coming = new WeakMap<Session, number>();

async function nextUid(host: Host, session: Session): Promise<number> {
  const uid = Math.max(await host.store.members.nextStudentUid(session.id), (coming.get(session) ?? 0) + 1);
  if (uid > 60_000) throw new Problem(507, "full", "The session has no uid left for another student.");
  coming.set(session, uid);
  return uid;
}
