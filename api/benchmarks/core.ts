/** The core's benchmarks as the service uses them. */
import type { Json, MachineOptions } from "../sessions/core.ts";

export interface BenchmarkParam {
  name: string;
  type: "integer" | "number" | "string" | "boolean" | "integers";
  default: Json;
  min?: number;
  max?: number;
  choices?: Json[];
  description: string;
}

export interface BenchmarkColumn {
  name: string;
  unit?: string;
  description: string;
}

export interface BenchmarkChart {
  kind: "line" | "bar" | "scatter";
  x: string;
  y: string[];
  /** A column whose values tell lines apart. */
  series?: string;
  logX?: boolean;
  logY?: boolean;
}

export interface BenchmarkKind {
  kind: string;
  title: string;
  /** The report that it comes from. */
  report: string;
  params: BenchmarkParam[];
  columns: BenchmarkColumn[];
  chart?: BenchmarkChart;
  machine?: MachineOptions;
}

export type BenchmarkValue = number | string | boolean | null;
export type BenchmarkRow = { [column: string]: BenchmarkValue };

/** A benchmark under way; what it is made of is the core's. */
export type BenchmarkRun = object;

export interface BenchmarkStep {
  /** 0 to 1. */
  progress: number;
  /** New since the last step. */
  rows: BenchmarkRow[];
  done: boolean;
}

export interface BenchmarkCore {
  benchmarkKinds(): BenchmarkKind[];
  startBenchmark(kind: string, params: { [name: string]: Json }, machine: MachineOptions, round: number): BenchmarkRun;
  stepBenchmark(run: BenchmarkRun, budget: number): BenchmarkStep;
}

export const core: BenchmarkCore = {
  benchmarkKinds: () => [],
  startBenchmark(kind) {
    throw new Error(`no benchmark ${kind}`);
  },
  stepBenchmark: () => ({ progress: 1, rows: [], done: true }),
};
