/** Turning swap off: every page comes back, those of shared memory first, while nothing goes out (try_to_unuse, mm/swapfile.c). */
import { EINTR, ENOMEM } from "../abi/errno.ts";
import { TASK_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { NEXT, steps, to, type StepResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { lockPage } from "./fault.ts";
import { getFrame } from "./page_alloc.ts";
import { nextSwapEntry, PTE_ACCESSED, ptePfn, type SwapEntry } from "./page_table.ts";
import { mapFrame, pteBits, pteNx } from "./pte_map.ts";
import { shmemFrame, type ShmemPages } from "./shmem_swap.ts";
import type { AddressSpace } from "./space.ts";
import { leaveCache, partitionPages, slotOf, swapInit } from "./swap.ts";
import { swapPage } from "./swap_in.ts";
import { pgoffAt, VM_LOCKED } from "./vma.ts";
import { findVma } from "./vma_list.ts";

/** Pages that one step brings back, and cached ones that it lets go. */
const BATCH = 32;
const CACHE_BATCH = 512;

export interface SwapoffLocals {
  /** What is left of this round: shared memory by its mapping (see LruPage.mapping), the pages of the one at work, address spaces. */
  mappings: number[];
  pages: number[];
  mapping: number;
  spaces: number[];
  space: number;
  /** Where in that space to go on. */
  addr: number;
}

/** Nothing goes to swap from now on; who enters `swapoff` next has it (swapoff(2) up to try_to_unuse). */
export function beginSwapoff(k: Kernel, task: Task): SwapoffLocals {
  const { swap } = k.state.mm;
  swap.on = false;
  swap.leaving = task.tid;
  return { mappings: [], pages: [], mapping: 0, spaces: [], space: 0, addr: 0 };
}

function pagesOf(k: Kernel, mapping: number): ShmemPages | null {
  if (mapping < 0) return k.state.mm.shmem.get(-mapping)?.frames ?? null;
  return k.state.fs.inodes.get(mapping)?.pages ?? null;
}

function hasSwapped(pages: ShmemPages | null): boolean {
  for (const held of pages?.values() ?? []) if (held < 0) return true;
  return false;
}

/** A round's work. What a fork or a fault adds behind its back is found by the next one. */
function beginRound(k: Kernel, l: SwapoffLocals): void {
  const { mm, fs } = k.state;
  l.mappings = [];
  for (const [id, { frames }] of mm.shmem) if (hasSwapped(frames)) l.mappings.push(-id);
  for (const [id, { pages }] of fs.inodes) if (hasSwapped(pages)) l.mappings.push(id);
  l.spaces = [...mm.spaces.values()].filter(({ swapEnts }) => swapEnts > 0).map(({ id }) => id);
  [l.pages, l.mapping, l.space, l.addr] = [[], 0, 0, 0];
}

/** Brings pages of shared memory back; whether there are more of them. */
function shmemUnuse(k: Kernel, l: SwapoffLocals): boolean | "oom" {
  for (let done = 0; done < BATCH;) {
    const pgoff = l.pages.pop();
    if (pgoff === undefined) {
      const mapping = l.mappings.pop();
      if (mapping === undefined) return false;
      l.mapping = mapping;
      for (const [at, held] of pagesOf(k, mapping) ?? []) if (held < 0) l.pages.push(at);
      continue;
    }
    const pages = pagesOf(k, l.mapping);
    if (pages === null || (pages.get(pgoff) ?? 0) >= 0) continue;
    done++;
    if (shmemFrame(k, pages, l.mapping, pgoff) === -1) return "oom";
  }
  return true;
}

/** Brings pages of address spaces back (unuse_mm); whether there are more of them. */
function unuseSpaces(k: Kernel, l: SwapoffLocals): boolean | "oom" {
  const { mm } = k.state;
  for (let done = 0; done < BATCH;) {
    const space = mm.spaces.get(l.space);
    const entry = space === undefined || space.swapEnts === 0 ? null : nextSwapEntry(mm, space, l.addr, TASK_SIZE);
    if (space === undefined || entry === null) {
      const next = l.spaces.pop();
      if (next === undefined) return false;
      [l.space, l.addr] = [next, 0];
      continue;
    }
    done++;
    l.addr = entry.addr;
    if (!unusePte(k, space, entry)) return "oom";
  }
  return true;
}

/** The page of an entry is mapped again, as one that nobody used lately (unuse_pte); false when memory is out. */
function unusePte(k: Kernel, space: AddressSpace, { table, index, addr }: SwapEntry): boolean {
  const { mm } = k.state;
  const low = table[index];
  const slot = ptePfn(low, table[index + 1]);
  const vma = findVma(space, addr)!;
  const pfn = swapPage(k, slot, pgoffAt(vma, addr));
  // The OOM killer may have taken the entry meanwhile: then it is none of ours.
  if (table[index] !== low) return true;
  if (pfn === 0) return false;
  getFrame(k, pfn);
  mapFrame(k, space, table, index, pfn, pteBits(vma.flags) & ~PTE_ACCESSED, pteNx(vma.flags));
  if ((vma.flags & VM_LOCKED) !== 0) lockPage(mm, table, index);
  space.swapEnts--;
  const record = slotOf(mm, slot);
  if (--record.refs === 0) leaveCache(k, slot);
  return true;
}

/** Lets go of slots that only the swap cache still has; whether there are more of them. */
function dropCached(k: Kernel): boolean {
  const unused: number[] = [];
  for (const [slot, { refs }] of k.state.mm.swap.slots) {
    if (refs === 0 && unused.push(slot) === CACHE_BATCH) break;
  }
  for (const slot of unused) leaveCache(k, slot);
  return unused.length === CACHE_BATCH;
}

/** One step of a kind of work. As Linux: any signal ends it, not only one that kills. */
function again(task: Task, step: string, work: () => boolean | "oom"): StepResult {
  if (task.signalPending) return -EINTR;
  const more = work();
  return more === "oom" ? (task.signalPending ? -EINTR : -ENOMEM) : more ? to(step) : NEXT;
}

/** The rest of swapoff(2), for who began it: 0 with swap off; -EINTR or -ENOMEM with swap on again. */
export const swapoff = steps<SwapoffLocals>("mm.swapoff", {
  round: (k, _task, { locals }) => {
    beginRound(k, locals);
    return NEXT;
  },
  shmem: (k, task, { locals }) => again(task, "shmem", () => shmemUnuse(k, locals)),
  spaces: (k, task, { locals }) => again(task, "spaces", () => unuseSpaces(k, locals)),
  cache: (k, task) => again(task, "cache", () => dropCached(k)),
  end: (k) => {
    const { mm, machine } = k.state;
    if (mm.swap.slots.size > 0) return to("round");
    mm.swap = { ...swapInit(machine), on: false };
    return 0;
  },
}, { undo: { round: turnBack, shmem: turnBack, spaces: turnBack, cache: turnBack, end: turnBack } });

/** Ended before its time: swap is on as it was (reinsert_swap_info). */
function turnBack(k: Kernel): void {
  const { swap } = k.state.mm;
  if (swap.leaving === 0) return;
  swap.leaving = 0;
  swap.on = true;
}

/** Turns swap on, empty (enable_swap_info). `priority` is negative for none that was asked for. */
export function swapon(k: Kernel, name: string, priority: number): { pages: number; priority: number } {
  const { mm, machine } = k.state;
  const fresh = swapInit(machine);
  mm.swap = { ...fresh, name, priority: priority < 0 ? fresh.priority : priority };
  return { pages: partitionPages(k), priority: mm.swap.priority };
}
