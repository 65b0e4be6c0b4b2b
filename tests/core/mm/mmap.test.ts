/** What mmap and its relatives accept, in Linux's order of checks, and where they put things. */
import { describe, expect, test } from "vitest";
import { errnoName } from "../../../core/abi/errno.ts";
import { loadUser, storeUser } from "../../../core/mm/access.ts";
import { brk } from "../../../core/mm/brk.ts";
import { mmInvariants } from "../../../core/mm/invariants.ts";
import { madvise } from "../../../core/mm/madvise.ts";
import { mlock, mlockall, munlock } from "../../../core/mm/mlock.ts";
import { mmap } from "../../../core/mm/mmap.ts";
import { mprotect } from "../../../core/mm/mprotect.ts";
import { mremap } from "../../../core/mm/mremap.ts";
import { mapsText } from "../../../core/mm/proc.ts";
import { spaceOf } from "../../../core/mm/space.ts";
import { mincore, msync } from "../../../core/mm/sync.ts";
import { munmap } from "../../../core/mm/unmap.ts";
import type { OpenFile } from "../../../core/fs/file.ts";
import type { Task } from "../../../core/sched/task.ts";
import { MemoryMachine } from "./machine.ts";

const PAGE = 4096;
const SHARED = 1, PRIVATE = 2, FIXED = 0x10, ANON = 0x20, GROWSDOWN = 0x100, LOCKED = 0x2000, NORESERVE = 0x4000, NOREPLACE = 0x100000;
const NONE = 0, READ = 1, WRITE = 2, RW = 3;

class Shell extends MemoryMachine {
  readonly task: Task = this.process();

  map(length: number | bigint, prot: number, flags: number, { addr = 0, file = null, pgoff = 0, task = this.task }: {
    addr?: number | bigint; file?: OpenFile | null; pgoff?: number; task?: Task;
  } = {}): number {
    return mmap(this.k, task, { addr, length, prot, flags, file, pgoff });
  }

  /** start-end perms of the task's mappings, relative to `base`, in pages. */
  maps(base: number, task = this.task): string[] {
    return mapsText(this.k, task).split("\n").filter((line) => line !== "").map((line) => {
      const [range, perms] = line.split(" ");
      const [start, end] = range.split("-").map((hex) => (Number.parseInt(hex, 16) - base) / PAGE);
      return `${start}-${end} ${perms}`;
    });
  }

  store(addr: number, text = "x"): string {
    const { done, fault } = storeUser(this.k, this.task, addr, new TextEncoder().encode(text));
    return fault === null ? String(done) : `${fault.signal}/${fault.siCode}`;
  }

  load(addr: number, count = 1): string {
    const { bytes, fault } = loadUser(this.k, this.task, addr, count);
    return fault === null ? new TextDecoder().decode(bytes) : `${fault.signal}/${fault.siCode}`;
  }
}

const name = (result: number): string | number => (result < 0 && result >= -4095 ? errnoName(-result) : result);

