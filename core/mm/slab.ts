/** Slab caches: runs of pages cut into objects of one size, laid out as SLUB does (mm/slub.c). */
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { allocFrames, putFrame } from "./page_alloc.ts";

/** One run of pages. */
export interface Slab {
  /** Its first page, and how many there are. */
  pfn: number;
  pages: number;
  /** Objects that fit. */
  objects: number;
  /** Numbers of the free ones, the next one last. */
  free: number[];
}

export interface KmemCache {
  name: string;
  /** Module that made it, or "kernel". */
  owner: string;
  /** Bytes asked for an object, and bytes that each takes. */
  objectSize: number;
  size: number;
  /** Of the pages of a slab, and objects in such a slab. */
  order: number;
  perSlab: number;
  /** By first page, the oldest first. */
  slabs: Map<number, Slab>;
  /** First pages of those with free objects; the last one is used next. */
  partial: number[];
  live: number;
}

/** A larger slab than this is only for objects that need it (slub_max_order). */
const MAX_ORDER = 3;

const bitLength = (value: number): number => 32 - Math.clz32(value);

/** The least order of pages that holds `bytes` (get_order). */
export function orderOf(bytes: number): number {
  let order = 0;
  while (PAGE_SIZE * 2 ** order < bytes) order++;
  return order;
}

/** The least order from `least` objects on that wastes at most a `fraction`th of the slab; above the largest when none does. */
function orderWasting(size: number, least: number, fraction: number): number {
  let order = orderOf(least * size);
  for (; order <= MAX_ORDER; order++) {
    const bytes = PAGE_SIZE * 2 ** order;
    if (bytes % size <= bytes / fraction) break;
  }
  return order;
}

/** Pages of a slab, as an order: enough objects for the CPUs first, then as little waste as can be (calculate_order). */
export function slabOrder(size: number, cpus: number): number {
  const wanted = 4 * (bitLength(cpus) + 1);
  for (let least = Math.min(wanted, Math.floor((PAGE_SIZE * 2 ** MAX_ORDER) / size)); least > 1; least--) {
    for (const fraction of [16, 8, 4]) {
      const order = orderWasting(size, least, fraction);
      if (order <= MAX_ORDER) return order;
    }
  }
  return orderOf(size);
}

export function newCache(name: string, owner: string, objectSize: number, size: number, cpus: number): KmemCache {
  const order = slabOrder(size, cpus);
  return { name, owner, objectSize, size, order, perSlab: Math.floor((PAGE_SIZE * 2 ** order) / size), slabs: new Map(), partial: [], live: 0 };
}

/** A slab with a free object, a new one if need be; null when memory is out. */
export function slabWithRoom(k: Kernel, cache: KmemCache): Slab | null {
  if (cache.partial.length > 0) return must(cache.slabs, cache.partial[cache.partial.length - 1]);
  let pages = 2 ** cache.order;
  let pfn = allocFrames(k, pages, "slab");
  const least = 2 ** orderOf(cache.size);
  if (pfn === 0 && least < pages) pfn = allocFrames(k, (pages = least), "slab");
  if (pfn === 0) return null;
  const objects = Math.floor((pages * PAGE_SIZE) / cache.size);
  const slab: Slab = { pfn, pages, objects, free: Array.from({ length: objects }, (_, at) => objects - 1 - at) };
  cache.slabs.set(pfn, slab);
  cache.partial.push(pfn);
  return slab;
}

/** Takes an object out of a slab with room: its physical address, bytes. */
export function takeObject(cache: KmemCache, slab: Slab): number {
  const at = slab.free.pop();
  assert(at !== undefined, `slab ${slab.pfn} of ${cache.name} is full`);
  cache.live++;
  if (slab.free.length === 0) cache.partial.pop();
  return slab.pfn * PAGE_SIZE + at * cache.size;
}

/** Gives an object back; a slab without objects gives its pages back. Differs from Linux, which keeps a few empty slabs. */
export function putObject(k: Kernel, cache: KmemCache, slabPfn: number, phys: number): void {
  const slab = must(cache.slabs, slabPfn);
  if (slab.free.length === 0) cache.partial.push(slab.pfn);
  slab.free.push((phys - slab.pfn * PAGE_SIZE) / cache.size);
  cache.live--;
  if (slab.free.length < slab.objects) return;
  cache.partial.splice(cache.partial.indexOf(slab.pfn), 1);
  cache.slabs.delete(slab.pfn);
  for (let page = 0; page < slab.pages; page++) putFrame(k, slab.pfn + page);
}

/** Pages of all slabs of a cache. */
export function cachePages({ slabs }: KmemCache): number {
  let pages = 0;
  for (const slab of slabs.values()) pages += slab.pages;
  return pages;
}
