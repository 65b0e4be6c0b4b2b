/** Locks and waits that sleep: mutexes, semaphores, read-write semaphores, completions, wait queues, RCU. */
import { describe, expect, test } from "vitest";
import { initCompletion, completionDone } from "../../../core/sched/completion.ts";
import { mutexInit, mutexIsLocked } from "../../../core/sched/mutex.ts";
import { callRcu, rcuCallback } from "../../../core/sched/rcu.ts";
import { initRwsem } from "../../../core/sched/rwsem.ts";
import { semaInit } from "../../../core/sched/semaphore.ts";
import { taskOf } from "../../../core/sched/task.ts";
import { wakeUp, wakeUpInterruptible } from "../../../core/sched/wait_event.ts";
import { newWaitQueue } from "../../../core/sched/wait_queue.ts";
import { act, dmesg, sameHowever, scene, told } from "./actors.ts";

const SIGUSR1 = 10;
const SIGKILL = 9;

describe("a mutex", () => {
  test("goes to those that wait in the order in which they came, whatever the budget and through a snapshot", () => {
    const lines = sameHowever((m, pause) => {
      const lock = mutexInit(m.kernel, "lock");
      act(m, "a", ["lock", lock], ["sleep", 20], ["unlock", lock]);
      m.advance(5);
      act(m, "b", ["lock", lock], ["sleep", 20], ["unlock", lock]);
      m.advance(5);
      pause();
      act(m, "c", ["lock", lock], ["unlock", lock]);
      m.advance(15);
      pause();
      m.advance(50);
      expect(mutexIsLocked(m.kernel, lock)).toBe(false);
    });
    expect(lines).toEqual(["a lock=0", "b lock=0", "c lock=0"]);
  });

  test("may be tried without sleeping", () => {
    const m = scene();
    const lock = mutexInit(m.kernel, "lock");
    act(m, "a", ["trylock", lock], ["sleep", 10], ["unlock", lock]);
    act(m, "b", ["sleep", 5], ["trylock", lock], ["sleep", 10], ["trylock", lock], ["unlock", lock]);
    m.advance(40);
    expect(told(m)).toEqual(["a trylock=1", "b trylock=0", "b trylock=1"]);
  });

  test("is given up with EINTR when a signal comes first; uninterruptible waits go on, killable ones too", () => {
    const m = scene();
    const lock = mutexInit(m.kernel, "lock");
    act(m, "a", ["lock", lock], ["sleep", 50], ["unlock", lock]);
    const [b, c, d] = ["lockInterruptible", "lockKillable", "lock"].map((kind, at) =>
      act(m, `w${at}`, ["allowSignal", SIGUSR1], ["sleep", 5], [kind, lock], ...(at === 0 ? [] : [["unlock", lock] as [string, number]])));
    m.advance(10);
    expect([b, c, d].map((tid) => taskOf(m.kernel, tid).sleep?.mode)).toEqual(["interruptible", "killable", "uninterruptible"]);
    act(m, "s", ["signal", b, SIGUSR1], ["signal", c, SIGUSR1], ["signal", d, SIGUSR1]);
    m.advance(10);
    expect(told(m).filter((line) => line.startsWith("w"))).toEqual(["w0 lockInterruptible=-4"]);
    m.advance(50);
    expect(told(m).filter((line) => line.startsWith("w")).slice(1).sort()).toEqual(["w1 lockKillable=0", "w2 lock=0"]);
    expect(mutexIsLocked(m.kernel, lock)).toBe(false);
    expect(m.broken()).toEqual([]);
  });

  test("is handed to the first in line when others were quicker before", () => {
    const m = scene();
    const lock = mutexInit(m.kernel, "lock");
    // The greedy one takes it again in the same stretch in which it let it go.
    act(m, "greedy", ["lock", lock], ["sleep", 5], ["unlock", lock], ["lock", lock], ["sleep", 5], ["unlock", lock], ["lock", lock], ["unlock", lock]);
    m.advance(1);
    act(m, "patient", ["lock", lock], ["sleep", 5], ["unlock", lock]);
    m.advance(100);
    expect(told(m)).toEqual(["greedy lock=0", "greedy lock=0", "patient lock=0", "greedy lock=0"]);
  });
});

