/** What a debug kernel says of locks and sleeps that are wrong, in its own words. */
import { describe, expect, test } from "vitest";
import { mutexInit } from "../../../core/sched/mutex.ts";
import { initRwsem } from "../../../core/sched/rwsem.ts";
import { spinLock, spinLockInit, spinUnlock } from "../../../core/sched/spinlock.ts";
import { initCompletion } from "../../../core/sched/completion.ts";
import { taskOf } from "../../../core/sched/task.ts";
import { armTimer, timerCallback } from "../../../core/time/timer.ts";
import { fileOperations } from "../../../core/fs/file.ts";
import { miscDeregister, miscRegister, MISC_DYNAMIC_MINOR } from "../../../core/fs/misc.ts";
import { copyToUser } from "../../../core/mm/usercopy.ts";
import { jiffies } from "../../../core/time/jiffies.ts";
import { modTimer, timerFunction, timerSetup } from "../../../core/time/timer_list.ts";
import { testModule } from "../../../core/labs/testmodules/simple.ts";
import { mutexTrylock } from "../../../core/sched/mutex.ts";
import { HARDIRQ_OFFSET, preemptCountAdd, preemptCountSub, preemptDisable } from "../../../core/sched/preempt.ts";
import { newRefcount, refcountDecAndTest, refcountDec, refcountInc, refcountRead } from "../../../core/sched/refcount.ts";
import { Lab } from "../modules/lab.ts";
import { act, dmesg, scene, told } from "./actors.ts";

const has = (lines: string[], text: string): number => lines.filter((line) => line.includes(text)).length;

describe("lock order", () => {
  test("ABBA is told with its chain before it ever blocks", () => {
    const m = scene();
    const [a, b] = [mutexInit(m.kernel, "lock_a"), mutexInit(m.kernel, "lock_b")];
    act(m, "one", ["lock", a], ["lock", b], ["unlock", b], ["unlock", a]);
    m.advance(5);
    expect(has(dmesg(m), "WARNING")).toBe(0);
    const two = act(m, "two", ["lock", b], ["lock", a], ["unlock", a], ["unlock", b], ["lock", b], ["lock", a], ["unlock", a], ["unlock", b]);
    m.advance(5);
    const lines = dmesg(m);
    const at = lines.indexOf("WARNING: possible circular locking dependency detected");
    expect(lines[at - 1]).toBe("=".repeat(54));
    const report = lines.slice(at);
    expect(report[3]).toBe(`two/${two} is trying to acquire lock:`);
    expect(report[4]).toMatch(/^ffffffff[0-9a-f]{8} \(lock_a\)\{\+\.\+\.\}-\{3:3\}, at: scene_actor\+0x[0-9a-f]+\/0x[0-9a-f]+$/);
    expect(report).toContain("which lock already depends on the new lock.");
    expect(report.filter((line) => line.startsWith("-> #"))).toEqual(["-> #1 (lock_b){+.+.}-{3:3}:", "-> #0 (lock_a){+.+.}-{3:3}:"]);
    const scenario = report.indexOf("       CPU0                    CPU1");
    expect(report.slice(scenario + 2, scenario + 6)).toEqual([
      "  lock(lock_b);", `${" ".repeat(31)}lock(lock_a);`, `${" ".repeat(31)}lock(lock_b);`, "  lock(lock_a);",
    ]);
    expect(report).toContain(" *** DEADLOCK ***");
    expect(report).toContain(`1 lock held by two/${two}:`);
    expect(has(lines, "circular"), "it is told once").toBe(1);
  });

  test("a longer way round is told with what lies between", () => {
    const m = scene();
    const [a, b, c] = ["a", "b", "c"].map((name) => mutexInit(m.kernel, name));
    act(m, "t", ["lock", a], ["lock", b], ["unlock", b], ["unlock", a], ["lock", b], ["lock", c], ["unlock", c], ["unlock", b], ["lock", c], ["lock", a]);
    m.advance(5);
    expect(dmesg(m)).toContain("Chain exists of:");
    expect(dmesg(m)).toContain("  a --> b --> c");
  });

  test("the same lock twice is told, and blocks for ever", () => {
    const m = scene();
    const lock = mutexInit(m.kernel, "&dev->lock");
    const tid = act(m, "self", ["lock", lock], ["lock", lock], ["tell", "never"]);
    m.advance(5);
    const lines = dmesg(m);
    expect(lines).toContain("WARNING: possible recursive locking detected");
    expect(lines).toContain(" May be due to missing lock nesting notation");
    expect(lines.filter((line) => line === "  lock(&dev->lock);")).toHaveLength(2);
    expect(taskOf(m.kernel, tid).sleep?.mode).toBe("uninterruptible");
    expect(told(m)).toEqual(["self lock=0"]);
  });

  test("two locks of one class may nest where it is said so; readers of different classes too", () => {
    const m = scene();
    const [a, b] = [mutexInit(m.kernel, "node"), mutexInit(m.kernel, "node")];
    const sem = initRwsem(m.kernel, "sem");
    act(m, "t", ["lock", a], ["lockNested", b, 1], ["read", sem], ["upRead", sem], ["unlock", b], ["unlock", a]);
    m.advance(5);
    expect(has(dmesg(m), "WARNING")).toBe(0);
  });

  test("an unlock of what one does not hold", () => {
    const m = scene();
    const lock = mutexInit(m.kernel, "lock");
    const tid = act(m, "t", ["unlock", lock]);
    m.advance(5);
    const lines = dmesg(m);
    expect(lines).toContain("WARNING: bad unlock balance detected!");
    expect(lines.find((line) => line.startsWith("t/"))).toBe(`t/${tid} is trying to release lock (lock) at:`);
    expect(lines).toContain("but there are no more locks to release!");
    expect(lines).toContain(`no locks held by t/${tid}.`);
  });

  test("a thread that ends with a lock", () => {
    const m = scene();
    const lock = mutexInit(m.kernel, "lock");
    const tid = act(m, "t", ["lock", lock]);
    m.advance(5);
    expect(dmesg(m)).toContain(`WARNING: t/${tid} still has locks held!`);
    expect(m.kernel.state.sched.lockdep.held.size).toBe(0);
  });

  test("a spinlock that a timer takes while it is held with interrupts open", () => {
    const m = scene();
    const lock = spinLockInit(m.kernel, "slock");
    m.kernel.state.labs.set("slock", { lock });
    act(m, "t", ["spin", lock], ["unspin", lock]);
    m.advance(1);
    armTimer(m.kernel, { expiresNs: m.kernel.state.time.nowNs + 1000, callback: "test.spin", arg: lock });
    m.advance(1);
    expect(dmesg(m)).toContain("WARNING: inconsistent lock state");
    expect(dmesg(m)).toContain("    lock(slock);");
    expect(m.broken()).toEqual([]);
  });
});

