/** From a scenario's step to the call that API.md describes, by man-page argument names. */
import { syscallCatalogue } from "../../../core/index.ts";
import type { Json } from "../../../core/input.ts";
import type { Step } from "./scenario.ts";
import { SHAPED, type Call } from "./shapes.ts";
import type { Symbols } from "./symbols.ts";
import { bytes, plain } from "./values.ts";

/** The recorder's word for an argument, and what man pages call it from one call to another. */
const ALIASES: { [recorded: string]: string[] } = {
  fd: ["sockfd", "oldfd", "epfd", "timerfd", "fildes", "oldfd"],
  path: ["pathname", "filename", "path", "target"],
  pathptr: ["pathname", "path", "filename"],
  buf: ["statbuf", "pipefd", "events", "dirp", "sv", "msgp", "curr_value", "info", "vec"],
  addr: ["old_address", "shmaddr", "start", "dest_addr"],
  length: ["len", "size", "count"],
  len: ["length", "count", "size"],
  count: ["len", "size", "msgsz", "length"],
  size: ["length", "len"],
  flags: ["msgflg", "shmflg", "semflg", "options", "mask"],
  mode: ["mask"],
  mask: ["set", "sigmask"],
  uid: ["owner", "fsuid"], gid: ["group", "fsgid"],
  sig: ["signum", "signal"], signal: ["sig", "signum"],
  arg: ["optval"], req: ["request"], op: ["operation"], operation: ["op"],
  status: ["error_code"], initval: ["count"], clockid: ["clk_id", "which_clock"],
};

/** The argument of a call that a recorded one stands for; an error when the call has none such. */
function argumentOf(call: string, recorded: string): string {
  const names = argumentNames().get(call);
  if (names === undefined) throw new Error(`the table has no call ${call}`);
  const name = [recorded, ...(ALIASES[recorded] ?? [])].find((one) => names.has(one)) ?? [...names].find((one) => alike(one, recorded));
  if (name === undefined) throw new Error(`${call} has no argument for ${recorded}`);
  return name;
}

/** One name is the other's beginning, whatever lies between their words: new_addr and new_address, sem_num and semnum. */
function alike(a: string, b: string): boolean {
  const [one, other] = [a, b].map((name) => name.replaceAll("_", ""));
  return one.length > 2 && other.length > 2 && (one.startsWith(other) || other.startsWith(one));
}

let known: Map<string, Set<string>> | undefined;

/** The arguments of every call, by name. */
function argumentNames(): Map<string, Set<string>> {
  known ??= new Map(syscallCatalogue().map(({ name, args }) => [name, new Set(args.map((arg) => arg.name))]));
  return known;
}

/** The call that a step makes; pseudo calls (`$maps` …) are the player's own. */
export function translate(symbols: Symbols, { call, args }: Step): Call {
  if (Object.hasOwn(SHAPED, call)) return SHAPED[call](symbols, args);
  const made: { [name: string]: Json } = {};
  const given = bytes(symbols, args);
  if (given !== undefined) made[argumentOf(call, "buf")] = given;
  for (const [name, value] of Object.entries(args)) {
    if (name === "data_b64" || name === "data" || name === "buf") continue;
    made[argumentOf(call, name)] = plain(symbols, name, value);
  }
  return { call, args: made };
}
