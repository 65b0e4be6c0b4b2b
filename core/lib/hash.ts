/** Hashes: quick ones over bytes and text, and the keyed one that hides kernel addresses. None resists an attacker with the key. */

/** Running state of a 53-bit hash: feed it, then read it. Plain data, so it may be saved half way. */
export interface HashState {
  a: number;
  b: number;
  length: number;
}

export const newHash = (seed = 0): HashState => ({ a: (0x9e37_79b1 ^ seed) | 0, b: (0x85eb_ca77 + seed) | 0, length: 0 });

/** MurmurHash3's finalizer: every input bit reaches every output bit. */
function avalanche(word: number): number {
  let mixed = word;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}

/** Adds bytes. The same bytes in other portions give another hash: feed whole things. */
export function hashBytes(state: HashState, bytes: Uint8Array): HashState {
  let { a, b } = state;
  const whole = bytes.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    const word = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    a = Math.imul(a ^ word, 0x9e37_79b1);
    b = Math.imul(b ^ ((word << 15) | (word >>> 17)), 0x1b87_3593) + a;
    a ^= a >>> 15;
    b ^= b >>> 13;
  }
  let rest = bytes.length - whole;
  for (let i = whole; i < bytes.length; i++) rest = (rest << 8) | bytes[i];
  state.a = Math.imul(a ^ rest, 0x85eb_ca77);
  state.b = Math.imul(b ^ rest, 0xc2b2_ae3d) + state.a;
  state.length += bytes.length;
  return state;
}

/** Adds a text by its UTF-16 units. */
export function hashText(state: HashState, text: string): HashState {
  let { a, b } = state;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x9e37_79b1);
    b = Math.imul(b ^ unit, 0x1b87_3593) + a;
    a ^= a >>> 15;
    b ^= b >>> 13;
  }
  state.a = Math.imul(a ^ text.length, 0x85eb_ca77);
  state.b = Math.imul(b ^ text.length, 0xc2b2_ae3d) + state.a;
  state.length += text.length;
  return state;
}

/** What was fed, as a number of 53 bits. */
export function hashValue(state: HashState): number {
  const high = avalanche(state.a ^ state.length) >>> 0;
  const low = avalanche(state.b ^ high) >>> 0;
  return (high & 0x1f_ffff) * 0x1_0000_0000 + low;
}

/** What was fed, as 32 bits. */
export const hashValue32 = (state: HashState): number => avalanche(state.a ^ avalanche(state.b ^ state.length)) >>> 0;

/** 53 bits of bytes. */
export const hash53 = (bytes: Uint8Array): number => hashValue(hashBytes(newHash(), bytes));
/** 53 bits of a text. */
export const hashText53 = (text: string): number => hashValue(hashText(newHash(), text));

/** FNV-1a, 32 bits: for short names and small tables. */
export function fnv1a(bytes: Uint8Array): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i], 0x0100_0193);
  return hash >>> 0;
}

/** Two words that only the kernel knows. */
export interface PointerKey {
  k0: number;
  k1: number;
}

const rotl = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

/** HalfSipHash-2-4 (Aumasson and Bernstein) of one 64-bit word: 32 bits that tell nothing about the word without the key. */
export function halfSipHash(value: bigint, { k0, k1 }: PointerKey): number {
  let v0 = k0 | 0;
  let v1 = k1 | 0;
  let v2 = k0 ^ 0x6c79_6765;
  let v3 = k1 ^ 0x7465_6462;
  const round = (): void => {
    v0 = (v0 + v1) | 0;
    v1 = rotl(v1, 5) ^ v0;
    v0 = rotl(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotl(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotl(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotl(v1, 13) ^ v2;
    v2 = rotl(v2, 16);
  };
  // The last word carries the length of the input, 8 bytes, in its top byte.
  for (const word of [Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n)), 8 << 24]) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  v2 ^= 0xff;
  for (let i = 0; i < 4; i++) round();
  return (v1 ^ v3) >>> 0;
}

/** The 32 bits that %p prints for an address. */
export const hashPointer = (address: number | bigint, key: PointerKey): number => halfSipHash(BigInt(address), key);
