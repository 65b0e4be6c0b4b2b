/** Values as strace 6.1 writes them: strings cut at 32 bytes, with C escapes. */
import { MAJOR, MINOR } from "../abi/dev_t.ts";

const SHOWN = 32;
const ESCAPES: { [byte: number]: string } = { 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: "\\\"", 92: "\\\\" };

const TWO_64 = 1n << 64n;

/** A register as an unsigned 64-bit quantity: a number when safe. */
export function unsigned(register: number | bigint): number | bigint {
  if (typeof register === "number") return register >= 0 ? register : BigInt(register) + TWO_64;
  return register >= 0n ? register : register + TWO_64;
}

/** A register in hexadecimal. */
export function hex(register: number | bigint): string {
  return `0x${unsigned(register).toString(16)}`;
}

/** Bytes between quotes; an octal escape is as short as the next byte allows. */
export function quote(bytes: Uint8Array): string {
  let text = "\"";
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte >= 32 && byte < 127 && byte !== 34 && byte !== 92) text += String.fromCharCode(byte);
    else if (ESCAPES[byte] !== undefined) text += ESCAPES[byte];
    else {
      const next = bytes[at + 1];
      const octal = byte.toString(8);
      text += `\\${next >= 48 && next <= 55 ? octal.padStart(3, "0") : octal}`;
    }
  }
  return `${text}"`;
}

/** A buffer of `count` bytes of which `bytes` is the beginning; `address` is shown when nothing could be read. */
export function showBytes(bytes: Uint8Array, count: number | bigint, address: number | bigint): string {
  if (count === 0) return "\"\"";
  if (bytes.length === 0) return hex(address);
  const shown = bytes.subarray(0, Number(count < SHOWN ? count : SHOWN));
  return count > shown.length ? `${quote(shown)}...` : quote(shown);
}

/** A NUL-terminated string, shown whole as strace shows paths. */
export function showString(bytes: Uint8Array, address: number | bigint): string {
  if (bytes.length === 0) return hex(address);
  const end = bytes.indexOf(0);
  return end < 0 ? `${quote(bytes)}...` : quote(bytes.subarray(0, end));
}

/** A device number of the kernel. */
export function showDevice(dev: number): string {
  return `makedev(0x${MAJOR(dev).toString(16)}, 0x${MINOR(dev).toString(16)})`;
}
