/** Slab caches: the layout that a 6.1 shows in /proc/slabinfo, caches of modules, and what becomes of freed memory. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { GFP_KERNEL, gfpText, __GFP_COMP, __GFP_NOWARN, __GFP_ZERO } from "../../../core/abi/gfp.ts";
import { freeBlocks } from "../../../core/mm/buddy.ts";
import { mmInvariants } from "../../../core/mm/invariants.ts";
import {
  getFreePages, kcalloc, kernelAddress, kernelBytes, kfree, kmalloc, KMALLOC_MAX, KMALLOC_SIZES, krealloc, ksize, readKernel, virtToPfn, writeKernel, ZERO_SIZE_PTR,
} from "../../../core/mm/kmalloc.ts";
import { kmemCacheAlloc, kmemCacheCreate, kmemCacheDestroy, kmemCacheFree } from "../../../core/mm/kmem_cache.ts";
import { freePages } from "../../../core/mm/page_alloc.ts";
import { slabOrder } from "../../../core/mm/slab.ts";
import { slabinfoText } from "../../../core/mm/slabinfo.ts";
import { vfree, vmalloc, vmallocAddress, vmallocUser } from "../../../core/mm/vmalloc.ts";
import { vmallocinfoText } from "../../../core/mm/vmallocinfo.ts";
import { MemoryMachine } from "./machine.ts";

const log = ({ k }: MemoryMachine): string[] => k.state.log.records.map(({ text }) => text);
/** Objects and slabs of a cache, and objects and pages of a slab. */
function row({ k }: MemoryMachine, name: string): number[] {
  const line = slabinfoText(k).split("\n").find((one) => one.startsWith(`${name} `))?.split(/ +/) ?? [];
  return [line[1], line[14], line[4], line[5]].map(Number);
}

describe("the layout of slabs", () => {
  test("objects and pages of a slab are those of a 6.1 with one CPU", () => {
    const recorded = JSON.parse(readFileSync(join(import.meta.dirname, "slab_geometry.json"), "utf8")) as [number, number, number][];
    expect(recorded.length).toBeGreaterThan(70);
    const made = recorded.map(([size]) => {
      const pages = 2 ** slabOrder(size, 1);
      return [size, Math.floor((pages * 4096) / size), pages];
    });
    expect(made).toEqual(recorded);
  });

  test("with more CPUs slabs are larger", () => {
    expect([1, 2, 4, 8].map((cpus) => 2 ** slabOrder(256, cpus))).toEqual([1, 1, 1, 2]);
    expect([1, 2, 4, 8].map((cpus) => 2 ** slabOrder(1024, cpus))).toEqual([2, 4, 4, 8]);
    expect([1, 2, 4, 8].map((cpus) => 2 ** slabOrder(8192, cpus))).toEqual([8, 8, 8, 8]);
  });

  test("kmalloc's caches are all told, the largest first", () => {
    const names = slabinfoText(new MemoryMachine().k).split("\n").map((line) => line.split(" ")[0]).filter((name) => name.startsWith("kmalloc-"));
    expect(names).toEqual(["8k", "4k", "2k", "1k", "512", "256", "192", "128", "96", "64", "32", "16", "8"].map((size) => `kmalloc-${size}`));
    expect(KMALLOC_SIZES).toHaveLength(names.length);
  });
});

