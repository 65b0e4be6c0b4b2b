/** From a journal that shows a fault to a short one that shows it too. */
import { handle, restore, snapshot } from "../../core/index.ts";
import { invariants } from "../../core/invariants.ts";
import { hashOutput, type Fed } from "./run.ts";

/**
 * What goes wrong when the inputs are fed to the kernel of these bytes, in a few words; null when nothing does. `known`: what is
 * looked for, so that dearer looks can be left out.
 */
export function fault(start: Uint8Array, journal: readonly Fed[], known = ""): string | null {
  const k = restore(start);
  const outputs: string[] = [];
  for (const { input, budget } of journal) {
    try {
      outputs.push(hashOutput(handle(k, structuredClone(input), budget)));
    } catch (error) {
      return `threw ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  if (known.startsWith("threw")) return null;
  const wrong = invariants(k);
  if (known.startsWith("broken") || wrong.length > 0) return wrong.length === 0 ? null : `broken ${wrong[0].replace(/\d+/g, "N")}`;
  const again = restore(start);
  for (const [at, { input, budget }] of journal.entries()) {
    if (hashOutput(handle(again, structuredClone(input), budget)) !== outputs[at]) return `another output of ${input.type}`;
    // A restart between two inputs is where a replay and a life differ.
    if (at % 50 === 49) Object.assign(again, restore(snapshot(again)));
  }
  return Buffer.from(snapshot(again)).equals(snapshot(k)) ? null : "other bytes";
}

/** The shortest beginning that shows the fault, found by halving: its last input is the one that does it. */
function upToFault(start: Uint8Array, journal: readonly Fed[], known: string): Fed[] {
  let [good, bad] = [0, journal.length];
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (fault(start, journal.slice(0, middle), known) === known) bad = middle;
    else good = middle;
  }
  return journal.slice(0, bad);
}

/** Leaves out what is not needed for the same fault, for at most `ms` of time. */
export function shrink(start: Uint8Array, journal: readonly Fed[], ms: number, clock: () => number): { journal: Fed[]; fault: string | null } {
  const whole = fault(start, journal);
  if (whole === null) return { journal: [...journal], fault: null };
  let kept = whole.startsWith("broken") ? upToFault(start, journal, whole) : [...journal];
  const until = clock() + ms;
  for (let size = Math.ceil(kept.length / 2); size >= 1 && clock() < until; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    // The last input is the one that does it.
    for (let at = kept.length - 1 - size; at > -size && clock() < until; at -= size) {
      const without = kept.filter((_, index) => index < at || index >= at + size);
      if (without.length < kept.length && fault(start, without, whole) === whole) kept = without;
    }
  }
  return { journal: kept, fault: whole };
}