describe("errors in Linux's order", () => {
  test("a length of zero comes first, then too long, then the address, then the file", () => {
    const sh = new Shell();
    const readOnly = sh.file(PAGE, { canWrite: false });
    const writeOnly = sh.file(PAGE, { canRead: false });
    expect(name(sh.map(0, RW, PRIVATE | ANON))).toBe("EINVAL");
    expect(name(sh.map(2 ** 47, RW, SHARED, { file: readOnly }))).toBe("ENOMEM");
    expect(name(sh.map(2n ** 64n - 1n, RW, PRIVATE | ANON))).toBe("ENOMEM");
    expect(name(sh.map(PAGE, RW, PRIVATE | ANON | FIXED, { addr: 4097 }))).toBe("EINVAL");
    expect(name(sh.map(PAGE, RW, PRIVATE | ANON | FIXED, { addr: 0xffff800000000000n }))).toBe("ENOMEM");
    expect(name(sh.map(PAGE, RW, PRIVATE | ANON | FIXED, { addr: 2 ** 47 - PAGE }))).toBe("ENOMEM");
    expect(name(sh.map(PAGE, RW, ANON))).toBe("EINVAL");
    expect(name(sh.map(PAGE, RW, SHARED, { file: readOnly }))).toBe("EACCES");
    expect(name(sh.map(PAGE, READ, PRIVATE, { file: writeOnly }))).toBe("EACCES");
    expect(name(sh.map(PAGE, READ, 0, { file: readOnly }))).toBe("EINVAL");
    expect(name(sh.map(PAGE, READ, SHARED, { file: readOnly, pgoff: 2 ** 52 - 1 }))).toBe("EOVERFLOW");
    expect(name(sh.map(PAGE, READ, SHARED | 2 | 0x80000, { file: readOnly }))).toBe("EOPNOTSUPP");
    sh.operations.set("plain", {});
    const device = sh.file(PAGE);
    device.ops = "plain";
    expect(name(sh.map(PAGE, READ, SHARED, { file: device }))).toBe("ENODEV");
    expect(name(sh.map(PAGE, RW, PRIVATE | GROWSDOWN, { file: sh.file(PAGE) }))).toBe("EINVAL");
    expect(sh.maps(0)).toEqual([]);
  });

  test("only the administrator maps below vm.mmap_min_addr", () => {
    const sh = new Shell();
    expect(sh.map(PAGE, RW, PRIVATE | ANON | FIXED)).toBe(0);
    const user = sh.process(1000);
    expect(name(sh.map(PAGE, RW, PRIVATE | ANON | FIXED, { task: user }))).toBe("EPERM");
    expect(sh.map(PAGE, RW, PRIVATE | ANON, { task: user, addr: 4096 })).toBe(65536);
  });

  test("munmap, mprotect, msync, madvise and mremap refuse what Linux refuses", () => {
    const sh = new Shell();
    const { k, task } = sh;
    const at = sh.map(4 * PAGE, RW, PRIVATE | ANON);
    munmap(k, task, at + 2 * PAGE, PAGE);
    expect(name(munmap(k, task, at + 1, PAGE))).toBe("EINVAL");
    expect(name(munmap(k, task, at, 0))).toBe("EINVAL");
    expect(name(munmap(k, task, at, 2 ** 60))).toBe("EINVAL");
    expect(munmap(k, task, at + 2 * PAGE, PAGE)).toBe(0);
    expect(name(mprotect(k, task, at + 1, PAGE, READ))).toBe("EINVAL");
    expect(name(mprotect(k, task, at, PAGE, 0x40))).toBe("EINVAL");
    expect(name(mprotect(k, task, at, 4 * PAGE, READ))).toBe("ENOMEM");
    expect(sh.maps(at)).toEqual(["0-2 r--p", "3-4 rw-p"]);
    expect(name(msync(k, task, at, 4 * PAGE, 4))).toBe("ENOMEM");
    expect(name(msync(k, task, at, PAGE, 5))).toBe("EINVAL");
    expect(name(madvise(k, task, at, PAGE, 999))).toBe("EINVAL");
    expect(name(madvise(k, task, at, 4 * PAGE, 4))).toBe("ENOMEM");
    expect(name(mremap(k, task, at, PAGE, 0, 0, 0))).toBe("EINVAL");
    expect(name(mremap(k, task, at + 2 * PAGE, PAGE, PAGE, 1, 0))).toBe("EFAULT");
    expect(name(mremap(k, task, at, PAGE, PAGE, 2, 0))).toBe("EINVAL");
    expect(name(mremap(k, task, at, PAGE, 2 * PAGE, 0, 0))).toBe("ENOMEM");
    expect(name(mremap(k, task, at, 3 * PAGE, 4 * PAGE, 1, 0))).toBe("EFAULT");
  });

  test("a mapping of a file that is not open for writing never becomes writable", () => {
    const sh = new Shell();
    const shared = sh.map(PAGE, READ, SHARED, { file: sh.file(PAGE, { canWrite: false }) });
    expect(name(mprotect(sh.k, sh.task, shared, PAGE, RW))).toBe("EACCES");
    expect(sh.store(shared)).toBe("11/2");
  });
});

