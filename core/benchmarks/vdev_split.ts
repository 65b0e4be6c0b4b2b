/** The first report's "special idea": one file's bytes cut into several files, by read and write. */
import type { Benchmark } from "./types.ts";
import { integersOf, methodParam, methodsOf, REPORT, resultColumns } from "./vdev_params.ts";
import { newSeries, stepSeries, weightOf, type Series } from "./vdev_series.ts";

/** `size` bytes in `parts` files as equal as can be. */
function split(size: number, parts: number): number[] {
  return Array.from({ length: parts }, (_, at) => Math.floor((size * (at + 1)) / parts) - Math.floor((size * at) / parts));
}

export const vdevSplit: Benchmark<Series> = {
  about: {
    kind: "vdev-split",
    title: "One transfer cut into several files",
    report: REPORT,
    params: [
      { name: "size", type: "integer", default: 256_000, min: 50, max: 64_000_000, description: "bytes of all files together" },
      { name: "parts", type: "integers", default: [1, 4, 8, 16, 32], min: 1, max: 50, description: "files" },
      { ...methodParam, default: "fcntl" },
    ],
    columns: [
      { name: "parts", description: "files" },
      { name: "method", description: "fcntl or mmap" },
      ...resultColumns,
    ],
    chart: { kind: "bar", x: "parts", y: ["ms"], series: "side" },
  },
  begin(params, machine, round) {
    const size = Number(params.size);
    const cases = methodsOf(params).flatMap((method) => integersOf(params.parts).map((parts) => {
      const files = split(size, parts);
      return {
        transfer: { files, method, bufSize: 512, variant: "corrected" as const }, columns: { parts, method }, weight: weightOf(files),
      };
    }));
    return newSeries(cases, machine, round);
  },
  step: stepSeries,
};
