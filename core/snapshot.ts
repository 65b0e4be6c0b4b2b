/**
 * The whole state as bytes and back. Canonical: equal states give equal bytes. The order of a map's entries and of a record's
 * fields is part of the state: an answer that was kept is told again letter by letter. Anything that is not plain data is refused.
 */
import { assert } from "./lib/assert.ts";
import { utf8Decode, utf8Encode } from "./lib/bytes.ts";

/**
 * Raised when the encoding or the state's shape changes; the change that raises it brings the migration from the one before (migrate.ts).
 * Formats 1 and 2, of the time before the fair scheduler and before swap, have none: sessions kept in them are replayed from their journal's first row.
 */
export const SNAPSHOT_FORMAT = 4;
const OLDEST_FORMAT = 3;

const MAGIC = [0x53, 0x59, 0x53, 0x4c];

const NULL = 0;
const FALSE = 1;
const TRUE = 2;
const INTEGER = 3;
const NEGATIVE = 4;
const DOUBLE = 5;
const BIGINT = 6;
const NEGATIVE_BIGINT = 7;
const STRING = 8;
const KNOWN_STRING = 9;
const ARRAY = 10;
const MAP = 11;
const RECORD = 12;
const KNOWN_SHAPE = 13;
const TYPED = 14;
const WIDE_STRING = 15;

/** Half a surrogate pair: UTF-8 cannot say it. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Typed arrays that the state may hold, by the code that stands for them. */
const TYPED_ARRAYS = [Uint8Array, Uint16Array, Uint32Array, Int32Array, Float64Array, BigUint64Array] as const;
type TypedArray = InstanceType<(typeof TYPED_ARRAYS)[number]>;

class Writer {
  bytes = new Uint8Array(1 << 16);
  length = 0;
  readonly strings = new Map<string, number>();
  readonly shapes = new Map<string, number>();
  readonly scratch = new DataView(new ArrayBuffer(8));

  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  /** An unsigned integer in groups of seven bits. */
  varint(value: number): void {
    this.reserve(8);
    let rest = value;
    while (rest > 127) {
      this.bytes[this.length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.length++] = rest;
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  string(value: string): void {
    const known = this.strings.get(value);
    if (known !== undefined) {
      this.byte(KNOWN_STRING);
      return this.varint(known);
    }
    this.strings.set(value, this.strings.size);
    const bytes = utf8Encode(value);
    const wide = bytes.length > value.length && LONE_SURROGATE.test(value);
    this.byte(wide ? WIDE_STRING : STRING);
    this.varint(wide ? value.length : bytes.length);
    if (wide) for (let at = 0; at < value.length; at++) this.varint(value.charCodeAt(at));
    else this.raw(bytes);
  }

  value(value: unknown): void {
    switch (typeof value) {
      case "number": return this.number(value);
      case "string": return this.string(value);
      case "boolean": return this.byte(value ? TRUE : FALSE);
      case "bigint": return this.bigint(value);
      case "object": return this.object(value);
      default: assert(false, `a ${typeof value} in the state`);
    }
  }

  number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      this.byte(value < 0 ? NEGATIVE : INTEGER);
      return this.varint(Math.abs(value));
    }
    this.byte(DOUBLE);
    this.scratch.setFloat64(0, value, true);
    this.raw(new Uint8Array(this.scratch.buffer));
  }

  bigint(value: bigint): void {
    this.byte(value < 0n ? NEGATIVE_BIGINT : BIGINT);
    const digits = (value < 0n ? -value : value).toString(16);
    const even = digits.length % 2 === 0 ? digits : `0${digits}`;
    this.varint(even.length / 2);
    for (let at = 0; at < even.length; at += 2) this.byte(Number.parseInt(even.slice(at, at + 2), 16));
  }

  object(value: object | null): void {
    if (value === null) return this.byte(NULL);
    if (Array.isArray(value)) {
      this.byte(ARRAY);
      this.varint(value.length);
      for (const item of value) this.value(item);
    } else if (value instanceof Map) {
      this.byte(MAP);
      this.varint(value.size);
      for (const [key, item] of value as Map<unknown, unknown>) {
        this.value(key);
        this.value(item);
      }
    } else if (ArrayBuffer.isView(value)) this.typed(value as TypedArray);
    else this.record(value as { [key: string]: unknown });
  }

