/** Virtual memory areas: one mapping each, kept in the order of addresses (struct vm_area_struct). */
import { assert } from "../lib/assert.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { putShmem } from "./shmem.ts";
import type { AddressSpace } from "./space.ts";
import { extractVmas, findVma, insertVma } from "./vma_list.ts";

export const VM_READ = 0x1;
export const VM_WRITE = 0x2;
export const VM_EXEC = 0x4;
export const VM_SHARED = 0x8;
/** What mprotect may give: the access bits four places up. */
export const VM_MAYREAD = 0x10;
export const VM_MAYWRITE = 0x20;
export const VM_MAYEXEC = 0x40;
export const VM_MAYSHARE = 0x80;
export const VM_GROWSDOWN = 0x100;
/** Page frames without a count of references: remap_pfn_range. */
export const VM_PFNMAP = 0x400;
export const VM_LOCKED = 0x2000;
export const VM_IO = 0x4000;
export const VM_SEQ_READ = 0x8000;
export const VM_RAND_READ = 0x1_0000;
/** Not copied by fork. */
export const VM_DONTCOPY = 0x2_0000;
/** mremap may not make it larger. */
export const VM_DONTEXPAND = 0x4_0000;
export const VM_LOCKONFAULT = 0x8_0000;
/** Its pages count as promised memory. */
export const VM_ACCOUNT = 0x10_0000;
export const VM_NORESERVE = 0x20_0000;
export const VM_WIPEONFORK = 0x200_0000;
export const VM_DONTDUMP = 0x400_0000;
/** Pages with and without a count of references: vm_insert_page. */
export const VM_MIXEDMAP = 0x1000_0000;
export const VM_HUGEPAGE = 0x2000_0000;
export const VM_NOHUGEPAGE = 0x4000_0000;

export const VM_ACCESS = VM_READ | VM_WRITE | VM_EXEC;
/** Never merged, never locked. */
export const VM_SPECIAL = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP;

/** Bytes kept free below a mapping that grows down. */
export const STACK_GUARD_GAP = 256 * PAGE_SIZE;

export interface Vma {
  /** The address space. */
  mm: number;
  /** Bytes, multiples of the page size; `end` is the first address outside. */
  start: number;
  end: number;
  /** VM_ bits. */
  flags: number;
  /** PROT_ bits, always those of `flags`; a driver passes them to remapPfnRange. */
  prot: number;
  /** Offset in the file, in pages; of anonymous memory, the address where it was mapped first, in pages. */
  pgoff: number;
  /** Id of the open file that the mapping holds, 0 for none. */
  file: number;
  /** Inode of that file, 0 for none. */
  inode: number;
  /** Id of the shared memory object that the mapping holds, 0 for none. */
  shmem: number;
  /** Name in `tables.vmOperations`; "" is anonymous memory. */
  ops: string;
  /** For the operations: a number of theirs (vm_private_data). */
  private: number;
  /** Which family of anonymous pages it has begun to hold, 0 for none yet; and over how many forks (anon_vma_chain). */
  anonVma: number;
  anonChain: number;
}

/** A fault that a driver answers. */
export interface VmFault {
  task: Task;
  /** The page's address. */
  addr: number;
  /** The page's offset in the file, in pages. */
  pgoff: number;
  write: boolean;
}

/** What a driver does about its mappings (vm_operations_struct). */
export interface VmOperations {
  /** The mapping was copied, by fork or by being split; mmap itself does not call it. `task` asked for it: at fork, the parent. */
  open?(k: Kernel, vma: Vma, task: Task): void;
  /** The mapping goes away. */
  close?(k: Kernel, vma: Vma, task: Task): void;
  /** Names the frame for a page that is touched first; the fault takes its own reference. Absent: SIGBUS. */
  fault?(k: Kernel, vma: Vma, fault: VmFault): { pfn: number } | "sigbus" | "oom";
  /** What a fault would give, without changing anything: bytes of the page, or null for none. For a debugger's view. */
  peek?(k: Kernel, vma: Vma, pgoff: number): Uint8Array | null;
  /** Its pages are a private mapping's own as they are: a write maps them, where a file's would be copied. */
  ownsPages?: boolean;
  /** What /proc/PID/maps shows instead of a path. */
  name?(k: Kernel, vma: Vma): string;
}

