/** Who may do what: tokens, members, and the one table of rights. */
import { timingSafeEqual } from "node:crypto";
import { forbidden, notFound, unauthenticated } from "./errors.ts";
import { hashToken, type MemberRecord, type Store } from "./store/index.ts";

export const ROLES = ["owner", "assistant", "student", "observer"] as const;
export type Role = (typeof ROLES)[number];

/** Who asks: a member of a session, or the server's administrator, who may do what an owner may. */
export interface Caller {
  memberId: string;
  /** The session that the token belongs to; null for the administrator. */
  sessionId: string | null;
  role: Role;
  uid: number;
  name: string;
  tokenHash: string;
}

const everybody: readonly Role[] = ROLES;
const insiders: readonly Role[] = ["owner", "assistant", "student"];
const teachers: readonly Role[] = ["owner", "assistant"];
const owner: readonly Role[] = ["owner"];

/**
 * A right and the roles that have it. What the kernel itself decides (signals, modules, parameters, files) is open to
 * everybody who acts, and answered by its permission checks; own processes are told from others' by `mayDrive`.
 */
export const RIGHTS = {
  "session.read": everybody,
  "session.delete": owner,
  "members.read": ["owner", "assistant", "observer"],
  "members.manage": owner,
  "clock.read": everybody,
  "clock.change": teachers,
  "snapshots.read": ["owner", "assistant", "observer"],
  "snapshots.create": teachers,
  "snapshots.restore": owner,
  "snapshots.delete": owner,
  "processes.read": everybody,
  "processes.create": insiders,
  "processes.drive": insiders,
  "signals.send": insiders,
  "calls": insiders,
  "memory": insiders,
  "trace.read": everybody,
  "modules.read": everybody,
  "modules.change": insiders,
  "fs.read": everybody,
  "fs.change": insiders,
  "commands": insiders,
  "dmesg.read": everybody,
  "events.read": everybody,
} as const satisfies Record<string, readonly Role[]>;
export type Right = keyof typeof RIGHTS;

/** @throws Problem 403 */
export function requireRight(caller: Caller, right: Right): void {
  const roles: readonly Role[] = RIGHTS[right];
  if (!roles.includes(caller.role)) throw forbidden(`The role "${caller.role}" may not do this (${right}).`);
}

/** Owner and assistant drive every process, a student the ones of its own making and their children. */
export function mayDrive(caller: Caller, processMember: string): boolean {
  return caller.role !== "student" || processMember === caller.memberId;
}

/** The token of an `Authorization: Bearer …` header; null where there is none. */
export function bearerToken(header: string | undefined): string | null {
  if (header === undefined) return null;
  const match = /^Bearer +([A-Za-z0-9\-._~+/]+=*) *$/i.exec(header);
  return match === null ? null : match[1]!;
}

/** Members by their token's hash, kept in memory so that the usual request asks no database. */
export class MemberDirectory {
  readonly #store: Store;
  readonly #known = new Map<string, Caller>();

  constructor(store: Store) {
    this.#store = store;
  }

  known(tokenHash: string): Caller | undefined {
    return this.#known.get(tokenHash);
  }

  /** @throws Problem 401 where nobody has the token */
  async find(token: string, tokenHash: string): Promise<Caller> {
    const member = await this.#store.members.findByToken(token);
    if (member === undefined) throw unauthenticated(UNKNOWN_TOKEN);
    const caller = callerOf(member, tokenHash);
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(tokenHash, caller);
    return caller;
  }

  forgetMember(memberId: string): void {
    for (const [tokenHash, caller] of this.#known) if (caller.memberId === memberId) this.#known.delete(tokenHash);
  }

  forgetSession(sessionId: string): void {
    for (const [tokenHash, caller] of this.#known) if (caller.sessionId === sessionId) this.#known.delete(tokenHash);
  }
}

/** Callers in memory at most. */
const REMEMBERED = 100_000;

function callerOf({ id, sessionId, role, uid, name }: MemberRecord, tokenHash: string): Caller {
  return { memberId: id, sessionId, role, uid, name, tokenHash };
}

export interface Gate {
  /** SHA-256 of SYSLAB_ADMIN_TOKEN; null when the server has none. */
  adminHash: string | null;
  members: MemberDirectory;
}

function isAdmin(gate: Gate, tokenHash: string): boolean {
  return gate.adminHash !== null && timingSafeEqual(Buffer.from(gate.adminHash, "hex"), Buffer.from(tokenHash, "hex"));
}

const NO_TOKEN = "This needs `Authorization: Bearer <token>`.";
const UNKNOWN_TOKEN = "The token is not known here: it was revoked, or its session was removed.";

/**
 * Whose token this is; answers at once when the token is known in memory.
 * @throws Problem 401 where it is missing or unknown
 */
export function authenticate(gate: Gate, header: string | undefined): Caller | Promise<Caller> {
  const token = bearerToken(header);
  if (token === null) throw unauthenticated(NO_TOKEN);
  const tokenHash = hashToken(token);
  if (isAdmin(gate, tokenHash)) return adminCaller(tokenHash);
  return gate.members.known(tokenHash) ?? gate.members.find(token, tokenHash);
}

function adminCaller(tokenHash: string): Caller {
  return { memberId: "admin", sessionId: null, role: "owner", uid: 0, name: "administrator", tokenHash };
}

/** The administrator, where the server has one; anybody (null) where it is an open one on loopback. @throws Problem 401, 403 */
export function requireAdmin(gate: Gate, header: string | undefined): Caller | null | Promise<Caller | null> {
  if (gate.adminHash === null) return null;
  const caller = authenticate(gate, header);
  return caller instanceof Promise ? caller.then(onlyAdmin) : onlyAdmin(caller);
}

function onlyAdmin(caller: Caller): Caller {
  if (caller.sessionId !== null) throw forbidden("This needs the administrator's token.");
  return caller;
}

/** @throws Problem 404 where the token belongs to another session */
export function requireMembership(caller: Caller, sessionId: string): void {
  if (caller.sessionId !== null && caller.sessionId !== sessionId) throw notFound(`There is no session ${sessionId} for this token.`);
}
