/** The thread in which a benchmark runs: it steps, tells rows and progress, and knows no database. */
import { parentPort, workerData } from "node:worker_threads";
import type { Json, MachineOptions } from "../sessions/core.ts";
import { startBenchmark, stepBenchmark, type BenchmarkRow } from "./core.ts";

export interface Job {
  kind: string;
  params: { [name: string]: Json };
  machine: MachineOptions;
  repeat: number;
}

export type Told = { progress: number; rows: BenchmarkRow[] } | { done: true };

/** Steps of the emulator between two words to the outside. */
const STEPS = 20_000;

function run({ kind, params, machine, repeat }: Job, tell: (told: Told) => void): void {
  for (let round = 0; round < repeat; round++) {
    const benchmark = startBenchmark(kind, params, machine, round);
    for (let over = false; !over;) {
      const { progress, rows, done } = stepBenchmark(benchmark, STEPS);
      tell({ progress: (round + progress) / repeat, rows: repeat === 1 ? rows : rows.map((row) => ({ round, ...row })) });
      over = done;
    }
  }
  tell({ done: true });
}

run(workerData as Job, (told) => parentPort?.postMessage(told));