/** Operations by name; tables.ts hands it to every kernel. */
export const vmOperationsTable = new Map<string, VmOperations>();

/** Registers operations under the name that VMAs know them by. */
export function vmOperations(name: string, operations: VmOperations): VmOperations {
  assert(!vmOperationsTable.has(name), `two vm operations named ${name}`);
  vmOperationsTable.set(name, operations);
  return operations;
}

/** The operations of a mapping; null for anonymous memory. */
export function vmOpsOf(k: Kernel, vma: Vma): VmOperations | null {
  if (vma.ops === "") return null;
  const operations = k.tables.vmOperations.get(vma.ops);
  assert(operations !== undefined, `no vm operations named ${vma.ops}`);
  return operations;
}

export function vmaPages(vma: Vma): number {
  return (vma.end - vma.start) / PAGE_SIZE;
}

/** The file offset, in pages, of the page at `addr`. */
export function pgoffAt(vma: Vma, addr: number): number {
  return vma.pgoff + Math.floor((addr - vma.start) / PAGE_SIZE);
}

export function setVmaFlags(vma: Vma, flags: number): void {
  vma.flags = flags;
  vma.prot = flags & VM_ACCESS;
}

/** The VMA that `addr` lies in (vma_lookup). */
export function vmaAt(space: AddressSpace, addr: number): Vma | null {
  const vma = findVma(space, addr);
  return vma !== null && vma.start <= addr ? vma : null;
}

/** Whether some VMA overlaps [start, end). */
export function vmaOverlaps(space: AddressSpace, start: number, end: number): boolean {
  const vma = findVma(space, start);
  return vma !== null && vma.start < end;
}

/** Where a mapping begins for others: one that grows down keeps its guard gap free. */
export function startGap(vma: Vma): number {
  return (vma.flags & VM_GROWSDOWN) === 0 ? vma.start : Math.max(0, vma.start - STACK_GUARD_GAP);
}

/** Puts a VMA in its place; what it holds is counted by `getVma`. */
export function linkVma(k: Kernel, space: AddressSpace, vma: Vma): void {
  insertVma(space, vma);
  k.state.mm.vmaCount++;
}

/** Takes the VMAs that begin in [start, end) out of the list; the caller puts what they hold. */
export function unlinkVmas(k: Kernel, space: AddressSpace, start: number, end: number): Vma[] {
  const taken = extractVmas(space, start, end);
  k.state.mm.vmaCount -= taken.length;
  return taken;
}

/**
 * Whether another VMA may be made: the space has fewer than vm.max_map_count, and all spaces together fewer than eight for
 * each page of RAM, which stands for the kernel memory that they take.
 */
export function vmasLeft(k: Kernel, space: AddressSpace, more = 1): boolean {
  return space.mapCount < k.state.mm.vm.maxMapCount && kernelVmasLeft(k, more);
}

export function kernelVmasLeft(k: Kernel, more: number): boolean {
  const { mm } = k.state;
  return mm.vmaCount + more <= mm.ramPages * 8;
}

/** Counts what a new VMA holds: its file or shared memory, and that its inode is mapped. */
export function getVma(k: Kernel, vma: Vma): void {
  if (vma.file !== 0) k.tables.hooks.getFile(k, vma.file);
  if (vma.shmem !== 0) k.state.mm.shmem.get(vma.shmem)!.refs++;
  countInode(k, vma);
}

/** Counts that the inode of a VMA is mapped once more; `getVma` does it, mmap for a file that it holds already. */
export function countInode(k: Kernel, vma: Vma): void {
  const { mappedInodes } = k.state.mm;
  if (vma.inode !== 0) mappedInodes.set(vma.inode, (mappedInodes.get(vma.inode) ?? 0) + 1);
}

export function uncountInode(k: Kernel, vma: Vma): void {
  if (vma.inode === 0) return;
  const { mappedInodes } = k.state.mm;
  const count = mappedInodes.get(vma.inode)! - 1;
  if (count === 0) mappedInodes.delete(vma.inode);
  else mappedInodes.set(vma.inode, count);
}

/** Gives back what `getVma` counted. */
export function putVma(k: Kernel, vma: Vma): void {
  uncountInode(k, vma);
  if (vma.file !== 0) k.tables.hooks.fput(k, vma.file);
  if (vma.shmem !== 0) putShmem(k, vma.shmem);
}
