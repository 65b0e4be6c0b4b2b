/** Arrays of 32-bit numbers and sets of CPUs as arguments. */
import type { Json } from "../../input.ts";
import { getU32, putU32 } from "../../lib/bytes.ts";
import { hex, readPointer, uint32, unsigned, type ArgType, type CallView } from "../args.ts";
import { padded, type Codec } from "../codec.ts";
import { isObject, readBytes, readInteger } from "../json.ts";

const ITEMS_LIMIT = 65_536;

function words(bytes: Uint8Array): number[] {
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => getU32(bytes, at * 4));
}

function showWords(register: number | bigint, count: number, view: CallView): string {
  if (register === 0) return "NULL";
  const shown = words(view.read(register, Math.min(count, 32) * 4));
  return `[${shown.join(", ")}${count > 32 ? ", ..." : ""}]`;
}

/** `[0, 1000, …]` that the call reads, as many as `countedBy` says. */
export function wordsIn(name: string, countedBy: string): ArgType {
  return {
    name, kind: "integers", optional: true, pointer: true, take: unsigned, sizedBy: countedBy,
    decode(value, context) {
      const placed = value === undefined ? 0 : readPointer(value);
      if (placed !== undefined) return placed;
      const raw = readBytes(value);
      if (raw instanceof Uint8Array) return { bytes: raw };
      const items = Array.isArray(value) ? value.map((item) => readInteger(item)) : [undefined];
      if (items.includes(undefined)) {
        context.problem("takes an array of integers");
        return 0;
      }
      const bytes = new Uint8Array(items.length * 4);
      items.forEach((item, at) => putU32(bytes, at * 4, uint32(item ?? 0)));
      return { bytes };
    },
    show: (register, view) => showWords(register, uint32(view.reg(countedBy)), view),
  };
}

/** Room for as many as `countedBy` says; the result says how many there are. */
export function wordsOut(name: string, countedBy: string): ArgType {
  const count = (view: CallView): number => (typeof view.ret === "number" && view.reg(countedBy) !== 0 ? Math.max(view.ret, 0) : 0);
  return {
    name, kind: "out-integers", optional: true, pointer: true, take: unsigned, sizedBy: countedBy,
    decode(value, context) {
      if (value === undefined) {
        const given = Number(readInteger(context.given[countedBy] ?? 0) ?? 0);
        return given > 0 ? { room: Math.min(given, ITEMS_LIMIT) * 4 } : 0;
      }
      const placed = readPointer(value);
      if (placed === undefined) context.problem("takes a pointer; leave it out to have the numbers returned");
      return placed ?? 0;
    },
    show: (register, view) => (typeof view.ret === "number" && view.ret < 0 ? hex(register) : showWords(register, count(view), view)),
    output: (register, view) => (view.ret < 0 || register === 0 ? undefined : words(view.read(register, count(view) * 4))),
  };
}

const CPU_SET_SIZE = 8;

function cpusOf(bytes: Uint8Array): number[] {
  const cpus: number[] = [];
  for (let cpu = 0; cpu < bytes.length * 8; cpu++) if ((bytes[cpu >> 3] >> (cpu & 7) & 1) === 1) cpus.push(cpu);
  return cpus;
}

function readCpus(value: Json): number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const cpus = value.map((item) => readInteger(item));
  return cpus.every((cpu): cpu is number => typeof cpu === "number" && cpu >= 0 && cpu < 1024) ? cpus : undefined;
}

/** cpu_set_t as the CPUs in it: `[0, 1]`. */
export const cpuSet: Codec = {
  name: "cpu_set_t",
  fields: "any",
  room: (context) => Math.max(0, Math.min(Number(readInteger(context.given.cpusetsize ?? CPU_SET_SIZE) ?? 0), 4096)),
  length: (view) => (typeof view.ret === "number" && view.ret > 0 ? view.ret : Math.min(Number(unsigned(view.reg("cpusetsize"))), 128)),
  encode(value, problem) {
    const raw = isObject(value) ? readBytes(value) : undefined;
    if (raw instanceof Uint8Array) return padded(raw, CPU_SET_SIZE);
    const cpus = readCpus(value);
    if (cpus === undefined) {
      problem("takes an array of CPU numbers");
      return new Uint8Array(CPU_SET_SIZE);
    }
    const bytes = new Uint8Array(Math.max(CPU_SET_SIZE, Math.ceil((Math.max(0, ...cpus) + 1) / 64) * 8));
    for (const cpu of cpus) bytes[cpu >> 3] |= 1 << (cpu & 7);
    return bytes;
  },
  decode: (bytes) => cpusOf(bytes),
  show: (bytes) => `[${cpusOf(bytes).join(" ")}]`,
};
