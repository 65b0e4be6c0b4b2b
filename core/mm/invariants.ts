/** What must hold of memory between two inputs: every reference is counted once, no mapping overlaps, no page is lost. */
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { frameExists, freePages, totalPages, type FrameUse, type PageFrame } from "./page_alloc.ts";
import { slabInvariants } from "./slab_invariants.ts";
import { isSwapEntry, PTE_SPECIAL, ptePfn } from "./page_table.ts";
import { reclaimInvariants } from "./reclaim_invariants.ts";
import { rssPages, type AddressSpace } from "./space.ts";
import { vmaAt, vmaPages, VM_ACCOUNT, VM_EXEC, VM_GROWSDOWN, VM_LOCKED, VM_SHARED, VM_WRITE, type Vma } from "./vma.ts";
import { allVmas } from "./vma_list.ts";

/** References and mappings that were found, by pfn; and which pages belong to a kernel object or a vmalloc area. */
interface Found {
  refs: Map<number, number>;
  mapped: Map<number, number>;
  owned: Set<number>;
  /** Names of slots in swap, by slot. */
  slots: Map<number, number>;
}

function count(map: Map<number, number>, pfn: number): void {
  map.set(pfn, (map.get(pfn) ?? 0) + 1);
}

/** What is broken, a sentence each; empty when all is well. Pure, and slow: it looks at every page. */
export function mmInvariants(k: Kernel): string[] {
  const { mm } = k.state;
  const wrong: string[] = [];
  const found: Found = { refs: new Map(), mapped: new Map(), owned: new Set(), slots: new Map() };
  const own = (pfn: number): void => {
    count(found.refs, pfn);
    found.owned.add(pfn);
  };
  for (const space of mm.spaces.values()) {
    checkVmas(k, space, wrong);
    checkTables(k, space, found, wrong);
  }
  for (const object of mm.shmem.values()) for (const held of object.frames.values()) {
    if (held < 0) count(found.slots, -held);
    else count(found.refs, held);
  }
  for (const { pages } of k.state.fs.inodes.values()) {
    for (const held of pages?.values() ?? []) if (held < 0) count(found.slots, -held);
  }
  for (const { pfn } of mm.swap.slots.values()) if (pfn !== 0) count(found.refs, pfn);
  for (const object of mm.objects.values()) {
    for (let page = 0; object.cache === "" && page < object.pages; page++) own(object.phys / PAGE_SIZE + page);
  }
  wrong.push(...slabInvariants(k, (pfn) => count(found.refs, pfn)));
  for (const area of mm.vmalloc.values()) area.frames.forEach(own);
  for (const pfn of k.tables.hooks.pageCacheFrames(k)) own(pfn);
  checkFrames(k, found, wrong);
  checkHolders(k, wrong);
  wrong.push(...reclaimInvariants(k, found.slots));
  return wrong;
}

function checkFrames(k: Kernel, found: Found, wrong: string[]): void {
  const { mm } = k.state;
  const used: { [use in FrameUse]: number } = { anon: 0, file: 0, shmem: 0, table: 0, slab: 0, kernel: 0 };
  mm.frames.forEach((frame: PageFrame | null, at: number) => {
    if (frame === null) return;
    const pfn = mm.reservedPages + at;
    used[frame.use]++;
    // A page that a driver took for itself has that driver as its holder, until it gave it up; no record says which.
    const own = frame.use === "kernel" && !found.owned.has(pfn) && frame.refs > (found.refs.get(pfn) ?? 0) ? 1 : 0;
    const refs = (found.refs.get(pfn) ?? 0) + own;
    const mapped = found.mapped.get(pfn) ?? 0;
    if (frame.refs !== refs) wrong.push(`frame ${pfn} (${frame.use}) counts ${frame.refs} references, ${refs} are found`);
    if (frame.mapped !== mapped) wrong.push(`frame ${pfn} (${frame.use}) counts ${frame.mapped} mappings, ${mapped} are found`);
    if ((frame.table !== null) !== (frame.use === "table")) wrong.push(`frame ${pfn} is ${frame.use} and a table or neither`);
  });
  for (const pfn of found.refs.keys()) if (!frameExists(mm, pfn)) wrong.push(`frame ${pfn} is free and referenced`);
  for (const use of ["anon", "file", "shmem", "table", "slab", "kernel"] as const) {
    if (mm.used[use] !== used[use]) wrong.push(`${mm.used[use]} frames are counted as ${use}, ${used[use]} are`);
  }
  const inUse = Object.values(used).reduce((sum, number) => sum + number, 0);
  if (inUse + freePages(mm) !== totalPages(mm)) wrong.push(`${inUse} frames used and ${freePages(mm)} free are not ${totalPages(mm)}`);
  if (new Set(mm.freeFrames).size !== mm.freeFrames.length) wrong.push("a frame is free twice");
  for (const pfn of mm.freeFrames) if (frameExists(mm, pfn)) wrong.push(`frame ${pfn} is free and in use`);
}

