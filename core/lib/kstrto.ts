/** Text to integers as the kernel reads them (lib/kstrtox.c): the whole text must be a number, one final newline is allowed. */
import { EINVAL, ERANGE } from "../abi/errno.ts";

export type Parsed<T> = { value: T } | { errno: number };

const bad = { errno: -EINVAL };
const outOfRange = { errno: -ERANGE };
const ULLONG_END = 1n << 64n;

function digitOf(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : 99;
}

/** Where the digits from `at` begin, and in which base: base 0 looks for 0x and 0. */
function radixAt(text: string, at: number, base: number): { start: number; radix: number } {
  const hex = text[at] === "0" && (text[at + 1] === "x" || text[at + 1] === "X");
  const radix = base !== 0 ? base : hex && digitOf(text.charCodeAt(at + 2)) < 16 ? 16 : text[at] === "0" ? 8 : 10;
  return { start: radix === 16 && hex ? at + 2 : at, radix };
}

/** Digits from `from` to the end. */
function parseDigits(text: string, from: number, base: number): Parsed<bigint> {
  const { start, radix } = radixAt(text, from, base);
  let value = 0n;
  let overflow = false;
  let at = start;
  for (; at < text.length; at++) {
    const digit = digitOf(text.charCodeAt(at));
    if (digit >= radix) break;
    if (!overflow) value = value * BigInt(radix) + BigInt(digit);
    if (value >= ULLONG_END) overflow = true;
  }
  // As Linux: too many digits is ERANGE even when something else follows them.
  if (overflow) return outOfRange;
  if (at === start) return bad;
  if (text[at] === "\n") at++;
  return at === text.length ? { value } : bad;
}

/** An unsigned 64-bit number; one leading + is allowed. -EINVAL when it is none, -ERANGE beyond 64 bits. */
export function kstrtoull(text: string, base: number): Parsed<bigint> {
  return parseDigits(text, text[0] === "+" ? 1 : 0, base);
}

/** A signed 64-bit number; one leading + or - is allowed. */
export function kstrtoll(text: string, base: number): Parsed<bigint> {
  const negative = text[0] === "-";
  const parsed = negative ? parseDigits(text, 1, base) : kstrtoull(text, base);
  if ("errno" in parsed) return parsed;
  if (parsed.value >= 1n << 63n && !(negative && parsed.value === 1n << 63n)) return outOfRange;
  return negative ? { value: -parsed.value } : parsed;
}

function narrow(parsed: Parsed<bigint>, low: number, high: number): Parsed<number> {
  if ("errno" in parsed) return parsed;
  const value = Number(parsed.value);
  return value < low || value > high ? outOfRange : { value };
}

export const kstrtou8 = (text: string, base: number): Parsed<number> => narrow(kstrtoull(text, base), 0, 0xff);
export const kstrtos8 = (text: string, base: number): Parsed<number> => narrow(kstrtoll(text, base), -0x80, 0x7f);
export const kstrtos16 = (text: string, base: number): Parsed<number> => narrow(kstrtoll(text, base), -0x8000, 0x7fff);
export const kstrtou16 = (text: string, base: number): Parsed<number> => narrow(kstrtoull(text, base), 0, 0xffff);
export const kstrtoint = (text: string, base: number): Parsed<number> => narrow(kstrtoll(text, base), -0x80000000, 0x7fffffff);
export const kstrtouint = (text: string, base: number): Parsed<number> => narrow(kstrtoull(text, base), 0, 0xffffffff);

/** A boolean by its first letter: y t 1, n f 0, on, off, in either case. */
export function kstrtobool(text: string | null): Parsed<boolean> {
  switch (text?.[0]) {
    case "y": case "Y": case "t": case "T": case "1": return { value: true };
    case "n": case "N": case "f": case "F": case "0": return { value: false };
    case "o": case "O":
      if (text[1] === "n" || text[1] === "N") return { value: true };
      if (text[1] === "f" || text[1] === "F") return { value: false };
  }
  return bad;
}

/** A signed 64-bit number as simple_strtol reads it: what follows the digits is left, no digits are 0, too many wrap. `length` is how much was read. */
export function simpleStrtol(text: string, base: number): { value: bigint; length: number } {
  if (text[0] !== "-") return simpleStrtoul(text, base, 0);
  const { value, length } = simpleStrtoul(text, base, 1);
  return { value: BigInt.asIntN(64, -value), length };
}

function simpleStrtoul(text: string, base: number, from: number): { value: bigint; length: number } {
  const { start, radix } = radixAt(text, from, base);
  let value = 0n;
  let at = start;
  for (; at < text.length && digitOf(text.charCodeAt(at)) < radix; at++) value = value * BigInt(radix) + BigInt(digitOf(text.charCodeAt(at)));
  return { value: BigInt.asIntN(64, value), length: at };
}
