/**
 * The VMAs of an address space in the order of their addresses. They lie in runs of a few hundred, so that finding, making and
 * removing one costs little however many there are (the maple tree's part, lib/maple_tree.c).
 */
import type { AddressSpace } from "./space.ts";
import type { Vma } from "./vma.ts";

/** The longest run; one that grows beyond is cut in two. */
const RUN_MAX = 128;

// Both searches look at the lowest ones first: what was mapped last lies there, and is asked for most.

/** Index of the first run whose last VMA ends above `addr`; the number of runs when there is none. */
function runIndex({ vmas }: AddressSpace, addr: number): number {
  if (vmas.length === 0) return 0;
  const [first] = vmas;
  if (first[first.length - 1].end > addr) return 0;
  let low = 1;
  let high = vmas.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const run = vmas[middle];
    if (run[run.length - 1].end > addr) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Index of the first VMA of a run that ends above `addr`. */
function indexIn(run: Vma[], addr: number): number {
  if (run[0].end > addr) return 0;
  let low = 1;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (run[middle].end > addr) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The first VMA that ends above `addr` (find_vma): it may begin above it too. */
export function findVma(space: AddressSpace, addr: number): Vma | null {
  const at = runIndex(space, addr);
  if (at === space.vmas.length) return null;
  const run = space.vmas[at];
  return run[indexIn(run, addr)];
}

/** The VMA before that one, also when there is none above: the last that ends at or below `addr`. */
export function vmaBefore(space: AddressSpace, addr: number): Vma | null {
  const at = runIndex(space, addr);
  const index = at === space.vmas.length ? 0 : indexIn(space.vmas[at], addr);
  if (index > 0) return space.vmas[at][index - 1];
  if (at === 0) return null;
  const run = space.vmas[at - 1];
  return run[run.length - 1];
}

/** The VMA above another of the same space. */
export function vmaAfter(space: AddressSpace, vma: Vma): Vma | null {
  return findVma(space, vma.end);
}

/** All VMAs, a list of its own. */
export function allVmas({ vmas }: AddressSpace): Vma[] {
  return vmas.flat();
}

/** Puts a VMA that overlaps no other in its place. */
export function insertVma(space: AddressSpace, vma: Vma): void {
  const { vmas } = space;
  space.mapCount++;
  if (vmas.length === 0) {
    vmas.push([vma]);
    return;
  }
  // What lies above all goes to the end of the last run.
  const at = Math.min(runIndex(space, vma.start), vmas.length - 1);
  const run = vmas[at];
  const index = indexIn(run, vma.start);
  // Most come below all others, where splice would take twice as long.
  if (index === 0) run.unshift(vma);
  else run.splice(index, 0, vma);
  if (run.length > RUN_MAX) vmas.splice(at + 1, 0, run.splice(RUN_MAX >> 1));
}

/** Takes the VMAs that begin in [start, end) out of the list; answers them in order. */
export function extractVmas(space: AddressSpace, start: number, end: number): Vma[] {
  const { vmas } = space;
  const taken: Vma[] = [];
  let at = runIndex(space, start);
  while (at < vmas.length && vmas[at][0].start < end) {
    const run = vmas[at];
    let from = indexIn(run, start);
    if (from < run.length && run[from].start < start) from++;
    let to = indexIn(run, end);
    if (to < run.length && run[to].start < end) to++;
    for (let index = from; index < to; index++) taken.push(run[index]);
    if (to - from === run.length) vmas.splice(at, 1);
    else {
      run.splice(from, to - from);
      at++;
    }
  }
  space.mapCount -= taken.length;
  return taken;
}