describe("limits", () => {
  const limit = (sh: Shell, resource: number, bytes: number): void => {
    sh.k.state.sched.groups.get(sh.task.tgid)!.rlimits[resource] = { cur: bytes, max: bytes };
  };

  test("RLIMIT_AS counts all mappings, but not those that a fixed one replaces", () => {
    const sh = new Shell();
    limit(sh, 9, 4 * PAGE);
    const at = sh.map(4 * PAGE, RW, PRIVATE | ANON);
    expect(name(sh.map(PAGE, RW, PRIVATE | ANON))).toBe("ENOMEM");
    expect(sh.map(4 * PAGE, READ, PRIVATE | ANON | FIXED, { addr: at })).toBe(at);
    expect(name(mremap(sh.k, sh.task, at, 4 * PAGE, 5 * PAGE, 1, 0))).toBe("ENOMEM");
  });

  test("RLIMIT_DATA counts private writable memory and the heap", () => {
    const sh = new Shell();
    limit(sh, 2, 2 * PAGE);
    expect(sh.map(2 * PAGE, RW, PRIVATE | ANON)).toBeGreaterThan(0);
    expect(name(sh.map(PAGE, RW, PRIVATE | ANON))).toBe("ENOMEM");
    expect(sh.map(PAGE, RW, SHARED | ANON)).toBeGreaterThan(0);
    const { startBrk } = spaceOf(sh.k, sh.task);
    expect(brk(sh.k, sh.task, startBrk + 10 * PAGE)).toBe(startBrk);
    expect(sh.k.state.log.records.at(-1)?.text).toContain("exceed data ulimit");
  });

  test("RLIMIT_MEMLOCK binds who has no CAP_IPC_LOCK", () => {
    const sh = new Shell();
    const user = sh.process(1000);
    sh.k.state.sched.groups.get(user.tgid)!.rlimits[8] = { cur: 2 * PAGE, max: 2 * PAGE };
    const at = sh.map(4 * PAGE, RW, PRIVATE | ANON, { task: user });
    expect(mlock(sh.k, user, at, 2 * PAGE, 0)).toBe(0);
    expect(mlock(sh.k, user, at, 2 * PAGE, 0)).toBe(0);
    expect(name(mlock(sh.k, user, at, 3 * PAGE, 0))).toBe("ENOMEM");
    expect(name(sh.map(PAGE, RW, PRIVATE | ANON | LOCKED, { task: user }))).toBe("EAGAIN");
    expect(name(mlockall(sh.k, user, 1))).toBe("ENOMEM");
    expect(munlock(sh.k, user, at, PAGE)).toBe(0);
    expect(spaceOf(sh.k, user).lockedVm).toBe(1);
    sh.k.state.sched.groups.get(user.tgid)!.rlimits[8] = { cur: 0, max: 0 };
    expect(name(mlock(sh.k, user, at, PAGE, 0))).toBe("EPERM");
  });

  test("more than can ever be had is not promised, unless nobody reserves it", () => {
    const sh = new Shell({ ramMiB: 32 });
    expect(name(sh.map(64 << 20, RW, PRIVATE | ANON))).toBe("ENOMEM");
    expect(name(sh.map(64 << 20, RW, SHARED | ANON))).toBe("ENOMEM");
    expect(sh.map(64 << 20, RW, PRIVATE | ANON | NORESERVE)).toBeGreaterThan(0);
    expect(sh.map(64 << 20, READ, PRIVATE | ANON)).toBeGreaterThan(0);
  });

  test("vm.max_map_count is 65530", () => {
    const sh = new Shell();
    let result = 0;
    let count = 0;
    for (; result >= 0; count++) result = sh.map(PAGE, count % 2 === 0 ? RW : READ, PRIVATE | ANON | FIXED, { addr: 0x40000000 + count * PAGE });
    expect(name(result)).toBe("ENOMEM");
    expect(spaceOf(sh.k, sh.task).mapCount).toBe(65531);
  });
});

