/** Arguments that are several buffers, strings or structures: iovec, argv, arrays of structures, socket addresses, messages. */
import { scalarSize } from "../abi/layout.ts";
import { iovecLayout } from "../abi/socket.ts";
import type { Json } from "../input.ts";
import { hex, readPointed, readPointer, showAddress, unsigned, uint32, type ArgType, type Block, type CallView } from "./args.ts";
import { padded, type Codec } from "./codec.ts";
import { BUFFER_LIMIT, RAW_BUFFER_LIMIT, TOO_LARGE, bytesToJson, isObject, readBytes, readInteger } from "./json.ts";
import { quote, showBytes } from "./strace.ts";

/** One buffer of a vector as it lies in user memory. */
export interface Segment {
  base: number | bigint;
  len: number | bigint;
}

const IOVEC = iovecLayout.size;
const SHOWN_SEGMENTS = 16;

function pointer(name: string, kind: string, rest: Partial<ArgType> & Pick<ArgType, "decode" | "show">): ArgType {
  return { name, kind, optional: true, pointer: true, take: unsigned, ...rest };
}

function word(bytes: Uint8Array, at: number): number | bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = view.getBigUint64(at, true);
  return value <= 9007199254740991n ? Number(value) : value;
}

function setWord(bytes: Uint8Array, at: number, value: number | bigint): void {
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
}

/** The segments of a vector in memory, at most 1,024, as far as they can be read. */
export function segmentsAt(register: number | bigint, count: number | bigint, view: CallView): Segment[] {
  const total = Math.min(Number(unsigned(count)), 1024);
  const bytes = view.read(register, total * IOVEC);
  return Array.from({ length: Math.floor(bytes.length / IOVEC) }, (_, at) => ({
    base: word(bytes, at * IOVEC), len: word(bytes, at * IOVEC + 8),
  }));
}


/** Reads `[bytes, …]` or `[{ iov_len }, …]`, whose bases may be given as pointers, or the whole array as bytes. */
export function readVector(value: Json | undefined, problem: (message: string) => void): Block | undefined {
  if (!Array.isArray(value)) {
    const bytes = readBytes(value);
    if (typeof bytes === "string") return problem(bytes) ?? { bytes: new Uint8Array(0) };
    return bytes && { bytes };
  }
  let room = RAW_BUFFER_LIMIT;
  const block: Block = { bytes: new Uint8Array(value.length * IOVEC), pointers: [] };
  value.forEach((item, at) => {
    let to: Block | number | bigint = 0;
    let len: number | bigint = 0;
    if (isObject(item) && "iov_len" in item) {
      const length = readInteger(item.iov_len);
      if (length === undefined) return problem(`[${at}].iov_len takes an integer`);
      len = length;
      const base = "iov_base" in item ? readPointer(item.iov_base) : undefined;
      const most = Math.min(room, BUFFER_LIMIT);
      if (typeof base === "number" || typeof base === "bigint") to = base;
      else if ("iov_base" in item) return problem(`[${at}].iov_base takes a pointer; bytes stand for the whole element`);
      else to = { bytes: new Uint8Array(Number(length < 0 || length > most ? most : length)) };
    } else {
      const bytes = readBytes(item);
      if (bytes === TOO_LARGE) return problem(TOO_LARGE);
      if (!(bytes instanceof Uint8Array)) return problem(`[${at}] takes bytes or { iov_len }`);
      to = { bytes };
      len = bytes.length;
    }
    if (typeof to === "object") room -= to.bytes.length;
    if (room < 0) return problem(`all buffers together have at most ${RAW_BUFFER_LIMIT} bytes`);
    setWord(block.bytes, at * IOVEC + 8, len);
    if (typeof to === "object" ? to.bytes.length > 0 : to !== 0) block.pointers?.push({ at: at * IOVEC, to });
  });
  return block;
}