describe("a semaphore", () => {
  test("lets as many in as it has units, and the others in their order", () => {
    const lines = sameHowever((m, pause) => {
      const sem = semaInit(m.kernel, 2);
      for (const name of ["a", "b", "c", "d"]) {
        act(m, name, ["down", sem], ["sleep", 10], ["up", sem]);
        m.advance(1);
      }
      pause();
      m.advance(50);
    });
    expect(lines).toEqual(["a down=0", "b down=0", "c down=0", "d down=0"]);
  });

  test("answers 0 or 1 to a try, ETIME when time is up, EINTR to a signal", () => {
    const m = scene();
    const sem = semaInit(m.kernel, 1);
    act(m, "a", ["downTrylock", sem], ["downTrylock", sem], ["tell", "waits"], ["downTimeout", sem, 2], ["tell", "waited"]);
    const b = act(m, "b", ["allowSignal", SIGUSR1], ["sleep", 2], ["downInterruptible", sem]);
    m.advance(30);
    act(m, "s", ["signal", b, SIGUSR1], ["sleep", 2], ["up", sem]);
    m.advance(10);
    const lines = told(m);
    expect(lines.slice(0, 2)).toEqual(["a downTrylock=0", "a downTrylock=1"]);
    expect(lines).toContain("a downTimeout=-62");
    expect(lines).toContain("b downInterruptible=-4");
    const tick = (what: string): number => Number(/at (\d+)$/.exec(lines.find((line) => line.startsWith(`a ${what}`)) ?? "")?.[1]);
    expect(tick("waited") - tick("waits"), "a timeout of 2 jiffies ends with the third tick").toBe(3);
    act(m, "c", ["downTrylock", sem]);
    m.advance(5);
    expect(told(m).at(-1), "the unit that nobody waited for is there").toBe("c downTrylock=0");
  });
});

describe("a read-write semaphore", () => {
  test("has readers together and writers alone, and no reader passes a waiting writer", () => {
    const lines = sameHowever((m, pause) => {
      const sem = initRwsem(m.kernel, "sem");
      act(m, "r1", ["read", sem], ["sleep", 20], ["upRead", sem]);
      m.advance(1);
      act(m, "r2", ["read", sem], ["sleep", 20], ["upRead", sem]);
      m.advance(5);
      act(m, "w", ["write", sem], ["sleep", 10], ["upWrite", sem]);
      m.advance(5);
      pause();
      act(m, "r3", ["read", sem], ["upRead", sem]);
      act(m, "t", ["readTrylock", sem]);
      m.advance(60);
    });
    expect(lines).toEqual(["r1 read=0", "r2 read=0", "t readTrylock=0", "w write=0", "r3 read=0"]);
  });

  test("lets readers in when a writer goes on as one, and those behind a writer that gave up", () => {
    const m = scene();
    const sem = initRwsem(m.kernel, "sem");
    act(m, "w", ["write", sem], ["sleep", 10], ["downgrade", sem], ["sleep", 30], ["upRead", sem]);
    m.advance(2);
    act(m, "r", ["read", sem], ["sleep", 10], ["upRead", sem]);
    m.advance(20);
    expect(told(m)).toEqual(["w write=0", "r read=0"]);
    const killed = act(m, "k", ["allowSignal", SIGUSR1], ["writeKillable", sem], ["upWrite", sem]);
    m.advance(1);
    const late = act(m, "i", ["allowSignal", SIGUSR1], ["readInterruptible", sem]);
    m.advance(1);
    act(m, "s", ["signal", killed, SIGUSR1], ["signal", late, SIGUSR1]);
    m.advance(2);
    expect(told(m)).toContain("i readInterruptible=-4");
    m.advance(60);
    expect(told(m).at(-1)).toBe("k writeKillable=0");
    expect(m.broken()).toEqual([]);
  });
});

describe("a completion", () => {
  test("lets one wait end each time, and all once all is done", () => {
    const lines = sameHowever((m, pause) => {
      const done = initCompletion(m.kernel);
      for (const name of ["a", "b", "c", "d"]) {
        act(m, name, ["wait", done]);
        m.advance(1);
      }
      pause();
      act(m, "x", ["complete", done], ["sleep", 5], ["completeAll", done], ["tryWait", done], ["tryWait", done], ["sleep", 5], ["reinit", done], ["tryWait", done]);
      m.advance(2);
      pause();
      m.advance(20);
    });
    expect(lines[0]).toBe("a wait=0");
    expect(lines.filter((line) => line.startsWith("x"))).toEqual(["x tryWait=1", "x tryWait=1", "x tryWait=0"]);
    expect(lines.filter((line) => line.includes("wait=0") && !line.startsWith("x")).sort()).toEqual(["a wait=0", "b wait=0", "c wait=0", "d wait=0"]);
  });

  test("answers what was left of a timeout, 0 when it passed, ERESTARTSYS to a signal", () => {
    const m = scene();
    const done = initCompletion(m.kernel);
    act(m, "a", ["waitTimeout", done, 2], ["waitTimeout", done, 100], ["waitTimeout", done, 0]);
    m.advance(30);
    expect(told(m)).toEqual(["a waitTimeout=0"]);
    act(m, "x", ["complete", done]);
    m.advance(5);
    expect(told(m)[1]).toMatch(/^a waitTimeout=9[0-9]$/);
    expect(told(m)[2]).toBe("a waitTimeout=0");
    const b = act(m, "b", ["allowSignal", SIGUSR1], ["waitInterruptibleTimeout", done, 100]);
    const c = act(m, "c", ["allowSignal", SIGKILL], ["waitInterruptible", done]);
    m.advance(2);
    act(m, "s", ["signal", b, SIGUSR1], ["signal", c, SIGKILL]);
    m.advance(5);
    expect(told(m).slice(3)).toEqual(["b waitInterruptibleTimeout=-512", "c waitInterruptible=-512"]);
    expect(completionDone(m.kernel, done)).toBe(false);
  });
});