describe("placement", () => {
  test("downwards from mmap_base, the highest gap that is large enough", () => {
    const sh = new Shell();
    const first = sh.map(2 * PAGE, RW, PRIVATE | ANON);
    expect(first).toBe(spaceOf(sh.k, sh.task).mmapBase - 2 * PAGE);
    const second = sh.map(PAGE, READ, PRIVATE | ANON);
    expect(second).toBe(first - PAGE);
    munmap(sh.k, sh.task, first, PAGE);
    expect(sh.map(2 * PAGE, NONE, PRIVATE | ANON)).toBe(second - 2 * PAGE);
    expect(sh.map(PAGE, NONE, SHARED | ANON)).toBe(first);
  });

  test("a wish is granted where nothing lies, and only a wish where something does", () => {
    const sh = new Shell();
    expect(sh.map(PAGE, RW, PRIVATE | ANON, { addr: 0x40000123 })).toBe(0x40000000);
    expect(sh.map(PAGE, RW, PRIVATE | ANON, { addr: 0x40000000 })).not.toBe(0x40000000);
    expect(name(sh.map(2 * PAGE, RW, PRIVATE | ANON | NOREPLACE, { addr: 0x40000000 - PAGE }))).toBe("EEXIST");
    expect(sh.map(PAGE, RW, PRIVATE | ANON | NOREPLACE, { addr: 0x50000000 })).toBe(0x50000000);
    expect(sh.map(PAGE, RW, PRIVATE | ANON | 0x40)).toBe(0x40000000 + PAGE);
  });

  test("the same seed places alike, another one elsewhere", () => {
    const at = (seed: number): number => new Shell({ seed }).map(PAGE, RW, PRIVATE | ANON);
    expect(at(7)).toBe(at(7));
    expect(at(7)).not.toBe(at(8));
  });

  test("a mapping that grows down keeps a guard gap and stops at what lies below", () => {
    const sh = new Shell();
    sh.map(PAGE, RW, PRIVATE | ANON | GROWSDOWN | FIXED, { addr: 0x50000000 });
    expect(sh.store(0x50000000 - 3 * PAGE)).toBe("1");
    expect(sh.maps(0x50000000)).toEqual(["-3-1 rw-p"]);
    sh.map(PAGE, RW, PRIVATE | ANON | FIXED, { addr: 0x50000000 - 300 * PAGE });
    expect(sh.store(0x50000000 - 40 * PAGE)).toBe("1");
    expect(sh.store(0x50000000 - 60 * PAGE)).toBe("11/1");
    expect(sh.store(0x50000000 - 4000 * PAGE)).toBe("11/1");
  });
});

describe("mremap", () => {
  test("shrinks, grows where there is room, and moves with its pages when it may", () => {
    const sh = new Shell();
    const { k, task } = sh;
    const at = sh.map(4 * PAGE, RW, PRIVATE | ANON);
    sh.store(at, "first");
    sh.store(at + PAGE, "second");
    expect(mremap(k, task, at, 4 * PAGE, 2 * PAGE, 0, 0)).toBe(at);
    expect(sh.load(at + 2 * PAGE)).toBe("11/1");
    expect(mremap(k, task, at, 2 * PAGE, 3 * PAGE, 0, 0)).toBe(at);
    const to = mremap(k, task, at, 3 * PAGE, 16 * PAGE, 1, 0);
    expect(to).not.toBe(at);
    expect([sh.load(to, 5), sh.load(to + PAGE, 6), sh.load(at)]).toEqual(["first", "second", "11/1"]);
    expect(mremap(k, task, to, 16 * PAGE, 16 * PAGE, 3, 0x60000000)).toBe(0x60000000);
    expect(sh.load(0x60000000, 5)).toBe("first");
    expect(mremap(k, task, 0x60000000, 16 * PAGE, 16 * PAGE, 5, 0)).not.toBe(0x60000000);
    expect(sh.load(0x60000000, 5)).toBe("\0\0\0\0\0");
    expect(mmInvariants(k)).toEqual([]);
  });

  test("an old size of zero maps shared memory once more, and private memory never", () => {
    const sh = new Shell();
    const shared = sh.map(PAGE, RW, SHARED | ANON);
    const twin = mremap(sh.k, sh.task, shared, 0, PAGE, 1, 0);
    sh.store(shared, "both");
    expect(sh.load(twin, 4)).toBe("both");
    expect(name(mremap(sh.k, sh.task, sh.map(PAGE, RW, PRIVATE | ANON), 0, PAGE, 1, 0))).toBe("EINVAL");
  });
});

