/** Reading a caller's JSON: integers of any width, bytes, references to earlier calls of a batch. */
import { base64Decode, base64Encode, hexDecode, utf8Decode, utf8Encode } from "../lib/bytes.ts";
import type { Json } from "../input.ts";

export interface Problem {
  path: string;
  message: string;
}

/** `{ ret: k, plus: n }` or `{ out: k, at: "/pipefd/1" }`: a number that an earlier call of the batch will have given. */
export interface Reference {
  ref: "ret" | "out";
  call: number;
  plus: number;
  at: string;
}

const DIGITS = /^-?[0-9]{1,20}$/;
const HEX = /^0[xX][0-9a-fA-F]{1,16}$/;

export function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A bigint as a number where that is exact. */
export function narrow(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** A JSON number, or a decimal or "0x…" string, of at most 64 bits; undefined when it is none. */
export function readInteger(value: Json | undefined): number | bigint | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value !== "string" || !(DIGITS.test(value) || HEX.test(value))) return undefined;
  const big = BigInt(value);
  return big < -(1n << 63n) || big >= 1n << 64n ? undefined : narrow(big);
}

/** A reference to an earlier call, or undefined when the value is none. */
export function readReference(value: Json | undefined): Reference | undefined {
  if (!isObject(value)) return undefined;
  if (typeof value.ret === "number" && Number.isInteger(value.ret) && value.ret >= 0) {
    const plus = value.plus ?? 0;
    if (typeof plus !== "number" || !Number.isSafeInteger(plus)) return undefined;
    return { ref: "ret", call: value.ret, plus, at: "" };
  }
  if (typeof value.out === "number" && Number.isInteger(value.out) && value.out >= 0 && typeof value.at === "string") {
    return { ref: "out", call: value.out, plus: 0, at: value.at };
  }
  return undefined;
}

/** The largest buffer that a caller may send or ask for in JSON, and the largest where the bytes travel as they are. */
export const BUFFER_LIMIT = 1 << 20;
export const RAW_BUFFER_LIMIT = 16 << 20;
/** All buffers of one batch: what is answered must fit one JSON text. */
export const BATCH_BUFFERS = 64 << 20;
/** What is said of a larger one; the service answers it as too large. */
export const TOO_LARGE = `has more than ${BUFFER_LIMIT} bytes, the most of one buffer in JSON`;

/** `value` as bytes, within the limit of one buffer. */
export function readBytes(value: Json | undefined): Uint8Array | string | undefined {
  const bytes = readAnyBytes(value);
  return bytes instanceof Uint8Array && bytes.length > BUFFER_LIMIT ? TOO_LARGE : bytes;
}

/** Bytes as callers write them: text, `{base64}`, `{hex}`, `{zero}`, `{i32}`, `{u32}`, `{u64}`; a message when malformed, undefined when it is no form of bytes. */
function readAnyBytes(value: Json | undefined): Uint8Array | string | undefined {
  if (typeof value === "string") return utf8Encode(value);
  if (!isObject(value)) return undefined;
  if ("base64" in value) {
    return (typeof value.base64 === "string" ? base64Decode(value.base64) : undefined) ?? "base64 is malformed";
  }
  if ("hex" in value) return (typeof value.hex === "string" ? hexDecode(value.hex) : undefined) ?? "hex is malformed";
  if ("zero" in value) {
    const count = value.zero;
    if (typeof count !== "number" || !Number.isInteger(count) || count < 0) return "zero takes a count of bytes";
    return count > BUFFER_LIMIT ? TOO_LARGE : new Uint8Array(count);
  }
  for (const [name, size] of [["i32", 4], ["u32", 4], ["u64", 8], ["i64", 8]] as const) {
    if (!(name in value)) continue;
    const number = readInteger(value[name]);
    if (number === undefined) return `${name} takes an integer`;
    if (size === 4 && (number < -(2 ** 31) || number >= 2 ** 32)) return `${name} takes an integer of 32 bits`;
    const bytes = new Uint8Array(size);
    let rest = BigInt.asUintN(64, BigInt(number));
    for (let at = 0; at < size; at++, rest >>= 8n) bytes[at] = Number(rest & 255n);
    return bytes;
  }
  return undefined;
}

/** Bytes as answers carry them: `text` only when they are valid UTF-8. */
export function bytesToJson(bytes: Uint8Array): Json {
  const text = utf8Decode(bytes);
  return text === undefined ? { base64: base64Encode(bytes) } : { base64: base64Encode(bytes), text };
}
