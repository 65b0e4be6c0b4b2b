/** Schemas that several routes share: identifiers, pages, machines, members, calls, problems. */
import "zod-openapi"; // types `.meta`
import { z } from "zod";
import { PROBLEM_TYPES, invalid } from "./errors.ts";
import { LIMITS } from "./limits.ts";
import { MACHINE_LIMITS, PROFILES, type CallAnswer } from "./sessions/core.ts";

export const Id = z.string().min(1).max(64).regex(/^[A-Za-z0-9_-]+$/, "is not an id");
export const SessionParams = z.object({ sid: Id.meta({ description: "The session" }) });

/** A number in a path or query. */
function numeric(pattern: RegExp, message: string, schema: { minimum: number; maximum: number }) {
  return z.string().regex(pattern, message).transform(Number)
    .refine((value) => value >= schema.minimum && value <= schema.maximum, `is from ${schema.minimum} to ${schema.maximum}`)
    .meta({ override: { type: "integer", pattern: undefined, ...schema } });
}
export const Pid = numeric(/^\d{1,9}$/, "is a process id", { minimum: 1, maximum: 4_194_304 });
export const ProcessParams = SessionParams.extend({ pid: Pid });
export const Count = (maximum: number) => numeric(/^\d{1,15}$/, "is a count", { minimum: 0, maximum });
export const Flag = z.string().transform((text) => !["0", "false", "no"].includes(text)).meta({ override: { type: "boolean" } });

export const PageQuery = z.object({
  limit: numeric(/^\d{1,3}$/, `is from 1 to ${LIMITS.page.max}`, { minimum: 1, maximum: LIMITS.page.max }).optional()
    .meta({ description: `Items at most; ${LIMITS.page.default} when left out` }),
  cursor: z.string().max(400).optional().meta({ description: "`nextCursor` of the page before" }),
});
export type PageQueryValue = z.output<typeof PageQuery>;

/** Limit and cursor as the store takes them. */
export function pageOf({ limit, cursor }: PageQueryValue): { limit: number; cursor?: string } {
  return { limit: limit ?? LIMITS.page.default, ...(cursor === undefined ? {} : { cursor }) };
}

export function pageSchema<T extends z.ZodType>(item: T, id: string) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() }).meta({ id });
}

/** Items of a list that lies in memory, by a cursor that names the place. @throws Problem 422 for a cursor that is none */
export function pageInMemory<T>(all: T[], query: PageQueryValue): { items: T[]; nextCursor: string | null } {
  const { limit, cursor } = pageOf(query);
  const start = cursor === undefined ? 0 : Number(/^at (\d{1,9})$/.exec(Buffer.from(cursor, "base64url").toString())?.[1] ?? NaN);
  if (Number.isNaN(start)) throw invalid("The cursor is not one of ours.", [{ path: "/query/cursor", message: "is not one of ours" }]);
  const next = start + limit;
  return { items: all.slice(start, next), nextCursor: next < all.length ? Buffer.from(`at ${next}`).toString("base64url") : null };
}

export const Timestamp = z.string().meta({ format: "date-time", description: "RFC 3339" });
/** Nanoseconds of kernel time. */
export const Ns = z.number().int();
export const Json = z.unknown().meta({ description: "Any JSON" });

export const Problem = z.object({
  type: z.enum(PROBLEM_TYPES.map((type) => `/problems/${type}` as const)),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  requestId: z.string(),
  errno: z.string().optional().meta({ description: "The kernel's errno behind the refusal", examples: ["EBUSY"] }),
  errnoNumber: z.number().int().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
}).catchall(z.unknown()).meta({ id: "Problem", description: "RFC 9457" });

const between = ({ min, max }: { min: number; max: number }) => z.number().int().min(min).max(max);

const SEED = "is a whole number from 0 to 9007199254740991 (2^53-1), as a number or as a decimal or \"0x…\" string";
/** What begins a machine's random numbers. */
const Seed = z.union([z.number(), z.string().regex(/^(\d{1,20}|0[xX][0-9a-fA-F]{1,16})$/, SEED).transform(Number)], SEED)
  .refine((seed) => Number.isSafeInteger(seed) && seed >= 0, SEED)
  .meta({ override: { type: ["integer", "string"], anyOf: undefined, minimum: 0, maximum: Number.MAX_SAFE_INTEGER, pattern: "^(\\d{1,20}|0[xX][0-9a-fA-F]{1,16})$" } });

export const ClockMode = z.enum(["real", "virtual"]);
const SsmemDesign = z.enum(["fault", "anon", "seed"])
  .meta({ description: "How system calls 320 and 321 are built: shared mappings with a fault operation (the default), private ones with a patched anonymous fault, or the report's code with its defects" });
