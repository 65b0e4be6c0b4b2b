/** What a benchmark is to those who run it: a kind with its parameters and columns, and a run that is stepped. */
import type { BootInput, Input, Json, Output } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import type { MachineOptions } from "../machine.ts";

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

export type BenchmarkRow = { [column: string]: number | string | boolean | null };

export interface BenchmarkStep {
  /** 0 to 1. */
  progress: number;
  /** New since the last step. */
  rows: BenchmarkRow[];
  done: boolean;
}

/** How a benchmark makes kernels and feeds them; the file that boots stands above this room. */
export interface Door {
  boot(input: BootInput): { kernel: Kernel };
  handle(k: Kernel, input: Input, budget: number): Output;
}

export type BenchmarkParams = { [name: string]: Json };

/** A benchmark under way: plain data and the kernel that it works on. */
export interface BenchmarkRun {
  kind: string;
  work: object;
}

/** The code of a kind; `W` is what its runs keep. */
export interface Benchmark<W extends object> {
  about: BenchmarkKind;
  /** `round`: 0 for the first of several runs; it goes into the seed. */
  begin(params: BenchmarkParams, machine: MachineOptions, round: number): W;
  /** At most about `budget` steps of the emulator. */
  step(door: Door, work: W, budget: number): BenchmarkStep;
}
