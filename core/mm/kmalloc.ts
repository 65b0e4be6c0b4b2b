/** Kernel memory: kmalloc's size classes, runs of pages and objects of caches, each with an owner for the leak report. */
import { GFP_KERNEL, __GFP_COMP, __GFP_NOWARN } from "../abi/gfp.ts";
import { assert, must } from "../lib/assert.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { printk } from "../sched/printk.ts";
import { callerOf } from "../sched/stack_trace.ts";
import { current } from "../sched/task.ts";
import { kernelBug, hashedAddress, warnAlloc, warnOnce } from "./alloc_report.ts";
import { allocationTrace, type AllocationTrace } from "./alloc_trace.ts";
import { allocFrames, frameBytes, frameOf, putFrame, readFrame } from "./page_alloc.ts";
import { newCache, orderOf, putObject, slabWithRoom, takeObject, type KmemCache } from "./slab.ts";
import { FIRST_OBJECT } from "./state.ts";

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
  /** Its cache, and the first page of the slab in it; "" and 0 for pages of its own. */
  cache: string;
  slab: number;
  /** Whole pages that it is made of; 0 when it is a part of one. */
  pages: number;
  /** Content of a part of a page; null when it is all zero, or made of pages. */
  bytes: Uint8Array | null;
  /** Of a module's: who asked for it, and when. Null for pages, which kmemleak does not follow, and for the kernel's own. */
  trace: AllocationTrace | null;
}

/** The direct map of physical memory begins here (PAGE_OFFSET without randomisation). */
export const DIRECT_MAP = 0xffff_8880_0000_0000n;
const WARNING = 4;
/** Orders of pages that the page allocator has: 0 to 10 (MAX_ORDER). */
const ORDERS = 11;
/** KMALLOC_MAX_SIZE */
export const KMALLOC_MAX = PAGE_SIZE * 2 ** (ORDERS - 1);
/** The sizes that a request is rounded up to (kmalloc_info); what is larger gets pages of its own. */
export const KMALLOC_SIZES: readonly number[] = [8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192];

/** What kmalloc(0) answers: neither NULL nor memory, and nothing to free (ZERO_SIZE_PTR). */
export const ZERO_SIZE_PTR = -1;
const ZERO_SIZE_ADDRESS = 16n;
const zeroSize: KernelObject = {
  id: ZERO_SIZE_PTR, owner: "kernel", size: 0, room: 0, phys: 0, cache: "", slab: 0, pages: 0, bytes: new Uint8Array(0), trace: null,
};

/** kmalloc-96, kmalloc-8k */
export const kmallocName = (size: number): string => `kmalloc-${size >= 1024 ? `${size / 1024}k` : size}`;

/**
 * Allocates `size` bytes, zeroed, as a kernel with init_on_alloc does; the object's id, ZERO_SIZE_PTR for none, or 0 when memory
 * is out. More than KMALLOC_MAX is 0 and, but with __GFP_NOWARN, a warning once a boot.
 */
export function kmalloc(k: Kernel, size: number, owner: string, gfp = GFP_KERNEL): number {
  assert(Number.isInteger(size) && size >= 0, `kmalloc of ${size} bytes`);
  if (size === 0) return ZERO_SIZE_PTR;
  const room = KMALLOC_SIZES.find((bytes) => size <= bytes);
  if (room === undefined) return kmallocLarge(k, size, owner, gfp);
  return cacheObject(k, kmallocCache(k, room), size, owner, gfp, "kmalloc_trace+0x2a/0xa0");
}

/** An array of `count` elements; 0 also when the product is more than a size_t can hold (kcalloc, kmalloc_array). */
export function kcalloc(k: Kernel, count: number, size: number, owner: string, gfp = GFP_KERNEL): number {
  return count * size >= 2 ** 64 ? 0 : kmalloc(k, count * size, owner, gfp);
}

function kmallocCache(k: Kernel, size: number): KmemCache {
  const { caches } = k.state.mm;
  const name = kmallocName(size);
  let cache = caches.get(name);
  if (cache === undefined) caches.set(name, (cache = newCache(name, "kernel", size, size, k.state.machine.cpus)));
  return cache;
}

/** A large kmalloc: pages of its own, a power of two of them. */
function kmallocLarge(k: Kernel, size: number, owner: string, gfp: number): number {
  const order = orderOf(size);
  if (!orderExists(k, order, gfp | __GFP_COMP, ["__kmalloc_large_node+0x7a/0x160", "__kmalloc+0xc9/0x150"])) return 0;
  return kmallocPages(k, 2 ** order, owner, size, gfp | __GFP_COMP, allocationTrace(k, owner, "__kmalloc+0x4b/0x150"));
}

/** Whether the page allocator has blocks of this order; else it warns, once a boot. */
function orderExists(k: Kernel, order: number, gfp: number, trace: readonly string[]): boolean {
  if (order < ORDERS) return true;
  if ((gfp & __GFP_NOWARN) === 0) warnOnce(k, "page_alloc.order", "", { file: "mm/page_alloc.c", line: 5534, symbol: "__alloc_pages+0x30a/0x560" }, trace);
  return false;
}

/** 2^`order` pages in a row (__get_free_pages, alloc_pages): the object's id, or 0. Order 11 and more is 0 with a warning. */
export function getFreePages(k: Kernel, order: number, owner: string, gfp = GFP_KERNEL): number {
  return orderExists(k, order, gfp, ["__get_free_pages+0x11/0x50"]) ? kmallocPages(k, 2 ** order, owner, undefined, gfp) : 0;
}

