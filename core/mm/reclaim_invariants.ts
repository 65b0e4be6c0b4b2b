/** What must hold of the lists that reclaim walks, and of swap. */
import type { Kernel } from "../kernel.ts";
import { mappingsOf } from "./rmap.ts";
import { partitionPages } from "./swap.ts";

/** What is broken, a sentence each; `named`: how often each slot is named by entries and shared memory. */
export function reclaimInvariants(k: Kernel, named: Map<number, number>): string[] {
  const wrong: string[] = [];
  checkLists(k, wrong);
  checkPages(k, wrong);
  checkSlots(k, named, wrong);
  return wrong;
}

/** Every list can be walked both ways, and has the pages that say so. */
function checkLists(k: Kernel, wrong: string[]): void {
  const { mm } = k.state;
  const listed = mm.lru.map(() => 0);
  for (const frame of mm.frames) if (frame?.lru) listed[frame.lru.list]++;
  mm.lru.forEach(({ first, last, count }, list) => {
    let seen = 0;
    let before = 0;
    let pfn = first;
    while (pfn !== 0 && seen <= count) {
      const page = mm.frames[pfn - mm.reservedPages]?.lru;
      if (page?.list !== list || page.prev !== before) {
        wrong.push(`list ${list} is broken at page frame ${pfn}`);
        return;
      }
      seen++;
      before = pfn;
      pfn = page.next;
    }
    if (before !== last || seen !== count) wrong.push(`list ${list} counts ${count} pages and ends with ${last}, ${seen} are found and ${before} at its end`);
    if (listed[list] !== count) wrong.push(`${listed[list]} pages say that they are on list ${list}, which has ${count}`);
  });
}

/** Who may be reclaimed stands on a list, and is found where it says that it belongs. */
function checkPages(k: Kernel, wrong: string[]): void {
  const { mm } = k.state;
  mm.frames.forEach((frame, at) => {
    if (frame === null) return;
    const pfn = mm.reservedPages + at;
    if (frame.use === "anon" && frame.lru === null) wrong.push(`anonymous page frame ${pfn} is on no list`);
    if (frame.lru === null) return;
    if (frame.use !== "anon" && frame.use !== "shmem") wrong.push(`page frame ${pfn} is ${frame.use} and on a list`);
    const found = mappingsOf(k, pfn, frame.lru).length;
    if (found !== frame.mapped) wrong.push(`page frame ${pfn} is mapped ${frame.mapped} times, its place leads to ${found}`);
    const { mapping, index } = frame.lru;
    if (mapping === 0) return;
    const pages = mapping < 0 ? mm.shmem.get(-mapping)?.frames : k.state.fs.inodes.get(mapping)?.pages;
    if (pages?.get(index) !== pfn) wrong.push(`page frame ${pfn} is not page ${index} of ${mapping}`);
  });
}

/** Slots are counted, and those of the cache are their frames'. */
function checkSlots(k: Kernel, named: Map<number, number>, wrong: string[]): void {
  const { mm } = k.state;
  const { on, leaving, slots, free, next } = mm.swap;
  let cached = 0;
  for (const [slot, { refs, pfn, bytes, few }] of slots) {
    if (refs !== (named.get(slot) ?? 0)) wrong.push(`slot ${slot} counts ${refs} names, ${named.get(slot) ?? 0} are found`);
    if (refs === 0 && pfn === 0) wrong.push(`slot ${slot} is nobody's`);
    if (bytes !== null && few !== null) wrong.push(`slot ${slot} has its content twice`);
    if (pfn === 0) continue;
    cached++;
    if (mm.frames[pfn - mm.reservedPages]?.lru?.swap !== slot) wrong.push(`slot ${slot} has page frame ${pfn}, which knows nothing of it`);
  }
  if (cached !== mm.swap.cached) wrong.push(`${mm.swap.cached} pages are counted in the swap cache, ${cached} are`);
  for (const slot of named.keys()) if (!slots.has(slot)) wrong.push(`slot ${slot} is free and named`);
  if (slots.size + free.length !== next - 1 || slots.size > partitionPages(k)) {
    wrong.push(`${slots.size} slots in use and ${free.length} free ones are not the ${next - 1} that were used, of ${partitionPages(k)}`);
  }
  if (on && leaving !== 0) wrong.push(`swap is on and task ${leaving} takes it off`);
  if (!on && leaving === 0 && next !== 1) wrong.push(`swap is off and has ${slots.size} slots in use of ${next - 1}`);
}
