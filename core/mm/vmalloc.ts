/** Kernel memory in one piece of addresses but not of frames (mm/vmalloc.c), and giving it to users. */
import { EINVAL } from "../abi/errno.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { allocFrame, frameBytes, freePages, putFrame, readFrame } from "./page_alloc.ts";
import { vmInsertPage } from "./remap.ts";
import { VM_DONTDUMP, VM_DONTEXPAND, setVmaFlags, type Vma } from "./vma.ts";

export interface VmallocArea {
  id: number;
  owner: string;
  /** Bytes asked for. */
  size: number;
  /** Bytes from VMALLOC_START. */
  offset: number;
  frames: number[];
  /** Made by vmallocUser: it may be mapped to users (VM_USERMAP). */
  user: boolean;
}

const VMALLOC_START = 0xffff_c900_0000_0000n;

/** Allocates `size` bytes, zeroed; the area's id, or 0 when memory is out or `size` is 0. */
export function vmalloc(k: Kernel, size: number, owner: string): number {
  return allocArea(k, size, owner, false);
}

/** The same, for memory that `remapVmallocRange` may give to users. */
export function vmallocUser(k: Kernel, size: number, owner: string): number {
  return allocArea(k, size, owner, true);
}

function allocArea(k: Kernel, size: number, owner: string, user: boolean): number {
  const { mm } = k.state;
  const pages = Math.ceil(size / PAGE_SIZE);
  if (pages === 0 || pages > freePages(mm)) return 0;
  const frames: number[] = [];
  for (let page = 0; page < pages; page++) frames.push(allocFrame(k, { use: "kernel" }));
  const id = mm.nextVmalloc++;
  mm.vmalloc.set(id, { id, owner, size, offset: mm.vmallocEnd, frames, user });
  // A guard page lies behind each area. Differs from Linux: freed addresses are not used again.
  mm.vmallocEnd += (pages + 1) * PAGE_SIZE;
  return id;
}

/** Frees an area; 0 is nothing. Pages that users have mapped live on until they are unmapped. */
export function vfree(k: Kernel, id: number): void {
  if (id === 0) return;
  for (const pfn of areaOf(k, id).frames) putFrame(k, pfn);
  k.state.mm.vmalloc.delete(id);
}

function areaOf(k: Kernel, id: number): VmallocArea {
  return must(k.state.mm.vmalloc, id);
}

/** The area's virtual address. */
export function vmallocAddress(k: Kernel, id: number): bigint {
  return VMALLOC_START + BigInt(areaOf(k, id).offset);
}

/** The frame of a byte of an area (vmalloc_to_pfn). */
export function vmallocToPfn(k: Kernel, id: number, offset: number): number {
  return areaOf(k, id).frames[Math.floor(offset / PAGE_SIZE)];
}

/** Copies `count` bytes at `offset` out of an area. */
export function readVmalloc(k: Kernel, id: number, offset: number, count: number): Uint8Array {
  const { frames } = areaOf(k, id);
  assert(offset >= 0 && offset + count <= frames.length * PAGE_SIZE, `reading ${count} bytes at ${offset} of vmalloc area ${id}`);
  const bytes = new Uint8Array(count);
  for (let done = 0; done < count;) {
    const at = (offset + done) % PAGE_SIZE;
    const length = Math.min(count - done, PAGE_SIZE - at);
    bytes.set(readFrame(k, frames[Math.floor((offset + done) / PAGE_SIZE)]).subarray(at, at + length), done);
    done += length;
  }
  return bytes;
}

/** Copies bytes into an area at `offset`. */
export function writeVmalloc(k: Kernel, id: number, offset: number, bytes: Uint8Array): void {
  const { frames } = areaOf(k, id);
  assert(offset >= 0 && offset + bytes.length <= frames.length * PAGE_SIZE, `writing ${bytes.length} bytes at ${offset} of vmalloc area ${id}`);
  for (let done = 0; done < bytes.length;) {
    const at = (offset + done) % PAGE_SIZE;
    const length = Math.min(bytes.length - done, PAGE_SIZE - at);
    frameBytes(k, frames[Math.floor((offset + done) / PAGE_SIZE)]).set(bytes.subarray(done, done + length), at);
    done += length;
  }
}

/**
 * Maps an area from its page `pgoff` on over the whole of `vma`: 0, or -EINVAL when it is not for users or too short
 * (remap_vmalloc_range). The mapping may not grow afterwards.
 */
export function remapVmallocRange(k: Kernel, vma: Vma, id: number, pgoff: number): number {
  const { frames, user } = areaOf(k, id);
  const pages = (vma.end - vma.start) / PAGE_SIZE;
  if (!user || pgoff + pages > frames.length) return -EINVAL;
  for (let page = 0; page < pages; page++) {
    const error = vmInsertPage(k, vma, vma.start + page * PAGE_SIZE, frames[pgoff + page]);
    if (error < 0) return error;
  }
  setVmaFlags(vma, vma.flags | VM_DONTEXPAND | VM_DONTDUMP);
  return 0;
}
