/** Interrupts and bottom halves: in which context what runs, in which order, how often, and what /proc counts. */
import { describe, expect, test } from "vitest";
import { EBUSY, EINVAL } from "../../../core/abi/errno.ts";
import { disableIrq, enableIrq, freeIrq, generateIrq, IRQ_HANDLED, IRQ_NONE, irqHandler, IRQF_SHARED, requestIrq } from "../../../core/irq/interrupt.ts";
import { raiseSoftirq } from "../../../core/irq/softirq.ts";
import { RCU_SOFTIRQ, TASKLET_SOFTIRQ } from "../../../core/irq/state.ts";
import { taskletCallback, taskletDisable, taskletEnable, taskletFree, taskletHiSchedule, taskletInit, taskletKill, taskletSchedule } from "../../../core/irq/tasklet.ts";
import type { Kernel } from "../../../core/kernel.ts";
import { inHardirq, inInterrupt, inServingSoftirq, inSoftirq, inTask, irqsDisabled, localBhDisable, localBhEnable, preemptCount } from "../../../core/sched/preempt.ts";
import { NEXT, run, steps } from "../../../core/sched/steps.ts";
import { LEAD_NS } from "../../../core/time/state.ts";
import { armTimer, timerCallback } from "../../../core/time/timer.ts";
import { jiffies } from "../../../core/time/jiffies.ts";
import { addTimerOn, modTimer, timerFunction, timerSetup } from "../../../core/time/timer_list.ts";
import { asTask, forget, inThread, log, MS, note, seen, stage } from "./stage.ts";

function context(k: Kernel): string {
  const bits = { in_interrupt: inInterrupt(k), in_softirq: inSoftirq(k), in_serving_softirq: inServingSoftirq(k), irqs_disabled: irqsDisabled(k), in_task: inTask(k) };
  return Object.entries(bits).map(([name, value]) => `${name}=${Number(value)}`).join(" ");
}

timerFunction("test.context_timer", (k) => note(k, `timer ctx: ${context(k)}`));
taskletCallback("test.context_tasklet", (k) => note(k, `tasklet ctx: ${context(k)}`));
timerCallback("test.hard_timer", (k) => note(k, `hrtimer ctx: ${context(k)} in_hardirq=${Number(inHardirq(k))}`));
taskletCallback("test.endless", (k, data) => {
  note(k, "ran");
  taskletSchedule(k, data);
});
irqHandler("test.top_half", (k, irq, devId) => {
  note(k, `irq ${irq} dev ${devId} ${context(k)} cpu ${k.turn.cpu}`);
  taskletSchedule(k, (k.state.labs.get("tasklet") as { id: number } | undefined)?.id ?? 0);
  return IRQ_HANDLED;
});
irqHandler("test.not_mine", () => IRQ_NONE);

/** A row of a table of /proc, its numbers. */
function row(text: string, name: string): number[] {
  const line = text.split("\n").find((one) => one.trimStart().startsWith(`${name}:`)) ?? "";
  return [...line.slice(line.indexOf(":") + 1).matchAll(/(?<= )\d+(?= |$)/g)].map(([number]) => Number(number));
}

describe("contexts are those that a kernel recorded", () => {
  test("a kernel timer runs in softirq context, an hrtimer in a hard interrupt", () => {
    const m = stage();
    modTimer(m.kernel, timerSetup(m.kernel, "test.context_timer", {}), jiffies(m.kernel) + 1);
    armTimer(m.kernel, { expiresNs: 50 * MS, callback: "test.hard_timer", arg: 0 });
    m.advance(60);
    expect(seen(m)).toEqual([
      "timer ctx: in_interrupt=1 in_softirq=1 in_serving_softirq=1 irqs_disabled=0 in_task=0",
      "hrtimer ctx: in_interrupt=1 in_softirq=0 in_serving_softirq=0 irqs_disabled=1 in_task=0 in_hardirq=1",
    ]);
  });

  test("a tasklet too", () => {
    const m = stage();
    taskletSchedule(m.kernel, taskletInit(m.kernel, "test.context_tasklet"));
    m.advance(1);
    expect(seen(m)).toEqual(["tasklet ctx: in_interrupt=1 in_softirq=1 in_serving_softirq=1 irqs_disabled=0 in_task=0"]);
  });
});