timerCallback("test.spin", (k, lock) => {
  preemptCountAdd(k, HARDIRQ_OFFSET);
  void spinLock(k, lock);
  spinUnlock(k, lock);
  preemptCountSub(k, HARDIRQ_OFFSET);
});

timerFunction("test.softspin", (k, lock) => {
  void spinLock(k, lock);
  spinUnlock(k, lock);
});

describe("a lock that a kernel timer shares with a task", () => {
  const play = (how: "spin" | "spinBh"): string[] => {
    const m = scene();
    const lock = spinLockInit(m.kernel, "shared");
    act(m, "t", [how, lock], ["run", 100_000], [how === "spin" ? "unspin" : "unspinBh", lock], ["sleep", 30], [how, lock], ["run", 20_000_000], [how === "spin" ? "unspin" : "unspinBh", lock]);
    const timer = timerSetup(m.kernel, "test.softspin", { arg: lock });
    modTimer(m.kernel, timer, jiffies(m.kernel) + 3);
    m.advance(35);
    // It fires again while the task is in the middle of its work.
    modTimer(m.kernel, timer, jiffies(m.kernel) + 1);
    m.advance(100);
    expect(m.broken()).toEqual([]);
    return dmesg(m).filter((line) => line.startsWith("WARNING") || line.startsWith("inconsistent") || line.startsWith("BUG"));
  };
  test("is told of when the task leaves softirqs open", () => {
    expect(play("spin")).toEqual(["WARNING: inconsistent lock state", "inconsistent {SOFTIRQ-ON-W} -> {IN-SOFTIRQ-W} usage."]);
  });
  test("is sound with softirqs off: the timer waits for the task", () => {
    expect(play("spinBh")).toEqual([]);
  });
});

describe("sleeping in atomic context", () => {
  test("a sleep with a spinlock held, and the task goes on", () => {
    const m = scene();
    const lock = spinLockInit(m.kernel, "slock");
    const tid = act(m, "t", ["spin", lock], ["sleep", 5], ["tell", "slept"], ["unspin", lock]);
    m.advance(20);
    const lines = dmesg(m);
    expect(lines).toContain(`BUG: scheduling while atomic: t/${tid}/0x00000002`);
    expect(lines).toContain(`1 lock held by t/${tid}:`);
    expect(told(m)[0]).toMatch(/^t slept/);
    expect(m.kernel.state.modules.taint & 1 << 9).not.toBe(0);
  });

  test("softirqs off show in the count", () => {
    const m = scene();
    const lock = spinLockInit(m.kernel, "slock");
    const tid = act(m, "t", ["spinBh", lock], ["sleep", 5]);
    m.advance(20);
    expect(dmesg(m)).toContain(`BUG: scheduling while atomic: t/${tid}/0x00000202`);
  });

  test("a function that may sleep says so though it need not", () => {
    const m = scene();
    const [spin, lock] = [spinLockInit(m.kernel, "slock"), mutexInit(m.kernel, "lock")];
    const tid = act(m, "t", ["spin", spin], ["lock", lock], ["unlock", lock], ["lock", lock], ["unlock", lock], ["unspin", spin]);
    m.advance(5);
    const lines = dmesg(m);
    expect(has(lines, "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580"), "once a second").toBe(1);
    expect(lines).toContain(`in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: ${tid}, name: t`);
    expect(lines).toContain("preempt_count: 1, expected: 0");
  });

  test("inside an RCU reader too", () => {
    const m = scene();
    const lock = mutexInit(m.kernel, "lock");
    act(m, "t", ["rcuLock"], ["lock", lock], ["unlock", lock], ["rcuUnlock"]);
    m.advance(5);
    expect(dmesg(m)).toContain("RCU nest depth: 1, expected: 0");
  });
});

