/** Memory that runs short: what goes to swap comes back as it was, what is used or locked stays, and in the end somebody is killed. */
import { expect, test } from "vitest";
import { restore, snapshot } from "../../../core/index.ts";
import type { CallAnswer, Json } from "../../../core/input.ts";
import { CoreMachine } from "../../helpers/core.ts";

const PAGE = 4096;
const WRITABLE = { prot: "PROT_READ|PROT_WRITE", fd: -1, offset: 0, addr: 0 };

type Answer = CallAnswer & { ret: number; errno: string | null; buf?: { base64: string }; ns: number; [name: string]: unknown };

/** 8 MiB, of which about 950 pages can be had; calls wait for the disk by themselves. */
class Short {
  readonly m: CoreMachine;
  constructor(swapMiB = 16, ramMiB = 8) {
    this.m = new CoreMachine({ ramMiB, swapMiB });
  }

  call(pid: number, name: string, args: Json): Answer {
    return this.m.callNow(pid, name, args, "report") as Answer;
  }

  must(pid: number, name: string, args: Json): number {
    const { ret, errno } = this.call(pid, name, args);
    expect([name, errno]).toEqual([name, null]);
    return ret;
  }

  anon(pid: number, pages: number, flags = "MAP_PRIVATE|MAP_ANONYMOUS"): number {
    return Number(this.call(pid, "mmap", { ...WRITABLE, length: pages * PAGE, flags }).ret);
  }

  put(pid: number, at: number, value: number): Answer {
    return this.call(pid, "store", { addr: `0x${at.toString(16)}`, buf: { base64: Buffer.from([value]).toString("base64") } });
  }

  get(pid: number, at: number): number {
    return Buffer.from(this.call(pid, "load", { addr: `0x${at.toString(16)}`, length: 1 }).buf!.base64, "base64")[0];
  }

  /** Gives each of so many pages a byte of its own. */
  fill(pid: number, at: number, pages: number, first = 0): void {
    for (let page = first; page < pages; page++) expect(this.put(pid, at + page * PAGE + page, 1 + (page % 250)).ret).toBe(1);
  }

  check(pid: number, at: number, pages: number): void {
    for (let page = 0; page < pages; page++) expect([page, this.get(pid, at + page * PAGE + page)]).toEqual([page, 1 + (page % 250)]);
  }

  number(path: string, name: string): number {
    return Number(new RegExp(`^${name.replace(/[()]/g, "\\$&")}:?\\s+(\\d+)`, "m").exec(this.m.text(path))![1]);
  }

  vm = (name: string): number => this.number("/proc/vmstat", name);
  kb = (name: string): number => this.number("/proc/meminfo", name);
  faults = (pid: number): { minor: number; major: number } => {
    const fields = this.m.text(`/proc/${pid}/stat`).split(") ")[1].split(" ");
    return { minor: Number(fields[7]), major: Number(fields[9]) };
  };
}

