/** Every known system call as a path with its own schema, from the typed arguments of its row. */
import { syscallCatalogue, type ArgumentView, type SyscallView } from "./sessions/core.ts";

type Schema = Record<string, unknown>;

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const INTEGER = ref("IntegerIn");
const BYTES = ref("BytesIn");
const POINTER = ref("PointerIn");

/** Schemas that the calls' arguments stand on. */
export function syscallComponents(): Record<string, Schema> {
  return {
    ...argumentComponents(),
    IntegerIn: {
      description: "A JSON number while it is a safe integer, else a decimal or \"0x…\" string; in a batch also what an earlier call gave",
      anyOf: [
        { type: "integer" }, { type: "string", pattern: "^(-?[0-9]{1,20}|0[xX][0-9a-fA-F]{1,16})$" },
        { type: "object", required: ["ret"], properties: { ret: { type: "integer", minimum: 0 }, plus: { type: "integer" } }, additionalProperties: false },
        { type: "object", required: ["out", "at"], properties: { out: { type: "integer", minimum: 0 }, at: { type: "string" } }, additionalProperties: false },
      ],
    },
    BytesIn: {
      description: "A string stands for its UTF-8 bytes",
      anyOf: [
        { type: "string" },
        ...["base64", "hex"].map((form) => ({ type: "object", required: [form], properties: { [form]: { type: "string" } }, additionalProperties: false })),
        { type: "object", required: ["zero"], properties: { zero: { type: "integer", minimum: 0 } }, additionalProperties: false },
        ...["i32", "u32", "i64", "u64"].map((form) => ({ type: "object", required: [form], properties: { [form]: { type: ["integer", "string"] } }, additionalProperties: false })),
      ],
    },
    PointerIn: {
      description: "NULL, an address, or what an earlier call of the batch gave",
      anyOf: [
        { type: "null" }, { type: "integer" },
        { type: "object", required: ["addr"], properties: { addr: { type: ["integer", "string", "null"] } } },
        { type: "object", required: ["ret"], properties: { ret: { type: "integer", minimum: 0 }, plus: { type: "integer" } } },
        { type: "object", required: ["out", "at"], properties: { out: { type: "integer", minimum: 0 }, at: { type: "string" } } },
      ],
    },
    RawCall: {
      type: "object", required: ["args"],
      properties: {
        args: { type: "array", maxItems: 6, items: { anyOf: [INTEGER, { type: "null" }] }, description: "Raw registers" },
        onFault: { type: "string", enum: ["signal", "report"] },
      },
      additionalProperties: false,
    },
  };
}

const FLAGS: Schema = { anyOf: [{ type: "string" }, INTEGER] };
const FIELD: Record<string, Schema> = {
  flags: FLAGS,
  integer: INTEGER, string: { type: "string" }, bytes: BYTES, integers: { type: "array", items: INTEGER },
};

/** A structure by the shapes of its fields; "any" where several forms are read. */
function structure(fields: unknown): Schema {
  if (typeof fields !== "object" || fields === null) return {};
  const properties = Object.fromEntries(Object.entries(fields).map(([name, shape]) => [name, typeof shape === "string" ? (FIELD[shape] ?? {}) : structure(shape)]));
  return { type: "object", properties };
}

function argumentSchema({ kind, names, struct }: ArgumentView): Schema {
  switch (kind) {
    case "int": case "uint": case "long": case "ulong": case "size": case "off": case "fd": return INTEGER;
    case "dirfd": return { anyOf: [{ type: "string", const: "AT_FDCWD" }, INTEGER] };
    case "address": return { anyOf: [INTEGER, POINTER] };
    case "flags": return { anyOf: [{ type: "string" }, INTEGER], description: `Names joined by |: ${(names ?? []).join(", ")}` };
    case "choice": return { anyOf: [{ type: "string", enum: names ?? [] }, INTEGER] };
    case "mode": return { anyOf: [{ type: "string" }, INTEGER], examples: ["0644"] };
    case "signal": return { anyOf: [{ type: "string" }, INTEGER], examples: ["SIGINT"] };
    case "path": return { anyOf: [{ type: "string" }, BYTES, POINTER] };
    case "bytes": return { anyOf: [BYTES, POINTER] };
    case "out-bytes": case "out-value": return { ...POINTER, description: "Left out, the bytes are returned" };
    default: {
      const fields = struct === undefined || struct.fields === "any" ? {} : structure(struct.fields);
      const about = struct === undefined ? {} : { description: `struct ${struct.name}` };
      // Vectors, lists and message headers read several forms; the kernel's own words tell what is wrong with one.
      if (Object.keys(fields).length === 0) return about;
      const items = { type: "array", items: { anyOf: [fields, BYTES] } };
      return { ...about, anyOf: [ARRAYS.has(kind) ? items : fields, BYTES, POINTER] };
    }
  }
}

