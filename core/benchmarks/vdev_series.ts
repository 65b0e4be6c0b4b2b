/** A series of transfers, one after another, and the rows that they give; the three tables of the report are such series. */
import type { MachineOptions } from "../machine.ts";
import type { BenchmarkRow, BenchmarkStep, Door } from "./types.ts";
import { newTransfer, progressOf, stepTransfer, timesOf, type Transfer, type TransferCase } from "./vdev_transfer.ts";

export interface SeriesCase {
  transfer: TransferCase;
  /** Columns that say which case a row is of; `side` and `ms` are added. */
  columns: BenchmarkRow;
  /** About how much of the whole this case is. */
  weight: number;
}

export interface Series {
  cases: SeriesCase[];
  machine: MachineOptions;
  at: number;
  transfer: Transfer | null;
}

export function newSeries(cases: SeriesCase[], machine: MachineOptions, round: number): Series {
  return { cases, machine: { ...machine, seed: (machine.seed ?? 1) + round }, at: 0, transfer: null };
}

/** A constant part a case, for its kernel and its set-up, and its bytes. */
export function weightOf(files: number[]): number {
  return files.reduce((sum, size) => sum + size, 200_000);
}

/** Steps of the emulator that one part of a transfer takes; small enough that a caller's budget is kept to. */
const PART = 20_000;

export function stepSeries(door: Door, series: Series, budget: number): BenchmarkStep {
  const rows: BenchmarkRow[] = [];
  for (let left = budget; left > 0 && series.at < series.cases.length; left -= PART) {
    const current = series.cases[series.at];
    series.transfer ??= newTransfer(current.transfer, series.machine);
    if (!stepTransfer(door, series.transfer, Math.min(left, PART))) continue;
    const { master, slave } = timesOf(series.transfer);
    rows.push({ ...current.columns, side: "master", ms: master }, { ...current.columns, side: "slave", ms: slave });
    series.transfer = null;
    series.at++;
  }
  return { progress: progress(series), rows, done: series.at === series.cases.length };
}

function progress({ cases, at, transfer }: Series): number {
  const total = cases.reduce((sum, { weight }) => sum + weight, 0);
  const before = cases.slice(0, at).reduce((sum, { weight }) => sum + weight, 0);
  const now = transfer === null || at === cases.length ? 0 : progressOf(transfer) * cases[at].weight;
  return total === 0 ? 1 : Math.min(1, (before + now) / total);
}
