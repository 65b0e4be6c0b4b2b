/** Signal sets as arguments: `["SIGUSR1", …]`, eight bytes in memory, `[USR1]` in a trace; and the size that goes with them. */
import { formatSigSet, sigAdd, sigMembers, signalName, signalNumber, _NSIG } from "../../abi/signal.ts";
import type { Json } from "../../input.ts";
import { getU64, putU64 } from "../../lib/bytes.ts";
import { size, type ArgType } from "../args.ts";
import { padded, type Codec } from "../codec.ts";
import { isObject, readBytes, readInteger } from "../json.ts";

export const SIGSET_SIZE = 8;

/** A set from names, numbers, or all of it as one integer; undefined when it is none. */
export function readSigset(value: Json): bigint | undefined {
  if (!Array.isArray(value)) {
    const whole = isObject(value) ? undefined : readInteger(value);
    return whole === undefined ? undefined : BigInt.asUintN(64, BigInt(whole));
  }
  let set = 0n;
  for (const item of value) {
    const signal = typeof item === "string" ? signalNumber(item) : readInteger(item);
    if (typeof signal !== "number" || signal < 1 || signal > _NSIG) return undefined;
    set = sigAdd(set, signal);
  }
  return set;
}

export function sigsetJson(set: bigint): Json {
  return sigMembers(set).map((signal) => signalName(signal));
}

export const sigset: Codec = {
  name: "sigset_t",
  fields: "any",
  room: () => SIGSET_SIZE,
  length: () => SIGSET_SIZE,
  encode(value, problem) {
    const raw = isObject(value) ? readBytes(value) : undefined;
    if (raw instanceof Uint8Array) return padded(raw, SIGSET_SIZE);
    const set = readSigset(value);
    if (set === undefined) problem("takes an array of signal names");
    const bytes = new Uint8Array(SIGSET_SIZE);
    putU64(bytes, 0, set ?? 0n);
    return bytes;
  },
  decode: (bytes) => sigsetJson(BigInt(getU64(bytes, 0))),
  show: (bytes) => formatSigSet(BigInt(getU64(bytes, 0))),
};

/** sigsetsize: 8 when left out, as a C library passes it. */
export function sigsetSize(name: string): ArgType {
  const plain = size(name);
  return { ...plain, decode: (value, context) => (value === undefined ? SIGSET_SIZE : plain.decode(value, context)) };
}
