/** Message headers as arguments: msghdr and vectors of mmsghdr, with their buffers, addresses and control data. */
import { parseChoice } from "../abi/flags.ts";
import { formatFlags } from "../abi/flags.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import { SOCKADDR_STORAGE_SIZE } from "../abi/sockaddr.ts";
import {
  cmsghdrLayout, CMSG_ALIGN, CMSG_LEN, CMSG_SPACE, mmsghdrLayout, msgFlags, msghdrLayout, scmTypes, SCM_CREDENTIALS, SCM_RIGHTS,
  socketLevels, SOL_SOCKET, ucredLayout,
} from "../abi/socket.ts";
import type { Json } from "../input.ts";
import { getI32, putU32 } from "../lib/bytes.ts";
import { hex, readPointed, uint32, unsigned, type ArgType, type Block, type CallView } from "./args.ts";
import { toJson } from "./codec.ts";
import { BUFFER_LIMIT, bytesToJson, isObject, readBytes, readInteger } from "./json.ts";
import { sockaddrBytes, sockaddrJson, showSockaddr } from "./socket_args.ts";
import { showBytes } from "./strace.ts";
import { readVector, scatter, segmentsAt } from "./vectors.ts";

type Problem = (message: string) => void;

/** Room for control data when a receive names none. */
const CONTROL_ROOM = 256;
const HEADER = cmsghdrLayout.size;

/** The control data of `[{ level, type, fds }]`, `{ …, cred }` or `{ …, data }`. */
function controlBytes(value: Json, problem: Problem): Uint8Array {
  if (!Array.isArray(value)) {
    const raw = readBytes(value);
    if (raw instanceof Uint8Array) return raw;
    problem("msg_control takes an array of { level, type, fds } or bytes");
    return new Uint8Array(0);
  }
  const parts = value.map((item) => (isObject(item) ? cmsgBytes(item, problem) : undefined));
  if (parts.includes(undefined)) problem("msg_control takes an array of { level, type, fds }");
  const all = new Uint8Array(parts.reduce((sum, part) => sum + (part?.length ?? 0), 0));
  let at = 0;
  for (const part of parts) {
    all.set(part ?? [], at);
    at += part?.length ?? 0;
  }
  return all;
}

function named(value: Json | undefined, table: Parameters<typeof parseChoice>[0], fallback: number): number {
  const number = value === undefined ? fallback : typeof value === "string" ? parseChoice(table, value) : readInteger(value);
  return typeof number === "number" ? number : -1;
}

function cmsgBytes(item: { [key: string]: Json }, problem: Problem): Uint8Array {
  const data = cmsgData(item, problem);
  const bytes = new Uint8Array(CMSG_SPACE(data.length));
  const level = named(item.level, socketLevels, SOL_SOCKET);
  const type = named(item.type, scmTypes, "cred" in item ? SCM_CREDENTIALS : SCM_RIGHTS);
  bytes.set(encodeStruct(cmsghdrLayout, { cmsg_len: CMSG_LEN(data.length), cmsg_level: level, cmsg_type: type }));
  bytes.set(data, HEADER);
  return bytes;
}

function cmsgData(item: { [key: string]: Json }, problem: Problem): Uint8Array {
  if (Array.isArray(item.fds)) {
    const data = new Uint8Array(item.fds.length * 4);
    item.fds.forEach((fd, index) => {
      const number = readInteger(fd);
      if (typeof number === "number") putU32(data, index * 4, number);
      else problem("fds takes descriptors");
    });
    return data;
  }
  if (isObject(item.cred)) {
    const { pid = 0, uid = 0, gid = 0 } = item.cred;
    return encodeStruct(ucredLayout, { pid: readInteger(pid) ?? 0, uid: readInteger(uid) ?? 0, gid: readInteger(gid) ?? 0 });
  }
  const data = readBytes(item.data ?? "");
  if (!(data instanceof Uint8Array)) problem("takes fds, cred or data");
  return data instanceof Uint8Array ? data : new Uint8Array(0);
}