/** VMAs are in order, whole pages, disjoint, and add up to the counters of their space. */
function checkVmas(k: Kernel, space: AddressSpace, wrong: string[]): void {
  let end = 0;
  const sums = { total: 0, data: 0, exec: 0, stack: 0, locked: 0 };
  const vmas = allVmas(space);
  if (vmas.length !== space.mapCount) wrong.push(`space ${space.id} counts ${space.mapCount} VMAs, there are ${vmas.length}`);
  if (space.vmas.some((run) => run.length === 0)) wrong.push(`space ${space.id} has a run without VMAs`);
  for (const vma of vmas) {
    const at = `VMA ${vma.start.toString(16)}-${vma.end.toString(16)} of space ${space.id}`;
    if (vma.start < end) wrong.push(`${at} overlaps or is out of order`);
    if (vma.start >= vma.end) wrong.push(`${at} is empty`);
    if (vma.start % PAGE_SIZE !== 0 || vma.end % PAGE_SIZE !== 0) wrong.push(`${at} is not made of whole pages`);
    if (vma.mm !== space.id) wrong.push(`${at} says it is of space ${vma.mm}`);
    if (vma.prot !== (vma.flags & 7)) wrong.push(`${at} has rights ${vma.prot} and flags ${vma.flags}`);
    if (vma.ops !== "" && !k.tables.vmOperations.has(vma.ops)) wrong.push(`${at} has operations ${vma.ops}, which nobody registered`);
    end = vma.end;
    addPages(sums, vma);
  }
  const counted = { total: space.totalVm, data: space.dataVm, exec: space.execVm, stack: space.stackVm, locked: space.lockedVm };
  for (const name of ["total", "data", "exec", "stack", "locked"] as const) {
    if (sums[name] !== counted[name]) wrong.push(`space ${space.id} counts ${counted[name]} ${name} pages, its VMAs have ${sums[name]}`);
  }
  if (vmas.length === 0 && rssPages(space) !== 0) wrong.push(`space ${space.id} is empty and has pages`);
  for (let from = space.fullAbove; from < space.mmapBase;) {
    const vma = vmas.find((one) => one.start <= from && one.end > from);
    if (vma === undefined) {
      wrong.push(`space ${space.id} is said to be full above ${space.fullAbove.toString(16)} and has a hole at ${from.toString(16)}`);
      break;
    }
    from = vma.end;
  }
}

function addPages(sums: { total: number; data: number; exec: number; stack: number; locked: number }, vma: Vma): void {
  const { flags } = vma;
  const pages = vmaPages(vma);
  sums.total += pages;
  if ((flags & VM_LOCKED) !== 0) sums.locked += pages;
  if ((flags & (VM_EXEC | VM_WRITE | VM_GROWSDOWN)) === VM_EXEC) sums.exec += pages;
  else if ((flags & VM_GROWSDOWN) !== 0) sums.stack += pages;
  else if ((flags & (VM_WRITE | VM_SHARED)) === VM_WRITE) sums.data += pages;
}