describe("kmalloc", () => {
  test("a full slab is followed by another; the last object takes its pages along", () => {
    const m = new MemoryMachine({ cpus: 1 });
    const free = freePages(m.k.state.mm);
    const objects = Array.from({ length: 9 }, () => kmalloc(m.k, 512, "kernel"));
    expect(row(m, "kmalloc-512")).toEqual([9, 2, 8, 1]);
    expect(mmInvariants(m.k)).toEqual([]);
    kfree(m.k, objects[3]);
    // The hole in the first slab comes before the rest of the second: the list that was touched last goes first.
    expect(virtToPfn(m.k, kmalloc(m.k, 500, "kernel"))).toBe(virtToPfn(m.k, objects[0]));
    kfree(m.k, objects[8]);
    expect(row(m, "kmalloc-512")).toEqual([8, 1, 8, 1]);
    for (const object of m.k.state.mm.objects.keys()) kfree(m.k, object);
    expect(freePages(m.k.state.mm)).toBe(free);
    expect(mmInvariants(m.k)).toEqual([]);
  });

  test("objects of whole pages are zeroed again, and their pages are real", () => {
    const m = new MemoryMachine();
    const { k } = m;
    const keep = kmalloc(k, 4096, "kernel");
    const object = kmalloc(k, 4096, "kernel");
    writeKernel(k, object, 4000, new Uint8Array(96).fill(9));
    const at = kernelAddress(k, object);
    kfree(k, object);
    const again = kmalloc(k, 4096, "kernel");
    expect(kernelAddress(k, again)).toBe(at);
    expect(kernelBytes(k, again).every((byte) => byte === 0)).toBe(true);
    expect(virtToPfn(k, again) - virtToPfn(k, keep)).toBe(1);
    const two = kmalloc(k, 8000, "kernel");
    writeKernel(k, two, 4090, new Uint8Array(12).fill(3));
    expect([...readKernel(k, two, 4088, 16)]).toEqual([0, 0, ...new Array<number>(12).fill(3), 0, 0]);
  });

  test("nothing is ZERO_SIZE_PTR; NULL and it may be freed", () => {
    const m = new MemoryMachine();
    const { k } = m;
    const nothing = kmalloc(k, 0, "lab");
    expect([nothing, ksize(k, nothing), ksize(k, 0), kernelAddress(k, nothing)]).toEqual([ZERO_SIZE_PTR, 0, 0, 16n]);
    expect(readKernel(k, nothing, 0, 0)).toHaveLength(0);
    kfree(k, nothing);
    kfree(k, 0);
    expect(k.state.mm.objects.size).toBe(0);
  });

  test("4 MiB is the most; more is NULL and one warning, none with __GFP_NOWARN; so is order 11", () => {
    const m = new MemoryMachine();
    const { k } = m;
    const most = kmalloc(k, KMALLOC_MAX, "kernel");
    expect(ksize(k, most)).toBe(4 << 20);
    expect(kmalloc(k, KMALLOC_MAX + 1, "kernel", GFP_KERNEL | __GFP_NOWARN)).toBe(0);
    expect(log(m)).toEqual([]);
    expect(kmalloc(k, KMALLOC_MAX + 1, "kernel")).toBe(0);
    expect(log(m)[1]).toBe("WARNING: CPU: 0 PID: 0 at mm/page_alloc.c:5534 __alloc_pages+0x30a/0x560");
    const told = log(m).length;
    expect([kmalloc(k, 1 << 30, "kernel"), getFreePages(k, 11, "kernel"), kcalloc(k, 2 ** 40, 2 ** 40, "kernel")]).toEqual([0, 0, 0]);
    expect(log(m)).toHaveLength(told);
    kfree(k, most);
    const pages = getFreePages(k, 3, "kernel");
    expect([ksize(k, pages), virtToPfn(k, pages) % 8]).toEqual([8 * 4096, 0]);
    expect(mmInvariants(k)).toEqual([]);
  });

  test("what memory has no run for is NULL, told with order and mode, once in ten seconds", () => {
    const m = new MemoryMachine();
    const { k } = m;
    k.state.mm.ramPages = k.state.mm.reservedPages + 40;
    expect(kmalloc(k, 1 << 20, "kernel")).toBe(0);
    expect(log(m)[0]).toBe("swapper/0: page allocation failure: order:8, mode:0x40cc0(GFP_KERNEL|__GFP_COMP), nodemask=(null),cpuset=/,mems_allowed=0");
    const told = log(m).length;
    expect(kmalloc(k, 1 << 20, "kernel")).toBe(0);
    expect(log(m)).toHaveLength(told);
    expect(mmInvariants(k)).toEqual([]);
  });

  test("sizes that are powers of two lie at multiples of themselves", () => {
    const { k } = new MemoryMachine();
    for (let size = 8; size <= KMALLOC_MAX; size *= 2) {
      kmalloc(k, 24, "kernel");
      const object = kmalloc(k, size, "kernel");
      expect([size, kernelAddress(k, object) % BigInt(size)]).toEqual([size, 0n]);
    }
    expect(mmInvariants(k)).toEqual([]);
  });

  test("krealloc keeps the content, the place as long as it fits, and the old one when there is no room", () => {
    const m = new MemoryMachine();
    const { k } = m;
    const object = krealloc(k, 0, 10, "kernel");
    writeKernel(k, object, 0, new Uint8Array([1, 2, 3]));
    expect(krealloc(k, object, 16, "kernel")).toBe(object);
    const larger = krealloc(k, object, 5000, "kernel");
    expect(larger).not.toBe(object);
    expect([...readKernel(k, larger, 0, 4)]).toEqual([1, 2, 3, 0]);
    expect(krealloc(k, larger, KMALLOC_MAX + 1, "kernel", GFP_KERNEL | __GFP_NOWARN)).toBe(0);
    expect(ksize(k, larger)).toBe(8192);
    expect(krealloc(k, larger, 0, "kernel")).toBe(ZERO_SIZE_PTR);
    expect(k.state.mm.objects.size).toBe(0);
  });
});