/** A block under a pointer field of a header. */
function point(block: Block, field: number, to: Block): void {
  if (to.bytes.length > 0 || (to.pointers ?? []).length > 0) block.pointers?.push({ at: field, to });
}

/** The fields of struct msghdr; lengths and counts are those of what is given, or of the room. */
const HEADER_FIELDS = ["msg_name", "msg_namelen", "msg_iov", "msg_iovlen", "msg_control", "msg_controllen", "msg_flags"];

/** Lays one header out: `out` for a receive, whose address and control data get room. */
function headerBlock(value: { [key: string]: Json }, out: boolean, problem: Problem): Block {
  const block: Block = { bytes: new Uint8Array(msghdrLayout.size), pointers: [] };
  const fields: { [field: string]: number } = {};
  for (const field of Object.keys(value)) if (!HEADER_FIELDS.includes(field)) problem(`msghdr has no field ${field.slice(0, 40)}`);
  const vector = readVector(value.msg_iov ?? [], problem);
  if (vector === undefined) problem("msg_iov takes an array of buffers");
  else {
    point(block, 16, vector);
    fields.msg_iovlen = vector.bytes.length / 16;
  }
  const name = nameBlock(value.msg_name, out, problem);
  if (name !== null) {
    point(block, 0, name);
    fields.msg_namelen = Number(readInteger(value.msg_namelen) ?? name.bytes.length);
  }
  const control = controlBlock(value, out, problem);
  if (control !== null) {
    point(block, 32, control);
    fields.msg_controllen = control.bytes.length;
  }
  block.bytes.set(encodeStruct(msghdrLayout, fields));
  return block;
}

function nameBlock(value: Json | undefined, out: boolean, problem: Problem): Block | null {
  if (value === null) return null;
  if (out) return { bytes: new Uint8Array(SOCKADDR_STORAGE_SIZE) };
  if (value === undefined) return null;
  const bytes = sockaddrBytes(value, problem);
  if (bytes === undefined) problem("msg_name takes a socket address");
  return bytes === undefined ? null : { bytes };
}

function controlBlock(value: { [key: string]: Json }, out: boolean, problem: Problem): Block | null {
  if (!out) return value.msg_control === undefined || value.msg_control === null ? null : { bytes: controlBytes(value.msg_control, problem) };
  const room = readInteger(value.msg_controllen ?? CONTROL_ROOM);
  if (typeof room !== "number" || room < 0 || room > BUFFER_LIMIT) problem("msg_controllen takes a count of bytes");
  return value.msg_control === null || room === 0 ? null : { bytes: new Uint8Array(Number(room ?? 0)) };
}

function pointer(name: string, kind: string, rest: Partial<ArgType> & Pick<ArgType, "decode" | "show">): ArgType {
  return { name, kind, optional: true, pointer: true, take: unsigned, ...rest };
}

function header(name: string, out: boolean): ArgType {
  return pointer(name, out ? "out-msghdr" : "msghdr", {
    decode(value, context) {
      if (value === undefined) return 0;
      const placed = readPointed(value, context, msghdrLayout.size);
      if (placed !== undefined) return placed;
      if (isObject(value)) return headerBlock(value, out, (message) => context.problem(message));
      context.problem("takes a msghdr, its bytes or a pointer");
      return 0;
    },
    show(register, view) {
      if (register === 0) return "NULL";
      const bytes = view.read(register, msghdrLayout.size);
      return bytes.length < msghdrLayout.size ? hex(register) : showHeader(bytes, view, resultOf(view));
    },
    ...(out ? { output: (register: number | bigint, view: CallView): Json | undefined => {
      const bytes = register === 0 || resultOf(view) < 0 ? new Uint8Array(0) : view.read(register, msghdrLayout.size);
      return bytes.length < msghdrLayout.size ? undefined : headerJson(bytes, view, resultOf(view));
    } } : {}),
  });
}

