/** The law of distinct pages: of P pages, n stores at random touch P(1-(1-1/P)^n), and each is one minor fault. */
import { expect, test } from "vitest";
import type { CallRequest } from "../../../core/input.ts";
import { nextBelow, seedRng } from "../../../core/lib/rng.ts";
import { CoreMachine } from "../../helpers/core.ts";

const PAGE = 4096;
const AT_ONCE = 5000;

class Toucher {
  readonly m: CoreMachine;
  readonly pid: number;

  constructor() {
    this.m = new CoreMachine({ ramMiB: 128, swapMiB: 0 });
    this.m.feed({ type: "makeHome", path: "/root", uid: 0 });
    this.pid = this.m.feed({ type: "createProcess", comm: "touch", uid: 0, member: "owner", home: "/root" }).pid ?? 0;
  }

  map(pages: number, flags = "MAP_PRIVATE|MAP_ANONYMOUS"): bigint {
    const { ret } = this.m.callNow(this.pid, "mmap", { length: pages * PAGE, prot: "PROT_READ|PROT_WRITE", flags }) as { ret: string };
    return BigInt(ret);
  }

  /** A byte at each address, many to a trip. */
  touch(call: "load" | "store", addrs: bigint[]): void {
    for (let from = 0; from < addrs.length; from += AT_ONCE) {
      const calls = addrs.slice(from, from + AT_ONCE).map((addr): CallRequest =>
        ({ call, args: call === "load" ? { addr: `0x${addr.toString(16)}`, length: 1 } : { addr: `0x${addr.toString(16)}`, buf: "x" } }));
      const { ended } = this.m.feed({ type: "batch", pid: this.pid, callId: `t${this.m.calls++}`, calls, onError: "stop" });
      expect((ended[0].answer as { results: unknown[] }).results).toHaveLength(calls.length);
    }
  }

  /** Minor faults of the process: /proc/PID/stat and getrusage say the same. */
  faults(): number {
    const stat = Number(this.m.text(`/proc/${this.pid}/stat`).split(" ")[9]);
    const { usage } = this.m.callNow(this.pid, "getrusage", { who: "RUSAGE_SELF" }) as unknown as { usage: { ru_minflt: number; ru_majflt: number } };
    expect([usage.ru_minflt, usage.ru_majflt]).toEqual([stat, 0]);
    return stat;
  }
}

test.each([[5000, 2500], [5000, 5000], [20_000, 40_000], [10_000, 60_000]])("%i pages, %i stores", (pages, stores) => {
  const t = new Toucher();
  const at = t.map(pages);
  const random = seedRng(stores);
  const addrs = Array.from({ length: stores }, () => at + BigInt(nextBelow(random, pages * PAGE)));
  const before = t.faults();
  const pgfault = (): number => Number(/^pgfault (\d+)$/m.exec(t.m.text("/proc/vmstat"))?.[1]);
  const all = pgfault();
  t.touch("store", addrs);
  const faults = t.faults() - before;
  expect(faults).toBe(new Set(addrs.map((addr) => addr / BigInt(PAGE))).size);
  expect(Math.abs(faults / (pages * (1 - (1 - 1 / pages) ** stores)) - 1)).toBeLessThan(0.01);
  expect(pgfault() - all).toBe(faults);
  // Nothing is new the second time.
  t.touch("store", addrs);
  expect(t.faults() - before).toBe(faults);
});

test("a private page that is read before it is written is two faults, a shared one is one", () => {
  const t = new Toucher();
  const pages = 500;
  const each = (at: bigint): bigint[] => Array.from({ length: pages }, (_, page) => at + BigInt(page * PAGE));
  const own = t.map(pages);
  const before = t.faults();
  t.touch("load", each(own));
  expect(t.faults() - before).toBe(pages);
  t.touch("store", each(own));
  expect(t.faults() - before).toBe(2 * pages);
  const shared = t.map(pages, "MAP_SHARED|MAP_ANONYMOUS");
  t.touch("store", each(shared));
  t.touch("load", each(shared));
  expect(t.faults() - before).toBe(3 * pages);
});
