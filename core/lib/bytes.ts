/** Bytes: text, hexadecimal and base64, little-endian words, C strings. */

const encoder = new TextEncoder();
const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** Short texts are quicker done here than by a call into the engine. */
const SHORT = 32;

/** The UTF-8 bytes of a text; lone surrogates become U+FFFD. */
export function utf8Encode(text: string): Uint8Array {
  if (text.length > SHORT) return encoder.encode(text);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return encoder.encode(text);
    bytes[i] = code;
  }
  return bytes;
}

/** Writes the UTF-8 bytes of a text at the start of `into`, as far as whole characters fit; how many bytes. */
export function utf8EncodeInto(text: string, into: Uint8Array): number {
  return encoder.encodeInto(text, into).written;
}

function shortAscii(bytes: Uint8Array): string | undefined {
  if (bytes.length > SHORT) return undefined;
  let text = "";
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte > 0x7f) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** The text of UTF-8 bytes; undefined when they are not valid UTF-8. A byte order mark is kept. */
export function utf8Decode(bytes: Uint8Array): string | undefined {
  const short = shortAscii(bytes);
  if (short !== undefined) return short;
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The text of bytes, with U+FFFD where they are not UTF-8. */
export function utf8DecodeLossy(bytes: Uint8Array): string {
  return shortAscii(bytes) ?? lossy.decode(bytes);
}

const HEX_DIGITS = encoder.encode("0123456789abcdef");
const INVALID = 255;
/** The value of each ASCII code as a hexadecimal digit. */
const hexValues = new Uint8Array(128).fill(INVALID);
for (let i = 0; i < 16; i++) {
  hexValues[HEX_DIGITS[i]] = i;
  if (i >= 10) hexValues[HEX_DIGITS[i] - 32] = i;
}

/** Two lower-case digits a byte. */
export function hexEncode(bytes: Uint8Array): string {
  const digits = new Uint8Array(bytes.length * 2);
  for (let i = 0; i < bytes.length; i++) {
    digits[2 * i] = HEX_DIGITS[bytes[i] >>> 4];
    digits[2 * i + 1] = HEX_DIGITS[bytes[i] & 15];
  }
  return lossy.decode(digits);
}

/** The bytes of pairs of digits in either case; undefined if `text` is anything else. */
export function hexDecode(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = hexValues[text.charCodeAt(2 * i)] ?? INVALID;
    const low = hexValues[text.charCodeAt(2 * i + 1)] ?? INVALID;
    if (high === INVALID || low === INVALID) return undefined;
    bytes[i] = (high << 4) | low;
  }
  return bytes;
}

const BASE64_DIGITS = encoder.encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const EQUALS = 61;
const base64Values = new Uint8Array(256).fill(INVALID);
BASE64_DIGITS.forEach((code, value) => (base64Values[code] = value));

/** Base64 with padding (RFC 4648, section 4). */
export function base64Encode(bytes: Uint8Array): string {
  const whole = bytes.length - (bytes.length % 3);
  const digits = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  let to = 0;
  for (let i = 0; i < whole; i += 3) {
    const word = (bytes[i] << 16) | (bytes[i + 1] << 8) | bytes[i + 2];
    digits[to] = BASE64_DIGITS[word >>> 18];
    digits[to + 1] = BASE64_DIGITS[(word >>> 12) & 63];
    digits[to + 2] = BASE64_DIGITS[(word >>> 6) & 63];
    digits[to + 3] = BASE64_DIGITS[word & 63];
    to += 4;
  }
  if (whole < bytes.length) {
    const two = bytes.length - whole === 2;
    const word = (bytes[whole] << 16) | (two ? bytes[whole + 1] << 8 : 0);
    digits[to] = BASE64_DIGITS[word >>> 18];
    digits[to + 1] = BASE64_DIGITS[(word >>> 12) & 63];
    digits[to + 2] = two ? BASE64_DIGITS[(word >>> 6) & 63] : EQUALS;
    digits[to + 3] = EQUALS;
  }
  return shortAscii(digits) ?? lossy.decode(digits);
}

