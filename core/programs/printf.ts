/** printf(1): a format that is used again as long as there are arguments. */
import { toFixed } from "../lib/decimal.ts";
import { unescape } from "./tools/echo.ts";

const SPEC = /^%([-+ #0]*)(\*|[0-9]+)?(?:\.(\*|[0-9]+)?)?([diouxXcsbeEfFgG%])/;
const LENGTH_MAX = 1 << 20;

export interface Printed {
  text: string;
  /** Complaints, without the tool's name. */
  problems: string[];
}

/** What `printf format args…` prints. */
export function printf(format: string, args: readonly string[]): Printed {
  const printed: Printed = { text: "", problems: [] };
  const left = [...args];
  do {
    const before = left.length;
    const stop = once(format, left, printed);
    if (stop || left.length === before) break;
  } while (left.length > 0 && printed.text.length < LENGTH_MAX);
  return printed;
}

function once(format: string, args: string[], printed: Printed): boolean {
  for (let at = 0; at < format.length; ) {
    if (format[at] === "\\") {
      const escaped = /^\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.|$)/s.exec(format.slice(at))?.[0] ?? "\\";
      const { text, stop } = unescape(escaped === "\\\"" ? "\"" : escaped, "any");
      printed.text += text;
      if (stop) return true;
      at += escaped.length;
      continue;
    }
    const match = format[at] === "%" ? SPEC.exec(format.slice(at)) : null;
    if (match === null) {
      printed.text += format[at++];
      continue;
    }
    at += match[0].length;
    const [, flags, width, precision, conversion] = match;
    if (conversion === "%") {
      printed.text += "%";
      continue;
    }
    const wide = width === "*" ? Number(args.shift() ?? 0) : Number(width ?? 0);
    const exact = match[0].includes(".") ? (precision === "*" ? Number(args.shift() ?? 0) : Number(precision ?? 0)) : -1;
    const stop = conversion === "b" ? unescape(args[0] ?? "", "0") : null;
    const body = convert(conversion, flags, exact, args.shift(), printed);
    printed.text += pad(stop === null ? body : cut(stop.text, exact), flags, Math.min(Math.abs(wide), LENGTH_MAX), wide < 0, conversion);
    if (stop?.stop === true) return true;
  }
  return false;
}

const cut = (text: string, precision: number): string => (precision >= 0 ? text.slice(0, precision) : text);

function convert(conversion: string, flags: string, precision: number, arg: string | undefined, printed: Printed): string {
  const value = arg ?? "";
  if (conversion === "s" || conversion === "b") return cut(value, precision);
  if (conversion === "c") return value.slice(0, 1);
  if ("eEfFgG".includes(conversion)) return real(conversion, value, precision, flags, printed);
  const whole = integer(arg === undefined ? "0" : value, printed);
  const negative = whole < 0n && (conversion === "d" || conversion === "i");
  const magnitude = negative ? -whole : BigInt.asUintN(64, whole);
  let digits = conversion === "o" ? magnitude.toString(8) : conversion.toLowerCase() === "x" ? magnitude.toString(16) : magnitude.toString();
  if (precision >= 0) digits = digits.padStart(Math.min(precision, 4096), "0");
  if (flags.includes("#") && magnitude !== 0n) digits = (conversion === "o" ? "0" : conversion.toLowerCase() === "x" ? "0x" : "") + digits;
  if (conversion === "X") digits = digits.toUpperCase();
  const sign = negative ? "-" : "di".includes(conversion) && flags.includes("+") ? "+" : "di".includes(conversion) && flags.includes(" ") ? " " : "";
  return sign + digits;
}

function integer(text: string, printed: Printed): bigint {
  const trimmed = text.trim();
  if (/^["']./s.test(trimmed)) return BigInt(trimmed.charCodeAt(1));
  const match = /^([-+]?)(0[xX][0-9a-fA-F]+|[0-9]+)/.exec(trimmed);
  if (match === null || match[0] !== trimmed) printed.problems.push(`invalid number '${text}'`);
  if (match === null) return 0n;
  const digits = /^0[0-7]+$/.test(match[2]) ? `0o${match[2].slice(1)}` : /^0[0-9]+$/.test(match[2]) ? match[2].replace(/^0+/, "") : match[2];
  return match[1] === "-" ? -BigInt(digits) : BigInt(digits);
}

function real(conversion: string, text: string, precision: number, flags: string, printed: Printed): string {
  const value = Number(text.trim() === "" ? "0" : text);
  if (Number.isNaN(value)) {
    printed.problems.push(`invalid number '${text}'`);
    return toFixed(0, precision < 0 ? 6 : precision);
  }
  const digits = Math.min(precision < 0 ? 6 : precision, 100);
  const sign = value >= 0 && flags.includes("+") ? "+" : "";
  if (conversion === "f" || conversion === "F") return sign + toFixed(value, digits);
  const shown = "eE".includes(conversion) ? value.toExponential(digits) : String(Number(value.toPrecision(Math.max(digits, 1))));
  const exponent = shown.replace(/e([-+])([0-9])$/, "e$10$2");
  return sign + (conversion === "E" || conversion === "G" ? exponent.toUpperCase() : exponent);
}

function pad(text: string, flags: string, width: number, left: boolean, conversion: string): string {
  if (flags.includes("-") || left) return text.padEnd(width);
  if (!flags.includes("0") || "sbc".includes(conversion)) return text.padStart(width);
  const sign = /^[-+ ]/.exec(text)?.[0] ?? "";
  return sign + text.slice(sign.length).padStart(width - sign.length, "0");
}
