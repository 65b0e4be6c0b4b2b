/**
 * Answers requests by their route. The order of the checks is part of the contract: Host and Origin, size, 401, 404, 403,
 * 415 and 400, 422, 409.
 */
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { parse as parseQuery } from "node:querystring";
import type { Logger } from "pino";
import type { z } from "zod";
import { negotiate } from "./accept.ts";
import { authenticate, requireAdmin, requireMembership, requireRight, type Caller } from "./auth.ts";
import { checkDeclaredLength, isChunked, parseBody, readBody } from "./body.ts";
import { Problem, invalid, notFound, unavailable, type FieldError } from "./errors.ts";
import type { HostCheck } from "./hosts.ts";
import { HEADER_BYTES, LIMITS } from "./limits.ts";
import { headersTooLarge, urlTooLong } from "./malformed.ts";
import { preferredWait } from "./prefer.ts";
import { send } from "./reply.ts";
import { isRawBody, type Reply, type RequestInfo, type Route } from "./route.ts";
import { Router, type Match } from "./router.ts";
import type { Services } from "./services.ts";
import { InvalidCursor, StoreError, StoreFull } from "./store/index.ts";
import { checkKey, type Ticket } from "./sessions/idempotency.ts";
import { problemReply } from "./sessions/work.ts";

const SESSIONS = "/v1/sessions";

export interface MountOptions {
  routes: Route[];
  services: Services;
  hosts: HostCheck;
  log: Logger;
  /** Sent with every answer. */
  headers: Record<string, string>;
  /** How often an event stream shows that it lives, in milliseconds. */
  commentMs?: number | undefined;
}

/** Answers one request. */
export type Door = (req: IncomingMessage, res: ServerResponse) => void;

const RUN = randomBytes(6).toString("base64url");
let requests = 0;

/** Random for this run of the server, counted within it. */
export function newRequestId(): string {
  return `${RUN}-${(requests++).toString(36)}`;
}

export function mount({ routes, services, hosts, log, headers, commentMs }: MountOptions): Door {
  const router = new Router(routes);
  return (req, res) => {
    const began = performance.now();
    const url = req.url!;
    const question = url.indexOf("?");
    const path = question < 0 ? url : url.slice(0, question);
    const search = question < 0 ? "" : url.slice(question + 1);
    const match = router.match(path);
    const request: Asked = { req, id: newRequestId(), path, search, match, route: match?.routes.get(methodOf(req)) };
    answer(request, services, hosts)
      .catch((error: unknown) => problemReply(problemOf(error, request, log), request.id))
      .then((reply) => {
        send(res, reply, { ...headers, "X-Request-Id": request.id, ...(path.startsWith(SESSIONS) ? NO_STORE : undefined) }, commentMs);
        const ms = performance.now() - began;
        services.metrics.request(req.method!, request.route?.path ?? "none", reply.status, ms / 1000);
        log.info({ id: request.id, method: req.method, url, status: reply.status, ms }, "request");
      })
      .catch((error: unknown) => {
        log.error({ id: request.id, err: error }, "an answer could not be written");
        res.destroy();
      });
  };
}

const NO_STORE = { "Cache-Control": "no-store" };

interface Asked {
  req: IncomingMessage;
  id: string;
  path: string;
  search: string;
  match: Match | null;
  route: Route | undefined;
}

function methodOf(req: IncomingMessage): Route["method"] {
  return (req.method === "HEAD" ? "get" : req.method!.toLowerCase()) as Route["method"];
}

async function answer(request: Asked, services: Services, hosts: HostCheck): Promise<Reply> {
  const { req, path, search, match, route } = request;
  hosts.check(req.headers.host, req.headers.origin);
  if (req.url!.length > LIMITS.urlBytes) throw urlTooLong();
  if (headerBytes(req) > HEADER_BYTES) throw headersTooLarge();
  const limit = isRawBody(route?.body) ? route.body.rawBytes : LIMITS.jsonBodyBytes;
  checkDeclaredLength(req, limit);
  const early = isChunked(req) ? await readBody(req, limit) : null;
  if (match === null || route === undefined) return await refuseUnknown(req, path, match, services);

  const params = decodeParams(match.params);
  const caller = await identify(req, route, params, services);
  // A path parameter that fits nothing names nothing.
  const readParams = route.params?.safeParse(params);
  if (readParams?.success === false) throw notFound(`There is no ${path}.`);
  if (route.check !== undefined) await route.check({ params: readParams?.data, caller }, services);

  const bytes = early ?? (route.body === undefined ? EMPTY : await readBody(req, limit));
  const body = isRawBody(route.body) ? bytes : route.body === undefined ? undefined : readSchema(route.body, parseBody(req, bytes), "");
  const query = route.query === undefined ? undefined : readSchema(route.query, { ...parseQuery(search) }, "/query");
  const info = requestInfo(request, route);
  const context = { params: readParams?.data, query, body, caller, request: info };
  const key = route.method === "post" ? req.headers["idempotency-key"] : undefined;
  let reply: Reply;
  if (key === undefined) {
    reply = await route.handle(context as Parameters<Route["handle"]>[0], services);
  } else {
    checkKey(String(key));
    const hashed = search === "" ? bytes : Buffer.concat([bytes, Buffer.from(`?${search}`)]);
    const once = { scope: caller?.tokenHash ?? "server", method: "POST", path, key: String(key), body: hashed };
    const act = async (ticket: Ticket) =>
      await route.handle({ ...context, request: { ...info, ticket } } as Parameters<Route["handle"]>[0], services);
    reply = await services.sessions.keys.once(once, act);
  }
  if (route.holds !== undefined && req.headers.prefer !== undefined) {
    const wait = preferredWait(req.headers.prefer);
    if (wait !== null) return { ...reply, headers: { ...reply.headers, "Preference-Applied": `wait=${wait}` } };
  }
  return reply;
}