test("what does not fit goes to swap and comes back as it was, as major faults that take the disk's time", async () => {
  const s = new Short();
  const pid = await s.m.createProcess();
  s.get(pid, s.anon(pid, 1)); // its page tables are there
  const [free, swap] = [s.kb("MemFree"), s.kb("SwapFree")];
  expect(swap).toBe(16 * 1024 - 4);
  const at = s.anon(pid, 2000);
  s.fill(pid, at, 2000);
  expect(s.faults(pid)).toEqual({ minor: 2001, major: 0 });
  expect(s.vm("pswpout")).toBeGreaterThan(1000);
  expect(s.vm("pswpin")).toBe(0);
  const swapped = s.number(`/proc/${pid}/status`, "VmSwap");
  expect(swapped + s.number(`/proc/${pid}/status`, "VmRSS")).toBe(8000);
  expect(swap - s.kb("SwapFree")).toBe(swapped);
  expect([...s.m.text(`/proc/${pid}/smaps`).matchAll(/^Swap: +(\d+)/gm)].reduce((sum, [, kb]) => sum + Number(kb), 0)).toBe(swapped);
  expect(s.number("/proc/swaps", "/dev/vda +partition")).toBe(16 * 1024 - 4);
  expect(s.m.text("/proc/swaps").split(/\s+/).at(-3)).toBe(String(swapped));

  const before = s.faults(pid);
  expect(s.number(`/proc/${pid}/status`, "VmSwap")).toBeGreaterThan(4000);
  const first = s.call(pid, "load", { addr: `0x${at.toString(16)}`, length: 1 });
  expect(s.faults(pid)).toEqual({ minor: before.minor, major: before.major + 1 });
  expect(first.ns).toBeGreaterThan(80_000);
  expect(s.vm("pgmajfault")).toBe(1);
  s.check(pid, at, 2000);
  expect(s.vm("pgmajfault")).toBe(s.faults(pid).major);
  expect(s.m.broken()).toEqual([]);

  s.must(pid, "munmap", { addr: at, length: 2000 * PAGE });
  expect(s.kb("SwapFree")).toBe(swap);
  expect(s.kb("MemFree")).toBe(free);
  expect(s.m.broken()).toEqual([]);
});

test("who waits for the disk is in D, and its CPU waits with it; a snapshot of that goes on the same", () => {
  const s = new Short(64);
  s.m.feed({ type: "makeHome", path: "/root", uid: 0 });
  // A program that nobody drives: behind its command's first second it stands where the clock does.
  s.m.feed({ type: "program", callId: "work", program: "command", args: { script: "work 16 R 100000" }, uid: 0, member: "owner", home: "/root" });
  const pid = [...s.m.kernel.state.sched.tasks.values()].find(({ comm }) => comm === "work")!.tid;
  expect(s.m.text(`/proc/${pid}/wchan`)).toBe("io_schedule");
  expect(s.m.text(`/proc/${pid}/stat`)).toContain(") D ");
  expect(s.number("/proc/stat", "procs_blocked")).toBeGreaterThanOrEqual(1);
  const faults = s.faults(pid);
  const bytes = snapshot(s.m.kernel);
  const ends: unknown[] = [];
  for (const kernel of [s.m.kernel, restore(bytes)]) {
    s.m.kernel = kernel;
    s.m.advance(50);
    ends.push([s.faults(pid), Buffer.from(snapshot(kernel)).toString("base64")]);
    expect(s.m.broken()).toEqual([]);
  }
  expect(ends[1]).toEqual(ends[0]);
  expect(s.faults(pid).major).toBeGreaterThan(faults.major + 50);
  // user nice system idle iowait
  expect(Number(s.m.text("/proc/stat").split("\n")[0].split(/ +/)[5])).toBeGreaterThan(0);
});

test("a page that is used again and again stays; one that is locked stays; what came from swap and was not written goes without a write", async () => {
  const s = new Short(64);
  const pid = await s.m.createProcess();
  const hot = s.anon(pid, 4);
  s.fill(pid, hot, 4);
  const locked = s.anon(pid, 8);
  s.must(pid, "mlock", { addr: locked, len: 8 * PAGE });
  expect(s.kb("Unevictable")).toBe(32);
  const cold = s.anon(pid, 3000);
  let settled = 0;
  for (let page = 0; page < 3000; page++) {
    if (page === 2000) settled = s.faults(pid).major;
    s.put(pid, cold + page * PAGE, 1);
    if (page % 50 === 0) for (let one = 0; one < 4; one++) s.get(pid, hot + one * PAGE + one);
  }
  s.check(pid, hot, 4);
  for (let page = 0; page < 8; page++) s.get(pid, locked + page * PAGE);
  // A thousand pages came and went meanwhile.
  expect(s.faults(pid).major).toBe(settled);
  expect(s.kb("Active(anon)")).toBeGreaterThanOrEqual(16);
  s.must(pid, "munlock", { addr: locked, len: 8 * PAGE });
  expect(s.kb("Unevictable")).toBe(0);

  // One page of swap is read, not written, and pushed out again: its place there is still good.
  s.get(pid, cold);
  const written = s.vm("pswpout");
  s.must(pid, "madvise", { addr: cold, length: PAGE, advice: "MADV_PAGEOUT" });
  expect(s.vm("pswpout")).toBe(written);
  s.put(pid, cold, 9);
  s.must(pid, "madvise", { addr: cold, length: PAGE, advice: "MADV_PAGEOUT" });
  expect(s.vm("pswpout")).toBe(written + 1);
  expect(s.get(pid, cold)).toBe(9);
  expect(s.m.broken()).toEqual([]);
});

