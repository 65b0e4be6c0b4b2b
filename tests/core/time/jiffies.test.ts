/** Jiffies: where they start, how they wrap, and times in them. */
import { CoreMachine } from "../../helpers/core.ts";
import { describe, expect, test } from "vitest";
import { tickStartNs } from "../../../core/time/clock.ts";
import {
  jiffies, jiffiesToClockT, jiffiesToMsecs, jiffiesToNsecs, jiffiesToUsecs, jiffyNs, MAX_JIFFY_OFFSET, msecsToJiffies, nsecsToJiffies, roundJiffies,
  roundJiffiesRelative, roundJiffiesUp, timeAfter, timeAfter32, timeBefore32, timeInRange, usecsToJiffies,
} from "../../../core/time/jiffies.ts";

const machine = (hz: number): CoreMachine => new CoreMachine({ ramMiB: 16, swapMiB: 0, hz });

describe("the count", () => {
  test("starts 300 s before its low 32 bits wrap, as recorded", () => {
    expect(jiffies(machine(250).kernel)).toBe(4294892296);
    expect(jiffies(machine(100).kernel)).toBe(4294937296);
    expect(jiffies(machine(1000).kernel)).toBe(4294667296);
  });

  test.each([100, 250, 300, 1000])("goes up by HZ %i a second, each at its time", (hz) => {
    const m = machine(hz);
    const begin = jiffies(m.kernel);
    for (const ms of [1, 2, 3, 7, 10, 977, 1000, 10_000, 100_000]) {
      m.advance(ms);
      const { nowNs } = m.kernel.state.time;
      const count = jiffies(m.kernel) - begin;
      expect(count).toBe(Math.floor((nowNs * hz) / 1e9));
      expect(jiffyNs(m.kernel, begin + count)).toBeLessThanOrEqual(nowNs);
      expect(jiffyNs(m.kernel, begin + count + 1)).toBeGreaterThan(nowNs);
      expect(tickStartNs(m.kernel, nowNs)).toBe(jiffyNs(m.kernel, begin + count));
    }
  });

  test("passes the wrap of 32 bits after five minutes, and whoever keeps only those compares right", () => {
    const m = machine(250);
    m.advance(299_990);
    const before = jiffies(m.kernel);
    expect(before).toBeLessThan(2 ** 32);
    m.advance(20);
    const after = jiffies(m.kernel);
    expect(after).toBeGreaterThanOrEqual(2 ** 32);
    expect(timeAfter(after, before)).toBe(true);
    const [low, high] = [before >>> 0, after >>> 0];
    expect(high).toBeLessThan(low);
    expect(timeAfter32(high, low)).toBe(true);
    expect(timeBefore32(low, high)).toBe(true);
    expect(timeAfter32(low, high)).toBe(false);
    expect(timeAfter32(low, low)).toBe(false);
    expect(timeInRange(before, before, after)).toBe(true);
  });
});

describe("times in jiffies", () => {
  test("as recorded at HZ 250", () => {
    const { kernel } = machine(250);
    expect([1, 100, 50, 0].map((ms) => msecsToJiffies(kernel, ms))).toEqual([1, 25, 13, 0]);
    expect(jiffiesToMsecs(kernel, 1)).toBe(4);
  });

  test("round up to whole jiffies, and an endless time stays so", () => {
    const { kernel } = machine(300);
    expect([1, 3, 4, 10, 1000, 1001].map((ms) => msecsToJiffies(kernel, ms))).toEqual([1, 1, 2, 3, 300, 301]);
    expect(msecsToJiffies(kernel, -1)).toBe(MAX_JIFFY_OFFSET);
    expect(msecsToJiffies(kernel, 2 ** 31)).toBe(MAX_JIFFY_OFFSET);
    expect([1, 3333, 3334].map((us) => usecsToJiffies(kernel, us))).toEqual([1, 1, 2]);
    expect(nsecsToJiffies(kernel, 6_666_665)).toBe(1);
    expect(jiffiesToMsecs(kernel, 1)).toBe(4);
    expect(jiffiesToUsecs(kernel, 1)).toBe(3333);
    expect(jiffiesToNsecs(kernel, 3)).toBe(10_000_000);
    expect(jiffiesToClockT(kernel, 300)).toBe(100);
  });

  test("to whole seconds: down in a first quarter, else up, and never into the past", () => {
    const { kernel } = machine(250);
    const second = Math.ceil(jiffies(kernel) / 250) * 250;
    expect(roundJiffies(kernel, second + 250 + 61, 0)).toBe(second + 250);
    expect(roundJiffies(kernel, second + 250 + 63, 0)).toBe(second + 500);
    expect(roundJiffiesUp(kernel, second + 251, 0)).toBe(second + 500);
    expect(roundJiffies(kernel, second + 251, 2), "each CPU three jiffies from the next").toBe(second + 250 - 6);
    const at = jiffies(kernel) + 1;
    if (at % 250 < 62) expect(roundJiffies(kernel, at, 0)).toBe(at);
    expect((roundJiffiesRelative(kernel, 250, 0) + jiffies(kernel)) % 250).toBe(0);
  });
});