describe("tasklets", () => {
  test("one that is scheduled twice runs once, as softirqs are let through", () => {
    const m = stage();
    asTask(m, (k) => {
      const id = taskletInit(k, "test.tell_tasklet", 1);
      localBhDisable(k);
      expect(preemptCount(k)).toBe(0x200);
      taskletSchedule(k, id);
      taskletSchedule(k, id);
      note(k, "before");
      localBhEnable(k);
      note(k, "after");
    });
    expect(seen(m)).toEqual(["before", expect.stringMatching(/^tasklet 1 softirq cpu \d$/), "after"]);
  });

  test("urgent ones come first", () => {
    const m = stage();
    asTask(m, (k) => {
      localBhDisable(k);
      taskletSchedule(k, taskletInit(k, "test.tell_tasklet", 1));
      taskletHiSchedule(k, taskletInit(k, "test.tell_tasklet", 2));
      localBhEnable(k);
    });
    expect(seen(m).map((what) => what.slice(0, 9))).toEqual(["tasklet 2", "tasklet 1"]);
    expect(row(m.text("/proc/softirqs"), "HI").reduce((a, b) => a + b)).toBe(1);
  });

  test("a disabled one waits until it is enabled as often", () => {
    const m = stage();
    const k = m.kernel;
    const id = taskletInit(k, "test.tell_tasklet", 3);
    taskletDisable(k, id);
    taskletDisable(k, id);
    taskletSchedule(k, id);
    m.advance(20);
    taskletEnable(k, id);
    m.advance(20);
    expect(seen(m)).toEqual([]);
    taskletEnable(k, id);
    m.advance(1);
    expect(seen(m)).toEqual(["tasklet 3 softirq cpu 0"]);
  });

  test("tasklet_kill waits for one that is scheduled", () => {
    const m = stage();
    const k = m.kernel;
    const id = taskletInit(k, "test.tell_tasklet", 4);
    taskletDisable(k, id);
    taskletSchedule(k, id);
    inThread(m, "kill", taskletKill, { tasklet: id });
    m.advance(20);
    expect(seen(m)).toEqual([]);
    taskletEnable(k, id);
    m.advance(5);
    expect(seen(m)).toEqual(["tasklet 4 softirq cpu 0", "kill=0"]);
    inThread(m, "again", taskletKill, { tasklet: id });
    m.advance(1);
    expect(seen(m).at(-1)).toBe("again=0");
    taskletSchedule(k, id);
    taskletFree(k, id);
    m.advance(5);
    expect(seen(m)).toHaveLength(3);
    expect(m.broken()).toEqual([]);
  });

  test("one that schedules itself again and again leaves the CPU to others, and the kernel can be used", () => {
    const m = stage();
    const k = m.kernel;
    const id = taskletInit(k, "test.endless", 1);
    taskletSchedule(k, id);
    m.advance(0.1);
    const ran = seen(m).length;
    expect(ran).toBeGreaterThan(10);
    const ksoftirqd = k.state.sched.tasks.get(k.state.irq.cpus[0].ksoftirqd)!;
    expect(ksoftirqd.comm).toBe("ksoftirqd/0");
    expect(ksoftirqd.stimeNs).toBeGreaterThan(0);
    expect(k.state.time.nowNs).toBeLessThan(LEAD_NS * 2);
    m.advance(1);
    expect(seen(m).length).toBeGreaterThan(ran);
    taskletFree(k, id);
    forget(m);
    m.advance(20);
    expect(seen(m)).toEqual([]);
    expect(k.state.irq.cpus[0].pending).toBe(0);
  });
});

