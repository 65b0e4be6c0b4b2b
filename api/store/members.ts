/** Members: who may use a session, and as which uid. Of a token only its SHA-256 is kept. */
import { createHash, randomBytes } from "node:crypto";
import type { Database } from "./client.ts";
import type { PrismaClient } from "./generated/client.ts";
import type { MemberModel } from "./generated/models.ts";
import { pageArgs, toPage, type Page, type PageQuery } from "./page.ts";

export type Role = "owner" | "assistant" | "student" | "observer";

export interface NewMember {
  id: string;
  sessionId: string;
  name: string;
  role: Role;
  uid: number;
  tokenHash: string;
  /** Now, when left out; given where the answer shows it before the commit. */
  createdAt?: Date;
}

export interface MemberRecord extends Omit<NewMember, "tokenHash"> {
  createdAt: Date;
}

const FIRST_STUDENT_UID = 1000;

/** A token with 256 random bits, to be shown once, and the hash to keep. */
export function newToken(): { token: string; tokenHash: string } {
  const token = `syslab_${randomBytes(32).toString("base64url")}`;
  return { token, tokenHash: hashToken(token) };
}

/** No salt or slow hash is needed: a random token cannot be guessed from its digest. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

export class Members {
  readonly #database: Database;
  /** Members seen by their token's hash: every request asks, and this process alone writes them. */
  readonly #byTokenHash = new Map<string, MemberRecord>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** The member whose token this is; undefined when there is none, or was. */
  async findByToken(token: string): Promise<MemberRecord | undefined> {
    const tokenHash = hashToken(token);
    const known = this.#byTokenHash.get(tokenHash);
    if (known) return known;
    return this.#database.run(async (prisma) => {
      const row = await prisma.member.findUnique({ where: { tokenHash, revokedAt: null, session: { deletedAt: null } } });
      if (row === null) return undefined;
      const member = toRecord(row);
      this.#byTokenHash.set(tokenHash, member); // inside the work: a revocation comes wholly before or after
      return member;
    });
  }

  get(sessionId: string, id: string): Promise<MemberRecord | undefined> {
    return this.#database.run(async (prisma) => {
      const row = await prisma.member.findUnique({ where: { id, sessionId, revokedAt: null } });
      return row === null ? undefined : toRecord(row);
    });
  }

  /** Oldest first, without the revoked ones. Throws InvalidCursor. */
  async list(sessionId: string, query: PageQuery): Promise<Page<MemberRecord>> {
    const { where, ...rest } = pageArgs(query, "oldest first");
    const rows = await this.#database.run((prisma) =>
      prisma.member.findMany({ ...rest, where: { ...where, sessionId, revokedAt: null } }),
    );
    return toPage(rows, query, toRecord);
  }

  /** How many members the session has, without the revoked ones. */
  count(sessionId: string): Promise<number> {
    return this.#database.run((prisma) => prisma.member.count({ where: { sessionId, revokedAt: null } }));
  }

  /** The uid for the session's next student. A revoked member's is never given again: files may still belong to it. */
  async nextStudentUid(sessionId: string): Promise<number> {
    const { _max } = await this.#database.run((prisma) =>
      prisma.member.aggregate({ where: { sessionId, role: "student" }, _max: { uid: true } }),
    );
    return _max.uid === null ? FIRST_STUDENT_UID : _max.uid + 1;
  }

  /** Ends the member's rights at once. False when there is no such member. */
  revoke(sessionId: string, id: string): Promise<boolean> {
    return this.#database.run(async (prisma) => {
      const { count } = await prisma.member.updateMany({ where: { id, sessionId, revokedAt: null }, data: { revokedAt: new Date() } });
      this.#forget((member) => member.id === id);
      return count > 0;
    });
  }

  /** To be called within the work that removes the session. */
  forgetSession(sessionId: string): void {
    this.#forget((member) => member.sessionId === sessionId);
  }

  #forget(gone: (member: MemberRecord) => boolean): void {
    for (const [tokenHash, member] of this.#byTokenHash) if (gone(member)) this.#byTokenHash.delete(tokenHash);
  }
}

export function insertMembers(prisma: PrismaClient, members: NewMember[], createdAt: Date) {
  return prisma.member.createMany({ data: members.map((member) => ({ createdAt, ...member })) });
}

function toRecord({ tokenHash: _tokenHash, revokedAt: _revokedAt, ...row }: MemberModel): MemberRecord {
  return { ...row, role: row.role as Role };
}
