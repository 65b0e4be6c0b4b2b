/** A short fuzz run of a fixed seed; `npm run fuzz` goes on where this ends. */
import { expect, test } from "vitest";
import { Fuzz } from "./run.ts";

test("twenty thousand random inputs break nothing, and every call is among them", () => {
  const report = new Fuzz({ seed: 42, steps: 20_000, every: 1_000, replayEvery: 5_000 }).run();
  expect(report.never).toEqual([]);
  expect(report.succeeded).toBeGreaterThan(report.calls / 3);
});