const EMPTY = Buffer.alloc(0);

function headerBytes({ rawHeaders }: IncomingMessage): number {
  let bytes = 0;
  for (let at = 0; at < rawHeaders.length; at++) bytes += rawHeaders[at]!.length + 2;
  return bytes;
}

function requestInfo({ req, id }: Asked, route: Route): RequestInfo {
  const wait = route.holds === undefined ? 0 : (preferredWait(req.headers.prefer) ?? route.holds);
  return {
    id, waitMs: wait * 1000, ticket: null,
    prefers: (mediaTypes) => negotiate(req.headers.accept, mediaTypes),
    authorization: req.headers.authorization,
    lastEventId: req.headers["last-event-id"] === undefined ? null : String(req.headers["last-event-id"]),
  };
}

/** A path that nobody serves, or not by this method; below a session, strangers are not told which. */
async function refuseUnknown(req: IncomingMessage, path: string, match: Match | null, services: Services): Promise<never> {
  if (path.startsWith(`${SESSIONS}/`)) await authenticate(services.gate, req.headers.authorization);
  if (match === null) throw notFound(`There is no ${path}.`);
  const allowed = [...match.routes.keys()].flatMap((method) => (method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()])).join(", ");
  throw new Problem(405, "not-found", `${path} takes ${allowed}.`, { headers: { Allow: allowed } });
}

/** Percent-decoded; what is not UTF-8 is malformed. */
function decodeParams(raw: Record<string, string>): Record<string, string> {
  const params: Record<string, string> = {};
  for (const name in raw) {
    const text = raw[name]!;
    try {
      params[name] = text.includes("%") ? decodeURIComponent(text) : text;
    } catch {
      throw new Problem(400, "invalid", "The path is not percent-encoded UTF-8.");
    }
  }
  return params;
}

/** Who asks, and whether they may. */
async function identify(req: IncomingMessage, route: Route, params: Record<string, string>, services: Services): Promise<Caller | null> {
  const { gate } = services;
  const header = req.headers.authorization;
  switch (route.access) {
    case "none": return null;
    case "admin": return await requireAdmin(gate, header);
    case "teacher": return await requireTeacher(gate, header);
  }
  const known = authenticate(gate, header);
  const caller = known instanceof Promise ? await known : known;
  const sid = params["sid"]!;
  requireMembership(caller, sid);
  if (caller.sessionId === null) await services.sessions.find(sid);
  requireRight(caller, route.access);
  return caller;
}

/** The administrator, any owner or assistant; on an open server anybody, known by the token if there is one. */
async function requireTeacher(gate: Services["gate"], header: string | undefined): Promise<Caller | null> {
  if (gate.adminHash === null && header === undefined) return null;
  const caller = await authenticate(gate, header);
  if (gate.adminHash !== null && caller.role !== "owner" && caller.role !== "assistant") {
    throw new Problem(403, "forbidden", "This needs an owner's, an assistant's or the administrator's token.");
  }
  return caller;
}

/** @throws Problem 422 with the place of every mistake */
function readSchema(schema: z.ZodType, value: unknown, prefix: string): unknown {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const errors: FieldError[] = [];
  for (const issue of read.error.issues) {
    const path = `${prefix}${issue.path.map((part) => `/${String(part)}`).join("")}`;
    if (issue.code === "unrecognized_keys") errors.push(...issue.keys.map((name) => ({ path: `${path}/${name.slice(0, 80)}`, message: "is not a field here" })));
    else errors.push({ path, message: issue.message });
    if (errors.length >= 20) break;
  }
  const [first] = errors;
  throw invalid(`${first!.path === "" ? "The body" : first!.path}: ${first!.message}.`, errors);
}

/** Any failure as a refusal; what we did not foresee is ours, and is logged. */
function problemOf(error: unknown, { id }: Asked, log: Logger): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof InvalidCursor) return invalid("The cursor is not one of ours.", [{ path: "/query/cursor", message: error.message }]);
  if (error instanceof StoreFull) return new Problem(507, "full", "The disk is full; nothing of this request was kept.");
  if (error instanceof StoreError) return unavailable(`The database did not do this: ${error.message}`);
  log.error({ id, err: error }, "a request failed");
  return new Problem(500, "kernel", "The service failed at this request; the log has the reason under its requestId.");
}
