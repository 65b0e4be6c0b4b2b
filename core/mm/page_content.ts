/** What a page holds, stored by need: nothing while it is all zero, a few bytes one by one, all 4096 beyond. */
import { PAGE_SIZE } from "../abi/limits.ts";
import { copyBytes } from "../lib/bytes.ts";

export interface PageContent {
  /** All bytes; null while there is nothing, or only `few`. */
  bytes: Uint8Array | null;
  /** The bytes that are not zero, in the order in which they came, each as offset * 256 + value; null for none, or when `bytes` has them. */
  few: number[] | null;
}

/** Bytes that a page keeps one by one. */
const FEW = 64;

/** Of a page without a byte; only to be read. */
export const zeroPage = new Uint8Array(PAGE_SIZE);

function spread(few: number[]): Uint8Array {
  const bytes = new Uint8Array(PAGE_SIZE);
  for (const item of few) bytes[item >> 8] = item & 255;
  return bytes;
}

/** All bytes, to be written in place; from now on they are stored whole. */
export function wholeBytes(content: PageContent): Uint8Array {
  if (content.bytes === null) {
    content.bytes = content.few === null ? new Uint8Array(PAGE_SIZE) : spread(content.few);
    content.few = null;
  }
  return content.bytes;
}

/** All bytes, only to be read. */
export function viewBytes({ bytes, few }: PageContent): Uint8Array {
  return bytes ?? (few === null ? zeroPage : spread(few));
}

/** Copies `count` bytes at `offset` out of a page. */
export function readContent({ bytes, few }: PageContent, offset: number, into: Uint8Array, to: number, count: number): void {
  if (bytes !== null) return copyBytes(bytes, offset, into, to, count);
  into.fill(0, to, to + count);
  if (few === null) return;
  for (const item of few) {
    const at = (item >> 8) - offset;
    if (at >= 0 && at < count) into[to + at] = item & 255;
  }
}

/** Copies `count` bytes from `from` on into a page at `offset`. */
export function writeContent(content: PageContent, offset: number, source: Uint8Array, from: number, count: number): void {
  if (content.bytes === null && count <= FEW && writeFew(content, offset, source, from, count)) return;
  copyBytes(source, from, wholeBytes(content), offset, count);
}

/** Writes as single bytes; false, perhaps with a part of them written, when they would be too many. */
function writeFew(content: PageContent, offset: number, source: Uint8Array, from: number, count: number): boolean {
  let next = 0;
  for (let at = 0; at < count; at++) {
    const value = source[from + at];
    const place = offset + at;
    if (content.few === null) {
      if (value !== 0) content.few = [place * 256 + value];
      continue;
    }
    const index = indexOf(content.few, place, next);
    if (index >= 0) next = index + 1;
    if (!setFew(content.few, index, place, value)) return false;
  }
  return true;
}

/** Where the byte of a place stands among a few, -1 for nowhere. It is looked for from `near` on: bytes written in a row stand in a row. */
function indexOf(few: number[], place: number, near: number): number {
  for (let index = near; index < few.length; index++) if (few[index] >> 8 === place) return index;
  for (let index = 0; index < near && index < few.length; index++) if (few[index] >> 8 === place) return index;
  return -1;
}

/** Sets one byte among a few, which stands at `index`, or nowhere yet; false when they are full. */
function setFew(few: number[], index: number, place: number, value: number): boolean {
  if (index >= 0) {
    if (value === 0) few.splice(index, 1);
    else few[index] = place * 256 + value;
    return true;
  }
  if (value === 0) return true;
  if (few.length >= FEW) return false;
  few.push(place * 256 + value);
  return true;
}

/** Makes `to`, a page without a byte, hold what `from` does. */
export function copyContent(to: PageContent, from: PageContent): void {
  if (from.bytes !== null) wholeBytes(to).set(from.bytes);
  else to.few = from.few === null ? null : [...from.few];
}

/** What a page holds, for a new owner, in as little room as it needs; the page itself holds nothing afterwards. */
export function takeContent(content: PageContent): PageContent {
  const { bytes, few } = content;
  content.bytes = null;
  content.few = null;
  return bytes === null ? { bytes, few } : pack(bytes);
}

function pack(bytes: Uint8Array): PageContent {
  const few: number[] = [];
  for (let place = 0; place < PAGE_SIZE; place++) {
    if (bytes[place] === 0) continue;
    if (few.length === FEW) return { bytes, few: null };
    few.push(place * 256 + bytes[place]);
  }
  return { bytes: null, few: few.length === 0 ? null : few };
}
