/** From a walk that fails to a short one that fails in the same way. */
import type { Act } from "./act.ts";
import { walk, type Failure } from "./walk.ts";

/** A failure's kind: its words without the numbers. */
const kind = ({ message }: Failure): string => message.split("\n")[0].replace(/[\da-f]*\d[\da-f]*/g, "N").slice(0, 60);

/** Leaves out acts, ever smaller runs of them, as long as the walk fails the same way; for at most `ms`. */
export function shrink(seed: number, acts: readonly Act[], failure: Failure, replay: boolean, ms: number, clock: () => number): { acts: Act[]; failure: Failure } {
  let kept = acts.slice(0, failure.at + 1);
  let found = failure;
  const until = clock() + ms;
  for (let size = Math.ceil(kept.length / 2); size >= 1 && clock() < until; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = kept.length - size; at >= 0 && clock() < until; at -= size) {
      const without = [...kept.slice(0, at), ...kept.slice(at + size)];
      const again = walk(seed, without, replay, undefined);
      if (again === null || kind(again) !== kind(failure)) continue;
      kept = without.slice(0, again.at + 1);
      found = again;
      at = Math.min(at, kept.length);
    }
  }
  return { acts: kept, failure: found };
}