describe("the heap", () => {
  test("brk grows, shrinks and never answers an error", () => {
    const sh = new Shell();
    const { k, task } = sh;
    const start = brk(k, task, 0);
    expect(brk(k, task, start + 10_000)).toBe(start + 10_000);
    expect(sh.store(start + 9_999)).toBe("1");
    expect(sh.maps(start)).toEqual(["0-3 rw-p"]);
    expect(mapsText(k, task)).toContain("[heap]");
    expect(brk(k, task, start - 1)).toBe(start + 10_000);
    expect(brk(k, task, start + 100)).toBe(start + 100);
    expect(sh.load(start + PAGE)).toBe("11/1");
    sh.map(PAGE, RW, PRIVATE | ANON | FIXED, { addr: start + 400 * PAGE });
    expect(brk(k, task, start + 500 * PAGE)).toBe(start + 100);
  });
});

describe("madvise and mincore", () => {
  test("MADV_REMOVE frees shared memory for everybody, MADV_WIPEONFORK clears it in the child", () => {
    const sh = new Shell();
    const { k, task } = sh;
    const shared = sh.map(PAGE, RW, SHARED | ANON);
    const wiped = sh.map(PAGE, RW, PRIVATE | ANON);
    const kept = sh.map(PAGE, READ, PRIVATE | ANON);
    sh.store(shared, "data");
    sh.store(wiped, "gone");
    expect(name(madvise(k, task, wiped, PAGE, 9))).toBe("EINVAL");
    expect(name(madvise(k, task, shared, PAGE, 18))).toBe("EINVAL");
    expect(madvise(k, task, wiped, PAGE, 18)).toBe(0);
    expect(madvise(k, task, kept, PAGE, 10)).toBe(0);
    const child = sh.fork(task);
    expect(new TextDecoder().decode(loadUser(k, child, wiped, 4).bytes)).toBe("\0\0\0\0");
    expect(loadUser(k, child, kept, 1).fault?.siCode).toBe(1);
    expect(madvise(k, task, shared, PAGE, 9)).toBe(0);
    expect(new TextDecoder().decode(loadUser(k, child, shared, 4).bytes)).toBe("\0\0\0\0");
    // What the mapping may be made counts, not what it is.
    mprotect(k, task, shared, PAGE, READ);
    expect(madvise(k, task, shared, PAGE, 9)).toBe(0);
    mlock(k, task, wiped, PAGE, 0);
    expect(name(madvise(k, task, wiped, PAGE, 4))).toBe("EINVAL");
    expect(madvise(k, task, wiped, PAGE, 24)).toBe(0);
  });

  test("mincore tells what is in memory", () => {
    const sh = new Shell();
    const { k, task } = sh;
    const vec = sh.map(PAGE, RW, PRIVATE | ANON);
    const anon = sh.map(3 * PAGE, RW, PRIVATE | ANON, { addr: 0x40000000 });
    sh.store(anon + PAGE);
    const file = sh.map(2 * PAGE, READ, SHARED, { file: sh.file(2 * PAGE) });
    const look = (addr: number, pages: number): number[] => {
      expect(mincore(k, task, addr, pages * PAGE, vec)).toBe(0);
      return [...loadUser(k, task, vec, pages).bytes];
    };
    expect(look(anon, 3)).toEqual([0, 1, 0]);
    expect(look(file, 2)).toEqual([1, 1]);
    expect(name(mincore(k, task, anon, 4 * PAGE, vec))).toBe("ENOMEM");
    expect(name(mincore(k, task, anon + 1, PAGE, vec))).toBe("EINVAL");
    expect(name(mincore(k, task, anon, PAGE, 0x1000))).toBe("EFAULT");
  });
});

test("PROT_WRITE alone can be read, PROT_NONE cannot be touched", () => {
  const sh = new Shell();
  const writable = sh.map(PAGE, WRITE, PRIVATE | ANON);
  sh.store(writable, "w");
  expect(sh.load(writable)).toBe("w");
  const none = sh.map(PAGE, NONE, PRIVATE | ANON);
  expect([sh.load(none), sh.store(none)]).toEqual(["11/2", "11/2"]);
});
