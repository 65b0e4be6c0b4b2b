/** Copies between the kernel and a process: partial ones are real, and a driven call's buffers lie where nobody else looks. */
import { expect, test } from "vitest";
import { peekUser } from "../../../core/mm/access.ts";
import { mmap } from "../../../core/mm/mmap.ts";
import { mprotect } from "../../../core/mm/mprotect.ts";
import { mapsText } from "../../../core/mm/proc.ts";
import { SCRATCH_BASE } from "../../../core/mm/space.ts";
import { munmap } from "../../../core/mm/unmap.ts";
import {
  accessOk, clearUser, copyFromUser, copyFromUserInto, copyFromUserPartial, copyToUser, getUser32, getUser64, putUser32, putUser64,
  strncpyFromUser,
} from "../../../core/mm/usercopy.ts";
import { MemoryMachine } from "./machine.ts";

const PAGE = 4096;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function setUp() {
  const m = new MemoryMachine();
  const task = m.process();
  const at = mmap(m.k, task, { addr: 0, length: 3 * PAGE, prot: 3, flags: 0x22, file: null, pgoff: 0 });
  return { k: m.k, task, at };
}

test("a copy stops at the first bad page and tells how much was done", () => {
  const { k, task, at } = setUp();
  mprotect(k, task, at + PAGE, PAGE, 1);
  munmap(k, task, at + 2 * PAGE, PAGE);
  expect(copyToUser(k, task, at + PAGE - 3, bytes("abcdef"))).toBe(3);
  expect(copyToUser(k, task, at + PAGE, bytes("x"))).toBe(-14);
  expect(copyFromUser(k, task, at + PAGE - 3, 6)).toEqual(bytes("abc\0\0\0"));
  expect(copyFromUser(k, task, at + 2 * PAGE - 2, 3)).toBe(-14);
  expect(copyFromUserPartial(k, task, at + 2 * PAGE - 2, 3)).toHaveLength(2);
  expect(copyFromUserInto(k, task, at + 2 * PAGE - 2, new Uint8Array(3))).toBe(2);
  expect(clearUser(k, task, at + PAGE - 2, 10)).toBe(2);
  expect(copyFromUserPartial(k, task, 0x1000, 4)).toHaveLength(0);
});

test("nothing to copy is no error, an address beyond the users' is one whatever lies there", () => {
  const { k, task } = setUp();
  expect(copyToUser(k, task, 0, new Uint8Array(0))).toBe(0);
  expect(copyToUser(k, task, 0xffff800000000000n, bytes("x"))).toBe(-14);
  expect(copyFromUser(k, task, 0x1000, 2 ** 40)).toBe(-14);
  expect(accessOk(0x7fffffffefff, 1)).toBe(true);
  expect(accessOk(0x7fffffffefff, 2)).toBe(false);
  expect(accessOk(0, 2n ** 63n)).toBe(false);
});

test("words and strings", () => {
  const { k, task, at } = setUp();
  expect(putUser32(k, task, at, -2)).toBe(true);
  expect(getUser32(k, task, at)).toBe(0xfffffffe);
  expect(putUser64(k, task, at + PAGE - 4, 0xfedcba9876543210n)).toBe(true);
  expect(getUser64(k, task, at + PAGE - 4)).toBe(0xfedcba9876543210n);
  expect(putUser64(k, task, at, 2 ** 40 + 5)).toBe(true);
  expect(getUser64(k, task, at)).toBe(2 ** 40 + 5);
  expect(getUser32(k, task, 8)).toBeNull();
  expect(putUser32(k, task, 8, 1)).toBe(false);
  copyToUser(k, task, at + 3 * PAGE - 4, bytes("abcd"));
  expect(strncpyFromUser(k, task, at + 3 * PAGE - 4, 4096)).toBe(-14);
  expect(strncpyFromUser(k, task, at + 3 * PAGE - 4, 4)).toBe(-36);
  copyToUser(k, task, at + 3 * PAGE - 4, bytes("é\0"));
  expect(strncpyFromUser(k, task, at + 3 * PAGE - 4, 4096)).toBe("é");
  expect(strncpyFromUser(k, task, 0, 4096)).toBe(-14);
});

test("the scratch area is read and written first, ends before an unmapped page, and is in no map", () => {
  const { k, task } = setUp();
  const base = SCRATCH_BASE;
  task.scratch = { base, bytes: new Uint8Array(PAGE) };
  expect(copyToUser(k, task, base + PAGE - 2, bytes("abc"))).toBe(2);
  expect(copyFromUser(k, task, base + PAGE - 2, 2)).toEqual(bytes("ab"));
  expect(copyFromUser(k, task, base + PAGE - 2, 3)).toBe(-14);
  expect(task.minFlt).toBe(0);
  const before = mapsText(k, task);
  expect(munmap(k, task, base, PAGE)).toBe(0);
  expect(mapsText(k, task)).toBe(before);
  expect(mmap(k, task, { addr: base, length: PAGE, prot: 3, flags: 0x100022, file: null, pgoff: 0 })).toBe(base);
  expect(peekUser(k, task, base + PAGE - 2, 2)).toEqual(bytes("ab"));
  task.scratch = null;
  expect(peekUser(k, task, base + PAGE - 2, 2)).toEqual(bytes("\0\0"));
  munmap(k, task, base, PAGE);
  expect(mmap(k, task, { addr: base, length: PAGE, prot: 3, flags: 0x22, file: null, pgoff: 0 })).not.toBe(base);
});

test("each byte copied costs its time", () => {
  const { k, task, at } = setUp();
  copyToUser(k, task, at, new Uint8Array(PAGE));
  const before = k.state.sched.cpus[0].clockNs;
  copyToUser(k, task, at, new Uint8Array(PAGE));
  expect(k.state.sched.cpus[0].clockNs - before).toBe(409);
});
