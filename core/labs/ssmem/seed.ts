/**
 * ssmem as the report built it: one frame for all pages of a segment, a detach that unmaps nothing, records that stay for
 * ever, and no notice of exit or fork.
 * Differs from Linux: a page that nobody zeroed shows zeros here, and what the eleventh attachment writes past the arrays
 * hits nothing.
 */
import { EAGAIN, EFAULT, EPERM } from "../../abi/errno.ts";
import { MAP_SHARED } from "../../abi/mman.ts";
import { PAGE_SIZE } from "../../abi/limits.ts";
import { SSMEM_FLAG_CREATE } from "../../abi/ssmem.ts";
import type { Kernel } from "../../kernel.ts";
import { mayLock, mmap, withinLockLimit } from "../../mm/mmap.ts";
import { readFrame, ZERO_PFN } from "../../mm/page_alloc.ts";
import { spaceOf } from "../../mm/space.ts";
import { setVmaFlags, vmaAt, vmOperations, VM_LOCKED } from "../../mm/vma.ts";
import { findVma } from "../../mm/vma_list.ts";
import type { Task } from "../../sched/task.ts";
import type { Design } from "./design.ts";
import { protOf } from "./mapped.ts";
import { createSegment, segmentFrame, segmentOf, ssmem, type Segment } from "./segments.ts";

const OPS = "ssmem.seed";
/** The report's EADDRNOTAVALL, which user space prints as "Network is down". */
const EADDRNOTAVALL = 100;

vmOperations(OPS, {
  fault(k, vma) {
    const pfn = segmentFrame(k, segmentOf(k, vma.private), 0);
    return pfn === 0 ? "oom" : { pfn };
  },
  peek: (k, vma) => readFrame(k, segmentOf(k, vma.private).frames.get(0) ?? ZERO_PFN),
});

/**
 * do_mmap_pgoff with MAP_SHARED and MAP_LOCKED, and no look at what it asks to be brought in: locked, and empty until it is touched.
 * -EPERM or -EAGAIN beyond RLIMIT_MEMLOCK.
 */
function mapLocked(k: Kernel, task: Task, { id, pages }: Segment, prot: number): number {
  const space = spaceOf(k, task);
  if (!mayLock(k, task)) return -EPERM;
  if (!withinLockLimit(k, task, space, VM_LOCKED, pages * PAGE_SIZE)) return -EAGAIN;
  const addr = mmap(k, task, {
    addr: 0, length: pages * PAGE_SIZE, prot, flags: MAP_SHARED, file: null, pgoff: 0,
    object: { shmem: 0, ops: OPS, private: id, writable: true },
  });
  const vma = addr < 0 ? null : vmaAt(space, addr);
  if (vma !== null && (vma.flags & VM_LOCKED) === 0) {
    setVmaFlags(vma, vma.flags | VM_LOCKED);
    space.lockedVm += pages;
  }
  return addr;
}

export const seedDesign: Design = {
  attach(k, task, id, flags, length) {
    const known = ssmem(k).segments.get(id);
    if (known === undefined && (flags & SSMEM_FLAG_CREATE) === 0) return -EADDRNOTAVALL;
    const segment = known ?? createSegment(k, id, length);
    // An errno passes for an address: `addr > 0` on an unsigned number.
    segment.attached++;
    return mapLocked(k, task, segment, protOf(flags));
  },
  detach(k, task, addr) {
    // find_vma answers the next mapping where none lies at the address.
    const vma = typeof addr === "bigint" ? null : findVma(spaceOf(k, task), addr);
    if (vma?.ops !== OPS) return -EFAULT;
    const segment = segmentOf(k, vma.private);
    if (segment.attached === 0) return -EFAULT;
    // The page is forgotten without being freed; the record and the mapping stay.
    if (--segment.attached === 0) segment.frames.delete(0);
    return 0;
  },
};