function resultOf(view: CallView): number {
  return typeof view.ret === "number" ? view.ret : -1;
}

/** What a receive left in a header and its buffers, of which `count` bytes were filled. */
function headerJson(bytes: Uint8Array, view: CallView, count: number): Json {
  const fields = decodeStruct(msghdrLayout, bytes);
  const segments = segmentsAt(fields.msg_iov, fields.msg_iovlen, view);
  const total = segments.reduce((sum, { len }) => sum + Number(len), 0);
  return {
    msg_name: sockaddrJson(view.read(fields.msg_name, Math.max(0, Math.min(fields.msg_namelen, SOCKADDR_STORAGE_SIZE)))),
    msg_iov: scatter(segments, view.returning(Math.min(count, total))) ?? [],
    msg_control: controlJson(view.read(fields.msg_control, controlLength(fields.msg_controllen))),
    msg_flags: formatFlags(msgFlags, fields.msg_flags), msg_flagsNumber: fields.msg_flags,
  };
}

/** Bytes of control data that are shown: no more than the kernel takes (optmem_max). */
const controlLength = (length: number | bigint): number => Math.min(Number(length), 20480);

/** Control data as a list. */
function controlJson(bytes: Uint8Array): Json[] {
  const list: Json[] = [];
  for (let at = 0; at + HEADER <= bytes.length;) {
    const { cmsg_len, cmsg_level: level, cmsg_type: type } = decodeStruct(cmsghdrLayout, bytes, at);
    const length = Number(cmsg_len);
    if (length < HEADER || length > bytes.length - at) break;
    const data = bytes.subarray(at + HEADER, at + length);
    if (level !== SOL_SOCKET || (type !== SCM_RIGHTS && type !== SCM_CREDENTIALS)) list.push({ level, type, data: bytesToJson(data) });
    else if (type === SCM_RIGHTS) list.push({ level: "SOL_SOCKET", type: "SCM_RIGHTS", fds: fdsIn(data) });
    else list.push({ level: "SOL_SOCKET", type: "SCM_CREDENTIALS", cred: data.length < ucredLayout.size ? null : toJson(decodeStruct(ucredLayout, data)) });
    at += CMSG_ALIGN(length);
  }
  return list;
}

function fdsIn(data: Uint8Array): number[] {
  return Array.from({ length: Math.floor(data.length / 4) }, (_, index) => getI32(data, index * 4));
}

/** A header as strace writes it; `count` bytes of its buffers matter. */
function showHeader(bytes: Uint8Array, view: CallView, count: number): string {
  const fields = decodeStruct(msghdrLayout, bytes);
  const name = fields.msg_name === 0 ? "NULL" : showSockaddr(view.read(fields.msg_name, Math.min(fields.msg_namelen, SOCKADDR_STORAGE_SIZE)));
  let left = count < 0 ? Infinity : count;
  const iov = segmentsAt(fields.msg_iov, fields.msg_iovlen, view).slice(0, 16).map(({ base, len }) => {
    const shown = Math.min(left, Number(len));
    left -= shown;
    return `{iov_base=${showBytes(view.read(base, Math.min(shown, 33)), shown, base)}, iov_len=${len}}`;
  });
  const control = fields.msg_controllen === 0 ? "" : `msg_control=[${showControl(view.read(fields.msg_control, controlLength(fields.msg_controllen)))}], `;
  return `{msg_name=${name}, msg_namelen=${fields.msg_namelen}, msg_iov=[${iov.join(", ")}], msg_iovlen=${fields.msg_iovlen}, `
    + `${control}msg_controllen=${fields.msg_controllen}, msg_flags=${formatFlags(msgFlags, fields.msg_flags)}}`;
}

