/**
 * ssmem as the report built it: one frame for all pages of a segment, a detach that unmaps nothing, records that stay for
 * ever, and no notice of exit or fork.
 * Differs from Linux: a page that nobody zeroed shows zeros here, and what the eleventh attachment writes past the arrays
 * hits nothing.
 */
import { EFAULT } from "../../abi/errno.ts";
import { MAP_LOCKED, MAP_SHARED } from "../../abi/mman.ts";
import { PAGE_SIZE } from "../../abi/limits.ts";
import { SSMEM_FLAG_CREATE } from "../../abi/ssmem.ts";
import { mmap } from "../../mm/mmap.ts";
import { readFrame, ZERO_PFN } from "../../mm/page_alloc.ts";
import { spaceOf } from "../../mm/space.ts";
import { vmOperations } from "../../mm/vma.ts";
import { findVma } from "../../mm/vma_list.ts";
import type { Design } from "./design.ts";
import { protOf } from "./mapped.ts";
import { createSegment, segmentFrame, segmentOf, ssmem } from "./segments.ts";

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

export const seedDesign: Design = {
  attach(k, task, id, flags, length) {
    const known = ssmem(k).segments.get(id);
    if (known === undefined && (flags & SSMEM_FLAG_CREATE) === 0) return -EADDRNOTAVALL;
    const segment = known ?? createSegment(k, id, length);
    // An errno passes for an address: `addr > 0` on an unsigned number.
    segment.attached++;
    return mmap(k, task, {
      addr: 0, length: segment.pages * PAGE_SIZE, prot: protOf(flags), flags: MAP_SHARED | MAP_LOCKED, file: null, pgoff: 0,
      object: { shmem: 0, ops: OPS, private: id, writable: true },
    });
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
