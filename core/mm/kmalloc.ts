/** Kernel memory: kmalloc's size classes and runs of pages, each object with an owner for the leak report. */
import { assert, must } from "../lib/assert.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { allocFrames, frameBytes, putFrame, readFrame } from "./page_alloc.ts";

/** An allocation; `kmalloc` answers its id, 0 when memory is out. */
export interface KernelObject {
  id: number;
  /** Module, or "kernel". */
  owner: string;
  /** Bytes asked for, and bytes that the size class gives. */
  size: number;
  room: number;
  /** Physical address, bytes. */
  phys: number;
  /** Pages of its own; 0 when it is a part of a slab page. */
  pages: number;
  /** Content of a part of a slab page; null when it has pages of its own, or is all zero. */
  bytes: Uint8Array | null;
}

/** One kmalloc-N cache. */
export interface SlabClass {
  size: number;
  /** Physical addresses of free slots, the next one last. */
  free: number[];
  frames: number[];
  live: number;
}

/** The direct map of physical memory begins here (PAGE_OFFSET without randomisation). */
export const DIRECT_MAP = 0xffff_8880_0000_0000n;
/** KMALLOC_MAX_SIZE */
export const KMALLOC_MAX = 4 << 20;
/** The sizes below a page that a request is rounded up to (kmalloc_info). */
const CLASSES = [8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048];
/** What ZERO_SIZE_PTR is: the address of an object without bytes. */
const ZERO_SIZE = 16n;

/** Allocates `size` bytes, zeroed; the object's id, or 0 when memory is out or `size` is above 4 MiB. */
export function kmalloc(k: Kernel, size: number, owner: string): number {
  if (size > KMALLOC_MAX) return 0;
  const room = CLASSES.find((bytes) => size <= bytes);
  if (room === undefined) return kmallocPages(k, pagesFor(size), owner, size);
  if (size === 0) return addObject(k, owner, 0, 0, 0, 0);
  const phys = takeSlot(k, room);
  return phys === 0 ? 0 : addObject(k, owner, size, room, phys, 0);
}

/** Pages of a large kmalloc: a power of two of them. */
function pagesFor(size: number): number {
  let pages = 1;
  while (pages * PAGE_SIZE < size) pages *= 2;
  return pages;
}

/** `pages` pages in a row (alloc_pages, __get_free_pages); the object's id, or 0. Its frames can be mapped to users. */
export function kmallocPages(k: Kernel, pages: number, owner: string, size = pages * PAGE_SIZE): number {
  const pfn = allocFrames(k, pages, "kernel");
  return pfn === 0 ? 0 : addObject(k, owner, size, pages * PAGE_SIZE, pfn * PAGE_SIZE, pages);
}

function addObject(k: Kernel, owner: string, size: number, room: number, phys: number, pages: number): number {
  const { mm } = k.state;
  const id = mm.nextObject++;
  mm.objects.set(id, { id, owner, size, room, phys, pages, bytes: null });
  return id;
}

function takeSlot(k: Kernel, size: number): number {
  const { slabs } = k.state.mm;
  let slab = slabs.get(size);
  if (slab === undefined) slabs.set(size, (slab = { size, free: [], frames: [], live: 0 }));
  if (slab.free.length === 0) {
    const pfn = allocFrames(k, 1, "slab");
    if (pfn === 0) return 0;
    slab.frames.push(pfn);
    for (let at = Math.floor(PAGE_SIZE / size) - 1; at >= 0; at--) slab.free.push(pfn * PAGE_SIZE + at * size);
  }
  slab.live++;
  return slab.free.pop()!;
}

/** Frees an object; 0 is nothing, as kfree(NULL). */
export function kfree(k: Kernel, id: number): void {
  if (id === 0) return;
  const { objects, slabs } = k.state.mm;
  const object = must(objects, id);
  objects.delete(id);
  for (let page = 0; page < object.pages; page++) putFrame(k, object.phys / PAGE_SIZE + page);
  if (object.pages > 0 || object.room === 0) return;
  const slab = must(slabs, object.room);
  slab.free.push(object.phys);
  if (--slab.live > 0) return;
  for (const pfn of slab.frames) putFrame(k, pfn);
  slabs.delete(object.room);
}

export function kernelObject(k: Kernel, id: number): KernelObject {
  return must(k.state.mm.objects, id);
}

/** Bytes that may be used: what was asked for, rounded up to the size class (ksize). */
export function ksize(k: Kernel, id: number): number {
  return kernelObject(k, id).room;
}

/** The object's virtual address. */
export function kernelAddress(k: Kernel, id: number): bigint {
  const { phys, room } = kernelObject(k, id);
  return room === 0 ? ZERO_SIZE : DIRECT_MAP + BigInt(phys);
}

/** The page frame of a byte of an object (virt_to_phys >> PAGE_SHIFT). */
export function virtToPfn(k: Kernel, id: number, offset = 0): number {
  return Math.floor((kernelObject(k, id).phys + offset) / PAGE_SIZE);
}

/** The bytes of an object of at most one page: a live view, shared with whoever mapped the page. */
export function kernelBytes(k: Kernel, id: number): Uint8Array {
  const object = kernelObject(k, id);
  assert(object.pages <= 1, `kernel object ${id} has ${object.pages} pages: use readKernel and writeKernel`);
  if (object.pages === 1) return frameBytes(k, object.phys / PAGE_SIZE);
  return (object.bytes ??= new Uint8Array(object.room));
}

/** Copies `count` bytes at `offset` out of an object of any size. */
export function readKernel(k: Kernel, id: number, offset: number, count: number): Uint8Array {
  const object = kernelObject(k, id);
  assert(offset >= 0 && offset + count <= object.room, `reading ${count} bytes at ${offset} of ${object.room}`);
  if (object.pages === 0) return object.bytes === null ? new Uint8Array(count) : object.bytes.slice(offset, offset + count);
  const bytes = new Uint8Array(count);
  eachPage(object.phys + offset, count, (pfn, at, from, length) => bytes.set(readFrame(k, pfn).subarray(at, at + length), from));
  return bytes;
}

/** Copies bytes into an object of any size at `offset`. */
export function writeKernel(k: Kernel, id: number, offset: number, bytes: Uint8Array): void {
  const object = kernelObject(k, id);
  assert(offset >= 0 && offset + bytes.length <= object.room, `writing ${bytes.length} bytes at ${offset} of ${object.room}`);
  if (object.pages === 0) return kernelBytes(k, id).set(bytes, offset);
  eachPage(object.phys + offset, bytes.length, (pfn, at, from, length) => frameBytes(k, pfn).set(bytes.subarray(from, from + length), at));
}

/** Cuts a range of physical addresses at page boundaries: pfn, offset in the page, offset in the range, length. */
function eachPage(phys: number, count: number, visit: (pfn: number, at: number, from: number, length: number) => void): void {
  for (let done = 0; done < count;) {
    const at = (phys + done) % PAGE_SIZE;
    const length = Math.min(count - done, PAGE_SIZE - at);
    visit(Math.floor((phys + done) / PAGE_SIZE), at, done, length);
    done += length;
  }
}

/** What an owner has not freed, oldest first: for the leak report at rmmod (kmemleak). */
export function objectsOf(k: Kernel, owner: string): { id: number; size: number; address: bigint }[] {
  const found: { id: number; size: number; address: bigint }[] = [];
  for (const object of k.state.mm.objects.values()) {
    if (object.owner === owner) found.push({ id: object.id, size: object.size, address: kernelAddress(k, object.id) });
  }
  return found;
}