/** Arguments that are several structures of their kind. */
const ARRAYS = new Set(["array", "inout-array", "out-array"]);

const ON_FAULT: Schema = { type: "string", enum: ["signal", "report"], description: "What a memory fault does: deliver the signal, or only tell of it" };

/** The arguments of each call by their names, as components. */
function argumentComponents(): Record<string, Schema> {
  return Object.fromEntries(syscallCatalogue().map((call) => [`${call.name}_args`, {
    type: "object", additionalProperties: false,
    properties: {
      ...Object.fromEntries(call.args.map((arg) => [arg.name, argumentSchema(arg)])),
      ...(call.number > 1000 ? { onFault: ON_FAULT } : {}),
    },
  }]));
}

/** Named arguments, the same below `args`, or raw registers. */
function requestSchema({ name }: SyscallView): Schema {
  const args = ref(`${name}_args`);
  const wrapped = { type: "object", required: ["args"], properties: { args, onFault: ON_FAULT }, additionalProperties: false };
  return { anyOf: [args, wrapped, ref("RawCall")] };
}

function signature({ name, number, args }: SyscallView): string {
  const place = number > 1000 ? "the process's own access" : `number ${number}`;
  return `\`${name}(${args.map((arg) => arg.name).join(", ")})\`, ${place}.`;
}

/** What the call answers: the outputs of its arguments under their names. */
function outcome(call: SyscallView): Schema {
  const outputs = call.args.flatMap(({ output, kind }) => (output === undefined ? [] : [[output, kind === "out-bytes" ? ref("Bytes") : {}]]));
  if (outputs.length === 0) return ref("CallOutcome");
  return { anyOf: [{ allOf: [ref("ReturnedCall"), { type: "object", properties: Object.fromEntries(outputs) as Schema }] }, ref("EndedCall")] };
}

function operation(call: SyscallView): Schema {
  const outputs = call.args.flatMap((arg) => (arg.output === undefined ? [] : [arg.output]));
  return {
    operationId: `syscall_${call.name}`, tags: ["System calls"], summary: call.name, security: [{ bearer: [] }],
    description: [
      signature(call), call.returns === "address" ? "`ret` is an address, \"0x…\"." : "", outputs.length === 0 ? "" : `Returns ${outputs.map((name) => `\`${name}\``).join(", ")}.`,
      call.partial === undefined ? "" : `Partial: ${call.partial}.`,
    ].filter((text) => text !== "").join(" "),
    parameters: [{ $ref: "#/components/parameters/IdempotencyKey" }, { $ref: "#/components/parameters/Prefer" }],
    requestBody: { required: false, content: { "application/json": { schema: requestSchema(call) } } },
    responses: {
      "200": {
        description: "It returned, or the process ended",
        content: { "application/json": { schema: outcome(call) }, ...(READS.has(call.name) ? { "application/octet-stream": { schema: { type: "string", format: "binary" } } } : {}) },
        ...(READS.has(call.name) ? { headers: Object.fromEntries(["X-Ret", "X-Errno"].map((name) => [name, { description: "Where the body is bytes", schema: { type: "string" } }])) } : {}),
      },
      "202": {
        description: "It sleeps; the call goes on by itself", content: { "application/json": { schema: ref("SleepingCall") } },
        headers: { Location: { description: "Where the call can be asked for", schema: { type: "string" } } },
      },
      "4XX": { $ref: "#/components/responses/Refused" },
      "5XX": { $ref: "#/components/responses/Failed" },
    },
  };
}

/** Calls whose single answer may be the bytes themselves. */
const READS = new Set(["read", "pread64", "recvfrom"]);

const PATH = "/v1/sessions/{sid}/processes/{pid}/syscalls";
const PARAMETERS = [
  { name: "sid", in: "path", required: true, schema: { type: "string" }, description: "The session" },
  { name: "pid", in: "path", required: true, schema: { type: "integer", minimum: 1 }, description: "The process" },
];

export function syscallPaths(): Record<string, Schema> {
  return Object.fromEntries(syscallCatalogue().map((call) => [`${PATH}/${call.name}`, { parameters: PARAMETERS, post: operation(call) }]));
}
