/** Structures as they lie in memory on x86-64: a layout is a list of fields, and one function reads and one writes them all. */

/** Integers are little-endian, except `be16` and `be32`, which are in network order. */
export type Scalar = "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "i64" | "u64" | "be16" | "be32";
/** A scalar, text padded with NULs to `chars` bytes, raw `bytes`, a structure inside, or `count` scalars in a row. */
export type FieldType =
  | Scalar
  | { readonly chars: number }
  | { readonly bytes: number }
  | { readonly array: Scalar; readonly count: number }
  | Layout;
export type Fields = { readonly [name: string]: readonly [offset: number, type: FieldType] };

/** A structure of `size` bytes; bytes that no field names are padding and written as zero. */
export interface Layout<F extends Fields = Fields> {
  readonly size: number;
  readonly fields: F;
}

type Narrow = Exclude<Scalar, "i64" | "u64">;
/** What a field gives when read: 64-bit words are a number while safe, else a bigint. */
export type Decoded<T> = T extends Narrow ? number
  : T extends Scalar ? number | bigint
  : T extends { readonly chars: number } ? string
  : T extends { readonly bytes: number } ? Uint8Array
  : T extends { readonly array: infer S } ? Decoded<S>[]
  : T extends Layout<infer F> ? { -readonly [K in keyof F]: Decoded<F[K][1]> }
  : never;
/** What a field takes when written; what is left out is zero. */
export type Encoded<T> = T extends Scalar ? number | bigint
  : T extends { readonly chars: number } ? string
  : T extends { readonly bytes: number } ? Uint8Array
  : T extends { readonly array: Scalar } ? readonly (number | bigint)[]
  : T extends Layout<infer F> ? { readonly [K in keyof F]?: Encoded<F[K][1]> }
  : never;

export const scalarSize: Readonly<Record<Scalar, number>> = {
  i8: 1, u8: 1, i16: 2, u16: 2, be16: 2, i32: 4, u32: 4, be32: 4, i64: 8, u64: 8,
};

/** Declares a layout; the type keeps every field's name. */
export function layout<const F extends Fields>(size: number, fields: F): Layout<F> {
  return { size, fields };
}

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A bigint as a number where that is exact. */
function narrowed(value: bigint): number | bigint {
  return value >= -0x1f_ffff_ffff_ffffn && value <= 0x1f_ffff_ffff_ffffn ? Number(value) : value;
}

/** Writes one scalar; a value wider than the field is cut, as a C assignment does. */
export function putScalar(view: DataView, offset: number, type: Scalar, value: number | bigint): void {
  if (type === "i64" || type === "u64") {
    // Two halves: no bigint is made for the common case of a small number.
    if (typeof value === "bigint") view.setBigUint64(offset, BigInt.asUintN(64, value), true);
    else {
      view.setUint32(offset, value, true);
      view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
    }
    return;
  }
  const bits = typeof value === "bigint" ? Number(BigInt.asUintN(32, value)) : value;
  switch (scalarSize[type]) {
    case 1: return view.setUint8(offset, bits);
    case 2: return view.setUint16(offset, bits, type !== "be16");
    default: return view.setUint32(offset, bits, type !== "be32");
  }
}

/** Reads one scalar; 64-bit words become a bigint only when a number could not hold them. */
export function getScalar(view: DataView, offset: number, type: Scalar): number | bigint {
  switch (type) {
    case "i8": return view.getInt8(offset);
    case "u8": return view.getUint8(offset);
    case "i16": return view.getInt16(offset, true);
    case "u16": return view.getUint16(offset, true);
    case "be16": return view.getUint16(offset, false);
    case "i32": return view.getInt32(offset, true);
    case "u32": return view.getUint32(offset, true);
    case "be32": return view.getUint32(offset, false);
    case "i64": return narrowed(view.getBigInt64(offset, true));
    case "u64": return narrowed(view.getBigUint64(offset, true));
  }
}

function putField(view: DataView, at: number, type: FieldType, value: unknown): void {
  if (typeof type === "string") putScalar(view, at, type, value as number | bigint);
  else if ("fields" in type) putFields(view, at, type, value as Record<string, unknown>);
  else if ("array" in type) {
    const items = value as readonly (number | bigint)[];
    for (let i = 0; i < type.count && i < items.length; i++) putScalar(view, at + i * scalarSize[type.array], type.array, items[i]!);
  } else {
    const bytes = "chars" in type ? utf8Encoder.encode(value as string) : (value as Uint8Array);
    // Text keeps its last NUL; raw bytes fill the field.
    const room = "chars" in type ? type.chars - 1 : type.bytes;
    new Uint8Array(view.buffer, view.byteOffset + at, room).set(bytes.subarray(0, room));
  }
}

function putFields(view: DataView, at: number, of: Layout, record: Record<string, unknown>): void {
  for (const name in of.fields) {
    const value = record[name];
    if (value === undefined) continue;
    const [offset, type] = of.fields[name]!;
    putField(view, at + offset, type, value);
  }
}

function getField(view: DataView, at: number, type: FieldType): unknown {
  if (typeof type === "string") return getScalar(view, at, type);
  if ("fields" in type) return getFields(view, at, type);
  if ("array" in type) return Array.from({ length: type.count }, (_, i) => getScalar(view, at + i * scalarSize[type.array], type.array));
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, "chars" in type ? type.chars : type.bytes);
  if ("bytes" in type) return bytes.slice();
  const end = bytes.indexOf(0);
  return utf8Decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function getFields(view: DataView, at: number, of: Layout): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const name in of.fields) {
    const [offset, type] = of.fields[name]!;
    record[name] = getField(view, at + offset, type);
  }
  return record;
}

/** The bytes of a structure; fields that are left out are zero. */
export function encodeStruct<F extends Fields>(of: Layout<F>, record: Encoded<Layout<F>>): Uint8Array {
  const bytes = new Uint8Array(of.size);
  putFields(new DataView(bytes.buffer), 0, of, record as Record<string, unknown>);
  return bytes;
}

/** The fields of a structure at `offset` of `bytes`, which must hold all of it. */
export function decodeStruct<F extends Fields>(of: Layout<F>, bytes: Uint8Array, offset = 0): Decoded<Layout<F>> {
  if (bytes.length - offset < of.size) throw new Error(`decodeStruct: ${bytes.length - offset} bytes of ${of.size}`);
  return getFields(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset, of) as Decoded<Layout<F>>;
}
