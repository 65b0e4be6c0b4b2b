/** Arguments of the calls around files: ioctl's and fcntl's third, sets of descriptors, pollfds, events, directory entries. */
import { decodeDirents } from "../abi/dirent.ts";
import { MKDEV, newDecodeDev, newEncodeDev } from "../abi/dev_t.ts";
import { epollEventLayout, epollEvents, pollEvents, pollfdLayout } from "../abi/epoll.ts";
import {
  F_ADD_SEALS, F_DUPFD, F_DUPFD_CLOEXEC, F_GETLK, F_GETOWN_EX, F_NOTIFY, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_SETFD, F_SETFL,
  F_SETLK, F_SETLKW, F_SETOWN_EX, F_SETPIPE_SZ, F_SETSIG, fcntlCommands, fdFlags, lockTypes, notifyFlags, openFlags, ownerTypes, sealFlags, whence,
} from "../abi/fcntl.ts";
import { formatChoice, formatFlags, parseChoice, parseFlags, type FlagTable } from "../abi/flags.ts";
import { flockLayout, fOwnerExLayout } from "../abi/flock.ts";
import { formatIoctl, ioctlRequests } from "../abi/ioctl.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import { formatSigSet, signalNumber } from "../abi/signal.ts";
import type { Json } from "../input.ts";
import { getI64, getU64, putU64, utf8DecodeLossy } from "../lib/bytes.ts";
import {
  choice, hex, int32, readPointed, readPointer, showAddress, uint32, unsigned, type ArgType, type Block, type CallView, type DecodeContext, type Placed,
} from "./args.ts";
import { padded, toJson, type Codec } from "./codec.ts";
import { BUFFER_LIMIT, bytesToJson, isObject, readBytes, readInteger, readReference } from "./json.ts";
import { showBytes, showDevice } from "./strace.ts";
import { scalarInOut } from "./vectors.ts";

export function pointer(name: string, kind: string, rest: Partial<ArgType> & Pick<ArgType, "decode" | "show">): ArgType {
  return { name, kind, optional: true, pointer: true, take: unsigned, ...rest };
}

const failed = (view: CallView): boolean => typeof view.ret === "number" && view.ret < 0;

/** Bytes that go and come by a pointer argument such as ioctl's: at least these are laid out. */
const POINTED_BYTES = 64;

/** `{ in }`, `{ out: n }` or `{ inout }`: what lies behind a pointer; undefined when the value is none of these. */
function pointed(value: Json | undefined, problem: (message: string) => void): Block | { room: number } | undefined {
  if (!isObject(value)) return undefined;
  if ("out" in value && !("at" in value)) {
    const room = readInteger(value.out);
    if (typeof room !== "number" || room < 0 || room > BUFFER_LIMIT) {
      problem("out takes a count of bytes");
      return { room: POINTED_BYTES };
    }
    return { room: Math.max(room, POINTED_BYTES) };
  }
  const given = "in" in value ? value.in : "inout" in value ? value.inout : value;
  const bytes = readBytes(given);
  if (bytes instanceof Uint8Array) return { bytes: padded(bytes, POINTED_BYTES) };
  if (bytes !== undefined || "in" in value || "inout" in value) problem(bytes ?? "in and inout take bytes");
  return bytes === undefined && !("in" in value) && !("inout" in value) ? undefined : { bytes: new Uint8Array(POINTED_BYTES) };
}

/** A number by value, a pointer, or what lies behind one. */
function valueOrPointed(value: Json | undefined, context: DecodeContext): Placed {
  if (value === undefined || value === null) return 0;
  const behind = pointed(value, (message) => context.problem(message));
  if (behind !== undefined) return behind;
  const placed = readPointer(value) ?? readInteger(value) ?? readReference(value);
  if (placed === undefined) context.problem("takes an integer, a pointer, { in }, { out } or { inout }");
  return placed ?? 0;
}

/** ioctl's request: its name, or its number. */
export function ioctlRequest(name: string): ArgType {
  return { ...choice(name, ioctlRequests), take: uint32, show: (register) => formatIoctl(uint32(register)) };
}

