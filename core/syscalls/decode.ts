/** From a caller's JSON to a decoded call: every argument read by its row's type, every mistake named by its path. */
import { DISPLACED_NUMBERS, SYSCALL_NUMBERS } from "../abi/unistd.ts";
import type { CallRequest, Json, Refusal } from "../input.ts";
import type { Tables } from "../kernel.ts";
import type { DecodeContext, Placed } from "./args.ts";
import type { SyscallRow } from "./row.ts";
import { BATCH_BUFFERS, TOO_LARGE, isObject, readInteger, readReference, type Problem } from "./json.ts";

/** A call ready to be placed, plain data. `nr` outside the table answers ENOSYS. */
export interface DecodedCall {
  nr: number;
  placed: Placed[];
}

const BATCH_TOO_LARGE = `the buffers of a batch have at most ${BATCH_BUFFERS} bytes together`;

const NO_ARGS: { [name: string]: Json } = {};

/** A class and no literal with closures: one is made for every call. */
class Context implements DecodeContext {
  readonly given: { [name: string]: Json };
  /** The arguments read so far, in the row's order. */
  readonly list: Placed[] = [];
  /** The argument that is being read. */
  name = "";
  readonly raw: boolean;
  readonly #row: SyscallRow;
  readonly #path: string;
  readonly #problems: Problem[];

  constructor(row: SyscallRow, given: { [name: string]: Json }, path: string, problems: Problem[], raw: boolean) {
    this.raw = raw;
    this.given = given;
    this.#row = row;
    this.#path = path;
    this.#problems = problems;
  }

  problem(message: string): void {
    this.#problems.push({ path: `${this.#path}/${this.name}`, message });
  }

  placed(name: string): Placed | undefined {
    const { args } = this.#row;
    for (let at = 0; at < this.list.length; at++) if (args[at].name === name) return this.list[at];
    return undefined;
  }
}

/**
 * Reads one call; problems go to `problems` under `path`, and nothing has happened. Null when no call has that name.
 * @param raw the answer's bytes travel as they are, not in JSON
 */
export function decodeCall(tables: Tables, request: CallRequest, path: string, problems: Problem[], raw = false): DecodedCall | null {
  const { call } = request;
  const row = typeof call === "number" ? tables.syscalls[call] : tables.syscallNames.get(call);
  const args = request.args ?? NO_ARGS;
  if (row === undefined) {
    if (typeof call === "string" && !tables.unimplemented.has(call)) return null;
    return { nr: typeof call === "number" ? call : (SYSCALL_NUMBERS[call] ?? DISPLACED_NUMBERS[call] ?? -1), placed: Array.isArray(args) ? decodeRaw(args, path, problems) : [] };
  }
  if (Array.isArray(args)) return { nr: row.x86_64, placed: decodeRaw(args, path, problems) };
  if (!isObject(args)) {
    problems.push({ path, message: "takes an object of named arguments or an array of registers" });
    return { nr: row.x86_64, placed: [] };
  }
  const context = new Context(row, args, path, problems, raw);
  let used = 0;
  for (let at = 0; at < row.args.length; at++) {
    const arg = row.args[at];
    const value = args[arg.name];
    context.name = arg.name;
    if (value !== undefined) used++;
    context.list.push(arg.decode(value, context));
  }
  const given = Object.keys(args);
  if (used < given.length) {
    for (const key of given) {
      if (!row.args.some((arg) => arg.name === key)) {
        problems.push({ path: `${path}/${key.slice(0, 80)}`, message: `${row.name} has no such argument` });
      }
    }
  }
  return { nr: row.x86_64, placed: context.list };
}

/** Reads the calls of a batch; stops where their buffers together are more than one answer can carry. */
export function decodeBatch(tables: Tables, requests: CallRequest[], problems: Problem[]): DecodedCall[] {
  const calls: DecodedCall[] = [];
  let room = BATCH_BUFFERS;
  for (let at = 0; at < requests.length; at++) {
    const decoded = decodeCall(tables, requests[at], `/calls/${at}/args`, problems);
    if (decoded === null) problems.push({ path: `/calls/${at}/call`, message: `no system call is named ${String(requests[at].call)}` });
    else for (const placed of decoded.placed) if (typeof placed === "object") room -= sizeOf(placed);
    calls.push(decoded ?? { nr: -1, placed: [] });
    if (room < 0) problems.push({ path: `/calls/${at}/args`, message: BATCH_TOO_LARGE });
    if (room < 0 || problems.length > 20) break;
  }
  return calls;
}

function sizeOf(placed: Exclude<Placed, number | bigint>): number {
  if ("room" in placed) return placed.room;
  if ("ref" in placed) return 0;
  let size = placed.bytes.length;
  for (const { to } of placed.pointers ?? []) if (typeof to === "object") size += to.bytes.length;
  return size;
}

/** The refusal of calls that cannot be read. */
export function invalid(problems: Problem[]): Refusal {
  const [first] = problems;
  const refused = problems.every(({ message }) => message === TOO_LARGE || message === BATCH_TOO_LARGE) ? "too-large" : "invalid";
  return { refused, detail: `${first.path.slice(1).replaceAll("/", ".")} ${first.message}`, errors: problems.slice(0, 20) };
}

/** Raw registers: up to six integers, addresses as numbers or strings, references. */
function decodeRaw(args: Json[], path: string, problems: Problem[]): Placed[] {
  if (args.length > 6) problems.push({ path, message: "a system call has at most six registers" });
  return args.slice(0, 6).map((value, at) => {
    const register = value === null ? 0 : (readInteger(value) ?? readReference(value));
    if (register === undefined) problems.push({ path: `${path}/${at}`, message: "takes an integer or a \"0x…\" string" });
    return register ?? 0;
  });
}
