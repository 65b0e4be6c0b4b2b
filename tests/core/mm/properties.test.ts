/** Whatever a program does with its memory, no reference is lost and no mapping overlaps. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { loadUser, peekUser, storeUser } from "../../../core/mm/access.ts";
import { brk } from "../../../core/mm/brk.ts";
import { mmInvariants } from "../../../core/mm/invariants.ts";
import { madvise } from "../../../core/mm/madvise.ts";
import { mlock, mlockall, munlock, munlockall } from "../../../core/mm/mlock.ts";
import { mmap } from "../../../core/mm/mmap.ts";
import { mprotect } from "../../../core/mm/mprotect.ts";
import { mremap } from "../../../core/mm/mremap.ts";
import { spaceOf } from "../../../core/mm/space.ts";
import { munmap } from "../../../core/mm/unmap.ts";
import type { Task } from "../../../core/sched/task.ts";
import { MemoryMachine } from "./machine.ts";

const PAGE = 4096;
const BASE = 0x10_0000_0000;
const PAGES = 24;

type Act = { what: string; who: number; page: number; count: number; value: number };

const act: fc.Arbitrary<Act> = fc.record({
  what: fc.constantFrom(
    "anon", "anon", "shared", "file", "private", "grow", "locked", "unmap", "unmap", "protect", "protect", "store", "store", "store", "load",
    "remap", "remap", "dontneed", "free", "remove", "dontfork", "wipe", "fork", "exit", "brk", "lock", "unlock", "lockall", "truncate", "huge",
  ),
  who: fc.nat(4), page: fc.nat(PAGES - 1), count: fc.integer({ min: 1, max: 6 }), value: fc.nat(255),
});

function perform(m: MemoryMachine, tasks: Task[], file: ReturnType<MemoryMachine["file"]>, { what, who, page, count, value }: Act): void {
  const { k } = m;
  const task = tasks[who % tasks.length];
  const addr = BASE + page * PAGE;
  const length = count * PAGE;
  const prot = [0, 1, 3, 2, 5][value % 5];
  switch (what) {
    case "anon": mmap(k, task, { addr, length, prot, flags: 0x32, file: null, pgoff: 0 }); break;
    case "shared": mmap(k, task, { addr, length, prot, flags: 0x31, file: null, pgoff: 0 }); break;
    case "file": mmap(k, task, { addr, length, prot, flags: 0x11, file, pgoff: value % 5 }); break;
    case "private": mmap(k, task, { addr, length, prot, flags: 0x12, file, pgoff: value % 5 }); break;
    case "grow": mmap(k, task, { addr, length, prot: 3, flags: 0x132, file: null, pgoff: 0 }); break;
    case "locked": mmap(k, task, { addr: value % 2 === 0 ? addr : 0, length, prot: 3, flags: 0x2022 | (value % 2 === 0 ? 0x10 : 0), file: null, pgoff: 0 }); break;
    case "unmap": munmap(k, task, addr, length); break;
    case "protect": mprotect(k, task, addr, length, prot); break;
    case "store": storeUser(k, task, addr + (value * 16) % PAGE, new Uint8Array(count * 700).fill(value)); break;
    case "load": loadUser(k, task, addr + (value * 16) % PAGE, count * 700); break;
    case "remap": {
      const to = BASE + ((page + value) % PAGES) * PAGE;
      const flags = [0, 1, 3, 5, 7][value % 5];
      mremap(k, task, addr, length, flags >= 5 ? length : (1 + (value % 7)) * PAGE, flags, to);
      break;
    }
    case "dontneed": madvise(k, task, addr, length, 4); break;
    case "free": madvise(k, task, addr, length, 8); break;
    case "remove": madvise(k, task, addr, length, 9); break;
    case "dontfork": madvise(k, task, addr, length, value % 2 === 0 ? 10 : 11); break;
    case "wipe": madvise(k, task, addr, length, value % 2 === 0 ? 18 : 19); break;
    case "fork": {
      const child = tasks.length < 5 ? m.tryFork(task) : null;
      if (child !== null) tasks.push(child);
      break;
    }
    case "exit":
      if (tasks.length > 1) {
        m.exit(task);
        tasks.splice(tasks.indexOf(task), 1);
      }
      break;
    case "brk": brk(k, task, spaceOf(k, task).startBrk + (value % 40) * 1500); break;
    case "lock": mlock(k, task, addr, length, value % 2); break;
    case "unlock": munlock(k, task, addr, length); break;
    case "lockall":
      if (value % 2 === 0) munlockall(k, task);
      else mlockall(k, task, 1 + (value % 3));
      break;
    case "truncate": m.truncate(file, value * 80); break;
    case "huge": mmap(k, task, { addr: 0, length: (value + 1) * 2 ** 21, prot: 3, flags: 0x4022, file: null, pgoff: 0 }); break;
  }
}

test("memory stays consistent through any sequence of calls and accesses", () => {
  fc.assert(fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
    const m = new MemoryMachine();
    const tasks = [m.process()];
    const file = m.file(4 * PAGE + 100);
    for (const one of acts) {
      perform(m, tasks, file, one);
      expect(mmInvariants(m.k), JSON.stringify(one)).toEqual([]);
    }
    for (const task of tasks) m.exit(task);
    m.truncate(file, 0);
    expect(mmInvariants(m.k)).toEqual([]);
    expect(m.k.state.mm.frames.every((frame) => frame === null)).toBe(true);
    expect(m.k.state.mm.committedPages).toBe(0);
  }), { numRuns: 400 });
});

test("memory stays consistent on a machine that runs out of it", () => {
  fc.assert(fc.property(fc.array(act, { maxLength: 60 }), fc.integer({ min: 20, max: 60 }), (acts, frames) => {
    const m = new MemoryMachine();
    m.k.state.mm.ramPages = m.k.state.mm.reservedPages + frames;
    const tasks = [m.process()];
    const file = m.file(4 * PAGE + 100);
    for (const one of acts) {
      perform(m, tasks, file, one);
      expect(mmInvariants(m.k), JSON.stringify(one)).toEqual([]);
    }
    for (const task of tasks) m.exit(task);
    expect(mmInvariants(m.k)).toEqual([]);
  }), { numRuns: 200 });
});

test("a debugger's look changes nothing and sees what a load would", () => {
  fc.assert(fc.property(fc.array(act, { maxLength: 30 }), fc.nat(PAGES * PAGE - 1), (acts, offset) => {
    const m = new MemoryMachine();
    const tasks = [m.process()];
    const file = m.file(4 * PAGE + 100);
    // A stack grows by being touched: a look below it sees nothing.
    for (const one of acts) if (one.what !== "grow") perform(m, tasks, file, one);
    const before = JSON.stringify([...m.k.state.mm.spaces], (_key, value: unknown) => (value instanceof Map ? [...value] : value));
    const { events } = m.k.state.mm;
    const faults = events.pgfault;
    const seen = peekUser(m.k, tasks[0], BASE + offset, 1);
    expect(events.pgfault).toBe(faults);
    expect(JSON.stringify([...m.k.state.mm.spaces], (_key, value: unknown) => (value instanceof Map ? [...value] : value))).toBe(before);
    const { bytes, fault } = loadUser(m.k, tasks[0], BASE + offset, 1);
    if (fault === null) expect(seen).toEqual(bytes);
    if (seen === null) expect(fault).not.toBeNull();
  }), { numRuns: 300 });
});
