/** Socket addresses as bytes: sockaddr_in, sockaddr_in6, sockaddr_un. */
import { AF_INET, AF_INET6, AF_UNIX } from "./socket.ts";

/** `sin_addr` is a number in host order: 127.0.0.1 is 0x7f000001. */
export interface SockaddrIn { family: typeof AF_INET; port: number; addr: number }
export interface SockaddrIn6 { family: typeof AF_INET6; port: number; flowinfo: number; addr: Uint8Array; scopeId: number }
/** `path` is the name's bytes: empty is unnamed, a leading NUL is the abstract name space; a file's ends before its NUL. */
export interface SockaddrUn { family: typeof AF_UNIX; path: Uint8Array }
export type Sockaddr = SockaddrIn | SockaddrIn6 | SockaddrUn;

export const SOCKADDR_IN_SIZE = 16;
export const SOCKADDR_IN6_SIZE = 28;
export const SOCKADDR_UN_SIZE = 110;
export const UNIX_PATH_MAX = 108;
export const SOCKADDR_STORAGE_SIZE = 128;

/** The bytes of an address, as long as getsockname says that it is; a file's path is ended by a NUL. */
export function encodeSockaddr(address: Sockaddr): Uint8Array {
  if (address.family === AF_UNIX) {
    const { path } = address;
    const named = path.length > 0 && path[0] !== 0;
    const bytes = new Uint8Array(2 + path.length + (named ? 1 : 0));
    bytes[0] = AF_UNIX;
    bytes.set(path, 2);
    return bytes;
  }
  const bytes = new Uint8Array(address.family === AF_INET ? SOCKADDR_IN_SIZE : SOCKADDR_IN6_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, address.family, true);
  view.setUint16(2, address.port, false);
  if (address.family === AF_INET) view.setUint32(4, address.addr, false);
  else {
    view.setUint32(4, address.flowinfo, false);
    bytes.set(address.addr.subarray(0, 16), 8);
    view.setUint32(24, address.scopeId, true);
  }
  return bytes;
}

/** The address family of some bytes; undefined when there are fewer than two. */
export const sockaddrFamily = (bytes: Uint8Array): number | undefined => (bytes.length < 2 ? undefined : bytes[0]! | (bytes[1]! << 8));

/** The address in `bytes`; undefined when they are too short for their family, or the family is none of these. */
export function decodeSockaddr(bytes: Uint8Array): Sockaddr | undefined {
  const family = sockaddrFamily(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (family === AF_INET && bytes.length >= SOCKADDR_IN_SIZE) {
    return { family: AF_INET, port: view.getUint16(2, false), addr: view.getUint32(4, false) };
  }
  // As Linux: sin6_scope_id may be missing (SIN6_LEN_RFC2133).
  if (family === AF_INET6 && bytes.length >= 24) {
    return {
      family: AF_INET6,
      port: view.getUint16(2, false),
      flowinfo: view.getUint32(4, false),
      addr: bytes.slice(8, 24),
      scopeId: bytes.length >= SOCKADDR_IN6_SIZE ? view.getUint32(24, true) : 0,
    };
  }
  if (family === AF_UNIX && bytes.length <= SOCKADDR_UN_SIZE) {
    const path = bytes.slice(2);
    const end = path[0] === 0 ? path.length : path.indexOf(0);
    return { family: AF_UNIX, path: end < 0 ? path : path.subarray(0, end) };
  }
  return undefined;
}

/** "127.0.0.1" of an address in host order. */
export const formatIpv4 = (addr: number): string => `${addr >>> 24}.${(addr >>> 16) & 255}.${(addr >>> 8) & 255}.${addr & 255}`;

/** The address of four decimal parts, in host order; undefined if `text` is not that. */
export function parseIpv4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let addr = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    addr = addr * 256 + Number(part);
  }
  return addr;
}
