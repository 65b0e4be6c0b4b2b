/** Module parameters: the text given to insmod, or written to sysfs, becomes values (kernel/params.c). */
import { EINVAL, ENOENT, ENOSPC } from "../abi/errno.ts";
import { kstrtobool, kstrtoint, kstrtoll, kstrtos16, kstrtou16, kstrtou8, kstrtouint, kstrtoull } from "../lib/kstrto.ts";
import type { ParamOps, ParamSpec, ParamValue, ScalarParamType } from "./definition.ts";

/** A line for the kernel log: level and text. */
export interface ParamMessage {
  level: number;
  text: string;
}

const ERR = 3;
const WARNING = 4;
/** The longest charp, without its NUL. */
const CHARP_MAX = 1024;

type Scalar = number | bigint | boolean | string | null;
type Outcome = { value: ParamValue } | { errno: number };

const invalid = { errno: -EINVAL };

/** A bigint as a number where that is exact. */
function narrowed(parsed: { value: bigint } | { errno: number }): { value: number | bigint } | { errno: number } {
  if ("errno" in parsed) return parsed;
  const number = Number(parsed.value);
  return Number.isSafeInteger(number) ? { value: number } : parsed;
}

function parseScalar(name: string, type: ScalarParamType, text: string | null, messages: ParamMessage[]): { value: Scalar } | { errno: number } {
  if (type === "bool") return kstrtobool(text ?? "1");
  if (text === null) return invalid;
  switch (type) {
    case "byte": return kstrtou8(text, 0);
    case "short": return kstrtos16(text, 0);
    case "ushort": return kstrtou16(text, 0);
    case "int": return kstrtoint(text, 0);
    case "uint": case "hexint": return kstrtouint(text, 0);
    case "long": return narrowed(kstrtoll(text, 0));
    case "ulong": case "ullong": return narrowed(kstrtoull(text, 0));
    case "invbool": {
      const parsed = kstrtobool(text);
      return "errno" in parsed ? parsed : { value: !parsed.value };
    }
    case "charp":
      if (text.length <= CHARP_MAX) return { value: text };
      messages.push({ level: ERR, text: `${name}: string parameter too long` });
      return { errno: -ENOSPC };
  }
}

function formatScalar(type: ScalarParamType, value: Scalar): string {
  if (type === "bool") return value === true ? "Y" : "N";
  if (type === "invbool") return value === true ? "N" : "Y";
  if (type === "hexint") return `0x${Number(value).toString(16).padStart(6, "0")}`;
  return value === null ? "(null)" : String(value);
}

/** What setting a parameter came to. `shown` is the value as an error message quotes it. */
interface Setting {
  outcome: Outcome;
  shown: string;
}

/** Elements are stored as they are read: those before a bad one stay, as in the kernel. */
function setArray(spec: ParamSpec, array: { max: number; counted: boolean }, text: string, old: ParamValue, messages: ParamMessage[]): Setting {
  const elements = text.split(",");
  const shown = elements[0];
  const values: (number | bigint)[] = [];
  const kept = (): ParamValue => {
    if (array.counted || !Array.isArray(old)) return values;
    return [...values, ...old.slice(values.length)];
  };
  for (const element of elements) {
    if (values.length >= array.max) {
      messages.push({ level: ERR, text: `${spec.name}: can only take ${array.max} arguments` });
      return { outcome: { ...invalid, value: kept() }, shown };
    }
    const parsed = parseScalar(spec.name, spec.type as ScalarParamType, element, messages);
    if ("errno" in parsed) return { outcome: { errno: parsed.errno, value: kept() }, shown };
    values.push(parsed.value as number | bigint);
  }
  return { outcome: { value: kept() }, shown };
}

function setOne(spec: ParamSpec, text: string | null, old: ParamValue, messages: ParamMessage[]): Setting {
  const shown = text ?? "";
  // As Linux: a name without `=` is for bool and for callbacks that say so.
  if (text === null && !(spec.type === "bool" && spec.array === undefined) && spec.ops?.noArg !== true) return { outcome: invalid, shown };
  if (spec.type === "custom") return { outcome: (spec.ops as ParamOps).set(text), shown };
  if (spec.array !== undefined) return setArray(spec, spec.array, shown, old, messages);
  if (spec.type === "string") {
    const size = spec.size ?? 0;
    if (shown.length + 1 <= size) return { outcome: { value: shown }, shown };
    messages.push({ level: ERR, text: `${spec.name}: string doesn't fit in ${size - 1} chars.` });
    return { outcome: { errno: -ENOSPC }, shown };
  }
  return { outcome: parseScalar(spec.name, spec.type, text, messages), shown };
}

/**
 * Sets one parameter of `values` from text, null for a name without `=`. 0 or -EINVAL, -ERANGE, -ENOSPC or what a callback answers;
 * the lines that the kernel logs about it are added to `messages`.
 */
