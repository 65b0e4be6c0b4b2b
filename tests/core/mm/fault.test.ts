/** Page faults: what each costs, which pages are shared, and what a page-table entry shows of it. */
import { expect, test } from "vitest";
import { loadUser, storeUser } from "../../../core/mm/access.ts";
import { mmInvariants } from "../../../core/mm/invariants.ts";
import { mmap } from "../../../core/mm/mmap.ts";
import { mprotect } from "../../../core/mm/mprotect.ts";
import { freePages, totalPages } from "../../../core/mm/page_alloc.ts";
import { dumpPte } from "../../../core/mm/remap.ts";
import { spaceOf } from "../../../core/mm/space.ts";
import { munmap } from "../../../core/mm/unmap.ts";
import type { OpenFile } from "../../../core/fs/file.ts";
import type { Task } from "../../../core/sched/task.ts";
import { MemoryMachine } from "./machine.ts";

const PAGE = 4096;

function anon(m: MemoryMachine, task: Task, pages: number, flags = 0x22, prot = 3): number {
  return mmap(m.k, task, { addr: 0, length: pages * PAGE, prot, flags, file: null, pgoff: 0 });
}

const put = (m: MemoryMachine, task: Task, addr: number, text: string): void => { storeUser(m.k, task, addr, new TextEncoder().encode(text)); };
const get = (m: MemoryMachine, task: Task, addr: number, count: number): string => new TextDecoder().decode(loadUser(m.k, task, addr, count).bytes);

test("a fresh kernel has no frame in use, and a process no page table before it touches memory", () => {
  const m = new MemoryMachine();
  const task = m.process();
  expect(freePages(m.k.state.mm)).toBe(totalPages(m.k.state.mm));
  anon(m, task, 100);
  expect(freePages(m.k.state.mm)).toBe(totalPages(m.k.state.mm));
  expect(spaceOf(m.k, task).pgd).toBe(0);
});

test("a read maps the zero page, the first write makes a page, each a minor fault", () => {
  const m = new MemoryMachine();
  const task = m.process();
  const at = anon(m, task, 2);
  expect(get(m, task, at, 4)).toBe("\0\0\0\0");
  expect(task.minFlt).toBe(1);
  expect(spaceOf(m.k, task).rssAnon).toBe(0);
  expect(dumpPte(m.k, task, at)).toMatch(/^8[0-9A-F]{12}225$/);
  put(m, task, at, "page");
  expect(task.minFlt).toBe(2);
  expect(spaceOf(m.k, task).rssAnon).toBe(1);
  expect(dumpPte(m.k, task, at)).toMatch(/067$/);
  put(m, task, at + 8, "again");
  get(m, task, at, 4);
  expect(task.minFlt).toBe(2);
  put(m, task, at + PAGE, "direct");
  expect(task.minFlt).toBe(3);
});

test("four levels of tables come with the first page and go with the last mapping near it", () => {
  const m = new MemoryMachine();
  const task = m.process();
  const space = spaceOf(m.k, task);
  const at = anon(m, task, 1);
  put(m, task, at, "x");
  expect(space.tables).toBe(4);
  const far = mmap(m.k, task, { addr: 0x40000000, length: PAGE, prot: 3, flags: 0x32, file: null, pgoff: 0 });
  put(m, task, far, "x");
  expect(space.tables).toBe(7);
  munmap(m.k, task, far, PAGE);
  expect(space.tables).toBe(4);
  munmap(m.k, task, at, PAGE);
  expect(space.tables).toBe(1);
  m.exit(task);
  expect(freePages(m.k.state.mm)).toBe(totalPages(m.k.state.mm));
});

test("fork shares pages until somebody writes; the last user keeps the page", () => {
  const m = new MemoryMachine();
  const parent = m.process();
  const at = anon(m, parent, 1);
  put(m, parent, at, "before");
  const free = freePages(m.k.state.mm);
  const child = m.fork(parent);
  const tables = spaceOf(m.k, child).tables;
  expect(freePages(m.k.state.mm)).toBe(free - tables);
  expect(dumpPte(m.k, parent, at)).toMatch(/065$/);
  expect(dumpPte(m.k, child, at)).toMatch(/045$/); // the child has not touched it yet
  put(m, child, at, "child!");
  expect(child.minFlt).toBe(1);
  expect(freePages(m.k.state.mm)).toBe(free - tables - 1);
  expect([get(m, parent, at, 6), get(m, child, at, 6)]).toEqual(["before", "child!"]);
  const faults = parent.minFlt;
  put(m, parent, at, "parent");
  expect(parent.minFlt).toBe(faults + 1);
  expect(m.k.state.mm.events.pgreuse).toBe(1);
  expect(freePages(m.k.state.mm)).toBe(free - tables - 1);
  m.exit(child);
  expect(mmInvariants(m.k)).toEqual([]);
});

