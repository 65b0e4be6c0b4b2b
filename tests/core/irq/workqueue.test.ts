/** Work queues: what is queued runs once, by whom and beside whom, and what those are told who wait for it. */
import { describe, expect, test } from "vitest";
import { cancelDelayedWorkSync, cancelWorkSync, destroyWorkqueue, drainWorkqueue, flushDelayedWork, flushWork, flushWorkqueue } from "../../../core/irq/flush.ts";
import { cancelDelayedWork, cancelWork, modDelayedWork, queueDelayedWork, queueWork, queueWorkOn } from "../../../core/irq/queue_work.ts";
import { freeWork, initDelayedWork, initWork, workBusy, workPending } from "../../../core/irq/work.ts";
import {
  allocOrderedWorkqueue, allocWorkqueue, createSinglethreadWorkqueue, createWorkqueue, scheduleWork, systemWq, workqueueCongested, workqueueSetMaxActive, WQ_CPU_INTENSIVE, WQ_HIGHPRI, WQ_MEM_RECLAIM,
  WQ_UNBOUND, wqWorkerComm,
} from "../../../core/irq/workqueue.ts";
import { kthread } from "../../../core/process/create.ts";
import { preemptDisable } from "../../../core/sched/preempt.ts";
import { steps } from "../../../core/sched/steps.ts";
import { taskOf } from "../../../core/sched/task.ts";
import { jiffies } from "../../../core/time/jiffies.ts";
import { copy, expectSame } from "../../helpers/replay.ts";
import { asTask, forget, inThread, log, MS, note, seen, stage, timeOf } from "./stage.ts";

const JIFFY = 4 * MS;

describe("making a queue", () => {
  test("where its threads have no room, nothing of it stays behind", () => {
    const m = stage();
    const k = m.kernel;
    const { queues, pwqs } = k.state.irq.wq;
    const before = [queues.size, pwqs.size];
    while (typeof kthread(k, "filler") !== "number");
    // The urgent unbound pool has no worker yet; a rescuer is a thread of the queue's own.
    expect(allocWorkqueue(k, "urgent", WQ_UNBOUND | WQ_HIGHPRI, 0)).toBe(-12);
    expect(allocWorkqueue(k, "rescued", WQ_MEM_RECLAIM, 0)).toBe(-12);
    expect([queues.size, pwqs.size]).toEqual(before);
    expect(log(m).at(-1)).toContain('Failed to create a rescuer kthread for wq "rescued": -ENOMEM');
    expect(m.broken()).toEqual([]);
  });
});

