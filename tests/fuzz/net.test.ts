/** A short run of the net machine with a fixed seed; `npm run fuzz:net` goes on where this ends. */
import { expect, test } from "vitest";
import { actsOf, walk, type Count } from "./net/walk.ts";

test("four thousand steps on sockets, pipes and epolls are as the model foretells", () => {
  const count: Count = { steps: 0, calls: 0, succeeded: 0, drops: 0 };
  for (let at = 0; at < 10; at++) expect(walk(7 + at, actsOf(7, at, 400), at % 5 === 0, count)).toBeNull();
  expect(count.succeeded).toBeGreaterThan(count.calls / 3);
});
