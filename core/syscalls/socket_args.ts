/** Socket addresses and options as arguments: from a caller's JSON to bytes and back, and as strace shows them. */
import { formatChoice, parseChoice } from "../abi/flags.ts";
import {
  decodeSockaddr, encodeSockaddr, formatIpv4, parseIpv4, SOCKADDR_STORAGE_SIZE, sockaddrFamily,
} from "../abi/sockaddr.ts";
import {
  addressFamilies, AF_INET, AF_UNIX, lingerLayout, SOL_SOCKET, SO_LINGER, SO_PEERCRED, SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD, ucredLayout,
} from "../abi/socket.ts";
import { decodeStruct, encodeStruct, type Layout } from "../abi/layout.ts";
import { timevalLayout } from "../abi/time.ts";
import { utf8Encode } from "../lib/bytes.ts";
import type { Json } from "../input.ts";
import { hex, int32, readPointer, showAddress, unsigned, type ArgType, type CallView, type DecodeContext } from "./args.ts";
import { padded, toJson } from "./codec.ts";
import { bytesToJson, isObject, readBytes, readInteger } from "./json.ts";
import { quote } from "./strace.ts";

type Problem = (message: string) => void;

function pointer(name: string, kind: string, rest: Partial<ArgType> & Pick<ArgType, "decode" | "show">): ArgType {
  return { name, kind, optional: true, pointer: true, take: unsigned, ...rest };
}

/** The bytes of `{ sin_family, sin_port, sin_addr }`, `{ sun_family, sun_path }` ("@name" is abstract) or raw bytes; undefined when it is none. */
export function sockaddrBytes(value: Json, problem: Problem): Uint8Array | undefined {
  const raw = readBytes(value);
  if (raw instanceof Uint8Array) return raw;
  if (!isObject(value)) return undefined;
  if ("sin_family" in value || "sin_port" in value || "sin_addr" in value) return inetBytes(value, problem);
  if ("sun_family" in value || "sun_path" in value) return unixBytes(value, problem);
  return undefined;
}

function familyOf(value: Json | undefined, fallback: number, problem: Problem): number {
  if (value === undefined) return fallback;
  const family = typeof value === "string" ? parseChoice(addressFamilies, value) : readInteger(value);
  if (typeof family !== "number") problem("has an unknown address family");
  return Number(family ?? 0);
}

function inetBytes(value: { [key: string]: Json }, problem: Problem): Uint8Array {
  const port = readInteger(value.sin_port ?? 0);
  const given = value.sin_addr ?? "0.0.0.0";
  const addr = typeof given === "string" && given.includes(".") ? parseIpv4(given) : readInteger(given);
  if (typeof port !== "number" || port < 0 || port > 0xffff) problem("sin_port takes a port, 0 to 65535");
  if (typeof addr !== "number" || addr < 0 || addr > 0xffff_ffff) problem("sin_addr takes an address such as \"127.0.0.1\"");
  const bytes = encodeSockaddr({ family: AF_INET, port: Number(port ?? 0) & 0xffff, addr: Number(addr ?? 0) >>> 0 });
  setFamily(bytes, familyOf(value.sin_family, AF_INET, problem));
  return bytes;
}

function unixBytes(value: { [key: string]: Json }, problem: Problem): Uint8Array {
  const { sun_path: given = "" } = value;
  let path: Uint8Array | string | undefined = readBytes(given);
  if (typeof given === "string" && given.startsWith("@")) path = utf8Encode(`\0${given.slice(1)}`);
  if (!(path instanceof Uint8Array)) problem("sun_path takes a path, or \"@name\"");
  const bytes = encodeSockaddr({ family: AF_UNIX, path: path instanceof Uint8Array ? path : new Uint8Array(0) });
  setFamily(bytes, familyOf(value.sun_family, AF_UNIX, problem));
  return bytes;
}

function setFamily(bytes: Uint8Array, family: number): void {
  bytes[0] = family & 255;
  bytes[1] = family >> 8;
}