describe("wait_event", () => {
  test("answers at least a jiffy when the condition came, 0 when time was up", () => {
    const m = scene();
    const queue = newWaitQueue(m.kernel);
    act(m, "a", ["eventTimeout", queue, 2], ["eventTimeout", queue, 25], ["setFlag", 1], ["eventTimeout", queue, 25], ["eventTimeout", queue, 0]);
    m.advance(30);
    expect(told(m)).toEqual(["a eventTimeout=0"]);
    act(m, "x", ["setFlag", 1], ["wake", queue, 1]);
    m.advance(1);
    expect(told(m)[1]).toMatch(/^a eventTimeout=(1[0-9]|2[0-5])$/);
    expect(told(m).slice(2)).toEqual(["a eventTimeout=25", "a eventTimeout=1"]);
  });

  test("wakes exclusive waiters one at a time", () => {
    const lines = sameHowever((m, pause) => {
      const queue = newWaitQueue(m.kernel);
      for (const name of ["a", "b", "c"]) {
        act(m, name, ["eventExclusive", queue], ["sleep", 1]);
        m.advance(1);
      }
      pause();
      act(m, "x", ["setFlag", 1], ["wake", queue, 1], ["sleep", 5], ["tell", "again"], ["wake", queue, 0]);
      m.advance(20);
    });
    const woken = lines.map((line) => line.replace(/ at .*/, ""));
    expect(woken.slice(0, 2)).toEqual(["a eventExclusive=0", "x again"]);
    expect(woken.slice(2).sort()).toEqual(["b eventExclusive=0", "c eventExclusive=0"]);
  });
});

describe("wake_up_interruptible", () => {
  test("leaves uninterruptible and killable sleepers alone", () => {
    const m = scene();
    const queue = newWaitQueue(m.kernel);
    act(m, "u", ["eventTimeout", queue, 250]);
    act(m, "i", ["eventInterruptibleTimeout", queue, 250]);
    m.advance(5);
    (m.kernel.state.labs.get("scene") as { flag: boolean }).flag = true;
    expect(wakeUpInterruptible(m.kernel, queue)).toBe(1);
    m.advance(5);
    expect(told(m).map((line) => line.replace(/=.*/, ""))).toEqual(["i eventInterruptibleTimeout"]);
    expect(wakeUp(m.kernel, queue)).toBe(1);
    m.advance(5);
    expect(told(m)).toHaveLength(2);
  });
});

rcuCallback("test.rcu", (k, arg) => {
  (k.state.labs.get("scene") as { told: string[] }).told.push(`callback ${arg}`);
});

describe("RCU", () => {
  test("waits for the readers of its beginning, and not for later ones", () => {
    const lines = sameHowever((m, pause) => {
      act(m, "r1", ["rcuLock"], ["sleep", 50], ["tell", "leaves"], ["rcuUnlock"]);
      m.advance(1);
      act(m, "g", ["synchronizeRcu"]);
      m.advance(1);
      act(m, "r2", ["rcuLock"], ["sleep", 200], ["tell", "leaves"], ["rcuUnlock"]);
      pause();
      m.advance(300);
    });
    expect(lines.map((line) => line.replace(/ at .*/, ""))).toEqual(["r1 leaves", "g synchronizeRcu=0", "r2 leaves"]);
  });

  test("runs callbacks after a grace period, and a barrier waits for them", () => {
    const m = scene();
    callRcu(m.kernel, "test.rcu", 7);
    act(m, "b", ["rcuBarrier"]);
    m.advance(2);
    expect(told(m)).toEqual([]);
    callRcu(m.kernel, "test.rcu", 8);
    m.advance(60);
    expect(told(m)).toEqual(["callback 7", "b rcuBarrier=0", "callback 8"]);
    expect(m.text("/proc/softirqs")).toMatch(/RCU: +2\n/);
    expect(dmesg(m).filter((line) => line.startsWith("BUG"))).toEqual([]);
  });
});
