/** From a caller's JSON to a decoded call: every argument read by its row's type, every mistake named by its path. */
import type { CallRequest, Json } from "../input.ts";
import type { Tables } from "../kernel.ts";
import type { DecodeContext, Placed } from "./args.ts";
import type { SyscallRow } from "./row.ts";
import { isObject, readInteger, readReference, type Problem } from "./json.ts";

/** A call ready to be placed, plain data. `nr` outside the table answers ENOSYS. */
export interface DecodedCall {
  nr: number;
  placed: Placed[];
}

const NO_ARGS: { [name: string]: Json } = {};

/** A class and no literal with closures: one is made for every call. */
class Context implements DecodeContext {
  readonly given: { [name: string]: Json };
  /** The arguments read so far, in the row's order. */
  readonly list: Placed[] = [];
  /** The argument that is being read. */
  name = "";
  readonly #row: SyscallRow;
  readonly #path: string;
  readonly #problems: Problem[];

  constructor(row: SyscallRow, given: { [name: string]: Json }, path: string, problems: Problem[]) {
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

/** Reads one call; problems go to `problems` under `path`, and nothing has happened. Null when no call has that name. */
export function decodeCall(tables: Tables, request: CallRequest, path: string, problems: Problem[]): DecodedCall | null {
  const { call } = request;
  const row = typeof call === "number" ? tables.syscalls[call] : tables.syscallNames.get(call);
  const args = request.args ?? NO_ARGS;
  if (row === undefined) {
    if (typeof call === "string" && !tables.unimplemented.has(call)) return null;
    return { nr: typeof call === "number" ? call : -1, placed: Array.isArray(args) ? decodeRaw(args, path, problems) : [] };
  }
  if (Array.isArray(args)) return { nr: row.x86_64, placed: decodeRaw(args, path, problems) };
  if (!isObject(args)) {
    problems.push({ path, message: "takes an object of named arguments or an array of registers" });
    return { nr: row.x86_64, placed: [] };
  }
  const context = new Context(row, args, path, problems);
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

/** Raw registers: up to six integers, addresses as numbers or strings, references. */
function decodeRaw(args: Json[], path: string, problems: Problem[]): Placed[] {
  if (args.length > 6) problems.push({ path, message: "a system call has at most six registers" });
  return args.slice(0, 6).map((value, at) => {
    const register = value === null ? 0 : (readInteger(value) ?? readReference(value));
    if (register === undefined) problems.push({ path: `${path}/${at}`, message: "takes an integer or a \"0x…\" string" });
    return register ?? 0;
  });
}