/** `pages` pages in a row; the object's id, or 0. Its frames can be mapped to users. */
export function kmallocPages(
  k: Kernel, pages: number, owner: string, size = pages * PAGE_SIZE, gfp = GFP_KERNEL, trace: AllocationTrace | null = null,
): number {
  const pfn = allocFrames(k, pages, "kernel");
  if (pfn !== 0) return addObject(k, { owner, size, room: pages * PAGE_SIZE, phys: pfn * PAGE_SIZE, cache: "", slab: 0, pages, bytes: null, trace });
  warnAlloc(k, gfp, `page allocation failure: order:${orderOf(pages * PAGE_SIZE)}`);
  return 0;
}

/** An object of a cache; its id, or 0. `by` is the function that a leak report names first. */
export function cacheObject(k: Kernel, cache: KmemCache, size: number, owner: string, gfp: number, by: string): number {
  const slab = slabWithRoom(k, cache);
  if (slab === null) {
    if (cache.slabs.size === 0 && cache.name.startsWith("kmalloc-")) k.state.mm.caches.delete(cache.name);
    warnAlloc(k, gfp, `page allocation failure: order:${orderOf(cache.size)}`);
    return 0;
  }
  const phys = takeObject(cache, slab);
  // Objects of whole pages begin at one: what they hold is what the pages hold.
  const pages = cache.size % PAGE_SIZE === 0 ? cache.size / PAGE_SIZE : 0;
  for (let page = 0; page < pages; page++) clearPage(k, phys / PAGE_SIZE + page);
  return addObject(k, {
    owner, size, room: cache.objectSize, phys, cache: cache.name, slab: slab.pfn, pages, bytes: null, trace: allocationTrace(k, owner, by),
  });
}

/** What the last owner wrote is gone. */
function clearPage(k: Kernel, pfn: number): void {
  const frame = frameOf(k.state.mm, pfn);
  frame.bytes = null;
  frame.few = null;
}

function addObject(k: Kernel, object: Omit<KernelObject, "id">): number {
  const { mm } = k.state;
  const id = mm.nextObject++;
  mm.objects.set(id, { id, ...object });
  return id;
}

/**
 * Frees an object; 0 is nothing, as kfree(NULL), and so is ZERO_SIZE_PTR. A module that frees one twice, or what it never got,
 * runs into the kernel's checks; our own code that does so is wrong itself, and throws.
 */
export function kfree(k: Kernel, id: number): void {
  if (id === 0 || id === ZERO_SIZE_PTR) return;
  const { objects, caches } = k.state.mm;
  const object = objects.get(id);
  if (object === undefined) return badFree(k, id);
  objects.delete(id);
  if (object.cache === "") {
    for (let page = 0; page < object.pages; page++) putFrame(k, object.phys / PAGE_SIZE + page);
    return;
  }
  const cache = must(caches, object.cache);
  putObject(k, cache, object.slab, object.phys);
  if (cache.live === 0 && cache.name.startsWith("kmalloc-")) caches.delete(cache.name);
}

/** As a hardened SLUB: a second free is a BUG, a pointer that leads to no slab a warning. */
function badFree(k: Kernel, id: number): void {
  assert(callerOf(k, current(k)).endsWith("]"), `no kernel object ${id} to free`);
  if (id >= FIRST_OBJECT && id < k.state.mm.nextObject) return kernelBug(k, { file: "mm/slub.c", line: 440, symbol: "__slab_free+0x22f/0x370" }, ["kfree+0x71/0x110"]);
  const told = warnOnce(k, "kfree.pointer", "", { file: "mm/slab_common.c", line: 974, symbol: "free_large_kmalloc+0x5e/0x70" }, ["kfree+0x71/0x110"]);
  if (told) printk(k, WARNING, `object pointer: 0x${hashedAddress(k, BigInt(id))}`);
}

/**
 * Makes an object larger or smaller: its id, or another one with the same content; 0, with the old one kept, when memory is out.
 * 0 bytes frees it (ZERO_SIZE_PTR).
 */
export function krealloc(k: Kernel, id: number, size: number, owner: string, gfp = GFP_KERNEL): number {
  if (size === 0) {
    kfree(k, id);
    return ZERO_SIZE_PTR;
  }
  if (id === 0 || id === ZERO_SIZE_PTR) return kmalloc(k, size, owner, gfp);
  const object = kernelObject(k, id);
  if (size <= object.room) {
    object.size = size;
    return id;
  }
  const made = kmalloc(k, size, owner, gfp);
  if (made === 0) return 0;
  writeKernel(k, made, 0, readKernel(k, id, 0, object.room));
  kfree(k, id);
  return made;
}

export function kernelObject(k: Kernel, id: number): KernelObject {
  return id === ZERO_SIZE_PTR ? zeroSize : must(k.state.mm.objects, id);
}

/** Bytes that may be used: what was asked for, rounded up to the size class (ksize); 0 for NULL. */
export function ksize(k: Kernel, id: number): number {
  return id === 0 ? 0 : kernelObject(k, id).room;
}

/** The object's virtual address. */
export function kernelAddress(k: Kernel, id: number): bigint {
  return id === ZERO_SIZE_PTR ? ZERO_SIZE_ADDRESS : DIRECT_MAP + BigInt(kernelObject(k, id).phys);
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
