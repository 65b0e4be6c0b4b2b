/** The kernel's random numbers: xoshiro128** by Blackman and Vigna, over a state that is plain data. */

/** Four 32-bit words, not all zero. */
export interface RngState {
  s0: number;
  s1: number;
  s2: number;
  s3: number;
}

/** The state that a seed leads to; every safe integer gives another one. */
export function seedRng(seed: number): RngState {
  // SplitMix32 twice over both halves of the seed, so that near seeds give unlike states.
  let word = (Math.floor(seed / 0x1_0000_0000) ^ 0x5bf0_3635) | 0;
  const next = (): number => {
    word = (word + 0x9e37_79b9) | 0;
    let mixed = word;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0_aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  word = (next() ^ seed) | 0;
  const state = { s0: next(), s1: next(), s2: next(), s3: next() };
  if ((state.s0 | state.s1 | state.s2 | state.s3) === 0) state.s0 = 1;
  return state;
}

/** The next number, 0…2^32-1; the state moves on. */
export function nextU32(state: RngState): number {
  const { s1 } = state;
  const times5 = Math.imul(s1, 5);
  const result = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0;
  const s2 = state.s2 ^ state.s0;
  const s3 = state.s3 ^ s1;
  state.s1 = (s1 ^ s2) >>> 0;
  state.s0 = (state.s0 ^ s3) >>> 0;
  state.s2 = (s2 ^ (s1 << 9)) >>> 0;
  state.s3 = ((s3 << 11) | (s3 >>> 21)) >>> 0;
  return result;
}

/** The next number below `bound` (1…2^32), each as likely as the others. */
export function nextBelow(state: RngState, bound: number): number {
  // Numbers above the last whole multiple of the bound would favour small results.
  const limit = 0x1_0000_0000 - (0x1_0000_0000 % bound);
  for (;;) {
    const number = nextU32(state);
    if (number < limit) return number % bound;
  }
}

/** The next 64 bits. */
export function nextU64(state: RngState): bigint {
  const low = nextU32(state);
  return (BigInt(nextU32(state)) << 32n) | BigInt(low);
}

/** Fills all of `bytes`; a request of n bytes takes ceil(n/4) numbers. */
export function fillBytes(state: RngState, bytes: Uint8Array): void {
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    const word = nextU32(state);
    bytes[at] = word;
    bytes[at + 1] = word >>> 8;
    bytes[at + 2] = word >>> 16;
    bytes[at + 3] = word >>> 24;
  }
  if (at < bytes.length) for (let word = nextU32(state); at < bytes.length; word >>>= 8) bytes[at++] = word;
}
