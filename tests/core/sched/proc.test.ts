/** What /proc shows of the scheduler. */
import { hog, machine, MS, newSleeper, program, sleeper, thread } from "./actors.ts";
import { describe, expect, test } from "vitest";
import { SCHED_FIFO } from "../../../core/abi/clone.ts";
import type { CoreMachine } from "../../helpers/core.ts";

/** Numbers of a line of /proc/PID/stat by their number in proc(5). */
function stat(m: CoreMachine, pid: number): (at: number) => number {
  const fields = m.text(`/proc/${pid}/stat`).trim().replace(/\(.*\)/, "name").split(" ").map(Number);
  return (at) => fields[at - 1];
}

const cpuLines = (m: CoreMachine): number[][] => m.text("/proc/stat").split("\n").filter((line) => line.startsWith("cpu")).map((line) => line.split(/ +/).slice(1).map(Number));

describe("/proc/PID", () => {
  test("stat: times, priority, nice, threads, start, CPU and policy", () => {
    const m = machine({ cpus: 2 });
    m.advance(500);
    const plain = program(m, "plain", hog, { ns: 30 * MS }, { nice: 5, cpus: 2 });
    const fifo = thread(m, "fifo", sleeper, newSleeper(10 * MS, 2 * MS), { policy: SCHED_FIFO, rtPriority: 40, cpus: 1 });
    m.advance(1000);
    const [of, rt] = [stat(m, plain.tid), stat(m, fifo.tid)];
    expect(of(14), "utime").toBeGreaterThanOrEqual(99);
    expect(of(14)).toBeLessThanOrEqual(103);
    expect(of(15), "stime").toBe(0);
    expect([of(18), of(19), of(20), of(22), of(39), of(40), of(41)]).toEqual([25, 5, 1, 50, 1, 0, 0]);
    expect([rt(18), rt(19), rt(39), rt(40), rt(41)]).toEqual([-41, 0, 0, 40, SCHED_FIFO]);
    expect(rt(14), "a thread of the kernel has no user time").toBe(0);
    expect(rt(15)).toBeGreaterThan(10);
  });

  test("a burst that has not ended is counted up to now, here and in getrusage", async () => {
    const m = machine({ cpus: 2 });
    const pid = await m.createProcess();
    const task = thread(m, "long", hog, { ns: 60_000 * MS });
    m.advance(1000);
    expect(task.se.burstNs).toBeGreaterThan(50_000 * MS);
    expect(stat(m, task.tid)(15)).toBeGreaterThanOrEqual(100);
    const [ran] = m.text(`/proc/${task.tid}/schedstat`).split(" ").map(Number);
    expect(ran).toBeGreaterThanOrEqual(1000 * MS);
    expect(m.callNow(pid, "clock_gettime", { clockid: (~task.tid << 3) | 2 })).toMatchObject({ ret: 0, tp: { tv_sec: 1 } });
  });

  test("schedstat: time on a CPU, time waited for one, and turns; status: switches of both kinds", () => {
    const m = machine({ cpus: 1 });
    const [a, b] = ["a", "b"].map((name) => thread(m, name, hog, { ns: 1000 * MS }));
    m.advance(1000);
    for (const task of [a, b]) {
      const [ran, waited, turns] = m.text(`/proc/${task.tid}/schedstat`).split(" ").map(Number);
      expect(ran / MS).toBeGreaterThan(490);
      expect(waited / MS).toBeGreaterThan(480);
      expect((ran + waited) / MS).toBeLessThan(1015);
      expect(turns).toBeGreaterThan(100);
      expect(m.text(`/proc/${task.tid}/status`)).toContain(`nonvoluntary_ctxt_switches:\t${task.involuntarySwitches}\n`);
      expect(task.involuntarySwitches).toBeGreaterThan(100);
      expect(task.voluntarySwitches).toBe(0);
    }
  });
});

