/** One object a route: its path, schemas, rights, documentation and handler. Mounted by mount.ts, documented by openapi.ts. */
import type { z } from "zod";
import type { Caller, Right } from "./auth.ts";
import type { Services } from "./services.ts";
import type { Ticket } from "./sessions/idempotency.ts";
import type { EventSink } from "./sse.ts";

export type Method = "get" | "post" | "put" | "patch" | "delete";

/**
 * Who may ask. "none": anybody; "admin": the administrator, or anybody on an open server; "teacher": the administrator, any
 * owner or assistant, or anybody on an open server; a right: a member of the session `sid` whose role has it.
 */
export type Access = "none" | "admin" | "teacher" | Right;

/** What a status answers with; a schema alone stands for a JSON body. A spec without any form of body has none. */
export interface ResponseSpec {
  description: string;
  json?: z.ZodType;
  /** The media type of a text answer. */
  text?: string;
  bytes?: true;
  /** Server-sent events. */
  events?: true;
  /** Header name → what it says. */
  headers?: Record<string, string>;
}
export interface Responses {
  [status: number]: z.ZodType | ResponseSpec;
}

/** JSON text of a T, made once where the text is needed twice. */
export type Serialized<T> = string & { readonly of?: T };

/** Sends what is there, goes on as it comes; the answer ends the following. */
export type Follow = (sink: EventSink) => () => void;

type Body<T> =
  | (T extends { json: infer J extends z.ZodType } ? { json: z.output<J> } | { serialized: Serialized<z.output<J>> } : never)
  | (T extends { text: string } ? { text: string } : never)
  | (T extends { bytes: true } ? { bytes: Uint8Array } : never)
  | (T extends { events: true } ? { events: Follow } : never)
  | (T extends { json: unknown } | { text: unknown } | { bytes: unknown } | { events: unknown } ? never : { empty?: true });
type SpecOf<T> = T extends z.ZodType ? { json: T } : T;

/** What a handler may answer: a declared status with a body of its schema. */
export type ReplyFor<R extends Responses> = {
  [S in keyof R & number]: { status: S; headers?: Record<string, string>; contentType?: string } & Body<SpecOf<R[S]>>;
}[keyof R & number];

/** An answer with its types gone, as mount.ts sends it. */
export interface Reply {
  status: number;
  headers?: Record<string, string>;
  json?: unknown;
  serialized?: string;
  text?: string;
  bytes?: Uint8Array;
  events?: Follow;
  empty?: true;
  /** Overrides the media type that the form of the body implies. */
  contentType?: string;
}

/** What a handler may ask of the request beyond its schemas. */
export interface RequestInfo {
  id: string;
  /** How long the caller lets the request be held. */
  waitMs: number;
  /** Set when the request carries an Idempotency-Key. */
  ticket: Ticket | null;
  /** The media type that the Accept header likes best; the first one where it says nothing. */
  prefers(mediaTypes: string[]): string;
  lastEventId: string | null;
  authorization: string | undefined;
}

export type CallerOf<A extends Access> = A extends Right ? Caller : A extends "none" ? null : Caller | null;

export interface Context<P, Q, B, A extends Access> {
  params: P;
  query: Q;
  body: B;
  caller: CallerOf<A>;
  request: RequestInfo;
}

type Parsed<T> = T extends z.ZodType ? z.output<T> : undefined;
type BodyOf<B> = B extends z.ZodType ? z.output<B> : B extends RawBody ? Uint8Array : undefined;

/** A body of plain bytes, any Content-Type. */
export interface RawBody {
  rawBytes: number;
  description: string;
}

export interface RouteSpec<
  P extends z.ZodObject | undefined, Q extends z.ZodObject | undefined, B extends z.ZodType | RawBody | undefined,
  A extends Access, R extends Responses,
> {
  /** The name of the operation in generated clients. */
  id: string;
  method: Method;
  path: string;
  tag: string;
  summary: string;
  description?: string;
  access: A;
  params?: P;
  query?: Q;
  body?: B;
  /** The route may sleep and honours `Prefer: wait`; without it, it is held for so many seconds. */
  holds?: number;
  /** The answer shows a token: kept for a repeat, it is encrypted. Whoever makes it sees to that. */
  showsToken?: boolean;
  responses: R;
  /** Problems other than the usual ones: status → when. */
  problems?: Record<number, string>;
  /** What can be refused before the body is looked at: an unknown process is 404, another's is 403. */
  check?(context: { params: Parsed<P>; caller: CallerOf<A> }, services: Services): void | Promise<void>;
  handle(context: Context<Parsed<P>, Parsed<Q>, BodyOf<B>, A>, services: Services): ReplyFor<NoInfer<R>> | Promise<ReplyFor<NoInfer<R>>>;
}

/** A route with its types gone. */
export interface Route {
  id: string;
  method: Method;
  path: string;
  tag: string;
  summary: string;
  description?: string;
  access: Access;
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType | RawBody;
  holds?: number;
  showsToken?: boolean;
  responses: Responses;
  problems?: Record<number, string>;
  check?(context: { params: unknown; caller: Caller | null }, services: Services): void | Promise<void>;
  handle(context: Context<unknown, unknown, unknown, Access>, services: Services): Reply | Promise<Reply>;
}

/** Types a route; what it answers must fit its `responses`, or it does not compile. */
export function defineRoute<
  P extends z.ZodObject | undefined = undefined, Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | RawBody | undefined = undefined, A extends Access = "none", const R extends Responses = Responses,
>(spec: RouteSpec<P, Q, B, A, R>): Route {
  return spec as unknown as Route; // the schemas check at run time what the types promise
}

export function isRawBody(body: Route["body"]): body is RawBody {
  return body !== undefined && "rawBytes" in body;
}
