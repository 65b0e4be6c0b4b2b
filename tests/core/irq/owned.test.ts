/** A module that goes with timers armed and work queued or under way: it is told of, and nothing of it runs any more. */
import { expect, test } from "vitest";
import { queueDelayedWork, queueWork } from "../../../core/irq/queue_work.ts";
import { taskletDisable, taskletInit, taskletSchedule } from "../../../core/irq/tasklet.ts";
import { initDelayedWork, initWork } from "../../../core/irq/work.ts";
import { allocWorkqueue, systemWq, WQ_MEM_RECLAIM } from "../../../core/irq/workqueue.ts";
import { testModule } from "../../../core/labs/testmodules/simple.ts";
import { moduleData } from "../../../core/module/query.ts";
import { printk } from "../../../core/sched/printk.ts";
import { steps } from "../../../core/sched/steps.ts";
import { sleepUntil, timedOut } from "../../../core/sched/wait_queue.ts";
import { jiffies } from "../../../core/time/jiffies.ts";
import { modTimer, timerFunction, timerSetup } from "../../../core/time/timer_list.ts";
import { now } from "../../../core/time/clock.ts";
import { Lab } from "../modules/lab.ts";

interface LeaverData {
  wq: number;
}

timerFunction("leaver.timer", (k) => printk(k, 6, `leaver: timer of queue ${moduleData<LeaverData>(k, "leaver").wq}`));
steps<object>("leaver.work", {
  tell: (k) => {
    printk(k, 6, `leaver: work of queue ${moduleData<LeaverData>(k, "leaver").wq}`);
    return 0;
  },
});
steps<{ untilNs?: number }>("leaver.sleeper", {
  sleep: (k, task, { locals }) => {
    locals.untilNs ??= now(k) + 50_000_000;
    return timedOut(task) ? 0 : sleepUntil(locals.untilNs, { mode: "uninterruptible" });
  },
});

testModule("leaver", {
  init: (k, { data }) => {
    const owner = "leaver";
    data.wq = allocWorkqueue(k, "leaverd", WQ_MEM_RECLAIM, 1, owner);
    const wq = data.wq as number;
    modTimer(k, timerSetup(k, "leaver.timer", { owner }), jiffies(k) + 25);
    queueWork(k, wq, initWork(k, "leaver.sleeper", { owner }));
    queueWork(k, wq, initWork(k, "leaver.work", { owner }));
    queueDelayedWork(k, systemWq(k), initDelayedWork(k, "leaver.work", { owner }), 25);
    const tasklet = taskletInit(k, "test.never", 0, owner);
    taskletDisable(k, tasklet);
    taskletSchedule(k, tasklet);
    return 0;
  },
});

test("what a module leaves armed or queued is told of and never runs", async () => {
  const { taskletCallback } = await import("../../../core/irq/tasklet.ts");
  taskletCallback("test.never", () => {
    throw new Error("a tasklet of a module that is gone");
  });
  const lab = await Lab.boot({ ramMiB: 16, swapMiB: 0 });
  expect(lab.insmod("leaver").ret).toBe(0);
  lab.machine.advance(10);
  lab.dmesg();
  expect(lab.rmmod("leaver").ret).toBe(0);
  const told = lab.dmesg().map(([, text]) => text);
  expect(told.filter((line) => line.startsWith("ODEBUG"))).toEqual([
    "ODEBUG: free active (active state 0) object type: timer_list hint: leaver_timer+0x0/0x100 [leaver]",
    "ODEBUG: free active (active state 0) object type: timer_list hint: delayed_work_timer_fn+0x0/0x100",
    "ODEBUG: free active (active state 0) object type: work_struct hint: leaver_work+0x0/0x100 [leaver]",
  ]);
  expect(told).toContain("leaver: module leaves work queue 'leaverd' behind");
  lab.machine.advance(500);
  const after = lab.dmesg().map(([, text]) => text);
  expect([...told, ...after].filter((line) => line.startsWith("BUG:"))).toEqual([expect.stringMatching(/^BUG: unable to handle page fault for address: /)]);
  expect(after.filter((line) => line.startsWith("leaver"))).toEqual([]);
  const { irq, time } = lab.machine.kernel.state;
  expect([irq.tasklets.size, irq.wq.works.size]).toEqual([0, 0]);
  expect([...time.lists.values()].some(({ owner }) => owner === "leaver")).toBe(false);
  expect(lab.machine.broken()).toEqual([]);
  // The pool has its worker back.
  const k = lab.machine.kernel;
  queueWork(k, systemWq(k), initWork(k, "leaver.sleeper"));
  lab.machine.advance(200);
  expect([...irq.wq.works.values()].map(({ done, instance }) => [done, instance])).toEqual([[1, 1]]);
  expect(lab.insmod("leaver").ret).toBe(0);
});
