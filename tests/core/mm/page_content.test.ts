/** A page that stores its bytes by need reads as one that stores them all. */
import { expect, test } from "vitest";
import { PAGE_SIZE } from "../../../core/abi/limits.ts";
import { equalBytes } from "../../../core/lib/bytes.ts";
import { nextU32, seedRng } from "../../../core/lib/rng.ts";
import { copyContent, readContent, takeContent, viewBytes, wholeBytes, writeContent, type PageContent } from "../../../core/mm/page_content.ts";

const empty = (): PageContent => ({ bytes: null, few: null });

test("a line written again at the same place stays a few bytes, in the order in which they came", () => {
  const page = empty();
  const text = new TextEncoder().encode("remain file size : 63999488 bytes\n");
  writeContent(page, 100, text, 0, text.length);
  const first = [...(page.few ?? [])];
  writeContent(page, 100, text, 0, text.length);
  expect(page).toEqual({ bytes: null, few: first });
  expect(first.map((item) => item & 255)).toEqual([...text]);
});

test("zeros take their bytes away, and those behind them are still found", () => {
  const page = empty();
  writeContent(page, 10, Uint8Array.of(1, 2, 3, 4, 5), 0, 5);
  writeContent(page, 10, Uint8Array.of(0, 7, 0, 8, 9), 0, 5);
  expect(page.few?.map((item) => [item >> 8, item & 255])).toEqual([[11, 7], [13, 8], [14, 9]]);
});

test.each([1, 2, 3, 4])("writes of all lengths at all places read as they do of plain bytes (%i)", (seed) => {
  const chance = seedRng(seed);
  const next = (below: number): number => nextU32(chance) % below;
  const page = empty();
  const plain = new Uint8Array(PAGE_SIZE);
  for (let round = 0; round < 400; round++) {
    const count = 1 + next(round < 200 ? 12 : 90);
    const offset = next(round < 200 ? 60 : PAGE_SIZE - count);
    const bytes = Uint8Array.from({ length: count }, () => (next(3) === 0 ? 0 : next(256)));
    writeContent(page, offset, bytes, 0, count);
    plain.set(bytes, offset);
    if (page.few !== null) expect(page.few.length).toBeLessThanOrEqual(64);
    expect(equalBytes(viewBytes(page), plain)).toBe(true);
    const into = new Uint8Array(100).fill(255);
    readContent(page, offset, into, 5, count);
    expect(equalBytes(into.subarray(5, 5 + count), plain.subarray(offset, offset + count))).toBe(true);
  }
  const copy = empty();
  copyContent(copy, page);
  expect(equalBytes(viewBytes(copy), plain)).toBe(true);
  const taken = takeContent(page);
  expect(page).toEqual(empty());
  expect(equalBytes(wholeBytes(taken), plain)).toBe(true);
});
