/** Chance from a seed: the same seed, the same choices. */
import { nextBelow, seedRng, type RngState } from "../../core/lib/rng.ts";

export class Chance {
  private readonly state: RngState;

  constructor(seed: number) {
    this.state = seedRng(seed);
  }

  /** 0 … bound-1 */
  below(bound: number): number {
    if (!(bound > 0)) throw new RangeError(`a choice among ${bound}`);
    return nextBelow(this.state, bound);
  }

  /** Whether something happens that does `percent` times of a hundred. */
  often(percent: number): boolean {
    return this.below(1000) < percent * 10;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  /** One of [weight, choice]. */
  weighted<T>(list: readonly (readonly [number, T])[]): T {
    let at = this.below(list.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, choice] of list) {
      at -= weight;
      if (at < 0) return choice;
    }
    return list[list.length - 1][1];
  }

  shuffle<T>(list: readonly T[]): T[] {
    const mixed = [...list];
    for (let at = mixed.length - 1; at > 0; at--) {
      const other = this.below(at + 1);
      [mixed[at], mixed[other]] = [mixed[other], mixed[at]];
    }
    return mixed;
  }
}