  typed(value: TypedArray): void {
    const code = TYPED_ARRAYS.findIndex((type) => value.constructor === type);
    assert(code >= 0, `a ${value.constructor.name} in the state`);
    this.byte(TYPED);
    this.byte(code);
    this.varint(value.length);
    this.raw(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  }

  record(value: { [key: string]: unknown }): void {
    const prototype: unknown = Object.getPrototypeOf(value);
    assert(prototype === Object.prototype || prototype === null, `a ${value.constructor.name} in the state`);
    const keys = Object.keys(value).filter((key) => value[key] !== undefined);
    const name = JSON.stringify(keys);
    const known = this.shapes.get(name);
    if (known === undefined) {
      this.shapes.set(name, this.shapes.size);
      this.byte(RECORD);
      this.varint(keys.length);
      for (const key of keys) this.string(key);
    } else {
      this.byte(KNOWN_SHAPE);
      this.varint(known);
    }
    for (const key of keys) this.value(value[key]);
  }
}

class Reader {
  at = 0;
  readonly strings: string[] = [];
  readonly shapes: string[][] = [];
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++];
      assert(byte !== undefined, "a snapshot ends early");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  take(count: number): Uint8Array {
    assert(this.at + count <= this.bytes.length, "a snapshot ends early");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  value(): unknown {
    const tag = this.bytes[this.at++];
    switch (tag) {
      case NULL: return null;
      case FALSE: return false;
      case TRUE: return true;
      case INTEGER: return this.varint();
      case NEGATIVE: return -this.varint();
      case DOUBLE: this.at += 8; return this.view.getFloat64(this.at - 8, true);
      case BIGINT: return this.bigint();
      case NEGATIVE_BIGINT: return -this.bigint();
      case STRING: case WIDE_STRING: case KNOWN_STRING: return this.string(tag);
      case ARRAY: return Array.from({ length: this.varint() }, () => this.value());
      case MAP: {
        const map = new Map<unknown, unknown>();
        for (let left = this.varint(); left > 0; left--) {
          const key = this.value();
          map.set(key, this.value());
        }
        return map;
      }
      case RECORD: {
        const keys = Array.from({ length: this.varint() }, () => this.string(this.bytes[this.at++]));
        this.shapes.push(keys);
        return this.record(keys);
      }
      case KNOWN_SHAPE: return this.record(this.shapes[this.varint()]);
      case TYPED: return this.typed();
      default: return assert(false, `a snapshot has the unknown tag ${tag}`);
    }
  }

  string(tag: number): string {
    if (tag === KNOWN_STRING) return this.strings[this.varint()];
    assert(tag === STRING || tag === WIDE_STRING, "a snapshot has no string where one must be");
    const text = tag === STRING ? utf8Decode(this.take(this.varint())) : this.wideText(this.varint());
    assert(text !== undefined, "a snapshot has a malformed string");
    this.strings.push(text);
    return text;
  }

  wideText(length: number): string {
    let text = "";
    for (let left = length; left > 0; left--) text += String.fromCharCode(this.varint());
    return text;
  }

  bigint(): bigint {
    let value = 0n;
    for (const byte of this.take(this.varint())) value = (value << 8n) | BigInt(byte);
    return value;
  }

  record(keys: string[]): { [key: string]: unknown } {
    const record: { [key: string]: unknown } = {};
    for (const key of keys) {
      const value = this.value();
      // An assignment to this name would set the prototype.
      if (key === "__proto__") Object.defineProperty(record, key, { value, writable: true, enumerable: true, configurable: true });
      else record[key] = value;
    }
    return record;
  }

  typed(): TypedArray {
    const Type = TYPED_ARRAYS[this.bytes[this.at++]];
    const length = this.varint();
    const copy = new Uint8Array(this.take(length * Type.BYTES_PER_ELEMENT)); // a Buffer's slice would be a view
    return new Type(copy.buffer, 0, length);
  }
}

/** The bytes of a value of plain data. */
export function encodeState(value: unknown): Uint8Array {
  const writer = new Writer();
  for (const byte of MAGIC) writer.byte(byte);
  writer.varint(SNAPSHOT_FORMAT);
  writer.value(value);
  return writer.bytes.slice(0, writer.length);
}

/** The format that such bytes are of; throws when this program cannot read it. */
export function snapshotFormat(bytes: Uint8Array): number {
  return opened(bytes).format;
}

function opened(bytes: Uint8Array): { reader: Reader; format: number } {
  const reader = new Reader(bytes);
  for (const byte of MAGIC) assert(bytes[reader.at++] === byte, "not a snapshot");
  const format = reader.varint();
  assert(format >= OLDEST_FORMAT && format <= SNAPSHOT_FORMAT, `a snapshot of format ${format}; this program reads ${OLDEST_FORMAT} to ${SNAPSHOT_FORMAT}`);
  return { reader, format };
}

/** The value of such bytes, as it was then; throws when they are no snapshot of a format that can be read. */
export function decodeState(bytes: Uint8Array): unknown {
  const { reader } = opened(bytes);
  const value = reader.value();
  assert(reader.at === bytes.length, "a snapshot goes on after its end");
  return value;
}
