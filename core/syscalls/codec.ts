/** Structures on the wire: from JSON to their bytes in memory and back, by their layout. */
import { MAJOR, MINOR, newDecodeDev } from "../abi/dev_t.ts";
import { decodeStruct, encodeStruct, type FieldType, type Fields, type Layout } from "../abi/layout.ts";
import type { Json } from "../input.ts";
import type { CallView, DecodeContext } from "./args.ts";
import { bytesToJson, isObject, readBytes, readInteger } from "./json.ts";

export interface Codec {
  name: string;
  /** For the contract: field → its JSON shape. */
  fields: CodecFields;
  /** Bytes to reserve when the structure is to be returned. */
  room(context: DecodeContext): number;
  /** Bytes that lie in memory. */
  length(view: CallView): number;
  encode(value: Json, problem: (message: string) => void): Uint8Array;
  decode(bytes: Uint8Array, view: CallView): Json;
  show(bytes: Uint8Array, view: CallView): string;
}

/** "flags" are names or a number; "any" is where a codec reads several shapes. */
type FieldShape = "integer" | "string" | "bytes" | "integers" | "flags" | CodecFields;
export type CodecFields = "any" | { [field: string]: FieldShape };

/** A dev_t of user space as callers see it. */
function deviceJson(value: unknown): Json {
  const dev = newDecodeDev(Number(value));
  return { major: MAJOR(dev), minor: MINOR(dev) };
}

/**
 * A structure as its C declaration: every field by its C name; bytes are taken as they are. `devices` names the fields that
 * are a dev_t and are returned as `{ major, minor }`.
 */
export function structCodec<F extends Fields>(name: string, layout: Layout<F>, devices: (keyof F & string)[] = []): Codec {
  const fields = shapeOf(layout) as { [field: string]: CodecFields | "integer" };
  for (const field of devices) fields[field] = { major: "integer", minor: "integer" };
  return {
    name,
    fields,
    room: () => layout.size,
    length: () => layout.size,
    encode(value, problem) {
      const raw = readBytes(value);
      if (raw instanceof Uint8Array) return padded(raw, layout.size);
      if (!isObject(value)) {
        problem(`takes a struct ${name}`);
        return new Uint8Array(layout.size);
      }
      const fields = readFields(layout, value, problem);
      return encodeStruct(layout, fields as Parameters<typeof encodeStruct<F>>[1]);
    },
    decode(bytes) {
      const json = toJson(decodeStruct(layout, bytes)) as { [field: string]: Json };
      for (const field of devices) json[field] = deviceJson(json[field]);
      return json;
    },
    show: (bytes) => showValue(decodeStruct(layout, bytes)),
  };
}

/** `bytes` filled up with zeros to at least `size`. */
export function padded(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length >= size) return bytes;
  const all = new Uint8Array(size);
  all.set(bytes);
  return all;
}

function shapeOf(layout: Layout): CodecFields {
  const shape: { [field: string]: FieldShape } = {};
  for (const [field, [, type]] of Object.entries(layout.fields)) shape[field] = fieldShape(type);
  return shape;
}

function fieldShape(type: FieldType): FieldShape {
  if (typeof type === "string") return "integer";
  if ("fields" in type) return shapeOf(type);
  return "chars" in type ? "string" : "bytes" in type ? "bytes" : "integers";
}

function readFields(layout: Layout, value: { [key: string]: Json }, problem: (message: string) => void): { [field: string]: unknown } {
  const fields: { [field: string]: unknown } = {};
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(layout.fields, key)) problem(`has no field ${key.slice(0, 40)}`);
  }
  for (const [field, [, type]] of Object.entries(layout.fields)) {
    const given = value[field];
    if (given === undefined) continue;
    const read = readField(type, given, (message) => problem(`${field} ${message}`));
    if (read === undefined) problem(`${field} takes ${typeof type === "string" ? "an integer" : "another type"}`);
    else fields[field] = read;
  }
  return fields;
}

function readField(type: FieldType, given: Json, problem: (message: string) => void): unknown {
  if (typeof type === "string") return readInteger(given);
  if ("fields" in type) return isObject(given) ? readFields(type, given, problem) : undefined;
  if ("array" in type) {
    const items = Array.isArray(given) ? given.map((item) => readInteger(item)) : undefined;
    return items === undefined || items.length > type.count || items.includes(undefined) ? undefined : items;
  }
  if ("chars" in type) return typeof given === "string" ? given : undefined;
  const bytes = readBytes(given);
  return bytes instanceof Uint8Array ? bytes : undefined;
}

/** Decoded fields as JSON: integers that are not safe become decimal strings. */
export function toJson(value: unknown): Json {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return bytesToJson(value);
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, toJson(inner)]));
  }
  return value as Json;
}

/** Decoded fields as strace writes a structure. */
export function showValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Uint8Array) return `"${[...value].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}"`;
  if (Array.isArray(value)) return `[${value.map(showValue).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value).map(([field, inner]) => `${field}=${showValue(inner)}`).join(", ")}}`;
  }
  return String(value);
}

