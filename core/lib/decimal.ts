/** A double as decimal digits, rounded exactly as a C library does: the binary value itself is rounded, ties to even. */

const view = new DataView(new ArrayBuffer(8));

/** `value` with `digits` digits after the point: toFixed(2.675, 2) is "2.67", toFixed(0.5, 0) is "0", -0 is "-0". */
export function toFixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const sign = bits >> 63n === 0n ? "" : "-";
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  // value = mantissa × 2^exponent; a biased exponent of 0 has no hidden bit.
  const mantissa = biased === 0 ? fraction : fraction | (1n << 52n);
  const exponent = (biased === 0 ? 1 : biased) - 1075;
  const scaled = mantissa * 10n ** BigInt(digits);
  let rounded: bigint;
  if (exponent >= 0) rounded = scaled << BigInt(exponent);
  else {
    const shift = BigInt(-exponent);
    rounded = scaled >> shift;
    const rest = scaled - (rounded << shift);
    const half = 1n << (shift - 1n);
    if (rest > half || (rest === half && (rounded & 1n) === 1n)) rounded += 1n;
  }
  const text = rounded.toString().padStart(digits + 1, "0");
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}
