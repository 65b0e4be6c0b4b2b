/** Snapshots of plain data: what goes in comes out, equal values give equal bytes, anything else is refused. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { plainDataProblems } from "../../core/plain.ts";
import { decodeState, encodeState } from "../../core/snapshot.ts";

/** Any UTF-16 code unit, halves of surrogate pairs too. */
const anyUnit = fc.oneof(fc.constantFrom("\0", "a", "\ud83d", "\ude00"), fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)));

const scalar = fc.oneof(
  fc.integer(), fc.maxSafeInteger(), fc.double(), fc.bigInt({ min: -(1n << 80n), max: 1n << 80n }), fc.boolean(), fc.constant(null),
  fc.string(), fc.string({ unit: anyUnit }), fc.constantFrom(-0, 0, Infinity, -Infinity, NaN, 2 ** 53, -(2 ** 53), 2 ** 63),
);

const typed = fc.oneof(
  fc.uint8Array({ maxLength: 300 }), fc.uint16Array(), fc.uint32Array(), fc.int32Array(), fc.float64Array(), fc.bigUint64Array(),
);

const { state } = fc.letrec<{ state: unknown }>((tie) => ({
  state: fc.oneof({ maxDepth: 5 },
    scalar, typed,
    fc.array(tie("state"), { maxLength: 6 }),
    fc.dictionary(fc.oneof(fc.string({ unit: anyUnit, maxLength: 6 }), fc.constant("__proto__")), tie("state"), { maxKeys: 6, noNullPrototype: true }),
    fc.uniqueArray(fc.tuple(fc.oneof(fc.integer(), fc.string()), tie("state")), { maxLength: 6, selector: ([key]) => key })
      .map((entries) => new Map(entries)),
  ),
}));

describe("encodeState and decodeState", () => {
  test("bring every plain value back, and encode it to the same bytes again", () => {
    fc.assert(fc.property(state, (value) => {
      const bytes = encodeState(value);
      const back = decodeState(bytes);
      expect(back).toStrictEqual(value);
      expect(encodeState(back)).toStrictEqual(bytes);
    }), { numRuns: 500 });
  });

  test("keep the order in which a record got its fields, for answers are told again letter by letter", () => {
    fc.assert(fc.property(state, (value) => {
      expect(shown(decodeState(encodeState(value)))).toBe(shown(value));
    }), { numRuns: 200 });
    expect(Object.keys(decodeState(encodeState({ state: 1, ret: 2, buf: 3 })) as object)).toEqual(["state", "ret", "buf"]);
  });

  test("give other bytes for another value", () => {
    fc.assert(fc.property(state, state, (one, other) => {
      const equal = Buffer.from(encodeState(one)).equals(encodeState(other));
      expect(equal).toBe(isSame(one, other) && shown(one) === shown(other));
    }), { numRuns: 500 });
  });

  test("keep the order of maps and of arrays, which is state", () => {
    expect([...(decodeState(encodeState(new Map([[2, "b"], [1, "a"]]))) as Map<number, string>)]).toEqual([[2, "b"], [1, "a"]]);
    expect(encodeState(new Map([[1, 0], [2, 0]]))).not.toEqual(encodeState(new Map([[2, 0], [1, 0]])));
  });

  test("refuse what is no plain data", () => {
    class Thing { one = 1; }
    for (const value of [() => 0, Symbol("s"), new Thing(), new Date(0), /x/, new Set([1]), new Int8Array(1), new WeakMap(), [undefined]]) {
      expect(() => encodeState({ value }), String(value)).toThrow();
    }
  });

  test("refuse bytes that are cut, changed or too long", () => {
    const bytes = encodeState({ one: [1, 2, 3], two: "text", three: new Uint8Array(8) });
    for (let length = 0; length < bytes.length; length++) expect(() => decodeState(bytes.slice(0, length)), `${length} bytes`).toThrow();
    expect(() => decodeState(new Uint8Array([...bytes, 0]))).toThrow(/goes on/);
    expect(() => decodeState(new Uint8Array([1, ...bytes.slice(1)]))).toThrow(/not a snapshot/);
  });
});

/** Records with the order of their fields, for comparing. */
function shown(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    (inner instanceof Map ? [...(inner as Map<unknown, unknown>)] : typeof inner === "bigint" ? inner.toString() : inner));
}

function isSame(one: unknown, other: unknown): boolean {
  try {
    expect(one).toStrictEqual(other);
    return true;
  } catch {
    return false;
  }
}

describe("plainDataProblems", () => {
  test("finds nothing in plain data", () => {
    fc.assert(fc.property(state, (value) => {
      expect(plainDataProblems(value)).toEqual([]);
    }));
  });

  test("names what is owned by two places", () => {
    const shared = { pid: 1 };
    expect(plainDataProblems({ a: shared, b: [shared] }, "s")).toEqual(["s.b.0 is also s.a"]);
    const bytes = new Uint8Array(8);
    expect(plainDataProblems({ a: bytes, b: bytes.subarray(2) }, "s")).toEqual(["s.b is also s.a"]);
    const loop: { [key: string]: unknown } = {};
    loop.loop = loop;
    expect(plainDataProblems(loop, "s")).toEqual(["s.loop is also s"]);
  });

  test("names functions, instances, symbols and what is undefined", () => {
    class Thing { one = 1; }
    expect(plainDataProblems({ f: () => 0 }, "s")).toEqual(["s.f is a value of type function"]);
    expect(plainDataProblems([undefined], "s")).toEqual(["s.0 is a value of type undefined"]);
    expect(plainDataProblems({ t: new Thing() }, "s")).toEqual(["s.t is a Thing"]);
    expect(plainDataProblems({ s: new Set() }, "s")).toEqual(["s.s is a Set"]);
    expect(plainDataProblems(new Map([[{}, 1]]), "s")).toEqual(["s is a map with a key of type object"]);
    expect(plainDataProblems({ i: new Int8Array(1) }, "s")).toEqual(["s.i is a Int8Array"]);
    expect(plainDataProblems({ [Symbol("s")]: 1 }, "s")).toEqual(["s is a record with a symbol for a key"]);
    const holes = [1, 2];
    delete (holes as unknown[])[0];
    expect(plainDataProblems(holes, "s")).not.toEqual([]);
  });
});
