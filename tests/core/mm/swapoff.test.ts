/** Swap turned off and on: what lay there is in memory again, and whoever may not, or has no room, is told so. */
import { expect, test } from "vitest";
import { handle, restore, snapshot } from "../../../core/index.ts";
import type { CallAnswer, Input, Json } from "../../../core/input.ts";
import { CoreMachine, type Unstamped } from "../../helpers/core.ts";

const PAGE = 4096;
const WRITABLE = { prot: "PROT_READ|PROT_WRITE", fd: -1, offset: 0, addr: 0 };

type Answer = CallAnswer & { ret: number; errno: string | null; callId: string; buf?: { base64: string } };

class Machine {
  readonly m: CoreMachine;
  readonly ended = new Map<string, Answer>();
  private begun = 0;

  constructor(ramMiB = 8, swapMiB = 16) {
    this.m = new CoreMachine({ ramMiB, swapMiB });
  }

  /** Makes a call and waits for it. */
  call(pid: number, name: string, args: Json): Answer {
    let answer = this.m.callNow(pid, name, args, "report");
    const { callId } = answer as Answer;
    for (let ms = 0; answer.state === "sleeping" && ms < 10_000; ms++) {
      this.m.advance(1);
      answer = this.m.stand(callId);
    }
    return answer as Answer;
  }

  errno(pid: number, name: string, args: Json): string | null {
    return this.call(pid, name, args).errno;
  }

  must(pid: number, name: string, args: Json): number {
    const { ret, errno } = this.call(pid, name, args);
    expect([name, errno]).toEqual([name, null]);
    return Number(ret);
  }

