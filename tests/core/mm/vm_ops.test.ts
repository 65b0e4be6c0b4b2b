/** When Linux calls a driver about its mappings: recorded with a module that logged every call (faultdev). */
import { expect, test } from "vitest";
import { loadUser, storeUser } from "../../../core/mm/access.ts";
import { allocFrame, frameBytes } from "../../../core/mm/page_alloc.ts";
import { mmInvariants } from "../../../core/mm/invariants.ts";
import { kfree, kmallocPages, virtToPfn } from "../../../core/mm/kmalloc.ts";
import { madvise } from "../../../core/mm/madvise.ts";
import { mlock } from "../../../core/mm/mlock.ts";
import { mmap } from "../../../core/mm/mmap.ts";
import { mprotect } from "../../../core/mm/mprotect.ts";
import { mremap } from "../../../core/mm/mremap.ts";
import { dumpPte, remapPfnRange } from "../../../core/mm/remap.ts";
import { zeroMmap } from "../../../core/mm/shmem_ops.ts";
import { mapsText, smapsText } from "../../../core/mm/proc.ts";
import { msync } from "../../../core/mm/sync.ts";
import { munmap } from "../../../core/mm/unmap.ts";
import { remapVmallocRange, vfree, vmallocUser, writeVmalloc } from "../../../core/mm/vmalloc.ts";
import { vmaPages, vmOperations } from "../../../core/mm/vma.ts";
import type { OpenFile } from "../../../core/fs/file.ts";
import type { Task } from "../../../core/sched/task.ts";
import { MemoryMachine } from "./machine.ts";

const PAGE = 4096;

let log: string[] = [];
const pages = new Map<number, number>();

vmOperations("faultdev", {
  open: (_k, vma, task) => log.push(`open ${task.comm} off ${vma.pgoff} len ${vmaPages(vma)} flags ${(vma.flags & 0xff).toString(16)}`),
  close: (_k, vma, task) => log.push(`close ${task.comm} len ${vmaPages(vma)}`),
  fault(_k, vma, { task, addr, pgoff, write }) {
    log.push(`fault ${task.comm} pgoff ${pgoff} write=${write ? 1 : 0} addr_off ${(addr - vma.start).toString(16)}`);
    const pfn = pages.get(pgoff);
    return pfn === undefined ? "sigbus" : { pfn };
  },
});

/** What the calls since the last time were. */
function calls(): string[] {
  const since = log;
  log = [];
  return since;
}

function touch(m: MemoryMachine, task: Task, addr: number, byte?: string): string {
  if (byte !== undefined) {
    const { fault } = storeUser(m.k, task, addr, new TextEncoder().encode(byte));
    return fault === null ? "stored" : `signal ${fault.signal} code ${fault.siCode}`;
  }
  const { bytes, fault } = loadUser(m.k, task, addr, 1);
  return fault === null ? new TextDecoder().decode(bytes) : `signal ${fault.signal} code ${fault.siCode}`;
}

function device(m: MemoryMachine, name: string): OpenFile {
  const file = m.file(0, { filled: false });
  file.ops = name;
  m.k.state.fs.inodes.get(file.inode)!.mode = 0o020600;
  return file;
}

