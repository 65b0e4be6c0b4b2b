/** Drivers that give memory to a mapping at once, without faults (remap_pfn_range, vm_insert_page); and page-table dumps. */
import { EBUSY, EFAULT, EINVAL, ENOMEM } from "../abi/errno.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import type { Task } from "../sched/task.ts";
import { kernelBug, warnOnce } from "./alloc_report.ts";
import { frameExists, frameOf, getFrame } from "./page_alloc.ts";
import { makeTable, PTE_SPECIAL, pteIndex, pteValue, setPte } from "./page_table.ts";
import { mapFrame, pteBits, pteNx } from "./pte_map.ts";
import type { AddressSpace } from "./space.ts";
import {
  setVmaFlags, VM_ACCESS, VM_DONTDUMP, VM_DONTEXPAND, VM_IO, VM_MAYWRITE, VM_MIXEDMAP, VM_PFNMAP, VM_SHARED, type Vma,
} from "./vma.ts";
import { zapRange } from "./unmap.ts";

function spaceOfVma(k: Kernel, vma: Vma): AddressSpace {
  return must(k.state.mm.spaces, vma.mm);
}

/**
 * Maps the physical pages from `pfn` on at `addr`, `size` bytes, with the rights `prot` (usually `vma.prot`). Nothing is
 * counted and nothing faults later; a size beyond the driver's own memory maps what lies behind it, as in Linux.
 * 0, -EINVAL for an address within a page (with a warning once a boot), or part of a private writable mapping; -ENOMEM for
 * want of page tables. No bytes at all, and pages where some are mapped already, are BUGs.
 * Differs from Linux: a range outside the mapping is -EINVAL, not a page in somebody else's.
 */
export function remapPfnRange(k: Kernel, vma: Vma, addr: number, pfn: number, size: number, prot: number): number {
  const end = addr + Math.ceil(size / PAGE_SIZE) * PAGE_SIZE;
  if (addr % PAGE_SIZE !== 0) {
    warnOnce(k, "remap.aligned", "", { file: "mm/memory.c", line: 2455, symbol: "remap_pfn_range_notrack+0x3f8/0x450" }, ["remap_pfn_range+0x45/0x70"]);
    return -EINVAL;
  }
  if (addr < vma.start || end > vma.end) return -EINVAL;
  if ((vma.flags & (VM_SHARED | VM_MAYWRITE)) === VM_MAYWRITE) {
    if (addr !== vma.start || end !== vma.end) return -EINVAL;
    vma.pgoff = pfn;
  }
  setVmaFlags(vma, vma.flags | VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
  if (end === addr) {
    kernelBug(k, { file: "mm/memory.c", line: 2481, symbol: "remap_pfn_range_notrack+0x40b/0x450" }, ["remap_pfn_range+0x45/0x70"]);
    return -EINVAL;
  }
  const space = spaceOfVma(k, vma);
  const flags = (vma.flags & ~VM_ACCESS) | (prot & VM_ACCESS);
  for (let at = addr; at < end; at += PAGE_SIZE) {
    const table = makeTable(k, space, at);
    if (table === null) {
      zapRange(k, space, addr, at);
      return -ENOMEM;
    }
    const index = pteIndex(at);
    if (!pteIsNone(table, index)) {
      kernelBug(k, { file: "mm/memory.c", line: 2393, symbol: "remap_pfn_range_notrack+0x3ea/0x450" }, ["remap_pfn_range+0x45/0x70"]);
      return -EINVAL;
    }
    setPte(table, index, pfn + (at - addr) / PAGE_SIZE, pteBits(flags) | PTE_SPECIAL, pteNx(flags));
  }
  return 0;
}

/** pte_none: neither a page nor a swap entry. */
const pteIsNone = (table: Uint32Array, index: number): boolean => table[index] === 0 && table[index + 1] === 0;

/**
 * Maps one page of the driver's own at `addr`; the mapping takes a reference. 0, -EFAULT outside the mapping, -EINVAL for
 * memory that nobody holds, and for anonymous pages, slabs and page tables; -EBUSY when something is mapped there, -ENOMEM.
 * A mapping that has pages of remapPfnRange is a BUG.
 */
export function vmInsertPage(k: Kernel, vma: Vma, addr: number, pfn: number): number {
  if (addr < vma.start || addr >= vma.end) return -EFAULT;
  const { mm } = k.state;
  if (!frameExists(mm, pfn)) return -EINVAL;
  if ((vma.flags & VM_PFNMAP) !== 0) {
    kernelBug(k, { file: "mm/memory.c", line: 2013, symbol: "vm_insert_page+0x1fb/0x210" });
    return -EINVAL;
  }
  setVmaFlags(vma, vma.flags | VM_MIXEDMAP);
  const { use } = frameOf(mm, pfn);
  if (use === "anon" || use === "slab" || use === "table") return -EINVAL;
  const space = spaceOfVma(k, vma);
  const table = makeTable(k, space, addr);
  if (table === null) return -ENOMEM;
  const index = pteIndex(addr);
  if (!pteIsNone(table, index)) return -EBUSY;
  getFrame(k, pfn);
  mapFrame(k, space, table, index, pfn, pteBits(vma.flags), pteNx(vma.flags));
  return 0;
}

/** The page-table entry of a user address, raw: hexadecimal in capitals without leading zeros, as %lX prints it; "0" for none. */
export function dumpPte(k: Kernel, task: Task, addr: number): string {
  const space = k.state.mm.spaces.get(task.mm);
  return space === undefined ? "0" : pteValue(k.state.mm, space, addr).toString(16).toUpperCase();
}