/** ioctl's third argument; what lies behind a pointer that we laid out is returned. */
export function ioctlArg(name: string): ArgType {
  return pointer(name, "value-or-bytes", {
    decode: valueOrPointed,
    // As strace: the argument of a request that it does not know is a number, which may be 0.
    show: (register, view) => (register === 0 && formatIoctl(uint32(view.reg("request"))).startsWith("_IOC(") ? "0" : showAddress(register)),
    output(register, view) {
      const { scratch } = view.task;
      if (failed(view) || scratch === null || typeof register !== "number" || register < scratch.base) return undefined;
      const bytes = view.read(register, scratch.bytes.length);
      return bytes.length === 0 ? undefined : bytesToJson(bytes);
    },
  });
}

const flockCommands = [F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW];
/** Flags that fcntl's argument is, by command. */
const flagCommands: { [cmd: number]: FlagTable } = { [F_SETFD]: fdFlags, [F_SETFL]: openFlags, [F_ADD_SEALS]: sealFlags, [F_NOTIFY]: notifyFlags };
const integerCommands = [F_DUPFD, F_DUPFD_CLOEXEC, F_SETPIPE_SZ];

function encodeFlock(value: { [key: string]: Json }, problem: (message: string) => void): Uint8Array {
  const field = (name: string, names?: typeof whence): number | bigint => {
    const given = value[name];
    if (given === undefined) return 0;
    const number = typeof given === "string" && names !== undefined ? parseChoice(names, given) : readInteger(given);
    if (number === undefined) problem(`${name} takes an integer`);
    return number ?? 0;
  };
  if (!onlyHas(value, Object.keys(flockLayout.fields))) problem("takes l_type, l_whence, l_start, l_len and l_pid");
  return encodeStruct(flockLayout, {
    l_type: field("l_type", lockTypes), l_whence: field("l_whence", whence), l_start: field("l_start"), l_len: field("l_len"), l_pid: field("l_pid"),
  });
}

function flockJson(bytes: Uint8Array): Json {
  const { l_type, l_whence, l_start, l_len, l_pid } = decodeStruct(flockLayout, bytes);
  return { l_type: formatChoice(lockTypes, l_type), l_whence: formatChoice(whence, l_whence), l_start: toJson(l_start), l_len: toJson(l_len), l_pid };
}

function showFlock(bytes: Uint8Array): string {
  const { l_type, l_whence, l_start, l_len, l_pid } = decodeStruct(flockLayout, bytes);
  return `{l_type=${formatChoice(lockTypes, l_type)}, l_whence=${formatChoice(whence, l_whence)}, l_start=${l_start}, l_len=${l_len}, l_pid=${l_pid}}`;
}

function ownerJson(bytes: Uint8Array): Json {
  const { type, pid } = decodeStruct(fOwnerExLayout, bytes);
  return { type: formatChoice(ownerTypes, type), pid };
}

/** fcntl's argument, by its command: flags by name, a struct flock or f_owner_ex, a signal, a number. */
export function fcntlArg(name: string, commandName: string): ArgType {
  const commandOf = (context: DecodeContext): number => {
    const given = context.given[commandName];
    const number = typeof given === "string" ? parseChoice(fcntlCommands, given) : given;
    return typeof number === "number" ? number : -1;
  };
  return pointer(name, "value-or-struct", {
    decode(value, context) {
      const cmd = commandOf(context);
      const owner = cmd === F_GETOWN_EX || cmd === F_SETOWN_EX;
      if (value === undefined && owner) return { room: fOwnerExLayout.size };
      if (typeof value === "string") {
        const table = flagCommands[cmd];
        const number = (table === undefined ? undefined : parseFlags(table, value)) ?? (cmd === F_SETSIG ? signalNumber(value) : undefined)
          ?? readInteger(value);
        if (number === undefined) context.problem(`has an unknown name in ${JSON.stringify(value.slice(0, 80))}`);
        return number ?? 0;
      }
      if (isObject(value) && flockCommands.includes(cmd) && Object.keys(value).some((key) => key.startsWith("l_"))) {
        return { bytes: encodeFlock(value, (message) => context.problem(message)) };
      }
      if (isObject(value) && owner && "pid" in value) {
        const type = typeof value.type === "string" ? parseChoice(ownerTypes, value.type) : readInteger(value.type ?? 0);
        return { bytes: encodeStruct(fOwnerExLayout, { type: type ?? 0, pid: readInteger(value.pid) ?? 0 }) };
      }
      return valueOrPointed(value, context);
    },
    show(register, view) {
      const cmd = int32(view.reg(commandName));
      if (flockCommands.includes(cmd)) {
        const bytes = view.read(register, flockLayout.size);
        return bytes.length < flockLayout.size ? showAddress(register) : showFlock(bytes);
      }
      const table = flagCommands[cmd];
      if (table !== undefined) return formatFlags(table, uint32(register));
      return integerCommands.includes(cmd) ? String(int32(register)) : hex(register);
    },
    output(register, view) {
      if (failed(view) || typeof register !== "number") return undefined;
      const cmd = int32(view.reg(commandName));
      if (cmd === F_GETLK || cmd === F_OFD_GETLK) return flockJson(view.read(register, flockLayout.size));
      return cmd === F_GETOWN_EX ? ownerJson(view.read(register, fOwnerExLayout.size)) : undefined;
    },
  });
}

