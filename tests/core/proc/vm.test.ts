/** /proc/sys/vm, the OOM killer's files, and the files that tell of page frames, against what a 6.1 answered. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { getU64 } from "../../../core/lib/bytes.ts";
import { freePages, ZERO_PFN } from "../../../core/mm/page_alloc.ts";
import { dumpPte } from "../../../core/mm/remap.ts";
import { groupOf, taskOf } from "../../../core/sched/task.ts";
import { Lab, type Outcome } from "../modules/lab.ts";

const got = ({ ret, errno }: Outcome): number | string => errno ?? Number(ret);
const bytes = ({ answer }: Outcome): Uint8Array => ("buf" in answer ? Buffer.from((answer.buf as { base64: string }).base64, "base64") : new Uint8Array());

function write(lab: Lab, pathname: string, buf: string, pid = lab.pid): number | string {
  const { ret: fd, errno } = lab.call("openat", { pathname, flags: "O_WRONLY" }, pid);
  if (errno !== null) return errno;
  const result = lab.call("write", { fd, buf }, pid);
  lab.call("close", { fd }, pid);
  return got(result);
}

describe("/proc/sys/vm", () => {
  test("takes and refuses what Linux does, and tells as much as taken", async () => {
    const rows = JSON.parse(readFileSync(join(import.meta.dirname, "recorded/vm_sysctl.json"), "utf8")) as [string, string, number | "EINVAL", string | null][];
    expect(rows.length).toBeGreaterThan(100);
    const lab = await Lab.boot();
    const wrong: string[] = [];
    for (const [name, given, result, after] of rows) {
      const path = `/proc/sys/vm/${name}`;
      const before = after === null ? "" : lab.text(path);
      const answer = write(lab, path, given);
      if (answer !== result) wrong.push(`${name} ${JSON.stringify(given)}: ${answer}, not ${result}`);
      if (after === null) continue;
      if (lab.text(path) !== `${after}\n`) wrong.push(`${name} ${JSON.stringify(given)}: shows ${lab.text(path)}, not ${after}`);
      if (name === "overcommit_memory") write(lab, path, "0");
      else if (lab.text(path) !== before) write(lab, path, before);
    }
    expect(wrong).toEqual([]);
    expect(lab.machine.broken()).toEqual([]);
  });

  test("bytes and ratios of dirty memory put each other out; so do the two commit limits", async () => {
    const lab = await Lab.boot();
    const vm = (name: string): string => lab.text(`/proc/sys/vm/${name}`).trim();
    expect(write(lab, "/proc/sys/vm/dirty_bytes", "8191")).toBe("EINVAL");
    expect(write(lab, "/proc/sys/vm/dirty_bytes", "8192")).toBe(4);
    expect([vm("dirty_bytes"), vm("dirty_ratio")]).toEqual(["8192", "0"]);
    expect(write(lab, "/proc/sys/vm/dirty_ratio", "30")).toBe(2);
    expect([vm("dirty_bytes"), vm("dirty_ratio")]).toEqual(["0", "30"]);
    expect(write(lab, "/proc/sys/vm/dirty_background_bytes", "0")).toBe("EINVAL");
    expect(write(lab, "/proc/sys/vm/overcommit_kbytes", "4000")).toBe(4);
    expect(vm("overcommit_ratio")).toBe("0");
    expect(lab.text("/proc/meminfo")).toContain(`CommitLimit:    ${String(4000 + 65532).padStart(8)} kB`);
    expect(write(lab, "/proc/sys/vm/overcommit_ratio", "50")).toBe(2);
    expect(vm("overcommit_kbytes")).toBe("0");
  });

  test("drop_caches says who and what, until 4 is written; nobody reads it", async () => {
    const lab = await Lab.boot();
    for (const [value, result] of [["1", 1], ["4", 1], ["3", 1], ["0", "EINVAL"], ["5", "EINVAL"]] as const) {
      expect(write(lab, "/proc/sys/vm/drop_caches", value)).toBe(result);
    }
    expect(lab.dmesg().map(([, text]) => text)).toEqual([`sh (${lab.pid}): drop_caches: 1`, `sh (${lab.pid}): drop_caches: 4`]);
    expect(got(lab.call("openat", { pathname: "/proc/sys/vm/drop_caches", flags: "O_RDONLY" }))).toBe("EACCES");
    expect(lab.text("/proc/vmstat")).toMatch(/^drop_pagecache 2\ndrop_slab 1$/m);
  });

  test("watermarks follow min_free_kbytes and the scale factor, and stand in zoneinfo", async () => {
    const lab = await Lab.boot();
    write(lab, "/proc/sys/vm/min_free_kbytes", "4012");
    expect(lab.text("/proc/zoneinfo")).toMatch(/min {6}1003\n +low {6}1253\n +high {5}1503\n/);
    write(lab, "/proc/sys/vm/watermark_scale_factor", "1000");
    const step = Math.floor((Number(/managed +([0-9]+)/.exec(lab.text("/proc/zoneinfo"))?.[1]) * 1000) / 10_000);
    expect(lab.text("/proc/zoneinfo")).toContain(`low      ${1003 + step}\n        high     ${1003 + 2 * step}\n`);
  });
});

describe("free memory", () => {
  test("buddyinfo, pagetypeinfo, zoneinfo and vmstat count the same pages", async () => {
    const lab = await Lab.boot();
    const sum = (line: string): number => line.trim().split(/ +/).reduce((all, count, order) => all + Number(count) * 2 ** order, 0);
    const { mm } = lab.machine.kernel.state;
    const check = (): void => {
      const free = freePages(mm);
      expect(sum(lab.text("/proc/buddyinfo").slice("Node 0, zone    DMA32 ".length))).toBe(free);
      const types = [...lab.text("/proc/pagetypeinfo").matchAll(/type +[A-Za-z]+ ((?: *[0-9]+ )+)\n/g)].map(([, counts]) => sum(counts));
      expect(types).toHaveLength(6);
      expect(types.reduce((all, one) => all + one, 0)).toBe(free);
      expect(lab.text("/proc/zoneinfo")).toContain(`pages free     ${free}\n`);
      expect(lab.text("/proc/vmstat")).toContain(`nr_free_pages ${free}\n`);
    };
    check();
    const { ret: addr } = lab.call("mmap", { length: 37 * 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS|MAP_POPULATE" });
    check();
    lab.call("munmap", { addr, length: 36 * 4096 });
    check();
  });

  test("Slab of meminfo is what the lines of slabinfo add up to", async () => {
    const lab = await Lab.boot();
    const rows = lab.text("/proc/slabinfo").trimEnd().split("\n").slice(2).map((line) => line.split(/ +/));
    const pages = rows.reduce((all, row) => all + Number(row[14]) * Number(row[5]), 0);
    const of = (name: string): number => Number(new RegExp(`^${name}: +([0-9]+) kB$`, "m").exec(lab.text("/proc/meminfo"))?.[1]);
    expect(of("Slab")).toBe(pages * 4);
    expect(of("SReclaimable") + of("SUnreclaim")).toBe(of("Slab"));
    const tasks = rows.find(([name]) => name === "task_struct");
    expect(Number(tasks?.[1])).toBe(lab.machine.kernel.state.sched.tasks.size);
    const user = await lab.machine.createProcess(1000);
    expect(got(lab.call("openat", { pathname: "/proc/slabinfo", flags: "O_RDONLY" }, user))).toBe("EACCES");
  });
});

describe("files a page frame", () => {
  test("pagemap leads to kpagecount and kpageflags", async () => {
    const lab = await Lab.boot();
    const addr = Number(lab.call("mmap", { length: 2 * 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" }).ret);
    lab.call("store", { addr: `0x${addr.toString(16)}`, buf: "x" });
    lab.call("load", { addr: `0x${(addr + 4096).toString(16)}`, length: 1 });
    const at = (path: string, index: number): bigint => {
      const { ret: fd } = lab.call("openat", { pathname: path, flags: "O_RDONLY" });
      const word = BigInt(getU64(bytes(lab.call("pread64", { fd, count: 8, offset: index * 8 })), 0));
      lab.call("close", { fd });
      return word;
    };
    const entry = at("/proc/self/pagemap", addr / 4096);
    const pfn = Number(entry & ((1n << 55n) - 1n));
    expect(entry >> 55n).toBe(0x103n);
    expect(pfn).toBe(Number(BigInt(`0x${dumpPte(lab.machine.kernel, taskOf(lab.machine.kernel, lab.pid), addr)}`) >> 12n & 0xfffffn));
    expect(at("/proc/kpagecount", pfn)).toBe(1n);
    expect(at("/proc/kpageflags", pfn)).toBe(0x4_0000_5828n);
    // A page that was only read is the zero page: there, nobody's own.
    expect(at("/proc/self/pagemap", addr / 4096 + 1)).toBe((0x101n << 55n) | BigInt(ZERO_PFN));
    expect(at("/proc/kpageflags", ZERO_PFN) & (1n << 24n)).not.toBe(0n);
    const { mm } = lab.machine.kernel.state;
    expect(at("/proc/kpageflags", mm.ramPages - 1)).toBe(0x400n);
    expect(at("/proc/kpageflags", mm.ramPages)).toBe(1n << 20n);
    expect(at("/proc/kpagecgroup", pfn)).toBe(0n);
  });

  test("sizes and positions are multiples of eight; the end of memory is the end of the file", async () => {
    const lab = await Lab.boot();
    for (const name of ["kpagecount", "kpageflags", "kpagecgroup", "self/pagemap"]) {
      const { ret: fd } = lab.call("openat", { pathname: `/proc/${name}`, flags: "O_RDONLY" });
      const read = (count: number, offset: number): number | string => got(lab.call("pread64", { fd, count, offset }));
      expect([read(8, 0), read(7, 0), read(8, 4), read(0, 3), read(16, 0)]).toEqual([8, "EINVAL", "EINVAL", "EINVAL", 16]);
      expect(read(8, 2 ** 40)).toBe(0);
      expect([got(lab.call("lseek", { fd, offset: 8, whence: "SEEK_SET" })), got(lab.call("lseek", { fd, offset: 8, whence: "SEEK_CUR" }))]).toEqual([8, 16]);
      expect(got(lab.call("lseek", { fd, offset: 0, whence: "SEEK_END" }))).toBe("EINVAL");
    }
    const user = await lab.machine.createProcess(1000);
    expect(got(lab.call("openat", { pathname: "/proc/kpageflags", flags: "O_RDONLY" }, user))).toBe("EACCES");
    const { ret: own } = lab.call("openat", { pathname: "/proc/self/pagemap", flags: "O_RDONLY" }, user);
    const addr = Number(lab.call("mmap", { length: 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS|MAP_POPULATE" }, user).ret);
    const entry = BigInt(getU64(bytes(lab.call("pread64", { fd: own, count: 8, offset: (addr / 4096) * 8 }, user)), 0));
    expect(entry).toBe(0x103n << 55n);
  });

  test("a kernel thread has an empty memory", async () => {
    const lab = await Lab.boot();
    for (const name of ["mem", "pagemap"]) {
      const { ret: fd } = lab.call("openat", { pathname: `/proc/2/${name}`, flags: "O_RDONLY" });
      expect(fd).toBeGreaterThan(2);
      expect(got(lab.call("pread64", { fd, count: 8, offset: 4096 }))).toBe(0);
    }
  });
});

describe("the OOM killer's files", () => {
  const ADJ = "/proc/self/oom_score_adj";

  test("take numbers as kstrtoint does, of at most twelve characters", async () => {
    const lab = await Lab.boot();
    const rows: [string, number | string, string][] = [
      ["5", 1, "5"], ["5\n", 2, "5"], [" 5", 2, "5"], ["5 ", 2, "5"], ["+5", 2, "5"], ["0x10", 4, "16"], ["010", 3, "8"], ["", "EINVAL", "0"],
      ["\n", "EINVAL", "0"], ["abc", "EINVAL", "0"], ["5x", "EINVAL", "0"], ["1001", "EINVAL", "0"], ["-1001", "EINVAL", "0"], ["-1000", 5, "-1000"],
      ["1000", 4, "1000"], ["99999999999", "ERANGE", "0"], ["5 6", "EINVAL", "0"], ["1111111111111", "ERANGE", "0"], ["0000000000007", 12, "0"],
      ["5\0", 2, "5"], ["\0" + "5", "EINVAL", "0"], ["-0", 2, "0"],
    ];
    const wrong: unknown[] = [];
    for (const [given, result, after] of rows) {
      const answer = write(lab, ADJ, given);
      const now = lab.text(`/proc/${lab.pid}/oom_score_adj`).trim();
      if (answer !== result || now !== after) wrong.push([given, answer, now]);
      write(lab, ADJ, "0");
    }
    expect(wrong).toEqual([]);
    expect(write(lab, "/proc/self/oom_score", "5")).toBe("EINVAL");
  });

  test("the old scale stands beside the new one, and says once that it is old", async () => {
    const lab = await Lab.boot();
    const rows: [string, number | string, number, number][] = [
      ["15", 2, 15, 1000], ["16", "EINVAL", 0, 0], ["-16", 3, -15, -941], ["-17", 3, -17, -1000], ["-18", "EINVAL", 0, 0], ["5", 1, 4, 294],
      ["", "EINVAL", 0, 0], ["7", 1, 6, 411], ["-3", 2, -2, -176], ["14", 2, 13, 823],
    ];
    for (const [given, result, old, adj] of rows) {
      expect([given, write(lab, "/proc/self/oom_adj", given)]).toEqual([given, result]);
      expect([Number(lab.text(`/proc/${lab.pid}/oom_adj`)), Number(lab.text(`/proc/${lab.pid}/oom_score_adj`))]).toEqual([old, adj]);
      write(lab, ADJ, "0");
    }
    expect(lab.dmesg()).toEqual([["warn", `sh (${lab.pid}): /proc/${lab.pid}/oom_adj is deprecated, please use /proc/${lab.pid}/oom_score_adj instead.`]]);
    for (const [adj, old] of [[999, 15], [500, 8], [59, 1], [58, 0], [-999, -16]]) {
      write(lab, ADJ, String(adj));
      expect(Number(lab.text(`/proc/${lab.pid}/oom_adj`))).toBe(old);
    }
  });

  test("the score grows with the adjustment; -1000 is 0", async () => {
    const lab = await Lab.boot();
    const score = (adj: number): number => {
      write(lab, ADJ, String(adj));
      return Number(lab.text(`/proc/${lab.pid}/oom_score`));
    };
    expect(score(-1000)).toBe(0);
    expect(score(0)).toBeGreaterThanOrEqual(666);
    expect(score(0)).toBeLessThan(680);
    expect(score(1000)).toBeGreaterThan(1320);
    expect(score(-999)).toBeLessThan(20);
  });

  test("who is not privileged goes back to what a privileged one set, by the old file not even there", async () => {
    const lab = await Lab.boot();
    write(lab, ADJ, "100");
    const fds = ["oom_score_adj", "oom_adj"].map((name) => lab.call("openat", { pathname: `/proc/self/${name}`, flags: "O_RDWR" }).ret);
    lab.call("setresuid", { ruid: 1000, euid: 1000, suid: 1000 });
    const put = (which: number, buf: string): unknown => [got(lab.call("pwrite64", { fd: fds[which], buf, offset: 0 })), Number(lab.text(`/proc/${lab.pid}/oom_score_adj`))];
    expect(["50", "200", "150", "100", "99", "0", "1000", "100"].map((value) => put(0, value))).toEqual([
      ["EACCES", 100], [3, 200], [3, 150], [3, 100], ["EACCES", 100], ["EACCES", 100], [4, 1000], [3, 100],
    ]);
    expect(["1", "2", "15", "14", "-17", "0"].map((value) => put(1, value))).toEqual([
      ["EACCES", 100], [1, 117], [2, 1000], ["EACCES", 1000], ["EACCES", 1000], ["EACCES", 1000],
    ]);
    expect([put(0, "100"), put(0, "99")]).toEqual([[3, 100], ["EACCES", 100]]);
    const child = Number(lab.call("fork").ret);
    expect(groupOf(lab.machine.kernel, taskOf(lab.machine.kernel, child))).toMatchObject({ oomScoreAdj: 100, oomScoreAdjMin: 100 });
  });
});

describe("what the numbers do", () => {
  test("max_map_count bounds the mappings of a process", async () => {
    const lab = await Lab.boot();
    const map = (): number | string => got(lab.call("mmap", { length: 4096, prot: made++ % 2 === 0 ? "PROT_READ" : "PROT_NONE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" }));
    let made = 0;
    write(lab, "/proc/sys/vm/max_map_count", "20");
    let last = map();
    while (typeof last === "number" && made < 100) last = map();
    expect(last).toBe("ENOMEM");
    // As Linux: the limit is looked at before the mapping is made, so that there may be one more.
    expect(lab.text(`/proc/${lab.pid}/maps`).trimEnd().split("\n")).toHaveLength(21);
    write(lab, "/proc/sys/vm/max_map_count", "30");
    expect(map()).toBeGreaterThan(0);
  });

  test("mmap_min_addr keeps users from low addresses; hints stay above it", async () => {
    const lab = await Lab.boot();
    const user = await lab.machine.createProcess(1000);
    const map = (addr: number, flags: string): number | string =>
      got(lab.call("mmap", { addr: `0x${addr.toString(16)}`, length: 4096, prot: "PROT_READ", flags: `MAP_PRIVATE|MAP_ANONYMOUS${flags}` }, user));
    expect([map(0x1000, "|MAP_FIXED"), map(0x1000, "")]).toEqual(["EPERM", 0x10000]);
    write(lab, "/proc/sys/vm/mmap_min_addr", "4096");
    expect([map(0x1000, "|MAP_FIXED"), map(0x2000, ""), map(0, "|MAP_FIXED")]).toEqual([0x1000, expect.any(Number), "EPERM"]);
    write(lab, "/proc/sys/vm/mmap_min_addr", "131072");
    expect(map(0x3000, "")).toBe(0x20000);
  });

  test("a page in swap is told by pagemap", async () => {
    const lab = await Lab.boot({ ramMiB: 8, swapMiB: 32 });
    const pages = 2000;
    const addr = Number(lab.call("mmap", { length: pages * 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" }).ret);
    lab.call("madvise", { addr, length: pages * 4096, advice: "MADV_POPULATE_WRITE" });
    lab.machine.advance(1000);
    const { ret: fd } = lab.call("openat", { pathname: "/proc/self/pagemap", flags: "O_RDONLY" });
    const words = bytes(lab.call("pread64", { fd, count: pages * 8, offset: (addr / 4096) * 8 }));
    const swapped = Array.from({ length: pages }, (_, at) => BigInt(getU64(words, at * 8))).filter((entry) => ((entry >> 62n) & 1n) === 1n);
    expect(swapped.length).toBeGreaterThan(100);
    for (const entry of swapped) expect([entry >> 63n, entry & 31n, (entry & ((1n << 55n) - 1n)) > 31n]).toEqual([0n, 0n, true]);
    expect(lab.text(`/proc/${lab.pid}/status`)).toMatch(new RegExp(`VmSwap:\\t *${swapped.length * 4} kB`));
    expect(new Set(swapped).size).toBe(swapped.length);
  });
});

test("without overcommit the limit is kept to the page, less what is reserved", async () => {
  const lab = await Lab.boot();
  const user = await lab.machine.createProcess(1000);
  const { mm } = lab.machine.kernel.state;
  write(lab, "/proc/sys/vm/overcommit_memory", "2");
  const limit = Number(/CommitLimit: +([0-9]+)/.exec(lab.text("/proc/meminfo"))?.[1]) / 4;
  /** Pages below what is left that a process gets at most. */
  const short = (pid: number): number => {
    const map = (pages: number): boolean => {
      const { ret, errno } = lab.call("mmap", { length: pages * 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" }, pid);
      if (errno === null) lab.call("munmap", { addr: ret, length: pages * 4096 }, pid);
      return errno === null;
    };
    let [low, high] = [0, limit];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (map(middle)) low = middle;
      else high = middle;
    }
    return limit - mm.committedPages - low;
  };
  const ownShare = (pid: number): number => Math.floor((mm.spaces.get(taskOf(lab.machine.kernel, pid).mm)?.totalVm ?? 0) / 32);
  const admin = Math.floor(mm.vm.adminReserveKbytes / 4);
  expect([short(lab.pid), short(user)]).toEqual([ownShare(lab.pid) + 1, ownShare(user) + admin + 1]);
  lab.call("mmap", { length: 640 * 4096, prot: "PROT_NONE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  expect(short(lab.pid)).toBe(20 + 1);
  write(lab, "/proc/sys/vm/user_reserve_kbytes", "8");
  expect(short(lab.pid)).toBe(2 + 1);
});
