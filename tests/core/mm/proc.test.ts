/** /proc texts about memory, in the recorded formats. */
import { expect, test } from "vitest";
import { storeUser } from "../../../core/mm/access.ts";
import { brk } from "../../../core/mm/brk.ts";
import { meminfoText, vmstatText } from "../../../core/mm/meminfo.ts";
import { mlock } from "../../../core/mm/mlock.ts";
import { mmap } from "../../../core/mm/mmap.ts";
import { mapsText, smapsRollupText, smapsText, statmNumbers } from "../../../core/mm/proc.ts";
import { MemoryMachine } from "./machine.ts";

const PAGE = 4096;

/** The first lines of /proc/meminfo on the recorded machine, numbers taken out. */
const RECORDED_MEMINFO = `MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive Active(anon) Inactive(anon) Active(file) Inactive(file)
Unevictable Mlocked SwapTotal SwapFree Zswap Zswapped Dirty Writeback AnonPages Mapped Shmem KReclaimable Slab SReclaimable SUnreclaim
KernelStack PageTables SecPageTables NFS_Unstable Bounce WritebackTmp CommitLimit Committed_AS VmallocTotal VmallocUsed VmallocChunk Percpu
HardwareCorrupted AnonHugePages ShmemHugePages ShmemPmdMapped FileHugePages FilePmdMapped HugePages_Total HugePages_Free HugePages_Rsvd
HugePages_Surp Hugepagesize Hugetlb DirectMap4k DirectMap2M DirectMap1G`.split(/\s/);

test("maps: ranges, rights, offsets, devices and names in their columns", () => {
  const m = new MemoryMachine();
  const { k } = m;
  const task = m.process();
  mmap(k, task, { addr: 0x400000, length: PAGE, prot: 1, flags: 0x12, file: m.file(3 * PAGE), pgoff: 2 });
  mmap(k, task, { addr: 0x5e5000, length: 7 * PAGE, prot: 3, flags: 0x32, file: null, pgoff: 0 });
  mmap(k, task, { addr: 0x700000, length: PAGE, prot: 5, flags: 0x31, file: null, pgoff: 0 });
  const heap = brk(k, task, 0);
  brk(k, task, heap + PAGE);
  expect(mapsText(k, task)).toBe(
    "00400000-00401000 r--p 00002000 00:18 1001                               /tmp/f1\n" +
    "005e5000-005ec000 rw-p 00000000 00:00 0 \n" +
    "00700000-00701000 r-xs 00000000 00:01 1024                               /dev/zero (deleted)\n" +
    `${heap.toString(16)}-${(heap + PAGE).toString(16)} rw-p 00000000 00:00 0                          [heap]\n`);
  expect(mapsText(k, m.process())).toBe("");
});

test("smaps tells what is present, shared and dirty, and the flags of each mapping", () => {
  const m = new MemoryMachine();
  const { k } = m;
  const task = m.process();
  const at = mmap(k, task, { addr: 0x400000, length: 4 * PAGE, prot: 3, flags: 0x32, file: null, pgoff: 0 });
  storeUser(k, task, at, new Uint8Array(2 * PAGE));
  const child = m.fork(task);
  storeUser(k, child, at, new Uint8Array(1));
  mlock(k, task, at, 4 * PAGE, 1);
  expect(smapsText(k, child)).toBe(`00400000-00404000 rw-p 00000000 00:00 0 
Size:                 16 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   8 kB
Pss:                   6 kB
Pss_Dirty:             6 kB
Shared_Clean:          0 kB
Shared_Dirty:          4 kB
Private_Clean:         0 kB
Private_Dirty:         4 kB
Referenced:            4 kB
Anonymous:             8 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
SwapPss:               0 kB
Locked:                0 kB
THPeligible:    0
ProtectionKey:         0
VmFlags: rd wr mr mw me ac sd 
`);
  expect(smapsText(k, task)).toContain("VmFlags: rd wr mr mw me lo lf ac sd \n");
  expect(smapsRollupText(k, child).split("\n")[0])
    .toBe("00400000-00404000 ---p 00000000 00:00 0                                  [rollup]");
  expect(statmNumbers(k, child)).toEqual([4, 2, 0, 0, 0, 4, 0]);
});

test("meminfo has the recorded lines in their order, and adds up", () => {
  const m = new MemoryMachine({ ramMiB: 64, swapMiB: 32 });
  const { k } = m;
  const task = m.process();
  const value = (name: string): number => Number(new RegExp(`^${name.replace(/[()]/g, "\\$&")}: +(\\d+)`, "m").exec(meminfoText(k))?.[1]);
  const free = value("MemFree");
  const at = mmap(k, task, { addr: 0, length: 10 * PAGE, prot: 3, flags: 0x22, file: null, pgoff: 0 });
  storeUser(k, task, at, new Uint8Array(10 * PAGE));
  const shared = mmap(k, task, { addr: 0, length: PAGE, prot: 3, flags: 0x21, file: null, pgoff: 0 });
  storeUser(k, task, shared, new Uint8Array(1));
  const lines = meminfoText(k).trimEnd().split("\n");
  expect(lines.map((line) => line.split(":")[0])).toEqual(RECORDED_MEMINFO);
  for (const line of lines) expect(line).toMatch(/^\S+: +\d+( kB)?$/);
  expect(lines[0]).toBe("MemTotal:          60416 kB");
  expect([value("AnonPages"), value("Shmem"), value("PageTables"), value("Committed_AS")]).toEqual([40, 4, 16, 44]);
  expect(free - value("MemFree")).toBe(60);
  expect(value("SwapTotal")).toBe(32764);
  expect(vmstatText(k)).toMatch(/^pgfault 11$/m);
  expect(vmstatText(k)).toMatch(/^nr_anon_pages 10$/m);
});
