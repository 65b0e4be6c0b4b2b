/** What /proc/PID shows of an address space: maps, smaps, smaps_rollup, statm. */
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { hex, kilobytes } from "../lib/format.ts";
import type { Task } from "../sched/task.ts";
import { frameOf } from "./page_alloc.ts";
import { forEachPte, isSwapEntry, PTE_ACCESSED, PTE_DIRTY, PTE_SPECIAL, ptePfn } from "./page_table.ts";
import { shmemOf } from "./shmem.ts";
import { slotOf } from "./swap.ts";
import { rssPages, type AddressSpace } from "./space.ts";
import {
  vmaPages, vmOpsOf, VM_ACCOUNT, VM_DONTCOPY, VM_DONTDUMP, VM_DONTEXPAND, VM_EXEC, VM_GROWSDOWN, VM_HUGEPAGE, VM_IO, VM_LOCKED,
  VM_LOCKONFAULT, VM_MAYEXEC, VM_MAYREAD, VM_MAYSHARE, VM_MAYWRITE, VM_MIXEDMAP, VM_NOHUGEPAGE, VM_NORESERVE, VM_PFNMAP, VM_RAND_READ,
  VM_READ, VM_SEQ_READ, VM_SHARED, VM_WIPEONFORK, VM_WRITE, type Vma,
} from "./vma.ts";
import { allVmas } from "./vma_list.ts";

/** Column at which a mapping's name begins. */
const NAME_COLUMN = 73;

interface MappedName {
  major: number;
  minor: number;
  ino: number;
  path: string;
}

/** Device, inode and name of what a mapping shows; the path is "" for anonymous memory without a name. */
function nameOf(k: Kernel, space: AddressSpace, vma: Vma): MappedName {
  const own = vmOpsOf(k, vma)?.name?.(k, vma);
  if (vma.shmem !== 0) return { major: 0, minor: 1, ino: shmemOf(k, vma.shmem).ino, path: own ?? shmemOf(k, vma.shmem).name };
  if (vma.file !== 0) {
    const name = k.tables.hooks.fileMapName(k, vma.file);
    return own === undefined ? name : { ...name, path: own };
  }
  const heap = vma.start <= space.brk && vma.end >= space.startBrk;
  return { major: 0, minor: 0, ino: 0, path: own ?? (heap ? "[heap]" : vma.start <= space.startStack && space.startStack < vma.end ? "[stack]" : "") };
}

/** A mapping's rights as maps shows them: "rw-p". */
export function rightsText({ flags }: Vma): string {
  return ((flags & VM_READ) !== 0 ? "r" : "-") + ((flags & VM_WRITE) !== 0 ? "w" : "-") +
    ((flags & VM_EXEC) !== 0 ? "x" : "-") + ((flags & VM_MAYSHARE) !== 0 ? "s" : "p");
}

/** One line of maps, with its newline. */
function mapsLine(k: Kernel, space: AddressSpace, vma: Vma): string {
  const rights = rightsText(vma);
  const offset = vma.file !== 0 || vma.shmem !== 0 ? vma.pgoff * PAGE_SIZE : 0;
  const { major, minor, ino, path } = nameOf(k, space, vma);
  const head = `${hex(vma.start, 8)}-${hex(vma.end, 8)} ${rights} ${hex(offset, 8)} ${hex(major, 2)}:${hex(minor, 2)} ${ino} `;
  return path === "" ? `${head}\n` : `${head.padEnd(NAME_COLUMN)}${path.replaceAll("\n", "\\012")}\n`;
}

function spaceOfTask(k: Kernel, task: Task): AddressSpace | undefined {
  return k.state.mm.spaces.get(task.mm);
}

/** /proc/PID/maps; empty without an address space. */
export function mapsText(k: Kernel, task: Task): string {
  const space = spaceOfTask(k, task);
  return space === undefined ? "" : allVmas(space).map((vma) => mapsLine(k, space, vma)).join("");
}