  anon(pid: number, pages: number): number {
    return this.must(pid, "mmap", { ...WRITABLE, length: pages * PAGE, flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  }

  fill(pid: number, at: number, pages: number): void {
    for (let page = 0; page < pages; page++) {
      const answer = this.call(pid, "store", { addr: `0x${(at + page * PAGE).toString(16)}`, buf: `p${page}` });
      expect(answer.errno).toBeNull();
    }
  }

  check(pid: number, at: number, pages: number): void {
    for (let page = 0; page < pages; page++) {
      const { buf } = this.call(pid, "load", { addr: `0x${(at + page * PAGE).toString(16)}`, length: 6 });
      expect(Buffer.from(buf!.base64, "base64").toString().replace(/\0+$/, "")).toBe(`p${page}`);
    }
  }

  munmap(pid: number, addr: number, pages: number): void {
    this.must(pid, "munmap", { addr, length: pages * PAGE });
  }

  /** Begins a call without going on to its end. */
  begin(pid: number, call: string, args: Json): string {
    const callId = `b${this.begun++}`;
    this.feed({ type: "syscall", pid, callId, call, args, onFault: "report" });
    return callId;
  }

  /** Feeds an input, or goes on with what there is to do, for one step of a task; whether there is more. */
  feed(input: Unstamped = { type: "run" }): boolean {
    const { ended, more } = handle(this.m.kernel, { atNs: this.m.kernel.state.time.nowNs, ...input } as Input, 1);
    for (const { callId, answer } of ended) this.ended.set(callId, answer as Answer);
    return more;
  }

  /** Goes on to the end, and looks at each step. */
  finish(look: () => void = () => undefined): void {
    for (look(); this.feed(); look());
  }

  value(path: string, name: string): number {
    return Number(new RegExp(`^${name}:?\\s+(\\d+)`, "m").exec(this.m.text(path))![1]);
  }

  swaps = (): string[] => this.m.text("/proc/swaps").trimEnd().split("\n").slice(1).map((line) => line.split(/\s+/).join(" "));
  log = (): string[] => this.m.kernel.state.log.records.map(({ text }) => text);
}

const VDA = { path: "/dev/vda" };

/** A process, its child, shared memory and a file, of which about 300 pages each are in swap, and room for all. */
async function swapped(): Promise<{ s: Machine; pid: number; child: number; check(): void }> {
  const s = new Machine();
  const pid = await s.m.createProcess();
  const at = s.anon(pid, 200);
  s.fill(pid, at, 200);
  const id = s.must(pid, "shmget", { key: 0, size: 150 * PAGE, shmflg: 0o600 });
  const shared = s.must(pid, "shmat", { shmid: id, shmaddr: 0, shmflg: 0 });
  s.fill(pid, shared, 150);
  const fd = s.must(pid, "memfd_create", { name: "m", flags: 0 });
  for (let page = 0; page < 100; page++) s.must(pid, "pwrite64", { fd, buf: `p${page}`, offset: page * PAGE });
  const locked = s.anon(pid, 4);
  s.fill(pid, locked, 4);
  s.must(pid, "madvise", { addr: locked, length: 4 * PAGE, advice: "MADV_PAGEOUT" });
  const child = s.must(pid, "fork", {});
  const push = s.anon(pid, 900);
  s.fill(pid, push, 900);
  s.munmap(pid, push, 900);
  expect(s.value("/proc/swaps", "/dev/vda +partition\\s+\\d+")).toBeGreaterThan(1200);
  const check = (): void => {
    s.check(pid, at, 200);
    s.check(child, at, 200);
    s.check(pid, shared, 150);
    s.check(child, locked, 4);
    for (let page = 0; page < 100; page += 9) {
      const { buf } = s.call(pid, "pread64", { fd, count: 4, offset: page * PAGE });
      expect(Buffer.from(buf!.base64, "base64").toString().replace(/\0+$/, "")).toBe(`p${page}`);
    }
  };
  return { s, pid, child, check };
}

test("swapoff brings every page back, step by step, and writes none; swapon begins anew", async () => {
  const { s, pid, check } = await swapped();
  const other = await s.m.createProcess();
  const written = s.value("/proc/vmstat", "pswpout");
  const off = s.begin(other, "swapoff", VDA);
  const sizes = new Set<number>();
  let asked = ["", ""];
  s.finish(() => {
    if (s.m.kernel.state.mm.swap.leaving === 0) return;
    expect(s.m.broken()).toEqual([]);
    // It is still shown, and as large as what is in it.
    expect(s.swaps()[0]).toMatch(/^\/dev\/vda partition 16380 \d+ -2$/);
    const left = s.value("/proc/meminfo", "SwapTotal");
    expect(s.value("/proc/meminfo", "SwapFree")).toBe(left);
    sizes.add(left);
    if (asked[0] === "") asked = [s.begin(pid, "swapoff", VDA), ""];
    else if (asked[1] === "" && s.ended.has(asked[0])) asked[1] = s.begin(pid, "swapon", { ...VDA, swapflags: 0 });
  });
  expect(asked.map((callId) => s.ended.get(callId)?.errno)).toEqual(["EINVAL", "EBUSY"]);
  expect(s.ended.get(off)).toMatchObject({ ret: 0, errno: null });
  expect(sizes.size).toBeGreaterThan(10);
  expect(s.swaps()).toEqual([]);
  expect(s.value("/proc/meminfo", "SwapTotal")).toBe(0);
  expect(s.value(`/proc/${pid}/status`, "VmSwap")).toBe(0);
  expect(s.value("/proc/vmstat", "pswpout")).toBe(written);
  expect(s.value("/proc/vmstat", "pgpgin")).toBe(4 * s.value("/proc/vmstat", "pswpin"));
  expect(s.m.broken()).toEqual([]);
  check();
  expect(s.errno(other, "swapoff", VDA)).toBe("EINVAL");
  expect(s.must(other, "swapon", { ...VDA, swapflags: "SWAP_FLAG_PREFER|0x7" })).toBe(0);
  expect(s.log().at(-1)).toBe("Adding 16380k swap on /dev/vda.  Priority:7 extents:1 across:16380k FS");
  expect(s.swaps()).toEqual(["/dev/vda partition 16380 0 7"]);
  const push = s.anon(pid, 900);
  s.fill(pid, push, 900);
  s.check(pid, push, 900);
  expect(s.value("/proc/vmstat", "pswpout")).toBeGreaterThan(written);
  check();
  expect(s.m.broken()).toEqual([]);
});

/** Begins swapoff and goes on for so many steps. */
function midway(s: Machine, pid: number, steps = 8): string {
  const callId = s.begin(pid, "swapoff", VDA);
  for (let step = 0; step < steps; step++) expect(s.feed()).toBe(true);
  expect(s.m.kernel.state.mm.swap).toMatchObject({ on: false, leaving: pid });
  return callId;
}

test("a snapshot in its middle goes on the same", async () => {
  const { s, pid, check } = await swapped();
  const callId = midway(s, pid);
  const bytes = snapshot(s.m.kernel);
  const ends: unknown[] = [];
  for (const kernel of [s.m.kernel, restore(bytes)]) {
    s.m.kernel = kernel;
    s.ended.clear();
    s.finish();
    ends.push([s.ended.get(callId), Buffer.from(snapshot(kernel)).toString("base64")]);
    expect(s.m.broken()).toEqual([]);
  }
  expect(ends[1]).toEqual(ends[0]);
  expect((ends[0] as unknown[])[0]).toMatchObject({ state: "returned", ret: 0 });
  check();
});

test("a signal ends it with EINTR, and swap is on as it was; so does a kill", async () => {
  const { s, pid, check } = await swapped();
  s.must(pid, "rt_sigaction", { signum: "SIGUSR1", act: { sa_handler: "count", sa_flags: 0 } });
  const killer = await s.m.createProcess();
  const callId = midway(s, pid);
  const kill = s.begin(killer, "kill", { pid, sig: "SIGUSR1" });
  s.finish(() => expect(s.m.broken()).toEqual([]));
  expect(s.ended.get(kill)?.ret).toBe(0);
  expect(s.ended.get(callId)?.errno).toBe("EINTR");
  expect(s.value("/proc/meminfo", "SwapTotal")).toBe(16380);
  check();
  const push = s.anon(pid, 900);
  s.fill(pid, push, 900);
  s.munmap(pid, push, 900);
  const victim = await s.m.createProcess();
  midway(s, victim, 4);
  s.feed({ type: "killProcess", pid: victim });
  s.finish(() => expect(s.m.broken()).toEqual([]));
  expect(s.swaps()[0]).toMatch(/^\/dev\/vda partition 16380 [1-9]\d* -2$/);
  expect(s.value("/proc/meminfo", "SwapTotal")).toBe(16380);
  check();
  expect(s.m.broken()).toEqual([]);
});

test("who may, what it must be, and in which order that is asked", async () => {
  const s = new Machine();
  const [root, user] = [await s.m.createProcess(), await s.m.createProcess(1000)];
  const off = (pid: number, path: string): string | null => s.errno(pid, "swapoff", { path });
  const on = (pid: number, path: string, swapflags: Json = 0): string | null => s.errno(pid, "swapon", { path, swapflags });
  expect([off(user, "/dev/vda"), off(user, "/nothing"), on(user, "/nothing")]).toEqual(["EPERM", "EPERM", "EPERM"]);
  expect([on(user, "/nothing", 0x100000), on(root, "/nothing", 0x100000)]).toEqual(["EINVAL", "EINVAL"]);
  expect([off(root, "/nothing"), on(root, "/nothing"), on(root, "")]).toEqual(["ENOENT", "ENOENT", "ENOENT"]);
  s.must(root, "close", { fd: s.must(root, "openat", { dirfd: "AT_FDCWD", pathname: "/tmp/f", flags: "O_CREAT|O_RDWR", mode: 0o600 }) });
  expect([off(root, "/tmp/f"), on(root, "/tmp/f"), on(root, "/dev/null"), on(root, "/tmp")]).toEqual(["EINVAL", "EINVAL", "EINVAL", "EISDIR"]);
  expect(on(root, "/dev/vda")).toBe("EBUSY");
  expect(s.errno(root, "openat", { dirfd: "AT_FDCWD", pathname: "/dev/vda", flags: "O_RDONLY" })).toBe("ENXIO");
  s.must(root, "mknod", { pathname: "/tmp/other", mode: "S_IFBLK|0600", dev: 254 << 8 });
  expect([off(root, "/tmp/other"), on(root, "/tmp/other")]).toEqual([null, null]);
  expect(s.swaps()).toEqual(["/tmp/other partition 16380 0 -2"]);
  const none = new Machine(8, 0);
  const pid = await none.m.createProcess();
  expect(none.errno(pid, "swapon", { ...VDA, swapflags: 0 })).toBe("ENOENT");
  expect(none.m.text("/proc/partitions")).toBe("");
});

test("without overcommit swap stays on that is promised; with too little memory it is swapoff that is killed", async () => {
  const s = new Machine();
  const pid = await s.m.createProcess();
  const at = s.anon(pid, 2000);
  s.fill(pid, at, 2000);
  const write = (text: string): void => {
    const fd = s.must(pid, "openat", { dirfd: "AT_FDCWD", pathname: "/proc/sys/vm/overcommit_memory", flags: "O_WRONLY" });
    s.must(pid, "write", { fd, buf: text });
  };
  const other = await s.m.createProcess();
  write("2");
  expect(s.errno(other, "swapoff", VDA)).toBe("ENOMEM");
  expect(s.swaps()).toHaveLength(1);
  write("0");
  s.begin(other, "swapoff", VDA);
  s.finish(() => expect(s.m.broken()).toEqual([]));
  expect(s.log().some((line) => line.startsWith(`Out of memory: Killed process ${other} (sh)`))).toBe(true);
  expect(s.value("/proc/vmstat", "oom_kill")).toBe(1);
  expect(s.swaps()).toHaveLength(1);
  expect(s.value("/proc/meminfo", "SwapTotal")).toBe(16380);
  expect(s.m.broken()).toEqual([]);
  s.check(pid, at, 2000);
});

test("the disk is told of in /dev, /proc and /sys, and its counts agree", async () => {
  const { s, pid } = await swapped();
  expect(s.m.text("/proc/partitions")).toBe("major minor  #blocks  name\n\n 254        0      16384 vda\n");
  const [reads, writes] = ["pswpin", "pswpout"].map((name) => s.value("/proc/vmstat", name));
  const fields = s.m.text("/proc/diskstats").trim().split(/ +/);
  expect(fields.slice(0, 6)).toEqual(["254", "0", "vda", String(reads), "0", String(reads * 8)]);
  expect([fields[7], fields[9]]).toEqual([String(writes), String(writes * 8)]);
  expect(fields).toHaveLength(20);
  expect(s.m.text("/sys/block/vda/size")).toBe("32768\n");
  expect(s.m.text("/sys/dev/block/254:0/stat").trim().split(/ +/)).toEqual(fields.slice(3));
  expect(s.value("/proc/vmstat", "pgpgout")).toBe(4 * writes);
  const { statbuf } = s.call(pid, "stat", { pathname: "/dev/vda" }) as unknown as { statbuf: { [name: string]: unknown } };
  expect(statbuf).toMatchObject({ st_mode: 0o60660 });
});