test("the order of open, close and fault is that of the recording", () => {
  const m = new MemoryMachine();
  const { k } = m;
  const parent = m.process();
  parent.comm = "parent";
  log = [];
  pages.clear();
  m.operations.set("faultdev", { mmap: (_k, _task, _file, vma) => { vma.ops = "faultdev"; return 0; } });
  for (let page = 0; page < 4; page++) {
    const pfn = allocFrame(k);
    frameBytes(k, pfn)[0] = 65 + page;
    pages.set(page, pfn);
  }
  const file = device(m, "faultdev");
  const at = mmap(k, parent, { addr: 0, length: 6 * PAGE, prot: 3, flags: 1, file, pgoff: 0 });
  expect(calls()).toEqual([]);
  expect(touch(m, parent, at)).toBe("A");
  expect(calls()).toEqual(["fault parent pgoff 0 write=0 addr_off 0"]);
  touch(m, parent, at);
  expect(touch(m, parent, at, "W")).toBe("stored");
  expect(calls()).toEqual([]);
  touch(m, parent, at + PAGE, "B");
  expect(calls()).toEqual(["fault parent pgoff 1 write=1 addr_off 1000"]);
  expect(touch(m, parent, at + 5 * PAGE)).toBe("signal 7 code 2");
  expect(touch(m, parent, at + 4 * PAGE, "x")).toBe("signal 7 code 2");
  expect(calls()).toEqual(["fault parent pgoff 5 write=0 addr_off 5000", "fault parent pgoff 4 write=1 addr_off 4000"]);

  const own = mmap(k, parent, { addr: 0, length: 2 * PAGE, prot: 3, flags: 2, file, pgoff: 0 });
  expect(touch(m, parent, own)).toBe("W");
  expect(calls()).toEqual(["fault parent pgoff 0 write=0 addr_off 0"]);
  touch(m, parent, own, "P");
  expect(calls()).toEqual([]);
  expect(touch(m, parent, at)).toBe("W");

  const child = m.fork(parent);
  child.comm = "child";
  expect(calls()).toEqual(["open parent off 0 len 2 flags 73", "open parent off 0 len 6 flags fb"]);
  expect(touch(m, child, at)).toBe("W");
  expect(touch(m, child, at + 2 * PAGE)).toBe("C");
  expect(calls()).toEqual(["fault child pgoff 0 write=0 addr_off 0", "fault child pgoff 2 write=0 addr_off 2000"]);
  storeUser(k, child, at + 1, new TextEncoder().encode("c"));
  m.exit(child);
  expect(calls()).toEqual(["close child len 2", "close child len 6"]);
  expect(touch(m, parent, at + 1)).toBe("c");

  munmap(k, parent, at + PAGE, PAGE);
  expect(calls()).toEqual(["open parent off 1 len 5 flags fb", "open parent off 1 len 1 flags fb", "close parent len 1"]);
  mprotect(k, parent, at, PAGE, 1);
  expect(touch(m, parent, at, "x")).toBe("signal 11 code 2");
  expect(mremap(k, parent, at, PAGE, 2 * PAGE, 1, 0)).toBe(at);
  expect(calls()).toEqual([]);
  touch(m, parent, at + PAGE);
  expect(calls()).toEqual(["fault parent pgoff 1 write=0 addr_off 1000"]);
  munmap(k, parent, at, 2 * PAGE);
  expect(calls()).toEqual(["close parent len 2"]);
  madvise(k, parent, at + 2 * PAGE, PAGE, 4);
  expect(touch(m, parent, at + 2 * PAGE)).toBe("C");
  expect(calls()).toEqual(["fault parent pgoff 2 write=0 addr_off 0"]);
  munmap(k, parent, at, 6 * PAGE);
  expect(calls()).toEqual(["close parent len 4"]);
  expect(file.refs).toBe(2);
  munmap(k, parent, own, 2 * PAGE);
  expect(calls()).toEqual(["close parent len 2"]);
  expect(file.refs).toBe(1);
  for (const pfn of pages.values()) expect(k.state.mm.frames[pfn - k.state.mm.reservedPages]?.refs).toBe(1);
});

/** The rows of the recorded table of character devices: a driver with two pages from vmalloc_user, and /dev/zero. */
test("a device that maps its vmalloc buffer answers as recorded", () => {
  const m = new MemoryMachine();
  const { k } = m;
  const task = m.process();
  const area = vmallocUser(k, 2 * PAGE, "full");
  m.operations.set("fulldev", { mmap: (kk, _task, _file, vma) => remapVmallocRange(kk, vma, area, vma.pgoff) });
  const file = device(m, "fulldev");
  const map = (length: number, prot = 3, flags = 1, pgoff = 0): number => mmap(k, task, { addr: 0, length, prot, flags, file, pgoff });
  expect(map(3 * PAGE)).toBe(-22);
  expect(map(PAGE, 3, 1, 2)).toBe(-22);
  expect(map(PAGE, 3, 1, 2 ** 52 - 1)).toBe(-75);
  expect(map(PAGE, 3, 1, 2 ** 51 - 1)).toBe(-22);
  expect(map(PAGE, 0)).toBeGreaterThan(0);
  expect(map(PAGE, 3, 2)).toBeGreaterThan(0);
  const at = map(2 * PAGE);
  writeVmalloc(k, area, 0, new TextEncoder().encode("a"));
  expect(touch(m, task, at)).toBe("a");
  expect(task.minFlt).toBe(0);
  expect(msync(k, task, at, PAGE, 4)).toBe(-22);
  expect(mlock(k, task, at, PAGE, 0)).toBe(0);
  expect(madvise(k, task, at, PAGE, 4)).toBe(0);
  expect(mremap(k, task, at, 2 * PAGE, 3 * PAGE, 1, 0)).toBe(-14);
  expect(mmInvariants(k)).toEqual([]);
  vfree(k, area);
  m.exit(task);
  expect(mmInvariants(k)).toEqual([]);
});

