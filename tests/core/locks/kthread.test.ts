/** Kernel threads: made, woken, parked, signalled and stopped, and what their makers are answered. */
import { describe, expect, test } from "vitest";
import { kthreadCreate, kthreadIsBound, kthreadRunOnCpu, wakeUpProcess } from "../../../core/process/kthread.ts";
import { taskOf } from "../../../core/sched/task.ts";
import { newTimeout } from "../../../core/sched/wait_event.ts";
import { newWaitQueue } from "../../../core/sched/wait_queue.ts";
import { act, actor, dmesg, sameHowever, scene, told, type Act } from "./actors.ts";

const SIGUSR1 = 10;
const SIGKILL = 9;

const locals = (...acts: Act[]): Parameters<typeof kthreadCreate<{ acts: Act[]; at: number; untilNs: number; timeout: ReturnType<typeof newTimeout> }>>[2] =>
  ({ acts, at: 0, untilNs: -1, timeout: newTimeout(-1) });

describe("kthread_stop", () => {
  test("gives what the function returned, whatever the budget", () => {
    const lines = sameHowever((m, pause) => {
      const tid = act(m, "worker", ["sleep", 5], ["again", 0], ["return", 42]);
      m.advance(12);
      pause();
      act(m, "stopper", ["stop", tid]);
      m.advance(20);
      expect(m.kernel.state.sched.tasks.has(tid)).toBe(false);
      expect(m.kernel.state.sched.kthreads.size).toBe(0);
    });
    expect(lines).toEqual(["stopper stop=42"]);
  });

  test("gives EINTR of a thread that was never woken, whose function then never runs", () => {
    const m = scene();
    const tid = kthreadCreate(m.kernel, actor, locals(["tell", "runs"]), "never");
    m.advance(50);
    expect(m.text(`/proc/${tid}/status`)).toContain("State:\tD (disk sleep)");
    act(m, "stopper", ["stop", tid]);
    m.advance(5);
    expect(told(m)).toEqual(["stopper stop=-4"]);
  });

  test("of a thread that has returned runs into freed memory, and is told so", () => {
    const m = scene();
    const tid = act(m, "brief", ["return", 1]);
    m.advance(5);
    act(m, "stopper", ["stop", tid]);
    m.advance(5);
    expect(dmesg(m)).toContain("refcount_t: addition on 0; use-after-free.");
    expect(told(m)).toEqual(["stopper stop=-4"]);
  });
});

describe("kthread_park", () => {
  test("waits until the thread lies parked; unparked, it goes on", () => {
    const lines = sameHowever((m, pause) => {
      const tid = act(m, "worker", ["sleep", 5], ["tell", "works"], ["parkme"], ["again", 0], ["return", 7]);
      m.advance(1);
      act(m, "boss", ["park", tid], ["tell", "parked"], ["park", tid], ["sleep", 50], ["unpark", tid], ["sleep", 20], ["stop", tid]);
      m.advance(30);
      pause();
      m.advance(100);
    });
    const plain = lines.map((line) => line.replace(/ at .*/, "")).filter((line) => line !== "worker parkme=0" && line !== "worker works");
    expect(plain).toEqual(["boss park=0", "boss parked", "boss park=-16", "boss stop=7"]);
    const works = lines.filter((line) => line.startsWith("worker works")).map((line) => Number(/at (\d+)/.exec(line)?.[1]));
    expect(works[1] - works[0], "it lay still in between").toBeGreaterThanOrEqual(12);
  });

  test("is ENOSYS when the thread is gone", () => {
    const m = scene();
    const tid = act(m, "brief", ["return", 1]);
    m.advance(5);
    act(m, "boss", ["park", tid]);
    m.advance(5);
    expect(told(m)).toEqual(["boss park=-38"]);
  });
});

describe("a kernel thread", () => {
  test("is deaf to signals but for those that it allowed", () => {
    const m = scene();
    const queue = newWaitQueue(m.kernel);
    const deaf = act(m, "deaf", ["eventInterruptibleTimeout", queue, 25], ["return", 0]);
    const open = act(m, "open", ["allowSignal", SIGKILL], ["eventInterruptibleTimeout", queue, 25], ["flushSignals"], ["eventInterruptibleTimeout", queue, 2], ["sleep", 500]);
    m.advance(2);
    act(m, "s", ["signal", deaf, SIGUSR1], ["signal", deaf, SIGKILL], ["signal", open, SIGUSR1], ["signal", open, SIGKILL]);
    m.advance(50);
    expect(told(m)).toEqual(["open eventInterruptibleTimeout=-512", "open eventInterruptibleTimeout=0"]);
    m.advance(200);
    expect(told(m).at(-1)).toBe("deaf eventInterruptibleTimeout=0");
    expect(m.kernel.state.sched.tasks.has(open), "SIGKILL does not end it").toBe(true);
  });

  test("is shown as a child of kthreadd without memory", () => {
    const m = scene();
    const tid = act(m, "a-rather-long-name", ["sleep", 50]);
    m.advance(1);
    const status = m.text(`/proc/${tid}/status`);
    expect(status).toContain("Name:\ta-rather-long-n\n");
    expect(status).toContain("PPid:\t2\n");
    expect(status).not.toContain("VmSize");
    expect(m.text(`/proc/${tid}/cmdline`)).toBe("");
  });

  test("may be bound to a CPU", () => {
    const m = scene({ cpus: 2 });
    const tid = kthreadRunOnCpu(m.kernel, actor, locals(["run", 1_000_000], ["sleep", 500]), 1, "bound/%u");
    m.advance(5);
    const task = taskOf(m.kernel, tid);
    expect([task.comm, task.cpu, task.affinity, kthreadIsBound(m.kernel, tid)]).toEqual(["bound/1", 1, 2, true]);
    expect(wakeUpProcess(m.kernel, 4711)).toBe(0);
  });
});
