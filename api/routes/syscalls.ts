/** System calls: one, or a batch in one trip. */
import { z } from "zod";
import { Problem, invalid, notFound, type FieldError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { defineRoute, type Reply } from "../route.ts";
import { BatchOutcome, CallOutcome, ProcessParams, SLEEPING } from "../schemas.ts";
import { knowsCall, type CallAnswer, type CallRequest, type Json } from "../sessions/core.ts";
import type { Done } from "../sessions/work.ts";
import { drives } from "./process_access.ts";

const tag = "System calls";
const path = "/v1/sessions/{sid}/processes/{pid}/syscalls";
const OnFault = z.enum(["signal", "report"]);

/** The body of one call: its named arguments, or `args` with them or with raw registers. */
const CallBody = z.looseObject({ args: z.unknown().optional(), onFault: OnFault.optional() }).meta({ id: "CallBody" });

/** Calls whose single answer may be the bytes themselves. */
const READS = new Set<string | number>(["read", "pread64", "recvfrom", 0, 17, 45]);

export function callName(text: string): string | number {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

/** Named arguments may stand for themselves: `{ "fd": 3 }` is `{ "args": { "fd": 3 } }`. */
function argsOf({ args, onFault: _onFault, ...named }: z.output<typeof CallBody>): Json | undefined {
  const names = Object.keys(named);
  if (args === undefined) return names.length === 0 ? undefined : (named as { [name: string]: Json });
  if (names.length > 0) throw invalid("Arguments stand in `args` or beside it, not both.", names.map((name) => ({ path: `/${name}`, message: "stands beside args" })));
  if (typeof args !== "object" || args === null) throw invalid("args takes an object or an array.", [{ path: "/args", message: "takes an object or an array" }]);
  return args as Json;
}

/** A read's answer as the bytes, the result in headers; other outcomes stay JSON. */
function asBytes(answer: CallAnswer): Reply | null {
  if (answer.state !== "returned" || !("strace" in answer)) return null;
  const { buf } = answer as { buf?: { base64?: string } };
  const bytes = Buffer.from(buf?.base64 ?? "", "base64");
  return { status: 200, bytes, headers: { "X-Ret": String(answer.ret), ...(answer.errno === null ? {} : { "X-Errno": answer.errno }) } };
}

export const postSyscall = defineRoute({
  id: "syscall", method: "post", path: `${path}/{call}`, tag, access: "calls", holds: LIMITS.wait.default,
  summary: "Make a system call, by name or number",
  description: "A failed call is 200 with `ret: -1` and its errno. A number outside the table answers ENOSYS. Every known name is a path of its own below.",
  params: ProcessParams.extend({ call: z.string().min(1).max(64) }),
  body: CallBody,
  responses: {
    200: {
      description: "It returned, or the process ended", json: CallOutcome, bytes: true,
      headers: { "X-Ret": "The result, where the body is bytes", "X-Errno": "The errno, where it failed and the body is bytes" },
    },
    202: SLEEPING,
  },
  check(context, services) {
    const { params } = context;
    if (!knowsCall(callName(params.call))) {
      const owned = drives(context, services);
      const unknown = notFound(`No system call is named ${params.call}.`);
      if (owned instanceof Promise) return owned.then(() => { throw unknown; });
      throw unknown;
    }
    return drives(context, services);
  },
  handle({ params, body, request }, { sessions }) {
    const call = callName(params.call);
    const args = argsOf(body);
    const raw = READS.has(call) && request.prefers(["application/json", "application/octet-stream"]) === "application/octet-stream";
    return sessions.act(params.sid, {
      request,
      ...(body.args === undefined ? { argsPath: "" } : {}),
      input: () => ({
        type: "syscall", callId: sessions.newCallId(), pid: params.pid, call, ...(args === undefined ? {} : { args }),
        ...(body.onFault === undefined ? {} : { onFault: body.onFault }), ...(raw ? { raw } : {}),
      }),
      reply({ answer, text }: Done) {
        const bytes = raw ? asBytes(answer!) : null;
        return (bytes ?? { status: 200, serialized: text }) as { status: 200; serialized: string };
      },
    });
  },
});

const Call = z.object({ call: z.union([z.string(), z.number().int()]), args: z.unknown().optional() }).meta({ id: "Call" });
// One check a batch, not a schema run a call: a batch has up to 10,000.
const Calls = z.array(z.unknown()).meta({ override: { items: { $ref: "#/components/schemas/Call" }, maxItems: LIMITS.batchCalls } });

function readCalls(calls: unknown[]): CallRequest[] {
  if (calls.length > LIMITS.batchCalls) {
    throw new Problem(413, "too-large", `A batch has at most ${LIMITS.batchCalls} calls; this one has ${calls.length}.`);
  }
  const errors: FieldError[] = [];
  calls.forEach((call, at) => {
    const wrong = wrongOf(call);
    if (wrong !== null && errors.length < 20) errors.push({ path: `/calls/${at}${wrong.path}`, message: wrong.message });
  });
  if (errors.length > 0) throw invalid(`${errors[0]!.path}: ${errors[0]!.message}.`, errors);
  return calls as CallRequest[];
}

function wrongOf(call: unknown): FieldError | null {
  if (typeof call !== "object" || call === null || Array.isArray(call)) return { path: "", message: "takes { call, args }" };
  const { call: name, args } = call as { call?: unknown; args?: unknown };
  if (typeof name !== "string" && !Number.isSafeInteger(name)) return { path: "/call", message: "takes a name or a number" };
  if (args !== undefined && (typeof args !== "object" || args === null)) return { path: "/args", message: "takes an object or an array" };
  for (const key in call) if (key !== "call" && key !== "args") return { path: `/${key.slice(0, 80)}`, message: "is not a field here" };
  return null;
}

export const postBatch = defineRoute({
  id: "batch", method: "post", path, tag, access: "calls", holds: LIMITS.wait.default,
  summary: "Make several system calls in one request",
  description: "In order, as one call with one callId. `{ \"ret\": k }`, `{ \"ret\": k, \"plus\": n }` and `{ \"out\": k, \"at\": \"/pipefd/1\" }` stand for "
    + "what call k of this batch gave.",
  params: ProcessParams,
  body: z.strictObject({ calls: Calls, onError: z.enum(["stop", "continue"]).default("stop") }),
  responses: { 200: { description: "Its results, to the failed one when it stops", json: BatchOutcome }, 202: SLEEPING },
  problems: { 413: "More calls than a batch may have" },
  check: drives,
  handle({ params, body, request }, { sessions }) {
    const calls = readCalls(body.calls);
    return sessions.act(params.sid, {
      request,
      input: () => ({ type: "batch", callId: sessions.newCallId(), pid: params.pid, calls, onError: body.onError }),
      reply: ({ text }: Done) => ({ status: 200 as const, serialized: text }),
    });
  },
});

export const syscallRoutes = [postBatch, postSyscall];
export { Call };
