/** What a module leaves behind that runs its code: threads, timers, interrupt handlers. */
import { describe, expect, test } from "vitest";
import { irqHandler, IRQ_HANDLED, requestIrq } from "../../../core/irq/interrupt.ts";
import { kthreadCreate, kthreadRun } from "../../../core/process/kthread.ts";
import { mutexInit, mutexLock } from "../../../core/sched/mutex.ts";
import { downWrite, initRwsem } from "../../../core/sched/rwsem.ts";
import { enter, run, steps, to } from "../../../core/sched/steps.ts";
import { sleepOn } from "../../../core/sched/wait_queue.ts";
import { timerFunction, timerSetup, modTimer } from "../../../core/time/timer_list.ts";
import { jiffies } from "../../../core/time/jiffies.ts";
import { testModule } from "../../../core/labs/testmodules/simple.ts";
import { Lab } from "../modules/lab.ts";
import { act, told } from "./actors.ts";

const endless = steps<object>("leakthread.endless", { work: () => run(1_000_000), again: () => to("work") });
const sleeper = steps<object>("leakthread.sleeper", { sleep: () => sleepOn([], { mode: "uninterruptible" }) });

testModule("leakthread", {
  init: (k) => {
    kthreadRun(k, endless, {}, "endless");
    kthreadRun(k, sleeper, {}, "sleeper");
    kthreadCreate(k, sleeper, {}, "unborn");
    return 0;
  },
});

timerFunction("leaktimer.tick", () => { throw new Error("freed code runs"); });
irqHandler("leaktimer.isr", () => IRQ_HANDLED);
testModule("leaktimer", {
  init: (k) => {
    modTimer(k, timerSetup(k, "leaktimer.tick", { owner: "leaktimer" }), jiffies(k) + 250);
    return requestIrq(k, 5, "leaktimer.isr", 0, "leaky", 1);
  },
});

describe("a module that goes leaves", () => {
  test("threads: they run into freed memory, and end", async () => {
    const lab = await Lab.boot({ cpus: 2 });
    lab.insmod("leakthread");
    lab.machine.advance(50);
    const tasks = (): string[] => [...lab.machine.kernel.state.sched.tasks.values()].map(({ comm }) => comm).filter((comm) => ["endless", "sleeper", "unborn"].includes(comm));
    expect(tasks()).toEqual(["endless", "sleeper", "unborn"]);
    lab.dmesg();
    expect(lab.rmmod("leakthread").ret).toBe(0);
    lab.machine.advance(50);
    expect(tasks()).toEqual([]);
    expect(lab.dmesg().filter(([, text]) => text.startsWith("BUG: unable to handle page fault"))).toHaveLength(3);
    expect(lab.machine.broken()).toEqual([]);
  });

  test("an armed timer and an interrupt handler: told, and taken off", async () => {
    const lab = await Lab.boot();
    lab.insmod("leaktimer");
    lab.dmesg();
    expect(lab.rmmod("leaktimer").ret).toBe(0);
    const lines = lab.dmesg().map(([, text]) => text);
    expect(lines).toContain("leaktimer: module leaves handler 'leaky' of interrupt 5 behind");
    expect(lines.find((line) => line.startsWith("ODEBUG: "))).toMatch(/^ODEBUG: free active \(active state 0\) object type: timer_list hint: (?:leaktimer_)?tick\+0x0\/0x[0-9a-f]+ \[leaktimer\]$/);
    lab.machine.advance(2000);
    expect(lab.machine.broken()).toEqual([]);
  });
});

const waiter = steps<{ lock: number }>("leakthread.waiter", { lock: (_k, _task, { locals }) => enter(mutexLock, locals.lock), end: () => 0 });

test("a thread that dies in a lock's line leaves it, and the next one gets the lock", async () => {
  const lab = await Lab.boot({ cpus: 1 });
  const { kernel } = lab.machine;
  kernel.state.labs.set("scene", { told: [], flag: false });
  const lock = mutexInit(kernel, "kernel_lock");
  lab.insmod("leakthread");
  act(lab.machine, "holder", ["lock", lock], ["sleep", 200], ["unlock", lock]);
  lab.machine.advance(5);
  kthreadRun(kernel, waiter, { lock }, "waiter");
  lab.machine.advance(5);
  act(lab.machine, "next", ["lock", lock], ["unlock", lock]);
  lab.machine.advance(5);
  expect(lab.rmmod("leakthread").ret).toBe(0);
  lab.machine.advance(400);
  expect(told(lab.machine)).toEqual(["holder lock=0", "next lock=0"]);
  expect(lab.machine.broken()).toEqual([]);
});

const writer = steps<{ sem: number }>("leakthread.writer", { write: (_k, _task, { locals }) => enter(downWrite, locals.sem), end: () => 0 });

test("a writer that dies in the line of a semaphore lets the readers behind it in at once", async () => {
  const lab = await Lab.boot({ cpus: 1 });
  const { kernel } = lab.machine;
  kernel.state.labs.set("scene", { told: [], flag: false });
  const sem = initRwsem(kernel, "kernel_sem");
  lab.insmod("leakthread");
  act(lab.machine, "holder", ["read", sem], ["sleep", 5000], ["upRead", sem]);
  lab.machine.advance(5);
  kthreadRun(kernel, writer, { sem }, "writer");
  lab.machine.advance(5);
  act(lab.machine, "next", ["read", sem], ["upRead", sem]);
  lab.machine.advance(5);
  expect(told(lab.machine)).toEqual(["holder read=0"]);
  expect(lab.rmmod("leakthread").ret).toBe(0);
  lab.machine.advance(400);
  expect(told(lab.machine)).toEqual(["holder read=0", "next read=0"]);
  expect(lab.machine.broken()).toEqual([]);
});
