/** The core's benchmarks as the service uses them. */
export { benchmarkKinds, startBenchmark, stepBenchmark } from "../../core/index.ts";
export type { BenchmarkKind, BenchmarkRow } from "../../core/index.ts";

import type { BenchmarkKind, BenchmarkRow } from "../../core/index.ts";

export type BenchmarkChart = NonNullable<BenchmarkKind["chart"]>;
export type BenchmarkParam = BenchmarkKind["params"][number];
export type BenchmarkValue = BenchmarkRow[string];
