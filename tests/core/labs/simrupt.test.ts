/** simrupt in a kernel of this process: the report's numbers to the jiffy, its three builds, and what is kept. */
import { describe, expect, test } from "vitest";
import type { Json } from "../../../core/input.ts";
import type { Variant } from "../../../core/module/definition.ts";
import { bootAgain, copy, expectSame, replay } from "../../helpers/replay.ts";
import { Lab } from "../modules/lab.ts";

const JIFFY_NS = 4_000_000;
/** 100 ms are 25 jiffies, and a timer armed within a tick waits for a whole one more. */
const PERIOD = 26;

interface Simrupt extends Lab {
  fd: number;
}

async function opened(variant: Variant = "corrected", flags = "O_RDONLY", options = {}): Promise<Simrupt> {
  const lab = await Lab.boot({ ramMiB: 16, swapMiB: 0, ...options });
  expect(lab.insmod("simrupt", "", variant).ret).toBe(0);
  return Object.assign(lab, { fd: open(lab, flags) });
}

function open(lab: Lab, flags = "O_RDONLY", pid = lab.pid): number {
  const { ret } = lab.call("openat", { pathname: "/dev/simrupt", flags }, pid);
  if (typeof ret !== "number" || ret < 0) throw new Error(`open: ${ret}`);
  return ret;
}

/** A read that is begun, its answer as it stands. */
function read(lab: Lab, fd: number, count = 100, pid = lab.pid): { ret: number; errno: string | null; text: string; callId: string; sleeping: boolean } {
  const answer = lab.machine.callNow(pid, "read", { fd, count }) as { state: string; ret: number; errno: string | null; callId: string; buf?: { base64: string } };
  return { ret: answer.ret, errno: answer.errno, text: text(answer.buf), callId: answer.callId, sleeping: answer.state === "sleeping" };
}

function text(bytes: { base64: string } | undefined): string {
  return Buffer.from(bytes?.base64 ?? "", "base64").toString("latin1");
}

function end(lab: Lab, callId: string): { ret: number; errno: string | null; text: string; sleeping: boolean } {
  const answer = lab.machine.stand(callId) as unknown as { state: string; ret: number; errno: string | null; buf?: { base64: string } };
  return { ret: answer.ret, errno: answer.errno, text: text(answer.buf), sleeping: answer.state === "sleeping" };
}

const jiffiesNow = (lab: Lab): number => Math.floor(lab.machine.kernel.state.time.nowNs / JIFFY_NS);

/** 0x20 … 0x7e and again, from the first on. */
function characters(count: number, from = 0): string {
  return Array.from({ length: count }, (_, at) => String.fromCharCode(0x20 + (from + at) % 95)).join("");
}

const TICK = [
  "enter timer_handler", "produce data", "scheduling tasklet", "timer_handler in_irq: # usec", "simrupt_tasklet_func in_softirq: # usec", "simrupt_work_func",
];

function lines(lab: Lab): string[] {
  return lab.dmesg().map(([, line]) => line);
}