describe("a module's cache", () => {
  test("has objects of its size, and the geometry that its alignment makes", () => {
    const m = new MemoryMachine({ cpus: 1 });
    const { k } = m;
    const plain = kmemCacheCreate(k, "plain", 100, "lab");
    const lined = kmemCacheCreate(k, "lined", 100, "lab", { hwcacheAlign: true });
    const small = kmemCacheCreate(k, "small", 20, "lab", { hwcacheAlign: true });
    for (const cache of [plain, lined, small]) expect(kmemCacheAlloc(k, cache)).toBeGreaterThan(0);
    expect([row(m, plain), row(m, lined), row(m, small)]).toEqual([[1, 1, 39, 1], [1, 1, 32, 1], [1, 1, 128, 1]]);
    expect(slabinfoText(k).split("\n")[2]).toMatch(/^small /);
    expect(mmInvariants(k)).toEqual([]);
  });

  test("of a name that is there, or a size that no slab holds, is NULL", () => {
    const m = new MemoryMachine();
    const { k } = m;
    expect(kmemCacheCreate(k, "twice", 8, "lab")).toBe("twice");
    expect(kmemCacheCreate(k, "twice", 8, "lab")).toBe("");
    expect(log(m)[0]).toBe("sysfs: cannot create duplicate filename '/kernel/slab/twice'");
    expect(log(m)).toContain("kmem_cache_create_usercopy(twice) failed with error -17");
    expect(kmemCacheCreate(k, "none", KMALLOC_MAX + 1, "lab")).toBe("");
    expect(log(m)).toContain("kmem_cache_create_usercopy(none) failed with error -22");
  });

  test("goes when it is empty; an object of another cache is told and goes home", () => {
    const m = new MemoryMachine();
    const { k } = m;
    const cache = kmemCacheCreate(k, "mine", 64, "kernel");
    const own = kmemCacheAlloc(k, cache);
    const other = kmalloc(k, 64, "kernel");
    kmemCacheFree(k, cache, own);
    kmemCacheFree(k, cache, 0);
    expect(log(m)).toEqual([]);
    kmemCacheFree(k, cache, other);
    expect(log(m)[1]).toBe("cache_from_obj: Wrong slab cache. mine but object is from kmalloc-64");
    kmemCacheDestroy(k, cache);
    kmemCacheDestroy(k, "");
    expect(k.state.mm.caches.size).toBe(0);
    expect(mmInvariants(k)).toEqual([]);
  });
});

