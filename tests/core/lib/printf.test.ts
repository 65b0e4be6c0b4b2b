/** printf against recorded lines: the C library's for programs, the kernel's for printk. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, test } from "vitest";
import { toFixed } from "../../../core/lib/decimal.ts";
import { kprintf, sprintf, type PrintfArgument } from "../../../core/lib/printf.ts";
import { recorded } from "./fixture.ts";

/** An argument as it stood in the C source of the recording. */
function cArgument(source: string): PrintfArgument {
  if (source.startsWith('"')) return JSON.parse(source) as string;
  const plain = source.replace(/^\(void\*\)/, "").replace(/(?<=[0-9a-f])L+$/, "");
  if (/^-?(0x[0-9a-f]+|[0-9]+)$/.test(plain)) return plain.startsWith("-") ? -BigInt(plain.slice(1)) : BigInt(plain);
  const quotient = /^(-?)1\.0\/0$/.exec(plain);
  if (quotient !== null) return quotient[1] === "-" ? -Infinity : Infinity;
  return plain.split("+").reduce((sum, part) => sum + Number(part), plain === "-0.0" ? -0 : 0);
}

test("programs print what glibc printed", () => {
  for (const line of recorded("printf-glibc.txt")) {
    const [format, argument, result] = line.split("\t");
    const value = argument === "-0.0" ? -0 : cArgument(argument);
    const args = /%[^%]*[fd]/.test(format) && typeof value === "bigint" && /f/.test(format) ? [Number(value)] : [value];
    assert.equal(sprintf(format, ...args), result, line);
  }
});

test("* takes width and precision from the arguments", () => {
  assert.equal(sprintf("%*d|%-*d|%*d|", 5, 42, 5, 42, -5, 42), "   42|42   |42   |");
  assert.equal(sprintf("%.*s|%.*s|%.*s", 2, "abc", -1, "abc", 0, "abc"), "ab|abc|");
  assert.equal(sprintf("%.s|%s", "abc", null), "|(null)");
});

test("widths and precisions of text count bytes", () => {
  assert.equal(sprintf("%4s|%.2s|", "é", "éa"), "  é|é|");
});

describe("the kernel", () => {
  test("prints numbers and pointers as it was recorded to", () => {
    const lines = recorded("kernel-6.1-api.txt");
    assert.ok(lines.includes(kprintf("formats %x %#x %08x %lld %pI4 %zd %hhx %c|%-5d|%5d|%%", [255, 255, 255, -1, 0x7f000001, -3, 300, 113, 7, 7])));
    assert.ok(lines.includes(kprintf("%%p null=%p err=%p pe=%pe", [null, -12, -12])));
  });
  test("writes the prefix of a zero, and pads with zeros beside a precision", () => {
    assert.equal(kprintf("%#x %#o %.0d %08.5d", [0, 0, 0, 42]), "0x0 0 0 00000042");
  });
  test("hides addresses behind a key", () => {
    const at = 0xffff888012345000n;
    const printed = kprintf("%p", [at], { k0: 1, k1: 2 });
    assert.match(printed, /^00000000[0-9a-f]{8}$/);
    assert.equal(kprintf("%p", [at], { k0: 1, k1: 2 }), printed);
    assert.notEqual(kprintf("%p", [at], { k0: 3, k1: 2 }), printed);
    assert.equal(kprintf("%px", [at]), "ffff888012345000");
    assert.equal(kprintf("%px", [-1]), "ffffffffffffffff");
  });
  test("prints bytes with %*ph, symbols as they come, and eats letters after %p", () => {
    assert.equal(kprintf("%*ph %*phC %*phN.", [3, new Uint8Array([0, 10, 255]), 2, new Uint8Array([1, 2]), 2, new Uint8Array([1, 2])]), "00 0a ff 01:02 0102.");
    assert.equal(kprintf("%pS!", ["do_init_module+0x4a/0x200"]), "do_init_module+0x4a/0x200!");
    assert.equal(kprintf("%s: %d%%", [null, 50]), "(null): 50%");
  });
  test("keeps 64 bits exactly", () => {
    assert.equal(kprintf("%llu %lld %llx", [(1n << 64n) - 1n, -(1n << 63n), -1n]), "18446744073709551615 -9223372036854775808 ffffffffffffffff");
    assert.equal(kprintf("%lu %u %d", [-1, -1, 0xffffffff]), "18446744073709551615 4294967295 -1");
  });
});

test("a mistake in the call is an error of ours", () => {
  assert.throws(() => kprintf("%d %d", [1]), /no argument/);
  assert.throws(() => kprintf("%s", [1]), /%s of number/);
  assert.throws(() => kprintf("%f", [1]), /no %f/);
  assert.throws(() => sprintf("%y", 1), /not supported/);
});

test("decimals of a double agree with the engine's where that is exact", () => {
  fc.assert(fc.property(fc.double({ noDefaultInfinity: true, noNaN: true, min: -1e20, max: 1e20 }), fc.integer({ min: 0, max: 12 }), (value, digits) => {
    const text = toFixed(value, digits);
    // The engine rounds a tie up, C to the even digit; elsewhere they agree.
    if (Math.abs(value) < 1e15 && Math.abs(value) > 1e-9 && text !== value.toFixed(digits)) assert.ok(Number.isInteger(value * 2 ** 13), String(value));
  }));
  assert.equal(toFixed(5e-324, 3), "0.000");
  assert.equal(toFixed(Number.MAX_VALUE, 0).length, 309);
  assert.deepEqual([toFixed(0.125, 2), toFixed(0.375, 2), toFixed(9.995, 2), toFixed(-0.001, 2)], ["0.12", "0.38", "9.99", "-0.00"]);
});