describe("queueing", () => {
  test("an item is queued once until it begins, and then again", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 0);
    const work = initWork(k, "test.tell_func", { arg: 7 });
    expect([queueWork(k, wq, work), queueWork(k, wq, work), workPending(k, work), workBusy(k, work)]).toEqual([true, false, true, 1]);
    m.advance(1);
    expect(seen(m)).toEqual(["7"]);
    expect([workPending(k, work), workBusy(k, work)]).toEqual([false, 0]);
    expect(queueWork(k, wq, work)).toBe(true);
    m.advance(1);
    expect(seen(m)).toEqual(["7", "7"]);
    expect(m.broken()).toEqual([]);
  });

  test("one that runs may be queued and runs again, never twice at a time", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", WQ_UNBOUND, 0);
    const work = initWork(k, "test.sleep_func", { arg: 20 });
    queueWork(k, wq, work);
    m.advance(5);
    expect([workPending(k, work), workBusy(k, work)]).toEqual([false, 2]);
    expect([queueWork(k, wq, work), queueWork(k, wq, work), workBusy(k, work)]).toEqual([true, false, 3]);
    m.advance(60);
    expect(seen(m)).toEqual(["begin 20", "end 20", "begin 20", "end 20"]);
    expect(workBusy(k, work)).toBe(0);
    expect(m.broken()).toEqual([]);
  });

  test("an item that runs on one CPU goes there again, wherever it is queued", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 0);
    const work = initWork(k, "test.sleep_func", { arg: 20 });
    queueWorkOn(k, 1, wq, work);
    m.advance(5);
    queueWorkOn(k, 0, wq, work);
    m.advance(60);
    expect(seen(m)).toEqual(["begin 20", "end 20", "begin 20", "end 20"]);
    const worker = [...k.state.irq.wq.workers.values()].filter(({ desc }) => desc === "q");
    expect(worker.map(({ pool }) => pool)).toEqual([2]);
  });

  test("workers are named after their pool and their queue", () => {
    const m = stage();
    const k = m.kernel;
    const work = (): number => initWork(k, "test.who_func");
    queueWorkOn(k, 0, allocWorkqueue(k, "plain", 0, 0), work());
    queueWorkOn(k, 1, allocWorkqueue(k, "urgent", WQ_HIGHPRI, 0), work());
    m.advance(1);
    queueWork(k, allocWorkqueue(k, "free", WQ_UNBOUND, 0), work());
    scheduleWork(k, work());
    m.advance(1);
    expect(seen(m)).toHaveLength(4);
    for (const one of [
      expect.stringMatching(/^kworker\/([01]):[01]\+events nice 0 cpu \1$/), "kworker/0:0+plain nice 0 cpu 0", "kworker/1:0H+urgent nice -20 cpu 1",
      expect.stringMatching(/^kworker\/u4:0\+free nice 0 cpu [01]$/),
    ]) expect(seen(m)).toContainEqual(one);
    const idle = [...k.state.sched.tasks.values()].filter(({ worker }) => worker).map((task) => wqWorkerComm(k, task));
    expect(idle).toContain("kworker/1:0H-urgent");
    expect(idle).toContain("kworker/0:0H");
    const tid = [...k.state.sched.tasks.values()].find(({ comm }) => comm === "kworker/1:0H")!.tid;
    expect(m.text(`/proc/${tid}/comm`)).toBe("kworker/1:0H-urgent\n");
    expect(m.text(`/proc/${tid}/stat`)).toMatch(new RegExp(`^${tid} \\(kworker/1:0H-urgent\\) I 2 0 0 `));
    expect(m.text(`/proc/${tid}/status`)).toMatch(/^Name:\tkworker\/1:0H-urgent\n(.*\n)*State:\tI \(idle\)\n/);
  });

  test("a name is cut to 23 bytes, max_active clamped, and told of", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "a_name_that_is_rather_too_long", 0, 600);
    expect(k.state.irq.wq.queues.get(wq)).toMatchObject({ name: "a_name_that_is_rather_t", maxActive: 512 });
    expect(log(m).at(-1)).toBe("workqueue: max_active 600 requested for a_name_that_is_rather_too_long is out of range, clamping between 1 and 512");
    expect(k.state.irq.wq.queues.get(allocWorkqueue(k, "d", 0, 0))!.maxActive).toBe(256);
    expect(k.state.irq.wq.queues.get(systemWq(k))!.name).toBe("events");
    expect(k.state.irq.wq.queues.get(createWorkqueue(k, "old"))).toMatchObject({ maxActive: 1, pwqs: [expect.any(Number), expect.any(Number)] });
    const single = k.state.irq.wq.queues.get(createSinglethreadWorkqueue(k, "single"))!;
    expect(single).toMatchObject({ maxActive: 1, pwqs: [expect.any(Number)] });
    expect(k.state.sched.tasks.get(single.rescuer)!.comm).toBe("single");
  });
});