function vector(name: string, countedBy: string, out: boolean): ArgType {
  return pointer(name, out ? "out-iovec" : "iovec", {
    sizedBy: countedBy,
    decode(value, context) {
      if (value === undefined) return 0;
      const block = readPointer(value) ?? readVector(value, (message) => context.problem(message));
      if (block === undefined) context.problem("takes an array of buffers, its bytes or a pointer");
      return block ?? 0;
    },
    show(register, view) {
      if (register === 0) return "NULL";
      const segments = segmentsAt(register, view.reg(countedBy), view);
      let left = out ? (typeof view.ret === "number" && view.ret > 0 ? view.ret : 0) : Infinity;
      const shown = segments.slice(0, SHOWN_SEGMENTS).map(({ base, len }) => {
        const count = Math.min(left, Number(len));
        left -= count;
        return `{iov_base=${showBytes(view.read(base, Math.min(count, 33)), count, base)}, iov_len=${len}}`;
      });
      return `[${shown.join(", ")}${segments.length > SHOWN_SEGMENTS ? ", ..." : ""}]`;
    },
    ...(out
      ? { output: (register: number | bigint, view: CallView) => scatter(segmentsAt(register, view.reg(countedBy), view), view) }
      : {}),
  });
}

/** The bytes that a call of result `ret` laid into segments, a buffer each. */
export function scatter(segments: Segment[], view: CallView): Json | undefined {
  if (typeof view.ret !== "number" || view.ret < 0) return undefined;
  let left = view.ret;
  return segments.map(({ base, len }) => {
    const count = Math.min(left, Number(len));
    left -= count;
    return bytesToJson(count === 0 ? new Uint8Array(0) : view.read(base, count));
  });
}

/** iovec of a write: `[bytes, …]`; arrives as its address. */
export function iovecIn(name: string, countedBy: string): ArgType {
  return vector(name, countedBy, false);
}

/** iovec of a read: `[{ iov_len }, …]`, answered as `[bytes, …]`. */
export function iovecOut(name: string, countedBy: string): ArgType {
  return vector(name, countedBy, true);
}

/** How many items `of` has; left out, as many as were given. */
export function count(name: string, of: string, itemSize: number): ArgType {
  return {
    name, kind: "uint", optional: true, pointer: false, sizedBy: of,
    decode(value, context) {
      const array = context.placed(of);
      if (value === undefined) return typeof array === "object" && "bytes" in array ? Math.floor(array.bytes.length / itemSize) : 0;
      const number = readInteger(value);
      if (number === undefined) context.problem("takes an integer");
      return number ?? 0;
    },
    take: unsigned,
    show: (register) => String(unsigned(register)),
  };
}

/** The number of segments of an iovec argument. */
export function iovecCount(name: string, of: string): ArgType {
  return count(name, of, IOVEC);
}

/** An array of NUL-terminated strings with a NULL at its end (argv, envp). */
export function strings(name: string): ArgType {
  return pointer(name, "strings", {
    decode(value, context) {
      if (value === undefined) return 0;
      if (!Array.isArray(value)) {
        const placed = isObject(value) ? readPointed(value, context) : readPointer(value);
        if (placed === undefined) context.problem("takes an array of strings or a pointer");
        return placed ?? 0;
      }
      const block: Block = { bytes: new Uint8Array((value.length + 1) * 8), pointers: [] };
      value.forEach((item, at) => {
        const bytes = readBytes(item);
        if (bytes instanceof Uint8Array) block.pointers?.push({ at: at * 8, to: { bytes: padded(bytes, bytes.length + 1) } });
        else context.problem(`[${at}] takes a string`);
      });
      return block;
    },
    show(register, view) {
      const address = unsigned(register);
      if (typeof address === "bigint" || address === 0) return showAddress(address);
      const shown: string[] = [];
      for (let at = 0; at < 32; at++) {
        const entry = view.read(address + at * 8, 8);
        const base = entry.length < 8 ? 0 : word(entry, 0);
        if (base === 0) break;
        const bytes = view.read(base, 256);
        const end = bytes.indexOf(0);
        shown.push(quote(end < 0 ? bytes : bytes.subarray(0, end)));
      }
      return `[${shown.join(", ")}]`;
    },
  });
}

