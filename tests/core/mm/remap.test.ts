/** What a driver's mmap gets wrong, and what remap_pfn_range, vm_insert_page and remap_vmalloc_range answer it. */
import { expect, test } from "vitest";
import { getFreePages, kfree, kmalloc, virtToPfn } from "../../../core/mm/kmalloc.ts";
import { mmInvariants } from "../../../core/mm/invariants.ts";
import { mmap } from "../../../core/mm/mmap.ts";
import { remapPfnRange, vmInsertPage } from "../../../core/mm/remap.ts";
import { VM_DONTEXPAND, VM_IO, VM_MIXEDMAP, VM_PFNMAP, type Vma } from "../../../core/mm/vma.ts";
import { remapVmallocRange, vfree, vmalloc, vmallocToPfn, vmallocUser } from "../../../core/mm/vmalloc.ts";
import { MemoryMachine } from "./machine.ts";

const PAGE = 4096;
const SHARED = 1;
const PRIVATE = 2;

/** Maps four pages of a device whose mmap does `act`, and answers what that answered; the mapping stays. */
function mapping(m: MemoryMachine, act: (vma: Vma) => unknown, flags = SHARED): void {
  const file = m.file(0, { filled: false });
  file.ops = "test.remap";
  m.k.state.fs.inodes.get(file.inode)!.mode = 0o020600;
  m.operations.set("test.remap", { mmap: (_k, _task, _file, vma) => { act(vma); return 0; } });
  expect(mmap(m.k, m.process(), { addr: 0, length: 4 * PAGE, prot: 3, flags, file, pgoff: 0 })).toBeGreaterThan(0);
  expect(mmInvariants(m.k)).toEqual([]);
}
const log = ({ k }: MemoryMachine): string[] => k.state.log.records.map(({ text }) => text);

test("remap_pfn_range: within the mapping, from a page on, and a private writable one as a whole", () => {
  const m = new MemoryMachine();
  const { k } = m;
  const pfn = virtToPfn(k, getFreePages(k, 2, "kernel"));
  mapping(m, (vma) => {
    expect(remapPfnRange(k, vma, vma.start + 1, pfn, PAGE, vma.prot)).toBe(-22);
    expect(remapPfnRange(k, vma, vma.start, pfn, 5 * PAGE, vma.prot)).toBe(-22);
    expect(remapPfnRange(k, vma, vma.start + PAGE, pfn, 1, vma.prot)).toBe(0);
    expect(vma.flags & (VM_IO | VM_PFNMAP | VM_DONTEXPAND)).toBe(VM_IO | VM_PFNMAP | VM_DONTEXPAND);
  });
  expect(log(m).filter((line) => line.startsWith("WARNING: "))).toEqual(["WARNING: CPU: 0 PID: 0 at mm/memory.c:2455 remap_pfn_range_notrack+0x3f8/0x450"]);
  mapping(m, (vma) => {
    expect(remapPfnRange(k, vma, vma.start, pfn, PAGE, vma.prot)).toBe(-22);
    expect(remapPfnRange(k, vma, vma.start, pfn, 4 * PAGE, vma.prot)).toBe(0);
    expect(vma.pgoff).toBe(pfn);
  }, PRIVATE);
  expect(log(m).filter((line) => line.includes("BUG"))).toEqual([]);
});

test("remap_pfn_range of nothing, and over what is mapped, are BUGs that lose no page", () => {
  const m = new MemoryMachine();
  const { k } = m;
  const pfn = virtToPfn(k, getFreePages(k, 0, "kernel"));
  const bugs = (): string[] => log(m).filter((line) => line.startsWith("kernel BUG"));
  mapping(m, (vma) => {
    expect(remapPfnRange(k, vma, vma.start, pfn, 0, vma.prot)).toBe(-22);
    expect(bugs()).toEqual(["kernel BUG at mm/memory.c:2481!"]);
  });
  mapping(m, (vma) => {
    expect(vmInsertPage(k, vma, vma.start, pfn)).toBe(0);
    expect(remapPfnRange(k, vma, vma.start, pfn, PAGE, vma.prot)).toBe(-22);
    expect(bugs()[1]).toBe("kernel BUG at mm/memory.c:2393!");
  });
});

test("vm_insert_page: pages of the driver's own, one at a place", () => {
  const m = new MemoryMachine();
  const { k } = m;
  const pages = getFreePages(k, 1, "kernel");
  const pfn = virtToPfn(k, pages);
  const slab = kmalloc(k, PAGE, "kernel");
  mapping(m, (vma) => {
    expect([vmInsertPage(k, vma, vma.start - PAGE, pfn), vmInsertPage(k, vma, vma.end, pfn)]).toEqual([-14, -14]);
    expect(vmInsertPage(k, vma, vma.start, k.state.mm.ramPages - 1)).toBe(-22);
    expect(vma.flags & VM_MIXEDMAP).toBe(0);
    expect(vmInsertPage(k, vma, vma.start, virtToPfn(k, slab))).toBe(-22);
    expect(vma.flags & VM_MIXEDMAP).toBe(VM_MIXEDMAP);
    expect([vmInsertPage(k, vma, vma.start, pfn), vmInsertPage(k, vma, vma.start, pfn + 1), vmInsertPage(k, vma, vma.start + PAGE, pfn + 1)]).toEqual([0, -16, 0]);
  });
  mapping(m, (vma) => {
    expect(remapPfnRange(k, vma, vma.start, pfn, PAGE, vma.prot)).toBe(0);
    expect(vmInsertPage(k, vma, vma.start + PAGE, pfn)).toBe(-22);
  });
  expect(log(m).filter((line) => line.startsWith("kernel BUG"))).toEqual(["kernel BUG at mm/memory.c:2013!"]);
  kfree(k, pages);
  expect(mmInvariants(k)).toEqual([]);
});

test("remap_vmalloc_range: areas for users, as long as they are", () => {
  const m = new MemoryMachine();
  const { k } = m;
  const [own, user] = [vmalloc(k, 8 * PAGE, "kernel"), vmallocUser(k, 5 * PAGE, "kernel")];
  mapping(m, (vma) => {
    expect([remapVmallocRange(k, vma, own, 0), remapVmallocRange(k, vma, 7, 0), remapVmallocRange(k, vma, user, 2)]).toEqual([-22, -22, -22]);
    expect(vma.flags & VM_MIXEDMAP).toBe(0);
    expect(remapVmallocRange(k, vma, user, 1)).toBe(0);
    expect(remapVmallocRange(k, vma, user, 1)).toBe(-16);
  });
  expect(k.state.mm.frames[vmallocToPfn(k, user, PAGE) - k.state.mm.reservedPages]?.mapped).toBe(1);
  vfree(k, user);
  expect(mmInvariants(k)).toEqual([]);
});