describe("spinlocks", () => {
  test("held across steps keep another CPU spinning for as long", () => {
    const m = scene({ cpus: 2 });
    const lock = spinLockInit(m.kernel, "slock");
    act(m, "a", ["spin", lock], ["run", 3_000_000], ["unspin", lock], ["tell", "out"]);
    const b = act(m, "b", ["run", 1_000_000], ["spin", lock], ["tell", "in"], ["unspin", lock]);
    m.advance(30);
    expect(told(m).map((line) => line.replace(/ at .*/, ""))).toEqual(["a out", "b in"]);
    expect(dmesg(m).filter((line) => line.startsWith("BUG"))).toEqual([]);
    void b;
  });

  test("held by a thread that never ends do not keep the machine busy without end", () => {
    const m = scene({ cpus: 2 });
    const lock = spinLockInit(m.kernel, "slock");
    act(m, "hog", ["spin", lock], ["run", 1_000_000], ["again", 1]);
    m.advance(10);
    expect(m.kernel.state.time.nowNs).toBeLessThan(1_100_000_000);
    m.advance(3000);
    expect(m.kernel.state.time.nowNs).toBeLessThan(4_200_000_000);
    expect(m.broken()).toEqual([]);
  });

  test("taken twice by one task hang it, after a report", () => {
    const m = scene();
    const lock = spinLockInit(m.kernel, "slock");
    act(m, "t", ["spin", lock], ["spin", lock], ["tell", "never"]);
    m.advance(20);
    expect(dmesg(m)).toContain("WARNING: possible recursive locking detected");
    expect(told(m)).toEqual([]);
    expect(has(dmesg(m), "soft lockup")).toBe(0);
    m.advance(300_000);
    const lines = dmesg(m).filter((line) => line.includes("soft lockup"));
    expect(lines.slice(0, 2).map((line) => line.replace(/\d+\]/, "N]"))).toEqual([
      "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [t:N]", "watchdog: BUG: soft lockup - CPU#0 stuck for 52s! [t:N]",
    ]);
    expect(has(dmesg(m), "blocked for more than"), "it does not sleep").toBe(0);
  });
});