describe("vmalloc", () => {
  test("uses the lowest addresses that are free", () => {
    const { k } = new MemoryMachine();
    const [a, b, c, d] = [1, 3, 2, 1].map((pages) => vmalloc(k, pages * 4096, "kernel"));
    const [atB, atC, atD] = [b, c, d].map((id) => vmallocAddress(k, id));
    vfree(k, b);
    vfree(k, c);
    expect(mmInvariants(k)).toEqual([]);
    const small = vmalloc(k, 4096, "kernel");
    const large = vmalloc(k, 4 * 4096, "kernel");
    expect([vmallocAddress(k, small), vmallocAddress(k, large)]).toEqual([atB, atB + 2n * 4096n]);
    expect(atB + 2n * 4096n + 5n * 4096n).toBe(atD);
    expect(atC).toBeLessThan(atD);
    for (const id of [large, d, a, small]) vfree(k, id);
    expect([k.state.mm.vmallocEnd, k.state.mm.vmallocHoles]).toEqual([0, []]);
    expect(mmInvariants(k)).toEqual([]);
  });

  test("areas stand in vmallocinfo by address, with who asked for them and what they are", () => {
    const { k } = new MemoryMachine();
    const first = vmalloc(k, 3 * 4096, "kernel");
    vmallocUser(k, 513 * 4096, "mp3");
    vfree(k, first);
    vmalloc(k, 10, "kernel");
    const [low, high] = vmallocinfoText(k).split("\n");
    expect(low).toMatch(/^0x00000000[0-9a-f]{8}-0x00000000[0-9a-f]{8} {4}8192 kvmalloc_node\+0x4d\/0xe0 pages=1 vmalloc N0=1$/);
    expect(high).toMatch(/^0x00000000[0-9a-f]{8}-0x00000000[0-9a-f]{8} 2105344 [a-z_]+\+0x[0-9a-f]+\/0x[0-9a-f]+ pages=513 vmalloc user vpages N0=513$/);
  });

  test("nothing, and more than the machine has, are NULL; so is what cannot be had, which leaves nothing behind", () => {
    const m = new MemoryMachine();
    const { k } = m;
    expect([vmalloc(k, 0, "kernel"), vmallocUser(k, 0, "kernel")]).toEqual([0, 0]);
    expect(log(m).filter((line) => line.includes("mm/vmalloc.c"))).toHaveLength(1);
    expect(vmalloc(k, 2 ** 30, "kernel")).toBe(0);
    expect(log(m)).toContain("swapper/0: vmalloc error: size 1073741824, exceeds total pages, mode:0xcc0(GFP_KERNEL), nodemask=(null),cpuset=/,mems_allowed=0");
    k.state.mm.ramPages = k.state.mm.reservedPages + 40;
    const half = vmalloc(k, 30 * 4096, "kernel");
    const told = log(m).length;
    expect(vmalloc(k, 20 * 4096, "kernel", GFP_KERNEL | __GFP_NOWARN)).toBe(0);
    expect(log(m)).toHaveLength(told);
    expect(freePages(k.state.mm)).toBe(10);
    expect(mmInvariants(k)).toEqual([]);
    vfree(k, half);
  });
});

test("modes are named as %pGg names them", () => {
  expect([GFP_KERNEL, GFP_KERNEL | __GFP_COMP, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN, 0x1000].map(gfpText)).toEqual([
    "0xcc0(GFP_KERNEL)", "0x40cc0(GFP_KERNEL|__GFP_COMP)", "0x2dc0(GFP_KERNEL|__GFP_ZERO|__GFP_NOWARN)", "0x1000(0x1000)",
  ]);
});

test("whatever is taken and given back in whatever order, nothing is lost", () => {
  const act = fc.record({ what: fc.constantFrom("kmalloc", "cache", "pages", "vmalloc", "free"), size: fc.nat(20_000), which: fc.nat(1000) });
  fc.assert(fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
    const m = new MemoryMachine({ ramMiB: 8, cpus: 1 });
    const { k } = m;
    const free = freePages(k.state.mm);
    const blocks = freeBlocks(k.state.mm);
    kmemCacheCreate(k, "walk", 700, "kernel");
    const held: { id: number; give: () => void }[] = [];
    const hold = (id: number, give: () => void): void => { if (id > 0) held.push({ id, give }); };
    for (const { what, size, which } of acts) {
      if (what === "free") held.splice(which % Math.max(1, held.length), 1)[0]?.give();
      else if (what === "vmalloc") { const id = vmalloc(k, size, "kernel"); hold(id, () => vfree(k, id)); }
      else {
        const id = what === "kmalloc" ? kmalloc(k, size, "kernel") : what === "cache" ? kmemCacheAlloc(k, "walk") : getFreePages(k, which % 5, "kernel");
        hold(id, () => kfree(k, id));
      }
    }
    expect(mmInvariants(k)).toEqual([]);
    for (const { give } of held) give();
    kmemCacheDestroy(k, "walk");
    expect(mmInvariants(k)).toEqual([]);
    expect([freePages(k.state.mm), k.state.mm.caches.size, k.state.mm.vmallocEnd]).toEqual([free, 0, 0]);
    expect(freeBlocks(k.state.mm)).toEqual(blocks);
  }), { numRuns: 60 });
});