describe("concurrency", () => {
  test("a CPU's pool runs one item after the other", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 0);
    for (const arg of [3, 2, 1]) queueWorkOn(k, 0, wq, initWork(k, "test.busy_func", { arg }));
    m.advance(20);
    expect(seen(m)).toEqual(["begin 3", "end 3", "begin 2", "end 2", "begin 1", "end 1"]);
  });

  test("when an item sleeps another worker goes on", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 0);
    for (const arg of [30, 20]) queueWorkOn(k, 0, wq, initWork(k, "test.sleep_func", { arg }));
    queueWorkOn(k, 0, wq, initWork(k, "test.tell_func", { arg: 5 }));
    m.advance(50);
    expect(seen(m)).toEqual(["begin 30", "begin 20", "5", "end 20", "end 30"]);
    const pool = k.state.irq.wq.pools[0];
    expect(pool).toMatchObject({ worklist: [], running: 0 });
    expect(pool.idle).toHaveLength(pool.workers.length);
    expect(m.broken()).toEqual([]);
  });

  test("an unbound queue runs max_active at a time, the others as these end", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", WQ_UNBOUND, 3);
    for (const arg of [100, 75, 50, 25]) queueWork(k, wq, initWork(k, "test.sleep_func", { arg }));
    expect(workqueueCongested(k, 0, wq)).toBe(true);
    m.advance(200);
    expect(seen(m).filter((what) => what.startsWith("end"))).toEqual(["end 50", "end 75", "end 25", "end 100"].sort((a, b) => timeOf(m, a) - timeOf(m, b)));
    expect(timeOf(m, "begin 25")).toBeGreaterThanOrEqual(timeOf(m, "end 50"));
    expect(timeOf(m, "begin 50")).toBeLessThan(10 * MS);
  });

  test("items of an unbound queue end as their sleeps do", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "apiu", WQ_UNBOUND, 4);
    for (const arg of [100, 75, 50, 25]) queueWork(k, wq, initWork(k, "test.sleep_func", { arg }));
    m.advance(200);
    expect(seen(m).slice(4)).toEqual(["end 25", "end 50", "end 75", "end 100"]);
  });

  test("an ordered queue keeps the order", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocOrderedWorkqueue(k, "apio", 0);
    for (const arg of [30, 25, 20, 15]) queueWork(k, wq, initWork(k, "test.sleep_func", { arg }));
    m.advance(200);
    expect(seen(m).filter((what) => what.startsWith("end"))).toEqual(["end 30", "end 25", "end 20", "end 15"]);
  });

  test("more may run at once after workqueue_set_max_active", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 1);
    for (const arg of [40, 20]) queueWorkOn(k, 0, wq, initWork(k, "test.sleep_func", { arg }));
    m.advance(5);
    expect(seen(m)).toEqual(["begin 40"]);
    workqueueSetMaxActive(k, wq, 2);
    m.advance(5);
    expect(seen(m)).toEqual(["begin 40", "begin 20"]);
  });

  test("an item that keeps the CPU for 10 ms lets others begin, and is told of from the fourth time on", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 0);
    const hog = initWork(k, "test.busy_func", { arg: 50 });
    for (let times = 1; times <= 8; times++) {
      queueWorkOn(k, 0, wq, hog);
      queueWorkOn(k, 0, wq, initWork(k, "test.tell_func", { arg: times }));
      m.advance(100);
    }
    expect(timeOf(m, "1")).toBeLessThan(timeOf(m, "end 50"));
    expect(timeOf(m, "1")).toBeGreaterThanOrEqual(10 * MS);
    expect(log(m).filter((line) => line.startsWith("workqueue: "))).toEqual([4, 8].map((times) =>
      `workqueue: test_busy_func hogged CPU for >10000us ${times} times, consider switching to WQ_UNBOUND`));
  });

  test("an item of a WQ_CPU_INTENSIVE queue holds nobody up", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", WQ_CPU_INTENSIVE, 0);
    for (let times = 0; times < 4; times++) queueWorkOn(k, 0, wq, initWork(k, "test.busy_func", { arg: 40 }));
    m.advance(30);
    expect(seen(m).filter((what) => what === "begin 40")).toHaveLength(4);
    m.advance(300);
    expect(log(m).some((line) => line.includes("hogged"))).toBe(false);
  });
});

describe("delayed work", () => {
  test("it is queued when its time has come, and never early", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 0);
    const work = initDelayedWork(k, "test.tell_func", { arg: 1 });
    m.advance(2);
    const armed = jiffies(k);
    expect([queueDelayedWork(k, wq, work, 25), queueDelayedWork(k, wq, work, 1), workPending(k, work)]).toEqual([true, false, true]);
    m.advance(100);
    expect(seen(m)).toEqual([]);
    m.advance(10);
    expect(Math.floor(timeOf(m, "1") / JIFFY) + (armed - Math.floor(2 / 4)) - armed).toBe(26);
    expect(workPending(k, work)).toBe(false);
  });

  test("mod_delayed_work and cancel_delayed_work answer whether it was pending", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 0);
    const work = initDelayedWork(k, "test.tell_func", { arg: 1 });
    queueDelayedWork(k, wq, work, 8);
    expect(modDelayedWork(k, wq, work, 3)).toBe(true);
    m.advance(30);
    expect(seen(m)).toEqual(["1"]);
    expect(modDelayedWork(k, wq, work, 250)).toBe(false);
    expect(cancelDelayedWork(k, work)).toBe(true);
    expect(cancelDelayedWork(k, work)).toBe(false);
    m.advance(2000);
    expect(seen(m)).toEqual(["1"]);
  });

  test("flush_delayed_work does not wait for the timer", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 0);
    const work = initDelayedWork(k, "test.tell_func", { arg: 1 });
    inThread(m, "idle", flushDelayedWork, { work });
    m.advance(1);
    queueDelayedWork(k, wq, work, 2500);
    inThread(m, "flush", flushDelayedWork, { work });
    m.advance(1);
    expect(seen(m)).toEqual(["idle=0", "1", expect.stringMatching(/^flush=[01]$/)]);
    expect(timeOf(m, "1")).toBeLessThan(3 * MS);
  });
});

