/** 64 MB from master to slave on an emulated machine, by read and write of 512 bytes and by mmap, in the host's time. Prints one JSON object. */
import { startBenchmark, stepBenchmark } from "../../core/index.ts";

const SIZE = 64_000_000;
const BUDGET = 20_000;

function hostMs(method: "fcntl" | "mmap"): number {
  const run = startBenchmark("vdev-sizes", { sizes: [SIZE], method }, {}, 0);
  const start = performance.now();
  for (let rows = 0; ;) {
    const step = stepBenchmark(run, BUDGET);
    rows += step.rows.length;
    if (!step.done) continue;
    if (rows === 0) throw new Error(`no transfer by ${method}`);
    return performance.now() - start;
  }
}

// The first one also warms the engine up; a server has done that long before.
hostMs("mmap");
console.log(JSON.stringify({ fcntlMs: hostMs("fcntl"), mmapMs: hostMs("mmap") }));