/** What smaps sums up, kB; Pss in 4096ths of them would round wrongly, so it is kept in bytes. */
interface Usage {
  rss: number;
  pssBytes: number;
  pssDirtyBytes: number;
  pssAnonBytes: number;
  pssFileBytes: number;
  pssShmemBytes: number;
  sharedClean: number;
  sharedDirty: number;
  privateClean: number;
  privateDirty: number;
  referenced: number;
  anonymous: number;
  swap: number;
  swapPssBytes: number;
  lazyFree: number;
  lockedBytes: number;
}

const KB_PER_PAGE = PAGE_SIZE / 1024;

function noUsage(): Usage {
  return {
    rss: 0, pssBytes: 0, pssDirtyBytes: 0, pssAnonBytes: 0, pssFileBytes: 0, pssShmemBytes: 0,
    sharedClean: 0, sharedDirty: 0, privateClean: 0, privateDirty: 0, referenced: 0, anonymous: 0, swap: 0, swapPssBytes: 0, lazyFree: 0, lockedBytes: 0,
  };
}

function addUsage(k: Kernel, space: AddressSpace, vma: Vma, usage: Usage): void {
  const { mm } = k.state;
  const before = usage.pssBytes;
  forEachPte(mm, space, vma.start, vma.end, (table, index) => {
    const low = table[index];
    if ((low & PTE_SPECIAL) !== 0) return;
    if (isSwapEntry(low)) {
      usage.swap += KB_PER_PAGE;
      usage.swapPssBytes += PAGE_SIZE / slotOf(mm, ptePfn(low, table[index + 1])).refs;
      return;
    }
    const { mapped, use, lru } = frameOf(mm, ptePfn(low, table[index + 1]));
    const dirty = (low & PTE_DIRTY) !== 0 || use === "shmem";
    const share = PAGE_SIZE / mapped;
    usage.rss += KB_PER_PAGE;
    usage.pssBytes += share;
    if (dirty) usage.pssDirtyBytes += share;
    if (use === "anon") usage.pssAnonBytes += share;
    else if (use === "shmem") usage.pssShmemBytes += share;
    else usage.pssFileBytes += share;
    if (mapped > 1) usage[dirty ? "sharedDirty" : "sharedClean"] += KB_PER_PAGE;
    else usage[dirty ? "privateDirty" : "privateClean"] += KB_PER_PAGE;
    if ((low & PTE_ACCESSED) !== 0) usage.referenced += KB_PER_PAGE;
    if (use === "anon") usage.anonymous += KB_PER_PAGE;
    if (lru?.lazy === true && (low & PTE_DIRTY) === 0 && !lru.dirty) usage.lazyFree += KB_PER_PAGE;
  });
  usage.swap += swappedPages(k, vma) * KB_PER_PAGE;
  if ((vma.flags & VM_LOCKED) !== 0) usage.lockedBytes += usage.pssBytes - before;
}

/** Pages of shared memory or of a file that the mapping shows and that are in swap (shmem_swap_usage). */
function swappedPages(k: Kernel, vma: Vma): number {
  const pages = vma.shmem !== 0 ? shmemOf(k, vma.shmem).frames : k.state.fs.inodes.get(vma.inode)?.pages ?? null;
  if (pages === null || k.state.mm.swap.slots.size === 0) return 0;
  let swapped = 0;
  for (const [pgoff, held] of pages) if (held < 0 && pgoff >= vma.pgoff && pgoff < vma.pgoff + vmaPages(vma)) swapped++;
  return swapped;
}

function field(name: string, kb: number): string {
  return kilobytes(name, Math.floor(kb));
}

