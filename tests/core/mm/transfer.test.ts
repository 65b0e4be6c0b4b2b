/** Time and the disk: a driven call that waits for a page from swap ends by itself; a program of its own goes on as the clock is moved. */
import { expect, test } from "vitest";
import { CoreMachine } from "../../helpers/core.ts";

const PAGE = 4096;
const PAGES = 1500;

test("a driven process walks through more memory than there is, and nobody moves the clock", () => {
  const m = new CoreMachine({ ramMiB: 8, swapMiB: 16 });
  m.feed({ type: "makeHome", path: "/root", uid: 0 });
  const pid = m.feed({ type: "createProcess", comm: "walker", uid: 0, member: "owner", home: "/root" }).pid ?? 0;
  const { ret } = m.callNow(pid, "mmap", { length: PAGES * PAGE, prot: 3, flags: "MAP_PRIVATE|MAP_ANONYMOUS" }) as { ret: string };
  const at = (page: number): string => `0x${(BigInt(ret) + BigInt(page * PAGE)).toString(16)}`;
  for (let page = 0; page < PAGES; page++) expect(m.callNow(pid, "store", { addr: at(page), buf: String(page) })).toMatchObject({ state: "returned", ret: String(page).length });
  const before = m.kernel.state.time.nowNs;
  const swapped = m.kernel.state.mm.events.pswpin;
  for (let page = 0; page < PAGES; page++) {
    expect(m.callNow(pid, "load", { addr: at(page), length: 4 })).toMatchObject({ state: "returned", buf: { text: String(page).padEnd(4, "\0") } });
  }
  const pages = m.kernel.state.mm.events.pswpin - swapped;
  expect(pages).toBeGreaterThan(PAGES / 2);
  // Some hundred microseconds of the disk for each.
  expect((m.kernel.state.time.nowNs - before) / pages).toBeGreaterThan(100_000);
  // The same in one trip.
  const calls = Array.from({ length: PAGES }, (_, page) => ({ call: "load", args: { addr: at(page), length: 1 } }));
  const { ended } = m.feed({ type: "batch", pid, callId: "all", calls, onError: "stop" });
  expect((ended[0].answer as { results: unknown[] }).results).toHaveLength(PAGES);
  expect(m.broken()).toEqual([]);
});

test("a program that thrashes goes no further than its command's first second by itself", () => {
  const m = new CoreMachine({ ramMiB: 8, swapMiB: 64 });
  m.feed({ type: "makeHome", path: "/root", uid: 0 });
  const began = m.kernel.state.time.nowNs;
  m.feed({ type: "program", callId: "work", program: "command", args: { script: "work 16 R 100000" }, uid: 0, member: "owner", home: "/root" });
  const { nowNs } = m.kernel.state.time;
  expect(m.stand("work").state).toBe("sleeping");
  expect(m.kernel.state.mm.events.pgmajfault).toBeGreaterThan(100);
  expect(nowNs - began).toBeLessThan(1_500_000_000);
  const majors = m.kernel.state.mm.events.pgmajfault;
  m.advance(1000);
  expect(m.kernel.state.mm.events.pgmajfault).toBeGreaterThan(majors + 500);
  expect(m.kernel.state.time.nowNs).toBe(nowNs + 1_000_000_000);
});
