/** Directory entries as getdents64(2) gives them. */

export const DT_UNKNOWN = 0;
export const DT_FIFO = 1;
export const DT_CHR = 2;
export const DT_DIR = 4;
export const DT_BLK = 6;
export const DT_REG = 8;
export const DT_LNK = 10;
export const DT_SOCK = 12;
export const DT_WHT = 14;

/** The d_type of a mode: its file type, shifted down. */
export const modeToDirentType = (mode: number): number => (mode >>> 12) & 15;

export interface Dirent {
  d_ino: number | bigint;
  /** Where the entry after this one is read from. */
  d_off: number | bigint;
  d_type: number;
  /** The bytes of the name, without a NUL. */
  d_name: Uint8Array;
}

const NAME_OFFSET = 19;
/** The length of an entry in getdents64: header, name, NUL, rounded up to 8. */
export const direntSize = (nameLength: number): number => (NAME_OFFSET + nameLength + 1 + 7) & ~7;

/** Writes one struct linux_dirent64 at `offset` and answers its length; `into` must have room for it. */
export function putDirent(into: Uint8Array, offset: number, entry: Dirent): number {
  const size = direntSize(entry.d_name.length);
  const view = new DataView(into.buffer, into.byteOffset + offset, size);
  view.setBigUint64(0, BigInt.asUintN(64, BigInt(entry.d_ino)), true);
  view.setBigInt64(8, BigInt.asIntN(64, BigInt(entry.d_off)), true);
  view.setUint16(16, size, true);
  view.setUint8(18, entry.d_type);
  into.fill(0, offset + NAME_OFFSET, offset + size);
  into.set(entry.d_name, offset + NAME_OFFSET);
  return size;
}

/** The entries in the bytes that getdents64 filled. */
export function decodeDirents(bytes: Uint8Array): Dirent[] {
  const entries: Dirent[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + NAME_OFFSET < bytes.length; ) {
    const size = view.getUint16(at + 16, true);
    if (size <= NAME_OFFSET || at + size > bytes.length) throw new Error(`decodeDirents: an entry of ${size} bytes at ${at}`);
    const name = bytes.subarray(at + NAME_OFFSET, at + size);
    entries.push({
      d_ino: narrowed(view.getBigUint64(at, true)),
      d_off: narrowed(view.getBigInt64(at + 8, true)),
      d_type: view.getUint8(at + 18),
      d_name: name.slice(0, name.indexOf(0)),
    });
    at += size;
  }
  return entries;
}

function narrowed(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
