/** Values of a scenario as API.md writes them in JSON. */
import type { Json } from "../../../core/input.ts";
import type { Value } from "./scenario.ts";
import type { Symbols } from "./symbols.ts";

export type Args = { [name: string]: Value };

/** An integer as API.md takes it: a number while safe, else a decimal string. */
export function apiInteger(value: bigint): Json {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value.toString();
}

const POINTERS = new Set(["buf", "pathptr", "event", "argp"]);

/** Input bytes of a step, or the pointer given in their place; undefined when it has none. */
export function bytes(symbols: Symbols, args: Args): Json | undefined {
  if (typeof args.buf === "string") return { addr: apiInteger(symbols.integer(args.buf)) };
  if (typeof args.data_b64 === "string") return { base64: args.data_b64 };
  const data = args.data as { fill: string; len: number } | undefined;
  if (data !== undefined) return { base64: Buffer.alloc(Number(data.len), data.fill).toString("base64") };
  return undefined;
}

/** One argument as JSON: symbols become numbers, names stay names, pointers become `{ addr }`. */
export function plain(symbols: Symbols, name: string, value: Value): Json {
  if (POINTERS.has(name)) return { addr: apiInteger(symbols.integer(value)) };
  if (typeof value === "string") {
    const number = symbols.find(value);
    return number === undefined ? value.replaceAll("0o", "0") : apiInteger(number);
  }
  if (typeof value === "bigint") return apiInteger(value);
  if (Array.isArray(value)) return value.map((item) => plain(symbols, "", item));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, plain(symbols, "", inner)]));
  }
  return value;
}

/** A socket address of a scenario: "unix:path", "unix:@abstract", "inet:ip:port". */
export function socketAddress(symbols: Symbols, text: string): Json {
  if (text.startsWith("unix:")) return { sun_family: "AF_UNIX", sun_path: text.slice(5) };
  const [, addr, port] = text.split(":");
  return { sin_family: "AF_INET", sin_port: Number(symbols.integer(/^\d+$/.test(port) ? Number(port) : port)), sin_addr: addr };
}

/** struct flock; recordings may leave the l_ out. */
export function flock(symbols: Symbols, lock: Value): Json {
  return Object.fromEntries(Object.entries(lock as Args).map(([field, value]) => [
    field.startsWith("l_") ? field : `l_${field}`, plain(symbols, "", value),
  ]));
}

/** One of the two times of utimensat: a pair, a struct timespec, seconds, or UTIME_NOW and UTIME_OMIT by name. */
export function fileTime(value: Value): Json {
  if (value === "UTIME_NOW") return { tv_sec: 0, tv_nsec: 0x3fffffff };
  if (value === "UTIME_OMIT") return { tv_sec: 0, tv_nsec: 0x3ffffffe };
  if (Array.isArray(value)) return { tv_sec: value[0] as Json, tv_nsec: value[1] as Json };
  return typeof value === "object" ? (value as Json) : { tv_sec: value as Json, tv_nsec: 0 };
}

/** Milliseconds and nanoseconds together as a struct timespec. */
export function timespec(ms: Value | undefined, ns: Value | undefined): Json {
  const total = BigInt((ms ?? 0) as number) * 1_000_000n + BigInt((ns ?? 0) as number);
  return { tv_sec: Number(total / 1_000_000_000n), tv_nsec: Number(total % 1_000_000_000n) };
}

/** Nanoseconds are passed as they are, so that a value out of range reaches the kernel. */
export function rawTimespec(ms: Value | undefined, ns: Value | undefined): Json {
  if (ns === undefined) return timespec(ms, 0);
  return { tv_sec: Math.floor(Number(ms ?? 0) / 1000), tv_nsec: Number(ns) };
}
