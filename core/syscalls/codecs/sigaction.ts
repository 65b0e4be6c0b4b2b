/** struct sigaction as an argument: `{ sa_handler: "SIG_DFL" | "SIG_IGN" | "count" | "0x…", sa_flags, sa_mask }`. */
import { formatFlags, parseFlags } from "../../abi/flags.ts";
import { decodeStruct, encodeStruct } from "../../abi/layout.ts";
import { formatSigSet, sigactionLayout, signalFlags, SIG_DFL, SIG_IGN } from "../../abi/signal.ts";
import type { Json } from "../../input.ts";
import { padded, type Codec } from "../codec.ts";
import { isObject, readBytes, readInteger } from "../json.ts";
import { readSigset, sigsetJson } from "./sigset.ts";

/** What stands in memory for a handler that only counts: an address that no program has. */
export const COUNT_HANDLER = 2;

const HANDLERS: { [name: string]: number } = { SIG_DFL, SIG_IGN, count: COUNT_HANDLER };
const FIELDS = ["sa_handler", "sa_flags", "sa_restorer", "sa_mask"];

function handlerName(address: number | bigint): string {
  return Object.keys(HANDLERS).find((name) => HANDLERS[name] === address) ?? `0x${address.toString(16)}`;
}

function readHandler(value: Json | undefined): number | bigint | undefined {
  if (value === undefined) return SIG_DFL;
  if (typeof value === "string" && Object.hasOwn(HANDLERS, value)) return HANDLERS[value];
  return readInteger(value);
}

export const sigaction: Codec = {
  name: "sigaction",
  fields: { sa_handler: "string", sa_flags: "integer", sa_mask: "bytes" },
  room: () => sigactionLayout.size,
  length: () => sigactionLayout.size,
  encode(value, problem) {
    const raw = readBytes(value);
    if (raw instanceof Uint8Array) return padded(raw, sigactionLayout.size);
    if (!isObject(value)) {
      problem("takes a struct sigaction");
      return new Uint8Array(sigactionLayout.size);
    }
    for (const key of Object.keys(value)) if (!FIELDS.includes(key)) problem(`has no field ${key.slice(0, 40)}`);
    const handler = readHandler(value.sa_handler);
    const given = value.sa_flags ?? 0;
    const flags = typeof given === "string" ? (parseFlags(signalFlags, given) ?? readInteger(given)) : readInteger(given);
    const mask = readSigset(value.sa_mask ?? []);
    const restorer = readInteger(value.sa_restorer ?? 0);
    if (handler === undefined) problem("sa_handler takes \"SIG_DFL\", \"SIG_IGN\", \"count\" or an address");
    if (flags === undefined) problem("sa_flags takes flag names or a number");
    if (mask === undefined) problem("sa_mask takes an array of signal names");
    return encodeStruct(sigactionLayout, { sa_handler: handler ?? 0, sa_flags: flags ?? 0, sa_restorer: restorer ?? 0, sa_mask: mask ?? 0n });
  },
  decode(bytes) {
    const { sa_handler, sa_flags, sa_mask } = decodeStruct(sigactionLayout, bytes);
    return {
      sa_handler: handlerName(sa_handler), sa_flags: Number(sa_flags), sa_mask: sigsetJson(BigInt(sa_mask)),
    };
  },
  show(bytes) {
    const { sa_handler, sa_flags, sa_mask } = decodeStruct(sigactionLayout, bytes);
    return `{sa_handler=${handlerName(sa_handler)}, sa_mask=${formatSigSet(BigInt(sa_mask))}, sa_flags=${formatFlags(signalFlags, Number(sa_flags))}}`;
  },
};
