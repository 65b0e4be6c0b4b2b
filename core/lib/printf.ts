/** printf: the kernel's (lib/vsprintf.c), with its %p family, and the C library's, with %f. */
import { errnoName } from "../abi/errno.ts";
import { toFixed } from "./decimal.ts";
import { hashPointer, type PointerKey } from "./hash.ts";
import { utf8DecodeLossy, utf8Encode } from "./bytes.ts";

/**
 * %d and its kin take numbers and bigints, %s a string or null, %c a character code or a character, %*ph bytes.
 * %p takes an address, %pI4 an address in host order, %pe a negative errno; %pS, %ps and others of that kind the text itself.
 */
export type PrintfArgument = number | bigint | string | null | Uint8Array;

interface Spec {
  left: boolean;
  plus: boolean;
  space: boolean;
  alternate: boolean;
  zero: boolean;
  /** -1 when none is given. */
  width: number;
  /** -1 when none is given. */
  precision: number;
  /** "", hh, h, l, ll, z, t, j, L. */
  length: string;
  conversion: string;
}

const lengthBits: Readonly<Record<string, number>> = { hh: 8, h: 16, l: 64, ll: 64, L: 64, q: 64, z: 64, Z: 64, t: 64, j: 64 };

/** Cuts an argument to the width of its C type. */
function integer(spec: Spec, argument: PrintfArgument, signed: boolean): number | bigint {
  const value = typeof argument === "number" || typeof argument === "bigint" ? argument : BigInt(argument === null ? 0 : wrong(spec, argument));
  const bits = lengthBits[spec.length] ?? 32;
  if (bits === 32 && typeof value === "number") return signed ? value | 0 : value >>> 0;
  if (bits === 64 && typeof value === "number" && (signed || value >= 0)) return value;
  return signed ? BigInt.asIntN(bits, BigInt(value)) : BigInt.asUintN(bits, BigInt(value));
}

function wrong(spec: Spec, argument: PrintfArgument): never {
  throw new Error(`printf: %${spec.length}${spec.conversion} of ${typeof argument}`);
}

function pad(spec: Spec, text: string, length = text.length): string {
  const missing = spec.width - length;
  if (missing <= 0) return text;
  return spec.left ? text + " ".repeat(missing) : " ".repeat(missing) + text;
}

/** Sign, prefix, precision and padding around the digits of a number. */
function number(spec: Spec, value: number | bigint, base: number, kernel: boolean): string {
  const upper = spec.conversion === "X";
  const negative = value < 0;
  const signed = spec.conversion === "d" || spec.conversion === "i";
  const sign = negative ? "-" : signed && spec.plus ? "+" : signed && spec.space ? " " : "";
  let digits = (negative ? -value : value).toString(base);
  if (upper) digits = digits.toUpperCase();
  let prefix = "";
  // The kernel writes 0x before a zero too, the C library does not.
  if (spec.alternate && base === 16 && (kernel || value != 0)) prefix = upper ? "0X" : "0x";
  if (!kernel && spec.precision === 0 && value == 0) digits = "";
  if (spec.precision > digits.length) digits = "0".repeat(spec.precision - digits.length) + digits;
  if (spec.alternate && base === 8 && !digits.startsWith("0")) digits = `0${digits}`;
  // As Linux: the kernel pads with zeros even when a precision is given.
  if (spec.zero && !spec.left && (kernel || spec.precision < 0)) {
    const missing = spec.width - sign.length - prefix.length - digits.length;
    if (missing > 0) digits = "0".repeat(missing) + digits;
  }
  return pad(spec, sign + prefix + digits);
}

function text(spec: Spec, argument: PrintfArgument): string {
  const whole = argument === null ? "(null)" : typeof argument === "string" ? argument : wrong(spec, argument);
  if (spec.precision < 0 && spec.width < 0) return whole;
  const bytes = utf8Encode(whole);
  // Precision and width count bytes.
  if (spec.precision >= 0 && spec.precision < bytes.length) {
    return pad(spec, utf8DecodeLossy(bytes.subarray(0, spec.precision)), spec.precision);
  }
  return pad(spec, whole, bytes.length);
}

function character(spec: Spec, argument: PrintfArgument): string {
  if (typeof argument === "string") return pad(spec, argument, utf8Encode(argument).length);
  return pad(spec, String.fromCharCode(Number(integer(spec, argument, false)) & 0xff), 1);
}

function address(spec: Spec, value: number | bigint): string {
  const digits = BigInt.asUintN(64, BigInt(value)).toString(16);
  return pad(spec, digits.padStart(16, "0"));
}

/** IS_ERR_OR_NULL: such pointers give nothing away and are printed as they are. */
const isErrorOrNull = (value: number | bigint): boolean => value == 0 || BigInt.asUintN(64, BigInt(value)) >= 0xffff_ffff_ffff_f001n;