test("what MADV_FREE gave away stays until memory is short, and goes without a write to swap, but for what was written again", async () => {
  const s = new Short();
  const pid = await s.m.createProcess();
  const at = s.anon(pid, 40);
  s.fill(pid, at, 40);
  s.must(pid, "madvise", { addr: at, length: 40 * PAGE, advice: "MADV_FREE" });
  s.check(pid, at, 40);
  const lazy = [...s.m.text(`/proc/${pid}/smaps`).matchAll(/^LazyFree: +(\d+)/gm)].map(([, kb]) => Number(kb));
  expect(Math.max(...lazy)).toBe(160);
  expect(s.vm("pglazyfree")).toBe(40);
  for (let page = 0; page < 40; page += 4) s.put(pid, at + page * PAGE + page, 1 + page);
  const push = s.anon(pid, 1000);
  s.fill(pid, push, 1000);
  for (let page = 0; page < 40; page++) expect([page, s.get(pid, at + page * PAGE + page)]).toEqual([page, page % 4 === 0 ? 1 + page : 0]);
  expect(s.vm("pglazyfreed")).toBe(30);
  expect(s.m.broken()).toEqual([]);
});

test("a look at a file whose pages are in swap shows them and changes nothing", async () => {
  const s = new Short();
  const pid = await s.m.createProcess();
  const fd = s.must(pid, "openat", { dirfd: "AT_FDCWD", pathname: "/tmp/f", flags: "O_RDWR|O_CREAT", mode: 0o644 });
  for (let page = 0; page < 100; page++) s.must(pid, "pwrite64", { fd, buf: `page ${page}`.padEnd(PAGE, "."), offset: page * PAGE });
  const push = s.anon(pid, 1200);
  s.fill(pid, push, 1200);
  expect(s.kb("Shmem")).toBe(0);
  const before = snapshot(s.m.kernel);
  expect(s.m.text("/tmp/f")).toBe(Array.from({ length: 100 }, (_, page) => `page ${page}`.padEnd(PAGE, ".")).join(""));
  expect(Buffer.from(snapshot(s.m.kernel)).equals(before)).toBe(true);
});

test("parent and child share what is in swap until one of them writes", async () => {
  const s = new Short();
  const pid = await s.m.createProcess();
  const at = s.anon(pid, 1500);
  s.fill(pid, at, 1500);
  const child = s.must(pid, "fork", {});
  expect(s.number(`/proc/${child}/status`, "VmSwap")).toBe(s.number(`/proc/${pid}/status`, "VmSwap"));
  s.put(child, at, 77);
  expect([s.get(pid, at), s.get(child, at)]).toEqual([1, 77]);
  s.check(pid, at, 1500);
  expect(s.m.broken()).toEqual([]);
  s.m.feed({ type: "killProcess", pid });
  for (let page = 1; page < 1500; page += 7) expect(s.get(child, at + page * PAGE + page)).toBe(1 + (page % 250));
  s.m.feed({ type: "killProcess", pid: child });
  expect(s.kb("SwapFree")).toBe(s.kb("SwapTotal"));
  expect(s.m.broken()).toEqual([]);
});