test("a page that was written becomes writable again without a fault, if it is nobody else's", () => {
  const m = new MemoryMachine();
  const task = m.process();
  const at = anon(m, task, 1);
  put(m, task, at, "x");
  mprotect(m.k, task, at, PAGE, 1);
  expect(dumpPte(m.k, task, at)).toMatch(/065$/);
  mprotect(m.k, task, at, PAGE, 3);
  put(m, task, at, "y");
  expect(task.minFlt).toBe(1);
  mprotect(m.k, task, at, PAGE, 0);
  expect(dumpPte(m.k, task, at)).toMatch(/160$/); // hidden from the hardware, kept by the kernel
  mprotect(m.k, task, at, PAGE, 1);
  expect(get(m, task, at, 1)).toBe("y");
});

test("file pages are shared between mappings, copied by private ones, gone beyond the end", () => {
  const m = new MemoryMachine();
  const task = m.process();
  const file: OpenFile = m.file(2 * PAGE + 10);
  const map = (flags: number): number => mmap(m.k, task, { addr: 0, length: 4 * PAGE, prot: 3, flags, file, pgoff: 0 });
  const [one, two, own] = [map(1), map(1), map(2)];
  put(m, task, one, "A");
  expect([get(m, task, two, 1), get(m, task, own, 1)]).toEqual(["A", "A"]);
  put(m, task, own, "B");
  put(m, task, one, "C");
  expect([get(m, task, two, 1), get(m, task, own, 1)]).toEqual(["C", "B"]);
  expect(loadUser(m.k, task, one + 3 * PAGE, 1).fault).toEqual({ signal: 7, siCode: 2, addr: one + 3 * PAGE });
  expect(loadUser(m.k, task, one + 3 * PAGE - 2, 4)).toMatchObject({ bytes: { length: 2 }, fault: { addr: one + 3 * PAGE } });
  m.truncate(file, 100);
  expect(loadUser(m.k, task, one + PAGE, 1).fault?.signal).toBe(7);
  expect(loadUser(m.k, task, own + PAGE, 1).fault?.signal).toBe(7);
  expect(get(m, task, own, 1)).toBe("B");
  expect(mmInvariants(m.k)).toEqual([]);
});

test("kernel addresses are unmapped for users; addresses that are none are a general protection fault", () => {
  const m = new MemoryMachine();
  const task = m.process();
  const fault = (addr: number | bigint): unknown => loadUser(m.k, task, addr, 1).fault;
  expect(fault(0)).toEqual({ signal: 11, siCode: 1, addr: 0 });
  expect(fault(0xffff800000000000n)).toEqual({ signal: 11, siCode: 1, addr: 0xffff800000000000n });
  expect(fault(2 ** 47)).toEqual({ signal: 11, siCode: 128, addr: 0 });
  expect(fault(0x1234_5678_9abc_def0n)).toEqual({ signal: 11, siCode: 128, addr: 0 });
  expect(fault(2 ** 47 - PAGE)).toMatchObject({ siCode: 1 });
});

test("when memory is out, the largest process dies and another gets its pages", () => {
  const m = new MemoryMachine();
  const { mm } = m.k.state;
  mm.ramPages = mm.reservedPages + 40;
  mm.watermarks = { min: 0, low: 0, high: 0 };
  const [hog, small] = [m.process(), m.process()];
  const big = anon(m, hog, 32);
  for (let page = 0; page < 30; page++) put(m, hog, big + page * PAGE, "x");
  const at = anon(m, small, 8);
  for (let page = 0; page < 8; page++) {
    expect(storeUser(m.k, small, at + page * PAGE, new Uint8Array(1)).fault).toBeNull();
  }
  expect(mm.events.oomKill).toBe(1);
  expect(hog.pending.map(({ number }) => number)).toEqual([9]);
  expect(small.pending).toEqual([]);
  const lines = m.k.state.log.records.map(({ text }) => text);
  expect(lines.find((line) => line.startsWith("Out of memory"))).toBe(
    `Out of memory: Killed process ${hog.tgid} (test) total-vm:128kB, anon-rss:120kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:16kB oom_score_adj:0`);
  expect(mmInvariants(m.k)).toEqual([]);
});