function usageText(usage: Usage, rollup: boolean): string {
  const kb = (bytes: number): number => bytes / 1024;
  return field("Rss", usage.rss) + field("Pss", kb(usage.pssBytes)) + field("Pss_Dirty", kb(usage.pssDirtyBytes))
    + (rollup ? field("Pss_Anon", kb(usage.pssAnonBytes)) + field("Pss_File", kb(usage.pssFileBytes)) + field("Pss_Shmem", kb(usage.pssShmemBytes)) : "")
    + field("Shared_Clean", usage.sharedClean) + field("Shared_Dirty", usage.sharedDirty)
    + field("Private_Clean", usage.privateClean) + field("Private_Dirty", usage.privateDirty)
    + field("Referenced", usage.referenced) + field("Anonymous", usage.anonymous) + field("LazyFree", usage.lazyFree)
    + ["AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb"]
      .map((name) => field(name, 0)).join("")
    + field("Swap", usage.swap) + field("SwapPss", kb(usage.swapPssBytes))
    + field("Locked", kb(usage.lockedBytes));
}

/** Two letters a flag, in the order of their bits; every mapping counts as written since the last look (sd). */
const VM_FLAG_NAMES: readonly [flag: number, name: string][] = [
  [VM_READ, "rd"], [VM_WRITE, "wr"], [VM_EXEC, "ex"], [VM_SHARED, "sh"],
  [VM_MAYREAD, "mr"], [VM_MAYWRITE, "mw"], [VM_MAYEXEC, "me"], [VM_MAYSHARE, "ms"],
  [VM_GROWSDOWN, "gd"], [VM_PFNMAP, "pf"], [VM_LOCKED, "lo"], [VM_IO, "io"], [VM_SEQ_READ, "sr"], [VM_RAND_READ, "rr"],
  [VM_DONTCOPY, "dc"], [VM_DONTEXPAND, "de"], [VM_LOCKONFAULT, "lf"], [VM_ACCOUNT, "ac"], [VM_NORESERVE, "nr"],
  [VM_WIPEONFORK, "wf"], [VM_DONTDUMP, "dd"], [0, "sd"], [VM_MIXEDMAP, "mm"], [VM_HUGEPAGE, "hg"], [VM_NOHUGEPAGE, "nh"],
];

function vmFlagsText(flags: number): string {
  const names = VM_FLAG_NAMES.filter(([flag]) => flag === 0 || (flags & flag) !== 0).map(([, name]) => `${name} `);
  return `VmFlags: ${names.join("")}\n`;
}

/** /proc/PID/smaps; empty without an address space. */
export function smapsText(k: Kernel, task: Task): string {
  const space = spaceOfTask(k, task);
  if (space === undefined) return "";
  return allVmas(space).map((vma) => {
    const usage = noUsage();
    addUsage(k, space, vma, usage);
    return mapsLine(k, space, vma) + field("Size", vmaPages(vma) * KB_PER_PAGE)
      + field("KernelPageSize", KB_PER_PAGE) + field("MMUPageSize", KB_PER_PAGE) + usageText(usage, false)
      + `THPeligible:    0\nProtectionKey:         0\n${vmFlagsText(vma.flags)}`;
  }).join("");
}

/** /proc/PID/smaps_rollup; empty without mappings. */
export function smapsRollupText(k: Kernel, task: Task): string {
  const space = spaceOfTask(k, task);
  if (space === undefined || space.mapCount === 0) return "";
  const usage = noUsage();
  const vmas = allVmas(space);
  for (const vma of vmas) addUsage(k, space, vma, usage);
  const range = `${hex(vmas[0].start, 8)}-${hex(vmas[vmas.length - 1].end, 8)} ---p 00000000 00:00 0 `;
  return `${range.padEnd(NAME_COLUMN)}[rollup]\n${usageText(usage, true)}`;
}

/** The seven numbers of /proc/PID/statm, pages: size, resident, shared, text, lib, data, dirty. */
export function statmNumbers(k: Kernel, task: Task): number[] {
  const space = spaceOfTask(k, task);
  if (space === undefined) return [0, 0, 0, 0, 0, 0, 0];
  return [space.totalVm, rssPages(space), space.rssFile + space.rssShmem, 0, 0, space.dataVm + space.stackVm, 0];
}