export function setParam(spec: ParamSpec, values: { [name: string]: ParamValue }, text: string | null, messages: ParamMessage[]): number {
  return store(spec, values, setOne(spec, text, values[spec.name], messages).outcome);
}

function store(spec: ParamSpec, values: { [name: string]: ParamValue }, outcome: Outcome): number {
  if ("value" in outcome) values[spec.name] = outcome.value;
  return "errno" in outcome ? outcome.errno : 0;
}

/** The text of a parameter as its file in sysfs shows it, newline included. */
export function paramText(spec: ParamSpec, value: ParamValue): string {
  if (spec.type === "custom") return `${(spec.ops as ParamOps).get(value)}\n`;
  if (spec.type === "string") return `${String(value)}\n`;
  const type = spec.type;
  if (Array.isArray(value)) return `${value.map((element) => formatScalar(type, element)).join(",")}\n`;
  return `${formatScalar(type, value)}\n`;
}

/** The values of a module before its parameters are read. */
export function defaultParams(specs: readonly ParamSpec[]): { [name: string]: ParamValue } {
  const values: { [name: string]: ParamValue } = {};
  for (const spec of specs) values[spec.name] = Array.isArray(spec.default) ? [...spec.default] : spec.default;
  return values;
}

const isSpace = (char: string): boolean => " \t\n\v\f\r\u00a0".includes(char);

/** The first argument of `text`, which starts with no space: name, value (null without `=`), and what follows it. */
function nextArgument(text: string): { param: string; value: string | null; rest: string } {
  const quoted = text[0] === '"';
  const args = quoted ? text.slice(1) : text;
  let inQuote = quoted;
  let equals = 0;
  let end = 0;
  for (; end < args.length; end++) {
    const char = args[end];
    if (isSpace(char) && !inQuote) break;
    if (equals === 0 && char === "=") equals = end;
    if (char === '"') inQuote = !inQuote;
  }
  const rest = skipSpaces(args.slice(end + 1));
  let word = args.slice(0, end);
  const endsInQuote = word.endsWith('"');
  if (equals === 0) return { param: quoted && endsInQuote ? word.slice(0, -1) : word, value: null, rest };
  if (word[equals + 1] === '"') {
    if (endsInQuote) word = word.slice(0, -1);
    return { param: word.slice(0, equals), value: word.slice(equals + 2), rest };
  }
  if (quoted && endsInQuote) word = word.slice(0, -1);
  return { param: word.slice(0, equals), value: word.slice(equals + 1), rest };
}

function skipSpaces(text: string): string {
  let at = 0;
  while (at < text.length && isSpace(text[at])) at++;
  return text.slice(at);
}

const underscored = (name: string): string => name.replaceAll("-", "_");

/** What reading all parameters of a module came to. */
export interface ParsedParams {
  /** 0, or the errno of the last bad one. */
  errno: number;
  values: { [name: string]: ParamValue };
  messages: ParamMessage[];
}

/**
 * Reads the parameter text of module `name`. An unknown parameter is told of and ignored; after a bad one the rest is still
 * read, as parse_args does. Names match with `-` and `_` the same.
 */
export function parseParams(name: string, specs: readonly ParamSpec[], text: string): ParsedParams {
  const values = defaultParams(specs);
  const messages: ParamMessage[] = [];
  let errno = 0;
  const nul = text.indexOf("\0");
  let rest = skipSpaces(nul < 0 ? text : text.slice(0, nul));
  while (rest !== "") {
    const argument = nextArgument(rest);
    rest = argument.rest;
    const { param, value } = argument;
    if (value === null && param === "--") {
      if (errno === 0) messages.push({ level: WARNING, text: `${name}: parameters '${rest}' after \`--' ignored` });
      break;
    }
    const spec = specs.find((one) => underscored(one.name) === underscored(param));
    if (spec === undefined) {
      // As ddebug_dyndbg_module_param_cb: a name is cut at its first dot, and dyndbg belongs to dynamic debug.
      const dot = param.indexOf(".");
      const own = dot < 0 ? param : param.slice(dot + 1);
      if (own !== "dyndbg" && param !== "async_probe") {
        messages.push({ level: WARNING, text: `${name}: unknown parameter '${dot < 0 ? param : param.slice(0, dot)}' ignored` });
      }
      continue;
    }
    const { outcome, shown } = setOne(spec, value, values[spec.name], messages);
    const failed = store(spec, values, outcome);
    if (failed === 0) continue;
    errno = failed;
    const text = failed === -ENOENT ? `${name}: Unknown parameter \`${param}'`
      : failed === -ENOSPC ? `${name}: \`${shown}' too large for parameter \`${param}'`
      : `${name}: \`${shown}' invalid for parameter \`${param}'`;
    messages.push({ level: ERR, text });
  }
  return { errno, values, messages };
}
