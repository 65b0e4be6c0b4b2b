/** The kernel's own memory: size classes, runs of pages, vmalloc, and who has not freed what. */
import { expect, test } from "vitest";
import { mmInvariants } from "../../../core/mm/invariants.ts";
import {
  kernelAddress, kernelBytes, kfree, kmalloc, kmallocPages, ksize, objectsOf, readKernel, virtToPfn, writeKernel,
} from "../../../core/mm/kmalloc.ts";
import { slabinfoText } from "../../../core/mm/slabinfo.ts";
import { freePages, readFrame } from "../../../core/mm/page_alloc.ts";
import { readVmalloc, vfree, vmalloc, vmallocAddress, vmallocToPfn, writeVmalloc } from "../../../core/mm/vmalloc.ts";
import { MemoryMachine } from "./machine.ts";

test("sizes are rounded up to Linux's classes", () => {
  const { k } = new MemoryMachine();
  const size = (bytes: number): number => ksize(k, kmalloc(k, bytes, "kernel"));
  expect([1, 8, 9, 33, 65, 97, 129, 193, 257, 2048, 2049, 4097, 8193, 20000].map(size))
    .toEqual([8, 8, 16, 64, 96, 128, 192, 256, 512, 2048, 4096, 8192, 16384, 32768]);
  expect(kmalloc(k, (4 << 20) + 1, "kernel")).toBe(0);
  expect(kernelAddress(k, kmalloc(k, 0, "kernel"))).toBe(16n);
});

test("small objects share a page, large ones have pages in a row; all addresses lie in the direct map", () => {
  const { k } = new MemoryMachine();
  const [a, b] = [kmalloc(k, 100, "kernel"), kmalloc(k, 100, "kernel")];
  expect(kernelAddress(k, b) - kernelAddress(k, a)).toBe(128n);
  expect(kernelAddress(k, a).toString(16)).toMatch(/^ffff8880[0-9a-f]{8}$/);
  const big = kmallocPages(k, 3, "kernel");
  expect(virtToPfn(k, big, 4096) - virtToPfn(k, big)).toBe(1);
  expect(kernelAddress(k, big) & 0xfffn).toBe(0n);
  writeKernel(k, big, 4090, new Uint8Array(12).fill(7));
  expect([...readKernel(k, big, 4088, 16)]).toEqual([0, 0, ...new Array<number>(12).fill(7), 0, 0]);
  expect(readFrame(k, virtToPfn(k, big, 4096))[5]).toBe(7);
});

test("what is freed can be had again, and nothing is lost", () => {
  const { k } = new MemoryMachine();
  const free = freePages(k.state.mm);
  const objects = Array.from({ length: 100 }, (_, at) => kmalloc(k, 10 + at * 60, at % 2 === 0 ? "kecho" : "kernel"));
  expect(mmInvariants(k)).toEqual([]);
  expect(slabinfoText(k)).toMatch(/^kmalloc-16 +1 /m);
  for (const id of objects.filter((_, at) => at % 2 === 1)) kfree(k, id);
  expect(objectsOf(k, "kernel")).toEqual([]);
  expect(objectsOf(k, "kecho").map(({ size }) => size).slice(0, 2)).toEqual([10, 130]);
  for (const { id } of objectsOf(k, "kecho")) kfree(k, id);
  expect(freePages(k.state.mm)).toBe(free);
  expect(mmInvariants(k)).toEqual([]);
  expect(() => kfree(k, objects[0])).toThrow();
});

test("memory that is out is 0, and a run of pages is found among freed ones", () => {
  const m = new MemoryMachine();
  const { k } = m;
  k.state.mm.ramPages = k.state.mm.reservedPages + 16;
  const all = Array.from({ length: 16 }, () => kmallocPages(k, 1, "kernel"));
  expect(kmallocPages(k, 1, "kernel")).toBe(0);
  // As in the buddy allocator: four in a row are enough only from a multiple of four on.
  for (const at of [2, 3, 9, 10, 11]) kfree(k, all[at]);
  expect(kmallocPages(k, 4, "kernel")).toBe(0);
  kfree(k, all[8]);
  expect(kmallocPages(k, 8, "kernel")).toBe(0);
  const found = kmallocPages(k, 4, "kernel");
  expect(virtToPfn(k, found) % 4).toBe(0);
  expect(freePages(k.state.mm)).toBe(2);
  expect(mmInvariants(k)).toEqual([]);
});

test("vmalloc areas are in one piece of addresses with a guard page behind", () => {
  const { k } = new MemoryMachine();
  const [a, b] = [vmalloc(k, 5000, "mp3"), vmalloc(k, 100, "mp3")];
  expect(vmallocAddress(k, b) - vmallocAddress(k, a)).toBe(3n * 4096n);
  writeVmalloc(k, a, 4095, new Uint8Array([1, 2]));
  expect([...readVmalloc(k, a, 4094, 4)]).toEqual([0, 1, 2, 0]);
  expect(readFrame(k, vmallocToPfn(k, a, 4096))[0]).toBe(2);
  vfree(k, a);
  vfree(k, b);
  expect(vmalloc(k, 1 << 30, "mp3")).toBe(0);
  expect(mmInvariants(k)).toEqual([]);
});

test("an object of one page is a live view of its frame", () => {
  const { k } = new MemoryMachine();
  const id = kmallocPages(k, 1, "kernel");
  kernelBytes(k, id)[9] = 5;
  expect(readFrame(k, virtToPfn(k, id))[9]).toBe(5);
});