describe("/proc", () => {
  test("stat: the columns of every CPU are all the time since boot", () => {
    const m = machine({ cpus: 2 });
    program(m, "nice", hog, { ns: 3 * MS }, { nice: 10, cpus: 1 });
    thread(m, "sleeper", sleeper, newSleeper(3 * MS, MS), { cpus: 2 });
    m.advance(3000);
    const [all, first, second] = cpuLines(m);
    const nowTicks = m.kernel.state.time.nowNs / 1e7;
    for (const line of [first, second]) expect(Math.abs(line.reduce((sum, value) => sum + value, 0) - nowTicks)).toBeLessThan(8);
    expect(Math.abs(all.reduce((sum, value) => sum + value, 0) - 2 * nowTicks)).toBeLessThan(8);
    expect(first[1], "nice").toBeGreaterThan(295);
    expect(second[2], "system").toBeGreaterThan(60);
    expect(second[3], "idle").toBeGreaterThan(200);
    expect(m.text("/proc/stat")).toMatch(/\nctxt [1-9][0-9]*\n/);
  });

  test("uptime: the second number is the idle time of all CPUs", () => {
    const m = machine({ cpus: 4 });
    thread(m, "hog", hog, { ns: 7 * MS });
    m.advance(10_000);
    const [up, idle] = m.text("/proc/uptime").split(" ").map(Number);
    expect(up).toBeGreaterThanOrEqual(10);
    expect(Math.abs(idle - 3 * up)).toBeLessThan(0.2);
  });

  test("schedstat: time that tasks had and waited, and turns, a line a CPU", () => {
    const m = machine({ cpus: 2 });
    for (const n of [1, 2, 3]) thread(m, `hog${n}`, hog, { ns: MS }, { cpus: 2 });
    m.advance(1000);
    const lines = m.text("/proc/schedstat").split("\n");
    expect(lines[0]).toBe("version 15");
    expect(lines[1]).toMatch(/^timestamp 4294892[0-9]{3}$/);
    const [ran, waited, turns] = lines[3].split(" ").slice(-3).map(Number);
    expect(lines[3].startsWith("cpu1 0 0 0 0 0 0 ")).toBe(true);
    expect(ran / MS).toBeGreaterThan(990);
    expect(waited / MS).toBeGreaterThan(1900);
    expect(turns).toBeGreaterThan(100);
  });

  test("loadavg: climbs as in the kernel's own arithmetic while three run, and falls", () => {
    const m = machine({ cpus: 4 });
    const tasks = [1, 2, 3].map((n) => thread(m, `hog${n}`, hog, { ns: 100 * MS }));
    m.advance(60_000);
    // 3 (1 - 1/e) after a minute of the one-minute average.
    expect(Math.abs(Number(m.text("/proc/loadavg").split(" ")[0]) - 1.9)).toBeLessThan(0.1);
    m.advance(600_000);
    expect(Number(m.text("/proc/loadavg").split(" ")[0])).toBeGreaterThanOrEqual(2.98);
    expect(m.text("/proc/loadavg")).toMatch(/ [34]\/[0-9]+ [0-9]+\n$/);
    expect(tasks).toHaveLength(3);
  });

  test("threads of the kernel that rest say where, and those of work queues are idle", () => {
    const m = machine({ cpus: 1 });
    const shown = new Map<string, string>();
    for (const { tid, comm, kind } of m.kernel.state.sched.tasks.values()) {
      if (kind === "kthread") shown.set(comm, `${m.text(`/proc/${tid}/wchan`)} ${/State:\t(.)/.exec(m.text(`/proc/${tid}/status`))?.[1]}`);
    }
    expect([...shown.values()].filter((text) => text.startsWith("0") || text.startsWith("kthread "))).toEqual([]);
    expect(["kthreadd", "ksoftirqd/0", "migration/0", "kworker/0:0H", "mm_percpu_wq", "kswapd0"].map((comm) => shown.get(comm))).toEqual([
      "kthreadd S", "smpboot_thread_fn S", "smpboot_thread_fn S", "worker_thread I", "rescuer_thread I", "kswapd S",
    ]);
  });

  test("loadavg: a long burst counts up to its end, whenever somebody looks", () => {
    const [watched, alone] = [1, 2].map(() => {
      const m = machine({ cpus: 1 });
      thread(m, "burst", sleeper, newSleeper(1000 * MS, 12_000 * MS));
      return m;
    });
    for (let second = 0; second < 15; second++) {
      watched.advance(1000);
      watched.text("/proc/loadavg");
    }
    alone.advance(15_000);
    // Two samples of one task.
    expect(alone.text("/proc/loadavg").split(" ").slice(0, 3)).toEqual(["0.15", "0.03", "0.01"]);
    expect(alone.text("/proc/loadavg")).toBe(watched.text("/proc/loadavg"));
  });
});
