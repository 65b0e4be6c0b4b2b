/** The kinds of benchmarks: one row each. */
import { must } from "../lib/assert.ts";
import type { MachineOptions } from "../machine.ts";
import type { Benchmark, BenchmarkKind, BenchmarkParams, BenchmarkRun, BenchmarkStep, Door } from "./types.ts";
import { vdevBuffers } from "./vdev_buffers.ts";
import { vdevSizes } from "./vdev_sizes.ts";
import { vdevSplit } from "./vdev_split.ts";

// What a run keeps is known to its own kind only.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
const benchmarks: Benchmark<any>[] = [vdevSizes, vdevBuffers, vdevSplit];

const byKind = new Map(benchmarks.map((benchmark) => [benchmark.about.kind, benchmark]));

/** What can be run: parameters, columns, defaults, and the report that each comes from. */
export function benchmarkKinds(): BenchmarkKind[] {
  return benchmarks.map(({ about }) => about);
}

/** A run that has not begun; `params` were checked against the kind's, those left out get their defaults here. */
export function beginBenchmark(kind: string, params: BenchmarkParams, machine: MachineOptions, round: number): BenchmarkRun {
  const { about, begin } = must(byKind, kind);
  const given = Object.fromEntries(about.params.map((param) => [param.name, params[param.name] ?? param.default]));
  return { kind, work: begin(given, { ...about.machine, ...machine }, round) as object };
}

/** Goes on with a run for about `budget` steps of the emulator. */
export function continueBenchmark(door: Door, { kind, work }: BenchmarkRun, budget: number): BenchmarkStep {
  return must(byKind, kind).step(door, work, budget);
}
