/** kfifo_to_user and kfifo_from_user: what moves, what a fault in between leaves, and records whole or not at all. */
import { expect, test } from "vitest";
import { kfifoAlloc, kfifoIn, kfifoLen, kfifoOut, kfifoPeekLen, newKfifo } from "../../../core/lib/kfifo.ts";
import { kfifoFromUser, kfifoToUser } from "../../../core/mm/kfifo_user.ts";
import { mmap } from "../../../core/mm/mmap.ts";
import { copyFromUser, copyToUser } from "../../../core/mm/usercopy.ts";
import { MemoryMachine } from "./machine.ts";

const PAGE = 4096;
const EFAULT = 14;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function setUp({ esize = 1, recsize = 0, size = 16 } = {}) {
  const m = new MemoryMachine();
  const task = m.process();
  const at = mmap(m.k, task, { addr: 0, length: PAGE, prot: 3, flags: 0x22, file: null, pgoff: 0 });
  const fifo = newKfifo({ esize, recsize });
  expect(kfifoAlloc(fifo, size)).toBe(0);
  return { k: m.k, task, at, end: at + PAGE, fifo };
}

test("bytes move as far as there are some, and room", () => {
  const { k, task, at, fifo } = setUp();
  expect(kfifoToUser(k, task, fifo, at, 8)).toEqual({ error: 0, copied: 0 });
  kfifoIn(fifo, bytes("abcdef"));
  expect(kfifoToUser(k, task, fifo, at, 4)).toEqual({ error: 0, copied: 4 });
  expect(copyFromUser(k, task, at, 5)).toEqual(bytes("abcd\0"));
  expect(kfifoToUser(k, task, fifo, at, 100)).toEqual({ error: 0, copied: 2 });
  copyToUser(k, task, at, bytes("0123456789abcdefXYZ"));
  expect(kfifoFromUser(k, task, fifo, at, 19)).toEqual({ error: 0, copied: 16 });
  expect(kfifoFromUser(k, task, fifo, at, 1)).toEqual({ error: 0, copied: 0 });
  expect(kfifoOut(fifo, 16)).toEqual(bytes("0123456789abcdef"));
});

test("after a fault what arrived is gone from the fifo, the rest is there", () => {
  const { k, task, at, end, fifo } = setUp();
  kfifoIn(fifo, bytes("abcdef"));
  expect(kfifoToUser(k, task, fifo, end - 2, 6)).toEqual({ error: -EFAULT, copied: 2 });
  expect(kfifoLen(fifo)).toBe(4);
  expect(kfifoToUser(k, task, fifo, 0x10, 6)).toEqual({ error: -EFAULT, copied: 0 });
  expect(kfifoOut(fifo, 6)).toEqual(bytes("cdef"));
  copyToUser(k, task, end - 3, bytes("xyz"));
  expect(kfifoFromUser(k, task, fifo, end - 3, 8)).toEqual({ error: -EFAULT, copied: 3 });
  expect(kfifoOut(fifo, 6)).toEqual(bytes("xyz"));
  expect(at).toBeLessThan(end);
});

test("elements move whole", () => {
  const { k, task, at, end, fifo } = setUp({ esize: 4, size: 4 });
  kfifoIn(fifo, bytes("aaaabbbbcccc"));
  expect(kfifoToUser(k, task, fifo, at, 7)).toEqual({ error: 0, copied: 4 });
  expect(kfifoToUser(k, task, fifo, end - 6, 8)).toEqual({ error: -EFAULT, copied: 4 });
  expect(kfifoOut(fifo, 4)).toEqual(bytes("cccc"));
  copyToUser(k, task, at, bytes("11112222333344445555"));
  expect(kfifoFromUser(k, task, fifo, at, 20)).toEqual({ error: 0, copied: 16 });
  expect(kfifoLen(fifo)).toBe(4);
});

test.each([1, 2])("records with a header of %i bytes go in and out whole", (recsize) => {
  const { k, task, at, end, fifo } = setUp({ recsize });
  copyToUser(k, task, at, bytes("helloabcdefghijklmnop"));
  expect(kfifoFromUser(k, task, fifo, at, 5)).toEqual({ error: 0, copied: 5 });
  expect(kfifoFromUser(k, task, fifo, at + 5, 16)).toEqual({ error: 0, copied: 0 });
  expect(kfifoFromUser(k, task, fifo, end - 2, 4)).toEqual({ error: -EFAULT, copied: 0 });
  expect(kfifoFromUser(k, task, fifo, at + 5, 3)).toEqual({ error: 0, copied: 3 });
  expect(kfifoToUser(k, task, fifo, end - 2, 5)).toEqual({ error: -EFAULT, copied: 0 });
  expect(kfifoPeekLen(fifo)).toBe(5);
  expect(kfifoToUser(k, task, fifo, at, 2)).toEqual({ error: 0, copied: 2 });
  expect(kfifoPeekLen(fifo)).toBe(3); // what was left of the first is dropped
  expect(kfifoToUser(k, task, fifo, at, 100)).toEqual({ error: 0, copied: 3 });
  expect(copyFromUser(k, task, at, 3)).toEqual(bytes("abc"));
  expect(kfifoToUser(k, task, fifo, at, 100)).toEqual({ error: 0, copied: 0 });
});
