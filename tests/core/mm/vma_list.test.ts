/** The list of VMAs beside a sorted array, with many more of them than one run holds. */
import { expect, test } from "vitest";
import { nextU32, seedRng } from "../../../core/lib/rng.ts";
import type { AddressSpace } from "../../../core/mm/space.ts";
import type { Vma } from "../../../core/mm/vma.ts";
import { allVmas, extractVmas, findVma, insertVma, vmaAfter, vmaBefore } from "../../../core/mm/vma_list.ts";

const SPAN = 20_000;

function vma(start: number, end: number): Vma {
  return { start, end } as Vma;
}

test("finding, inserting and extracting agree with a sorted array", () => {
  const space = { vmas: [], mapCount: 0 } as unknown as AddressSpace;
  let model: Vma[] = [];
  const chance = seedRng(7);
  const below = (limit: number): number => nextU32(chance) % limit;
  for (let round = 0; round < 6000; round++) {
    // Mostly growing, downwards as mmap places, and now and then a hole of any size.
    const start = round % 3 === 0 ? below(SPAN) : SPAN - (round % SPAN);
    const end = start + 1 + below(3);
    if (round % 5 !== 4) {
      if (!model.some((one) => one.start < end && one.end > start)) {
        const made = vma(start, end);
        insertVma(space, made);
        model.push(made);
        model.sort((a, b) => a.start - b.start);
      }
    } else if (round % 500 === 499 || below(10) === 0) {
      const stop = start + below(round % 500 === 499 ? SPAN / 4 : 20);
      expect(extractVmas(space, start, stop)).toEqual(model.filter((one) => one.start >= start && one.start < stop));
      model = model.filter((one) => one.start < start || one.start >= stop);
    }
    const probe = below(SPAN + 10);
    const at = model.findIndex((one) => one.end > probe);
    const found = at < 0 ? null : model[at];
    expect(findVma(space, probe)).toBe(found);
    expect(vmaBefore(space, probe)).toBe(model[(at < 0 ? model.length : at) - 1] ?? null);
    if (found !== null) expect(vmaAfter(space, found)).toBe(model[at + 1] ?? null);
    expect(space.mapCount).toBe(model.length);
    if (round % 200 === 0) expect(allVmas(space)).toEqual(model);
  }
  expect(model.length).toBeGreaterThan(600);
  expect(space.vmas.every((run) => run.length > 0 && run.length <= 128)).toBe(true);
  expect(extractVmas(space, 0, Infinity)).toEqual(model);
  expect(space).toEqual({ vmas: [], mapCount: 0 });
});
