/** Numbers as the kernel's files and log lay them out. */

/** The time before a line of dmesg, "    3.447092", from nanoseconds: seconds in five columns, then microseconds, cut. */
export function logTime(ns: number): string {
  const micros = Math.floor(ns / 1_000);
  return `${String(Math.floor(micros / 1_000_000)).padStart(5)}.${String(micros % 1_000_000).padStart(6, "0")}`;
}

/** Seconds with hundredths, cut, as in /proc/uptime: "350735.47". */
export function centiseconds(ns: number): string {
  const hundredths = Math.floor(ns / 10_000_000);
  return `${Math.floor(hundredths / 100)}.${String(hundredths % 100).padStart(2, "0")}`;
}

/** Hexadecimal without 0x, with zeros in front up to `width` digits; a negative number is its 64 bits. */
export function hex(value: number | bigint, width = 0): string {
  return (value < 0 ? BigInt.asUintN(64, BigInt(value)) : value).toString(16).padStart(width, "0");
}

/** A whole number in at least `width` columns, to the right. */
export const column = (value: number | bigint, width: number): string => String(value).padStart(width);

/** A line of /proc/meminfo: the name in 16 columns, then kilobytes in eight. */
export const kilobytes = (name: string, kb: number): string => `${`${name}:`.padEnd(16)}${column(kb, 8)} kB\n`;

/** Bytes as `dd 0a 00`, as oopses print code. */
export const hexBytes = (bytes: Uint8Array): string => Array.from(bytes, (byte) => hex(byte, 2)).join(" ");

/** A list of numbers as the kernel writes CPU sets: "0-3,7". The numbers ascend. */
export function ranges(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < numbers.length; i++) {
    const first = numbers[i];
    while (i + 1 < numbers.length && numbers[i + 1] === numbers[i] + 1) i++;
    parts.push(numbers[i] === first ? String(first) : `${first}-${numbers[i]}`);
  }
  return parts.join(",");
}
