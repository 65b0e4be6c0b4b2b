/** Whether an answer is what the recording says: result, errno, signal, and every output that the step names. */
import { formatFlags } from "../../../core/abi/flags.ts";
import { openFlags } from "../../../core/abi/fcntl.ts";
import { inotifyMask } from "../../../core/abi/inotify.ts";
import { signalName } from "../../../core/abi/signal.ts";
import type { CallAnswer, Json } from "../../../core/input.ts";
import type { Step, Value } from "./scenario.ts";
import type { Symbols } from "./symbols.ts";

type Fields = { [name: string]: Json };
type Returned = Fields & { ret: Json; errno: string | null };

/** The first difference, as a short text; null when there is none. */
export function difference(symbols: Symbols, step: Step, answer: CallAnswer): string | null {
  if (answer.state === "ended") {
    return step.call === "exit" || step.ret === null ? null : `the process ended: ${JSON.stringify(answer)}`;
  }
  if (answer.state !== "returned" || !("ret" in answer)) return `the call has not returned: ${JSON.stringify(answer)}`;
  const returned = answer as Returned;
  const errno = returned.errno;
  const wanted = step.errno === "EWOULDBLOCK" ? "EAGAIN" : step.errno === "ENOTSUP" ? "EOPNOTSUPP" : step.errno;
  if (errno !== wanted) return `errno ${String(errno)}, expected ${String(wanted)}`;
  const result = resultDifference(symbols, step, returned);
  if (result !== null) return result;
  for (const [name, expected] of Object.entries(step)) {
    if (expected === undefined || NO_OUTPUT.has(name)) continue;
    if (!Object.hasOwn(CHECKS, name)) return `nobody knows how to compare the output ${name}`;
    const told = CHECKS[name](symbols, expected, returned, step);
    if (told !== null) return `${name}: ${told}`;
  }
  return null;
}

/** Fields of a step that are no outputs, or that are compared elsewhere. */
const NO_OUTPUT = new Set(["as", "call", "args", "ret", "errno", "bind", "child", "blocked", "alt", "note", "maps"]);

function integer(value: Json | undefined): bigint | undefined {
  return typeof value === "number" || (typeof value === "string" && /^(-?\d+|0x[0-9a-f]+)$/.test(value)) ? BigInt(value) : undefined;
}

/** Calls whose result the recorder replaced by 0 or 1. */
export const NORMALISED = new Set(["getdents64", "inotify_read", "signalfd_read", "getcwd"]);

function resultDifference(symbols: Symbols, step: Step, answer: Returned): string | null {
  const actual = integer(answer.ret);
  if (actual === undefined) return `no number came back: ${JSON.stringify(answer.ret)}`;
  if (NORMALISED.has(step.call) && step.errno === null) {
    const wanted = BigInt(step.ret as number) === 0n;
    return step.call === "getdents64" && (actual === 0n) !== wanted ? `result ${actual}, expected ${String(step.ret)}` : null;
  }
  if (typeof step.bind === "string") {
    symbols.bind(step.bind, actual);
    if (typeof step.ret === "string") return null;
  }
  return symbols.matches(step.ret, actual) ? null : `result ${actual}, expected ${String(step.ret)}`;
}

type Check = (symbols: Symbols, expected: Value, answer: Returned, step: Step) => string | null;

const text = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? inner.toString() : inner)) ?? "nothing";

const same = (actual: unknown, expected: unknown): string | null => {
  const [a, b] = [text(actual), text(expected)];
  return a === b ? null : `${a}, expected ${b}`;
};

function bytesOf(json: Json | undefined): string {
  if (Array.isArray(json)) return Buffer.concat(json.map((part) => Buffer.from(bytesOf(part), "base64"))).toString("base64");
  if (typeof json === "object" && json !== null) {
    if ("mtext" in json) return bytesOf(json.mtext);
    return (json as { base64?: string }).base64 ?? "";
  }
  return "";
}

const KIND: { [type: string]: string } = { 1: "fifo", 2: "chr", 4: "dir", 6: "blk", 8: "reg", 10: "lnk", 12: "sock" };

/** The bytes of a scalar output as an unsigned little-endian number. */
function word(json: Json | undefined): bigint | undefined {
  const plain = integer(json);
  if (plain !== undefined) return plain;
  const bytes = Buffer.from(bytesOf(json), "base64");
  return bytes.length >= 8 ? bytes.readBigUInt64LE() : bytes.length >= 4 ? BigInt(bytes.readInt32LE()) : undefined;
}

