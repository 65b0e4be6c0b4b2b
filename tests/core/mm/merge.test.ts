/** Which neighbouring mappings Linux 6.1 joins into one, told by the lines of /proc/PID/maps. */
import { expect, test } from "vitest";
import { storeUser } from "../../../core/mm/access.ts";
import { madvise } from "../../../core/mm/madvise.ts";
import { mlock, munlock } from "../../../core/mm/mlock.ts";
import { mmap } from "../../../core/mm/mmap.ts";
import { mprotect } from "../../../core/mm/mprotect.ts";
import { mremap } from "../../../core/mm/mremap.ts";
import { mapsText } from "../../../core/mm/proc.ts";
import { munmap } from "../../../core/mm/unmap.ts";
import type { Task } from "../../../core/sched/task.ts";
import { MemoryMachine } from "./machine.ts";

const PAGE = 4096;
const BASE = 0x7000_0000;
const RW = 3, READ = 1, NONE = 0;

class Shell extends MemoryMachine {
  readonly task: Task = this.process();

  anon(page: number, count: number, prot: number, task = this.task): void {
    mmap(this.k, task, { addr: BASE + page * PAGE, length: count * PAGE, prot, flags: 0x32, file: null, pgoff: 0 });
  }

  touch(page: number, task = this.task): void {
    storeUser(this.k, task, BASE + page * PAGE, new Uint8Array(1));
  }

  protect(page: number, count: number, prot: number, task = this.task): void {
    mprotect(this.k, task, BASE + page * PAGE, count * PAGE, prot);
  }

  /** "0-2 rw-p" and so on, in pages. */
  maps(task = this.task): string[] {
    return mapsText(this.k, task).split("\n").filter((line) => line !== "").map((line) => {
      const [range, perms] = line.split(" ");
      const [start, end] = range.split("-").map((hex) => (Number.parseInt(hex, 16) - BASE) / PAGE);
      return `${start}-${end} ${perms}`;
    });
  }
}

test("untouched neighbours of the same kind are one mapping; a hole that is filled joins three", () => {
  const sh = new Shell();
  sh.anon(0, 1, RW);
  sh.anon(2, 1, RW);
  expect(sh.maps()).toEqual(["0-1 rw-p", "2-3 rw-p"]);
  sh.anon(1, 1, RW);
  expect(sh.maps()).toEqual(["0-3 rw-p"]);
  sh.anon(3, 1, READ);
  expect(sh.maps()).toEqual(["0-3 rw-p", "3-4 r--p"]);
  munmap(sh.k, sh.task, BASE + PAGE, PAGE);
  expect(sh.maps()).toEqual(["0-1 rw-p", "2-3 rw-p", "3-4 r--p"]);
});

test("memory that could be written keeps its promise, and so differs from memory that never could", () => {
  const sh = new Shell();
  sh.anon(0, 4, READ);
  sh.protect(1, 1, RW);
  sh.protect(1, 1, READ);
  expect(sh.maps()).toEqual(["0-1 r--p", "1-2 r--p", "2-4 r--p"]);
  sh.protect(0, 4, RW);
  expect(sh.maps()).toEqual(["0-4 rw-p"]);
  sh.protect(0, 4, NONE);
  expect(sh.maps()).toEqual(["0-4 ---p"]);
});

test("pieces of one mapping find together again", () => {
  const sh = new Shell();
  sh.anon(0, 6, RW);
  for (let page = 0; page < 6; page++) sh.touch(page);
  sh.protect(2, 2, READ);
  expect(sh.maps()).toEqual(["0-2 rw-p", "2-4 r--p", "4-6 rw-p"]);
  sh.protect(1, 2, READ); // the boundary moves
  expect(sh.maps()).toEqual(["0-1 rw-p", "1-4 r--p", "4-6 rw-p"]);
  sh.protect(3, 1, RW);
  expect(sh.maps()).toEqual(["0-1 rw-p", "1-3 r--p", "3-6 rw-p"]);
  sh.protect(1, 2, RW);
  expect(sh.maps()).toEqual(["0-6 rw-p"]);
});

