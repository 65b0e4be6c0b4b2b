/** The first report's tables: what their numbers must look like, as inequalities; no number of its own is asked for. */
import { expect, test } from "vitest";
import { benchmarkKinds, startBenchmark, stepBenchmark, type BenchmarkRow } from "../../../core/index.ts";
import type { Json } from "../../../core/input.ts";

const BULK = 4_000_000;

interface Measured {
  rows: BenchmarkRow[];
  progress: number[];
}

function measure(kind: string, params: { [name: string]: Json }, budget = 20_000): Measured {
  const run = startBenchmark(kind, params, {}, 0);
  const measured: Measured = { rows: [], progress: [] };
  for (;;) {
    const { rows, progress, done } = stepBenchmark(run, budget);
    measured.rows.push(...rows);
    measured.progress.push(progress);
    if (done) return measured;
  }
}

/** The time of one row, ms. */
function ms({ rows }: Measured, columns: BenchmarkRow): number {
  const found = rows.filter((row) => Object.entries(columns).every(([name, value]) => row[name] === value));
  expect(found, JSON.stringify(columns)).toHaveLength(1);
  return Number(found[0]?.ms);
}

const sizes = [4, 64, 256, 4_000, 16_000, 64_000, 256_000, BULK, 4 * BULK];
const table = measure("vdev-sizes", { sizes });
const at = (size: number, method: string, side: string): number => ms(table, { size, method, side });
const ROWS = ["master", "slave"].flatMap((side) => ["fcntl", "mmap"].map((method) => ({ side, method })));

test("every cell is measured once, and the progress goes up to 1", () => {
  expect(table.rows).toHaveLength(sizes.length * 4);
  expect(table.progress.every((value, index) => value >= (table.progress[index - 1] ?? 0) && value <= 1)).toBe(true);
  expect(table.progress.at(-1)).toBe(1);
});

for (const { side, method } of ROWS) {
  test(`${method}, ${side}: flat below a chunk, then more with every size, and in bulk in proportion`, () => {
    const times = sizes.map((size) => at(size, method, side));
    expect(times[2]).toBeLessThanOrEqual((times[0] ?? 0) * 1.1 + 0.001);
    for (let index = 1; index < times.length; index++) expect(times[index]).toBeGreaterThanOrEqual((times[index - 1] ?? 0) - 0.001);
    const growth = at(4 * BULK, method, side) / at(BULK, method, side);
    expect(growth).toBeGreaterThan(3);
    expect(growth).toBeLessThan(6.5);
  });
}

test("small files are faster by read and write, by far on the receiving side", () => {
  for (const size of [4, 64, 256]) {
    expect(at(size, "mmap", "master")).toBeGreaterThan(at(size, "fcntl", "master"));
    expect(at(size, "mmap", "slave")).toBeGreaterThan(5 * at(size, "fcntl", "slave"));
  }
});

test("the sender is faster by mmap from between 4 and 16 kB on, the receiver from between 64 kB and 16 MB on", () => {
  expect(at(4_000, "mmap", "master")).toBeGreaterThan(at(4_000, "fcntl", "master"));
  expect(at(16_000, "mmap", "master")).toBeLessThan(at(16_000, "fcntl", "master"));
  expect(at(64_000, "mmap", "slave")).toBeGreaterThan(at(64_000, "fcntl", "slave"));
  expect(at(4 * BULK, "mmap", "slave")).toBeLessThan(at(4 * BULK, "fcntl", "slave"));
});

test("in bulk mmap is ahead on both sides, but not by more than twice", () => {
  for (const side of ["master", "slave"]) {
    const ahead = at(4 * BULK, "fcntl", side) / at(4 * BULK, "mmap", side);
    expect(ahead).toBeGreaterThan(1.15);
    expect(ahead).toBeLessThan(2);
  }
});

test("the receiver is never ahead of the sender from 64 kB on", () => {
  for (const method of ["fcntl", "mmap"]) {
    for (const size of [64_000, 256_000, BULK, 4 * BULK]) expect(at(size, method, "slave")).toBeGreaterThanOrEqual(at(size, method, "master"));
  }
});

test("a larger buffer is never slower, and gains less and less", () => {
  const buffers = [64, 256, 512, 1024];
  const measured = measure("vdev-buffers", { sizes: [256_000] });
  for (const side of ["master", "slave"]) {
    const times = buffers.map((buffer) => ms(measured, { buffer, side }));
    const saved = times.slice(1).map((time, index) => (times[index] ?? 0) - time);
    for (const gain of saved) expect(gain).toBeGreaterThanOrEqual(0);
    expect(saved).toEqual(saved.toSorted((one, other) => other - one));
    expect((times[0] ?? 0) / (times[1] ?? 1)).toBeGreaterThan(2.5);
  }
});

test("cutting a transfer into files costs a little for each, and nothing makes any number of them special", () => {
  const parts = [1, 4, 8, 16, 32];
  const measured = measure("vdev-split", { parts });
  for (const side of ["master", "slave"]) {
    const times = parts.map((count) => ms(measured, { parts: count, side }));
    for (let index = 1; index < times.length; index++) expect(times[index]).toBeGreaterThanOrEqual((times[index - 1] ?? 0) - 0.001);
    expect(times.at(-1)).toBeLessThan(2 * (times[0] ?? 0));
  }
});

test("the asynchronous build is no faster and no slower", () => {
  const seed = measure("vdev-sizes", { sizes: [256, 64_000, BULK], variant: "seed" });
  for (const { side, method } of ROWS) {
    for (const size of [256, 64_000, BULK]) {
      const ratio = ms(seed, { size, method, side }) / at(size, method, side);
      expect(ratio, `${size} ${method} ${side}`).toBeGreaterThan(0.7);
      expect(ratio, `${size} ${method} ${side}`).toBeLessThan(1.4);
    }
  }
});

test("the same run gives the same rows, however it is stepped; another round has another seed", () => {
  const params = { sizes: [5_000], method: "mmap" };
  const first = measure("vdev-sizes", params);
  expect(measure("vdev-sizes", params, 500).rows).toEqual(first.rows);
  const run = startBenchmark("vdev-sizes", params, {}, 1);
  expect(stepBenchmark(run, 1e9)).toMatchObject({ done: true, progress: 1 });
});

test("the catalogue tells every parameter's default and bounds, and every column", () => {
  const kinds = benchmarkKinds();
  expect(kinds.map(({ kind }) => kind)).toEqual(["vdev-sizes", "vdev-buffers", "vdev-split"]);
  for (const { params, columns, chart, title, report } of kinds) {
    expect([title, report].every((text) => text.length > 0)).toBe(true);
    for (const param of params) {
      expect(param.default).not.toBeUndefined();
      if (param.choices !== undefined) expect(param.choices).toContain(param.default);
      for (const value of [param.default].flat()) {
        if (typeof value !== "number") continue;
        expect(value).toBeGreaterThanOrEqual(param.min ?? 0);
        expect(value).toBeLessThanOrEqual(param.max ?? 0);
      }
    }
    const names = columns.map(({ name }) => name);
    for (const name of [chart?.x, ...chart?.y ?? [], chart?.series]) expect(names).toContain(name);
  }
  expect(kinds[0]?.params[0]?.default).toEqual([4, 16, 64, 256, 4e3, 16e3, 64e3, 256e3, 4e6, 16e6, 64e6, 256e6]);
});
