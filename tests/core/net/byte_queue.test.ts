/** The queue of bytes in a socket: the same bytes in the same order as an array would give, however they are cut. */
import { expect, test } from "vitest";
import { append, byteQueue, copyOut, drop, front, move } from "../../../core/net/byte_queue.ts";

test("a queue gives what an array would", () => {
  const queue = byteQueue();
  const other = byteQueue();
  let model: number[] = [];
  let moved: number[] = [];
  let value = 0;
  // A step pattern instead of chance: sizes from 1 to several blocks, in changing order.
  for (let round = 0; round < 600; round++) {
    const size = (round * 7_919) % 6_007;
    if (round % 3 !== 2) {
      const bytes = Uint8Array.from({ length: size % 1_500 }, () => value++ & 255);
      append(queue, bytes);
      model.push(...bytes);
      bytes.fill(0);
    } else if (round % 2 === 0) {
      const count = Math.min(size, model.length);
      expect(copyOut(queue, count)).toEqual(Uint8Array.from(model.slice(0, count)));
      drop(queue, count);
      model = model.slice(count);
    } else {
      const count = Math.min(size, model.length);
      expect(move(queue, other, count)).toBe(count);
      moved.push(...model.slice(0, count));
      model = model.slice(count);
    }
    expect(queue.length).toBe(model.length);
    if (model.length > 0) expect([...front(queue, 5)]).toEqual(model.slice(0, Math.min(5, front(queue, 5).length)));
    if (moved.length > 5_000) {
      expect(copyOut(other, other.length)).toEqual(Uint8Array.from(moved));
      drop(other, other.length);
      moved = [];
    }
  }
  expect(copyOut(queue, 100, 10)).toEqual(Uint8Array.from(model.slice(10, 110)));
});