describe("waiting", () => {
  test("flush_work waits for what is queued or under way: 1, or 0 for nothing", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", WQ_UNBOUND, 0);
    const work = initWork(k, "test.sleep_func", { arg: 20 });
    inThread(m, "idle", flushWork, { work });
    m.advance(1);
    queueWork(k, wq, work);
    inThread(m, "queued", flushWork, { work });
    m.advance(5);
    queueWork(k, wq, work); // a second run: who began to wait for the first one is not held by it
    inThread(m, "second", flushWork, { work });
    m.advance(60);
    expect(seen(m)).toEqual(["idle=0", "begin 20", "end 20", "begin 20", "queued=1", "end 20", "second=1"]);
    expect(timeOf(m, "queued")).toBeLessThan(30 * MS);
    expect(timeOf(m, "second")).toBeGreaterThan(40 * MS);
  });

  test("flush_workqueue waits for all that was queued before, not for what comes after", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", WQ_UNBOUND, 0);
    for (const arg of [10, 30]) queueWork(k, wq, initWork(k, "test.sleep_func", { arg }));
    inThread(m, "flush", flushWorkqueue, { wq });
    m.advance(5);
    queueWork(k, wq, initWork(k, "test.sleep_func", { arg: 100 }));
    m.advance(200);
    expect(seen(m)).toEqual(["begin 10", "begin 30", "begin 100", "end 10", "end 30", "flush=0", "end 100"]);
  });

  test("drain_workqueue waits for what the items queue themselves", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 0);
    queueWork(k, wq, initWork(k, "test.again_func", { arg: wq }));
    inThread(m, "drain", drainWorkqueue, { wq });
    m.advance(10);
    expect(seen(m)).toEqual(["again", "requeue true", "again", "requeue true", "again", "drain=0"]);
  });

  test("nobody else queues on a queue that is being drained", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 0);
    queueWork(k, wq, initWork(k, "test.sleep_func", { arg: 20 }));
    inThread(m, "drain", drainWorkqueue, { wq });
    m.advance(5);
    queueWork(k, systemWq(k), initWork(k, "test.chain_func", { arg: wq }));
    m.advance(50);
    expect(seen(m)).toEqual(["begin 20", "chain", "end 20", "drain=0"]);
    expect(log(m)).toContainEqual(expect.stringMatching(/^WARNING: CPU: \d PID: \d+ at kernel\/workqueue\.c:\d+ __queue_work/));
  });

  test("cancel_work_sync takes back what is queued and waits for what runs", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", WQ_UNBOUND, 0);
    const work = initWork(k, "test.sleep_func", { arg: 20 });
    inThread(m, "idle", cancelWorkSync, { work });
    m.advance(1);
    queueWork(k, wq, work);
    m.advance(5);
    queueWork(k, wq, work); // a second run, which never comes
    inThread(m, "running", cancelWorkSync, { work });
    m.advance(1);
    inThread(m, "beside", cancelWorkSync, { work });
    m.advance(1);
    expect(queueWork(k, wq, work)).toBe(false); // it is being cancelled
    m.advance(60);
    expect(seen(m)).toEqual(["idle=0", "begin 20", "end 20", "running=1", "beside=0"]);
    queueWork(k, wq, work);
    expect(cancelWork(k, work)).toBe(true);
    forget(m);
    m.advance(50);
    expect(seen(m)).toEqual([]);
    const delayed = initDelayedWork(k, "test.tell_func");
    queueDelayedWork(k, wq, delayed, 250);
    inThread(m, "delayed", cancelDelayedWorkSync, { work: delayed });
    m.advance(2000);
    expect(seen(m)).toEqual(["delayed=1"]);
    expect(queueWork(k, wq, work)).toBe(true);
    expect(m.broken()).toEqual([]);
  });

  test("destroy_workqueue lets all work end", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "gone", WQ_MEM_RECLAIM, 0);
    expect(m.text(`/proc/${k.state.irq.wq.queues.get(wq)!.rescuer}/comm`)).toBe("gone\n");
    queueWork(k, wq, initWork(k, "test.sleep_func", { arg: 20 }));
    inThread(m, "destroy", destroyWorkqueue, { wq });
    m.advance(50);
    expect(seen(m)).toEqual(["begin 20", "end 20", "destroy=0"]);
    expect(k.state.irq.wq.queues.has(wq)).toBe(false);
    expect([...k.state.sched.tasks.values()].some(({ comm }) => comm === "gone")).toBe(false);
  });

  test("an item may free itself", () => {
    const m = stage();
    const k = m.kernel;
    steps<{ work: number }>("test.free_func", {
      free: (kernel, _task, { locals }) => {
        freeWork(kernel, locals.work);
        note(kernel, "freed");
        return 0;
      },
    });
    const work = initWork(k, "test.free_func");
    queueWork(k, systemWq(k), work);
    inThread(m, "flush", flushWork, { work });
    m.advance(5);
    expect(seen(m)).toEqual(["freed", "flush=1"]);
    expect(m.broken()).toEqual([]);
  });
});

