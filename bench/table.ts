/** A table of measurements as text. */

export interface Row {
  what: string;
  ours: string;
  peer: string;
  ratio: string;
  aim: string;
}

const HEAD: Row = { what: "what", ours: "ours", peer: "peer", ratio: "ratio", aim: "aim" };
const COLUMNS = ["what", "ours", "peer", "ratio", "aim"] as const;

export function table(rows: Row[]): string {
  const all = [HEAD, ...rows];
  const widths = COLUMNS.map((column) => Math.max(...all.map((row) => row[column].length)));
  return all.map((row) => COLUMNS.map((column, at) => (at === 0 ? row[column].padEnd(widths[at]) : row[column].padStart(widths[at]))).join("  ")).join("\n");
}

/** ns for a reader. */
export function time(ns: number): string {
  return ns < 1000 ? `${ns.toFixed(0)} ns` : ns < 1_000_000 ? `${(ns / 1000).toFixed(2)} µs` : `${(ns / 1_000_000).toFixed(2)} ms`;
}

/** `ours` in multiples of `peer`. */
export function times(ours: number, peer: number): string {
  return `${(ours / peer).toFixed(2)}×`;
}
