/** Files of the emulated kernel: looking is pure; writing is done by a short-lived process of the caller's uid. */
import { z } from "zod";
import type { Caller } from "../auth.ts";
import { errnoProblem, invalid, type Problem } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { defineRoute, type RequestInfo } from "../route.ts";
import { Count, Flag, SLEEPING, SessionParams } from "../schemas.ts";
import { errnoMessage, view } from "../sessions/core.ts";
import { runProgram } from "../sessions/programs.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { procJson } from "./proc_json.ts";

const tag = "Files";
const FileParams = SessionParams.extend({ path: z.string().max(8_192) });
const LookQuery = z.object({
  offset: Count(Number.MAX_SAFE_INTEGER).optional(),
  length: Count(LIMITS.rawBufferBytes).optional(),
  format: z.literal("json").optional().meta({ description: "The common /proc files, parsed" }),
  link: Flag.optional().meta({ description: "Show a symbolic link itself" }),
});

const Directory = z.object({
  entries: z.array(z.object({ name: z.string(), ino: z.number().int(), type: z.string(), mode: z.string() })),
}).meta({ id: "Directory" });
const Link = z.object({ target: z.string() }).meta({ id: "Link" });
const responses = {
  200: {
    description: "A file's bytes (text/plain below /proc and /sys), a directory's entries, a link's target, or a parsed view",
    text: "text/plain", bytes: true, json: z.union([Directory, Link, z.looseObject({}).meta({ id: "ParsedView" })]),
    headers: { "X-Truncated": "The file goes on behind these bytes" },
  },
} as const;

const TYPES: Record<number, string> = {
  0x1000: "fifo", 0x2000: "char", 0x4000: "directory", 0x6000: "block", 0x8000: "file", 0xa000: "link", 0xc000: "socket",
};

/** @throws Problem 422 for a NUL */
function absolute(path: string): string {
  if (path.includes("\0")) throw invalid("A path has no NUL.", [{ path: "/path", message: "has a NUL" }]);
  return `/${path}`;
}

/** What a tool would say: its own words, or `path: No such file or directory`. */
function fileProblem(errno: number, path: string, said = ""): Problem {
  return errnoProblem(errno, said.trim() === "" ? `${path}: ${errnoMessage(errno)}` : said.trim());
}

function look(
  sessions: Sessions, sid: string, path: string, caller: Caller, query: z.output<typeof LookQuery>,
) {
  const { offset = 0, length = LIMITS.rawBufferBytes, link = false } = query;
  return sessions.look(sid, (kernel) => {
    // One byte more tells whether the file goes on.
    const seen = view(kernel, { uid: caller.uid }, path, { offset, length: length + 1, link });
    if ("errno" in seen) throw lookProblem(-seen.errno, path);
    if (seen.kind === "link") return { status: 200 as const, json: { target: seen.target } };
    if (seen.kind === "directory") {
      const entries = seen.entries.map(({ name, ino, mode }) => ({
        name, ino, type: TYPES[mode & 0xf000] ?? "unknown", mode: `0${(mode & 0o7777).toString(8).padStart(3, "0")}`,
      }));
      return { status: 200 as const, json: { entries } };
    }
    const bytes = seen.bytes.subarray(0, length);
    if (query.format === "json") return { status: 200 as const, json: procJson(path, Buffer.from(bytes).toString()) };
    const headers: Record<string, string> = seen.bytes.length > length ? { "X-Truncated": "true" } : {};
    return { status: 200 as const, bytes: bytes.slice(), headers, ...(seen.computed ? { contentType: "text/plain; charset=utf-8" } : {}) };
  });
}

const EINVAL = 22;

function lookProblem(errno: number, path: string): Problem {
  if (errno !== EINVAL) return fileProblem(errno, path);
  return errnoProblem(errno, `${path} cannot be looked at without changing it: open and read it.`);
}

function lookRoute(id: string, root: string, summary: string) {
  return defineRoute({
    id, method: "get", path: `/v1/sessions/{sid}/${root}/{path}*`, tag, access: "fs.read", summary,
    description: "As the caller's uid; pure. There is no /proc/self. Devices, FIFOs, sockets and files that a look would consume are 422.",
    params: FileParams, query: LookQuery, responses,
    handle: ({ params, query, caller }, { sessions }) =>
      look(sessions, params.sid, absolute(root === "fs" ? params.path : `${root}/${params.path}`), caller, query),
  });
}

export const getFile = lookRoute("getFile", "fs", "A file, directory, link or view of the kernel");
export const getProc = lookRoute("getProc", "proc", "A file of /proc");
export const getSys = lookRoute("getSys", "sys", "A file of /sys");

const Written = z.object({ written: z.number().int() }).meta({ id: "Written" });
const Mode = z.string().regex(/^0?[0-7]{1,4}$/, "is an octal mode such as 0644").transform((text) => Number.parseInt(text, 8))
  .meta({ override: { type: "string", pattern: "^0?[0-7]{1,4}$" } });

function run<R extends { status: number }>(
  sessions: Sessions, sid: string, caller: Caller, request: RequestInfo, program: string, args: { path: string; mode?: number; base64?: string },
  done: (value: { created?: boolean; regular?: boolean; written?: number }) => R,
) {
  return runProgram(sessions, sid, caller, request, program, args, ({ ret, value, stderr }) => {
    if (ret < 0) throw fileProblem(-ret, args.path, stderr);
    return done((value ?? {}) as { created?: boolean; regular?: boolean; written?: number });
  });
}

export const putFile = defineRoute({
  id: "putFile", method: "put", path: "/v1/sessions/{sid}/fs/{path}*", tag, access: "fs.change", holds: LIMITS.wait.default,
  summary: "Write a file: a regular one is created or replaced, anything else gets one write(2)",
  params: FileParams,
  query: z.object({ mode: Mode.optional(), dir: Flag.optional().meta({ description: "Make a directory" }) }),
  body: { rawBytes: LIMITS.rawBodyBytes, description: "The bytes, whatever their Content-Type" },
  responses: {
    200: { description: "What write(2) took", json: Written },
    201: { description: "It was made" },
    204: { description: "It was replaced" },
    202: SLEEPING,
  },
  handle({ params, query, body, caller, request }, { sessions }) {
    const path = absolute(params.path);
    const mode = query.mode === undefined ? {} : { mode: query.mode };
    if (query.dir === true) return run(sessions, params.sid, caller, request, "mkdir", { path, ...mode }, () => ({ status: 201 as const }));
    const base64 = Buffer.from(body).toString("base64");
    return run(sessions, params.sid, caller, request, "writeFile", { path, base64, ...mode }, ({ created, regular, written }) => {
      if (regular !== true) return { status: 200 as const, json: { written: written ?? 0 } };
      return created === true ? { status: 201 as const } : { status: 204 as const };
    });
  },
});

export const deleteFile = defineRoute({
  id: "deleteFile", method: "delete", path: "/v1/sessions/{sid}/fs/{path}*", tag, access: "fs.change", holds: LIMITS.wait.default,
  summary: "Unlink a file or remove an empty directory",
  params: FileParams,
  responses: { 204: { description: "It is gone" }, 202: SLEEPING },
  handle: ({ params, caller, request }, { sessions }) =>
    run(sessions, params.sid, caller, request, "remove", { path: absolute(params.path) }, () => ({ status: 204 as const })),
});

export const fileRoutes = [getFile, putFile, deleteFile, getProc, getSys];
