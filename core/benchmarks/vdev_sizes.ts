/** The first report's tables of sizes: one file of 4 bytes to 256 MB, by read and write or by mmap, timed on both sides. */
import type { Benchmark } from "./types.ts";
import { integersOf, methodParam, methodsOf, REPORT, resultColumns, variantOf, variantParam } from "./vdev_params.ts";
import { newSeries, stepSeries, weightOf, type Series } from "./vdev_series.ts";

/** Decimal sizes: the report's "4KB" is 4,000 bytes. */
const SIZES = [4, 16, 64, 256, 4_000, 16_000, 64_000, 256_000, 4_000_000, 16_000_000, 64_000_000, 256_000_000];
const BUF_SIZE = 512;

export const vdevSizes: Benchmark<Series> = {
  about: {
    kind: "vdev-sizes",
    title: "File I/O against memory-mapped I/O, by size",
    report: REPORT,
    params: [
      { name: "sizes", type: "integers", default: SIZES, min: 1, max: 256_000_000, description: "bytes of the file" },
      methodParam, variantParam,
    ],
    columns: [
      { name: "size", unit: "bytes", description: "bytes of the file" },
      { name: "method", description: "fcntl or mmap" },
      ...resultColumns,
    ],
    chart: { kind: "line", x: "size", y: ["ms"], series: "method", logX: true, logY: true },
  },
  begin(params, machine, round) {
    const variant = variantOf(params);
    const cases = methodsOf(params).flatMap((method) => integersOf(params.sizes).map((size) => ({
      transfer: { files: [size], method, bufSize: BUF_SIZE, variant }, columns: { size, method }, weight: weightOf([size]),
    })));
    return newSeries(cases, machine, round);
  },
  step: stepSeries,
};
