/** Counters and locks that never sleep: atomics, sequence counters, reader-writer spinlocks, per-CPU counters; small texts. */
import { describe, expect, test } from "vitest";
import {
  atomicAddUnless, atomicCmpxchg, atomicDecAndTest, atomicDecIfPositive, atomicFetchAdd, atomicIncReturn, atomicRead, atomicXchg, newAtomic,
} from "../../../core/lib/atomic.ts";
import { ERR_PTR, IS_ERR, IS_ERR_OR_NULL, PTR_ERR } from "../../../core/lib/err.ts";
import { sscanf } from "../../../core/lib/scanf.ts";
import { scnprintf, snprintf, strscpy } from "../../../core/lib/string.ts";
import { percpuCounterAdd, percpuCounterInit, percpuCounterRead, percpuCounterSum } from "../../../core/sched/percpu_counter.ts";
import { inAtomic, irqsDisabled, localIrqRestore, localIrqSave, preemptCount } from "../../../core/sched/preempt.ts";
import { newRefcount, refcountAddNotZero, refcountDecNotOne, refcountIncNotZero, refcountRead, refcountSet } from "../../../core/sched/refcount.ts";
import { readLock, readTrylock, readUnlock, rwlockInit, writeLock, writeTrylock, writeUnlock } from "../../../core/sched/rwlock.ts";
import { readSeqbegin, readSeqretry, seqlockInit, writeSeqlock, writeSequnlock } from "../../../core/sched/seqlock.ts";
import { spinIsLocked, spinLockBh, spinLockInit, spinLockIrqsave, spinTrylock, spinUnlock, spinUnlockBh, spinUnlockIrqrestore } from "../../../core/sched/spinlock.ts";
import { scene } from "./actors.ts";

describe("atomic_t", () => {
  test("wraps at 32 bits", () => {
    const v = newAtomic(0x7fffffff);
    expect(atomicIncReturn(v)).toBe(-0x80000000);
    expect(atomicFetchAdd(-1, v)).toBe(-0x80000000);
    expect(atomicRead(v)).toBe(0x7fffffff);
  });
  test("compares, exchanges, and adds unless", () => {
    const v = newAtomic(1);
    expect(atomicCmpxchg(v, 2, 9)).toBe(1);
    expect(atomicCmpxchg(v, 1, 9)).toBe(1);
    expect(atomicXchg(v, 1)).toBe(9);
    expect(atomicDecAndTest(v)).toBe(true);
    expect(atomicAddUnless(v, 1, 0)).toBe(false);
    expect([atomicDecIfPositive(v), atomicRead(v)]).toEqual([-1, 0]);
  });
});

describe("locks that never sleep", () => {
  test("count preemption, softirqs and interrupts, and give back what was", () => {
    const { kernel: k } = scene();
    const lock = spinLockInit(k, "lock");
    expect(spinLockBh(k, lock)).toBe(null);
    expect([preemptCount(k), spinIsLocked(k, lock), spinTrylock(k, lock)]).toEqual([0x201, true, false]);
    spinUnlockBh(k, lock);
    const flags = localIrqSave(k);
    expect([flags, spinLockIrqsave(k, lock)]).toEqual([false, null]);
    spinUnlockIrqrestore(k, lock);
    expect(irqsDisabled(k), "they were off before").toBe(true);
    localIrqRestore(k, flags);
    expect([irqsDisabled(k), inAtomic(k)]).toEqual([false, false]);
    spinTrylock(k, lock);
    spinUnlock(k, lock);
    expect(preemptCount(k)).toBe(0);
  });

  test("readers come together, a writer alone", () => {
    const { kernel: k } = scene();
    const lock = rwlockInit(k, "rwlock");
    readLock(k, lock);
    expect([readTrylock(k, lock), writeTrylock(k, lock)]).toEqual([true, false]);
    readUnlock(k, lock);
    readUnlock(k, lock);
    writeLock(k, lock);
    expect([readTrylock(k, lock), writeTrylock(k, lock)]).toEqual([false, false]);
    writeUnlock(k, lock);
    expect(preemptCount(k)).toBe(0);
  });

  test("a reader of a sequence looks again after a writer", () => {
    const { kernel: k } = scene();
    const lock = seqlockInit(k, "seq");
    const before = readSeqbegin(lock);
    expect(readSeqretry(lock, before)).toBe(false);
    writeSeqlock(k, lock);
    expect(readSeqretry(lock, readSeqbegin(lock)), "in the middle of a write").toBe(true);
    writeSequnlock(k, lock);
    expect(readSeqretry(lock, before)).toBe(true);
    expect(readSeqretry(lock, readSeqbegin(lock))).toBe(false);
  });
});

describe("counters", () => {
  test("a reference is taken only while there is one", () => {
    const { kernel: k } = scene();
    const r = newRefcount(1);
    expect([refcountIncNotZero(k, r), refcountRead(r), refcountDecNotOne(k, r), refcountDecNotOne(k, r)]).toEqual([true, 2, true, false]);
    refcountSet(r, 0);
    expect([refcountAddNotZero(k, 5, r), refcountRead(r)]).toEqual([false, 0]);
  });
  test("a per-CPU counter hands in its batches", () => {
    const { kernel: k } = scene({ cpus: 2 });
    const counter = percpuCounterInit(k, 0);
    for (let i = 0; i < 40; i++) percpuCounterAdd(k, counter, 1);
    expect([percpuCounterRead(counter), percpuCounterSum(counter)]).toEqual([32, 40]);
  });
});

describe("small texts", () => {
  test("are cut as the kernel cuts them", () => {
    expect(strscpy("abc", 3)).toEqual({ ret: -7, text: "ab" });
    expect(strscpy("", 0)).toEqual({ ret: -7, text: "" });
    expect(snprintf(4, "%d", 123456)).toEqual({ ret: 6, text: "123" });
    expect(scnprintf(4, "%d", 123456)).toEqual({ ret: 3, text: "123" });
    expect(scnprintf(0, "x")).toEqual({ ret: 0, text: "" });
  });
  test("are read as sscanf reads them", () => {
    expect(sscanf("R 123 0x1f abc", "R %d %x %s")).toEqual([123, 31, "abc"]);
    expect(sscanf("12345", "%2d%3d")).toEqual([12, 345]);
    expect(sscanf("a,b", "%c,%c")).toEqual(["a", "b"]);
    expect(sscanf("5 apples", "%*d %s")).toEqual(["apples"]);
    expect(sscanf("010 0x10 10", "%i %i %i")).toEqual([8, 16, 10]);
    expect(sscanf("x", "%d")).toEqual([]);
    expect(sscanf("100%", "%d%%")).toEqual([100]);
  });
  test("errors in the place of pointers", () => {
    expect([IS_ERR(ERR_PTR(-12)), IS_ERR(0n), IS_ERR_OR_NULL(0n), PTR_ERR(ERR_PTR(-4095)), IS_ERR(ERR_PTR(-4096))]).toEqual([true, false, true, -4095, false]);
  });
});