describe("hung tasks", () => {
  test("are told after 120 seconds, again every round, and not once the sysctl says so", async () => {
    const m = scene();
    const done = initCompletion(m.kernel);
    const lock = mutexInit(m.kernel, "lock");
    const tid = act(m, "stuck", ["lock", lock], ["wait", done]);
    m.advance(119_000);
    expect(has(dmesg(m), "blocked for more than")).toBe(0);
    m.advance(300_000);
    const lines = dmesg(m);
    expect(lines.filter((line) => line.includes("blocked for more than"))).toEqual([
      `INFO: task stuck:${tid} blocked for more than 120 seconds.`, `INFO: task stuck:${tid} blocked for more than 241 seconds.`,
    ]);
    const at = lines.indexOf(`INFO: task stuck:${tid} blocked for more than 120 seconds.`);
    expect(lines[at + 1]).toMatch(/^ {6}Not tainted 6\.1\.0-syslab #1$/);
    expect(lines[at + 2]).toBe('"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.');
    expect(lines[at + 3]).toBe(`task:stuck           state:D stack:0     pid:${String(tid).padEnd(5)} ppid:2      flags:0x00004000`);
    expect(lines[at + 4]).toBe("Call Trace:");
    expect(lines).toContain("Showing all locks held in the system:");
    expect(m.text("/proc/sys/kernel/hung_task_warnings")).toBe("8\n");
    const writeTimeout = async (text: string): Promise<void> => {
      const pid = await m.createProcess();
      const opened = m.callNow(pid, "openat", { pathname: "/proc/sys/kernel/hung_task_timeout_secs", flags: "O_WRONLY" });
      expect(m.callNow(pid, "write", { fd: (opened as { ret: number }).ret, buf: text })).toMatchObject({ ret: text.length });
    };
    await writeTimeout("0");
    m.advance(400_000);
    expect(has(dmesg(m), "blocked for more than")).toBe(2);
    await writeTimeout("10");
    m.advance(30_000);
    expect(has(dmesg(m), "blocked for more than"), "from then on again").toBeGreaterThan(2);
  });

  test("are neither those that a fatal signal wakes nor those that were woken meanwhile", () => {
    const m = scene();
    const lock = mutexInit(m.kernel, "lock");
    act(m, "holder", ["lock", lock], ["sleep", 100_000], ["sleep", 100_000], ["sleep", 100_000], ["unlock", lock]);
    act(m, "killable", ["sleep", 1], ["lockKillable", lock], ["unlock", lock]);
    m.advance(290_000);
    expect(has(dmesg(m), "blocked for more than")).toBe(0);
  });
});

fileOperations("test.atomic_copy", {
  owner: "atomcopy",
  read: (k, task, _file, buf, count) => {
    const lock = Number(k.state.modules.loaded.get("atomcopy")?.data.lock);
    void spinLock(k, lock);
    const copied = copyToUser(k, task, buf, new Uint8Array(count));
    spinUnlock(k, lock);
    return copied;
  },
});
testModule("atomcopy", {
  init: (k, module) => {
    module.data.lock = spinLockInit(k, "&dev->slock", "atomcopy");
    return Math.min(0, miscRegister(k, { minor: MISC_DYNAMIC_MINOR, name: "atomcopy", ops: "test.atomic_copy" }));
  },
  exit: (k) => {
    miscDeregister(k, "atomcopy");
    return 0;
  },
});

testModule("leaklock", {
  init: (k, module) => {
    const lock = mutexInit(k, "leak_lock", "leaklock");
    mutexTrylock(k, lock);
    module.data.lock = lock;
    return 0;
  },
});
testModule("leakcount", {
  init: (k) => {
    preemptDisable(k);
    return 0;
  },
});

describe("a module", () => {
  test("that leaves a lock held: told as insmod returns, and when its memory goes", async () => {
    const lab = await Lab.boot();
    const { machine: m, pid } = lab;
    lab.insmod("leaklock");
    expect(dmesg(m)).toContain("WARNING: lock held when returning to user space!");
    expect(dmesg(m)).toContain(`sh/${pid} is leaving the kernel with locks still held!`);
    m.callNow(pid, "getppid");
    expect(has(dmesg(m), "leaving the kernel"), "once").toBe(1);
    lab.rmmod("leaklock");
    expect(dmesg(m)).toContain("WARNING: held lock freed!");
    expect(m.kernel.state.sched.locks.locks.size).toBe(0);
  });

  test("that copies to user memory under a spinlock may sleep there", async () => {
    const lab = await Lab.boot();
    lab.insmod("atomcopy");
    const fd = Number(lab.call("openat", { pathname: "/dev/atomcopy", flags: "O_RDWR" }).ret);
    lab.dmesg();
    expect(lab.call("read", { fd, count: 10 }).ret).toBe(10);
    const lines = lab.dmesg().map(([, text]) => text);
    expect(lines[0]).toBe("BUG: sleeping function called from invalid context at lib/usercopy.c:36");
    expect(lines).toContain(`1 lock held by sh/${lab.pid}:`);
    expect(lines.find((line) => line.startsWith(" #0: "))).toMatch(/^ #0: ffffffffc[0-9a-f]{7} \(&dev->slock\)\{\+\.\+\.\}-\{2:2\}, at: /);
  });

  test("whose init leaves preemption disabled is put right", async () => {
    const lab = await Lab.boot();
    const { machine: m, pid } = lab;
    lab.insmod("leakcount");
    expect(dmesg(m)).toContain("initcall m_init+0x0/0x1000 [leakcount] returned with preemption imbalance ");
    expect(taskOf(m.kernel, pid).preemptCount).toBe(0);
  });
});

describe("reference counts", () => {
  test("saturate and say so once a kind", () => {
    const m = scene();
    const { kernel: k } = m;
    const count = newRefcount(1);
    expect(refcountDecAndTest(k, count)).toBe(true);
    refcountInc(k, count);
    expect(dmesg(m)).toContain("refcount_t: addition on 0; use-after-free.");
    expect(refcountRead(count)).toBe(0xc000_0000);
    const other = newRefcount(0);
    expect(refcountDecAndTest(k, other)).toBe(false);
    refcountDecAndTest(k, newRefcount(0));
    expect(dmesg(m).filter((line) => line === "refcount_t: underflow; use-after-free.")).toHaveLength(1);
    refcountDec(k, newRefcount(1));
    expect(dmesg(m)).toContain("refcount_t: decrement hit 0; leaking memory.");
  });
});
