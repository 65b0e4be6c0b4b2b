/** The mappings of shared memory objects and of regular files. */
import { ENOMEM, EPERM } from "../abi/errno.ts";
import { F_SEAL_FUTURE_WRITE, F_SEAL_WRITE } from "../abi/fcntl.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import type { OpenFile } from "../fs/file.ts";
import type { Task } from "../sched/task.ts";
import { newShmem, shmemOf, shmemPage } from "./shmem.ts";
import { peekShmem } from "./shmem_swap.ts";
import { vmOperations, VM_MAYWRITE, VM_NORESERVE, VM_SHARED, VM_WRITE, type Vma } from "./vma.ts";

vmOperations("shmem", {
  fault: (k, vma, { pgoff }) => shmemPage(k, vma.shmem, pgoff),
  peek(k, vma, pgoff) {
    const object = shmemOf(k, vma.shmem);
    return pgoff >= object.pages ? null : peekShmem(k, object.frames.get(pgoff) ?? 0);
  },
  name: (k, vma) => shmemOf(k, vma.shmem).name,
});

vmOperations("file", {
  fault: (k, vma, { pgoff }) => k.tables.hooks.filePage(k, vma.file, pgoff),
  peek(k, vma, pgoff) {
    const held = cachedPage(k, vma.inode, pgoff);
    return held === null ? null : peekShmem(k, held);
  },
});

/** The page-cache frame of an inode, 0 for a hole, less than 0 for a slot in swap, null beyond the end; nothing is allocated. */
export function cachedPage(k: Kernel, inodeId: number, pgoff: number): number | null {
  const inode = k.state.fs.inodes.get(inodeId);
  if (inode === undefined || inode.pages === null || pgoff >= Math.ceil(inode.size / PAGE_SIZE)) return null;
  return inode.pages.get(pgoff) ?? 0;
}

/**
 * The `mmap` of regular files' operations: pages come from the page cache (generic_file_mmap). -EPERM for a shared
 * writable mapping of a file sealed against writing; one that only reads may never be made writable.
 */
export function genericFileMmap(k: Kernel, _task: Task, _file: OpenFile, vma: Vma): number {
  const seals = k.state.fs.inodes.get(vma.inode)?.seals ?? 0;
  if ((vma.flags & VM_SHARED) !== 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) {
    if ((vma.flags & VM_WRITE) !== 0) return -EPERM;
    vma.flags &= ~VM_MAYWRITE;
  }
  vma.ops = "file";
  return 0;
}

/**
 * Lets a shared mapping without a file of its own map fresh shared memory (shmem_zero_setup): for anonymous ones and /dev/zero.
 * The mapping lets go of the file that it was made with. 0, or -ENOMEM when so much cannot be promised.
 */
export function shmemZeroSetup(k: Kernel, vma: Vma): number {
  const id = newShmem(k, vma.end - vma.start, "/dev/zero (deleted)", (vma.flags & VM_NORESERVE) === 0);
  if (id === 0) return -ENOMEM;
  if (vma.file !== 0) {
    k.tables.hooks.fput(k, vma.file);
    vma.file = 0;
    vma.inode = 0;
  }
  vma.shmem = id;
  vma.ops = "shmem";
  return 0;
}

/** The `mmap` of /dev/zero: private memory is anonymous, shared memory is a fresh object (drivers/char/mem.c). */
export function zeroMmap(k: Kernel, _task: Task, _file: OpenFile, vma: Vma): number {
  return (vma.flags & VM_SHARED) !== 0 ? shmemZeroSetup(k, vma) : 0;
}