test("mappings whose pages are of two families stay apart (Linux 6.18 would join them)", () => {
  const sh = new Shell();
  sh.anon(0, 1, RW);
  sh.anon(2, 1, RW);
  sh.touch(0);
  sh.touch(2);
  sh.anon(1, 1, RW);
  // The new one joins the mapping behind it first; then the one before is of another family.
  expect(sh.maps()).toEqual(["0-1 rw-p", "1-3 rw-p"]);
});

test("a neighbour that differs only in its rights shares its family, so that both can be joined later", () => {
  const sh = new Shell();
  sh.anon(0, 4, RW);
  sh.protect(1, 1, READ);
  sh.touch(0);
  sh.touch(3);
  sh.protect(1, 1, RW);
  expect(sh.maps()).toEqual(["0-2 rw-p", "2-4 rw-p"]);
  const other = new Shell();
  other.anon(0, 4, RW);
  other.touch(1);
  other.protect(1, 1, READ);
  other.touch(0);
  other.touch(3);
  other.protect(1, 1, RW);
  expect(other.maps()).toEqual(["0-4 rw-p"]);
});

test("in a child, memory of the parent's family takes no fresh neighbour in", () => {
  const sh = new Shell();
  sh.anon(0, 1, RW);
  sh.touch(0);
  const child = sh.fork(sh.task);
  sh.anon(1, 1, RW);
  sh.anon(1, 1, RW, child);
  expect(sh.maps()).toEqual(["0-2 rw-p"]);
  expect(sh.maps(child)).toEqual(["0-1 rw-p", "1-2 rw-p"]);
});

test("file mappings join where their offsets go on, shared anonymous ones only with themselves", () => {
  const sh = new Shell();
  const file = sh.file(4 * PAGE);
  const map = (page: number, pgoff: number): void => {
    mmap(sh.k, sh.task, { addr: BASE + page * PAGE, length: PAGE, prot: RW, flags: 0x11, file, pgoff });
  };
  map(0, 0);
  map(1, 1);
  map(2, 3);
  expect(sh.maps()).toEqual(["0-2 rw-s", "2-3 rw-s"]);
  mmap(sh.k, sh.task, { addr: BASE + 8 * PAGE, length: 2 * PAGE, prot: RW, flags: 0x31, file: null, pgoff: 0 });
  mmap(sh.k, sh.task, { addr: BASE + 10 * PAGE, length: PAGE, prot: RW, flags: 0x31, file: null, pgoff: 0 });
  expect(sh.maps().slice(2)).toEqual(["8-10 rw-s", "10-11 rw-s"]);
  sh.protect(8, 1, READ);
  sh.protect(8, 1, RW);
  expect(sh.maps().slice(2)).toEqual(["8-10 rw-s", "10-11 rw-s"]);
});

test("advice and locks split, and what is taken back joins", () => {
  const sh = new Shell();
  sh.anon(0, 4, RW);
  madvise(sh.k, sh.task, BASE + PAGE, PAGE, 10);
  mlock(sh.k, sh.task, BASE + 2 * PAGE, PAGE, 0);
  expect(sh.maps()).toEqual(["0-1 rw-p", "1-2 rw-p", "2-3 rw-p", "3-4 rw-p"]);
  madvise(sh.k, sh.task, BASE + PAGE, PAGE, 11);
  munlock(sh.k, sh.task, BASE, 4 * PAGE);
  // As Linux 6.1: locking brought a page in, and what has none yet does not take it over.
  expect(sh.maps()).toEqual(["0-2 rw-p", "2-3 rw-p", "3-4 rw-p"]);
});

test("untouched memory that is moved joins its new neighbour, touched memory does not", () => {
  const sh = new Shell();
  sh.anon(0, 2, RW);
  sh.anon(8, 2, RW);
  mremap(sh.k, sh.task, BASE + 8 * PAGE, 2 * PAGE, 2 * PAGE, 3, BASE + 2 * PAGE);
  expect(sh.maps()).toEqual(["0-4 rw-p"]);
  sh.anon(8, 2, RW);
  sh.touch(8);
  mremap(sh.k, sh.task, BASE + 8 * PAGE, 2 * PAGE, 2 * PAGE, 3, BASE + 4 * PAGE);
  expect(sh.maps()).toEqual(["0-4 rw-p", "4-6 rw-p"]);
});
