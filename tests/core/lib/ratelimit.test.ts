/** Rate limits: how many messages pass, and when the others are counted. */
import { expect, test } from "vitest";
import { newRatelimit, ratelimitOk } from "../../../core/lib/ratelimit.ts";

test("ten pass in five seconds, the others are counted as the next interval begins", () => {
  const limit = newRatelimit(250);
  const said = Array.from({ length: 25 }, (_, at) => ratelimitOk(limit, 1000 + at));
  expect(said.map(({ ok }) => ok)).toEqual(Array.from({ length: 25 }, (_, at) => at < 10));
  expect(said.every(({ suppressed }) => suppressed === 0)).toBe(true);
  expect(ratelimitOk(limit, 1000 + 1250)).toEqual({ ok: false, suppressed: 0 });
  expect(ratelimitOk(limit, 1000 + 1251)).toEqual({ ok: true, suppressed: 16 });
  expect(ratelimitOk(limit, 1000 + 1252)).toEqual({ ok: true, suppressed: 0 });
});