/** An address as answers carry it; null when there is none. */
export function sockaddrJson(bytes: Uint8Array): Json {
  if (bytes.length === 0) return null;
  const decoded = decodeSockaddr(bytes);
  if (decoded?.family === AF_INET) return { sin_family: "AF_INET", sin_port: decoded.port, sin_addr: formatIpv4(decoded.addr) };
  if (decoded?.family !== AF_UNIX) return bytesToJson(bytes);
  const { path } = decoded;
  const text = bytesToJson(path[0] === 0 ? path.subarray(1) : path) as { base64: string; text?: string };
  if (text.text === undefined) return { sun_family: "AF_UNIX", sun_path: bytesToJson(path) };
  return { sun_family: "AF_UNIX", sun_path: path[0] === 0 ? `@${text.text}` : text.text };
}

/** An address as strace writes it. */
export function showSockaddr(bytes: Uint8Array): string {
  const family = sockaddrFamily(bytes);
  if (family === undefined) return "NULL";
  const decoded = decodeSockaddr(bytes);
  if (decoded?.family === AF_INET) {
    return `{sa_family=AF_INET, sin_port=htons(${decoded.port}), sin_addr=inet_addr("${formatIpv4(decoded.addr)}")}`;
  }
  if (decoded?.family === AF_UNIX) {
    const { path } = decoded;
    if (path.length === 0) return "{sa_family=AF_UNIX}";
    return `{sa_family=AF_UNIX, sun_path=${path[0] === 0 ? `@${quote(path.subarray(1))}` : quote(path)}}`;
  }
  return `{sa_family=${formatChoice(addressFamilies, family)}, sa_data=${quote(bytes.subarray(2, 16))}}`;
}

/** A sockaddr that the call reads, as long as the argument `sizedBy` says or as its bytes are. */
export function sockaddrIn(name: string, sizedBy = "addrlen"): ArgType {
  return pointer(name, "sockaddr", {
    sizedBy,
    decode(value, context) {
      if (value === undefined) return 0;
      const bytes = sockaddrBytes(value, (message) => context.problem(message));
      if (bytes !== undefined) return { bytes: padded(bytes, addrlenGiven(context, sizedBy)) };
      const placed = readPointer(value);
      if (placed === undefined) context.problem("takes a socket address, bytes or a pointer");
      return placed ?? 0;
    },
    show(register, view) {
      if (register === 0) return "NULL";
      const length = int32(view.reg(sizedBy));
      return length <= 0 ? hex(register) : showSockaddr(view.read(register, Math.min(length, SOCKADDR_STORAGE_SIZE)));
    },
  });
}

/** The length that the caller names, as far as a sockaddr reaches: the address is filled up with zeros to it. */
function addrlenGiven(context: DecodeContext, name: string): number {
  const length = readInteger(context.given[name]);
  return typeof length === "number" && length > 0 && length <= SOCKADDR_STORAGE_SIZE ? length : 0;
}

/** The length of an address that the call reads; left out, that of the bytes given. */
export function addrlenIn(name: string, of: string): ArgType {
  return {
    name, kind: "int", optional: true, pointer: false, sizedBy: of,
    decode(value, context) {
      const given = context.placed(of);
      if (value === undefined) return typeof given === "object" && "bytes" in given ? given.bytes.length : 0;
      const length = readInteger(value);
      if (length === undefined) context.problem("takes an integer");
      return length ?? 0;
    },
    take: int32,
    show: (register) => String(int32(register)),
  };
}

/** Room for an address that the call writes; left out, it is returned under this name. */
export function sockaddrOut(name: string, sizedBy: string): ArgType {
  const told = (register: number | bigint, view: CallView): Uint8Array => {
    const length = lengthAt(view, sizedBy);
    return register === 0 || length <= 0 ? new Uint8Array(0) : view.read(register, Math.min(length, SOCKADDR_STORAGE_SIZE));
  };
  return pointer(name, "out-sockaddr", {
    sizedBy,
    decode(value, context) {
      if (value === undefined) return { room: SOCKADDR_STORAGE_SIZE };
      const placed = readPointer(value);
      if (placed === undefined) context.problem("takes a pointer; leave it out to have the address returned");
      return placed ?? 0;
    },
    show(register, view) {
      if (register === 0) return "NULL";
      return failed(view) ? hex(register) : showSockaddr(told(register, view));
    },
    output: (register, view) => (register === 0 || failed(view) ? undefined : sockaddrJson(told(register, view))),
  });
}

const failed = (view: CallView): boolean => typeof view.ret === "number" && view.ret < 0;