/** Reads an array of structures of one codec. `out`: it is returned under this name after the call, as many as `filled` says. */
export function structArray(
  name: string, codec: Codec & { size: number }, countedBy: string,
  { way = "in", filled }: { way?: "in" | "out" | "inout"; filled?: (view: CallView) => number } = {},
): ArgType {
  const items = (view: CallView): number => Math.min(filled?.(view) ?? uint32(view.reg(countedBy)), 4096);
  const decoded = (register: number | bigint, view: CallView): Json[] => {
    const bytes = view.read(register, items(view) * codec.size);
    return Array.from({ length: Math.floor(bytes.length / codec.size) }, (_, at) =>
      codec.decode(bytes.subarray(at * codec.size, (at + 1) * codec.size), view));
  };
  return pointer(name, way === "out" ? "out-array" : way === "inout" ? "inout-array" : "array", {
    codec, sizedBy: countedBy,
    decode(value, context) {
      if (value === undefined) {
        if (way !== "out") return 0;
        const number = readInteger(context.given[countedBy] ?? 0);
        return number === undefined || number <= 0 ? { room: codec.size } : { room: Math.min(Number(number), 4096) * codec.size };
      }
      if (!Array.isArray(value)) {
        const placed = readPointed(value, context);
        if (placed === undefined) context.problem(`takes an array of struct ${codec.name}, its bytes or a pointer`);
        return placed ?? 0;
      }
      const bytes = new Uint8Array(value.length * codec.size);
      value.forEach((item, at) => {
        bytes.set(codec.encode(item, (message) => context.problem(`[${at}] ${message}`)).subarray(0, codec.size), at * codec.size);
      });
      return { bytes };
    },
    show(register, view) {
      if (register === 0) return "NULL";
      const bytes = view.read(register, items(view) * codec.size);
      const shown = Array.from({ length: Math.floor(bytes.length / codec.size) }, (_, at) =>
        codec.show(bytes.subarray(at * codec.size, (at + 1) * codec.size), view));
      return `[${shown.join(", ")}]`;
    },
    ...(way === "in" ? {} : {
      output: (register: number | bigint, view: CallView) =>
        (register === 0 || (typeof view.ret === "number" && view.ret < 0) ? undefined : decoded(register, view)),
    }),
  });
}

/** A value of one scalar type that the call writes (pipefd's ints are an array, offsets are scalars). */
export function scalarOut(name: string, type: "i32" | "u32" | "u64" | "i64", items = 1): ArgType {
  const bytesEach = scalarSize[type];
  const read = (register: number | bigint, view: CallView): (number | bigint)[] | undefined => {
    const bytes = view.read(register, items * bytesEach);
    if (bytes.length < items * bytesEach) return undefined;
    const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: items }, (_, at) => {
      if (type === "i32") return data.getInt32(at * 4, true);
      if (type === "u32") return data.getUint32(at * 4, true);
      const big = type === "i64" ? data.getBigInt64(at * 8, true) : data.getBigUint64(at * 8, true);
      return big >= -9007199254740991n && big <= 9007199254740991n ? Number(big) : big;
    });
  };
  return pointer(name, items === 1 ? "out-integer" : "out-integers", {
    decode(value, context) {
      if (value === undefined) return { room: items * bytesEach };
      const placed = readPointer(value);
      if (placed === undefined) context.problem("takes a pointer; leave it out to have the value returned");
      return placed ?? 0;
    },
    show(register, view) {
      if (register === 0) return "NULL";
      const values = typeof view.ret === "number" && view.ret < 0 ? undefined : read(register, view);
      return values === undefined ? hex(register) : `[${values.join(", ")}]`;
    },
    output(register, view) {
      if (register === 0 || (typeof view.ret === "number" && view.ret < 0)) return undefined;
      const values = read(register, view)?.map((value) => (typeof value === "bigint" ? value.toString() : value));
      return values === undefined ? undefined : items === 1 ? values[0] : values;
    },
  });
}

/** A scalar by pointer that the call reads and writes (sendfile's offset): `{ "i64": n }` or other bytes; NULL when left out. */
export function scalarInOut(name: string, type: "i32" | "u32" | "u64" | "i64"): ArgType {
  const out = scalarOut(name, type);
  return {
    ...out, kind: "inout-integer",
    decode(value, context) {
      if (value === undefined) return 0;
      const placed = readPointer(value);
      if (placed !== undefined) return placed;
      const bytes = readBytes(value);
      if (!(bytes instanceof Uint8Array)) {
        context.problem(bytes ?? "takes bytes such as { \"i64\": 0 }, or a pointer");
        return 0;
      }
      return { bytes: padded(bytes, scalarSize[type]) };
    },
  };
}