function addressText(json: Json | undefined): string {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return "none";
  if ("sun_path" in json || json.sun_family === "AF_UNIX") return `unix:${(json.sun_path as string | undefined) ?? ""}`;
  if ("sin_addr" in json) return `inet:${json.sin_addr as string}:${json.sin_port as number}`;
  return "none";
}

const CHECKS: { [output: string]: Check } = {
  data_b64: (_symbols, expected, answer, step) => {
    // With MSG_TRUNC the result is longer than the buffer, and the recorder took that many bytes of its own.
    const { count } = step.args;
    const wanted = Buffer.from(expected as string, "base64");
    const shown = typeof count === "number" ? wanted.subarray(0, count) : wanted;
    return same(bytesOf(answer.buf ?? answer.iov ?? answer.msgp), shown.toString("base64"));
  },
  mtype: (_symbols, expected, answer) => same((answer.msgp as Fields | undefined)?.mtype, expected),
  stat: (symbols, expected, answer) => {
    const stat = answer.statbuf as Fields | undefined;
    if (stat === undefined) return "no statbuf came back";
    const { ino, mode, ...rest } = expected as { [field: string]: Value };
    if (ino !== undefined && !symbols.matchesInode(ino, String(stat.st_ino))) return `inode ${String(stat.st_ino)} is not ${String(ino)}`;
    if (mode !== undefined && Number(stat.st_mode) !== Number.parseInt(mode as string, 8)) return `mode 0${Number(stat.st_mode).toString(8)}, expected ${String(mode)}`;
    for (const [field, value] of Object.entries(rest)) {
      const told = same(stat[`st_${field}`], value);
      if (told !== null) return `${field} ${told}`;
    }
    return null;
  },
  entries: (_symbols, expected, answer) => {
    const entries = ((answer.dirp ?? []) as Fields[]).map(({ d_name, d_type }) => [d_name, KIND[String(d_type)] ?? String(d_type)] as [string, string]);
    return same(entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)), expected);
  },
  flags: (_symbols, expected, answer) => same(formatFlags(openFlags, Number(answer.ret)), formatFlags(openFlags, namedFlags(expected))),
  value: (_symbols, expected, answer) => {
    const actual = word(answer.optval ?? answer.arg ?? answer.buf);
    return actual === BigInt(expected as number) ? null : `${String(actual)}, expected ${String(expected)}`;
  },
  optlen: (_symbols, expected, answer) => same(answer.optlen, expected),
  status: (_symbols, expected, answer) => same(answer.status, expected),
  revents: (_symbols, expected, answer) => same(((answer.fds ?? []) as Fields[]).map(({ revents }) => revents), expected),
  ready: (symbols, expected, answer) =>
    same([answer.readfds ?? [], answer.writefds ?? [], answer.exceptfds ?? []],
      (expected as Value[][]).map((set) => set.map((fd) => Number(symbols.integer(fd))))),
  events: (_symbols, expected, answer) => {
    const events = ((answer.events ?? []) as Fields[]).map(({ events: names, data }) => [names, Number(data)] as [Json, number]);
    return same(events.sort((a, b) => a[1] - b[1]), expected);
  },
  fds: (_symbols, expected, answer) => same(answer.pipefd ?? answer.sv, expected),
  shm: (_symbols, expected, answer) => {
    const shm = answer.buf as { [field: string]: Json } | undefined;
    const { segsz, mode, nattch } = expected as { [field: string]: Value };
    const perm = shm?.shm_perm as Fields | undefined;
    return same([shm?.shm_segsz, Number(perm?.mode), shm?.shm_nattch], [segsz, Number.parseInt(mode as string, 8), nattch]);
  },
  offset_after: (_symbols, expected, answer) => same(Number(word(answer.offset)), expected),
  vec: (_symbols, expected, answer) => same([...Buffer.from(bytesOf(answer.vec), "base64")].map((byte) => byte & 1), expected),
  text: (_symbols, expected, answer) => {
    const path = Buffer.from(bytesOf(answer.buf), "base64").toString().replace(/\0.*$/s, "");
    return same(path.slice(path.lastIndexOf("/") + 1), expected);
  },
  addr: (symbols, expected, answer, step) => {
    if (step.call === "mmap" || typeof expected !== "string") return null;
    const actual = addressText(answer.addr ?? answer.src_addr);
    const [, host, port] = /^inet:(.*):(\$port\d+)$/.exec(expected) ?? [];
    if (host === undefined) return same(actual, expected);
    const [, ip, number] = /^inet:(.*):(\d+)$/.exec(actual) ?? [];
    return ip === host && symbols.matches(port, BigInt(number)) ? null : `${actual}, expected ${expected}`;
  },
  lock: (symbols, expected, answer) => {
    const lock = answer.arg as Fields | undefined;
    for (const [field, value] of Object.entries(expected as { [field: string]: Value })) {
      const name = field.startsWith("l_") ? field : `l_${field}`;
      const told = typeof value === "string" && value.startsWith("$")
        ? (symbols.matches(value, integer(lock?.[name]) ?? -1n) ? null : `is ${text(lock?.[name])}`)
        : same(lock?.[name], value);
      if (told !== null) return `${name} ${told}`;
    }
    return null;
  },
  inotify: (symbols, expected, answer) => {
    const events = inotifyEvents(Buffer.from(bytesOf(answer.buf), "base64"));
    const wanted = expected as Value[];
    if (events.length !== wanted.length) return `${text(events)}, expected ${text(wanted)}`;
    for (const [at, event] of wanted.entries()) {
      const told = inotifyDifference(symbols, events[at], event);
      if (told !== null) return `event ${at} is ${text(events[at])}, expected ${text(event)}: ${told}`;
    }
    return null;
  },
  signals: (_symbols, expected, answer) => same(signalNames(answer), expected),
  signal: (_symbols, expected, answer) => same(answer.signal, expected),
  si_code: (_symbols, expected, answer) => same(answer.siCode, expected),
  fault_addr: (symbols, expected, answer) => {
    if (expected === "outside") return null;
    return symbols.matches(expected, BigInt(answer.faultAddr as string)) ? null : `${String(answer.faultAddr)}, expected ${String(expected)}`;
  },
  interval_ms: (_symbols, expected, answer) => same(milliseconds(answer.curr_value, "it_interval"), expected),
  armed: (_symbols, expected, answer) => same(milliseconds(answer.curr_value, "it_value") > 0, expected),
};