function showControl(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at + HEADER <= bytes.length;) {
    const { cmsg_len, cmsg_level: level, cmsg_type: type } = decodeStruct(cmsghdrLayout, bytes, at);
    const length = Number(cmsg_len);
    if (length < HEADER || length > bytes.length - at) break;
    const data = bytes.subarray(at + HEADER, at + length);
    const shown = level === SOL_SOCKET && type === SCM_RIGHTS ? `cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[${fdsIn(data).join(", ")}]`
      : level === SOL_SOCKET && type === SCM_CREDENTIALS && data.length >= ucredLayout.size
        ? `cmsg_level=SOL_SOCKET, cmsg_type=SCM_CREDENTIALS, cmsg_data={${credText(data)}}`
        : `cmsg_level=${level}, cmsg_type=0x${type.toString(16)}`;
    parts.push(`{cmsg_len=${length}, ${shown}}`);
    at += CMSG_ALIGN(length);
  }
  return parts.join(", ");
}

function credText(data: Uint8Array): string {
  const { pid, uid, gid } = decodeStruct(ucredLayout, data);
  return `pid=${pid}, uid=${uid}, gid=${gid}`;
}

/** A msghdr to send. */
export function msghdrIn(name: string): ArgType {
  return header(name, false);
}

/** A msghdr to receive into; what came is returned under this name. */
export function msghdrOut(name: string): ArgType {
  return header(name, true);
}

/** Vectors of messages; each is `{ msg_hdr }` or a msghdr itself. */
function vector(name: string, out: boolean): ArgType {
  const entries = (register: number | bigint, view: CallView, count: number): Uint8Array[] => {
    const bytes = view.read(register, count * mmsghdrLayout.size);
    return Array.from({ length: Math.floor(bytes.length / mmsghdrLayout.size) }, (_, at) =>
      bytes.subarray(at * mmsghdrLayout.size, (at + 1) * mmsghdrLayout.size));
  };
  return pointer(name, out ? "out-mmsghdr" : "mmsghdr", {
    sizedBy: "vlen",
    decode(value, context) {
      if (value === undefined) return 0;
      if (!Array.isArray(value)) {
        const placed = readPointed(value, context);
        if (placed === undefined) context.problem("takes an array of msghdr, its bytes or a pointer");
        return placed ?? 0;
      }
      const block: Block = { bytes: new Uint8Array(value.length * mmsghdrLayout.size), pointers: [] };
      value.forEach((item, index) => {
        const given = isObject(item) && isObject(item.msg_hdr) ? item.msg_hdr : item;
        if (!isObject(given)) return context.problem(`[${index}] takes a msghdr`);
        const one = headerBlock(given, out, (message) => context.problem(`[${index}] ${message}`));
        block.bytes.set(one.bytes, index * mmsghdrLayout.size);
        for (const { at, to } of one.pointers ?? []) block.pointers?.push({ at: at + index * mmsghdrLayout.size, to });
      });
      return block;
    },
    show(register, view) {
      if (register === 0) return "NULL";
      const count = Math.min(resultOf(view) >= 0 ? resultOf(view) : uint32(view.reg("vlen")), 64);
      return `[${entries(register, view, count).map((bytes) => {
        const length = resultOf(view) < 0 ? -1 : getI32(bytes, 56);
        return `{msg_hdr=${showHeader(bytes, view, length)}${length < 0 ? "" : `, msg_len=${length}`}}`;
      }).join(", ")}]`;
    },
    ...(out ? { output: (register: number | bigint, view: CallView): Json | undefined =>
      (register === 0 || resultOf(view) < 0 ? undefined : entries(register, view, resultOf(view)).map((bytes) =>
        ({ msg_hdr: headerJson(bytes, view, getI32(bytes, 56)), msg_len: getI32(bytes, 56) }))) } : {}),
  });
}

export function mmsghdrsIn(name: string): ArgType {
  return vector(name, false);
}

export function mmsghdrsOut(name: string): ArgType {
  return vector(name, true);
}
