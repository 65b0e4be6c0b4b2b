/** The names that a scenario gives to descriptors, addresses, pids, ports and inodes, and what they are on this machine. */
import type { Value } from "./scenario.ts";

export class Symbols {
  readonly values = new Map<string, bigint>();
  /** Inode symbols match by identity: the same symbol, the same number. */
  readonly inodes = new Map<string, string>();

  bind(name: string, value: number | bigint | string): void {
    this.values.set(name, BigInt(value));
  }

  /** `$addr0+4096` as a number; undefined for an unknown name. */
  find(text: string): bigint | undefined {
    const [, name, plus] = /^(\$[a-z]+\d*)(?:\+(\d+))?$/.exec(text) ?? [];
    if (name === undefined) return undefined;
    if (name === "$unmapped") return 0x1000n;
    if (name === "$kernel") return 0xffff800000000000n;
    const base = this.values.get(name);
    return base === undefined ? undefined : base + BigInt(plus ?? 0);
  }

  /** An integer of a scenario: a literal, or a symbol. */
  integer(value: Value | undefined): bigint {
    if (typeof value === "number" || typeof value === "bigint") return BigInt(value);
    if (typeof value === "string") {
      const found = this.find(value);
      if (found !== undefined) return found;
      if (value === "NULL") return 0n;
    }
    throw new Error(`not an integer or a known symbol: ${String(value)}`);
  }

  /** Whether `actual` is what the symbol or literal `expected` stands for; a symbol seen first is bound to it. */
  matches(expected: Value | undefined, actual: bigint): boolean {
    if (typeof expected === "number" || typeof expected === "bigint") return BigInt(expected) === actual;
    if (typeof expected !== "string") return false;
    const known = this.find(expected);
    if (known !== undefined) return known === actual;
    if (!/^\$[a-z]+\d+$/.test(expected)) return false;
    this.values.set(expected, actual);
    return true;
  }

  matchesInode(expected: Value | undefined, actual: string): boolean {
    if (typeof expected !== "string") return false;
    const known = this.inodes.get(expected);
    if (known !== undefined) return known === actual;
    if ([...this.inodes.values()].includes(actual)) return false;
    this.inodes.set(expected, actual);
    return true;
  }
}
