/** The types of system-call arguments: how each is read from JSON, placed for the call, handed to it, and shown. */
import { formatChoice, formatFlags, parseChoice, parseFlags, type ChoiceTable, type FlagTable } from "../abi/flags.ts";
import { formatMode, parseMode } from "../abi/stat.ts";
import { signalName, signalNumber } from "../abi/signal.ts";
import { AT_FDCWD } from "../abi/fcntl.ts";
import { fget } from "../fs/fd_table.ts";
import type { Json } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { BUFFER_LIMIT, RAW_BUFFER_LIMIT, bytesToJson, isObject, readBytes, readInteger, readReference, type Reference } from "./json.ts";
import { hex, showBytes, showString, unsigned } from "./strace.ts";

export { hex, unsigned } from "./strace.ts";
import { padded, type Codec } from "./codec.ts";

/** Bytes to lay in the scratch area, with the places in them that point to further blocks. */
export interface Block {
  bytes: Uint8Array;
  pointers?: { at: number; to: Block | number | bigint }[];
}

/** A decoded argument, plain data: a register value, a block of bytes, room for `room` bytes to be filled, or a reference. */
export type Placed = number | bigint | Block | { room: number } | Reference;

/** What a decoder sees of the whole call. */
export interface DecodeContext {
  given: { [name: string]: Json };
  /** An argument that was decoded before this one. */
  placed(name: string): Placed | undefined;
  problem(message: string): void;
  /** The answer's bytes travel as they are: room for more than JSON carries. */
  raw: boolean;
}

/** What showing and output see: the registers and the scratch memory after the call. */
export interface CallView {
  k: Kernel;
  task: Task;
  ret: number | bigint;
  regs: (number | bigint)[];
  /** Bytes of user memory, as far as readable, at most `length`; scratch first. */
  read(addr: number | bigint, length: number): Uint8Array;
  /** The register of another argument. */
  reg(name: string): number | bigint;
  /** The same call as if it had answered `ret`. */
  returning(ret: number | bigint): CallView;
}

export interface ArgType {
  name: string;
  /** The answer's field when it is not `name` (read's iov). */
  outputName?: string;
  /** For the catalogue and the contract: int, fd, path, bytes, out-bytes, flags, struct … */
  kind: string;
  /** Names for flags and choices; fields for structures; the size argument of a buffer. */
  names?: string[];
  codec?: Codec;
  sizedBy?: string;
  optional: boolean;
  /** The register is a pointer. */
  pointer: boolean;
  decode(value: Json | undefined, context: DecodeContext): Placed;
  /** From the 64-bit register to what the function gets. */
  take(register: number | bigint, k: Kernel, task: Task): unknown;
  show(register: number | bigint, view: CallView): string;
  /** strace leaves the argument out of this call: openat's mode without O_CREAT. */
  hidden?(view: CallView): boolean;
  /** The answer's field under this argument's name; undefined when there is none. */
  output?(register: number | bigint, view: CallView): Json | undefined;
  /** Further fields of the answer, such as the parts of a status word. */
  also?(register: number | bigint, view: CallView): { [field: string]: Json } | undefined;
}

export function int32(register: number | bigint): number {
  return typeof register === "bigint" ? Number(BigInt.asIntN(32, register)) : register | 0;
}

export function uint32(register: number | bigint): number {
  return typeof register === "bigint" ? Number(BigInt.asUintN(32, register)) : register >>> 0;
}

