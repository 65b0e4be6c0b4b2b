/** The first report's table of buffers: files of 16 kB to 1 MB by read and write in pieces of 64 to 1024 bytes. */
import type { Benchmark } from "./types.ts";
import { integersOf, REPORT, resultColumns } from "./vdev_params.ts";
import { newSeries, stepSeries, weightOf, type Series } from "./vdev_series.ts";

export const vdevBuffers: Benchmark<Series> = {
  about: {
    kind: "vdev-buffers",
    title: "File I/O by the size of the buffer",
    report: REPORT,
    params: [
      { name: "sizes", type: "integers", default: [16_000, 64_000, 256_000, 1_024_000], min: 1, max: 64_000_000, description: "bytes of the file" },
      { name: "buffers", type: "integers", default: [64, 256, 512, 1024], min: 1, max: 1024, description: "bytes of one read and write" },
    ],
    columns: [
      { name: "size", unit: "bytes", description: "bytes of the file" },
      { name: "buffer", unit: "bytes", description: "bytes of one read and write" },
      ...resultColumns,
    ],
    chart: { kind: "bar", x: "buffer", y: ["ms"], series: "size", logY: true },
  },
  begin({ sizes, buffers }, machine, round) {
    const cases = integersOf(sizes).flatMap((size) => integersOf(buffers).map((buffer) => ({
      transfer: { files: [size], method: "fcntl" as const, bufSize: buffer, variant: "corrected" as const },
      // A byte in small pieces is more work.
      columns: { size, buffer }, weight: weightOf([size * Math.max(1, 512 / buffer)]),
    })));
    return newSeries(cases, machine, round);
  },
  step: stepSeries,
};
