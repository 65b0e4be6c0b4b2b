/** Slab caches of a module's own (kmem_cache_create and its kin, mm/slab_common.c). */
import { EEXIST, EINVAL } from "../abi/errno.ts";
import { GFP_KERNEL } from "../abi/gfp.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import { must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { dumpStack, warn } from "../sched/dump_stack.ts";
import { printk } from "../sched/printk.ts";
import { callerOf, stackOf } from "../sched/stack_trace.ts";
import { addTaint, printTainted, TAINT_BAD_PAGE } from "../sched/taint.ts";
import { current } from "../sched/task.ts";
import { hashedAddress } from "./alloc_report.ts";
import { cacheObject, DIRECT_MAP, KMALLOC_MAX, kfree } from "./kmalloc.ts";
import { newCache, type KmemCache } from "./slab.ts";

const ERR = 3;
const WARNING = 4;
/** Objects begin at a multiple of this (ARCH_SLAB_MINALIGN). */
const MIN_ALIGN = 8;
const CACHE_LINE = 64;

export interface CacheOptions {
  align?: number;
  /** SLAB_HWCACHE_ALIGN: an object does not lie across two cache lines if it fits into one. */
  hwcacheAlign?: boolean;
}

const alignUp = (value: number, to: number): number => Math.ceil(value / to) * to;

/**
 * Makes a cache of objects of `size` bytes; its name, or "" (NULL), told in the log, for a name that is taken or a size that
 * no slab can hold. Caches are not merged, as in a kernel with slab_nomerge.
 */
export function kmemCacheCreate(k: Kernel, name: string, size: number, owner: string, { align = 0, hwcacheAlign = false }: CacheOptions = {}): string {
  const { caches } = k.state.mm;
  const failed = size <= 0 || size > KMALLOC_MAX ? -EINVAL : caches.has(name) ? -EEXIST : 0;
  if (failed !== 0) {
    const trace = ["kmem_cache_create_usercopy+0x1b0/0x2a0", ...stackOf(k, current(k))];
    if (failed === -EEXIST) {
      printk(k, WARNING, `sysfs: cannot create duplicate filename '/kernel/slab/${name}'`);
      dumpStack(k, ["sysfs_warn_dup.cold+0x17/0x23", ...trace]);
    }
    printk(k, WARNING, `kmem_cache_create_usercopy(${name}) failed with error ${failed}`);
    dumpStack(k, trace);
    return "";
  }
  let line = hwcacheAlign ? CACHE_LINE : MIN_ALIGN;
  while (line > MIN_ALIGN && size <= line / 2) line /= 2;
  caches.set(name, newCache(name, owner, size, alignUp(size, Math.max(line, align, MIN_ALIGN)), k.state.machine.cpus));
  return name;
}

/** An object of the cache, zeroed, with the cache's owner; its id, or 0 when memory is out (kmem_cache_alloc, kmem_cache_zalloc). */
export function kmemCacheAlloc(k: Kernel, name: string, gfp = GFP_KERNEL): number {
  const cache = must(k.state.mm.caches, name);
  return cacheObject(k, cache, cache.objectSize, cache.owner, gfp, "kmem_cache_alloc+0x16c/0x310");
}

/** Gives an object back. One of another cache goes to its own, with a warning (cache_from_obj). */
export function kmemCacheFree(k: Kernel, name: string, id: number): void {
  if (id === 0) return;
  const from = k.state.mm.objects.get(id)?.cache ?? name;
  if (from !== name) {
    warn(k, `cache_from_obj: Wrong slab cache. ${name} but object is from ${from === "" ? "(null)" : from}`,
      { file: "mm/slab.h", line: 453, symbol: "cache_from_obj+0x9e/0xe0" }, ["kmem_cache_free+0x4a/0x3a0", ...stackOf(k, current(k))]);
  }
  kfree(k, id);
}

/** Takes a cache away; one that still has objects stays, and each of them is told. "" is nothing, as NULL. */
export function kmemCacheDestroy(k: Kernel, name: string): void {
  if (name === "") return;
  const { caches } = k.state.mm;
  const cache = must(caches, name);
  if (cache.live === 0) {
    caches.delete(name);
    return;
  }
  listSlabs(k, cache);
  const task = current(k);
  warn(k, `kmem_cache_destroy ${name}: Slab cache still has objects when called from ${callerOf(k, task)}`,
    { file: "mm/slab_common.c", line: 493, symbol: "kmem_cache_destroy+0x12f/0x140" }, stackOf(k, task));
}

/** The slabs that hold objects, and the objects in them (list_slab_objects). */
function listSlabs(k: Kernel, cache: KmemCache): void {
  const pointer = (phys: number): string => `0x${hashedAddress(k, DIRECT_MAP + BigInt(phys))}`;
  for (const { pfn, objects, free } of cache.slabs.values()) {
    printk(k, ERR, "=============================================================================");
    printk(k, ERR, `BUG ${cache.name} (${printTainted(k.state.modules.taint)}): Objects remaining in ${cache.name} on __kmem_cache_shutdown()`);
    printk(k, ERR, "-----------------------------------------------------------------------------\n");
    const start = pfn * PAGE_SIZE;
    const next = free.length === 0 ? 0n.toString(16).padStart(16, "0") : pointer(start + free[free.length - 1] * cache.size).slice(2);
    printk(k, ERR, `Slab ${pointer(start)} objects=${objects} used=${objects - free.length} fp=0x${next} flags=0x100000000000200(slab|node=0|zone=1)`);
    dumpStack(k, ["slab_err+0x93/0xb5", "__kmem_cache_shutdown+0x162/0x2c0", "kmem_cache_destroy+0x50/0x140", ...stackOf(k, current(k))]);
    addTaint(k, TAINT_BAD_PAGE, { lockdepUnreliable: true });
    const isFree = new Set(free);
    for (let at = 0; at < objects; at++) {
      if (!isFree.has(at)) printk(k, ERR, `Object ${pointer(start + at * cache.size)} @offset=${at * cache.size}`);
    }
  }
}