/** %p and what follows it; `extension` is the run of letters and digits after the p. */
function pointer(spec: Spec, argument: PrintfArgument, extension: string, key: PointerKey): string {
  if (typeof argument === "string") return text(spec, argument);
  if (argument instanceof Uint8Array) {
    if (extension[0] !== "h") return wrong(spec, argument);
    const separator = { C: ":", D: "-", N: "" }[extension[1] ?? ""] ?? " ";
    // The field width is the number of bytes, 64 at most.
    const count = spec.width < 0 ? 1 : Math.min(spec.width, 64);
    return Array.from(argument.subarray(0, count), (byte) => byte.toString(16).padStart(2, "0")).join(separator);
  }
  const value = argument ?? 0;
  switch (extension[0]) {
    case "x": return address(spec, value);
    case "I": {
      const ip = Number(BigInt.asUintN(32, BigInt(value)));
      return pad(spec, `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`);
    }
    case "e":
      if (value != 0 && isErrorOrNull(value)) return pad(spec, `-${errnoName(-Number(BigInt.asIntN(64, BigInt(value))))}`);
  }
  return address(spec, isErrorOrNull(value) ? value : hashPointer(value, key));
}

function real(spec: Spec, argument: PrintfArgument): string {
  const digits = toFixed(Number(argument), spec.precision < 0 ? 6 : spec.precision);
  const sign = digits.startsWith("-") ? "-" : spec.plus ? "+" : spec.space ? " " : "";
  const unsigned = digits.startsWith("-") ? digits.slice(1) : digits;
  // "inf" and "nan" are not padded with zeros.
  const zeros = spec.zero && !spec.left && /[0-9]$/.test(unsigned) ? Math.max(0, spec.width - sign.length - unsigned.length) : 0;
  return pad(spec, sign + "0".repeat(zeros) + unsigned);
}

/** As Linux: all letters and digits after %p belong to it. */
const pointerExtension = /[a-zA-Z0-9]*/y;
const specPattern = /%([-+ #0]*)(\*|[0-9]+)?(?:\.(\*|-?[0-9]*))?(hh|h|ll|l|L|q|z|Z|t|j)?([a-zA-Z%])/g;

function format(pattern: string, args: readonly PrintfArgument[], kernel: boolean, key: PointerKey): string {
  if (!pattern.includes("%")) return pattern;
  let used = 0;
  const next = (spec: string): PrintfArgument => {
    if (used >= args.length) throw new Error(`printf: no argument for ${spec} in ${JSON.stringify(pattern)}`);
    return args[used++];
  };
  let result = "";
  let at = 0;
  specPattern.lastIndex = 0;
  for (let match = specPattern.exec(pattern); match !== null; match = specPattern.exec(pattern)) {
    const [whole, flags, width, precision, length, conversion] = match;
    result += pattern.slice(at, match.index);
    at = specPattern.lastIndex;
    const starWidth = width === "*" ? Number(next(whole)) : undefined;
    const spec: Spec = {
      left: flags.includes("-") || (starWidth !== undefined && starWidth < 0),
      plus: flags.includes("+"),
      space: flags.includes(" "),
      alternate: flags.includes("#"),
      zero: flags.includes("0"),
      width: starWidth !== undefined ? Math.abs(starWidth) : width === undefined ? -1 : Number(width),
      // "%.s" is a precision of 0, and a negative one is none.
      precision: precision === undefined ? -1 : Math.max(-1, precision === "*" ? Number(next(whole)) : Number(precision)),
      length: length ?? "",
      conversion,
    };
    switch (conversion) {
      case "%": result += "%"; break;
      case "d": case "i": result += number(spec, integer(spec, next(whole), true), 10, kernel); break;
      case "u": result += number(spec, integer(spec, next(whole), false), 10, kernel); break;
      case "x": case "X": result += number(spec, integer(spec, next(whole), false), 16, kernel); break;
      case "o": result += number(spec, integer(spec, next(whole), false), 8, kernel); break;
      case "c": result += character(spec, next(whole)); break;
      case "s": result += text(spec, next(whole)); break;
      case "p":
        if (kernel) {
          pointerExtension.lastIndex = at;
          const extension = pointerExtension.exec(pattern)![0];
          at = specPattern.lastIndex = at + extension.length;
          result += pointer(spec, next(whole), extension, key);
        } else {
          const value = next(whole);
          result += pad(spec, value === null || value == 0 ? "(nil)" : `0x${BigInt.asUintN(64, BigInt(value as number | bigint)).toString(16)}`);
        }
        break;
      case "f": case "F":
        if (kernel) throw new Error(`printf: the kernel has no ${whole}`);
        result += real(spec, next(whole));
        break;
      default: throw new Error(`printf: ${whole} is not supported`);
    }
  }
  return result + pattern.slice(at);
}

const noKey: PointerKey = { k0: 0, k1: 0 };

/** The kernel's sprintf, as printk and seq_printf use it; `key` hashes the addresses of %p. Throws when arguments are missing or of the wrong kind. */
export const kprintf = (pattern: string, args: readonly PrintfArgument[], key: PointerKey = noKey): string => format(pattern, args, true, key);

/** The C library's sprintf, for user programs. Throws when arguments are missing or of the wrong kind. */
export const sprintf = (pattern: string, ...args: PrintfArgument[]): string => format(pattern, args, false, noKey);
