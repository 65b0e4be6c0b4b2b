/** The order of names in a sysfs directory: by a hash of the name, as kernfs keeps its children. */

const MASK_64 = (1n << 64n) - 1n;
const GOLDEN_RATIO_64 = 0x61c8864680b583ebn;

/** kernfs_name_hash (fs/kernfs/dir.c): 31 bits of the dcache's name hash, with three values kept free. */
export function kernfsHash(name: string): number {
  let hash = 0n;
  for (let i = 0; i < name.length; i++) {
    const char = name.charCodeAt(i);
    hash = ((hash + BigInt((char << 4) + (char >> 4))) * 11n) & MASK_64;
  }
  const folded = Number(((hash * GOLDEN_RATIO_64) & MASK_64) >> 32n) & 0x7fffffff;
  return folded < 2 ? folded + 2 : folded === 0x7fffffff ? folded - 1 : folded;
}

/** The names in the order in which readdir of sysfs gives them. */
export function kernfsOrder(names: readonly string[]): string[] {
  return names
    .map((name) => ({ name, hash: kernfsHash(name) }))
    .sort((a, b) => a.hash - b.hash || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}
