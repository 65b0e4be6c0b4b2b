/** The designs that work: every mapping is counted by the VMA's open and close, so that exit, fork, munmap and exec count too. */
import { EADDRNOTAVAIL, EFAULT, EINVAL } from "../../abi/errno.ts";
import { MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE } from "../../abi/mman.ts";
import { SSMEM_FLAG_CREATE, SSMEM_FLAG_EXEC, SSMEM_FLAG_WRITE } from "../../abi/ssmem.ts";
import { PAGE_SIZE } from "../../abi/limits.ts";
import { mmap } from "../../mm/mmap.ts";
import { readFrame, ZERO_PFN } from "../../mm/page_alloc.ts";
import { spaceOf } from "../../mm/space.ts";
import { unmap } from "../../mm/unmap.ts";
import { setVmaFlags, vmaAt, vmOperations, VM_DONTEXPAND, VM_MAYEXEC, VM_MAYWRITE, type Vma, type VmOperations } from "../../mm/vma.ts";
import type { Design } from "./design.ts";
import { createSegment, detachSegment, segmentFrame, segmentOf, ssmem } from "./segments.ts";

const operations: VmOperations = {
  open: (k, vma) => {
    segmentOf(k, vma.private).attached++;
  },
  close: (k, vma) => detachSegment(k, segmentOf(k, vma.private)),
  fault(k, vma, { pgoff }) {
    const segment = segmentOf(k, vma.private);
    if (pgoff >= segment.pages) return "sigbus";
    const pfn = segmentFrame(k, segment, pgoff);
    return pfn === 0 ? "oom" : { pfn };
  },
  peek(k, vma, pgoff) {
    const { frames, pages } = segmentOf(k, vma.private);
    return pgoff >= pages ? null : readFrame(k, frames.get(pgoff) ?? ZERO_PFN);
  },
  name: (_k, vma) => `[ssmem:${vma.private}]`,
};

vmOperations("ssmem.fault", operations);
vmOperations("ssmem.anon", { ...operations, ownsPages: true });

/** The rights of one mapping; reading is always among them. */
export function protOf(flags: number): number {
  return PROT_READ | ((flags & SSMEM_FLAG_WRITE) === 0 ? 0 : PROT_WRITE) | ((flags & SSMEM_FLAG_EXEC) === 0 ? 0 : PROT_EXEC);
}

/** Rights that the mapping was not given cannot be had by mprotect later, nor may it grow. */
function limitRights(vma: Vma, prot: number): void {
  const withheld = ((prot & PROT_WRITE) === 0 ? VM_MAYWRITE : 0) | ((prot & PROT_EXEC) === 0 ? VM_MAYEXEC : 0);
  setVmaFlags(vma, (vma.flags & ~withheld) | VM_DONTEXPAND);
}

function design(ops: string, sharing: number): Design {
  return {
    attach(k, task, id, flags, length) {
      if ((flags & ~ALL_FLAGS) !== 0) return -EINVAL;
      const known = ssmem(k).segments.get(id);
      if (known === undefined && (flags & SSMEM_FLAG_CREATE) === 0) return -EADDRNOTAVAIL;
      const segment = known ?? createSegment(k, id, length);
      segment.attached++;
      const prot = protOf(flags);
      const addr = mmap(k, task, {
        addr: 0, length: segment.pages * PAGE_SIZE, prot, flags: sharing, file: null, pgoff: 0,
        object: { shmem: 0, ops, private: id, writable: true },
      });
      if (addr < 0) detachSegment(k, segment);
      else limitRights(vmaAt(spaceOf(k, task), addr)!, prot);
      return addr;
    },
    detach(k, task, addr) {
      const space = spaceOf(k, task);
      const vma = typeof addr === "bigint" ? null : vmaAt(space, addr);
      return vma?.ops === ops ? unmap(k, task, space, vma.start, vma.end) : -EFAULT;
    },
  };
}

const ALL_FLAGS = SSMEM_FLAG_CREATE | SSMEM_FLAG_WRITE | SSMEM_FLAG_EXEC;

export const faultDesign = design("ssmem.fault", MAP_SHARED);
export const anonDesign = design("ssmem.anon", MAP_PRIVATE);