export const Machine = z.strictObject({
  ramMiB: between(MACHINE_LIMITS.ramMiB).optional(),
  swapMiB: between(MACHINE_LIMITS.swapMiB).optional(),
  cpus: between(MACHINE_LIMITS.cpus).optional(),
  hz: z.union(MACHINE_LIMITS.hz.map((hz) => z.literal(hz)) as [z.ZodLiteral<100>, ...z.ZodLiteral<250 | 300 | 1000>[]], `is one of ${MACHINE_LIMITS.hz.join(", ")}`).optional(),
  clock: ClockMode.optional(),
  seed: Seed.optional(),
  profile: z.enum(PROFILES as [string, ...string[]]).optional(),
  udev: z.record(z.string().min(1).max(64), z.string().regex(/^0?[0-7]{3,4}$/, "is an octal mode such as \"0666\"")).optional()
    .refine((modes) => modes === undefined || Object.keys(modes).length <= 64, "names at most 64 devices"),
  ssmem: SsmemDesign.optional(),
}).refine(
  ({ ramMiB = 64, swapMiB = 64 }) => ramMiB + swapMiB <= MACHINE_LIMITS.memoryMiB,
  `RAM and swap together are at most ${MACHINE_LIMITS.memoryMiB} MiB`,
).meta({ id: "MachineOptions" });

export const MachineView = z.object({
  ramMiB: z.number(), swapMiB: z.number(), cpus: z.number(), hz: z.number(), clock: ClockMode, seed: z.number(), profile: z.string(),
  udev: z.record(z.string(), z.string()), ssmem: SsmemDesign.optional(),
}).meta({ id: "Machine" });

export const ModuleName = z.string().regex(/^[A-Za-z0-9_-]{1,55}$/, "is a module's name");
export const Variant = z.enum(["corrected", "seed", "upstream"]);
const ParamScalar = z.union([z.string().max(4096), z.number(), z.boolean()]);
export const ParamValue = z.union([ParamScalar, z.array(ParamScalar).max(256)]);
export const ModuleParams = z.union([z.record(z.string().max(64), ParamValue), z.string().max(4096)])
  .meta({ description: "`{ port: 8080 }` or `\"port=8080\"`" });
export const Insmod = z.strictObject({ name: ModuleName, variant: Variant.optional(), params: ModuleParams.optional() });

export const Bytes = z.object({ base64: z.string(), text: z.string().optional() }).meta({ id: "Bytes", description: "`text` where the bytes are UTF-8" });

const Returned = z.object({
  state: z.literal("returned"),
  ret: z.union([z.number(), z.string()]).meta({ description: "-1 for a failure; an address is \"0x…\", what a double cannot hold a decimal string" }),
  errno: z.string().nullable(),
  errnoNumber: z.number().int().optional(),
  message: z.string().optional(),
  strace: z.string(),
  ns: Ns.meta({ description: "Kernel time charged to the call" }),
  signal: z.string().optional(),
  siCode: z.string().optional(),
  faultAddr: z.string().optional(),
  stored: z.number().int().optional().meta({ description: "Bytes that a store had stored before its fault" }),
  delivered: z.array(z.string()).optional(),
  limited: z.literal(true).optional().meta({ description: "EINTR, since as many calls of the session sleep as may" }),
}).catchall(z.unknown()).meta({ id: "ReturnedCall", description: "Outputs stand beside these under their man-page names" });

const Ended = z.object({
  state: z.literal("ended"),
  exited: z.number().int().optional(),
  signaled: z.string().optional(),
  siCode: z.string().optional().meta({ description: "Of the fault that it died of, where that was of its own load or store" }),
  faultAddr: z.string().optional(),
  stored: z.number().int().optional().meta({ description: "Bytes that its store had stored before the fault" }),
  strace: z.string().optional(),
  ns: Ns.optional(),
}).meta({ id: "EndedCall", description: "The process died of its call" });

/** What the core answers, for the compiler; the schema says for callers what that is. */
function answers<T extends CallAnswer>(schema: z.ZodType): z.ZodType<T> {
  return schema as z.ZodType<T>;
}

/** How a call came out; `state` tells the shapes apart. */
const Outcome = z.union([Returned, Ended]).meta({ id: "CallOutcome" });
export const CallOutcome = answers(Outcome);
const Results = z.array(Outcome);
const ReturnedBatch = z.object({ state: z.literal("returned"), results: Results }).meta({ id: "ReturnedBatch" });
const EndedBatch = Ended.extend({ results: Results }).meta({ id: "EndedBatch" });
export const BatchOutcome = answers(z.union([ReturnedBatch, EndedBatch]).meta({ id: "BatchOutcome" }));

const Sleeping = z.object({
  state: z.literal("sleeping"),
  pid: z.number().int(),
  callId: z.string(),
  wchan: z.string(),
  results: Results.optional().meta({ description: "Of a batch: what is done so far" }),
}).meta({ id: "SleepingCall" });

const ProgramEnd = z.object({
  state: z.literal("program"), ret: z.number().int(), value: z.unknown(), stdout: z.string(), stderr: z.string(), limited: z.literal(true).optional(),
  exit: z.number().int().optional().meta({ description: "Of a command" }), stdoutBytes: z.string().optional(), stderrBytes: z.string().optional(),
}).meta({ id: "EndedProgram" });

export const CallState = answers(z.union([Returned, ReturnedBatch, Ended, EndedBatch, Sleeping, ProgramEnd]).meta({ id: "CallState" }));

/** The 202 of every route that may sleep. */
export const SLEEPING = {
  description: "It sleeps; the call goes on by itself",
  json: answers<Extract<CallAnswer, { state: "sleeping" }>>(Sleeping),
  headers: { Location: "Where the call can be asked for" },
} as const;