describe("the device", () => {
  test("gives a character every 26 jiffies, from the space on, and never DEL", async () => {
    const lab = await opened();
    const armed = jiffiesNow(lab);
    let got = "";
    for (let at = 1; at <= 120; at++) {
      const { callId } = read(lab, lab.fd);
      lab.machine.feed({ type: "advance", byNs: (armed + at * PERIOD) * JIFFY_NS - lab.machine.kernel.state.time.nowNs - 1 });
      expect(end(lab, callId).sleeping, `byte ${at} is early`).toBe(true);
      lab.machine.feed({ type: "advance", byNs: 1_000_000 });
      const answer = end(lab, callId);
      expect(answer.ret, `byte ${at}`).toBe(1);
      got += answer.text;
    }
    expect(got).toBe(characters(120));
    expect(got[94]).toBe("~");
    expect(got[95]).toBe(" ");
    expect(lab.machine.broken()).toEqual([]);
  });

  test("each event has its six lines, the timer's and the tasklet's on one CPU", async () => {
    const lab = await opened();
    expect(lines(lab)).toEqual([
      "simrupt: loading out-of-tree module taints kernel.", "simrupt: module verification failed: signature and/or required key missing - tainting kernel",
      expect.stringMatching(/^simrupt: registered new simrupt device: \d+,0$/), "open current cnt: 1",
    ]);
    lab.machine.advance(450);
    const told = lines(lab);
    expect(told).toHaveLength(4 * 6);
    for (let at = 0; at < told.length; at += 6) {
      const tick = told.slice(at, at + 6).map((line) => /^simrupt: \[CPU#(\d)\] (.*)$/.exec(line)!);
      expect(tick.map(([, , what]) => what.replace(/: \d+ usec/, ": # usec"))).toEqual(TICK);
      expect(new Set(tick.slice(0, 5).map(([, cpu]) => cpu)).size).toBe(1);
    }
  });

  test("counts in /proc: a timer and a tasklet an event", async () => {
    const lab = await opened();
    const of = (name: string): number => {
      const line = lab.text("/proc/softirqs").split("\n").find((one) => one.includes(`${name}:`))!;
      return line.slice(line.indexOf(":") + 1).trim().split(/ +/).reduce((sum, count) => sum + Number(count), 0);
    };
    const before = [of("TIMER"), of("TASKLET")];
    lab.machine.advance(10_000);
    const events = Math.floor(2500 / PERIOD);
    expect(of("TASKLET") - before[1]).toBe(events);
    expect(of("TIMER") - before[0]).toBeGreaterThanOrEqual(events);
    expect(lab.text("/proc/softirqs").split("\n")).toHaveLength(12);
  });

  test("a reader takes all that has gathered, and no byte goes to two", async () => {
    const lab = await opened();
    const other = await lab.machine.createProcess();
    const fd = open(lab, "O_RDONLY", other);
    lab.machine.advance(1100);
    const first = read(lab, lab.fd, 4);
    const second = read(lab, fd, 100, other);
    expect([first.text, second.text]).toEqual([characters(4), characters(6, 4)]);
    const one = read(lab, lab.fd);
    const two = read(lab, fd, 100, other); // waits for the first one's lock
    expect([one.sleeping, two.sleeping]).toEqual([true, true]);
    lab.machine.advance(104);
    expect([end(lab, one.callId).text, end(lab, two.callId).sleeping]).toEqual([characters(1, 10), true]);
    lab.machine.advance(104);
    expect(end(lab, two.callId).text).toBe(characters(1, 11));
  });

  test("the character goes on after a close, and begins anew with the module", async () => {
    const lab = await opened();
    lab.machine.advance(350);
    expect(read(lab, lab.fd).text).toBe(characters(3));
    lab.call("close", { fd: lab.fd });
    lab.machine.advance(5000);
    lab.fd = open(lab);
    lab.machine.advance(150);
    expect(read(lab, lab.fd).text).toBe(characters(1, 3));
    lab.call("close", { fd: lab.fd });
    expect(lab.rmmod("simrupt").ret).toBe(0);
    lab.insmod("simrupt");
    lab.fd = open(lab);
    lab.machine.advance(150);
    expect(read(lab, lab.fd).text).toBe(" ");
  });

  test("an interrupted read is EINTR, the signal's handler runs, and the lock is free", async () => {
    const lab = await opened();
    const { callId } = read(lab, lab.fd);
    lab.machine.feed({ type: "interruptCall", callId });
    expect(end(lab, callId)).toMatchObject({ ret: -1, errno: "EINTR" });
    lab.machine.advance(150);
    expect(read(lab, lab.fd).text).toBe(" ");
  });

  test("a reader asleep is seen in its driver, as recorded", async () => {
    const lab = await opened();
    read(lab, lab.fd);
    expect(lab.text(`/proc/${lab.pid}/wchan`)).toBe("simrupt_read");
    expect(lab.text(`/proc/${lab.pid}/stack`).replaceAll(/\+0x[0-9a-f]+\/0x[0-9a-f]+/g, "")).toBe(
      "[<0>] simrupt_read [simrupt]\n[<0>] vfs_read\n[<0>] ksys_read\n[<0>] do_syscall_64\n[<0>] entry_SYSCALL_64_after_hwframe\n");
    expect(lab.text(`/proc/${lab.pid}/syscall`)).toMatch(/^0 0x3 0x[0-9a-f]+ 0x64 /);
  });

  test("refuses what it has no operation for", async () => {
    const lab = await opened("corrected", "O_RDWR|O_NONBLOCK");
    const errno = (name: string, args: Json): string | null => lab.call(name, args).errno;
    expect(errno("write", { fd: lab.fd, buf: "x" })).toBe("EINVAL");
    expect(errno("ioctl", { fd: lab.fd, request: 0xdead })).toBe("ENOTTY");
    expect(errno("lseek", { fd: lab.fd, offset: 0, whence: 0 })).toBe("ESPIPE");
    expect(errno("mmap", { length: 4096, prot: "PROT_READ", flags: "MAP_SHARED", fd: lab.fd })).toBe("ENODEV");
    expect(errno("fsync", { fd: lab.fd })).toBe("EINVAL");
    expect(read(lab, lab.fd)).toMatchObject({ ret: -1, errno: "EAGAIN" });
    expect(read(lab, lab.fd, 0)).toMatchObject({ ret: 0, errno: null });
    lab.machine.advance(150);
    expect(lab.call("read", { fd: lab.fd, buf: { addr: "0x1000" }, count: 4 }).errno).toBe("EFAULT");
    expect(read(lab, lab.fd).text).toBe(" "); // the bad buffer lost nothing
  });
});

describe("builds", () => {
  const nonblocking = "O_RDWR|O_NONBLOCK";

  test.each(["upstream", "seed"] as const)("%s answers errors of read as large numbers", async (variant) => {
    const lab = await opened(variant, nonblocking);
    expect(read(lab, lab.fd, 16)).toMatchObject({ ret: 4294967285, errno: null });
    expect(read(lab, lab.fd, 0)).toMatchObject({ ret: 4294967285, errno: null });
    lab.machine.advance(150);
    expect(lab.call("read", { fd: lab.fd, buf: { addr: "0x1000" }, count: 4 }).ret).toBe(4294967282);
    expect(lab.call("read", { fd: lab.fd, buf: { addr: "0xffff800000000000" }, count: 4 }).errno).toBe("EFAULT");
    expect(read(lab, lab.fd).text).toBe(" ");
    expect(read(lab, lab.fd, 0).ret).toBe(4294967285);
    const blocking = open(lab);
    const { callId } = read(lab, blocking);
    lab.machine.feed({ type: "interruptCall", callId });
    expect(end(lab, callId)).toMatchObject({ ret: 4294966784, errno: null });
  });

  test("a full fifo keeps the newest bytes, in the seed's build the oldest", async () => {
    const gathered = async (variant: Variant): Promise<{ all: string; log: string[] }> => {
      const lab = await opened(variant, nonblocking);
      lab.machine.advance((4096 + 120) * PERIOD * 4);
      const log = lines(lab);
      return { all: read(lab, lab.fd, 8192).text, log };
    };
    const corrected = await gathered("corrected");
    expect(corrected.all).toBe(characters(4096, 120));
    expect(corrected.log.some((line) => line.includes("dropped"))).toBe(false);
    const seed = await gathered("seed");
    expect(seed.all).toBe(characters(4096));
    expect(seed.log).toContain("produce_data: 1 bytes dropped");
    expect(seed.log).toContainEqual(expect.stringMatching(/^produce_data: 3\d callbacks suppressed$/));
  });

  test("the last close stops the timer; in the seed's build the first of two does, and the last does not", async () => {
    const lab = await opened();
    const other = open(lab);
    lab.machine.advance(250);
    lab.call("close", { fd: other });
    lines(lab);
    lab.machine.advance(250);
    expect(lines(lab).filter((line) => line.includes("enter timer_handler")).length).toBeGreaterThanOrEqual(2);
    lab.call("close", { fd: lab.fd });
    expect(lines(lab)).toEqual(["release, current cnt: 0"]);
    lab.machine.advance(5000);
    expect(lines(lab)).toEqual([]);

    const old = await opened("seed");
    const second = open(old);
    expect(lines(old).slice(-2)).toEqual(["openm current cnt: 1", "openm current cnt: 2"]);
    old.machine.advance(250);
    old.call("close", { fd: second });
    lines(old);
    old.machine.advance(1000);
    expect(lines(old)).toEqual([]);
    const { sleeping } = read(old, old.fd, 100);
    expect(sleeping).toBe(false); // what had gathered
    old.call("close", { fd: old.fd });
    const third = open(old);
    old.call("close", { fd: third });
    lines(old);
    old.machine.advance(1000);
    expect(lines(old).length).toBeGreaterThan(40);
    expect(old.rmmod("simrupt").ret).toBe(0);
    expect(lines(old)).toEqual(["simrupt: unloaded"]);
    old.machine.advance(1000);
    expect(lines(old)).toEqual([]);
    expect(old.machine.broken()).toEqual([]);
  });
});

describe("the module", () => {
  test("cannot go while the device is open, and leaves nothing behind", async () => {
    const lab = await opened();
    lab.machine.advance(150);
    expect(lab.rmmod("simrupt").errno).toBe("EAGAIN");
    expect(lab.text("/proc/modules")).toMatch(/^simrupt 20480 1 - Live /);
    expect(lab.text("/sys/class/simrupt/simrupt/uevent")).toMatch(/^MAJOR=\d+\nMINOR=0\nDEVNAME=simrupt\n$/);
    lab.call("close", { fd: lab.fd });
    lines(lab);
    expect(lab.rmmod("simrupt").ret).toBe(0);
    expect(lines(lab)).toEqual(["simrupt: unloaded"]);
    const { irq, time } = lab.machine.kernel.state;
    expect([irq.tasklets.size, irq.wq.works.size, [...irq.wq.queues.values()].some(({ name }) => name === "simruptd")]).toEqual([0, 0, false]);
    expect([...time.timers.values()].some(({ callback }) => callback.includes("simrupt"))).toBe(false);
    expect(lab.call("openat", { pathname: "/dev/simrupt", flags: "O_RDONLY" }).errno).toBe("ENOENT");
  });

  test("a close with an event on its way takes the event along", async () => {
    const lab = await opened();
    // The timer, its tasklet and the work item are due within the very move that the close waits for.
    lab.machine.feed({ type: "advance", byNs: PERIOD * JIFFY_NS - 1 });
    lab.machine.feed({ type: "syscall", pid: lab.pid, callId: "close", call: "close", args: { fd: lab.fd }, onFault: "signal", atNs: lab.machine.kernel.state.time.nowNs + 30_000 });
    lab.machine.advance(2000);
    expect(lines(lab).at(-1)).toBe("release, current cnt: 0");
    expect(lab.rmmod("simrupt").ret).toBe(0);
    expect(lab.machine.broken()).toEqual([]);
  });
});

describe("the same again", () => {
  async function session(budget?: number): Promise<Simrupt> {
    const lab = await Lab.boot({ ramMiB: 16, swapMiB: 0 });
    lab.machine.budget = budget;
    lab.insmod("simrupt");
    const made = Object.assign(lab, { fd: open(lab) });
    const other = await lab.machine.createProcess();
    const fd = open(lab, "O_RDONLY", other);
    for (let at = 0; at < 8; at++) {
      if (!lab.machine.kernel.state.calls.sleeping.size) {
        read(lab, made.fd, 3);
        read(lab, fd, 3, other);
      }
      lab.machine.advance(60 + at * 17);
    }
    return made;
  }

  test("slices of any size give the same bytes", async () => {
    const whole = await session(1_000_000);
    expectSame(whole.machine.kernel, (await session(100)).machine.kernel);
    expectSame(whole.machine.kernel, (await session(1)).machine.kernel);
  });

  test("replayed, and restored between any two inputs, it is the same", async () => {
    const { machine } = await session();
    expectSame(machine.kernel, replay(bootAgain(machine), machine.journal));
    expectSame(machine.kernel, replay(bootAgain(machine), machine.journal, copy));
  });
});
