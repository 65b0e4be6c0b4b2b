/** The environment, read once at start. What does not fit is told in one sentence before anything is opened. */
import { z } from "zod";

/** Bearer tokens may have these characters (RFC 6750); with any other the token could never be sent. */
const BEARER = /^[A-Za-z0-9._~+/-]+=*$/;
/** A host name, an IPv4 address or a bracketed IPv6 address, with or without a port. */
const HOST_NAME = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/;

const Environment = z.object({
  HOST: z.string().regex(/^[\w.:[\]-]+$/, "must be a host name or an IP address").default("127.0.0.1"),
  PORT: z
    .string()
    .regex(/^\d+$/, "must be a number from 0 to 65535")
    .transform(Number)
    .refine((port) => port <= 65535, "must be a number from 0 to 65535")
    .default(3000),
  DATABASE_URL: z
    .string()
    .regex(/^file:[^?#]+$/, "must be file: and the path of the database")
    .refine((url) => url !== "file::memory:", "must name a file: sessions are to outlive the server")
    .default("file:./data/syslab.db"),
  SYSLAB_ADMIN_TOKEN: z.string().regex(BEARER, "must consist of letters, digits and . _ ~ + / - only").optional(),
  SYSLAB_HOSTS: z
    .string()
    .transform((list) => list.toLowerCase().split(",").map((host) => host.trim()).filter((host) => host !== ""))
    .refine((hosts) => hosts.every((host) => HOST_NAME.test(host)), "must be host names separated by commas")
    .default([]),
  LOG_LEVEL: z
    .enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"], "must be trace, debug, info, warn, error, fatal or silent")
    .default("info"),
});

export interface Env {
  /** Where to listen; an IPv6 address stands without brackets. */
  host: string;
  /** 0 lets the system choose. */
  port: number;
  /** `file:` and a path; a relative one starts at the working directory. */
  databaseUrl: string;
  /** Bearer token that may do what an owner may in every session. */
  adminToken: string | undefined;
  /** Further names that a Host header may have, in lower case, with or without a port. */
  hosts: string[];
  logLevel: z.infer<typeof Environment>["LOG_LEVEL"];
}

export type ParsedEnv = { ok: true; env: Env } | { ok: false; problem: string };

/** An empty variable counts as unset. `problem` is one sentence for people; the server ends with it and exit code 1. */
export function parseEnv(variables: NodeJS.ProcessEnv): ParsedEnv {
  const given = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ""));
  const parsed = Environment.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { ok: false, problem: `${issue!.path.join(".")} ${issue!.message}.` };
  }
  const { HOST, PORT, DATABASE_URL, SYSLAB_ADMIN_TOKEN, SYSLAB_HOSTS, LOG_LEVEL } = parsed.data;
  const host = HOST.replace(/^\[(.*)\]$/, "$1");
  if (!isLoopback(host) && SYSLAB_ADMIN_TOKEN === undefined) {
    return { ok: false, problem: `HOST ${host} can be reached by others, so SYSLAB_ADMIN_TOKEN must be set.` };
  }
  return {
    ok: true,
    env: { host, port: PORT, databaseUrl: DATABASE_URL, adminToken: SYSLAB_ADMIN_TOKEN, hosts: SYSLAB_HOSTS, logLevel: LOG_LEVEL },
  };
}

/** Whether only this machine can reach a server that listens on `host`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(host);
}