test("shared memory goes to swap, in segments and in files of tmpfs; a locked segment stays", async () => {
  const s = new Short();
  const pid = await s.m.createProcess();
  const attach = (pages: number): [number, number] => {
    const id = s.must(pid, "shmget", { key: 0, size: pages * PAGE, shmflg: 0o600 });
    return [id, Number(s.call(pid, "shmat", { shmid: id, shmaddr: 0, shmflg: 0 }).ret)];
  };
  const [fixed, stays] = attach(20);
  s.must(pid, "shmctl", { shmid: fixed, cmd: "SHM_LOCK" });
  s.fill(pid, stays, 20);
  const [, at] = attach(400);
  s.fill(pid, at, 400);
  const fd = s.must(pid, "memfd_create", { name: "m", flags: 0 });
  s.must(pid, "ftruncate", { fd, length: 400 * PAGE });
  for (let page = 0; page < 400; page++) s.must(pid, "pwrite64", { fd, buf: `page ${page}`, offset: page * PAGE });
  const push = s.anon(pid, 900);
  s.fill(pid, push, 900);
  const usage = s.call(pid, "shmctl", { shmid: 0, cmd: "SHM_INFO" });
  expect(usage.errno).toBeNull();
  const { shm_rss: resident, shm_swp: swapped, shm_tot: total } = (usage.buf ?? {}) as unknown as { [name: string]: number };
  expect(total).toBe(420);
  expect(resident + swapped).toBe(420);
  expect(swapped).toBeGreaterThan(300);
  const before = s.faults(pid).major;
  s.check(pid, stays, 20);
  expect(s.faults(pid).major).toBe(before);
  s.check(pid, at, 400);
  for (let page = 0; page < 400; page++) {
    const { buf } = s.call(pid, "pread64", { fd, count: 8, offset: page * PAGE });
    expect(Buffer.from(buf!.base64, "base64").toString().replace(/\0+$/, "")).toBe(`page ${page}`);
  }
  s.check(pid, push, 900);
  expect(s.m.broken()).toEqual([]);
});

test("with swap full, whoever has most is killed, by its score; one that is never to be killed is not", async () => {
  const s = new Short(2);
  const [safe, big, small] = [await s.m.createProcess(), await s.m.createProcess(), await s.m.createProcess()];
  const fd = s.must(safe, "openat", { dirfd: "AT_FDCWD", pathname: "/proc/self/oom_score_adj", flags: "O_WRONLY" });
  s.must(safe, "write", { fd, buf: "-1000" });
  const held = s.anon(safe, 600);
  s.fill(safe, held, 600);
  expect(s.m.text(`/proc/${safe}/oom_score`)).toBe("0\n");
  const most = s.anon(big, 400);
  s.fill(big, most, 400);
  expect(Number(s.m.text(`/proc/${big}/oom_score`))).toBeGreaterThan(Number(s.m.text(`/proc/${small}/oom_score`)));
  const at = s.anon(small, 1400);
  let page = 0;
  while (s.vm("oom_kill") === 0 && page < 1400) s.put(small, at + page++ * PAGE, 1);
  const lines = s.m.kernel.state.log.records.map(({ text }) => text);
  const from = lines.findIndex((line) => line.includes("invoked oom-killer"));
  expect(lines[from]).toBe("sh invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0");
  expect(lines.slice(from)).toContain("Mem-Info:");
  expect(lines.slice(from)).toContain("Free swap  = 0kB");
  expect(lines.slice(from)).toContain("Total swap = 2044kB");
  const killed = lines.find((line) => line.startsWith("Out of memory: Killed process"))!;
  const victim = page > 400 ? small : big;
  expect(killed).toMatch(new RegExp(`^Out of memory: Killed process ${victim} \\(sh\\) total-vm:\\d+kB, anon-rss:\\d+kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:\\d+kB oom_score_adj:0$`));
  s.check(safe, held, 600);
  expect(s.m.broken()).toEqual([]);
});