/** struct pollfd: events by name or number; what came back by name. */
export const pollfd: Codec & { size: number } = {
  name: "pollfd", size: pollfdLayout.size, fields: { fd: "integer", events: "flags", eventsNumber: "integer", revents: "flags", reventsNumber: "integer" },
  room: () => pollfdLayout.size,
  length: () => pollfdLayout.size,
  encode(value, problem) {
    const raw = readBytes(value);
    if (raw instanceof Uint8Array && raw.length === pollfdLayout.size) return raw;
    if (!isObject(value) || raw !== undefined || !onlyHas(value, ["fd", "events", "eventsNumber", "revents", "reventsNumber"])) {
      problem(`takes { fd, events }, or its ${pollfdLayout.size} bytes`);
      return new Uint8Array(pollfdLayout.size);
    }
    return encodeStruct(pollfdLayout, { fd: readInteger(value.fd ?? 0) ?? 0, events: readEvents(pollEvents, value.events, problem) });
  },
  decode(bytes) {
    const { fd, events, revents } = decodeStruct(pollfdLayout, bytes);
    return {
      fd, events: formatFlags(pollEvents, events & 0xffff), eventsNumber: events & 0xffff,
      revents: formatFlags(pollEvents, revents & 0xffff), reventsNumber: revents & 0xffff,
    };
  },
  show(bytes) {
    const { fd, events } = decodeStruct(pollfdLayout, bytes);
    return `{fd=${fd}, events=${formatFlags(pollEvents, events & 0xffff)}}`;
  },
};

/** How strace writes what poll(2) returned: the descriptors that are ready. */
export function showReady(ret: number | bigint, view: CallView): string {
  if (ret === 0) return "0 (Timeout)";
  const bytes = view.read(view.reg("fds"), Math.min(uint32(view.reg("nfds")), 4096) * pollfdLayout.size);
  const ready: string[] = [];
  for (let at = 0; at + pollfdLayout.size <= bytes.length; at += pollfdLayout.size) {
    const { fd, revents } = decodeStruct(pollfdLayout, bytes.subarray(at, at + pollfdLayout.size));
    if (revents !== 0) ready.push(`{fd=${fd}, revents=${formatFlags(pollEvents, revents & 0xffff)}}`);
  }
  return `${ret} ([${ready.slice(0, 32).join(", ")}${ready.length > 32 ? ", ..." : ""}])`;
}

function onlyHas(value: { [name: string]: Json }, names: string[]): boolean {
  return Object.keys(value).every((name) => names.includes(name));
}

function readEvents(table: FlagTable, value: Json | undefined, problem: (message: string) => void): number {
  if (value === undefined) return 0;
  const number = typeof value === "string" ? parseFlags(table, value) : readInteger(value);
  if (typeof number !== "number") problem("events takes flag names or a number");
  return typeof number === "number" ? number : 0;
}

/** struct epoll_event. */
export const epollEvent: Codec & { size: number } = {
  name: "epoll_event", size: epollEventLayout.size, fields: { events: "flags", eventsNumber: "integer", data: "integer" },
  room: () => epollEventLayout.size,
  length: () => epollEventLayout.size,
  encode(value, problem) {
    const raw = readBytes(value);
    if (raw instanceof Uint8Array && raw.length >= epollEventLayout.size) return raw;
    if (!isObject(value) || raw !== undefined || !onlyHas(value, ["events", "eventsNumber", "data"])) {
      problem(`takes { events, data }, or its ${epollEventLayout.size} bytes`);
      return new Uint8Array(epollEventLayout.size);
    }
    const data = readInteger(value.data ?? 0);
    if (data === undefined) problem("data takes an integer");
    return encodeStruct(epollEventLayout, { events: readEvents(epollEvents, value.events, problem), data: data ?? 0 });
  },
  decode(bytes) {
    const { events, data } = decodeStruct(epollEventLayout, bytes);
    return { events: formatFlags(epollEvents, events), eventsNumber: events, data: toJson(data) };
  },
  show(bytes) {
    const { events, data } = decodeStruct(epollEventLayout, bytes);
    return `{events=${formatFlags(epollEvents, events)}, data=${data}}`;
  },
};