interface InotifyEvent {
  wd: number;
  mask: string;
  cookie: number;
  name: string;
}

/** The events that a read of an inotify descriptor gave. */
function inotifyEvents(bytes: Buffer): InotifyEvent[] {
  const events: InotifyEvent[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at + 12);
    events.push({
      wd: bytes.readInt32LE(at), mask: formatFlags(inotifyMask, bytes.readUInt32LE(at + 4)), cookie: bytes.readUInt32LE(at + 8),
      name: bytes.toString("utf8", at + 16, at + 16 + length).replace(/\0.*$/s, ""),
    });
    at += 16 + length;
  }
  return events;
}

/** Recorded as [wd, mask, name], [mask, name] or by field names; a cookie only tells whether there is one. */
function inotifyDifference(symbols: Symbols, event: InotifyEvent, expected: Value): string | null {
  const fields: { [field: string]: Value } = Array.isArray(expected)
    ? (expected.length === 2 ? { mask: expected[0], name: expected[1] } : { wd: expected[0], mask: expected[1], name: expected[expected.length - 1] })
    : (expected as { [field: string]: Value });
  for (const [field, value] of Object.entries(fields)) {
    switch (field) {
      case "wd":
        if (!symbols.matches(value, BigInt(event.wd))) return "another wd";
        break;
      case "mask":
        if ([...event.mask.split("|")].sort().join("|") !== String(value).split("|").sort().join("|")) return "another mask";
        break;
      case "cookie":
        if ((event.cookie !== 0) !== (value !== 0 && value !== false && value !== null)) return "a cookie, or none";
        break;
      case "name":
        if (event.name !== (value ?? "")) return "another name";
        break;
      default: return `the field ${field} is unknown`;
    }
  }
  return null;
}

/** The signals that a read of a signalfd gave, 128 bytes each. */
function signalNames(answer: Returned): string[] {
  const bytes = Buffer.from(bytesOf(answer.buf), "base64");
  return Array.from({ length: Math.floor(bytes.length / 128) }, (_, at) => signalName(bytes.readUInt32LE(at * 128)));
}

function milliseconds(json: Json | undefined, field: string): number {
  const spec = (json as { [field: string]: { tv_sec: number; tv_nsec: number } } | undefined)?.[field];
  return spec === undefined ? Number.NaN : spec.tv_sec * 1000 + spec.tv_nsec / 1e6;
}

function namedFlags(expected: Value): number {
  const flags = openFlags.flags;
  const modes = openFlags.choices?.values ?? {};
  return String(expected).split("|").reduce((all, name) => all | (flags[name] ?? modes[name] ?? Number(name)), 0);
}