/** The bytes of base64, with or without its padding; undefined for other characters, a length that cannot be, or stray bits at the end. */
export function base64Decode(text: string): Uint8Array | undefined {
  let length = text.length;
  if (length % 4 === 0 && text.endsWith("=")) length -= text.endsWith("==") ? 2 : 1;
  const over = length % 4;
  if (over === 1) return undefined;
  // Characters above ASCII become '?' or several bytes here: no digit either way.
  const codes = new Uint8Array(length);
  if (encoder.encodeInto(length === text.length ? text : text.slice(0, length), codes).read !== length) return undefined;
  const whole = length - over;
  const bytes = new Uint8Array((whole / 4) * 3 + (over === 0 ? 0 : over - 1));
  let to = 0;
  let seen = 0;
  for (let i = 0; i < whole; i += 4) {
    const a = base64Values[codes[i]];
    const b = base64Values[codes[i + 1]];
    const c = base64Values[codes[i + 2]];
    const d = base64Values[codes[i + 3]];
    seen |= a | b | c | d;
    bytes[to] = (a << 2) | (b >>> 4);
    bytes[to + 1] = (b << 4) | (c >>> 2);
    bytes[to + 2] = (c << 6) | d;
    to += 3;
  }
  if (over !== 0) {
    const a = base64Values[codes[whole]];
    const b = base64Values[codes[whole + 1]];
    const c = over === 3 ? base64Values[codes[whole + 2]] : 0;
    seen |= a | b | c;
    if (over === 2 ? b & 15 : c & 3) return undefined;
    bytes[to] = (a << 2) | (b >>> 4);
    if (over === 3) bytes[to + 1] = (b << 4) | (c >>> 2);
  }
  // Digits are below 64; what is none is 255.
  return seen < 64 ? bytes : undefined;
}

export const getU16 = (bytes: Uint8Array, at: number): number => bytes[at] | (bytes[at + 1] << 8);
export const getU32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
export const getI32 = (bytes: Uint8Array, at: number): number => getU32(bytes, at) | 0;

/** 64 bits, unsigned: a number while that is exact, else a bigint. */
export function getU64(bytes: Uint8Array, at: number): number | bigint {
  const high = getU32(bytes, at + 4);
  const low = getU32(bytes, at);
  return high < 0x20_0000 ? high * 0x1_0000_0000 + low : (BigInt(high) << 32n) | BigInt(low);
}

/** 64 bits, signed: a number while that is exact, else a bigint. */
export function getI64(bytes: Uint8Array, at: number): number | bigint {
  const value = getU64(bytes, at);
  return typeof value === "bigint" ? narrowed(BigInt.asIntN(64, value)) : value;
}

export function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

/** The low 32 bits of a number of either sign. */
export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** The low 64 bits of a value of either sign. */
export function putU64(bytes: Uint8Array, at: number, value: number | bigint): void {
  if (typeof value === "bigint") {
    putU32(bytes, at, Number(BigInt.asUintN(32, value)));
    putU32(bytes, at + 4, Number(BigInt.asUintN(32, value >> 32n)));
  } else {
    putU32(bytes, at, value);
    putU32(bytes, at + 4, Math.floor(value / 0x1_0000_0000));
  }
}

/** A bigint as a number where that is exact. */
export function narrowed(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Below, above or equal to zero as `a` sorts before, after or with `b`, byte by byte. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Copies `count` bytes at `from` of one array to `to` of another; no copy in between, and no view where none is needed. */
export function copyBytes(source: Uint8Array, from: number, into: Uint8Array, to: number, count: number): void {
  if (count <= FEW) for (let i = 0; i < count; i++) into[to + i] = source[from + i];
  else into.set(count === source.length ? source : source.subarray(from, from + count), to);
}

/** So many bytes are copied quicker here than by a call into the engine. */
const FEW = 24;

/** The bytes from `at` to the next NUL, or to the end when there is none; a view, not a copy. */
export function cstring(bytes: Uint8Array, at = 0): Uint8Array {
  const end = bytes.indexOf(0, at);
  return bytes.subarray(at, end < 0 ? bytes.length : end);
}

/** The UTF-8 bytes of a text and a NUL. */
export function cstringEncode(text: string): Uint8Array {
  const bytes = utf8Encode(text);
  const ended = new Uint8Array(bytes.length + 1);
  ended.set(bytes);
  return ended;
}
