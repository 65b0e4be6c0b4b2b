/** Names of flags and choices: how a number is read from and written as text, spelled as strace 6.1 does. */

/** A set of flags that may be joined with `|`. */
export interface FlagTable {
  /** What an unknown value belongs to: strace notes `O_???` in a comment after it. */
  readonly prefix: string;
  /** The note, where strace does not write the prefix and `???`. */
  readonly unknown?: string;
  /** A part of the value that holds one of several numbers, such as the access mode of open(2). */
  readonly choices?: {
    readonly mask: number;
    readonly values: Readonly<Record<string, number>>;
    /** Written after the flags, and left out when zero, as the exit signal of clone(2). */
    readonly last?: boolean;
    /** An unknown one is written as a plain decimal. */
    readonly decimal?: boolean;
  };
  /** Single flags in the order in which they are written; names of several bits stand before their parts; a name for 0 is written when nothing is set. */
  readonly flags: Readonly<Record<string, number>>;
  /** Names that are understood but never written, such as O_NDELAY. */
  readonly aliases?: Readonly<Record<string, number>>;
  /** A small number kept in high bits, written as `21<<MAP_HUGE_SHIFT`. */
  readonly shifted?: { readonly name: string; readonly shift: number; readonly mask: number };
  /** Permission bits that are written last and always, in octal: `IPC_CREAT|0600`. */
  readonly permissions?: number;
}

/** A value that is exactly one of several names. */
export interface ChoiceTable {
  readonly prefix: string;
  readonly unknown?: string;
  /** An unknown value is written as a plain decimal. */
  readonly decimal?: boolean;
  readonly values: Readonly<Record<string, number>>;
  readonly aliases?: Readonly<Record<string, number>>;
}

const TWO_32 = 0x1_0000_0000;

/** Are all bits of `flag` set in `value`? Both are from 0 to 2^53-1. */
function hasAll(value: number, flag: number): boolean {
  if (flag < TWO_32) return ((value & flag) >>> 0) === flag;
  const flagHigh = Math.floor(flag / TWO_32);
  return (Math.floor(value / TWO_32) & flagHigh) === flagHigh && hasAll(value % TWO_32, flag % TWO_32);
}

/** All bits that are set in one or the other. */
function union(a: number, b: number): number {
  if (a < TWO_32 && b < TWO_32) return (a | b) >>> 0;
  return union(Math.floor(a / TWO_32), Math.floor(b / TWO_32)) * TWO_32 + ((a | b) >>> 0);
}

/** A number as C writes it: decimal, 0x hexadecimal or 0 octal; undefined if `text` is not one that is safe. */
export function parseNumber(text: string): number | undefined {
  let value: number;
  if (/^-?[0-9]+$/.test(text)) {
    const digits = text.startsWith("-") ? text.slice(1) : text;
    if (digits.length > 1 && digits.startsWith("0")) {
      if (/[89]/.test(digits)) return undefined;
      value = Number.parseInt(digits, 8);
    } else value = Number(digits);
    if (text.startsWith("-") && value !== 0) value = -value;
  } else if (/^0[xX][0-9a-fA-F]+$/.test(text)) value = Number(text);
  else return undefined;
  return Number.isSafeInteger(value) ? value : undefined;
}

function own(values: Readonly<Record<string, number>> | undefined, name: string): number | undefined {
  return values !== undefined && Object.hasOwn(values, name) ? values[name] : undefined;
}

function parseOne(table: FlagTable, part: string): number | undefined {
  const named = own(table.flags, part) ?? own(table.choices?.values, part) ?? own(table.aliases, part);
  if (named !== undefined) return named;
  if (table.shifted !== undefined && part.endsWith(`<<${table.shifted.name}`)) {
    const count = parseNumber(part.slice(0, part.indexOf("<<")));
    return count === undefined || count < 0 || count > table.shifted.mask ? undefined : (count << table.shifted.shift) >>> 0;
  }
  const number = parseNumber(part);
  return number !== undefined && number < 0 ? number >>> 0 : number;
}

/** The value of names and numbers joined by `|`, spaces allowed; undefined if one of them is unknown. */
export function parseFlags(table: FlagTable, text: string): number | undefined {
  let value = 0;
  for (const part of stripComment(text).split("|")) {
    const one = parseOne(table, part.trim());
    if (one === undefined) return undefined;
    value = union(value, one);
  }
  return value;
}

/** The value of one name or number; undefined if unknown. */
export function parseChoice(table: ChoiceTable, text: string): number | undefined {
  const name = stripComment(text).trim();
  return own(table.values, name) ?? own(table.aliases, name) ?? parseNumber(name);
}

/** strace notes unknown values in a comment, which we accept back. */
function stripComment(text: string): string {
  return text.includes("/*") ? text.replace(/\/\*[^*]*\*\//g, "") : text;
}

function nameOf(values: Readonly<Record<string, number>>, value: number): string | undefined {
  for (const name in values) if (values[name] === value) return name;
  return undefined;
}

/** A permission argument as strace writes it: three octal digits at least, `0644`, `000`, `04755`. */
export function formatPermissions(mode: number): string {
  const digits = (mode >>> 0).toString(8);
  return digits.length >= 3 ? `0${digits}` : digits.padStart(3, "0");
}

function unknownValue(table: { prefix: string; unknown?: string }, value: number): string {
  const number = value === 0 ? "0" : `0x${(value < 0 ? value >>> 0 : value).toString(16)}`;
  return `${number} /* ${table.unknown ?? `${table.prefix}???`} */`;
}

/** `value` as strace writes it: `O_RDWR|O_CREAT`, unknown bits in hexadecimal, `0` for nothing. A negative value is its 32 bits. */
export function formatFlags(table: FlagTable, value: number): string {
  const { choices, shifted, permissions } = table;
  let rest = value < 0 ? value >>> 0 : value;
  const parts: string[] = [];
  const last: string[] = [];
  if (choices !== undefined) {
    const bits = (rest & choices.mask) >>> 0;
    rest -= bits;
    const name = nameOf(choices.values, bits);
    if (name !== undefined && !(choices.last && bits === 0)) (choices.last ? last : parts).push(name);
    else if (bits !== 0) (choices.last ? last : parts).push(choices.decimal ? String(bits) : unknownValue(table, bits));
  }
  if (shifted !== undefined) {
    const count = (rest >>> shifted.shift) & shifted.mask;
    rest -= (count << shifted.shift) >>> 0;
    if (count !== 0) last.push(`${count}<<${shifted.name}`);
  }
  if (permissions !== undefined) {
    last.push(formatPermissions(rest & permissions));
    rest -= rest & permissions;
  }
  for (const name in table.flags) {
    if (rest === 0) break;
    const flag = table.flags[name];
    if (flag === 0 || !hasAll(rest, flag)) continue;
    rest -= flag;
    parts.push(name);
  }
  if (rest !== 0) parts.push(parts.length + last.length === 0 ? unknownValue(table, rest) : `0x${rest.toString(16)}`);
  if (parts.length + last.length === 0) return nameOf(table.flags, 0) ?? "0";
  return last.length === 0 ? parts.join("|") : [...parts, ...last].join("|");
}

/** `value` as strace writes one of several: its name, or the number with its family in a comment. */
export function formatChoice(table: ChoiceTable, value: number): string {
  return nameOf(table.values, value) ?? (table.decimal ? String(value) : unknownValue(table, value));
}