/** A C library's fd_set: 1,024 descriptors. */
const FD_SET_BYTES = 128;
/** Bytes of an fd_set for `nfds` descriptors: words of 64. */
const fdSetBytes = (nfds: number): number => Math.ceil(Math.max(0, Math.min(nfds, 1 << 20)) / 64) * 8;

/** select's sets: `[fd, …]`, changed by the call and returned. */
export function fdSet(name: string, countedBy: string): ArgType {
  const members = (register: number | bigint, view: CallView): number[] => {
    const fds: number[] = [];
    const bytes = view.read(register, fdSetBytes(int32(view.reg(countedBy))));
    for (let fd = 0; fd < bytes.length * 8; fd++) if ((bytes[fd >> 3] >> (fd & 7) & 1) === 1) fds.push(fd);
    return fds;
  };
  return pointer(name, "fd-set", {
    sizedBy: countedBy,
    decode(value, context) {
      if (value === undefined) return 0;
      if (!Array.isArray(value)) {
        const placed = readPointed(value, context, FD_SET_BYTES);
        if (placed === undefined) context.problem("takes an array of descriptors, its bytes or a pointer");
        return placed ?? 0;
      }
      const nfds = readInteger(context.given[countedBy] ?? 0);
      const fds = value.map((item) => readInteger(item));
      const highest = fds.reduce<number>((most, fd) => (typeof fd === "number" && fd > most ? fd : most), -1);
      const bytes = new Uint8Array(Math.max(FD_SET_BYTES, fdSetBytes(typeof nfds === "number" ? nfds : 0), fdSetBytes(highest + 1)));
      for (const fd of fds) {
        if (typeof fd !== "number" || fd < 0 || fd >= bytes.length * 8) context.problem("takes descriptors");
        else bytes[fd >> 3] |= 1 << (fd & 7);
      }
      return { bytes };
    },
    show: (register, view) => (register === 0 ? "NULL" : `[${members(register, view).join(" ")}]`),
    output: (register, view) => (register === 0 || failed(view) ? undefined : members(register, view)),
  });
}

/** A signal mask: `["SIGUSR1", …]`, a number, or NULL when left out. */
export function sigsetIn(name: string): ArgType {
  return pointer(name, "sigset", {
    decode(value, context) {
      if (value === undefined) return 0;
      if (!Array.isArray(value)) {
        const placed = readPointed(value, context, 8);
        if (placed === undefined) context.problem("takes an array of signals, its bytes or a pointer");
        return placed ?? 0;
      }
      let mask = 0n;
      for (const item of value) {
        const number = typeof item === "string" ? signalNumber(item) : typeof item === "number" ? item : undefined;
        if (number === undefined || number < 1 || number > 64) context.problem(`has no such signal: ${JSON.stringify(item)?.slice(0, 80)}`);
        else mask |= 1n << BigInt(number - 1);
      }
      const bytes = new Uint8Array(8);
      putU64(bytes, 0, mask);
      return { bytes };
    },
    show(register, view) {
      if (register === 0) return "NULL";
      const bytes = view.read(register, 8);
      return bytes.length < 8 ? showAddress(register) : formatSigSet(BigInt(getU64(bytes, 0)));
    },
  });
}

/** The size that goes with a signal mask; 8 when left out. */
export function sigsetSize(name: string): ArgType {
  return {
    name, kind: "size", optional: true, pointer: false, take: unsigned,
    decode(value, context) {
      const number = value === undefined ? 8 : readInteger(value);
      if (number === undefined) context.problem("takes a count of bytes");
      return number ?? 0;
    },
    show: (register) => String(unsigned(register)),
  };
}

