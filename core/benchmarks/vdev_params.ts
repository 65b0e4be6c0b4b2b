/** Parameters that the three tables of the first report share. */
import type { BenchmarkColumn, BenchmarkParam, BenchmarkParams } from "./types.ts";
import type { Method, TransferCase } from "./vdev_transfer.ts";

export const REPORT = "NTU OS 2020 project 2: master and slave devices";

export const methodParam: BenchmarkParam = {
  name: "method", type: "string", default: "both", choices: ["both", "fcntl", "mmap"],
  description: "how both programs move the bytes: read and write in pieces of 512 bytes, or a mapping of 4096",
};

export const variantParam: BenchmarkParam = {
  name: "variant", type: "string", default: "corrected", choices: ["corrected", "seed"],
  description: "the build of the modules; seed is the report's, whose asynchronous flag nothing reads",
};

export const resultColumns: BenchmarkColumn[] = [
  { name: "side", description: "which program" },
  { name: "ms", unit: "ms", description: "the Transmission time that it printed, kernel time" },
];

export function methodsOf({ method }: BenchmarkParams): Method[] {
  return method === "fcntl" || method === "mmap" ? [method] : ["fcntl", "mmap"];
}

export function variantOf({ variant }: BenchmarkParams): TransferCase["variant"] {
  return variant === "seed" ? "seed" : "corrected";
}

export function integersOf(value: BenchmarkParams[string]): number[] {
  return Array.isArray(value) ? value.map(Number) : [];
}