describe("softirqs", () => {
  test("raised by a task, ksoftirqd runs them; each run counts", () => {
    const m = stage();
    const before = row(m.text("/proc/softirqs"), "RCU");
    asTask(m, (k) => raiseSoftirq(k, RCU_SOFTIRQ));
    m.advance(1);
    const after = row(m.text("/proc/softirqs"), "RCU");
    expect(after.reduce((a, b) => a + b) - before.reduce((a, b) => a + b)).toBe(1);
    const line = m.text("/proc/stat").split("\n").find((one) => one.startsWith("softirq "))!.split(" ").slice(1).map(Number);
    expect(line).toHaveLength(11);
    expect(line[0]).toBe(line.slice(1).reduce((a, b) => a + b));
    expect(line[1 + RCU_SOFTIRQ]).toBe(after.reduce((a, b) => a + b));
  });
});

describe("a task that holds softirqs off", () => {
  const holder = steps<{ ms: number }>("test.bh_holder", {
    off: (k) => {
      localBhDisable(k);
      return NEXT;
    },
    run: (_k, _task, { locals }) => run(locals.ms * MS),
    on: (k) => {
      note(k, "before");
      localBhEnable(k);
      note(k, "after");
      return 0;
    },
  });

  test("gets what is due on its CPU as it lets them through", () => {
    const m = stage({ cpus: 1 });
    const k = m.kernel;
    modTimer(k, timerSetup(k, "test.context_timer", {}), jiffies(k) + 1);
    inThread(m, "held", holder, { ms: 40 });
    m.advance(100);
    expect(seen(m).map((what) => what.slice(0, 9))).toEqual(["before", "timer ctx", "after", "held=0"]);
    expect(k.state.irq.cpus[0].softirqs[1]).toBe(1);
    expect(m.broken()).toEqual([]);
  });

  test("keeps nobody else from them", () => {
    const m = stage();
    const k = m.kernel;
    addTimerOn(k, timerSetup(k, "test.context_timer", {}), jiffies(k) + 1, 1);
    const task = inThread(m, "held", holder, { ms: 40 });
    m.advance(100);
    expect(task.cpu).toBe(0);
    expect(seen(m).map((what) => what.slice(0, 9))).toEqual(["timer ctx", "before", "after", "held=0"]);
  });
});