/** The int behind a pointer argument after the call. */
function lengthAt(view: CallView, name: string): number {
  const bytes = view.read(view.reg(name), 4);
  return bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0, true);
}

/** A length by pointer, room in and true length out; left out, all the room there is. */
export function addrlenInOut(name: string, of = "addr", room = SOCKADDR_STORAGE_SIZE): ArgType {
  return pointer(name, "inout-integer", {
    decode(value, context) {
      if (value === null) return 0;
      if (isObject(value)) {
        const placed = readPointer(value);
        if (placed === undefined) context.problem("takes an integer or a pointer");
        return placed ?? 0;
      }
      // A NULL address goes with a NULL length.
      if (value === undefined && context.given[of] === null) return 0;
      const length = value === undefined ? room : readInteger(value);
      if (length === undefined) context.problem("takes an integer");
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setInt32(0, Number(length ?? 0), true);
      return { bytes };
    },
    show: (register, view) => (register === 0 ? "NULL" : `[${lengthAt(view, name)}]`),
    output: (register, view) => (register === 0 || failed(view) ? undefined : lengthAt(view, name)),
  });
}

/** Structures that options carry, by the name of a field of theirs. */
const structures: readonly [string, Layout][] = [["l_onoff", lingerLayout], ["tv_sec", timevalLayout], ["pid", ucredLayout]];

/** The value of an option that is set: an int, a structure, or bytes. */
export function optvalIn(name: string, sizedBy: string): ArgType {
  return pointer(name, "bytes", {
    sizedBy,
    decode(value, context) {
      if (value === undefined || value === null) return 0;
      const raw = readBytes(typeof value === "number" ? { [value < 0 ? "i32" : "u32"]: value } : value);
      if (raw instanceof Uint8Array) return { bytes: raw };
      const structure = isObject(value) ? structures.find(([field]) => field in value) : undefined;
      if (structure !== undefined) {
        const fields = Object.fromEntries(Object.entries(value).map(([field, one]) => [field, readInteger(one) ?? 0]));
        return { bytes: encodeStruct(structure[1], fields) };
      }
      const placed = readPointer(value);
      if (placed === undefined) context.problem("takes an integer, a structure, bytes or a pointer");
      return placed ?? 0;
    },
    show(register, view) {
      const length = int32(view.reg(sizedBy));
      if (register === 0) return "NULL";
      return length === 4 ? `[${lengthAt(view, name)}]` : length > 0 ? quote(view.read(register, Math.min(length, 64))) : showAddress(register);
    },
  });
}

/** Room for an option that is read; left out, its value is returned: an int, a structure, or bytes. */
export function optvalOut(name: string, sizedBy: string): ArgType {
  const decoded = (register: number | bigint, view: CallView): Json => {
    const bytes = view.read(register, Math.max(0, Math.min(lengthAt(view, sizedBy), OPTVAL_ROOM)));
    if (int32(view.reg("level")) === SOL_SOCKET) {
      const layout = structureOf(int32(view.reg("optname")));
      if (layout !== undefined && bytes.length === layout.size) return toJson(decodeStruct(layout, bytes));
    }
    return bytes.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0, true) : bytesToJson(bytes);
  };
  return pointer(name, "out-value", {
    sizedBy,
    decode(value, context) {
      if (value === undefined) return { room: OPTVAL_ROOM };
      const placed = readPointer(value);
      if (placed === undefined) context.problem("takes a pointer; leave it out to have the value returned");
      return placed ?? 0;
    },
    show(register, view) {
      if (register === 0) return "NULL";
      if (failed(view)) return hex(register);
      const value = decoded(register, view);
      return typeof value === "number" ? `[${value}]` : quote(view.read(register, Math.min(lengthAt(view, sizedBy), 64)));
    },
    output: (register, view) => (register === 0 || failed(view) ? undefined : decoded(register, view)),
  });
}

/** Room for any option, TCP_INFO included. */
export const OPTVAL_ROOM = 256;

function structureOf(option: number): Layout | undefined {
  if (option === SO_LINGER) return lingerLayout;
  if (option === SO_PEERCRED) return ucredLayout;
  return option === SO_RCVTIMEO_OLD || option === SO_SNDTIMEO_OLD ? timevalLayout : undefined;
}