/** A register as a signed 64-bit quantity: a number when safe. */
export function signed(register: number | bigint): number | bigint {
  if (typeof register === "number") return register;
  const value = BigInt.asIntN(64, register);
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** An address as strace shows it. */
export function showAddress(register: number | bigint): string {
  return register === 0 ? "NULL" : hex(register);
}

function readRegister(value: Json | undefined, fallback: number, context: DecodeContext, what: string): Placed {
  if (value === undefined) return fallback;
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  const register = readInteger(value) ?? readReference(value);
  if (register === undefined) {
    context.problem(`takes ${what}`);
    return 0;
  }
  return register;
}

function scalar(
  name: string, kind: string, what: string, take: ArgType["take"], show: ArgType["show"], fallback = 0,
): ArgType {
  return {
    name, kind, optional: true, pointer: false,
    decode: (value, context) => readRegister(value, fallback, context, what),
    take, show,
  };
}

const showInt = (register: number | bigint): string => String(int32(register));

export function int(name: string, fallback = 0): ArgType {
  return scalar(name, "int", "an integer", int32, showInt, fallback);
}

export function uint(name: string): ArgType {
  return scalar(name, "uint", "an integer", uint32, (register) => String(uint32(register)));
}

/** unsigned long: also an address. */
export function ulong(name: string): ArgType {
  return scalar(name, "ulong", "an integer or an address", unsigned, hex);
}

export function long(name: string): ArgType {
  return scalar(name, "long", "an integer", signed, (register) => String(signed(register)));
}

export function off(name: string): ArgType {
  return scalar(name, "off", "an integer", signed, (register) => String(signed(register)));
}

/** A count of bytes; left out next to a buffer, it is the bytes given. Arrives unsigned: 2^64-1 for -1. */
export function size(name: string, of?: string): ArgType {
  return {
    ...scalar(name, "size", "a count of bytes", unsigned, (register) => String(unsigned(register))),
    ...(of === undefined ? {} : { sizedBy: of }),
    decode(value, context) {
      const buffer = of === undefined ? undefined : context.placed(of);
      const bytes = typeof buffer === "object" && "bytes" in buffer ? buffer.bytes : undefined;
      if (value === undefined) return bytes?.length ?? 0;
      const count = readRegister(value, 0, context, "a count of bytes");
      if (bytes !== undefined && typeof count === "number" && count > bytes.length) {
        context.problem(`is above the ${bytes.length} bytes given`);
      }
      return count;
    },
  };
}

/** A plain address: a number, "0x…" or `{ addr }`. */
export function addr(name: string): ArgType {
  return {
    ...scalar(name, "address", "an address", unsigned, showAddress),
    decode: (value, context) =>
      value === null ? 0 : readRegister(isObject(value) && "addr" in value ? value.addr : value, 0, context, "an address"),
  };
}

/** A file descriptor: arrives as its open file, or -EBADF for the function to judge in Linux's order. */
export function fd(name: string, fallback = 0): ArgType {
  return scalar(name, "fd", "a file descriptor", (register, k, task) => fget(k, task, int32(register)), showInt, fallback);
}

/** A descriptor's number, for calls that work on the table itself (close, dup). */
export function fdNumber(name: string, fallback = 0): ArgType {
  return scalar(name, "fd", "a file descriptor", int32, showInt, fallback);
}

/** The directory that a relative path starts at; arrives as its number, AT_FDCWD when left out. */
export function dirfd(name: string): ArgType {
  return {
    ...scalar(name, "dirfd", "a file descriptor or AT_FDCWD", int32,
      (register) => (int32(register) === AT_FDCWD ? "AT_FDCWD" : showInt(register))),
    decode: (value, context) =>
      value === "AT_FDCWD" ? AT_FDCWD : readRegister(value, AT_FDCWD, context, "a file descriptor or AT_FDCWD"),
  };
}

/** Flags by name or number; `wide` ones keep 64 bits. */
export function flags(name: string, table: FlagTable, { wide = false, fallback = 0 }: { wide?: boolean; fallback?: number } = {}): ArgType {
  return {
    ...scalar(name, "flags", "flag names or a number", wide ? unsigned : int32,
      (register) => formatFlags(table, wide ? Number(unsigned(register)) : uint32(register)), fallback),
    names: [...Object.keys(table.choices?.values ?? {}), ...Object.keys(table.flags)],
    decode(value, context) {
      if (typeof value !== "string") return readRegister(value, fallback, context, "flag names or a number");
      const number = parseFlags(table, value);
      if (number === undefined) context.problem(`has an unknown name in ${JSON.stringify(value.slice(0, 80))}`);
      return number ?? 0;
    },
  };
}

/** One of several names, or its number. */
export function choice(name: string, table: ChoiceTable, fallback = 0): ArgType {
  return {
    ...scalar(name, "choice", "a name or a number", int32, (register) => formatChoice(table, int32(register)), fallback),
    names: Object.keys(table.values),
    decode(value, context) {
      if (typeof value !== "string") return readRegister(value, fallback, context, "a name or a number");
      const number = parseChoice(table, value);
      if (number === undefined) context.problem(`has no such name: ${JSON.stringify(value.slice(0, 80))}`);
      return number ?? 0;
    },
  };
}

/** A mode: "0644", "S_IFCHR|0666" or a number. */
export function mode(name: string): ArgType {
  return {
    ...scalar(name, "mode", "a mode", uint32, (register) => formatMode(uint32(register))),
    decode(value, context) {
      if (typeof value !== "string") return readRegister(value, 0, context, "a mode");
      const number = parseMode(value);
      if (number === undefined) context.problem("takes a mode such as \"0644\" or \"S_IFCHR|0666\"");
      return number ?? 0;
    },
  };
}

/** An argument that strace shows only where the call looks at it. */
export function shownIf(arg: ArgType, looked: (view: CallView) => boolean): ArgType {
  return { ...arg, hidden: (view) => !looked(view) };
}

export function signal(name: string): ArgType {
  return {
    ...scalar(name, "signal", "a signal's name or number", int32, (register) => signalName(int32(register))),
    decode(value, context) {
      if (typeof value !== "string") return readRegister(value, 0, context, "a signal's name or number");
      const number = signalNumber(value);
      if (number === undefined) context.problem(`has no such signal: ${JSON.stringify(value.slice(0, 80))}`);
      return number ?? 0;
    },
  };
}

/** A pointer given as one: null, a JSON number, `{ addr }` or a reference; undefined when the value is none of these. */
export function readPointer(value: Json | undefined): Placed | undefined {
  if (value === null) return 0;
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : undefined;
  if (isObject(value) && "addr" in value) return value.addr === null ? 0 : (readInteger(value.addr) ?? readReference(value.addr));
  return readReference(value);
}

/**
 * A pointer, or bytes to lie behind one, filled up with zeros to `size`: any structure may be given so. Undefined when the value
 * is neither; malformed bytes are told as a problem.
 */
export function readPointed(value: Json | undefined, context: DecodeContext, size = 0): Placed | undefined {
  const placed = readPointer(value);
  if (placed !== undefined) return placed;
  const bytes = readBytes(value);
  if (typeof bytes === "string") context.problem(bytes);
  return typeof bytes === "string" ? 0 : bytes && { bytes: padded(bytes, size) };
}

function pointer(name: string, kind: string, rest: Partial<ArgType> & Pick<ArgType, "decode" | "show">): ArgType {
  return { name, kind, optional: true, pointer: true, take: unsigned, ...rest };
}

/** A NUL-terminated string such as a path; arrives as its address. */
export function path(name: string): ArgType {
  return pointer(name, "path", {
    decode(value, context) {
      if (value === undefined) return 0;
      const placed = readPointer(value);
      if (placed !== undefined) return placed;
      const bytes = readBytes(value);
      if (bytes === undefined || typeof bytes === "string") {
        context.problem(bytes ?? "takes a string or a pointer");
        return 0;
      }
      const terminated = new Uint8Array(bytes.length + 1);
      terminated.set(bytes);
      return { bytes: terminated };
    },
    show: (register, view) => (register === 0 ? "NULL" : showString(view.read(register, 4096), register)),
  });
}

/** Bytes that the call reads; arrives as their address. `sizedBy` names the argument that counts them. */
export function inBuffer(name: string, sizedBy: string): ArgType {
  return pointer(name, "bytes", {
    sizedBy,
    decode(value, context) {
      if (value === undefined) return 0;
      const placed = readPointer(value);
      if (placed !== undefined) return placed;
      const bytes = readBytes(value);
      if (bytes !== undefined && typeof bytes !== "string") return { bytes };
      context.problem(bytes ?? "takes bytes or a pointer");
      return 0;
    },
    show: (register, view) => (register === 0 ? "NULL" : showBytes(view.read(register, 33), view.reg(sizedBy), register)),
  });
}

/** Room that the call fills; left out, its bytes are returned under this name. The call's result counts them. */
export function outBuffer(name: string, sizedBy: string): ArgType {
  const filled = (view: CallView): number => {
    if (typeof view.ret !== "number" || view.ret <= 0) return 0;
    // A receive with MSG_TRUNC answers more than it wrote.
    const room = view.reg(sizedBy);
    return room >= 0 && room < view.ret ? Number(room) : view.ret;
  };
  return pointer(name, "out-bytes", {
    sizedBy,
    decode(value, context) {
      if (value === undefined) {
        const room = readInteger(context.given[sizedBy] ?? 0);
        const limit = context.raw ? RAW_BUFFER_LIMIT : BUFFER_LIMIT;
        return { room: room === undefined ? limit : Number(room < 0 || room > limit ? limit : room) };
      }
      const placed = readPointer(value);
      if (placed !== undefined) return placed;
      context.problem("takes a pointer; leave it out to have the bytes returned");
      return 0;
    },
    show(register, view) {
      if (register === 0) return "NULL";
      return filled(view) > 0 ? showBytes(view.read(register, 33), view.ret, register) : (view.ret === 0 ? "\"\"" : hex(register));
    },
    output(register, view) {
      if (view.ret < 0 || register === 0) return undefined;
      // What was read into the caller's own memory may be more than JSON carries.
      const { scratch } = view.task;
      const own = scratch === null || register < scratch.base || register >= scratch.base + scratch.bytes.length;
      return bytesToJson(view.read(register, own ? Math.min(filled(view), BUFFER_LIMIT) : filled(view)));
    },
  });
}

/** A structure that the call reads; null or left out is NULL. */
export function structIn(name: string, codec: Codec): ArgType {
  return pointer(name, "struct", { codec, decode: decodeStructure(codec, "in"), show: showStructure(codec) });
}

/** A structure that the call writes; left out, it is returned under this name when the call succeeds. */
export function structOut(name: string, codec: Codec): ArgType {
  return pointer(name, "out-struct", {
    codec, decode: decodeStructure(codec, "out"), show: showStructure(codec, true), output: outputStructure(codec),
  });
}

/** A structure that the call reads and writes. */
export function structInOut(name: string, codec: Codec): ArgType {
  return pointer(name, "inout-struct", {
    codec, decode: decodeStructure(codec, "inout"), show: showStructure(codec), output: outputStructure(codec),
  });
}

function decodeStructure(codec: Codec, way: "in" | "out" | "inout"): ArgType["decode"] {
  return (value, context) => {
    if (value === undefined) return way === "out" ? { room: codec.room(context) } : 0;
    const placed = readPointer(value);
    if (placed !== undefined) return placed;
    if (way === "out") {
      context.problem("takes a pointer; leave it out to have the structure returned");
      return 0;
    }
    const problems: string[] = [];
    const bytes = codec.encode(value, (message) => problems.push(message));
    for (const message of problems) context.problem(message);
    return problems.length > 0 ? 0 : { bytes };
  };
}

function showStructure(codec: Codec, written = false): ArgType["show"] {
  return (register, view) => {
    if (register === 0) return "NULL";
    if (written && typeof view.ret === "number" && view.ret < 0) return hex(register);
    const bytes = view.read(register, codec.length(view));
    return bytes.length < codec.length(view) ? hex(register) : codec.show(bytes, view);
  };
}

function outputStructure(codec: Codec): NonNullable<ArgType["output"]> {
  return (register, view) => {
    if (typeof view.ret === "number" && view.ret < 0) return undefined;
    const length = codec.length(view);
    const bytes = view.read(register, length);
    return bytes.length < length ? undefined : codec.decode(bytes, view);
  };
}

