/** sleep: clock_nanosleep of the sum of its operands. */
import { putU64 } from "../../lib/bytes.ts";
import { tool } from "../tool.ts";

const UNITS: { [suffix: string]: number } = { "": 1, s: 1, m: 60, h: 3600, d: 86400 };
const CLOCK_MONOTONIC = 1;
const NS = 1_000_000_000;

/** `1.5`, `2m` as ns; undefined when it is no time. */
export function readDuration(text: string): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([smhd]?)$/.exec(text);
  return match === null ? undefined : Math.min(Math.round(Number(match[1]) * UNITS[match[2]] * NS), Number.MAX_SAFE_INTEGER);
}

/** struct timespec */
export function timespec(ns: number): Uint8Array {
  const bytes = new Uint8Array(16);
  putU64(bytes, 0, Math.floor(ns / NS));
  putU64(bytes, 8, ns % NS);
  return bytes;
}

tool<{ ns: number }>("sleep", "bin", (p, args) => {
  if (args.length === 0) return p.fail("missing operand");
  let ns = 0;
  for (const word of args) {
    const part = readDuration(word);
    if (part === undefined) return p.fail(`invalid number '${word}'`);
    ns += part;
  }
  return { ns };
}, {
  sleep: (p, { ns }) => p.sys("clock_nanosleep", CLOCK_MONOTONIC, 0, timespec(ns), 0),
  woken: () => 0,
});
