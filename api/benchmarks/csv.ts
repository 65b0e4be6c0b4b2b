/** A run's rows as CSV (RFC 4180), the columns of its kind first. */
import type { BenchmarkKind, BenchmarkRow, BenchmarkValue } from "./core.ts";

/** Columns in the order of the kind, then others as they come. */
export function columnsOf(kind: BenchmarkKind | undefined, rows: BenchmarkRow[]): string[] {
  const seen = new Set<string>();
  for (const row of rows) for (const name in row) seen.add(name);
  const known = ["round", ...(kind?.columns.map((column) => column.name) ?? [])].filter((name) => seen.has(name));
  return [...new Set([...known, ...seen])];
}

export function toCsv(columns: string[], rows: BenchmarkRow[]): string {
  const lines = [columns, ...rows.map((row) => columns.map((name) => row[name] ?? null))];
  return lines.map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

function cell(value: BenchmarkValue): string {
  const text = value === null ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
