/** What the service refuses and how it says so: RFC 9457 problems of a closed list, and one table from errno to status. */
import { errnoMessage, errnoName } from "./sessions/core.ts";

export const PROBLEM_TYPES = [
  "unauthenticated", "forbidden", "not-found", "conflict", "busy", "invalid", "too-large", "too-many", "full",
  "unsupported-media", "not-implemented", "restored", "interrupted", "kernel",
] as const;
export type ProblemType = (typeof PROBLEM_TYPES)[number];

export interface FieldError {
  path: string;
  message: string;
}

export interface ProblemExtras {
  errors?: FieldError[];
  /** A positive errno: the kernel's answer behind the refusal. */
  errno?: number;
  headers?: Record<string, string>;
  /** Further members of the problem document, such as `signal` of a refused store. */
  members?: Record<string, unknown>;
}

const TITLES: Record<number, string> = {
  400: "Bad request",
  401: "Authentication needed",
  403: "Forbidden",
  404: "Not found",
  405: "Method not allowed",
  408: "Request timeout",
  409: "Conflict",
  413: "Content too large",
  414: "URL too long",
  415: "Unsupported media type",
  416: "Range not satisfiable",
  421: "Misdirected request",
  422: "Invalid request",
  429: "Too many",
  431: "Header fields too large",
  500: "Kernel failure",
  501: "Not implemented",
  503: "Unavailable",
  507: "Insufficient storage",
};

/** A request that is refused; thrown anywhere below a route and answered as `application/problem+json`. */
export class Problem extends Error {
  readonly status: number;
  readonly type: ProblemType;
  readonly extras: ProblemExtras;

  constructor(status: number, type: ProblemType, detail: string, extras: ProblemExtras = {}) {
    super(detail);
    this.status = status;
    this.type = type;
    this.extras = extras;
  }

  toDocument(requestId: string): Record<string, unknown> {
    const { errno, errors, members } = this.extras;
    return {
      type: `/problems/${this.type}`,
      title: TITLES[this.status] ?? "Problem",
      status: this.status,
      detail: this.message,
      ...(errno === undefined ? {} : { errno: errnoName(errno), errnoNumber: errno }),
      ...(errors === undefined ? {} : { errors }),
      ...members,
      requestId,
    };
  }
}

export const unauthenticated = (detail: string) =>
  new Problem(401, "unauthenticated", detail, { headers: { "WWW-Authenticate": 'Bearer realm="syslab"' } });
export const forbidden = (detail: string) => new Problem(403, "forbidden", detail);
export const notFound = (detail: string) => new Problem(404, "not-found", detail);
export const conflict = (detail: string) => new Problem(409, "conflict", detail);
export const invalid = (detail: string, errors?: FieldError[]) => new Problem(422, "invalid", detail, errors ? { errors } : {});
export const tooMany = (detail: string, retryAfter: number) =>
  new Problem(429, "too-many", detail, { headers: { "Retry-After": String(retryAfter) } });
/** A server that cannot keep its word now, and may in a moment. */
export const unavailable = (detail: string) =>
  new Problem(503, "interrupted", detail, { headers: { "Retry-After": "1" } });
export const notImplemented = (detail: string) => new Problem(501, "not-implemented", detail);

const ERRNO_STATUS: Record<string, readonly [status: number, type: ProblemType]> = {
  ENOENT: [404, "not-found"], ESRCH: [404, "not-found"], ENXIO: [404, "not-found"], ENODEV: [404, "not-found"],
  EEXIST: [409, "conflict"], ENOTEMPTY: [409, "conflict"], EISDIR: [409, "conflict"], ENOTDIR: [409, "conflict"],
  EBUSY: [409, "busy"], ETXTBSY: [409, "busy"], EINTR: [409, "interrupted"],
  EPERM: [403, "forbidden"], EACCES: [403, "forbidden"], EROFS: [403, "forbidden"],
  ENOSPC: [507, "full"], ENOMEM: [507, "full"],
  EMFILE: [429, "too-many"], ENFILE: [429, "too-many"],
  ENOSYS: [501, "not-implemented"], EOPNOTSUPP: [501, "not-implemented"],
};

/**
 * The kernel's errno (positive) as a refusal of a resource route.
 * @param detail what the tool would print; strerror's text when left out
 * @param over statuses that one route gives otherwise, by errno name
 */
export function errnoProblem(errno: number, detail?: string, over?: typeof ERRNO_STATUS): Problem {
  const name = errnoName(errno);
  const [status, type] = over?.[name] ?? ERRNO_STATUS[name] ?? [422, "invalid"];
  const headers = status === 429 ? { headers: { "Retry-After": "1" } } : {};
  return new Problem(status, type, detail ?? `${name} (${errnoMessage(errno)})`, { errno, ...headers });
}
