/** Modules that lose memory, and what kmemleak and the allocators say of them. */
import { describe, expect, test } from "vitest";
import { freePages } from "../../../core/mm/page_alloc.ts";
import "../../../core/labs/testmodules/leaks.ts";
import { bootAgain, copy, expectSame, replay } from "../../helpers/replay.ts";
import { Lab, type Outcome } from "./lab.ts";

const FILE = "/sys/kernel/debug/kmemleak";
const got = ({ ret, errno }: Outcome): number | string => errno ?? Number(ret);
const lines = (lab: Lab): string[] => lab.dmesg().map(([level, text]) => `${level}: ${text}`);
const told = (lab: Lab): string[] => lines(lab).filter((line) => line.includes("kmemleak"));

function echo(lab: Lab, command: string): number | string {
  const { ret: fd } = lab.call("openat", { pathname: FILE, flags: "O_WRONLY" });
  const result = lab.call("write", { fd, buf: command });
  lab.call("close", { fd });
  return got(result);
}

describe("what a module leaves at rmmod", () => {
  test("a kmalloc and a vmalloc are told in the form of kmemleak", async () => {
    const lab = await Lab.boot();
    lab.insmod("leaktest", "kmalloc=100 vmalloc=5000 leak=1");
    expect(lab.text(FILE)).toBe("");
    lab.dmesg();
    expect(got(lab.rmmod("leaktest"))).toBe(0);
    expect(lines(lab)).toEqual(["info: kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"]);
    lab.machine.advance(1500);
    const text = lab.text(FILE);
    const [object, area] = text.split(/^(?=unreferenced)/m);
    expect(object).toMatch(new RegExp([
      "^unreferenced object 0xffff8880[0-9a-f]{8} \\(size 128\\):",
      `  comm "sh", pid ${lab.pid}, jiffies 429[0-9]{7} \\(age 1\\.5[0-9]{2}s\\)`,
      "  hex dump \\(first 32 bytes\\):",
      "    6c 6f 73 74 20 61 6e 64 20 66 6f 75 6e 64 00 00  lost and found\\.\\.",
      "    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  \\.{16}",
      "  backtrace:",
      "    \\[<00000000[0-9a-f]{8}>\\] kmalloc_trace\\+0x2a/0xa0",
      "    \\[<00000000[0-9a-f]{8}>\\] m_init\\+0x0/0x1000 \\[leaktest\\]",
      "    \\[<00000000[0-9a-f]{8}>\\] do_one_initcall\\+0x59/0x220",
      "    \\[<00000000[0-9a-f]{8}>\\] do_init_module\\+0x4a/0x1f0",
      "    \\[<00000000[0-9a-f]{8}>\\] __do_sys_finit_module\\+0xac/0x120",
      "    \\[<00000000[0-9a-f]{8}>\\] do_syscall_64\\+0x5d/0xb0",
      "    \\[<00000000[0-9a-f]{8}>\\] entry_SYSCALL_64_after_hwframe\\+0x6e/0xd8\\n$",
    ].join("\\n")));
    expect(area).toMatch(/^unreferenced object 0xffffc900[0-9a-f]{8} \(size 8192\):\n/);
    expect(lab.machine.broken()).toEqual([]);
  });

  test("pages and a cache with an object in it: the cache cannot go", async () => {
    const lab = await Lab.boot();
    lab.insmod("leaktest", "pages=1 cache=1 leak=1");
    expect(lab.text("/proc/slabinfo")).toMatch(/^leak_cache {13}1 {5}39 {4}104 {3}39 {4}1 : tunables {4}0 {4}0 {4}0 : slabdata {6}1 {6}1 {6}0$/m);
    lab.dmesg();
    lab.rmmod("leaktest");
    const said = lines(lab);
    const at = said.findIndex((line) => line.startsWith("err: BUG leak_cache (Tainted: G           OE     ): Objects remaining in leak_cache on __kmem_cache_shutdown()"));
    expect(at).toBeGreaterThan(0);
    expect(said.slice(at)).toEqual(expect.arrayContaining([
      expect.stringMatching(/^err: Slab 0x[0-9a-f]{16} objects=39 used=1 fp=0x[0-9a-f]{16} flags=/),
      expect.stringMatching(/^err: Object 0x[0-9a-f]{16} @offset=0$/),
      "warn: kmem_cache_destroy leak_cache: Slab cache still has objects when called from m_exit+0x0/0x1000 [leaktest]",
      "err: leaktest: module leaves slab cache 'leak_cache' behind", "err: leaktest: module leaves 2 pages behind",
      "info: kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    ]) as unknown[]);
    expect(lab.text(FILE)).toMatch(/\(size 100\):\n/);
    // The next one of that name is refused.
    lab.insmod("leaktest", "pages=0");
    expect(lab.text("/proc/slabinfo")).toContain("leak_cache");
    expect(lab.machine.broken()).toEqual([]);
  });

  test("nothing, when it gives all back; the memory is there again", async () => {
    const lab = await Lab.boot();
    const free = freePages(lab.machine.kernel.state.mm);
    lab.insmod("leaktest", "kmalloc=20000 vmalloc=5000 pages=1 cache=1");
    expect(freePages(lab.machine.kernel.state.mm)).toBeLessThan(free);
    lab.dmesg();
    lab.rmmod("leaktest");
    expect(lines(lab)).toEqual([]);
    expect(freePages(lab.machine.kernel.state.mm)).toBe(free);
  });

  test("each leak once, however often the module comes and goes", async () => {
    const lab = await Lab.boot();
    for (let round = 1; round <= 3; round++) {
      lab.insmod("leaktest", "kmalloc=8 leak=1");
      lab.dmesg();
      lab.rmmod("leaktest");
      expect(told(lab)).toEqual(["info: kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"]);
      expect(lab.text(FILE).split("unreferenced").length - 1).toBe(round);
    }
    expect(lab.text(FILE)).toContain("    6c 6f 73 74 20 61 6e 64                          lost and\n");
  });
});

describe("what is written to kmemleak", () => {
  test("scan finds what a module that is there has forgotten, five seconds later", async () => {
    const lab = await Lab.boot();
    lab.insmod("leaktest", "kmalloc=50 vmalloc=100 drop=2");
    lab.dmesg();
    expect(echo(lab, "scan")).toBe(4);
    expect(told(lab)).toEqual([]);
    lab.machine.advance(5100);
    expect(echo(lab, "scan\n")).toBe(5);
    expect(told(lab)).toEqual(["info: kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"]);
    expect([...lab.text(FILE).matchAll(/\(size ([0-9]+)\)/g)].map(([, size]) => size)).toEqual(["64", "64"]);
    expect(echo(lab, "scan")).toBe(4);
    expect(told(lab)).toEqual([]);
    expect(echo(lab, "clear")).toBe(5);
    expect(lab.text(FILE)).toBe("");
    // Those that were cleared are not told again, also not as the module goes.
    lab.rmmod("leaktest");
    expect(told(lab)).toEqual([]);
  });

  test("dump tells of one allocation; what begins nowhere is EINVAL", async () => {
    const lab = await Lab.boot();
    lab.insmod("leaktest", "kmalloc=100 leak=1");
    lab.rmmod("leaktest");
    const [, address] = /object (0x[0-9a-f]+)/.exec(lab.text(FILE)) ?? [];
    lab.dmesg();
    expect(echo(lab, `dump=${address}`)).toBe(5 + address.length);
    expect(lines(lab).slice(0, 7)).toEqual([
      `notice: kmemleak: Object ${address} (size 128):`, expect.stringMatching(/^notice: kmemleak: {3}comm "sh", pid [0-9]+, jiffies [0-9]+$/),
      "notice: kmemleak:   min_count = 1", "notice: kmemleak:   count = 0", "notice: kmemleak:   flags = 0x3", "notice: kmemleak:   checksum = 0",
      "notice: kmemleak:   backtrace:",
    ]);
    expect(echo(lab, "dump=0x10")).toBe("EINVAL");
    expect(lines(lab)).toEqual(["notice: kmemleak: Unknown object at 0x00000010"]);
    expect(echo(lab, "dump=here")).toBe("EINVAL");
  });

  test("off is for good: new memory is not followed, and only clear is taken", async () => {
    const lab = await Lab.boot();
    expect([echo(lab, "stack=off"), echo(lab, "stack=on"), echo(lab, "scan=off"), echo(lab, "scan=60"), echo(lab, "scan=on")]).toEqual([9, 8, 8, 7, 7]);
    expect([echo(lab, "scan=x"), echo(lab, "what"), echo(lab, "")]).toEqual(["EINVAL", "EINVAL", "EINVAL"]);
    expect(echo(lab, "off")).toBe(3);
    expect(told(lab)).toEqual(["info: kmemleak: Kernel memory leak detector disabled"]);
    expect([echo(lab, "scan"), echo(lab, "off"), echo(lab, "clear")]).toEqual(["EPERM", "EPERM", 5]);
    lab.insmod("leaktest", "kmalloc=8 leak=1");
    lab.rmmod("leaktest");
    expect(told(lab)).toEqual([]);
    expect(lab.text(FILE)).toBe("");
    const user = await lab.machine.createProcess(1000);
    expect(got(lab.call("openat", { pathname: FILE, flags: "O_RDONLY" }, user))).toBe("EACCES");
  });
});

describe("a module that asks for what there is not", () => {
  test("too much is NULL, with the page allocator's warning once and vmalloc's reason", async () => {
    const lab = await Lab.boot();
    lab.insmod("leaktest", "huge=1");
    const said = lines(lab);
    expect(said).toContain("info: leaktest: kmalloc=0 pages=0 vmalloc=0");
    expect(said.filter((line) => line.startsWith("warn: WARNING: "))).toEqual([`warn: WARNING: CPU: 0 PID: ${lab.pid} at mm/page_alloc.c:5534 __alloc_pages+0x30a/0x560`]);
    expect(said).toContain("warn: sh: vmalloc error: size 1099511627776, exceeds total pages, mode:0xcc0(GFP_KERNEL), nodemask=(null),cpuset=/,mems_allowed=0");
    lab.rmmod("leaktest");
    lab.insmod("leaktest", "huge=1");
    expect(lines(lab).filter((line) => /WARNING|vmalloc error/.test(line))).toEqual([]);
  });

  test("nothing is ZERO_SIZE_PTR of kmalloc, and a warning of vmalloc", async () => {
    const lab = await Lab.boot();
    lab.insmod("leaktest", "zero=1");
    const said = lines(lab);
    expect(said).toContain("info: leaktest: vmalloc(0)=0");
    expect(said.filter((line) => line.includes("WARNING"))).toEqual([expect.stringContaining("at mm/vmalloc.c:")]);
    lab.rmmod("leaktest");
    expect(told(lab)).toEqual([]);
  });

  test("a second kfree is a BUG, and the end of who called", async () => {
    const lab = await Lab.boot();
    const victim = await lab.machine.createProcess(0);
    const own = lab.pid;
    lab.pid = victim;
    lab.insmod("leaktest", "twice=1");
    lab.pid = own;
    const said = lines(lab);
    expect(said).toContain("crit: kernel BUG at mm/slub.c:440!");
    expect(said).toContain("warn: RIP: 0010:__slab_free+0x22f/0x370");
    expect(lab.text("/proc/sys/kernel/tainted")).toBe(`${(1 << 7) | (1 << 12) | (1 << 13)}\n`);
    expect(lab.machine.kernel.state.sched.tasks.get(victim)?.state ?? "gone").toMatch(/zombie|gone/);
    expect(lab.machine.broken()).toEqual([]);
  });

  test("kfree of what is no object warns once", async () => {
    const lab = await Lab.boot();
    lab.insmod("leaktest", "stray=1");
    expect(lines(lab)).toContainEqual(expect.stringMatching(/^warn: object pointer: 0x[0-9a-f]{16}$/));
    lab.rmmod("leaktest");
    lab.insmod("leaktest", "stray=1");
    expect(lines(lab).filter((line) => line.includes("object pointer"))).toEqual([]);
  });
});

test("replayed, and restored between any two inputs, it is the same", async () => {
  const lab = await Lab.boot();
  lab.insmod("leaktest", "kmalloc=5000 vmalloc=9000 pages=1 cache=1 drop=3 leak=1 zero=1 huge=1");
  lab.machine.advance(6000);
  echo(lab, "scan");
  lab.rmmod("leaktest");
  lab.insmod("leaktest", "kmalloc=10 vmalloc=1");
  echo(lab, "clear");
  lab.rmmod("leaktest");
  const { machine } = lab;
  expectSame(machine.kernel, replay(bootAgain(machine), machine.journal));
  expectSame(machine.kernel, replay(bootAgain(machine), machine.journal, copy));
});