describe("interrupt lines", () => {
  test("the top half runs at once on its CPU, softirqs as it ends", () => {
    const m = stage();
    const k = m.kernel;
    const id = taskletInit(k, "test.tell_tasklet", 8);
    k.state.labs.set("tasklet", { id });
    expect(requestIrq(k, 11, "test.top_half", 0, "mydev", 5)).toBe(0);
    asTask(m, (kernel) => {
      generateIrq(kernel, 11, 1);
      note(kernel, `back ${context(kernel)}`);
    });
    expect(seen(m)).toEqual([
      "irq 11 dev 5 in_interrupt=1 in_softirq=0 in_serving_softirq=0 irqs_disabled=1 in_task=0 cpu 1", "tasklet 8 softirq cpu 1",
      "back in_interrupt=0 in_softirq=0 in_serving_softirq=0 irqs_disabled=0 in_task=1",
    ]);
    expect(m.text("/proc/interrupts")).toContain(" 11:          0          1   IO-APIC  11-edge      mydev\n");
    expect(m.text("/proc/stat").split("\n").find((line) => line.startsWith("intr "))!.split(" ")[2 + 11]).toBe("1");
    expect(k.state.irq.cpus[1].softirqs[TASKLET_SOFTIRQ]).toBe(1);
    freeIrq(k, 11, 5);
    generateIrq(k, 11);
    expect(seen(m)).toHaveLength(3);
  });

  test("an interrupt of another CPU takes that one's time, whatever this one holds off", () => {
    const m = stage();
    const k = m.kernel;
    k.state.labs.set("tasklet", { id: taskletInit(k, "test.tell_tasklet", 8) });
    requestIrq(k, 11, "test.top_half", 0, "mydev", 5);
    asTask(m, (kernel) => {
      const [here, there] = [kernel.turn.cpu, 1 - kernel.turn.cpu];
      localBhDisable(kernel);
      const before = kernel.state.sched.cpus.map(({ clockNs }) => clockNs);
      generateIrq(kernel, 11, there);
      note(kernel, `mine ${preemptCount(kernel).toString(16)} ${kernel.state.sched.cpus[here].clockNs - before[here]}`);
      expect(kernel.state.sched.cpus[there].clockNs).toBeGreaterThan(before[there]);
      generateIrq(kernel, 11, here);
      note(kernel, "waits");
      localBhEnable(kernel);
    });
    expect(seen(m).map((what) => what.slice(0, 9))).toEqual(["irq 11 de", "tasklet 8", "mine 200 ", "irq 11 de", "waits", "tasklet 8"]);
    expect(seen(m)[2]).toBe("mine 200 0");
    expect(m.broken()).toEqual([]);
  });

  test("a line is shared when all agree, and kept for later while it is disabled", () => {
    const m = stage();
    const k = m.kernel;
    k.state.labs.set("tasklet", { id: taskletInit(k, "test.tell_tasklet", 8) });
    expect(requestIrq(k, 99, "test.top_half", 0, "far", 1)).toBe(-EINVAL);
    expect(requestIrq(k, 10, "test.top_half", IRQF_SHARED, "none", 0)).toBe(-EINVAL);
    expect(requestIrq(k, 10, "test.top_half", IRQF_SHARED, "one", 1)).toBe(0);
    expect(requestIrq(k, 10, "test.not_mine", IRQF_SHARED, "two", 2)).toBe(0);
    expect(requestIrq(k, 10, "test.top_half", 0, "three", 3)).toBe(-EBUSY);
    expect(log(m)).toContain("genirq: Flags mismatch irq 10. 00000000 (three) vs. 00000080 (one)");
    expect(requestIrq(k, 0, "test.top_half", 0, "clock", 1)).toBe(-EBUSY);
    disableIrq(k, 10);
    generateIrq(k, 10);
    generateIrq(k, 10);
    expect(seen(m)).toEqual([]);
    enableIrq(k, 10);
    m.advance(1);
    expect(seen(m)[0]).toMatch(/^irq 10 dev 1 /);
    expect(m.text("/proc/interrupts")).toMatch(/^ 10: +1 +0 +IO-APIC +10-edge {6}one, two$/m);
    enableIrq(k, 10);
    expect(log(m)).toContain("Unbalanced enable for IRQ 10");
    freeIrq(k, 10, 7);
    expect(log(m)).toContain("Trying to free already-free IRQ 10");
    expect(m.broken()).toEqual([]);
  });

  test("/proc/interrupts has the rows of a recorded kernel, and the local timer's counts rise", () => {
    const m = stage({ cpus: 1 });
    const names = m.text("/proc/interrupts").split("\n").slice(1, -1).map((line) => line.slice(0, 4).trim());
    expect(names).toEqual([
      "0:", "1:", "4:", "8:", "9:", "12:", "NMI:", "LOC:", "SPU:", "PMI:", "IWI:", "RTR:", "RES:", "CAL:", "TLB:", "TRM:", "THR:", "DFR:", "MCE:", "MCP:",
      "ERR:", "MIS:", "PIN:", "NPI:", "PIW:",
    ]);
    expect(m.text("/proc/interrupts")).toMatch(/^ {2}0: +\d+ {3}IO-APIC {3}2-edge {6}timer$/m);
    expect(m.text("/proc/interrupts")).toMatch(/^ {2}9: +\d+ {3}IO-APIC {3}9-fasteoi {3}acpi$/m);
    expect(m.text("/proc/interrupts")).toMatch(/^LOC: +\d+ {3}Local timer interrupts$/m);
    const [before] = row(m.text("/proc/interrupts"), "LOC");
    for (let at = 1; at <= 5; at++) armTimer(m.kernel, { expiresNs: at * 10 * MS, callback: "test.hard_timer", arg: 0 });
    m.advance(60);
    expect(row(m.text("/proc/interrupts"), "LOC")[0] - before).toBeGreaterThanOrEqual(5);
  });
});
