/** Bytes, text and numbers: against Node's own, and there and back. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, test } from "vitest";
import {
  base64Decode, base64Encode, compareBytes, concatBytes, cstring, cstringEncode, equalBytes, getI64, getU16, getU32, getU64, hexDecode,
  hexEncode, putU16, putU32, putU64, utf8Decode, utf8DecodeLossy, utf8Encode,
} from "../../../core/lib/bytes.ts";

const plain = (bytes: Uint8Array): number[] => [...bytes];

describe("base64", () => {
  test("is Node's, of any bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = base64Encode(bytes);
      assert.equal(text, Buffer.from(bytes).toString("base64"));
      assert.deepEqual(plain(base64Decode(text)!), plain(bytes));
      assert.deepEqual(plain(base64Decode(text.replace(/=+$/, ""))!), plain(bytes));
    }));
  });
  test("refuses what is none", () => {
    for (const text of ["A", "AA=", "AA===", "A===", "====", "AB==", "AAB=", "AA=A", "AA-_", "AA A", "AAÀA", "AAA\0", "😀AA", "AAAAA"]) {
      assert.equal(base64Decode(text), undefined, text);
    }
    assert.deepEqual(plain(base64Decode("")!), []);
  });
});

test("hexadecimal is read in either case and written in lower", () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    assert.equal(hexEncode(bytes), Buffer.from(bytes).toString("hex"));
    assert.deepEqual(plain(hexDecode(hexEncode(bytes).toUpperCase())!), plain(bytes));
  }));
  for (const text of ["a", "0g", "0x", "àà", " 0"]) assert.equal(hexDecode(text), undefined, text);
});

describe("UTF-8", () => {
  test("goes there and back", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 80 }), (text) => {
      assert.deepEqual(plain(utf8Encode(text)), plain(Buffer.from(text)));
      assert.equal(utf8Decode(utf8Encode(text)), Buffer.from(text).toString());
    }));
    assert.equal(utf8Decode(utf8Encode("\ufeffx")), "\ufeffx");
  });
  test("that is wrong is undefined, or U+FFFD in its place", () => {
    const wrong = new Uint8Array([0x61, 0xff, 0x62]);
    assert.equal(utf8Decode(wrong), undefined);
    assert.equal(utf8DecodeLossy(wrong), "a\ufffdb");
  });
});

test("words are little-endian, and cut to their width", () => {
  const bytes = new Uint8Array(16);
  fc.assert(fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }), (value) => {
    putU64(bytes, 3, value);
    const view = new DataView(bytes.buffer);
    assert.equal(view.getBigUint64(3, true), BigInt.asUintN(64, value));
    assert.equal(BigInt(getU64(bytes, 3)), BigInt.asUintN(64, value));
    assert.equal(BigInt(getI64(bytes, 3)), BigInt.asIntN(64, value));
    assert.equal(getU32(bytes, 3), view.getUint32(3, true));
    assert.equal(getU16(bytes, 3), view.getUint16(3, true));
  }));
  fc.assert(fc.property(fc.maxSafeInteger(), (value) => {
    putU64(bytes, 0, value);
    assert.equal(getI64(bytes, 0), value);
    putU32(bytes, 0, value);
    assert.equal(getU32(bytes, 0), value >>> 0);
    putU16(bytes, 0, value);
    assert.equal(getU16(bytes, 0), value & 0xffff);
  }));
});

test("byte strings compare, join, and end at their NUL", () => {
  const bytes = (text: string): Uint8Array => utf8Encode(text);
  assert.equal(equalBytes(bytes("ab"), bytes("ab")), true);
  assert.equal(equalBytes(bytes("ab"), bytes("abc")), false);
  assert.ok(compareBytes(bytes("ab"), bytes("abc")) < 0 && compareBytes(bytes("b"), bytes("abc")) > 0 && compareBytes(bytes(""), bytes("")) === 0);
  assert.equal(utf8Decode(concatBytes(bytes("a"), bytes(""), bytes("bc"))), "abc");
  assert.equal(utf8Decode(cstring(bytes("ab\0cd\0"))), "ab");
  assert.equal(utf8Decode(cstring(bytes("ab\0cd"), 3)), "cd");
  assert.deepEqual(plain(cstringEncode("hi")), [104, 105, 0]);
});
