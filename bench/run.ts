/** Running a measurement in a process of its own, ours and a peer's in turn, and the medians of the rounds. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Numbers = { [name: string]: number };

const HERE = import.meta.dirname;

/** Runs a TypeScript file of this folder and answers the JSON object that it prints. */
export function node(file: string, flags: string[] = []): Numbers {
  return lastLine(execFileSync(process.execPath, [...flags, "--import", "tsx", join(HERE, file)], { encoding: "utf8", maxBuffer: 1 << 26 }));
}

/** Compiles a C file of this folder with cc once; answers how to run it. */
export function compiled(file: string): { run: () => Numbers; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "syslab-bench-"));
  const program = join(folder, "peer");
  execFileSync("cc", ["-O2", "-o", program, join(HERE, file)]);
  return { run: () => lastLine(execFileSync(program, { encoding: "utf8" })), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function lastLine(text: string): Numbers {
  return JSON.parse(text.trim().split("\n").at(-1) ?? "{}") as Numbers;
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** Each of `sides` three times in turn; the median of every number. */
export function alternated<K extends string>(sides: { [side in K]: () => Numbers }, rounds = 3): { [side in K]: Numbers } {
  const seen = new Map<string, Map<string, number[]>>();
  for (let round = 0; round < rounds; round++) {
    for (const [side, measure] of Object.entries(sides) as [K, () => Numbers][]) {
      const numbers = seen.get(side) ?? new Map<string, number[]>();
      seen.set(side, numbers);
      for (const [name, value] of Object.entries(measure())) numbers.set(name, [...(numbers.get(name) ?? []), value]);
    }
  }
  return Object.fromEntries([...seen].map(([side, numbers]) => [
    side, Object.fromEntries([...numbers].map(([name, values]) => [name, median(values)])),
  ])) as { [side in K]: Numbers };
}
