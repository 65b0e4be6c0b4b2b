/** Two runs side by side: rows that measure the same thing, and how one stands to the other. */
import type { BenchmarkKind, BenchmarkRow } from "./core.ts";

export interface ComparedRow {
  key: { [column: string]: string | number | boolean | null };
  values: { [column: string]: { a: number | null; b: number | null; ratio: number | null } };
}

/** Columns that say what was measured: the chart's x and series, and everything that is no number. */
function keysOf(kind: BenchmarkKind | undefined, columns: string[], rows: BenchmarkRow[]): string[] {
  const named = new Set(["round", kind?.chart?.x, kind?.chart?.series]);
  return columns.filter((name) => named.has(name) || rows.some((row) => row[name] !== undefined && typeof row[name] !== "number"));
}

export function compareRows(kind: BenchmarkKind | undefined, columns: string[], a: BenchmarkRow[], b: BenchmarkRow[]): ComparedRow[] {
  const keys = keysOf(kind, columns, [...a, ...b]);
  const values = columns.filter((name) => !keys.includes(name));
  const keyText = (row: BenchmarkRow) => JSON.stringify(keys.map((name) => row[name] ?? null));
  const others = new Map(b.map((row) => [keyText(row), row]));
  const seen = new Set<string>();
  const pair = (left: BenchmarkRow | undefined, right: BenchmarkRow | undefined): ComparedRow => ({
    key: Object.fromEntries(keys.map((name) => [name, (left ?? right)![name] ?? null])),
    values: Object.fromEntries(values.map((name) => {
      const [one, two] = [numberIn(left, name), numberIn(right, name)];
      return [name, { a: one, b: two, ratio: one === null || two === null || one === 0 ? null : two / one }];
    })),
  });
  const rows = a.map((row) => {
    const key = keyText(row);
    seen.add(key);
    return pair(row, others.get(key));
  });
  return [...rows, ...b.filter((row) => !seen.has(keyText(row))).map((row) => pair(undefined, row))];
}

function numberIn(row: BenchmarkRow | undefined, name: string): number | null {
  const value = row?.[name];
  return typeof value === "number" ? value : null;
}