/** Every entry in use lies in a VMA and is counted; every table is the space's own. */
function checkTables(k: Kernel, space: AddressSpace, found: Found, wrong: string[]): void {
  const { mm } = k.state;
  let tables = 0;
  let swapEnts = 0;
  const rss = { anon: 0, file: 0, shmem: 0 };
  const visitTable = (pfn: number, base: number, span: number): void => {
    count(found.refs, pfn);
    tables++;
    const table = mm.frames[pfn - mm.reservedPages]?.table;
    if (table === null || table === undefined) {
      wrong.push(`space ${space.id} uses frame ${pfn} as a page table, which it is not`);
      return;
    }
    for (let at = 0; at < 512; at++) {
      const low = table[at * 2];
      if (low === 0) continue;
      const addr = base + at * span;
      const target = ptePfn(low, table[at * 2 + 1]);
      if (span > PAGE_SIZE) {
        visitTable(target, addr, span / 512);
        continue;
      }
      if (vmaAt(space, addr) === null) wrong.push(`page ${addr.toString(16)} of space ${space.id} lies in no VMA`);
      if (isSwapEntry(low)) {
        count(found.slots, target);
        swapEnts++;
        continue;
      }
      if ((low & PTE_SPECIAL) !== 0) continue;
      count(found.refs, target);
      count(found.mapped, target);
      const use = mm.frames[target - mm.reservedPages]?.use;
      rss[use === "anon" || use === "shmem" ? use : "file"]++;
    }
  };
  if (space.pgd !== 0) visitTable(space.pgd, 0, PAGE_SIZE * 512 ** 3);
  if (swapEnts !== space.swapEnts) wrong.push(`space ${space.id} counts ${space.swapEnts} pages in swap, ${swapEnts} are found`);
  if (tables !== space.tables) wrong.push(`space ${space.id} counts ${space.tables} page tables, ${tables} are found`);
  if (rss.anon !== space.rssAnon || rss.file !== space.rssFile || rss.shmem !== space.rssShmem) {
    wrong.push(`space ${space.id} counts ${space.rssAnon}+${space.rssFile}+${space.rssShmem} pages present, ` +
      `${rss.anon}+${rss.file}+${rss.shmem} are found`);
  }
}

/** Users of spaces, holders of shared memory, mappings of inodes, promised pages. */
function checkHolders(k: Kernel, wrong: string[]): void {
  const { mm } = k.state;
  const users = new Map<number, number>();
  for (const task of k.state.sched.tasks.values()) if (task.mm !== 0) count(users, task.mm);
  for (const space of mm.spaces.values()) {
    if ((users.get(space.id) ?? 0) !== space.users) wrong.push(`space ${space.id} counts ${space.users} users, ${users.get(space.id) ?? 0} are found`);
  }
  const inodes = new Map<number, number>();
  const shared = new Map<number, number>();
  let promised = 0;
  let vmas = 0;
  for (const space of mm.spaces.values()) {
    vmas += space.mapCount;
    for (const vma of allVmas(space)) {
      if (vma.inode !== 0) count(inodes, vma.inode);
      if (vma.shmem !== 0) count(shared, vma.shmem);
      if ((vma.flags & VM_ACCOUNT) !== 0) promised += vmaPages(vma);
    }
  }
  for (const segment of k.state.ipc.shm.values()) count(shared, segment.shmem);
  for (const object of mm.shmem.values()) {
    promised += object.promised;
    if (object.refs !== (shared.get(object.id) ?? 0)) wrong.push(`shared memory ${object.id} counts ${object.refs} holders, ${shared.get(object.id) ?? 0} are found`);
  }
  if (vmas !== mm.vmaCount) wrong.push(`${mm.vmaCount} VMAs are counted, there are ${vmas}`);
  if (promised !== mm.committedPages) wrong.push(`${mm.committedPages} pages are counted as promised, ${promised} are`);
  for (const inode of new Set([...inodes.keys(), ...mm.mappedInodes.keys()])) {
    if (inodes.get(inode) !== mm.mappedInodes.get(inode)) wrong.push(`inode ${inode} counts ${mm.mappedInodes.get(inode) ?? 0} mappings, ${inodes.get(inode) ?? 0} are found`);
  }
}