/** A device number: `{ major, minor }`, or as user space packs it. */
export function deviceNumber(name: string): ArgType {
  return {
    name, kind: "dev_t", optional: true, pointer: false, take: (register) => newDecodeDev(uint32(register)),
    decode(value, context) {
      if (value === undefined) return 0;
      if (isObject(value) && "major" in value) {
        const [major, minor] = [readInteger(value.major), readInteger(value.minor ?? 0)];
        if (typeof major === "number" && typeof minor === "number") return newEncodeDev(MKDEV(major, minor));
      }
      const number = readInteger(value) ?? readReference(value);
      if (number === undefined) context.problem("takes { major, minor } or an integer");
      return number ?? 0;
    },
    show: (register) => {
      const dev = newDecodeDev(uint32(register));
      return dev === 0 ? "0" : showDevice(dev);
    },
  };
}

/** Room for directory entries, returned as `[{ d_ino, d_off, d_type, d_name }]`. */
export function direntsOut(name: string, sizedBy: string): ArgType {
  return pointer(name, "out-array", {
    sizedBy,
    decode(value, context) {
      if (value === undefined) {
        const room = readInteger(context.given[sizedBy] ?? 0);
        return { room: typeof room === "number" && room >= 0 && room <= BUFFER_LIMIT ? room : BUFFER_LIMIT };
      }
      const placed = readPointer(value);
      if (placed === undefined) context.problem("takes a pointer; leave it out to have the entries returned");
      return placed ?? 0;
    },
    show(register, view) {
      const count = typeof view.ret === "number" && view.ret > 0 ? decodeDirents(view.read(register, view.ret)).length : 0;
      return failed(view) || register === 0 ? showAddress(register) : `${hex(register)} /* ${count} entries */`;
    },
    output(register, view) {
      if (failed(view) || register === 0) return undefined;
      return decodeDirents(view.read(register, Number(view.ret))).map(({ d_ino, d_off, d_type, d_name }) => ({
        d_ino: toJson(d_ino), d_off: toJson(d_off), d_type, d_name: utf8DecodeLossy(d_name),
      }));
    },
  });
}

/** One of several structures of one layout in a row, `[a, b]`: utimensat's and utimes' times. */
export function structPair(name: string, codec: Codec): ArgType {
  return pointer(name, "array", {
    codec,
    decode(value, context) {
      if (value === undefined) return 0;
      if (!Array.isArray(value)) {
        const placed = readPointed(value, context, 2 * codec.room(context));
        if (placed === undefined) context.problem(`takes two of struct ${codec.name}, their bytes or a pointer`);
        return placed ?? 0;
      }
      const parts = value.slice(0, 2).map((item, at) => codec.encode(item, (message) => context.problem(`[${at}] ${message}`)));
      const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
      parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
      return { bytes };
    },
    show(register, view) {
      if (register === 0) return "NULL";
      const size = codec.length(view);
      const bytes = view.read(register, 2 * size);
      return bytes.length < 2 * size ? showAddress(register) : `[${codec.show(bytes.subarray(0, size), view)}, ${codec.show(bytes.subarray(size), view)}]`;
    },
  });
}

/** A file position by pointer that the call moves (sendfile's offset): `{ "i64": n }`; NULL when left out. Returned even by a call that fails. */
export function positionInOut(name: string): ArgType {
  const scalar = scalarInOut(name, "i64");
  return {
    ...scalar,
    output(register, view) {
      const bytes = register === 0 ? view.read(0, 0) : view.read(register, 8);
      return bytes.length < 8 ? undefined : toJson(getI64(bytes, 0));
    },
  };
}

/** A string that a call writes whose result counts its bytes (readlink, getcwd): returned as text. */
export function textOut(name: string, sizedBy: string): ArgType {
  return pointer(name, "out-bytes", {
    sizedBy,
    decode(value, context) {
      if (value === undefined) {
        const room = readInteger(context.given[sizedBy] ?? 0);
        return { room: typeof room === "number" && room >= 0 && room <= 65536 ? room : 65536 };
      }
      const placed = readPointer(value);
      if (placed === undefined) context.problem("takes a pointer; leave it out to have the text returned");
      return placed ?? 0;
    },
    show(register, view) {
      const count = typeof view.ret === "number" && view.ret > 0 ? view.ret : 0;
      return count === 0 ? showAddress(register) : showBytes(view.read(register, 33), count, register);
    },
    output: (register, view) => (failed(view) || register === 0 ? undefined : bytesToJson(view.read(register, Number(view.ret)))),
  });
}