test("/dev/zero maps fresh memory: shared by fork, or anonymous", () => {
  const m = new MemoryMachine();
  const { k } = m;
  const task = m.process();
  m.operations.set("zero", { mmap: zeroMmap });
  const file = device(m, "zero");
  const shared = mmap(k, task, { addr: 0, length: 3 * PAGE, prot: 3, flags: 1, file, pgoff: 0 });
  const own = mmap(k, task, { addr: 0, length: PAGE, prot: 3, flags: 2, file, pgoff: 0 });
  expect(file.refs).toBe(2);
  expect(mapsText(k, task)).toMatch(/rw-p 00000000 00:18 \d+ +\/tmp\/f\d+\n.*rw-s 00000000 00:01 \d+ +\/dev\/zero \(deleted\)\n/);
  const child = m.fork(task);
  touch(m, child, shared, "s");
  touch(m, child, own, "p");
  expect([touch(m, task, shared), touch(m, task, own)]).toEqual(["s", "\0"]);
  expect(msync(k, task, shared, PAGE, 4)).toBe(0);
  expect(mlock(k, task, shared, PAGE, 0)).toBe(0);
  expect(madvise(k, task, shared, PAGE, 4)).toBe(-22);
});

test("remap_pfn_range fills the page table at once, with entries that look like a machine's", () => {
  const m = new MemoryMachine();
  const { k } = m;
  const task = m.process();
  const object = kmallocPages(k, 1, "master_device");
  m.operations.set("master", {
    mmap: (kk, _task, _file, vma) => remapPfnRange(kk, vma, vma.start, virtToPfn(kk, object), vma.end - vma.start, vma.prot),
  });
  const file = device(m, "master");
  const at = mmap(k, task, { addr: 0, length: PAGE, prot: 3, flags: 1, file, pgoff: 0 });
  const readOnly = mmap(k, task, { addr: 0, length: PAGE, prot: 1, flags: 1, file, pgoff: 0 });
  expect(dumpPte(k, task, readOnly)).toMatch(/^8000000[0-9A-F]{6}225$/);
  expect(dumpPte(k, task, at)).toMatch(/227$/);
  expect(touch(m, task, at, "x")).toBe("stored");
  expect(dumpPte(k, task, at)).toMatch(/^8000000[0-9A-F]{6}267$/);
  expect(dumpPte(k, task, at + PAGE)).toBe("0");
  expect(touch(m, task, readOnly)).toBe("x");
  expect(task.minFlt).toBe(0);
  expect(smapsText(k, task)).toContain("VmFlags: rd wr sh mr mw me ms pf io de dd sd \n");
  const child = m.fork(task);
  expect(touch(m, child, at)).toBe("x");
  expect(madvise(k, task, at, PAGE, 4)).toBe(-22);
  expect(mremap(k, task, at, PAGE, 2 * PAGE, 1, 0)).toBe(-14);
  expect(mmInvariants(k)).toEqual([]);
  m.exit(child);
  m.exit(task);
  kfree(k, object);
  expect(mmInvariants(k)).toEqual([]);
});

test("a driver that fails half way leaves no page, no table and no mapping behind", () => {
  const m = new MemoryMachine();
  const { k } = m;
  const task = m.process();
  const object = kmallocPages(k, 1, "kernel");
  m.operations.set("half", {
    mmap: (kk, _task, _file, vma) => {
      remapPfnRange(kk, vma, vma.start, virtToPfn(kk, object), PAGE, vma.prot);
      return -5;
    },
  });
  expect(mmap(k, task, { addr: 0, length: 2 * PAGE, prot: 3, flags: 1, file: device(m, "half"), pgoff: 0 })).toBe(-5);
  expect(mapsText(k, task)).toBe("");
  expect(k.state.mm.used.table).toBe(1);
  expect(k.state.mm.committedPages).toBe(0);
  expect(mmInvariants(k)).toEqual([]);
});