describe("workers", () => {
  test("idle ones that are too many end after five minutes", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", 0, 0);
    for (let at = 0; at < 10; at++) queueWorkOn(k, 0, wq, initWork(k, "test.sleep_func", { arg: 10 }));
    m.advance(50);
    const [pool] = k.state.irq.wq.pools;
    expect(pool.workers.length).toBe(11);
    const tids = [...pool.workers];
    m.advance(299_000);
    expect(pool.workers.length).toBe(11);
    m.advance(40_000);
    expect(pool.workers.length).toBe(2);
    expect(tids.filter((tid) => k.state.sched.tasks.has(tid))).toHaveLength(2);
    expect(m.broken()).toEqual([]);
  });

  test("a rescuer does the work of its queue when no worker can be made", () => {
    const m = stage();
    const k = m.kernel;
    const plain = allocWorkqueue(k, "plain", 0, 0);
    const reclaim = allocWorkqueue(k, "reclaim", WQ_MEM_RECLAIM, 0);
    while (typeof kthread(k, "filler") !== "number");
    queueWorkOn(k, 0, plain, initWork(k, "test.sleep_func", { arg: 10_000 }));
    m.advance(50);
    expect(seen(m)).toEqual([]); // the one worker of the pool tries to make another one first
    queueWorkOn(k, 0, reclaim, initWork(k, "test.who_func"));
    m.advance(300);
    expect(seen(m)).toEqual(["reclaim nice 0 cpu 0"]);
    queueWorkOn(k, 1, plain, initWork(k, "test.sleep_func", { arg: 10_000 }));
    queueWorkOn(k, 1, reclaim, initWork(k, "test.who_func"));
    m.advance(300);
    expect(seen(m)).toEqual(["reclaim nice 0 cpu 0", "reclaim nice 0 cpu 1"]);
    expect(m.broken()).toEqual([]);
  });

  test("a function that leaves with preemption disabled is told of, and mended", () => {
    const m = stage();
    const k = m.kernel;
    steps<object>("test.leak_func", {
      leak: (kernel) => {
        preemptDisable(kernel);
        return 0;
      },
    });
    queueWorkOn(k, 0, systemWq(k), initWork(k, "test.leak_func"));
    m.advance(1);
    const tid = k.state.irq.wq.pools[0].workers[0];
    expect(log(m)).toContain(`BUG: workqueue leaked lock or atomic: kworker/0:0/0x00000001/${tid}\n     last function: test_leak_func`);
    expect(taskOf(k, tid).preemptCount).toBe(0);
  });

  test("work under way goes on in a copy of the kernel", () => {
    const m = stage();
    const k = m.kernel;
    const wq = allocWorkqueue(k, "q", WQ_UNBOUND, 2);
    for (const arg of [50, 40, 30, 20]) queueWork(k, wq, initWork(k, "test.sleep_func", { arg }));
    inThread(m, "flush", flushWorkqueue, { wq });
    asTask(m, (kernel) => void queueDelayedWork(kernel, wq, initDelayedWork(kernel, "test.tell_func"), 5));
    m.advance(10);
    const twin = stage();
    twin.kernel = copy(k);
    for (const one of [m, twin]) one.advance(300);
    expectSame(m.kernel, twin.kernel);
    expect(seen(twin)).toContain("flush=0");
  });
});
